//! A set of rows, compressed: which events have a value, a status, a user.
//!
//! Rows are divided by 65,536 each. Of a division the set has the rows' lower halves one by one, or a bit for each,
//! or the first and last of each run, whichever is shortest. A set is read where it lies.

mod encoding;

pub(crate) use encoding::encode;

use crate::{
    kernels::{CHUNK, Mask},
    number::{u16_at, u32_at},
};

/// Rows of a division.
const DIVISION: u32 = 1 << 16;
/// Chunks of a division.
const DIVISION_CHUNKS: u32 = DIVISION / CHUNK as u32;
/// Bytes of a division with a bit for each row.
const BITS_BYTES: usize = DIVISION as usize / 8;
const HEAD_BYTES: usize = 8;
const ENTRY_BYTES: usize = 8;
/// In the upper bits of a division's place: how its rows are written down.
const KIND_SHIFT: u32 = 30;
const LIST: u32 = 0;
const BITS: u32 = 1;
const RUNS: u32 = 2;

/// A set of rows, read where it lies.
///
/// ```
/// use annals_columns::{Batch, PartBuilder, PartIdentity, Part, Role, Schema};
/// use std::sync::Arc;
/// let schema = Arc::new(Schema::builder(1).with("status", Role::Status).build()?);
/// let mut batch = Batch::new(Arc::clone(&schema));
/// for status in [200, 500, 200] {
///     let mut row = batch.row();
///     row.u16(0, status)?;
///     row.finish()?;
/// }
/// let id = PartIdentity { database_id: 7, number: 1 };
/// let mut builder = PartBuilder::new(schema, id);
/// builder.add(&batch, 0)?;
/// let part = Part::open(builder.finish()?, id)?;
/// let rows = part.view().status_rows(200)?.expect("there are some");
/// assert_eq!(rows.len(), 2);
/// assert!(rows.contains(2) && !rows.contains(1));
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RowSet<'p> {
    bytes: &'p [u8],
    entries: &'p [[u8; ENTRY_BYTES]],
    rows_count: u32,
}

