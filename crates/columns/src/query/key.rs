//! By what events are grouped.

use super::named::ABSENT_FIELD;
use crate::{
    CHUNK_ROWS, Error, PartView, Result, Schema, Value, ValueType,
    kernels::Level,
    part::{Dictionary, FieldColumn, NumberField, image, rows_of},
};
use std::hash::{BuildHasher, Hasher};

/// By what events are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The values of a dimension, a counter, a latency, a status or flags.
    Field(usize),
    /// The time, in buckets of so many nanoseconds, counted from 1970 on.
    Time {
        /// The width of a bucket, in nanoseconds.
        bucket_ns: u64,
    },
}

/// What the events of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key<'a> {
    /// No value.
    Absent,
    /// A number.
    Number(u64),
    /// The start of a bucket of time, in nanoseconds since 1970.
    Time(i64),
    /// A string.
    Text(&'a str),
}

/// The start of the bucket of a time. The first bucket may begin before the first time there is: then that is its start.
pub(super) fn bucket_of(ts: i64, bucket_ns: u64) -> i64 {
    let start = i128::from(ts).div_euclid(bucket_ns.into()) * i128::from(bucket_ns);
    i64::try_from(start).unwrap_or(i64::MIN)
}

impl GroupBy {
    /// Whether events of a schema can be grouped by it.
    pub(crate) fn check(self, schema: &Schema) -> Result<()> {
        let fields = schema.fields();
        let refused = |what| Err(Error::Question { what });
        match self {
            Self::Time { bucket_ns: 0 } => refused("a bucket of time has no width"),
            Self::Time { .. } if schema.ts().is_none() => {
                refused("events have no time to group by")
            }
            Self::Time { .. } | Self::Field(ABSENT_FIELD) => Ok(()),
            Self::Field(index) => {
                let count = fields.len();
                let field = fields.get(index).ok_or(Error::NoField { index, count })?;
                let is_dimension = matches!(field.role(), crate::Role::Dimension(_));
                match field.value_type() {
                    ValueType::U64 | ValueType::U32 | ValueType::U16 => Ok(()),
                    ValueType::Text if is_dimension => Ok(()),
                    _ => refused(
                        "events are grouped by dimensions, counters, latencies, status, flags and time",
                    ),
                }
            }
        }
    }

    /// The key of an event whose values `value_of` gives.
    pub(crate) fn key_of<'v>(
        self,
        schema: &Schema,
        value_of: impl Fn(usize) -> Value<'v>,
    ) -> Key<'v> {
        match self {
            Self::Field(field) => match value_of(field) {
                Value::U64(number) => Key::Number(number),
                Value::Text(text) => Key::Text(text),
                _ => Key::Absent,
            },
            Self::Time { bucket_ns } => match schema.ts().map(value_of) {
                Some(Value::I64(ts)) => Key::Time(bucket_of(ts, bucket_ns)),
                _ => Key::Absent,
            },
        }
    }
}

/// By what the rows of one part are grouped: numbers from 0 on, below `count`.
pub(crate) enum PartKeys<'p> {
    /// All rows have no value.
    Nothing,
    Codes(NumberField<'p>, Dictionary<'p>),
    Numbers(NumberField<'p>),
    Times(Buckets<'p>),
}

/// The numbers of a chunk's rows.
pub(crate) enum ChunkKeys {
    /// All have this one.
    One(u64),
    /// Those before the first of these rows have the number, those from it on the next one, and so on.
    Runs(u64),
    /// Each has its own.
    Each,
}

/// So many buckets of time begin in a chunk at most, or each row is looked at.
const RUNS_MAX: usize = 24;

/// Buckets of time of a part.
pub(crate) struct Buckets<'p> {
    times: NumberField<'p>,
    bucket_ns: u64,
    /// The start of the first one.
    first: i64,
    count: u64,
    /// How long after it should have begun the lowest time is.
    lead: u64,
    /// Whether no offset of a time exceeds 64 bits.
    is_narrow: bool,
    /// Whether the first one begins where it should.
    is_whole: bool,
}

impl<'p> Buckets<'p> {
    /// `None` if there are more than a number tells apart.
    fn new(times: NumberField<'p>, bucket_ns: u64) -> Option<Self> {
        let (base, meta) = (image::to_i64(times.column.image(0)), times.column.meta());
        let first = bucket_of(base, bucket_ns);
        let lead = i128::from(base).rem_euclid(bucket_ns.into()) as u64;
        let width = u128::from(meta.top) * u128::from(meta.step) + u128::from(lead);
        let count = u64::try_from(width / u128::from(bucket_ns) + 1).ok()?;
        // What is behind the last number a part may have is never asked for.
        let count = count.checked_add(1)?;
        let is_whole = i128::from(first).rem_euclid(bucket_ns.into()) == 0;
        let is_narrow = width <= u64::MAX.into();
        Some(Self { times, bucket_ns, first, count, lead, is_narrow, is_whole })
    }

