//! Searching a block.

use super::{DIGEST_BYTES, Layout, digest};
use std::{cmp::Ordering, hint::select_unpredictable};

/// Where a search in a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The first entry that is not before what was sought; the count if all are.
    pub(crate) at: usize,
    /// Whether its key is the one that was sought.
    pub(crate) same_key: bool,
    /// Whether its number is the one that was sought too.
    pub(crate) exact: bool,
}

/// So many digests are compared at once, at the end of a search.
const COUNTED: usize = 16;

impl Layout {
    /// The first entry at or behind the version `seq` of `key`; `None` if the block contradicts
    /// itself.
    #[inline(always)]
    pub(crate) fn search(&self, block: &[u8], key: &[u8], seq: u64) -> Option<Place> {
        let nowhere = |at| Place { at, same_key: false, exact: false };
        let Some(tail) = self.tail_of(block, key) else {
            return Some(nowhere(if key < self.prefix(block) { 0 } else { self.count() }));
        };
        let (digests, sought) = (self.digests(block), digest(tail));
        let from = rank(digests, sought);
        let is_there =
            |at: usize| digests.get(at).is_some_and(|d| u32::from_le_bytes(*d) == sought);
        if !is_there(from) {
            return Some(nowhere(from));
        }
        // Most likely it is this one: its lines are fetched together, not one when the other has come.
        self.approach(block, from);
        let mut low = from;
        let mut high = from + 1;
        if is_there(high) {
            high += digests[high..].partition_point(|d| u32::from_le_bytes(*d) <= sought);
        }
        // Among entries whose digests are the sought one the rests and the numbers decide. The entry
        // at `high` is not before what is sought; whether it has its key is known from the look at it.
        let mut same_key = false;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare(block, middle, tail, seq)? {
                (Ordering::Less, _) | (Ordering::Equal, Ordering::Less) => low = middle + 1,
                (Ordering::Equal, Ordering::Equal) => {
                    return Some(Place { at: middle, same_key: true, exact: true });
                }
                (keys, _) => (high, same_key) = (middle, keys == Ordering::Equal),
            }
        }
        Some(Place { at: low, same_key, exact: false })
    }

    /// What a key has behind the block's prefix, if it begins with that.
    #[inline(always)]
    fn tail_of<'k>(&self, block: &[u8], key: &'k [u8]) -> Option<&'k [u8]> {
        let len = self.prefix_len();
        if len < 8
            && let (Some(start), Some(whole)) = (key.first_chunk(), self.prefix_word(block))
        {
            // Most prefixes are short: as one number, what stands behind them shifted out.
            let differ = (u64::from_le_bytes(*start) ^ whole) << 8 << (56 - 8 * len);
            return if len == 0 || differ == 0 { key.get(len..) } else { None };
        }
        key.strip_prefix(self.prefix(block))
    }

    /// Whether the last entry has this key; `None` if the block contradicts itself.
    pub(crate) fn ends_with_key(&self, block: &[u8], key: &[u8]) -> Option<bool> {
        let Some(tail) = self.tail_of(block, key) else { return Some(false) };
        let last = self.digests(block).last()?;
        if u32::from_le_bytes(*last) != digest(tail) {
            return Some(false);
        }
        Some(self.compare(block, self.count() - 1, tail, 0)?.0 == Ordering::Equal)
    }

    /// How the key and the number of an entry compare with those sought, where the digests agree.
    #[inline]
    fn compare(
        &self,
        block: &[u8],
        at: usize,
        tail: &[u8],
        seq: u64,
    ) -> Option<(Ordering, Ordering)> {
        let (tail_len, rest) = self.rest(block, at)?;
        // With equal digests one of which is padded, the shorter tail is the start of the longer.
        let keys = match tail.get(DIGEST_BYTES..) {
            Some(sought) if tail_len >= DIGEST_BYTES => rest.cmp(sought),
            _ => tail_len.cmp(&tail.len()),
        };
        Some((keys, seq.cmp(&self.seq(block, at)?)))
    }
}

/// How many digests are lower than the one sought.
#[inline(always)]
fn rank(digests: &[[u8; DIGEST_BYTES]], sought: u32) -> usize {
    let is_lower = |digest: &[u8; DIGEST_BYTES]| u32::from_le_bytes(*digest) < sought;
    let (mut from, mut len) = (0, digests.len());
    let Some(last_window) = len.checked_sub(COUNTED) else {
        return digests.iter().filter(|digest| is_lower(digest)).count();
    };
    while len > COUNTED {
        let half = len / 2;
        // No branch: which way it goes nobody can foresee.
        from += select_unpredictable(is_lower(&digests[from + half - 1]), half, 0);
        len -= half;
    }
    // All before the window are lower, and none behind it is.
    let from = from.min(last_window);
    let window = digests[from..].first_chunk::<COUNTED>();
    from + window
        .map_or(0, |window| window.iter().map(|d| u32::from(is_lower(d))).sum::<u32>() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_every_length_and_place() {
        for len in 0..150u32 {
            let digests: Vec<_> = (0..len).map(|n| (10 + n / 3 * 2).to_le_bytes()).collect();
            for sought in 0..120 {
                let expected = digests.iter().filter(|d| u32::from_le_bytes(**d) < sought).count();
                assert_eq!(rank(&digests, sought), expected, "{sought} in {len}");
            }
        }
    }
}
