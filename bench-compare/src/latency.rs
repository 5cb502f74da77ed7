//! How long operations took, by buckets.

use std::time::Duration;

/// Buckets for each doubling: a figure is right to one part in so many.
const STEPS: usize = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// A histogram of durations.
#[derive(Debug)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max_ns: u64,
}

/// The bucket of a duration: durations below two times `STEPS` have one of their own each.
fn bucket(ns: u64) -> usize {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (shift as usize * STEPS) + (ns >> shift) as usize
}

/// The longest duration of a bucket.
fn longest_ns(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let first = (bucket - shift * STEPS) as u128;
    u64::try_from(((first + 1) << shift) - 1).unwrap_or(u64::MAX)
}

impl Latencies {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; bucket(u64::MAX) + 1], count: 0, max_ns: 0 }
    }

    /// Adds one.
    pub(crate) fn add(&mut self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// What the part `quantile` of all operations did not exceed, in microseconds.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        let wanted = (self.count as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return longest_ns(bucket).min(self.max_ns) as f64 / 1e3;
            }
        }
        self.max_us()
    }

    /// The longest, in microseconds.
    pub(crate) fn max_us(&self) -> f64 {
        self.max_ns as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another() {
        for ns in (0..100_000).chain([u64::MAX / 3, u64::MAX - 1, u64::MAX]) {
            let bucket = bucket(ns);
            let longest = longest_ns(bucket);
            assert!(longest >= ns && longest - ns <= ns / STEPS as u64, "{ns}");
            assert_eq!(super::bucket(longest), bucket);
            if longest < u64::MAX {
                assert_eq!(super::bucket(longest + 1), bucket + 1);
            }
        }
    }

    #[test]
    fn quantiles_are_found() {
        let mut latencies = Latencies::new();
        for us in 1..=1_000 {
            latencies.add(Duration::from_micros(us));
        }
        for (quantile, us) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = latencies.quantile_us(quantile);
            assert!((us..=us * 1.02).contains(&found), "{quantile}: {found}");
        }
        assert_eq!(latencies.max_us(), 1000.0);
        assert_eq!(Latencies::new().quantile_us(0.5), 0.0);
    }
}