    /// The number of the bucket of a time as it is kept.
    #[inline(always)]
    fn number_of(&self, kept: u64) -> u64 {
        let step = self.times.column.meta().step;
        if self.is_narrow {
            return kept.wrapping_mul(step).wrapping_add(self.lead) / self.bucket_ns;
        }
        let offset = u128::from(kept) * u128::from(step) + u128::from(self.lead);
        (offset / u128::from(self.bucket_ns)) as u64
    }

    /// The lowest time, as it is kept, of a bucket that is not the first.
    fn lowest_of(&self, number: u64) -> u64 {
        let step = self.times.column.meta().step;
        if self.is_narrow
            && let Some(start) = number.checked_mul(self.bucket_ns)
        {
            let kept = start.saturating_sub(self.lead);
            return if step == 1 { kept } else { kept.div_ceil(step) };
        }
        let start = u128::from(number) * u128::from(self.bucket_ns);
        let kept = start.saturating_sub(self.lead.into());
        let kept = kept.div_ceil(self.times.column.meta().step.into());
        u64::try_from(kept).unwrap_or(u64::MAX)
    }

    fn key(&self, number: u64) -> i64 {
        let offset = number.checked_mul(self.bucket_ns).filter(|_| self.is_whole);
        if let Some(start) = offset.and_then(|offset| self.first.checked_add_unsigned(offset)) {
            return start;
        }
        let start = i128::from(self.first) + i128::from(number) * i128::from(self.bucket_ns);
        // The first bucket begins where times do, the next ones where they should.
        let start = bucket_of(i64::try_from(start).unwrap_or(i64::MAX), self.bucket_ns);
        if number == 0 { self.first } else { start }
    }

    /// The numbers of a chunk of `len` rows.
    fn numbers(
        &self,
        chunk: usize,
        len: usize,
        level: Level,
        ends: &mut Vec<u16>,
        out: &mut [u64; CHUNK_ROWS],
    ) -> Result<ChunkKeys> {
        let (min, max) = (self.times.zones.min(chunk), self.times.zones.max(chunk));
        let (low, high) = (self.number_of(min), self.number_of(max));
        if low >= high {
            return Ok(ChunkKeys::One(low));
        }
        let numbers = self.times.column.chunk(chunk)?;
        if high - low <= RUNS_MAX as u64 {
            ends.clear();
            for number in low + 1..=high {
                let end = numbers.first_at_least(len, min, max, self.lowest_of(number)) as u16;
                // Rows of a part that was made up may be in any order.
                ends.push(end.max(ends.last().copied().unwrap_or(0)));
            }
            return Ok(ChunkKeys::Runs(low));
        }
        numbers.decode(level, out);
        // Times rise, so the next one is mostly in the same bucket.
        let (mut number, mut lowest, mut next) = (low, 0, self.lowest_of(low + 1));
        for kept in out {
            if *kept < lowest || *kept >= next {
                number = self.number_of(*kept);
                (lowest, next) = (self.lowest_of(number), self.lowest_of(number.saturating_add(1)));
            }
            *kept = number;
        }
        Ok(ChunkKeys::Each)
    }
}

impl<'p> PartKeys<'p> {
    /// The keys of a part whose field is that of the part's own schema; `None` if they are more than a number tells apart.
    pub(crate) fn new(
        view: PartView<'p>,
        by: GroupBy,
        older: Option<usize>,
    ) -> Result<Option<Self>> {
        let field = match by {
            GroupBy::Field(_) => older,
            GroupBy::Time { .. } => view.schema().ts(),
        };
        let Some(field) = field else { return Ok(Some(Self::Nothing)) };
        Ok(Some(match (by, view.field(field)?) {
            (GroupBy::Time { bucket_ns }, FieldColumn::Numbers(times)) => {
                let Some(buckets) = Buckets::new(times, bucket_ns) else { return Ok(None) };
                Self::Times(buckets)
            }
            (_, FieldColumn::Codes(codes, dictionary)) => Self::Codes(codes, dictionary),
            // One number more is for rows without a value, and the count has to be a number too.
            (_, FieldColumn::Numbers(numbers)) if numbers.column.meta().top >= u64::MAX - 1 => {
                return Ok(None);
            }
            (_, FieldColumn::Numbers(numbers)) => Self::Numbers(numbers),
            _ => Self::Nothing,
        }))
    }

