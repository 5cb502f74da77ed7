//! A filter over the strings of a dimension: tells at one look that a part has none of a string.
//!
//! Lines of 64 bytes; a string sets some bits of one of them. That of `annals-ordered` is of the same family; this one
//! has bytes of its own, so that neither format binds the other.

const LINE_BYTES: usize = 64;
const BITS_PER_TEXT: usize = 10;
const PLACES: u32 = 6;

/// The hash of a string. Seeded by the database, so that nobody who does not know its id can choose strings that pass
/// for others. It is part of the format.
pub(crate) fn hash(database_id: u64, text: &str) -> u64 {
    twox_hash::XxHash3_64::oneshot_with_seed(database_id, text.as_bytes())
}

fn places(hash: u64) -> impl Iterator<Item = usize> {
    // The upper half of the hash chose the line; the lower one is spread over 63 bits.
    let spread = (hash & 0xffff_ffff | 1 << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PLACES).map(move |n| (spread >> (1 + 9 * n)) as usize % (8 * LINE_BYTES))
}

fn line_of(hash: u64, lines_count: usize) -> usize {
    (((hash >> 32) * lines_count as u64) >> 32) as usize
}

/// Appends a filter of these hashes.
pub(crate) fn encode(hashes: &[u64], out: &mut Vec<u8>) {
    let lines_count = (hashes.len() * BITS_PER_TEXT).div_ceil(8 * LINE_BYTES).max(1);
    let start = out.len();
    out.resize(start + lines_count * LINE_BYTES, 0);
    let (lines, _) = out[start..].as_chunks_mut::<LINE_BYTES>();
    for hash in hashes {
        let line = &mut lines[line_of(*hash, lines_count)];
        places(*hash).for_each(|place| line[place / 8] |= 1 << (place % 8));
    }
}

/// Whether a string of this hash may be there.
pub(crate) fn may_have(filter: &[u8], hash: u64) -> bool {
    let (lines, _) = filter.as_chunks::<LINE_BYTES>();
    // A filter without lines excludes nothing: nothing may be missed for its sake.
    lines
        .get(line_of(hash, lines.len()))
        .is_none_or(|line| places(hash).all(|place| line[place / 8] >> (place % 8) & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_and_most_else_is_not() {
        for count in [0u64, 1, 50, 20_000] {
            let hashes: Vec<u64> = (0..count).map(|n| hash(7, &n.to_string())).collect();
            let mut filter = Vec::new();
            encode(&hashes, &mut filter);
            assert!(hashes.iter().all(|hash| may_have(&filter, *hash)));
            let others = (count..count + 10_000).map(|n| hash(7, &n.to_string()));
            let passing = others.filter(|hash| may_have(&filter, *hash)).count();
            assert!(passing < 300, "{passing} of 10,000 with {count}");
        }
        assert!(may_have(&[], 5));
    }
}
