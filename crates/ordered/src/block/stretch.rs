//! Entries of a block that can be gone through without a look at what else there is.

use super::{DIGEST_BYTES, Layout, code};
use crate::EntryKind;

/// What a reader takes as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'e> {
    /// The highest number that is seen; `None` if all in the table are known to be.
    pub(crate) seq: Option<u64>,
    /// Keys end before this one.
    pub(crate) end: Option<&'e [u8]>,
}

impl Layout {
    /// How many entries directly behind the one at `at` are puts or pointers that never expire, and are
    /// wanted. Bytes that contradict themselves end it: whoever reads on meets them.
    pub(crate) fn stretch(&self, block: &[u8], at: usize, wanted: Wanted<'_>) -> usize {
        let from = at + 1;
        let codes = self.codes(block);
        if from >= self.count() || codes.is_none() && !is_plain(self.code_of_all()) {
            return 0;
        }
        let to = match wanted.end {
            None => self.count(),
            // The highest number of all: in front of every version of that key.
            Some(end) => self.search(block, end, u64::MAX).map_or(from, |place| place.at),
        };
        if codes.is_none() && wanted.seq.is_none() {
            return to.saturating_sub(from);
        }
        let is_taken = |at: usize| {
            codes.is_none_or(|codes| codes.get(at).copied().is_some_and(is_plain))
                && (wanted.seq).is_none_or(|seq| self.seq(block, at).is_some_and(|its| its <= seq))
        };
        (from..to).take_while(|at| is_taken(*at)).count()
    }

    /// Whether the key of an entry that is not the first is another than `before`, that of the one before
    /// it. `None` if the block contradicts itself.
    #[inline]
    pub(crate) fn has_new_key(&self, block: &[u8], at: usize, before: &[u8]) -> Option<bool> {
        let digests = self.digests(block);
        if digests.get(at)? != digests.get(at.checked_sub(1)?)? {
            return Some(true);
        }
        let (len, rest) = self.rest(block, at)?;
        let before = before.get(self.prefix_len()..)?;
        if len != before.len() {
            return Some(true);
        }
        // Up to four bytes are all in the digests, and padded: but then the lengths tell.
        let Some(before) = before.get(DIGEST_BYTES..) else { return Some(false) };
        // Keys that begin alike differ in their last bytes, most of them.
        Some(match (rest.last_chunk::<8>(), before.last_chunk::<8>()) {
            (Some(end), Some(end_before)) if end != end_before => true,
            _ => rest != before,
        })
    }
}

#[inline]
fn is_plain(code: u8) -> bool {
    matches!(code::kind(code), Some(EntryKind::Put | EntryKind::Pointer))
        && code & code::EXPIRES == 0
}
