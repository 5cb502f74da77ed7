//! Columns of a table of sums, read where they lie. Each says once how wide its numbers are: whoever goes through many of
//! them takes the same way at each.

use crate::Totals;
use std::ops::Range;

/// Of each bucket the code of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Codes<'p> {
    Narrow(&'p [u8]),
    Medium(&'p [[u8; 2]]),
    Wide(&'p [[u8; 4]]),
}

impl<'p> Codes<'p> {
    /// Codes of so many bytes each.
    pub(super) fn of(bytes: &'p [u8], width: u8) -> Self {
        match width {
            1 => Self::Narrow(bytes),
            2 => Self::Medium(bytes.as_chunks().0),
            _ => Self::Wide(bytes.as_chunks().0),
        }
    }

    /// Those of some buckets; `None` if these are not there.
    pub(super) fn within(self, range: Range<usize>) -> Option<Self> {
        Some(match self {
            Self::Narrow(all) => Self::Narrow(all.get(range)?),
            Self::Medium(all) => Self::Medium(all.get(range)?),
            Self::Wide(all) => Self::Wide(all.get(range)?),
        })
    }

    #[inline]
    pub(super) fn get(self, at: usize) -> Option<u32> {
        match self {
            Self::Narrow(all) => all.get(at).map(|code| (*code).into()),
            Self::Medium(all) => all.get(at).map(|code| u16::from_le_bytes(*code).into()),
            Self::Wide(all) => all.get(at).map(|code| u32::from_le_bytes(*code)),
        }
    }

    pub(super) fn copied(self) -> Vec<u32> {
        match self {
            Self::Narrow(all) => all.iter().map(|code| (*code).into()).collect(),
            Self::Medium(all) => all.iter().map(|code| u16::from_le_bytes(*code).into()).collect(),
            Self::Wide(all) => all.iter().map(|code| u32::from_le_bytes(*code)).collect(),
        }
    }

    /// The highest; 0 if there is none.
    pub(super) fn highest(self) -> u32 {
        match self {
            Self::Narrow(all) => all.iter().fold(0, |top, code| top.max(*code)).into(),
            Self::Medium(all) => {
                all.iter().fold(0, |top, code| top.max(u16::from_le_bytes(*code))).into()
            }
            Self::Wide(all) => all.iter().fold(0, |top, code| top.max(u32::from_le_bytes(*code))),
        }
    }
}

/// What a field comes to in each bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct SumColumn<'p> {
    /// How many values there are, where those are fewer than events.
    pub(super) counts: Option<&'p [[u8; 4]]>,
    pub(super) sums: Sums<'p>,
}

/// Sums, by how they are kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sums<'p> {
    /// All are zero.
    Zero,
    Narrow(&'p [[u8; 4]]),
    Wide(&'p [[u8; 8]]),
    Widest(&'p [[u8; 16]]),
    Floats(&'p [[u8; 8]]),
}

impl<'p> Sums<'p> {
    /// Sums of so many bytes each; `is_float`: with fractions.
    pub(super) fn of(bytes: &'p [u8], width: u8, is_float: bool) -> Self {
        match (width, is_float) {
            (8, true) => Self::Floats(bytes.as_chunks().0),
            (4, false) => Self::Narrow(bytes.as_chunks().0),
            (8, false) => Self::Wide(bytes.as_chunks().0),
            (16, false) => Self::Widest(bytes.as_chunks().0),
            _ => Self::Zero,
        }
    }

    fn within(self, range: Range<usize>) -> Option<Self> {
        Some(match self {
            Self::Zero => Self::Zero,
            Self::Narrow(all) => Self::Narrow(all.get(range)?),
            Self::Wide(all) => Self::Wide(all.get(range)?),
            Self::Widest(all) => Self::Widest(all.get(range)?),
            Self::Floats(all) => Self::Floats(all.get(range)?),
        })
    }
}

impl SumColumn<'_> {
    /// Those of some buckets; `None` if these are not there.
    pub(super) fn within(self, range: Range<usize>) -> Option<Self> {
        let counts = match self.counts {
            Some(counts) => Some(counts.get(range.clone())?),
            None => None,
        };
        Some(Self { counts, sums: self.sums.within(range)? })
    }

    /// What a bucket comes to that has so many events; no sum if there is no such bucket.
    #[inline]
    pub(super) fn get(&self, at: usize, events_count: u64) -> Totals {
        let mut totals = Totals { count: events_count, sum: 0, float_sum: 0.0 };
        if let Some(counts) = self.counts {
            totals.count = number(counts, at);
        }
        match self.sums {
            Sums::Zero => {}
            Sums::Narrow(all) => totals.sum = number(all, at).into(),
            Sums::Wide(all) => {
                totals.sum = all.get(at).map_or(0, |sum| i64::from_le_bytes(*sum)).into();
            }
            Sums::Widest(all) => {
                totals.sum = all.get(at).map_or(0, |sum| i128::from_le_bytes(*sum));
            }
            Sums::Floats(all) => {
                totals.float_sum = all.get(at).map_or(0.0, |sum| f64::from_le_bytes(*sum));
            }
        }
        totals
    }
}

/// A number without a sign; 0 if there is none there.
#[inline]
pub(super) fn number(numbers: &[[u8; 4]], at: usize) -> u64 {
    numbers.get(at).map_or(0, |bytes| u32::from_le_bytes(*bytes).into())
}
