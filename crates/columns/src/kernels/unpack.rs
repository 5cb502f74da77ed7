//! Numbers of a few bits each, packed for the instructions that unpack many at once.
//!
//! 256 numbers of `width` bits take 32 × `width` bytes. Up to 32 bits they stand in eight *lanes* of 32 bits: number
//! *i* is in lane *i* mod 8, the *i* / 8th there, and a lane's numbers lie bit behind bit in its words. So one
//! shift of a whole vector gives the next eight numbers, and each of them is also reached by itself, by two words.
//! Above 32 bits there are four lanes of 64 bits.

use super::{CHUNK, kernel};

/// Bytes of all lanes' next words.
const LINE: usize = 32;

/// Packed numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'p> {
    lines: &'p [[u8; LINE]],
}

impl<'p> Packed<'p> {
    /// Numbers of `width` bits, at the front of `bytes`; `None` if these are too few or the width is too large.
    #[inline]
    pub(crate) fn new(bytes: &'p [u8], width: u8) -> Option<Self> {
        let (lines, _) = bytes.as_chunks::<LINE>();
        (width <= 64).then_some(())?;
        Some(Self { lines: lines.get(..usize::from(width))? })
    }

    /// The number at `at`, which is below 256.
    #[inline(always)]
    pub(crate) fn get(self, at: usize) -> u64 {
        let width = self.lines.len();
        match width {
            0 => 0,
            1..=32 => {
                let (lane, bit) = (at % 8, at / 8 * width);
                let (word, shift) = (bit / 32, bit % 32);
                let low = word_32(&self.lines[word], lane);
                let high = word_32(&self.lines[(word + 1).min(width - 1)], lane);
                (u64::from(high) << 32 | u64::from(low)) >> shift & ((1 << width) - 1)
            }
            _ => {
                let (lane, bit) = (at % 4, at / 4 * width);
                let (word, shift) = (bit / 64, bit % 64);
                let low = word_64(&self.lines[word], lane);
                let high = word_64(&self.lines[(word + 1).min(width - 1)], lane);
                (low >> shift | (high << 1) << (63 - shift)) & u64::MAX >> (64 - width)
            }
        }
    }
}

#[inline(always)]
fn word_32(line: &[u8; LINE], lane: usize) -> u32 {
    u32::from_le_bytes(line.as_chunks::<4>().0[lane])
}

#[inline(always)]
fn word_64(line: &[u8; LINE], lane: usize) -> u64 {
    u64::from_le_bytes(line.as_chunks::<8>().0[lane])
}

/// How many bits a number needs.
pub(crate) fn bits_of(number: u64) -> u8 {
    (u64::BITS - number.leading_zeros()) as u8
}

/// Appends numbers of at most `width` bits.
pub(crate) fn pack(numbers: &[u64; CHUNK], width: u8, out: &mut Vec<u8>) {
    let width = usize::from(width);
    let lane_bits = if width <= 32 { 32 } else { 64 };
    let lanes = 8 * LINE / lane_bits;
    let start = out.len();
    out.resize(start + LINE * width, 0);
    for (at, number) in numbers.iter().enumerate() {
        debug_assert!(usize::from(bits_of(*number)) <= width, "{number} in {width} bits");
        let (lane, bit) = (at % lanes, at / lanes * width);
        let (word, shift) = (bit / lane_bits, bit % lane_bits);
        let shifted = u128::from(*number) << shift;
        let lane_bytes = lane_bits / 8;
        for (n, piece) in shifted.to_le_bytes().chunks(lane_bytes).take(2).enumerate() {
            let place = start + LINE * (word + n) + lane * lane_bytes;
            // A number that ends in its first word has zeroes for the next, which may not be there.
            if let Some(bytes) = out.get_mut(place..place + lane_bytes) {
                bytes.iter_mut().zip(piece).for_each(|(to, from)| *to |= from);
            }
        }
    }
}

