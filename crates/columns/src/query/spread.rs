//! What quantiles and counts of different values are made of, in one part: each number is looked at.

use super::{
    distinct::{Distinct, hash_of_text, number_hash},
    fields::Picked,
    quantiles::{Quantiles, bucket_of},
    select::Scratch,
};
use crate::{
    CHUNK_ROWS, Error, Mask, Result,
    part::{Dictionary, FieldColumn, NumberField, TextField, rows_of},
};

/// So many counts of buckets are kept for the places of a part; for more places numbers are kept.
const COUNTS_MAX: usize = 1 << 20;
/// So many bits are kept for the places of a part, one for each value; of more, hashes are kept.
const BITS_MAX: u64 = 1 << 24;

/// What is kept of a field's values, at each place.
pub(super) struct Spread<'p> {
    column: FieldColumn<'p>,
    kept: Kept,
    places: usize,
}

enum Kept {
    /// Of quantiles: numbers as the part has them.
    Numbers(Vec<Vec<u64>>),
    /// Of sketches: counts of the buckets from the first on, so many for each place, and lowest and highest number.
    Buckets { first: u32, width: usize, counts: Vec<u32>, bounds: Vec<(u64, u64)> },
    /// Of different values: a bit for each, so many words for each place.
    Bits { width: usize, words: Vec<u64> },
    /// Of different values of which there may be many.
    Hashes(Vec<Distinct>),
}

impl<'p> Spread<'p> {
    pub(super) fn quantiles(column: FieldColumn<'p>, is_exact: bool, places: usize) -> Self {
        let mut kept = Kept::Numbers(Vec::new());
        if let (FieldColumn::Numbers(field), false) = (&column, is_exact) {
            let bucket = |kept| bucket_of(field.value_type, field.column.image(kept));
            let (first, last) = (bucket(0), bucket(field.column.meta().top));
            let width = last.saturating_sub(first) as usize + 1;
            if places.max(1).saturating_mul(width) <= COUNTS_MAX && places > 0 {
                kept = Kept::Buckets { first, width, counts: Vec::new(), bounds: Vec::new() };
            }
        }
        Self::new(column, kept, places)
    }

    pub(super) fn distinct(column: FieldColumn<'p>, places: usize) -> Self {
        let count = match &column {
            FieldColumn::Codes(_, dictionary) => Some(dictionary.len() as u64),
            FieldColumn::Numbers(field) => field.column.meta().top.checked_add(1),
            FieldColumn::Nothing | FieldColumn::Texts(_) => None,
        };
        let width = count.map(|count| count.div_ceil(u64::from(u64::BITS)));
        let kept = match width {
            Some(width) if places > 0 && width.saturating_mul(64 * places as u64) <= BITS_MAX => {
                Kept::Bits { width: width as usize, words: Vec::new() }
            }
            _ => Kept::Hashes(Vec::new()),
        };
        Self::new(column, kept, places)
    }

    fn new(column: FieldColumn<'p>, kept: Kept, places: usize) -> Self {
        let mut spread = Self { column, kept, places: 0 };
        spread.resize(places);
        spread
    }

    fn resize(&mut self, places: usize) {
        self.places = places;
        match &mut self.kept {
            Kept::Numbers(all) => all.resize(places, Vec::new()),
            Kept::Buckets { width, counts, bounds, .. } => {
                counts.resize(places * *width, 0);
                bounds.resize(places, (u64::MAX, 0));
            }
            Kept::Bits { width, words } => words.resize(places * *width, 0),
            Kept::Hashes(all) => all.resize(places, Distinct::default()),
        }
    }

    /// Whether chunks must be read for it.
    pub(super) fn reads(&self) -> bool {
        !matches!(self.column, FieldColumn::Nothing)
    }

    pub(super) fn grow(&mut self) {
        self.resize(self.places + 1);
    }

    /// Adds rows of a chunk, in runs of one place each.
    pub(super) fn add_runs(
        &mut self,
        chunk: usize,
        runs: &[(Mask, usize)],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (mut rows, mut places) = (Vec::with_capacity(CHUNK_ROWS), [0; CHUNK_ROWS]);
        for (mask, place) in runs {
            for row in rows_of(0, *mask) {
                rows.push(row as u8);
                places[row as usize] = *place as u32;
            }
        }
        let picked = Picked { rows: Some(&rows), places: &places, len: CHUNK_ROWS };
        self.add_each(chunk, &picked, scratch)
    }

