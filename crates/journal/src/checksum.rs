//! CRC-32C for pieces of every length.
//!
//! A frame is checked in small pieces: a header, eight bytes that bind a record to its place, four
//! for each record. The library is made for long ones, which it folds by carry-less products, and its
//! preparations cost more than such a piece itself; so short pieces are done here, one machine word after
//! the other.

use crc_fast::{CrcAlgorithm, Digest};

/// Up to this length the plain loop wins over the library.
const SHORT_BYTES: usize = 384;

/// Whether the processor has an instruction for it.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn has_instruction() -> bool {
    std::arch::is_x86_feature_detected!("sse4.2")
}

/// The checksum of `bytes`.
#[inline]
pub(crate) fn of(bytes: &[u8]) -> u32 {
    append(0, bytes)
}

/// Continues `checksum` with `bytes`.
#[inline]
#[allow(unsafe_code, reason = "the instruction is not on every processor")]
pub(crate) fn append(checksum: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() <= SHORT_BYTES && has_instruction() {
        // SAFETY: the processor has the instruction set that the function is compiled for.
        return unsafe { short(checksum, bytes) };
    }
    long(checksum, bytes)
}

fn long(checksum: u32, bytes: &[u8]) -> u32 {
    // The library's name for CRC-32C is that of the protocol which uses it.
    let state = u64::from(!checksum);
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, state);
    digest.update(bytes);
    digest.finalize() as u32
}

/// The checksum that continues `seed` with a word: that of `bytes`, and `high`.
#[inline]
#[allow(unsafe_code, reason = "the instruction is not on every processor")]
pub(crate) fn bound(seed: u32, bytes: &[u8], high: u32) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() <= SHORT_BYTES && has_instruction() {
        // SAFETY: the processor has the instruction set that the function is compiled for.
        return unsafe { short_bound(seed, bytes, high) };
    }
    append(seed, &word_of(of(bytes), high))
}

/// Continues `checksum` with words and half a word behind them, without a look at memory.
#[inline]
#[allow(unsafe_code, reason = "the instruction is not on every processor")]
pub(crate) fn append_words<const WORDS: usize>(
    checksum: u32,
    words: &[u64; WORDS],
    last: u32,
) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if has_instruction() {
        // SAFETY: the processor has the instruction set that the function is compiled for.
        return unsafe { short_words(checksum, words, last) };
    }
    let checksum = words.iter().fold(checksum, |sum, word| append(sum, &word.to_le_bytes()));
    append(checksum, &last.to_le_bytes())
}

fn word_of(low: u32, high: u32) -> [u8; 8] {
    (u64::from(high) << 32 | u64::from(low)).to_le_bytes()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn short_bound(seed: u32, bytes: &[u8], high: u32) -> u32 {
    let low = short(0, bytes);
    short(seed, &word_of(low, high))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn short_words<const WORDS: usize>(checksum: u32, words: &[u64; WORDS], last: u32) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u32, _mm_crc32_u64};
    let state = words.iter().fold(u64::from(!checksum), |state, word| _mm_crc32_u64(state, *word));
    !_mm_crc32_u32(state as u32, last)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn short(checksum: u32, bytes: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64};
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = u64::from(!checksum);
    for word in words {
        state = _mm_crc32_u64(state, u64::from_le_bytes(*word));
    }
    let mut state = state as u32;
    let (half, rest) = rest.as_chunks::<4>();
    for word in half {
        state = _mm_crc32_u32(state, u32::from_le_bytes(*word));
    }
    for byte in rest {
        state = _mm_crc32_u8(state, *byte);
    }
    !state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_every_length_have_the_checksum_of_another_library() {
        let bytes: Vec<u8> = (0..3 * SHORT_BYTES).map(|at| (at * 7 % 251) as u8).collect();
        for from in 0..9 {
            for to in from..bytes.len() {
                let (piece, seed) = (&bytes[from..to], to as u32 ^ 0xdead_beef);
                assert_eq!(append(seed, piece), crc32c::crc32c_append(seed, piece), "{from}..{to}");
                let word = word_of(crc32c::crc32c(piece), !seed);
                assert_eq!(bound(seed, piece, !seed), crc32c::crc32c_append(seed, &word));
            }
        }
        assert_eq!(of(b"123456789"), 0xe306_9283, "the standard's example");
        let (words, last) = ([0x0102_0304_0506_0708, u64::MAX, 7], 0xa5a5_0001);
        let bytes = [&words.map(u64::to_le_bytes).concat()[..], &u32::to_le_bytes(last)].concat();
        assert_eq!(append_words(9, &words, last), crc32c::crc32c_append(9, &bytes));
    }
}
