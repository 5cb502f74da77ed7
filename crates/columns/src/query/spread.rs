//! What quantiles and counts of different values are made of, in one part: each number is looked at.

use super::{
    distinct::{Distinct, hash_of_text, number_hash},
    fields::Picked,
    quantiles::{Quantiles, bucket_of},
    select::{Scratch, both},
};
use crate::{
    CHUNK_ROWS, Error, Mask, Result, ValueType, kernels,
    part::{Dictionary, FieldColumn, NumberField, TextField, existing, rows_of},
};

/// So many counts of buckets are kept for the places of a part; for more places numbers are kept.
const COUNTS_MAX: usize = 1 << 20;
/// Places without a number are looked at one by one if they are no more than that.
const UNMET_FEW: usize = 4;
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
    /// The same of a column whose numbers have 32 bits at most, and no sign: as the events have them.
    Narrow(Listed),
    /// Of sketches: counts of the buckets from the first on, so many for each place, and lowest and highest number.
    Buckets(Counted),
    /// Of different values: a bit for each, so many words for each place.
    Bits { width: usize, words: Vec<u64> },
    /// Of different values of which there may be many.
    Hashes(Vec<Distinct>),
}

/// Numbers of 32 bits, one by one, and in the end those of each place side by side.
#[derive(Default)]
struct Listed {
    numbers: Vec<u32>,
    /// Of each number.
    places: Vec<u32>,
    /// Where the numbers of each place end, once they lie side by side.
    ends: Vec<u32>,
}

impl Listed {
    /// Adds the rows of a chunk whose numbers have been unpacked.
    fn add_chunk(&mut self, of: Line, picked: &Picked<'_>, numbers: &[u32; CHUNK_ROWS]) {
        match picked.rows {
            None => {
                self.places.extend_from_slice(&picked.places[..picked.len]);
                self.numbers.extend(numbers[..picked.len].iter().map(|kept| of.image(*kept)));
            }
            Some(_) => picked.each(|row, place| self.add(place, of.image(numbers[row]))),
        }
    }

    #[inline(always)]
    fn add(&mut self, place: usize, image: u32) {
        self.places.push(place as u32);
        self.numbers.push(image);
    }

    /// Puts the numbers of each place side by side.
    fn finish(&mut self, places_count: usize) {
        let mut ends = vec![0u32; places_count];
        // In a part that was made up places may be anything.
        for place in &self.places {
            if let Some(count) = ends.get_mut(*place as usize) {
                *count += 1;
            }
        }
        let mut start = 0;
        for end in &mut ends {
            (*end, start) = (start, start + *end);
        }
        let mut sorted = vec![0; self.numbers.len()];
        for (place, number) in self.places.iter().zip(&self.numbers) {
            if let Some(next) = ends.get_mut(*place as usize) {
                sorted[*next as usize] = *number;
                *next += 1;
            }
        }
        (self.numbers, self.places, self.ends) = (sorted, Vec::new(), ends);
    }

    fn of_place(&self, place: usize) -> &[u32] {
        let end = |place: usize| self.ends.get(place).map_or(0, |end| *end as usize);
        let start = place.checked_sub(1).map_or(0, end);
        self.numbers.get(start..end(place)).unwrap_or(&[])
    }
}

/// How numbers of 32 bits at most follow from what is kept of them.
#[derive(Clone, Copy)]
struct Line {
    base: u32,
    step: u32,
}

impl Line {
    /// That of a column; `None` if any of its numbers has more bits, or a sign.
    fn of(field: &NumberField<'_>) -> Option<Self> {
        let (base, meta) = (field.column.image(0), field.column.meta());
        let is_whole = matches!(field.value_type, ValueType::U64 | ValueType::U32 | ValueType::U16);
        let highest = meta.top.checked_mul(meta.step)?.checked_add(base)?;
        let fits = highest <= u32::MAX.into();
        (is_whole && fits).then_some(Self { base: base as u32, step: meta.step as u32 })
    }