/// A division of a set.
#[derive(Clone, Copy)]
enum Division<'p> {
    List(&'p [[u8; 2]]),
    Bits(&'p [u8]),
    Runs(&'p [[u8; 4]]),
}

impl<'p> RowSet<'p> {
    /// A set at the front of `bytes`; `None` if there is none.
    pub(crate) fn new(bytes: &'p [u8]) -> Option<Self> {
        let divisions_count = u32_at(bytes, 0)? as usize;
        let rows_count = u32_at(bytes, 4)?;
        let (entries, _) = bytes.get(HEAD_BYTES..)?.as_chunks::<ENTRY_BYTES>();
        let entries = entries.get(..divisions_count)?;
        let keys = || entries.iter().map(|entry| u16::from_le_bytes([entry[0], entry[1]]));
        if !keys().is_sorted_by(|one, other| one < other) {
            return None;
        }
        let set = Self { bytes, entries, rows_count };
        (0..divisions_count).all(|at| set.division(at).is_some()).then_some(set)
    }

    /// Appends a set of these rows to `out`: rising, each once.
    ///
    /// ```
    /// use annals_columns::RowSet;
    /// let mut bytes = Vec::new();
    /// RowSet::encode(&[3, 70_000], &mut bytes);
    /// let set = RowSet::decode(&bytes).expect("a set");
    /// assert!(set.contains(70_000) && !set.contains(4));
    /// ```
    pub fn encode(rows: &[u32], out: &mut Vec<u8>) {
        encode(rows, out);
    }

    /// Appends a set of all rows below `below`, and of these, which are above: rising, each once. Costs no look at
    /// each of those below.
    ///
    /// ```
    /// use annals_columns::RowSet;
    /// let mut bytes = Vec::new();
    /// RowSet::encode_below(100_000, &[100_001], &mut bytes);
    /// let set = RowSet::decode(&bytes).expect("a set");
    /// assert_eq!(set.len(), 100_001);
    /// assert!(set.contains(99_999) && !set.contains(100_000));
    /// ```
    pub fn encode_below(below: u32, rows: &[u32], out: &mut Vec<u8>) {
        encoding::encode_below(below, rows, out);
    }

    /// A set that was [encoded](Self::encode), read where it lies; `None` if there is none at the front of these bytes.
    #[must_use]
    pub fn decode(bytes: &'p [u8]) -> Option<Self> {
        Self::new(bytes)
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows_count as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows_count == 0
    }

    fn key(&self, at: usize) -> u32 {
        u16_at(&self.entries[at], 0).map_or(0, u32::from)
    }

    fn division(&self, at: usize) -> Option<Division<'p>> {
        let entry = self.entries.get(at)?;
        let count = usize::from(u16_at(entry, 2)?) + 1;
        let place = u32_at(entry, 4)?;
        let bytes = self.bytes.get(2 * (place & ((1 << KIND_SHIFT) - 1)) as usize..)?;
        Some(match place >> KIND_SHIFT {
            LIST => Division::List(bytes.as_chunks().0.get(..count)?),
            BITS => Division::Bits(bytes.get(..BITS_BYTES)?),
            RUNS => {
                let runs_count = usize::from(u16_at(bytes, 0)?);
                Division::Runs(bytes.get(2..)?.as_chunks().0.get(..runs_count)?)
            }
            _ => return None,
        })
    }

    fn find(&self, key: u32) -> Option<Division<'p>> {
        // Most sets have each division, and then the key is the place.
        let first = key as usize;
        if first < self.entries.len() && self.key(first) == key {
            return self.division(first);
        }
        let at = self
            .entries
            .partition_point(|entry| u16_at(entry, 0).is_some_and(|found| u32::from(found) < key));
        (at < self.entries.len() && self.key(at) == key).then(|| self.division(at))?
    }

    /// Whether a row is there.
    #[must_use]
    pub fn contains(&self, row: u32) -> bool {
        let low = (row % DIVISION) as u16;
        match self.find(row / DIVISION) {
            None => false,
            Some(Division::List(rows)) => {
                rows.binary_search_by(|row| u16::from_le_bytes(*row).cmp(&low)).is_ok()
            }
            Some(Division::Bits(bits)) => bits[usize::from(low / 8)] >> (low % 8) & 1 == 1,
            Some(Division::Runs(runs)) => {
                let at = runs.partition_point(|run| run_of(*run).1 < low);
                runs.get(at).is_some_and(|run| run_of(*run).0 <= low)
            }
        }
    }

    /// The rows of a chunk that are there.
    #[must_use]
    pub fn mask(&self, chunk: u32) -> Mask {
        self.find(chunk / DIVISION_CHUNKS)
            .map_or([0; 4], |division| division.mask(chunk % DIVISION_CHUNKS))
    }

    /// The chunks from `from` on, below `to`, that have any of the rows, and which.
    pub fn chunks(&self, from: u32, to: u32) -> impl Iterator<Item = (u32, Mask)> + use<'p> {
        let set = *self;
        let first = set.entries.partition_point(|entry| {
            u16_at(entry, 0).is_some_and(|key| u32::from(key) < from / DIVISION_CHUNKS)
        });
        (first..set.entries.len())
            .map(move |at| (set.key(at) * DIVISION_CHUNKS, set.division(at)))
            .take_while(move |(start, _)| *start < to)
            .flat_map(move |(start, division)| {
                let from = from.saturating_sub(start).min(DIVISION_CHUNKS);
                let to = (to - start).min(DIVISION_CHUNKS);
                DivisionChunks { division, from, to }
                    .map(move |(chunk, mask)| (start + chunk, mask))
            })
    }

    /// Appends the rows from `from` on, below `to`, in their order.
    pub(crate) fn rows_between(&self, from: u32, to: u32, out: &mut Vec<u32>) {
        for at in 0..self.entries.len() {
            let start = self.key(at) * DIVISION;
            if start >= to || start + (DIVISION - 1) < from {
                continue;
            }
            let (first, behind) = (from.saturating_sub(start), (to - start).min(DIVISION));
            match self.division(at) {
                Some(Division::List(rows)) => {
                    let place = |limit: u32| {
                        rows.partition_point(|row| u32::from(u16::from_le_bytes(*row)) < limit)
                    };
                    let (low, high) = (place(first), place(behind));
                    let rows = rows.get(low..high).unwrap_or(&[]);
                    out.extend(rows.iter().map(|row| start + u32::from(u16::from_le_bytes(*row))));
                }
                Some(division) => {
                    let chunks = first / CHUNK as u32..behind.div_ceil(CHUNK as u32);
                    for chunk in chunks {
                        let rows = rows_of(chunk, division.mask(chunk));
                        let rows = rows.filter(|row| (first..behind).contains(row));
                        out.extend(rows.map(|row| start + row));
                    }
                }
                None => {}
            }
        }
    }

    /// Selects the rows in masks, one of each chunk; those beyond are left out.
    pub(crate) fn mark(&self, masks: &mut [Mask]) {
        for at in 0..self.entries.len() {
            let first = (self.key(at) * DIVISION_CHUNKS) as usize;
            let Some(masks) = masks.get_mut(first..) else { break };
            match self.division(at) {
                Some(Division::List(rows)) => {
                    for row in rows.iter().map(|row| usize::from(u16::from_le_bytes(*row))) {
                        if let Some(mask) = masks.get_mut(row / CHUNK) {
                            mask[row % CHUNK / 64] |= 1 << (row % 64);
                        }
                    }
                }
                Some(division) => {
                    for (chunk, mask) in (0..DIVISION_CHUNKS).zip(masks) {
                        let more = division.mask(chunk);
                        *mask = std::array::from_fn(|n| mask[n] | more[n]);
                    }
                }
                None => {}
            }
        }
    }

    /// The rows, in their order.
    pub fn rows(&self) -> impl Iterator<Item = u32> + use<'p> {
        self.chunks(0, u32::MAX).flat_map(|(chunk, mask)| rows_of(chunk, mask))
    }
}

