//! What the events of a part come to by UTC day and by the values of dimensions, as the part has it.
//!
//! A table of sums is of some dimensions: one that is marked for it, or all that are. Its *buckets* are the days and
//! combinations of values that there are events of, sorted; so a day is a slice, and of one dimension a value is found
//! in it by halving. How the bytes lie is in docs/formats/part.md.

mod writing;

pub(super) use writing::write_all;

use super::{BucketTotals, PartView, Totals, dictionary::Dictionary, meta::ColumnMeta};
use crate::{
    Result, Role, Schema,
    number::{put_varint, take_u8, take_varint},
};
use std::ops::Range;

/// Nanoseconds of a day.
pub(super) const DAY_NS: i64 = 86_400_000_000_000;

/// Where a table of sums is, and how wide its columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DaySumsMeta {
    /// The dimensions, rising.
    pub(super) dimensions: Vec<u32>,
    pub(super) days_count: u32,
    pub(super) buckets_count: u32,
    pub(super) section: u32,
    /// Bytes of a code of each dimension.
    pub(super) key_widths: Vec<u8>,
    /// Of each field that is summed up, in the schema's order.
    pub(super) sums: Vec<SumMeta>,
}

/// How the sums of a field are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SumMeta {
    /// Bytes of a sum: 4 without a sign, 8 with one, 16 with one; 0 says that all are zero. Of fractions 8.
    pub(super) width: u8,
    /// Whether it is said how many values each is of: else each event has one.
    pub(super) has_counts: bool,
}

/// The fields that are summed up: metrics and counters.
pub(super) fn summed(schema: &Schema) -> impl Iterator<Item = usize> {
    let is_summed = |role: &Role| {
        matches!(role, Role::MetricI64 | Role::MetricF64 | Role::CounterU32 | Role::CounterU64)
    };
    let fields = schema.fields().iter().enumerate();
    fields.filter(move |(_, field)| is_summed(field.role())).map(|(at, _)| at)
}

/// The dimensions that sums by day are kept of.
pub(super) fn rolled_up(schema: &Schema) -> impl Iterator<Item = usize> {
    let is_marked = |role: &Role| matches!(role, Role::Dimension(kind) if kind.has_rollup());
    let fields = schema.fields().iter().enumerate();
    fields.filter(move |(_, field)| is_marked(field.role())).map(|(at, _)| at)
}

impl DaySumsMeta {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.dimensions.len() as u64, out);
        for (dimension, width) in self.dimensions.iter().zip(&self.key_widths) {
            put_varint((*dimension).into(), out);
            out.push(*width);
        }
        put_varint(self.days_count.into(), out);
        put_varint(self.buckets_count.into(), out);
        put_varint(self.section.into(), out);
        for sum in &self.sums {
            out.push(sum.width | u8::from(sum.has_counts) << 7);
        }
    }

    /// One of a part of this schema; `None` if these bytes make no sense.
    pub(super) fn decode(rest: &mut &[u8], schema: &Schema) -> Option<Self> {
        let number = |rest: &mut &[u8]| u32::try_from(take_varint(rest)?).ok();
        let marked: Vec<usize> = rolled_up(schema).collect();
        let count = usize::try_from(take_varint(rest)?).ok()?;
        if count == 0 || count > marked.len() {
            return None;
        }
        let (mut dimensions, mut key_widths) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let dimension = number(rest)?;
            let is_next = dimensions.last().is_none_or(|last| *last < dimension);
            if !is_next || !marked.contains(&(dimension as usize)) {
                return None;
            }
            dimensions.push(dimension);
            key_widths.push(take_u8(rest).filter(|width| matches!(width, 1 | 2 | 4))?);
        }
        let (days_count, buckets_count, section) = (number(rest)?, number(rest)?, number(rest)?);
        let sums = summed(schema)
            .map(|_| {
                let byte = take_u8(rest)?;
                let (width, has_counts) = (byte & 0x7f, byte >> 7 == 1);
                matches!(width, 0 | 4 | 8 | 16).then_some(SumMeta { width, has_counts })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { dimensions, days_count, buckets_count, section, key_widths, sums })
    }
}

