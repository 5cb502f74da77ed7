//! What a hash keyspace keeps beside its table.

use annals_journal::Seq;
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
    pub(super) expiries: Expiries,
}

/// When records expire, with the hashes of their keys.
pub(super) type Expiries = BinaryHeap<Reverse<(u64, u64)>>;

impl Beside {
    pub(super) fn restored(expiries: Vec<(u64, u64)>) -> Self {
        Self { expiries: expiries.into_iter().map(Reverse).collect(), ..Self::default() }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.graves.capacity() * size_of::<(Seq, u64)>()
            + self.expiries.capacity() * size_of::<(u64, u64)>()
    }
}
