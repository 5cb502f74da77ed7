//! In which bucket of a sketch numbers are, and where the counts of it lie.

use super::{CHUNK, kernel};

/// How numbers become places among counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buckets {
    /// The lowest number, and what one step counts for.
    pub(crate) base: u32,
    pub(crate) step: u32,
    /// The first bucket of which there is a count, and how many there are.
    pub(crate) first: u32,
    pub(crate) width: u32,
}

/// Bits of the exponent of 2^6, in front of the seven bits that choose a bucket.
const EXPONENT: u32 = (1023 + 6) << 7;

#[inline(always)]
fn body(of: Buckets, numbers: &[u32; CHUNK], places: &[u32; CHUNK], out: &mut [u32; CHUNK]) {
    for ((to, number), place) in out.iter_mut().zip(numbers).zip(places) {
        let number = number.wrapping_mul(of.step).wrapping_add(of.base);
        // A number with a fraction has the highest bit's place and the bits behind it where a bucket has them.
        let bits = (f64::from(number).to_bits() >> 45) as u32;
        let bucket = if number < 128 { number } else { bits.wrapping_sub(EXPONENT) };
        *to = place.wrapping_mul(of.width).wrapping_add(bucket.wrapping_sub(of.first));
    }
}

kernel! {
    /// Where the counts of the buckets of numbers are that each have a place: that many for each place.
    fn buckets_32(of: Buckets, numbers: &[u32; CHUNK], places: &[u32; CHUNK], out: &mut [u32; CHUNK]) = body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Level;

    #[test]
    fn all_levels_do_the_same() {
        let mixed = |n: u32| n.wrapping_mul(0x9e37_79b9) ^ n.rotate_left(7);
        for shift in 0..32 {
            let numbers = std::array::from_fn(|n| mixed(n as u32) >> shift);
            let places = std::array::from_fn(|n| mixed(n as u32) % 20);
            let of = Buckets { base: 7 * shift, step: 1 + shift % 3, first: shift, width: 900 };
            let (mut expected, mut found) = ([0; CHUNK], [0; CHUNK]);
            buckets_32(Level::Plain, of, &numbers, &places, &mut expected);
            for level in Level::all() {
                buckets_32(level, of, &numbers, &places, &mut found);
                assert_eq!(found, expected, "{level:?}");
            }
        }
    }
}
