//! Searching a block.

use super::{DIGEST_BYTES, Layout, digest};
use std::cmp::Ordering;

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

/// Down to so many digests a search halves; the rest it counts through.
const COUNTED: usize = 32;

impl Layout {
    /// The first entry at or behind the version `seq` of `key`; `None` if the block contradicts
    /// itself.
    #[inline]
    pub(crate) fn search(&self, block: &[u8], key: &[u8], seq: u64) -> Option<Place> {
        let prefix = self.prefix(block);
        let nowhere = |at| Place { at, same_key: false, exact: false };
        let Some(tail) = key.strip_prefix(prefix) else {
            return Some(nowhere(if key < prefix { 0 } else { self.count() }));
        };
        let (digests, sought) = (self.digests(block), digest(tail));
        let from = rank(digests, sought);
        let is_there =
            |at: usize| digests.get(at).is_some_and(|d| u32::from_le_bytes(*d) == sought);
        if !is_there(from) {
            return Some(nowhere(from));
        }
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

    /// Whether the last entry has this key; `None` if the block contradicts itself.
    pub(crate) fn ends_with_key(&self, block: &[u8], key: &[u8]) -> Option<bool> {
        let Some(tail) = key.strip_prefix(self.prefix(block)) else { return Some(false) };
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
#[inline]
fn rank(digests: &[[u8; DIGEST_BYTES]], sought: u32) -> usize {
    let (mut from, mut len) = (0, digests.len());
    while len > COUNTED {
        let half = len / 2;
        // No branch: which way it goes nobody can foresee.
        from += if u32::from_le_bytes(digests[from + half - 1]) < sought { half } else { 0 };
        len -= half;
    }
    let lower = |digest: &[u8; DIGEST_BYTES]| u32::from(u32::from_le_bytes(*digest) < sought);
    from + digests[from..from + len].iter().map(lower).sum::<u32>() as usize
}