    /// Adds rows of a chunk, each at its place.
    pub(super) fn add_each(
        &mut self,
        chunk: usize,
        picked: &Picked<'_>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        match &self.column {
            FieldColumn::Nothing => Ok(()),
            FieldColumn::Numbers(field) | FieldColumn::Codes(field, _) => {
                let (field, strings) = (*field, self.strings());
                self.kept.add(field, strings, ChunkRows { field, chunk, picked, scratch })
            }
            FieldColumn::Texts(texts) => {
                let Kept::Hashes(all) = &mut self.kept else { return Ok(()) };
                let mut wanted = [u32::MAX; CHUNK_ROWS];
                picked.each(|row, place| wanted[row] = place as u32);
                add_texts(texts, chunk, &wanted, all)
            }
        }
    }

    /// Adds rows, which rise, each at its place; without places all at the first.
    pub(super) fn add_rows(&mut self, rows: &[u32], places: Option<&[u32]>) -> Result<()> {
        let place_of = |at: usize| places.map_or(0, |places| places[at]);
        match &self.column {
            FieldColumn::Nothing => Ok(()),
            FieldColumn::Numbers(field) | FieldColumn::Codes(field, _) => {
                let (field, strings) = (*field, self.strings());
                self.kept.add(field, strings, SomeRows { field, rows, places })
            }
            FieldColumn::Texts(texts) => {
                let Kept::Hashes(all) = &mut self.kept else { return Ok(()) };
                let chunk_of = |row: &u32| *row as usize / CHUNK_ROWS;
                let mut from = 0;
                for rows in rows.chunk_by(|one, other| chunk_of(one) == chunk_of(other)) {
                    let mut wanted = [u32::MAX; CHUNK_ROWS];
                    for (at, row) in (from..).zip(rows) {
                        wanted[*row as usize % CHUNK_ROWS] = place_of(at);
                    }
                    from += rows.len();
                    add_texts(texts, rows.first().map_or(0, chunk_of), &wanted, all)?;
                }
                Ok(())
            }
        }
    }

    fn strings(&self) -> Option<Dictionary<'p>> {
        if let FieldColumn::Codes(_, dictionary) = &self.column { Some(*dictionary) } else { None }
    }

    /// Gives what is at a place to quantiles of all parts.
    pub(super) fn give_quantiles(&self, place: usize, to: &mut Quantiles) {
        let FieldColumn::Numbers(field) = &self.column else { return };
        let image = |kept: u64| field.column.image(kept);
        match &self.kept {
            Kept::Numbers(all) if to.is_exact() => {
                to.extend(all[place].iter().map(|kept| image(*kept)));
            }
            Kept::Numbers(all) => all[place].iter().for_each(|kept| to.add(image(*kept))),
            Kept::Buckets { first, width, counts, bounds } => {
                let counts = &counts[place * width..][..*width];
                let some = (*first..).zip(counts).filter(|(_, count)| **count > 0);
                let (min, max) = bounds[place];
                if min <= max {
                    let some = some.map(|(bucket, count)| (bucket, u64::from(*count)));
                    to.add_counts(some, (image(min), image(max)));
                }
            }
            Kept::Bits { .. } | Kept::Hashes(_) => {}
        }
    }

    /// Gives what is at a place to different values of all parts. `hashes` has those of the part's values that were
    /// asked for.
    pub(super) fn give_distinct(
        &self,
        place: usize,
        hashes: &mut Vec<u64>,
        to: &mut Distinct,
    ) -> Result<()> {
        match &self.kept {
            Kept::Hashes(all) => to.merge(&all[place]),
            Kept::Bits { width, words } => {
                let words = &words[place * width..][..*width];
                hashes.resize(*width * u64::BITS as usize, 0);
                for (at, word) in words.iter().enumerate() {
                    let mut word = *word;
                    while word != 0 {
                        let value = at * u64::BITS as usize + word.trailing_zeros() as usize;
                        word &= word - 1;
                        // A hash of zero is made again each time, which does no harm.
                        if hashes[value] == 0 {
                            hashes[value] = self.hash_of(value as u64)?;
                        }
                        to.add(hashes[value]);
                    }
                }
            }
            Kept::Numbers(_) | Kept::Buckets { .. } => {}
        }
        Ok(())
    }

    fn hash_of(&self, kept: u64) -> Result<u64> {
        match &self.column {
            FieldColumn::Codes(_, dictionary) => hash_of_code(dictionary, kept),
            FieldColumn::Numbers(field) => Ok(number_hash(field.column.image(kept))),
            FieldColumn::Nothing | FieldColumn::Texts(_) => Ok(0),
        }
    }
}