/// Sums by UTC day and by the values of some dimensions, read where they lie. Made by [`PartView::day_sums`].
#[derive(Clone, Debug)]
pub struct DaySums<'p> {
    part: PartView<'p>,
    meta: &'p DaySumsMeta,
    days: &'p [[u8; 8]],
    firsts: &'p [[u8; 4]],
    keys: Vec<Column<'p>>,
    dictionaries: Vec<Option<Dictionary<'p>>>,
    events: &'p [[u8; 4]],
    sums: Vec<SumsOf<'p>>,
}

/// Numbers of one width.
#[derive(Clone, Copy, Debug)]
struct Column<'p> {
    bytes: &'p [u8],
    width: usize,
}

impl Column<'_> {
    fn code(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at * self.width..).unwrap_or_default();
        let byte = |n: usize| bytes.get(n).copied().unwrap_or_default();
        u32::from_le_bytes(std::array::from_fn(|n| if n < self.width { byte(n) } else { 0 }))
    }
}

/// The sums of a field.
#[derive(Clone, Copy, Debug)]
struct SumsOf<'p> {
    counts: Option<&'p [[u8; 4]]>,
    sums: Column<'p>,
    is_float: bool,
}

/// The buckets of a day.
#[derive(Clone, Debug)]
pub struct DayBuckets<'s, 'p> {
    sums: &'s DaySums<'p>,
    range: Range<usize>,
}

