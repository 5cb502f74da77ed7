//! The view of a hash keyspace: the table, and what is kept beside it.

use super::{beside::Beside, table::Table};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The state of a hash keyspace. Clearing the keyspace puts a fresh one in its place; snapshots
/// keep the old one.
#[derive(Debug, Default)]
pub(crate) struct HashView {
    pub(crate) table: Table,
    /// Taken after the right to change the table, if both are.
    pub(super) beside: Mutex<Beside>,
    pub(super) has_expiries: AtomicBool,
}

impl HashView {
    /// Puts back what a checkpoint kept.
    pub(crate) fn restored(table: Table, expiries: Vec<(u64, u64)>, live: Vec<u64>) -> Self {
        let has_expiries = AtomicBool::new(!expiries.is_empty());
        Self { table, beside: Mutex::new(Beside::restored(expiries, live)), has_expiries }
    }

    /// Whether some record of this view may expire.
    pub(crate) fn has_expiries(&self) -> bool {
        self.has_expiries.load(Ordering::Acquire)
    }

    /// Bytes of current records by the slot of their segment.
    pub(crate) fn live_bytes(&self) -> Vec<u64> {
        self.beside.lock().live.clone()
    }

    /// When records expire, with the hashes of their keys, in no particular order.
    pub(crate) fn expiries(&self) -> Vec<(u64, u64)> {
        self.beside.lock().expiries.iter().map(|entry| entry.0).collect()
    }

    /// Memory the view takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.table.memory_bytes() + self.beside.lock().memory_bytes()
    }
}
