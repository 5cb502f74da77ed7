//! What a field comes to in each of many buckets that were added up.

use annals_columns::Totals;

/// What a metric or counter comes to in each of many buckets, one behind the other. Sums take no more bytes than the
/// largest of them needs, since what is read at once is soon more than the memory that a program has at hand.
#[derive(Clone, Debug)]
pub(super) struct BucketTotals {
    counts: Vec<u64>,
    sums: Sums,
}

#[derive(Clone, Debug)]
enum Sums {
    Narrow(Vec<u32>),
    Wide(Vec<i64>),
    Widest(Vec<i128>),
    Floats(Vec<f64>),
}

impl BucketTotals {
    /// Those of a field; `is_float`: its numbers have fractions.
    pub(super) fn new(is_float: bool, all: impl Iterator<Item = Totals>) -> Self {
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
        Self { counts, sums }
    }

    /// What a bucket comes to; nothing if there is no such bucket.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Totals {
        let count = self.counts.get(at).copied().unwrap_or_default();
        let mut totals = Totals { count, sum: 0, float_sum: 0.0 };
        match &self.sums {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_each_width_are_what_they_were() {
        let tops = [i128::from(u32::MAX), u32::MAX.into(), i64::MAX.into(), i128::MAX];
        let lows = [0, -1, i64::MIN.into(), i128::MIN];
        for (top, low) in tops.into_iter().zip(lows) {
            let all = [top, low, 7].map(|sum| Totals { count: 3, sum, float_sum: 0.0 });
            let kept = BucketTotals::new(false, all.into_iter());
            assert_eq!([0, 1, 2].map(|at| kept.get(at)), all);
            assert_eq!((kept.get(3).count, kept.get(3).sum), (0, 0));
        }
        let all = [0.25, -1e300].map(|float_sum| Totals { count: 1, sum: 0, float_sum });
        let kept = BucketTotals::new(true, all.into_iter());
        assert_eq!([0, 1].map(|at| kept.get(at)), all);
    }
}