    #[inline(always)]
    fn image(self, kept: u32) -> u32 {
        self.base.wrapping_add(self.step.wrapping_mul(kept))
    }
}

/// Counts of buckets.
#[derive(Default)]
struct Counted {
    first: u32,
    width: usize,
    counts: Vec<u32>,
    bounds: Vec<(u64, u64)>,
    /// The highest of the lowest numbers, and the lowest of the highest ones: what lies between them changes no bounds of
    /// places that have any.
    inner: (u64, u64),
    /// Places without a number, as far as they are few.
    unmet: Vec<u32>,
    /// How numbers become buckets, if all have 32 bits at most and no sign.
    narrow: Option<kernels::Buckets>,
}

impl Counted {
    fn new(field: &NumberField<'_>, first: u32, width: usize) -> Self {
        let narrow = Line::of(field).map(|Line { base, step }| kernels::Buckets {
            base,
            step,
            first,
            width: width as u32,
        });
        Self { first, width, narrow, ..Self::default() }
    }

    fn widen(&mut self, place: usize, kept: u64) {
        // In a part that was made up places may be anything.
        if let Some(bounds) = self.bounds.get_mut(place) {
            *bounds = (bounds.0.min(kept), bounds.1.max(kept));
        }
    }

    /// Adds a number, given as it is kept and by its bucket.
    #[inline(always)]
    fn add(&mut self, place: usize, kept: u64, bucket: u32) {
        let at = bucket.wrapping_sub(self.first) as usize;
        if at < self.width
            && let Some(count) = self.counts.get_mut(place * self.width + at)
        {
            *count += 1;
            self.widen(place, kept);
        }
    }

    /// Adds rows of a chunk whose numbers have been unpacked.
    fn add_chunk(
        &mut self,
        of: kernels::Buckets,
        zone: (u64, u64),
        picked: &Picked<'_>,
        scratch: &Scratch,
    ) {
        let (mut at, numbers) = ([0; CHUNK_ROWS], &scratch.narrow);
        kernels::buckets_32(scratch.level, of, numbers, picked.places, &mut at);
        let counts = self.counts.as_mut_slice();
        let mut add = |at: u32| {
            if let Some(count) = counts.get_mut(at as usize) {
                *count += 1;
            }
        };
        match picked.rows {
            Some(rows) => rows.iter().for_each(|row| add(at[usize::from(*row)])),
            None => at[..picked.len].iter().for_each(|at| add(*at)),
        }
        // The first number of a place is a new bound, wherever it lies.
        let places = &picked.places[..picked.len];
        let is_first = |place: &u32| places.iter().fold(false, |is_any, at| is_any | (at == place));
        let (low, high) = self.inner;
        let are_met = self.unmet.len() <= UNMET_FEW && !self.unmet.iter().any(is_first);
        if are_met && low <= zone.0 && zone.1 <= high {
            return;
        }
        if let (true, None, Ok(from), Ok(to)) =
            (are_met, picked.rows, u32::try_from(low), u32::try_from(high.min(u32::MAX.into())))
        {
            let inner = if from > to {
                [0; 4]
            } else {
                kernels::in_range_32(scratch.level, numbers, from, to)
            };
            let outer = both(inner.map(|word| !word), existing(picked.len, 0));
            for row in rows_of(0, outer).map(|row| row as usize) {
                self.widen(picked.places[row] as usize, numbers[row].into());
            }
        } else {
            picked.each(|row, place| self.widen(place, numbers[row].into()));
        }
        self.set_inner();
    }

    fn set_inner(&mut self) {
        self.inner = (0, u64::MAX);
        self.unmet.clear();
        for (place, (min, max)) in (0..).zip(&self.bounds) {
            if min <= max {
                self.inner = (self.inner.0.max(*min), self.inner.1.min(*max));
            } else if self.unmet.len() <= UNMET_FEW {
                self.unmet.push(place);
            }
        }
    }

