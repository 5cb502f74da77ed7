//! The marks: which buckets of a subtable searches have to pass.
//!
//! A search passes a bucket if a slot whose home it is, or one before it, may be beyond. The bucket itself says so,
//! as it is full then; but it is seldom in the processor's caches, and where a search goes next would be guessed
//! wrong half the time, which costs as much as the wait for the bucket. The marks of a subtable are two words in an
//! array as small as the directory, so they are at hand before the bucket is, and both buckets come at once.
//!
//! Marks are only ever set, until the subtable is laid out anew; and they are set before a slot is put beyond. Each
//! word has the lowest bits of the version that the head of the entry had when they were written: with another head
//! they say nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bucket::SLOTS;
use super::entry::Head;
use super::shape::FULL;

/// Buckets a word tells of.
const WORD_BUCKETS: usize = FULL / 2;
const BITS: u64 = (1 << WORD_BUCKETS) - 1;
/// The versions take the rest of a word.
const _: () = assert!(WORD_BUCKETS == 56);

/// The marks of one subtable.
#[derive(Default)]
pub(super) struct Marks([AtomicU64; 2]);

/// Marks before they are published.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed([u64; 2]);

impl Passed {
    /// Of a subtable that has so many slots in each of its buckets.
    pub(super) fn of(counts: &[u8]) -> Self {
        let mut passed = Self::default();
        for (bucket, count) in counts.iter().enumerate().take(FULL) {
            let bit = u64::from(usize::from(*count) == SLOTS) << (bucket % WORD_BUCKETS);
            passed.0[bucket / WORD_BUCKETS] |= bit;
        }
        passed
    }
}

impl Marks {
    /// Whether searches pass a bucket that the subtable has by its head; `None` if these marks do not know.
    #[inline(always)]
    pub(super) fn is_passed(&self, head: Head, bucket: usize) -> Option<bool> {
        if head.buckets() > FULL {
            return None;
        }
        let second = bucket >= WORD_BUCKETS;
        let word = self.0[usize::from(second)].load(Ordering::Relaxed);
        let at = if second { bucket.wrapping_sub(WORD_BUCKETS) } else { bucket };
        (word >> WORD_BUCKETS == head.version() & 0xff).then_some((word >> (at & 63)) & 1 != 0)
    }

    /// Marks a bucket; called before a slot is put beyond it. Writer only.
    #[inline]
    pub(super) fn pass(&self, bucket: usize) {
        if let Some(word) = self.0.get(bucket / WORD_BUCKETS) {
            let marked = word.load(Ordering::Relaxed) | 1 << (bucket % WORD_BUCKETS);
            word.store(marked, Ordering::Release);
        }
    }

    /// Tells of the subtable whose head was just published. Writer only.
    pub(super) fn publish(&self, head: Head, passed: Passed) {
        for (word, bits) in self.0.iter().zip(passed.0) {
            // Whoever sees this sees the head as well.
            word.store((head.version() & 0xff) << WORD_BUCKETS | (bits & BITS), Ordering::Release);
        }
    }

    /// What they say now. Writer only.
    pub(super) fn passed(&self) -> Passed {
        Passed([0, 1].map(|at: usize| self.0[at].load(Ordering::Relaxed) & BITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::table::shape::TAG_BITS;

    #[test]
    fn marks_are_of_one_version() {
        let marks = Marks::default();
        let head = Head::new(3, TAG_BITS, FULL).with_version(7);
        let counts: Vec<u8> = (0..FULL).map(|at| if at % 5 == 0 { 8 } else { 7 }).collect();
        marks.publish(head, Passed::of(&counts));
        for bucket in 0..FULL {
            assert_eq!(marks.is_passed(head, bucket), Some(bucket % 5 == 0), "{bucket}");
            assert_eq!(marks.is_passed(head.with_version(8), bucket), None);
        }
        marks.pass(57);
        assert_eq!(marks.is_passed(head, 57), Some(true));
        assert_eq!(marks.is_passed(head, 58), Some(false));
        let larger = Head::new(3, TAG_BITS, FULL + 16).with_version(7);
        assert_eq!(marks.is_passed(larger, 5), None, "a larger subtable is not told of");
    }
}
