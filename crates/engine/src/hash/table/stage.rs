//! The stage: where a subtable is laid out before it is written into its pages.

use super::bucket::SLOTS;
use super::shape;
use super::slot::{EMPTY, Slot};

/// A subtable in the making.
#[derive(Default)]
pub(super) struct Stage {
    words: Vec<u64>,
    counts: Vec<u8>,
    known: u64,
}

impl Stage {
    /// Begins with empty buckets.
    pub(super) fn begin(&mut self, buckets: usize, precision: u32) {
        self.words.clear();
        self.words.resize(buckets * SLOTS, EMPTY);
        self.counts.clear();
        self.counts.resize(buckets, 0);
        self.known = shape::known(precision);
    }

    /// Puts slots into their home buckets, or the next that have room. There has to be room.
    #[inline]
    pub(super) fn place(&mut self, slots: impl Iterator<Item = Slot>) {
        let (buckets, _) = self.words.as_chunks_mut::<SLOTS>();
        let counts = &mut self.counts[..buckets.len()];
        for slot in slots {
            let mut at = shape::home(slot.tag(), self.known, counts.len());
            while usize::from(counts[at]) == SLOTS {
                at = if at + 1 < counts.len() { at + 1 } else { 0 };
            }
            buckets[at][usize::from(counts[at]) % SLOTS] = slot.raw();
            counts[at] += 1;
        }
    }

    /// Takes over a subtable of the same size that is laid out already.
    pub(super) fn copy(&mut self, counts: &[u8], slots: &[u64]) {
        self.counts.copy_from_slice(counts);
        let mut rest = slots;
        for (bucket, &count) in self.words.chunks_exact_mut(SLOTS).zip(counts) {
            let (these, others) = rest.split_at(usize::from(count));
            bucket[..these.len()].copy_from_slice(these);
            rest = others;
        }
    }

    /// The slots in each bucket.
    pub(super) fn counts(&self) -> &[u8] {
        &self.counts
    }

    /// The words, bucket by bucket, the slots of each first.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>() + self.counts.capacity()
    }
}
