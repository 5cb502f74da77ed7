//! What a field comes to in each of many buckets.

use super::Totals;

/// What a metric or counter comes to in each of many buckets, one behind the other. Sums take no more bytes than the
/// largest of them needs, since what is read at once is soon more than the memory that a program has at hand.
#[derive(Clone, Debug, Default)]
pub struct BucketTotals {
    /// Of each bucket how many values there are, where those are fewer than events.
    counts: Option<Vec<u64>>,
    sums: Sums,
}

#[derive(Clone, Debug, Default)]
enum Sums {
    /// All are zero.
    #[default]
    Zero,
    Narrow(Vec<u32>),
    Wide(Vec<i64>),
    Widest(Vec<i128>),
    Floats(Vec<f64>),
}

impl BucketTotals {
    /// Those of a field; `is_float`: its numbers have fractions.
    ///
    /// ```
    /// use annals_columns::{BucketTotals, Totals};
    /// let totals = |sum| Totals { count: 2, sum, float_sum: 0.0 };
    /// let all = BucketTotals::new(false, [totals(7), totals(-7)].into_iter());
    /// assert_eq!(all.get(1, 2), totals(-7));
    /// ```
    #[must_use]
    pub fn new(is_float: bool, all: impl Iterator<Item = Totals>) -> Self {
        let (mut counts, mut sums, mut floats) = (Vec::new(), Vec::new(), Vec::new());
        for totals in all {
            counts.push(totals.count);
            if is_float {
                floats.push(totals.float_sum);
            } else {
                sums.push(totals.sum);
            }
        }
        let sums = if is_float { Sums::Floats(floats) } else { Sums::of(sums) };
        Self { counts: Some(counts), sums }
    }

    /// Those of buckets that lie side by side: of each how many values it has, if that is said, and the sums as they are kept,
    /// so many bytes each.
    pub(super) fn copied(
        counts: Option<&[[u8; 4]]>,
        sums: &[u8],
        width: usize,
        is_float: bool,
    ) -> Self {
        let count = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
        let counts = counts.map(|counts| counts.iter().map(count).collect());
        let sums = match width {
            width if is_float && width != 8 => Sums::Zero,
            4 => Sums::Narrow(
                sums.as_chunks().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect(),
            ),
            8 if is_float => Sums::Floats(
                sums.as_chunks().0.iter().map(|sum| f64::from_le_bytes(*sum)).collect(),
            ),
            8 => {
                Sums::Wide(sums.as_chunks().0.iter().map(|sum| i64::from_le_bytes(*sum)).collect())
            }
            16 => Sums::Widest(
                sums.as_chunks().0.iter().map(|sum| i128::from_le_bytes(*sum)).collect(),
            ),
            _ => Sums::Zero,
        };
        Self { counts, sums }
    }

    /// What a bucket comes to that has so many events; nothing if there is no such bucket.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize, events_count: u64) -> Totals {
        let mut totals = Totals { count: events_count, sum: 0, float_sum: 0.0 };
        if let Some(counts) = &self.counts {
            totals.count = counts.get(at).copied().unwrap_or_default();
        }
        match &self.sums {
            Sums::Zero => {}
            Sums::Narrow(all) => totals.sum = all.get(at).copied().unwrap_or_default().into(),
            Sums::Wide(all) => totals.sum = all.get(at).copied().unwrap_or_default().into(),
            Sums::Widest(all) => totals.sum = all.get(at).copied().unwrap_or_default(),
            Sums::Floats(all) => totals.float_sum = all.get(at).copied().unwrap_or_default(),
        }
        totals
    }
}

impl Sums {
    fn of(all: Vec<i128>) -> Self {
        if let Ok(narrow) = all.iter().map(|sum| u32::try_from(*sum)).collect() {
            return Self::Narrow(narrow);
        }
        match all.iter().map(|sum| i64::try_from(*sum)).collect() {
            Ok(wide) => Self::Wide(wide),
            Err(_) => Self::Widest(all),
        }
    }
}
