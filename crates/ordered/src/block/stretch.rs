//! Entries of a block that can be gone through without a look at what else there is.

use super::{DIGEST_BYTES, Layout, code};
use crate::{EntryKind, number::u64_at};

/// What a reader takes as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'e> {
    /// The highest number that is seen; `None` if all in the table are known to be.
    pub(crate) seq: Option<u64>,
    /// Keys end before this one.
    pub(crate) end: Option<&'e [u8]>,
}

impl Layout {
    /// How many entries directly behind the one at `at` are puts or pointers that never expire, are
    /// wanted, and have each another key than the one before. Bytes that contradict themselves end
    /// it: whoever reads on meets them.
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
        let is_taken = |at: usize| {
            codes.is_none_or(|codes| codes.get(at).copied().is_some_and(is_plain))
                && (wanted.seq).is_none_or(|seq| self.seq(block, at).is_some_and(|its| its <= seq))
                && self.has_new_key(block, at)
        };
        (from..to).take_while(|at| is_taken(*at)).count()
    }

    /// Whether the key of an entry that is not the first is another than that of the one before it.
    #[inline]
    fn has_new_key(&self, block: &[u8], at: usize) -> bool {
        let digests = self.digests(block);
        if digests.get(at) != digests.get(at - 1) {
            return true;
        }
        let (Some((len, rest)), Some((len_before, rest_before))) =
            (self.rest(block, at), self.rest(block, at - 1))
        else {
            return false;
        };
        // Keys that begin alike differ in their last bytes, most of them.
        let ends = |rest: &[u8]| rest.len().checked_sub(8).and_then(|from| u64_at(rest, from));
        len != len_before
            || match (ends(rest), ends(rest_before)) {
                (Some(end), Some(end_before)) if end != end_before => true,
                // Up to four bytes are all in the digests, and padded: but then the lengths tell.
                _ => len > DIGEST_BYTES && rest != rest_before,
            }
    }
}

#[inline]
fn is_plain(code: u8) -> bool {
    matches!(code::kind(code), Some(EntryKind::Put | EntryKind::Pointer))
        && code & code::EXPIRES == 0
}
