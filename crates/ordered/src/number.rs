//! Numbers in bytes, little-endian, where the bytes may be fewer than they should.

use std::cmp::Ordering;

/// Two bytes at `at`.
#[inline(always)]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Four bytes at `at`.
#[inline(always)]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Eight bytes at `at`.
#[inline(always)]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// `width` bytes at `at`; at most eight.
#[inline(always)]
pub(crate) fn uint_at(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let rest = bytes.get(at..)?;
    if let Some(word) = rest.first_chunk::<8>() {
        // Bytes behind the number are read and dropped: cheaper than a copy of its length.
        return Some(u64::from_le_bytes(*word) & low_bytes(width));
    }
    let mut word = [0; 8];
    word.get_mut(..width)?.copy_from_slice(rest.get(..width)?);
    Some(u64::from_le_bytes(word))
}

/// The first eight bytes of a key as a number: the lower of two numbers is that of the lower key. Zeroes
/// stand behind the end of a shorter key, so keys that differ may have the same number.
#[inline(always)]
pub(crate) fn word_of(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    padded[..key.len()].copy_from_slice(key);
    u64::from_be_bytes(padded)
}

/// The order of two keys, which is that of their bytes. Of keys whose difference is not far from their
/// beginning it is told without a call of what compares any number of bytes.
#[inline]
pub(crate) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    const WORDS: usize = 4;
    let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    let mut same = 0;
    for (its, others) in ones.iter().zip(others).take(WORDS) {
        if its != others {
            return u64::from_be_bytes(*its).cmp(&u64::from_be_bytes(*others));
        }
        same += 8;
    }
    if same == one.len() && same == other.len() {
        return Ordering::Equal;
    }
    one[same..].cmp(&other[same..])
}

/// The highest number of so many bytes; at most eight.
#[inline(always)]
pub(crate) fn low_bytes(width: usize) -> u64 {
    u64::MAX.checked_shr(64 - 8 * (width.min(8) as u32)).unwrap_or(0)
}

/// How many bytes a number needs; none for zero.
pub(crate) fn width_of(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()).div_ceil(8) as usize
}

/// Appends a number in seven-bit groups, the lowest first.
pub(crate) fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number in seven-bit groups from the front of `bytes`.
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift == 63 && *byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes bytes that their length in seven-bit groups precedes.
pub(crate) fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_varint(bytes)?).ok()?;
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

/// Appends bytes, their length first.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_are_read_also_at_the_very_end() {
        let bytes: Vec<u8> = (1..=20).collect();
        for at in 0..=20 {
            for width in 0..=8 {
                let expected = bytes.get(at..at + width).map(|bytes| {
                    bytes.iter().rev().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte))
                });
                assert_eq!(uint_at(&bytes, at, width), expected, "{width} at {at}");
            }
        }
        assert_eq!(uint_at(&bytes, 21, 0), None);
        assert_eq!([0, 1, 255, 256, u64::MAX].map(width_of), [0, 1, 1, 2, 8]);
    }

    #[test]
    fn keys_compare_as_their_bytes_do() {
        let mut keys = vec![Vec::new()];
        for len in [1, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 47] {
            let zeroes = vec![0; len];
            for at in [0, len / 2, len - 1] {
                let mut key = zeroes.clone();
                key[at] = 200;
                keys.push(key);
            }
            keys.push(zeroes);
        }
        for one in &keys {
            for other in &keys {
                assert_eq!(compare(one, other), one.cmp(other), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn varints_and_bytes_come_back_and_what_is_cut_off_is_nothing() {
        for number in [0, 1, 127, 128, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(number, &mut out);
            assert_eq!(take_varint(&mut &out[..]), Some(number));
            assert_eq!(take_varint(&mut &out[..out.len() - 1]), None);
        }
        assert_eq!(take_varint(&mut &[0xff; 11][..]), None);
        let mut out = Vec::new();
        put_bytes(b"some", &mut out);
        assert_eq!(take_bytes(&mut &out[..]), Some(&b"some"[..]));
        assert_eq!(take_bytes(&mut &out[..4]), None);
    }
}