/// The rows that a mask selects, in their order.
#[inline]
pub(crate) fn rows_of(chunk: u32, mask: Mask) -> impl Iterator<Item = u32> {
    let start = chunk.wrapping_mul(CHUNK as u32);
    let starts = [0, 64, 128, 192].map(|place| start.wrapping_add(place));
    starts.into_iter().zip(mask).flat_map(|(start, word)| Bits(word).map(move |at| start + at))
}

/// The places of the bits that are set.
struct Bits(u64);

impl Iterator for Bits {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let at = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (at < 64).then_some(at)
    }
}

fn run_of(run: [u8; 4]) -> (u16, u16) {
    (u16::from_le_bytes([run[0], run[1]]), u16::from_le_bytes([run[2], run[3]]))
}

/// Selects the rows from `first` to `last` of a chunk.
pub(crate) fn select(mask: &mut Mask, first: usize, last: usize) {
    for (n, word) in mask.iter_mut().enumerate() {
        let (from, to) = (first.max(64 * n), last.min(64 * n + 63));
        if from <= to {
            *word |= u64::MAX << (from % 64) & u64::MAX >> (63 - to % 64);
        }
    }
}

/// The rows that a chunk has.
pub(crate) fn existing(rows_count: usize, chunk: usize) -> Mask {
    let mut mask = [0; 4];
    let count = rows_count.saturating_sub(chunk * CHUNK).min(CHUNK);
    if count > 0 {
        select(&mut mask, 0, count - 1);
    }
    mask
}

impl Division<'_> {
    /// The rows of a chunk that are there; chunks are counted from the start of the division.
    fn mask(&self, chunk: u32) -> Mask {
        let mut mask = [0; 4];
        let start = (chunk * CHUNK as u32) as u16;
        let last = start + (CHUNK as u16 - 1);
        match self {
            Self::List(rows) => {
                let from = rows.partition_point(|row| u16::from_le_bytes(*row) < start);
                for row in rows[from..].iter().map(|row| u16::from_le_bytes(*row)) {
                    if row < start || row > last {
                        break;
                    }
                    let at = usize::from(row - start);
                    mask[at / 64] |= 1 << (at % 64);
                }
            }
            Self::Bits(bits) => {
                let bytes = &bits[usize::from(start) / 8..][..CHUNK / 8];
                for (word, bytes) in mask.iter_mut().zip(bytes.as_chunks::<8>().0) {
                    *word = u64::from_le_bytes(*bytes);
                }
            }
            Self::Runs(runs) => {
                let from = runs.partition_point(|run| run_of(*run).1 < start);
                for (first, end) in runs[from..].iter().map(|run| run_of(*run)) {
                    if first > last {
                        break;
                    }
                    let first = first.max(start) - start;
                    select(&mut mask, first.into(), (end.clamp(start, last) - start).into());
                }
            }
        }
        mask
    }
}

/// Goes through the chunks of a division that have any rows.
struct DivisionChunks<'p> {
    division: Option<Division<'p>>,
    from: u32,
    to: u32,
}