#[inline(always)]
fn body_32(packed: Packed<'_>, base: u32, out: &mut [u32; CHUNK]) {
    let width = packed.lines.len();
    if width == 0 || width > 32 {
        out.fill(base);
        return;
    }
    let mask = u32::MAX >> (32 - width);
    let (rows, _) = out.as_chunks_mut::<8>();
    for (row, bit) in rows.iter_mut().zip((0..).step_by(width)) {
        let (word, shift) = (bit / 32, (bit % 32) as u32);
        let low = &packed.lines[word];
        let high = &packed.lines[(word + 1).min(width - 1)];
        for (lane, number) in row.iter_mut().enumerate() {
            let bits = word_32(low, lane) >> shift | (word_32(high, lane) << 1) << (31 - shift);
            *number = (bits & mask).wrapping_add(base);
        }
    }
}

#[inline(always)]
fn body_64(packed: Packed<'_>, base: u64, out: &mut [u64; CHUNK]) {
    let width = packed.lines.len();
    if width <= 32 {
        let mut narrow = [0; CHUNK];
        body_32(packed, 0, &mut narrow);
        for (to, from) in out.iter_mut().zip(&narrow) {
            *to = u64::from(*from).wrapping_add(base);
        }
        return;
    }
    let mask = u64::MAX >> (64 - width);
    let (rows, _) = out.as_chunks_mut::<4>();
    for (row, bit) in rows.iter_mut().zip((0..).step_by(width)) {
        let (word, shift) = (bit / 64, (bit % 64) as u32);
        let low = &packed.lines[word];
        let high = &packed.lines[(word + 1).min(width - 1)];
        for (lane, number) in row.iter_mut().enumerate() {
            let bits = word_64(low, lane) >> shift | (word_64(high, lane) << 1) << (63 - shift);
            *number = (bits & mask).wrapping_add(base);
        }
    }
}

kernel! {
    /// Unpacks numbers of up to 32 bits, and adds the base to each.
    fn unpack_32(packed: Packed<'_>, base: u32, out: &mut [u32; CHUNK]) = body_32
}

kernel! {
    /// Unpacks numbers of up to 64 bits, and adds the base to each.
    fn unpack_64(packed: Packed<'_>, base: u64, out: &mut [u64; CHUNK]) = body_64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Level;
    use proptest::prelude::*;

    fn check(numbers: &[u64; CHUNK], width: u8) {
        let mut bytes = Vec::new();
        pack(numbers, width, &mut bytes);
        assert_eq!(bytes.len(), LINE * usize::from(width));
        let packed = Packed::new(&bytes, width).expect("as many as needed");
        for (at, number) in numbers.iter().enumerate() {
            assert_eq!(packed.get(at), *number, "{at}, {width} bits");
        }
        for level in Level::all() {
            for base in [0, 5, u64::MAX - 1] {
                let mut out = [7; CHUNK];
                unpack_64(level, packed, base, &mut out);
                let expected = numbers.map(|number| number.wrapping_add(base));
                assert_eq!(out, expected, "{level:?}, {width} bits");
                if width <= 32 {
                    let mut out = [7; CHUNK];
                    unpack_32(level, packed, base as u32, &mut out);
                    assert_eq!(
                        out,
                        expected.map(|number| number as u32),
                        "{level:?}, {width} bits"
                    );
                }
            }
        }
        if width > 0 {
            assert!(Packed::new(&bytes[1..], width).is_none());
        }
    }

    #[test]
    fn extremes_of_every_width() {
        for width in 0..=64u8 {
            let most = u64::MAX.checked_shr(64 - u32::from(width)).unwrap_or(0);
            check(&[most; CHUNK], width);
            check(&std::array::from_fn(|at| if at % 2 == 0 { most } else { 0 }), width);
            check(
                &std::array::from_fn(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & most),
                width,
            );
        }
        assert!(Packed::new(&[0; 4096], 65).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_numbers(numbers in prop::collection::vec(any::<u64>(), CHUNK), width in 0u8..=64) {
            let most = u64::MAX.checked_shr(64 - u32::from(width)).unwrap_or(0);
            check(&std::array::from_fn(|at| numbers[at] & most), width);
        }
    }
}
