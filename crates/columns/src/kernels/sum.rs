//! Sums and bounds of the numbers of a chunk that a mask selects.

use super::{CHUNK, Mask, kernel};

/// What selected numbers add up to, and their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) sum: u128,
    /// The largest number there is if none is selected.
    pub(crate) min: u64,
    /// Zero if none is selected.
    pub(crate) max: u64,
}

#[inline(always)]
fn body_32(numbers: &[u32; CHUNK], mask: &Mask) -> Added {
    let (mut sums, mut mins, mut maxs) = ([0u64; 32], [u32::MAX; 32], [0u32; 32]);
    for (n, piece) in numbers.as_chunks::<32>().0.iter().enumerate() {
        let word = (mask[n / 2] >> (32 * (n % 2))) as u32;
        for lane in 0..32 {
            // All bits if the row is selected, none if not: no branch.
            let selected = 0u32.wrapping_sub(word >> lane & 1);
            sums[lane] += u64::from(piece[lane] & selected);
            mins[lane] = mins[lane].min(piece[lane] | !selected);
            maxs[lane] = maxs[lane].max(piece[lane] & selected);
        }
    }
    let sum = sums.iter().map(|sum| u128::from(*sum)).sum();
    let min = mins.iter().copied().fold(u32::MAX, u32::min);
    let max = maxs.iter().copied().fold(0, u32::max);
    let min = if *mask == [0; 4] { u64::MAX } else { min.into() };
    Added { sum, min, max: max.into() }
}

#[inline(always)]
fn body_64(numbers: &[u64; CHUNK], mask: &Mask) -> Added {
    // The halves are added apart: neither can overflow.
    let (mut lows, mut highs) = ([0u64; 16], [0u64; 16]);
    let (mut mins, mut maxs) = ([u64::MAX; 16], [0u64; 16]);
    for (n, piece) in numbers.as_chunks::<16>().0.iter().enumerate() {
        let word = mask[n / 4] >> (16 * (n % 4));
        for lane in 0..16 {
            let selected = 0u64.wrapping_sub(word >> lane & 1);
            let number = piece[lane] & selected;
            lows[lane] += number & 0xffff_ffff;
            highs[lane] += number >> 32;
            mins[lane] = mins[lane].min(piece[lane] | !selected);
            maxs[lane] = maxs[lane].max(number);
        }
    }
    let add = |sums: &[u64; 16]| sums.iter().map(|sum| u128::from(*sum)).sum::<u128>();
    let min = mins.iter().copied().fold(u64::MAX, u64::min);
    let max = maxs.iter().copied().fold(0, u64::max);
    Added { sum: add(&lows) + (add(&highs) << 32), min, max }
}

kernel! {
    /// Adds up selected numbers of 32 bits.
    fn add_32(numbers: &[u32; CHUNK], mask: &Mask) -> Added = body_32
}

kernel! {
    /// Adds up selected numbers of 64 bits.
    fn add_64(numbers: &[u64; CHUNK], mask: &Mask) -> Added = body_64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Level;
    use proptest::prelude::*;

    fn check(wide: &[u64; CHUNK], mask: &Mask) {
        let is_selected = |at: &usize| mask[at / 64] >> (at % 64) & 1 == 1;
        let expected = |number: &dyn Fn(usize) -> u64| {
            let selected = || (0..CHUNK).filter(is_selected).map(number);
            let sum = selected().map(u128::from).sum();
            Added {
                sum,
                min: selected().min().unwrap_or(u64::MAX),
                max: selected().max().unwrap_or(0),
            }
        };
        let narrow = wide.map(|number| (number >> 13) as u32);
        for level in Level::all() {
            assert_eq!(add_64(level, wide, mask), expected(&|at| wide[at]), "{level:?}");
            assert_eq!(
                add_32(level, &narrow, mask),
                expected(&|at| narrow[at].into()),
                "{level:?}"
            );
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        for mask in [[0; 4], [u64::MAX; 4], [1, 0, 0, 1 << 63]] {
            check(&[u64::MAX; CHUNK], &mask);
            check(&[0; CHUNK], &mask);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn all_levels_add_up_the_same(
            numbers in prop::collection::vec(any::<u64>(), CHUNK),
            mask in prop::array::uniform4(prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)]),
        ) {
            check(&std::array::from_fn(|at| numbers[at]), &mask);
        }
    }
}
