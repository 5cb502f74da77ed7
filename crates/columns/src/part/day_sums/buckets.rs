//! The buckets of a day, read where they lie.

use super::columns::{Codes, SumColumn, number};
use crate::{Totals, part::dictionary::Dictionary};
use std::ops::Range;

/// The buckets of a day: absent first, then by their bytes, they are sorted by the values of the first dimension, then by those
/// of the next. Made by [`DaySums::day`](super::DaySums::day), which copies nothing.
#[derive(Clone, Debug)]
pub struct DayBuckets<'p> {
    pub(super) values: Vec<Values<'p>>,
    pub(super) events: &'p [[u8; 4]],
    pub(super) sums: Vec<SumColumn<'p>>,
}

/// The values of a dimension.
#[derive(Clone, Debug)]
pub(super) struct Values<'p> {
    /// Of each bucket the place of its value among all that the part has, from 1 on; 0: its events have none.
    pub(super) codes: Codes<'p>,
    /// `None`: no event of the part has one.
    pub(super) dictionary: Option<Dictionary<'p>>,
}

impl<'p> Values<'p> {
    /// Whether each code has a string.
    pub(super) fn are_there(&self) -> bool {
        self.codes.highest() as usize <= self.dictionary.as_ref().map_or(0, Dictionary::len)
    }

    #[inline]
    fn text(&self, code: u32) -> Option<&'p str> {
        // That there is one for each code was found out when the table of sums was first read.
        self.dictionary.as_ref()?.get(code.checked_sub(1)?.into())
    }
}

impl<'p> DayBuckets<'p> {
    /// Some of them; `None` if they are not there.
    pub(super) fn within(mut self, range: Range<usize>) -> Option<Self> {
        for values in &mut self.values {
            values.codes = values.codes.within(range.clone())?;
        }
        for sums in &mut self.sums {
            *sums = sums.within(range.clone())?;
        }
        self.events = self.events.get(range)?;
        Some(self)
    }

    /// How many there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The value of a dimension, counted from 0 on, of a bucket; `None`: its events have none, or there is no such bucket or
    /// dimension.
    #[inline]
    #[must_use]
    pub fn value(&self, at: usize, dimension: usize) -> Option<&'p str> {
        let values = self.values.get(dimension)?;
        values.text(values.codes.get(at)?)
    }

    /// The bucket of the first dimension's value, of sums of one dimension.
    #[must_use]
    pub fn find(&self, value: Option<&str>) -> Option<usize> {
        let Values { codes, dictionary } = self.values.first()?;
        let code = match value {
            None => 0,
            Some(text) => u32::try_from(dictionary.as_ref()?.find(text)?).ok()? + 1,
        };
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if codes.get(middle)? < code { low = middle + 1 } else { high = middle }
        }
        (codes.get(low)? == code).then_some(low)
    }

    /// Of each bucket the place of a dimension's value, counted from 0 on, among all values that the part has of it, which
    /// have the order of their bytes; one more than that: 0 says that the events have none. All are 0 if there is no such
    /// dimension.
    #[must_use]
    pub fn codes(&self, dimension: usize) -> Vec<u32> {
        match self.values.get(dimension) {
            Some(values) => values.codes.copied(),
            None => vec![0; self.len()],
        }
    }

    /// The value of a [code](Self::codes) of a dimension; `None` for 0.
    #[inline]
    #[must_use]
    pub fn text(&self, dimension: usize, code: u32) -> Option<&'p str> {
        self.values.get(dimension)?.text(code)
    }

    /// How many events a bucket has; 0 if there is no such bucket.
    #[inline]
    #[must_use]
    pub fn events_count(&self, at: usize) -> u64 {
        number(self.events, at)
    }

    /// What a metric or counter, counted among those from 0 on in the schema's order, comes to in a bucket; nothing if there
    /// is no such field or bucket.
    #[inline]
    #[must_use]
    pub fn totals(&self, at: usize, field: usize) -> Totals {
        match self.sums.get(field) {
            Some(sums) => sums.get(at, self.events_count(at)),
            None => Totals { count: 0, sum: 0, float_sum: 0.0 },
        }
    }
}
