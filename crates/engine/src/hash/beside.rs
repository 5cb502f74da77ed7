//! What a hash keyspace keeps beside its table.

use annals_journal::{Address, Seq};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// What a hash keyspace keeps beside its table.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Keys that are removed but still in the table for the sake of snapshots, by the number of
    /// their removal.
    pub(super) graves: VecDeque<(Seq, u64)>,
    /// When records expire, with the hashes of their keys.
    pub(super) expiries: BinaryHeap<Reverse<(u64, u64)>>,
    /// Bytes of current records.
    pub(super) live: Bytes,
    /// Bytes of records that removed keys in the table point to.
    pub(super) dead: Bytes,
    /// Bytes of records that are in no table and hide older ones from a rebuild.
    pub(super) hiding: Bytes,
}

/// Bytes by the slot of their segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Bytes(Vec<u64>);

impl Bytes {
    #[inline]
    pub(super) fn credit(&mut self, address: Address, len: u32) {
        let slot = address.slot as usize;
        if self.0.len() <= slot {
            self.0.resize(slot + 1, 0);
        }
        self.0[slot] += u64::from(len);
    }

    #[inline]
    pub(super) fn debit(&mut self, address: Address, len: u32) {
        if let Some(bytes) = self.0.get_mut(address.slot as usize) {
            *bytes = bytes.saturating_sub(u64::from(len));
        }
    }

    fn forget(&mut self, slot: u32) {
        if let Some(bytes) = self.0.get_mut(slot as usize) {
            *bytes = 0;
        }
    }

    fn add_to(&self, sum: &mut Vec<u64>) {
        sum.resize(sum.len().max(self.0.len()), 0);
        for (sum, bytes) in sum.iter_mut().zip(&self.0) {
            *sum += bytes;
        }
    }
}

impl Beside {
    pub(super) fn restored(expiries: Vec<(u64, u64)>, live: Vec<u64>) -> Self {
        let expiries = expiries.into_iter().map(Reverse).collect();
        Self { expiries, live: Bytes(live), ..Self::default() }
    }

    /// Bytes that outlive this process, by slot: what a checkpoint keeps.
    pub(super) fn lasting(&self) -> Vec<u64> {
        let mut sum = self.live.0.clone();
        self.hiding.add_to(&mut sum);
        sum
    }

    /// Bytes of everything that compaction has to move, by slot.
    pub(super) fn needed(&self) -> Vec<u64> {
        let mut sum = self.lasting();
        self.dead.add_to(&mut sum);
        sum
    }

    /// Bytes of what the table points to, by slot.
    #[cfg(test)]
    pub(super) fn pointed_to(&self) -> Vec<u64> {
        let mut sum = self.live.0.clone();
        self.dead.add_to(&mut sum);
        sum
    }

    /// The segment in `slot` holds nothing of this view any more. The next one there starts at zero,
    /// whatever a recovery may have miscounted in this one.
    pub(super) fn forget(&mut self, slot: u32) {
        for bytes in [&mut self.live, &mut self.dead, &mut self.hiding] {
            bytes.forget(slot);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let slots = [&self.live, &self.dead, &self.hiding].map(|bytes| bytes.0.capacity());
        self.graves.capacity() * size_of::<(Seq, u64)>()
            + self.expiries.capacity() * size_of::<(u64, u64)>()
            + slots.iter().sum::<usize>() * 8
    }
}
