//! Which numbers of a chunk are in a range.

use super::{CHUNK, Level, Mask};

/// Whether each number is `low` or more and at most `high`.
#[inline]
#[allow(unsafe_code, reason = "vector instructions; the twin without them is tested equal")]
pub(crate) fn in_range_32(level: Level, numbers: &[u32; CHUNK], low: u32, high: u32) -> Mask {
    let Some(span) = high.checked_sub(low) else { return [0; 4] };
    match level {
        Level::Plain => plain_32(numbers, low, span),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx2` is made only where the processor was asked for AVX2.
        Level::Avx2 => unsafe { x86::avx2_32(numbers, low, span) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx512` is made only where the processor was asked for AVX-512F.
        Level::Avx512 => unsafe { x86::avx512_32(numbers, low, span) },
    }
}

/// Whether each number is `low` or more and at most `high`.
#[inline]
#[allow(unsafe_code, reason = "vector instructions; the twin without them is tested equal")]
pub(crate) fn in_range_64(level: Level, numbers: &[u64; CHUNK], low: u64, high: u64) -> Mask {
    let Some(span) = high.checked_sub(low) else { return [0; 4] };
    match level {
        Level::Plain => plain_64(numbers, low, span),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx2` is made only where the processor was asked for AVX2.
        Level::Avx2 => unsafe { x86::avx2_64(numbers, low, span) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx512` is made only where the processor was asked for AVX-512F.
        Level::Avx512 => unsafe { x86::avx512_64(numbers, low, span) },
    }
}

fn plain_32(numbers: &[u32; CHUNK], low: u32, span: u32) -> Mask {
    collect(|at| numbers[at].wrapping_sub(low) <= span)
}

fn plain_64(numbers: &[u64; CHUNK], low: u64, span: u64) -> Mask {
    collect(|at| numbers[at].wrapping_sub(low) <= span)
}

#[inline(always)]
fn collect(is_in: impl Fn(usize) -> bool) -> Mask {
    let mut mask = [0; 4];
    for (n, word) in mask.iter_mut().enumerate() {
        for bit in 0..64 {
            *word |= u64::from(is_in(64 * n + bit)) << bit;
        }
    }
    mask
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads from arrays of fixed length")]
mod x86 {
    use super::{CHUNK, Mask};
    use std::arch::x86_64::{
        _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_cmpgt_epi64,
        _mm256_loadu_si256, _mm256_min_epu32, _mm256_movemask_pd, _mm256_movemask_ps,
        _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_sub_epi32, _mm256_sub_epi64,
        _mm256_xor_si256, _mm512_cmple_epu32_mask, _mm512_cmple_epu64_mask, _mm512_loadu_si512,
        _mm512_set1_epi32, _mm512_set1_epi64, _mm512_sub_epi32, _mm512_sub_epi64,
    };

    /// Fills a mask from pieces of `width` numbers, of which each gives its bits.
    #[inline(always)]
    fn gather<T, const N: usize>(numbers: &[T; CHUNK], bits: impl Fn(&[T; N]) -> u64) -> Mask {
        let mut mask = [0; 4];
        for (n, piece) in numbers.as_chunks::<N>().0.iter().enumerate() {
            mask[n * N / 64] |= bits(piece) << (n * N % 64);
        }
        mask
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2_32(numbers: &[u32; CHUNK], low: u32, span: u32) -> Mask {
        let low = _mm256_set1_epi32(low.cast_signed());
        let span = _mm256_set1_epi32(span.cast_signed());
        gather(numbers, |piece: &[u32; 8]| {
            // SAFETY: reads the 32 bytes of `piece`, which is valid for reads; unaligned loads are asked for.
            let values = unsafe { _mm256_loadu_si256(piece.as_ptr().cast()) };
            let offsets = _mm256_sub_epi32(values, low);
            let is_in = _mm256_cmpeq_epi32(_mm256_min_epu32(offsets, span), offsets);
            u64::from(_mm256_movemask_ps(_mm256_castsi256_ps(is_in)).cast_unsigned())
        })
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2_64(numbers: &[u64; CHUNK], low: u64, span: u64) -> Mask {
        // There is no comparison without sign: with the highest bit turned round, that with sign tells.
        let sign = _mm256_set1_epi64x(i64::MIN);
        let low = _mm256_set1_epi64x(low.cast_signed());
        let span = _mm256_xor_si256(_mm256_set1_epi64x(span.cast_signed()), sign);
        gather(numbers, |piece: &[u64; 4]| {
            // SAFETY: reads the 32 bytes of `piece`, which is valid for reads; unaligned loads are asked for.
            let values = unsafe { _mm256_loadu_si256(piece.as_ptr().cast()) };
            let offsets = _mm256_xor_si256(_mm256_sub_epi64(values, low), sign);
            let is_out = _mm256_cmpgt_epi64(offsets, span);
            u64::from(!_mm256_movemask_pd(_mm256_castsi256_pd(is_out)).cast_unsigned() & 0xf)
        })
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512_32(numbers: &[u32; CHUNK], low: u32, span: u32) -> Mask {
        let low = _mm512_set1_epi32(low.cast_signed());
        let span = _mm512_set1_epi32(span.cast_signed());
        gather(numbers, |piece: &[u32; 16]| {
            // SAFETY: reads the 64 bytes of `piece`, which is valid for reads; unaligned loads are asked for.
            let values = unsafe { _mm512_loadu_si512(piece.as_ptr().cast()) };
            u64::from(_mm512_cmple_epu32_mask(_mm512_sub_epi32(values, low), span))
        })
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512_64(numbers: &[u64; CHUNK], low: u64, span: u64) -> Mask {
        let low = _mm512_set1_epi64(low.cast_signed());
        let span = _mm512_set1_epi64(span.cast_signed());
        gather(numbers, |piece: &[u64; 8]| {
            // SAFETY: reads the 64 bytes of `piece`, which is valid for reads; unaligned loads are asked for.
            let values = unsafe { _mm512_loadu_si512(piece.as_ptr().cast()) };
            u64::from(_mm512_cmple_epu64_mask(_mm512_sub_epi64(values, low), span))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            0u64..20,
            u64::MAX - 20..=u64::MAX,
            (1u64 << 63) - 5..(1 << 63) + 5
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn all_levels_find_what_is_in_a_range(
            numbers in prop::collection::vec(near(), CHUNK),
            (low, high) in (near(), near()),
        ) {
            let wide: [u64; CHUNK] = std::array::from_fn(|at| numbers[at]);
            let narrow = wide.map(|number| (number ^ number >> 32) as u32);
            let (low_32, high_32) = ((low ^ low >> 32) as u32, (high ^ high >> 32) as u32);
            for level in Level::all() {
                let expected = collect(|at| (low..=high).contains(&wide[at]));
                prop_assert_eq!(in_range_64(level, &wide, low, high), expected, "{:?}", level);
                let expected = collect(|at| (low_32..=high_32).contains(&narrow[at]));
                prop_assert_eq!(in_range_32(level, &narrow, low_32, high_32), expected, "{:?}", level);
            }
        }
    }
}
