//! The view of a hash keyspace: the table, and what is kept beside it.

use super::{
    beside::Beside,
    bytes::{Bytes, NEEDS, Need},
    table::Table,
};
use crate::streams::Chains;
use annals_journal::Seq;
use parking_lot::Mutex;
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering, fence},
};

/// The state of a hash keyspace. Clearing the keyspace puts a fresh one in its place; snapshots
/// keep the old one.
#[derive(Debug, Default)]
pub(crate) struct HashView {
    pub(crate) table: Table,
    /// Taken after the right to change the table, if both are.
    pub(super) beside: Mutex<Beside>,
    pub(super) bytes: Bytes,
    pub(super) has_expiries: AtomicBool,
    /// Of a category: what else leads into its streams.
    chains: OnceLock<Box<Chains>>,
    /// The first number of the last frame of several records that changed this view.
    frame_seq: AtomicU64,
    /// How many records there were before that frame.
    len_before: AtomicU64,
}

impl HashView {
    /// Puts back what a checkpoint kept.
    pub(crate) fn restored(table: Table, expiries: Vec<(u64, u64)>, live: &[u64]) -> Self {
        let has_expiries = AtomicBool::new(!expiries.is_empty());
        let beside = Mutex::new(Beside::restored(expiries));
        Self { table, beside, bytes: Bytes::restored(live), has_expiries, ..Self::default() }
    }

    /// Puts back what a checkpoint kept of a category.
    pub(crate) fn of_category(table: Table, chains: Chains, live: &[u64]) -> Self {
        let view = Self::restored(table, Vec::new(), live);
        Self { chains: OnceLock::from(Box::new(chains)), ..view }
    }

    /// What else leads into the streams of a category.
    #[inline]
    pub(crate) fn chains(&self) -> &Chains {
        self.chains.get_or_init(Box::default)
    }

    /// How many records there are, frames of several records counted whole or not at all: one that
    /// `visible` does not reach yet is not counted. Waits for nobody.
    pub(crate) fn len(&self, visible: impl Fn() -> Seq) -> u64 {
        loop {
            let frame_seq = self.frame_seq.load(Ordering::Acquire);
            let len = if visible().0 >= frame_seq {
                self.table.len() as u64
            } else {
                self.len_before.load(Ordering::Relaxed)
            };
            // Who has counted a part of a later frame sees here that it began.
            fence(Ordering::Acquire);
            if self.frame_seq.load(Ordering::Relaxed) == frame_seq {
                return len;
            }
        }
    }

    /// A frame of several records, the first of which has number `first_seq`, begins to change the
    /// view, or goes on.
    #[inline]
    pub(super) fn begin_frame(&self, first_seq: Seq) {
        if self.frame_seq.load(Ordering::Relaxed) != first_seq.0 {
            self.len_before.store(self.table.len() as u64, Ordering::Relaxed);
            self.frame_seq.store(first_seq.0, Ordering::Release);
            fence(Ordering::Release);
        }
    }

    /// Whether some record of this view may expire.
    pub(crate) fn has_expiries(&self) -> bool {
        self.has_expiries.load(Ordering::Acquire)
    }

    /// Bytes of records that stay current over a restart, by the slot of their segment.
    pub(crate) fn lasting_bytes(&self) -> Vec<u64> {
        self.bytes.sums(&[Need::Live, Need::Hiding])
    }

    /// Bytes of records that compaction has to move, by the slot of their segment.
    pub(crate) fn needed_bytes(&self) -> Vec<u64> {
        self.bytes.sums(&NEEDS)
    }

    /// Bytes of records that the table points to, by the slot of their segment.
    #[cfg(test)]
    pub(crate) fn pointed_to_bytes(&self) -> Vec<u64> {
        self.bytes.sums(&[Need::Live, Need::Dead])
    }

    /// When records expire, with the hashes of their keys, in no particular order.
    pub(crate) fn expiries(&self) -> Vec<(u64, u64)> {
        self.beside.lock().expiries.iter().map(|entry| entry.0).collect()
    }

    /// Memory the view takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let chains = self.chains.get().map_or(0, |chains| chains.memory_bytes());
        let beside = self.beside.lock().memory_bytes();
        self.table.memory_bytes() + beside + self.bytes.memory_bytes() + chains
    }
}
