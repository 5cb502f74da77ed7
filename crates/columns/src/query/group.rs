//! What the events of a group come to.

use super::{Distinct, Key, Quantiles, aggregate::GROUPS_BY_MAX};
use crate::{Value, ValueType, part::image};
use std::{cmp::Ordering, fmt, ops::Deref};

/// What the numbers of a field come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub(crate) value_type: ValueType,
    /// How many events have one.
    pub count: u64,
    /// Their sum, exact; of numbers with fractions 0.
    pub sum: i128,
    /// The sum of numbers with fractions; of whole ones 0.
    pub float_sum: f64,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Measured {
    pub(crate) fn new(value_type: ValueType) -> Self {
        Self { value_type, count: 0, sum: 0, float_sum: 0.0, min: u64::MAX, max: 0 }
    }

    /// Adds what others come to. Bounds are images.
    pub(crate) fn add(&mut self, count: u64, sum: i128, float_sum: f64, bounds: (u64, u64)) {
        self.count += count;
        // 2^64 events of 64 bits would have to be added first for this to wrap.
        self.sum = self.sum.wrapping_add(sum);
        self.float_sum += float_sum;
        (self.min, self.max) = (self.min.min(bounds.0), self.max.max(bounds.1));
    }

    /// Adds what others of the same field come to.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other.count, other.sum, other.float_sum, (other.min, other.max));
    }

    /// The lowest number; absent if there is none, or if it was not asked for.
    #[must_use]
    pub fn min(&self) -> Value<'static> {
        if self.min > self.max { Value::Absent } else { image::value(self.value_type, self.min) }
    }

    /// The highest number; absent if there is none, or if it was not asked for.
    #[must_use]
    pub fn max(&self) -> Value<'static> {
        if self.min > self.max { Value::Absent } else { image::value(self.value_type, self.max) }
    }

    /// What an event has on average; `None` if none has a number.
    #[must_use]
    pub fn average(&self) -> Option<f64> {
        let sum = if self.value_type == ValueType::F64 { self.float_sum } else { self.sum as f64 };
        (self.count > 0).then(|| sum / self.count as f64)
    }
}

/// The keys of a group, in the order in which it was asked for them: a slice.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    keys: [Key<'a>; GROUPS_BY_MAX],
    count: usize,
}

impl<'a> Keys<'a> {
    /// The first few of these.
    pub(crate) fn new(from: impl Iterator<Item = Key<'a>>) -> Self {
        let mut all = Self { keys: [Key::Absent; GROUPS_BY_MAX], count: 0 };
        for (to, key) in all.keys.iter_mut().zip(from) {
            *to = key;
            all.count += 1;
        }
        all
    }
}

impl<'a> Deref for Keys<'a> {
    type Target = [Key<'a>];

    fn deref(&self) -> &[Key<'a>] {
        &self.keys[..self.count]
    }
}

impl PartialEq for Keys<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Keys<'_> {}

impl PartialOrd for Keys<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keys<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

/// The events that have the same keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group<'a> {
    /// What they have in common, in the order in which it was asked for.
    pub keys: Keys<'a>,
    /// How many there are.
    pub rows: u64,
    /// What their numbers come to, in the order in which it was asked for.
    pub measured: &'a [Measured],
    /// What quantiles of their numbers are taken from, in the order in which it was asked for.
    pub quantiles: &'a [Quantiles],
    /// How many different values they have, in the order in which it was asked for.
    pub distinct: &'a [Distinct],
}