    /// How many keys there may be, the one without a value included.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Nothing => 1,
            Self::Codes(_, dictionary) => dictionary.len() as u64 + 1,
            Self::Numbers(numbers) => numbers.column.meta().top + 2,
            Self::Times(buckets) => buckets.count,
        }
    }

    /// The key of a number.
    pub(crate) fn key(&self, number: u64) -> Option<Key<'p>> {
        Some(match self {
            Self::Nothing => Key::Absent,
            Self::Codes(_, dictionary) if number < dictionary.len() as u64 => {
                Key::Text(dictionary.get(number)?)
            }
            Self::Numbers(numbers) if number <= numbers.column.meta().top => {
                Key::Number(numbers.column.image(number))
            }
            Self::Codes(..) | Self::Numbers(_) => Key::Absent,
            Self::Times(buckets) => Key::Time(buckets.key(number)),
        })
    }

    /// The column of the numbers, and the number of rows without one.
    fn column(&self) -> Option<(&NumberField<'p>, u64)> {
        match self {
            Self::Nothing | Self::Times(_) => None,
            Self::Codes(codes, dictionary) => Some((codes, dictionary.len() as u64)),
            Self::Numbers(numbers) => Some((numbers, numbers.column.meta().top + 1)),
        }
    }

    /// The numbers of the rows of a chunk that has `len`.
    pub(crate) fn numbers(
        &self,
        chunk: usize,
        len: usize,
        level: Level,
        ends: &mut Vec<u16>,
        out: &mut [u64; CHUNK_ROWS],
    ) -> Result<ChunkKeys> {
        if let Self::Times(buckets) = self {
            return buckets.numbers(chunk, len, level, ends, out);
        }
        let Some((numbers, absent)) = self.column() else { return Ok(ChunkKeys::One(0)) };
        let zone = numbers.zones.zone(chunk);
        if numbers.present.is_none() && zone.min == zone.max {
            return Ok(ChunkKeys::One(zone.min));
        }
        numbers.column.chunk(chunk)?.decode(level, out);
        if let Some(present) = numbers.present {
            let missing = present.mask(chunk as u32).map(|word| !word);
            rows_of(0, missing).for_each(|at| out[at as usize] = absent);
        }
        Ok(ChunkKeys::Each)
    }

    /// As [`numbers`](Self::numbers), if each row has its own and all have 32 bits at most; `None` if not.
    pub(crate) fn narrow(
        &self,
        chunk: usize,
        level: Level,
        out: &mut [u32; CHUNK_ROWS],
    ) -> Result<Option<()>> {
        let Some((numbers, absent)) = self.column() else { return Ok(None) };
        let zone = numbers.zones.zone(chunk);
        let Ok(absent) = u32::try_from(absent) else { return Ok(None) };
        if numbers.present.is_none() && zone.min == zone.max {
            return Ok(None);
        }
        numbers.column.chunk(chunk)?.decode_32(level, out);
        if let Some(present) = numbers.present {
            let missing = present.mask(chunk as u32).map(|word| !word);
            rows_of(0, missing).for_each(|at| out[at as usize] = absent);
        }
        Ok(Some(()))
    }

    /// The numbers of some rows, which rise.
    pub(crate) fn gather(&self, rows: &[u32], mut each: impl FnMut(usize, u64)) -> Result<()> {
        if let Self::Times(buckets) = self {
            let times = &buckets.times.column;
            return times.gather(rows, |at, kept| each(at, buckets.number_of(kept)));
        }
        let Some((numbers, absent)) = self.column() else {
            (0..rows.len()).for_each(|at| each(at, 0));
            return Ok(());
        };
        match numbers.present {
            None => numbers.column.gather(rows, each),
            Some(present) => numbers.column.gather(rows, |at, kept| {
                each(at, if present.contains(rows[at]) { kept } else { absent });
            }),
        }
    }
}

/// A hash of numbers and of texts: multiplications of all bits, from a start that nobody knows outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folding(u64);

impl Default for Folding {
    fn default() -> Self {
        Self(std::hash::RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Folding {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0)
    }
}

/// A hash that is being made.
pub(crate) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            // With their count, else zeroes behind a text would change nothing.
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            word[7] = rest.len() as u8;
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.0 = self.0.wrapping_add(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * 0xf39c_c060_5ced_c835;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64);
        self.write_u64((number >> 64) as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
    }
}
