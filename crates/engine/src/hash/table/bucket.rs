//! The bucket: eight slots in one cache line.

use std::sync::atomic::Ordering;

use annals_disk::Line;

use super::kernel;
use super::slot::{EMPTY, Sought, VACATED};

/// Slots in a bucket.
pub(super) const SLOTS: usize = 8;

/// One cache line of slots, where it is in the arena.
#[derive(Clone, Copy)]
pub(super) struct Bucket<'t>(pub(super) &'t Line);

impl Bucket<'_> {
    /// Copies the bucket, word by word. Whoever reads without the writer's lock fences and validates after.
    #[inline]
    pub(super) fn read(self) -> [u64; SLOTS] {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }

    /// The places whose tag agrees, as bits. Some may hold no slot.
    #[inline(always)]
    pub(super) fn agreeing(self, sought: Sought) -> u32 {
        kernel::agreeing(self.0, sought)
    }

    /// Whether no word is empty, so that a search goes on. The last word says: it is used last, and then none is
    /// made empty again.
    #[inline(always)]
    pub(super) fn is_full(self) -> bool {
        self.word(SLOTS - 1) != EMPTY
    }

    /// One word.
    #[inline]
    pub(super) fn word(self, at: usize) -> u64 {
        self.0[at].load(Ordering::Relaxed)
    }

    /// The first empty place.
    #[inline]
    pub(super) fn empty(self) -> Option<usize> {
        self.first(EMPTY)
    }

    /// The first vacated place.
    #[inline]
    pub(super) fn vacated(self) -> Option<usize> {
        self.first(VACATED)
    }

    #[inline]
    fn first(self, raw: u64) -> Option<usize> {
        Places(self.agreeing(Sought::raw(raw))).find(|&at| self.word(at) == raw)
    }

    /// Changes a slot of a live subtable: what the caller wrote to the log before is visible with it.
    #[inline]
    pub(super) fn set(self, at: usize, raw: u64) {
        self.0[at].store(raw, Ordering::Release);
    }

    /// Fills a bucket no reader may be looking at, or whose readers will find their view outdated.
    #[inline]
    pub(super) fn fill(self, words: &[u64]) {
        for (place, &raw) in self.0.iter().zip(words) {
            place.store(raw, Ordering::Relaxed);
        }
    }
}

/// Takes the places out of the bits of a scan.
pub(super) struct Places(pub(super) u32);

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let at = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(at)
    }
}