    fn counts_of(&self, place: usize) -> &[u32] {
        self.counts.get(place * self.width..(place + 1) * self.width).unwrap_or(&[])
    }
}

impl<'p> Spread<'p> {
    pub(super) fn quantiles(column: FieldColumn<'p>, is_exact: bool, places: usize) -> Self {
        let mut kept = Kept::Numbers(Vec::new());
        if let FieldColumn::Numbers(field) = &column
            && Line::of(field).is_some()
        {
            kept = Kept::Narrow(Listed::default());
        }
        if let (FieldColumn::Numbers(field), false) = (&column, is_exact) {
            let bucket = |kept| bucket_of(field.value_type, field.column.image(kept));
            let (first, last) = (bucket(0), bucket(field.column.meta().top));
            let width = last.saturating_sub(first) as usize + 1;
            if places.max(1).saturating_mul(width) <= COUNTS_MAX && places > 0 {
                kept = Kept::Buckets(Counted::new(field, first, width));
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
            Kept::Narrow(_) => {}
            Kept::Buckets(counted) => {
                counted.counts.resize(places * counted.width, 0);
                counted.bounds.resize(places, (u64::MAX, 0));
                counted.set_inner();
            }
            Kept::Bits { width, words } => words.resize(places * *width, 0),
            Kept::Hashes(all) => all.resize(places, Distinct::default()),
        }
    }

    /// Whether it counts the rows of each place.
    pub(super) fn counts_rows(&self) -> bool {
        let is_whole =
            matches!(&self.column, FieldColumn::Numbers(field) if field.present.is_none());
        is_whole && matches!(self.kept, Kept::Buckets(_) | Kept::Narrow(_))
    }

    /// How many rows of a place were added, if they are counted; once it is [finished](Self::finish).
    pub(super) fn rows_count(&self, place: usize) -> u64 {
        match &self.kept {
            Kept::Narrow(listed) => listed.of_place(place).len() as u64,
            _ => self.counts_of(place).iter().map(|count| u64::from(*count)).sum(),
        }
    }

    /// Nothing more is added.
    pub(super) fn finish(&mut self) {
        if let Kept::Narrow(listed) = &mut self.kept {
            listed.finish(self.places);
        }
    }

    fn counts_of(&self, place: usize) -> &[u32] {
        if let Kept::Buckets(counted) = &self.kept { counted.counts_of(place) } else { &[] }
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
                let is_whole = field.present.is_none();
                if let (true, Some(of), Kept::Narrow(listed)) =
                    (is_whole, Line::of(&field), &mut self.kept)
                {
                    field.column.chunk(chunk)?.decode_32(scratch.level, &mut scratch.narrow);
                    listed.add_chunk(of, picked, &scratch.narrow);
                    return Ok(());
                }
                if let Kept::Buckets(counted) = &mut self.kept
                    && let (true, Some(of)) = (is_whole, counted.narrow)
                {
                    field.column.chunk(chunk)?.decode_32(scratch.level, &mut scratch.narrow);
                    let zone = (field.zones.min(chunk), field.zones.max(chunk));
                    counted.add_chunk(of, zone, picked, scratch);
                    return Ok(());
                }
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
            Kept::Narrow(listed) => to.extend_narrow(listed.of_place(place)),
            Kept::Buckets(Counted { first, bounds, .. }) => {
                let (min, max) = bounds[place];
                if min <= max {
                    to.add_all_counts(*first, self.counts_of(place), (image(min), image(max)));
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
            Kept::Numbers(_) | Kept::Narrow(_) | Kept::Buckets(_) => {}
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
            Self::Narrow(listed) => numbers.each(|place, kept| {
                listed.add(place, field.column.image(kept) as u32);
            }),
            Self::Buckets(counted) => numbers.each(|place, kept| {
                counted.add(place, kept, bucket_of(field.value_type, field.column.image(kept)));
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
