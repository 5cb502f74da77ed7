//! Filters: small tables that know of most keys that are not there that they are not.
//!
//! A filter is a number of lines of 64 bytes. A hash chooses one line and some bits in it; a key whose
//! bits are not all set was never added. So a question touches one cache line, whatever the size.

use annals_disk::hash_bytes;

/// Bytes of a line.
const LINE_BYTES: usize = 64;
/// Bits that one product of the hash chooses places from, nine at a time.
const PLACES_PER_PRODUCT: u32 = 7;
/// The most places a key has.
const PLACES_MAX: u32 = 14;
/// The most bits a key may have in a filter.
pub(crate) const BITS_PER_KEY_MAX: u8 = 32;
/// Bytes behind the lines: how many places a key has.
const TRAILER_BYTES: usize = 1;

/// The hash of a key. Seeded by the database, so that nobody who does not know its id can choose keys
/// that pass for others. It is part of the format.
#[inline]
pub(crate) fn hash_key(database_id: u64, key: &[u8]) -> u64 {
    hash_bytes(database_id, key)
}

/// The hash of the beginning of keys. Another seed: a key is not to pass for a beginning.
#[inline]
pub(crate) fn hash_prefix(database_id: u64, prefix: &[u8]) -> u64 {
    hash_bytes(!database_id, prefix)
}

/// The places of a hash in its line.
#[inline(always)]
fn places(hash: u64, count: u32) -> impl Iterator<Item = usize> {
    // The upper half of the hash chose the line; the lower one is spread over 63 bits, and once more
    // where they do not suffice.
    let low = (hash & 0xffff_ffff) | 1 << 32;
    let first = low.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let second = low.wrapping_mul(0xd6e8_feb8_6659_fd93);
    (0..count.min(PLACES_MAX)).map(move |n| {
        let (product, n) =
            if n < PLACES_PER_PRODUCT { (first, n) } else { (second, n - PLACES_PER_PRODUCT) };
        (product >> (1 + 9 * n)) as usize & (8 * LINE_BYTES - 1)
    })
}

#[inline(always)]
fn line_of(hash: u64, lines_count: usize) -> usize {
    (((hash >> 32) * lines_count as u64) >> 32) as usize
}

/// Appends a filter of these hashes to `out`; each may be there more than once.
pub(crate) fn build(hashes: &[u64], bits_per_key: u8, out: &mut Vec<u8>) {
    let bits = hashes.len() * usize::from(bits_per_key);
    let lines_count = bits.div_ceil(8 * LINE_BYTES).max(1);
    // The share of bits that are set is best near a half: ln 2 places for each bit.
    let places_count = (u32::from(bits_per_key) * 69 / 100).clamp(1, PLACES_MAX);
    let start = out.len();
    out.resize(start + lines_count * LINE_BYTES, 0);
    let (lines, _) = out[start..].as_chunks_mut::<LINE_BYTES>();
    for hash in hashes {
        let line = &mut lines[line_of(*hash, lines_count)];
        for place in places(*hash, places_count) {
            line[place / 8] |= 1 << (place % 8);
        }
    }
    out.push(places_count as u8);
}

/// The line that a question about `hash` touches, to be fetched ahead.
#[inline(always)]
pub(crate) fn line(filter: &[u8], hash: u64) -> Option<&[u8; LINE_BYTES]> {
    let (lines, trailer) = filter.as_chunks::<LINE_BYTES>();
    if trailer.len() != TRAILER_BYTES {
        return None;
    }
    lines.get(line_of(hash, lines.len()))
}

/// Whether a key of this hash may have been added; `None` if these are no filter.
#[inline]
pub(crate) fn may_have(filter: &[u8], hash: u64) -> Option<bool> {
    let line = line(filter, hash)?;
    let count = u32::from(*filter.last()?);
    if count == 0 || count > PLACES_MAX {
        return None;
    }
    Some(places(hash, count).all(|place| line[place / 8] & 1 << (place % 8) != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(from: u64, count: u64) -> Vec<u64> {
        (from..from + count).map(|n| hash_key(7, &n.to_le_bytes())).collect()
    }

    #[test]
    fn what_was_added_is_there_and_most_else_is_not() {
        for (bits, share_max) in
            [(1, 0.8), (4, 0.2), (8, 0.04), (10, 0.015), (16, 0.003), (32, 0.001)]
        {
            let mut filter = Vec::new();
            build(&hashes(0, 20_000), bits, &mut filter);
            assert!(filter.len() <= 20_000 * usize::from(bits) / 8 + LINE_BYTES + TRAILER_BYTES);
            let passing = |hashes: Vec<u64>| {
                hashes.iter().filter(|hash| may_have(&filter, **hash).expect("a filter")).count()
            };
            assert_eq!(passing(hashes(0, 20_000)), 20_000);
            let share = passing(hashes(1 << 40, 100_000)) as f64 / 100_000.0;
            assert!(share < share_max, "{bits} bits: {share}");
        }
    }

    #[test]
    fn a_filter_of_one_key_and_what_is_no_filter() {
        let mut filter = Vec::new();
        build(&[99], 10, &mut filter);
        assert_eq!(filter.len(), LINE_BYTES + TRAILER_BYTES);
        assert_eq!(may_have(&filter, 99), Some(true));
        for len in 0..filter.len() {
            assert_eq!(may_have(&filter[..len], 99), None);
        }
        for count in [0, PLACES_MAX as u8 + 1, 255] {
            filter[LINE_BYTES] = count;
            assert_eq!(may_have(&filter, 99), None);
        }
        assert_eq!(may_have(&[6], 99), None, "no lines");
    }

    #[test]
    fn beginnings_are_hashed_apart_from_keys() {
        assert_ne!(hash_key(7, b"user"), hash_prefix(7, b"user"));
    }
}
