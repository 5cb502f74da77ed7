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
    /// Bytes of current records by the slot of their segment.
    pub(super) live: Vec<u64>,
}

impl Beside {
    pub(super) fn restored(expiries: Vec<(u64, u64)>, live: Vec<u64>) -> Self {
        let expiries = expiries.into_iter().map(Reverse).collect();
        Self { graves: VecDeque::new(), expiries, live }
    }

    /// A record of `len` bytes at `address` became current.
    #[inline]
    pub(super) fn credit(&mut self, address: Address, len: u32) {
        let slot = address.slot as usize;
        if self.live.len() <= slot {
            self.live.resize(slot + 1, 0);
        }
        self.live[slot] += u64::from(len);
    }

    /// A record of `len` bytes at `address` is current no more.
    #[inline]
    pub(super) fn debit(&mut self, address: Address, len: u32) {
        if let Some(bytes) = self.live.get_mut(address.slot as usize) {
            *bytes = bytes.saturating_sub(u64::from(len));
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.graves.capacity() * size_of::<(Seq, u64)>()
            + self.expiries.capacity() * size_of::<(u64, u64)>()
            + self.live.capacity() * 8
    }
}
