//! Latencies in little memory: each power of two is cut into 64 equal steps, so a figure read
//! from it is at most 1.6 % too high, whatever its size. The maximum is exact.

/// Bits of a step within a power of two.
const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;

/// Counts of latencies in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS * (65 - STEP_BITS as usize)], total: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Counts one latency.
    pub(crate) fn record(&mut self, ns: u64) {
        self.counts[step(ns)] += 1;
        self.total += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds all counts of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The longest latency.
    pub(crate) fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The latency that a share `q` (0 to 1) of all does not exceed; 0 if nothing was counted.
    pub(crate) fn quantile_ns(&self, q: f64) -> u64 {
        let rank = ((self.total as f64 * q).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest(index).min(self.max_ns);
            }
        }
        self.max_ns
    }
}

/// The step a latency falls into.
fn step(ns: u64) -> usize {
    if ns < STEPS as u64 {
        return ns as usize;
    }
    let shift = 63 - ns.leading_zeros() - STEP_BITS;
    (shift as usize + 1) * STEPS + (ns >> shift) as usize - STEPS
}

/// The highest latency of a step.
fn highest(step: usize) -> u64 {
    if step < STEPS {
        return step as u64;
    }
    let shift = step / STEPS - 1;
    let first = ((step % STEPS + STEPS) as u64) << shift;
    first + ((1_u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_all_numbers_in_order() {
        let mut numbers: Vec<u64> = (0..64)
            .flat_map(|bit| {
                let n = 1_u64 << bit;
                [n - 1, n, n + n / 3]
            })
            .chain([u64::MAX])
            .collect();
        numbers.sort_unstable();
        for pair in numbers.windows(2) {
            assert!(step(pair[0]) <= step(pair[1]), "{pair:?}");
        }
        for n in numbers {
            let high = highest(step(n));
            assert!(high >= n && high - n <= n / 64, "{n} lies in a step up to {high}");
        }
        assert!(step(u64::MAX) < Histogram::default().counts.len());
    }

    #[test]
    fn quantiles_of_known_numbers() {
        let mut histogram = Histogram::default();
        let mut second = Histogram::default();
        for n in 1..=500 {
            histogram.record(n);
            second.record(n + 500);
        }
        histogram.merge(&second);
        let near = |q, wanted: u64| {
            let got = histogram.quantile_ns(q);
            assert!(got >= wanted && got <= wanted + wanted / 60, "{q}: {got} for {wanted}");
        };
        near(0.0, 1);
        near(0.5, 500);
        near(0.99, 990);
        near(0.999, 999);
        assert_eq!(histogram.quantile_ns(1.0), 1000);
        assert_eq!(histogram.max_ns(), 1000);
        assert_eq!(Histogram::default().quantile_ns(0.5), 0);
    }
}