impl<'p> PartView<'p> {
    /// The sums by UTC day and by the values of these dimensions, in the schema's order; `None` if the part has none:
    /// if they are not marked for it, or there are nearly as many buckets as rows.
    ///
    /// ```
    /// use annals_columns::{Batch, Dimension, Part, PartBuilder, PartIdentity, Role, Schema};
    /// use std::sync::Arc;
    /// let user = Role::Dimension(Dimension::Rollup);
    /// let schema = Schema::builder(1).with("at", Role::Ts).with("bytes", Role::CounterU32);
    /// let schema = Arc::new(schema.with("user", user).build()?);
    /// let mut batch = Batch::new(Arc::clone(&schema));
    /// for (at, bytes, user) in [(1, 500, "ada"), (2, 20, "bob"), (3, 11, "ada"), (4, 5, "bob")] {
    ///     let mut row = batch.row();
    ///     row.i64(0, at)?.u32(1, bytes)?.text(2, user)?;
    ///     row.finish()?;
    /// }
    /// let id = PartIdentity { database_id: 7, number: 1 };
    /// let mut builder = PartBuilder::new(schema, id);
    /// builder.add(&batch, 0)?;
    /// let part = Part::open(builder.finish()?, id)?;
    ///
    /// let sums = part.view().day_sums(&[2])?.expect("it is marked for it");
    /// let day = sums.day(0)?;
    /// assert_eq!((day.len(), day.value(0, 0)?), (2, Some("ada")));
    /// let bob = day.find(Some("bob")).expect("there are some");
    /// assert_eq!((day.events_count(bob), day.totals(bob, 0).sum), (2, 25));
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn day_sums(&self, dimensions: &[usize]) -> Result<Option<DaySums<'p>>> {
        let is_it = |meta: &&DaySumsMeta| {
            meta.dimensions
                .iter()
                .map(|dimension| *dimension as usize)
                .eq(dimensions.iter().copied())
        };
        match self.day_sums_metas().iter().find(is_it) {
            Some(meta) => self.read_day_sums(meta).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn read_day_sums(&self, meta: &'p DaySumsMeta) -> Result<DaySums<'p>> {
        let section = self.section(meta.section)?;
        let read = || {
            let (days_count, count) = (meta.days_count as usize, meta.buckets_count as usize);
            let mut rest = section;
            let mut take = |len: usize| {
                let taken = rest.get(..len)?;
                rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
                Some(taken)
            };
            let days = take(days_count.checked_mul(8)?)?.as_chunks().0;
            let firsts = take(days_count.checked_add(1)?.checked_mul(4)?)?.as_chunks().0;
            let mut column =
                |width: usize| Some(Column { bytes: take(count.checked_mul(width)?)?, width });
            let keys = meta.key_widths.iter().map(|width| column((*width).into()));
            let keys = keys.collect::<Option<Vec<_>>>()?;
            let events = column(4)?.bytes.as_chunks().0;
            let schema = self.schema();
            let sums = summed(schema).zip(&meta.sums).map(|(field, sum)| {
                let counts = match sum.has_counts {
                    true => Some(column(4)?.bytes.as_chunks().0),
                    false => None,
                };
                let is_float = *schema.fields()[field].role() == Role::MetricF64;
                Some(SumsOf { counts, sums: column(sum.width.into())?, is_float })
            });
            let sums = sums.collect::<Option<Vec<_>>>()?;
            Some((days, firsts, keys, events, sums))
        };
        let (days, firsts, keys, events, sums) =
            read().ok_or_else(|| self.contradicts(meta.section, "it is cut off"))?;
        let mut dictionaries = Vec::with_capacity(meta.dimensions.len());
        for dimension in &meta.dimensions {
            dictionaries.push(match self.column(*dimension as usize)? {
                ColumnMeta::Codes(_, dictionary) => Some(self.dictionary(dictionary)?),
                _ => None,
            });
        }
        Ok(DaySums { part: *self, meta, days, firsts, keys, dictionaries, events, sums })
    }
}

impl<'p> DaySums<'p> {
    /// The days that there are.
    pub(super) fn days(&self) -> impl Iterator<Item = i64> + use<'p> {
        self.days.iter().map(|day| i64::from_le_bytes(*day))
    }

    /// How many buckets there are of all days.
    pub(super) fn buckets_count(&self) -> usize {
        self.meta.buckets_count as usize
    }

    /// The buckets of a UTC day, counted from 1970 on.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn day(&self, day: i64) -> Result<DayBuckets<'_, 'p>> {
        let at = self.days.binary_search_by(|found| i64::from_le_bytes(*found).cmp(&day));
        let Ok(at) = at else { return Ok(DayBuckets { sums: self, range: 0..0 }) };
        let first = |at: usize| Some(u32::from_le_bytes(*self.firsts.get(at)?) as usize);
        let range = first(at).zip(first(at + 1)).map(|(first, behind)| first..behind);
        let count = self.meta.buckets_count as usize;
        let range = range.filter(|range| range.start <= range.end && range.end <= count);
        let damage = || self.part.contradicts(self.meta.section, "it has other buckets of a day");
        Ok(DayBuckets { sums: self, range: range.ok_or_else(damage)? })
    }
}