impl Iterator for DivisionChunks<'_> {
    type Item = (u32, Mask);

    fn next(&mut self) -> Option<Self::Item> {
        let mut division = self.division?;
        if let Division::List(rows) = &mut division {
            // Straight to the next row: lists are mostly shorter than there are chunks.
            let start = self.from * CHUNK as u32;
            let skipped =
                rows.iter().take_while(|row| u32::from(u16::from_le_bytes(**row)) < start);
            *rows = &rows[skipped.count()..];
            let row = u16::from_le_bytes(*rows.first()?);
            self.division = Some(division);
            let chunk = u32::from(row) / CHUNK as u32;
            if chunk >= self.to {
                return None;
            }
            self.from = chunk + 1;
            return Some((chunk, division.mask(chunk)));
        }
        while self.from < self.to {
            let chunk = self.from;
            self.from += 1;
            let mask = division.mask(chunk);
            if mask != [0; 4] {
                return Some((chunk, mask));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(rows: &[u32]) {
        let mut bytes = Vec::new();
        encode(rows, &mut bytes);
        let set = RowSet::new(&bytes).expect("a set");
        assert_eq!(set.len(), rows.len());
        assert_eq!(set.rows().collect::<Vec<_>>(), rows);
        for row in rows {
            assert!(set.contains(*row));
            let near = row.wrapping_add(1);
            assert_eq!(set.contains(near), rows.binary_search(&near).is_ok());
        }
        for row in rows.iter().step_by(rows.len() / 50 + 1) {
            let chunk = row / CHUNK as u32;
            for chunk in [chunk.saturating_sub(1), chunk, chunk + 1] {
                let expected = rows.iter().copied().filter(|row| row / CHUNK as u32 == chunk);
                let found: Vec<_> = rows_of(chunk, set.mask(chunk)).collect();
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
            let part: Vec<_> =
                set.chunks(chunk, chunk + 300).flat_map(|(at, mask)| rows_of(at, mask)).collect();
            let is_in = |row: &u32| (chunk..chunk + 300).contains(&(row / CHUNK as u32));
            assert_eq!(part, rows.iter().copied().filter(is_in).collect::<Vec<_>>());
        }
        let last = rows.last().map_or(0, |row| row + 1);
        for (from, to) in [(0, last), (0, u32::MAX), (last / 3, last / 2), (300, 66_000), (5, 5)] {
            let mut some = vec![9];
            set.rows_between(from, to, &mut some);
            let expected = rows.iter().copied().filter(|row| (from..to).contains(row));
            assert!(some.into_iter().eq(std::iter::once(9).chain(expected)), "{from}..{to}");
        }
        let mut masks = vec![[0; 4]; last as usize / CHUNK / 2 + 1];
        set.mark(&mut masks);
        for (chunk, mask) in (0..).zip(&masks) {
            assert_eq!(*mask, set.mask(chunk));
        }
        for len in 0..bytes.len().min(100) {
            assert!(RowSet::new(&bytes[..len]).is_none() || rows.is_empty());
        }
    }

    #[test]
    fn rows_below_one_and_some_above() {
        for below in [0, 1, 255, 65_535, 65_536, 65_537, 200_000] {
            for step in [1, 2, 3, 700, 90_000] {
                let above: Vec<u32> = (below..below + 150_000).step_by(step).collect();
                for above in [&above[..], &above[..1], &above[1..], &[]] {
                    let mut bytes = Vec::new();
                    RowSet::encode_below(below, above, &mut bytes);
                    let set = RowSet::new(&bytes).expect("a set");
                    assert_eq!(set.len(), below as usize + above.len());
                    let all = (0..below).chain(above.iter().copied());
                    assert!(set.rows().eq(all), "{below} and each {step}");
                    assert!(below == 0 || set.contains(below - 1));
                    assert_eq!(set.contains(below), above.first() == Some(&below));
                }
            }
        }
    }

    #[test]
    fn none_all_few_and_many() {
        check(&[]);
        for row in [0, 255, 256, 65_535, 65_536, (1 << 24) - 1] {
            check(&[row]);
        }
        check(&(0..200_000).collect::<Vec<_>>());
        check(&(0..200_000).filter(|row| row % 2 == 0).collect::<Vec<_>>());
        check(&(0..200_000).filter(|row| row % 999 == 0).collect::<Vec<_>>());
        check(&(0..200_000).filter(|row| row / 700 % 3 == 0).collect::<Vec<_>>());
        check(&(65_536..65_536 * 2).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_rows(rows in prop::collection::btree_set(0u32..300_000, 0..2_000)) {
            check(&rows.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(0u8..4, 0..80)) {
            if let Some(set) = RowSet::new(&bytes) {
                let _ = (set.rows().take(100_000).count(), set.contains(3), set.mask(1));
            }
        }
    }
}