fn hash_of_code(dictionary: &Dictionary<'_>, code: u64) -> Result<u64> {
    let text: Result<&str, Error> = dictionary.get(code).ok_or_else(super::local::broken);
    Ok(hash_of_text(text?))
}

impl Kept {
    /// Adds numbers.
    fn add(
        &mut self,
        field: NumberField<'_>,
        strings: Option<Dictionary<'_>>,
        numbers: impl Placed,
    ) -> Result<()> {
        match self {
            Self::Numbers(all) => numbers.each(|place, kept| {
                if let Some(numbers) = all.get_mut(place) {
                    numbers.push(kept);
                }
            }),
            Self::Buckets { first, width, counts, bounds } => numbers.each(|place, kept| {
                let bucket = bucket_of(field.value_type, field.column.image(kept));
                let at = bucket.wrapping_sub(*first) as usize;
                // In a part that was made up a number may be anything.
                if let Some(bounds) = bounds.get_mut(place)
                    && at < *width
                {
                    counts[place * *width + at] += 1;
                    *bounds = (bounds.0.min(kept), bounds.1.max(kept));
                }
            }),
            Self::Bits { width, words } => numbers.each(|place, kept| {
                let at = (kept / u64::from(u64::BITS)) as usize;
                if at < *width
                    && let Some(word) = words.get_mut(place * *width + at)
                {
                    *word |= 1 << (kept % u64::from(u64::BITS));
                }
            }),
            Self::Hashes(all) => {
                let mut failed = Ok(());
                numbers.each(|place, kept| {
                    let hash = match &strings {
                        Some(strings) => hash_of_code(strings, kept),
                        None => Ok(number_hash(field.column.image(kept))),
                    };
                    match (hash, all.get_mut(place)) {
                        (Ok(hash), Some(distinct)) => distinct.add(hash),
                        (Err(error), _) => failed = Err(error),
                        _ => {}
                    }
                })?;
                failed
            }
        }
    }
}

/// Numbers, as they are kept, each with a place.
trait Placed {
    fn each(self, each: impl FnMut(usize, u64)) -> Result<()>;
}

/// Those of rows of a chunk.
struct ChunkRows<'a, 'p> {
    field: NumberField<'p>,
    chunk: usize,
    picked: &'a Picked<'a>,
    scratch: &'a mut Scratch,
}

impl Placed for ChunkRows<'_, '_> {
    #[inline(always)]
    fn each(self, mut each: impl FnMut(usize, u64)) -> Result<()> {
        let Self { field, chunk, picked, scratch } = self;
        let numbers = field.column.chunk(chunk)?;
        if let Some(present) = field.present {
            numbers.decode(scratch.level, &mut scratch.wide);
            let mask = present.mask(chunk as u32);
            picked.each(|row, place| {
                if mask[row / 64] >> (row % 64) & 1 == 1 {
                    each(place, scratch.wide[row]);
                }
            });
        } else if u32::try_from(field.column.meta().top).is_ok() {
            numbers.decode_32(scratch.level, &mut scratch.narrow);
            picked.each_of(&scratch.narrow, |place, kept| each(place, kept.into()));
        } else {
            numbers.decode(scratch.level, &mut scratch.wide);
            picked.each_of(&scratch.wide, each);
        }
        Ok(())
    }
}

/// Those of rows, which rise; without places all at the first.
struct SomeRows<'a, 'p> {
    field: NumberField<'p>,
    rows: &'a [u32],
    places: Option<&'a [u32]>,
}

impl Placed for SomeRows<'_, '_> {
    #[inline(always)]
    fn each(self, mut each: impl FnMut(usize, u64)) -> Result<()> {
        let Self { field, rows, places } = self;
        field.column.gather(rows, |at, kept| {
            if field.present.is_none_or(|present| present.contains(rows[at])) {
                each(places.map_or(0, |places| places[at] as usize), kept);
            }
        })
    }
}

fn add_texts(
    texts: &TextField<'_>,
    chunk: usize,
    wanted: &[u32; CHUNK_ROWS],
    all: &mut [Distinct],
) -> Result<()> {
    let present = texts.present.map_or([u64::MAX; 4], |set| set.mask(chunk as u32));
    texts.each(chunk, |row, text| {
        if present[row / 64] >> (row % 64) & 1 == 1
            && let Some(distinct) = all.get_mut(wanted[row] as usize)
            && let Ok(text) = str::from_utf8(text)
        {
            distinct.add(hash_of_text(text));
        }
    })
}