impl<'p> DayBuckets<'_, 'p> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The value of a dimension, counted from 0 on, of a bucket; `None`: its events have none. Absent first, then by
    /// their bytes, buckets are sorted by the first dimension, then by the next.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn value(&self, at: usize, dimension: usize) -> Result<Option<&'p str>> {
        let codes = self.sums.keys.get(dimension);
        self.text(dimension, codes.map_or(0, |codes| codes.code(self.range.start + at)))
    }

    /// The bucket of the first dimension's value, of sums of one dimension.
    #[must_use]
    pub fn find(&self, value: Option<&str>) -> Option<usize> {
        let code = match value {
            None => 0,
            Some(text) => {
                u32::try_from(self.sums.dictionaries.first()?.as_ref()?.find(text)?).ok()? + 1
            }
        };
        let codes = self.sums.keys.first()?;
        let (mut low, mut high) = (self.range.start, self.range.end);
        while low < high {
            let middle = low.midpoint(high);
            if codes.code(middle) < code { low = middle + 1 } else { high = middle }
        }
        (low < self.range.end && codes.code(low) == code).then(|| low - self.range.start)
    }

    /// Of each bucket the place of a dimension's value, counted from 0 on, among all values that the part has of it, which
    /// have the order of their bytes; one more than that: 0 says that the events have none. All are 0 if there is no such
    /// dimension.
    #[must_use]
    pub fn codes(&self, dimension: usize) -> Vec<u32> {
        let Some(column) = self.sums.keys.get(dimension) else { return vec![0; self.len()] };
        let width = column.width;
        let bytes = column.bytes.get(self.range.start * width..self.range.end * width);
        let bytes = bytes.unwrap_or_default();
        match width {
            1 => bytes.iter().map(|code| u32::from(*code)).collect(),
            2 => bytes.as_chunks().0.iter().map(|code| u16::from_le_bytes(*code).into()).collect(),
            _ => bytes.as_chunks().0.iter().map(|code| u32::from_le_bytes(*code)).collect(),
        }
    }

    /// The value of a [code](Self::codes) of a dimension; `None` for 0.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    #[inline]
    pub fn text(&self, dimension: usize, code: u32) -> Result<Option<&'p str>> {
        let Some(code) = code.checked_sub(1) else { return Ok(None) };
        let sums = self.sums;
        let dictionary = sums.dictionaries.get(dimension).and_then(Option::as_ref);
        let text = dictionary.and_then(|dictionary| dictionary.get(code.into()));
        let damage = || sums.part.contradicts(sums.meta.section, "a code has no string");
        text.map(Some).ok_or_else(damage)
    }

    /// What a metric or counter, counted among those from 0 on in the schema's order, comes to in each bucket.
    #[must_use]
    pub fn all_totals(&self, field: usize) -> BucketTotals {
        let Some(of) = self.sums.sums.get(field) else { return BucketTotals::default() };
        let (Range { start, end }, width) = (self.range.clone(), of.sums.width);
        let counts = of.counts.and_then(|counts| counts.get(start..end));
        let sums = of.sums.bytes.get(start * width..end * width).unwrap_or_default();
        BucketTotals::copied(counts, sums, width, of.is_float)
    }

    /// How many events each bucket has.
    pub fn events_counts(&self) -> impl Iterator<Item = u64> + use<'p> {
        let counts = self.sums.events.get(self.range.clone()).unwrap_or_default();
        counts.iter().map(|count| u32::from_le_bytes(*count).into())
    }

    /// How many events a bucket has.
    #[must_use]
    pub fn events_count(&self, at: usize) -> u64 {
        number(self.sums.events, self.range.start + at)
    }

    /// What a metric or counter, counted among those from 0 on in the schema's order, comes to in a bucket.
    #[must_use]
    pub fn totals(&self, at: usize, field: usize) -> Totals {
        let mut totals = Totals { count: 0, sum: 0, float_sum: 0.0 };
        let Some(of) = self.sums.sums.get(field) else { return totals };
        let at = self.range.start + at;
        totals.count = number(of.counts.unwrap_or(self.sums.events), at);
        let width = of.sums.width;
        let bytes = of.sums.bytes.get(at * width..(at + 1) * width).unwrap_or_default();
        if of.is_float {
            totals.float_sum = bytes.try_into().map_or(0.0, f64::from_le_bytes);
            return totals;
        }
        totals.sum = match bytes {
            [] => 0,
            bytes if width == 4 => bytes.try_into().map_or(0, u32::from_le_bytes).into(),
            bytes if width == 8 => bytes.try_into().map_or(0, i64::from_le_bytes).into(),
            bytes => bytes.try_into().map_or(0, i128::from_le_bytes),
        };
        totals
    }
}

fn number(numbers: &[[u8; 4]], at: usize) -> u64 {
    numbers.get(at).map_or(0, |bytes| u32::from_le_bytes(*bytes).into())
}
