//! What the events of a part come to by UTC day and by the values of dimensions, as the part has it.
//!
//! A table of sums is of some dimensions: one that is marked for it, or all that are. Its *buckets* are the days and
//! combinations of values that there are events of, sorted; so a day is a slice, and of one dimension a value is found
//! in it by halving. How the bytes lie is in docs/formats/part.md.

mod buckets;
mod columns;
mod writing;

pub use buckets::DayBuckets;
pub(super) use writing::write_all;

use self::{
    buckets::Values,
    columns::{Codes, SumColumn, Sums},
};
use super::{PartView, meta::ColumnMeta};
use crate::{
    Result, Role, Schema,
    number::{put_varint, take_u8, take_varint},
};

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
    /// Those of all days.
    buckets: DayBuckets<'p>,
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
    /// assert_eq!((day.len(), day.value(0, 0)), (2, Some("ada")));
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
            let mut column = |width: u8| take(count.checked_mul(width.into())?);
            let codes =
                meta.key_widths.iter().map(|width| Some(Codes::of(column(*width)?, *width)));
            let codes = codes.collect::<Option<Vec<_>>>()?;
            let events = column(4)?.as_chunks().0;
            let schema = self.schema();
            let sums = summed(schema).zip(&meta.sums).map(|(field, sum)| {
                let counts = match sum.has_counts {
                    true => Some(column(4)?.as_chunks().0),
                    false => None,
                };
                let is_float = *schema.fields()[field].role() == Role::MetricF64;
                let sums = Sums::of(column(sum.width)?, sum.width, is_float);
                Some(SumColumn { counts, sums })
            });
            let sums = sums.collect::<Option<Vec<_>>>()?;
            Some((days, firsts, codes, events, sums))
        };
        let (days, firsts, codes, events, sums) =
            read().ok_or_else(|| self.contradicts(meta.section, "it is cut off"))?;
        let mut values = Vec::with_capacity(codes.len());
        for (dimension, codes) in meta.dimensions.iter().zip(codes) {
            let dictionary = match self.column(*dimension as usize)? {
                ColumnMeta::Codes(_, dictionary) => Some(self.sound_dictionary(dictionary)?),
                _ => None,
            };
            values.push(Values { codes, dictionary });
        }
        // Once for as long as the part lies there: who reads a value then finds one.
        if !self.is_sound(meta.section) {
            if !values.iter().all(Values::are_there) {
                return Err(self.contradicts(meta.section, "a code has no string"));
            }
            self.note_sound(meta.section);
        }
        let buckets = DayBuckets { values, events, sums };
        Ok(DaySums { part: *self, meta, days, firsts, buckets })
    }
}

impl<'p> DaySums<'p> {
    /// The days that there are.
    pub(super) fn days(&self) -> impl Iterator<Item = i64> + use<'p> {
        self.days.iter().map(|day| i64::from_le_bytes(*day))
    }

    /// How many buckets there are of all days.
    pub(super) fn buckets_count(&self) -> usize {
        self.buckets.len()
    }

    /// The buckets of a UTC day, counted from 1970 on: nothing of them is copied, however many there are. Who asks for several
    /// days clones this, which is as cheap.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn day(self, day: i64) -> Result<DayBuckets<'p>> {
        let at = self.days.binary_search_by(|found| i64::from_le_bytes(*found).cmp(&day));
        let first = |at: usize| Some(u32::from_le_bytes(*self.firsts.get(at)?) as usize);
        let range = match at {
            Ok(at) => first(at).zip(first(at + 1)).map(|(first, behind)| first..behind),
            Err(_) => Some(0..0),
        };
        let damage = || self.part.contradicts(self.meta.section, "it has other buckets of a day");
        range.and_then(|range| self.buckets.within(range)).ok_or_else(damage)
    }
}
