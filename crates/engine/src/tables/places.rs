//! Where parts are.

use crate::{Error, Result, hash::Hit};
use annals_columns::{PartHead, PartIdentity};
use annals_journal::Address;
use parking_lot::Mutex;
use std::sync::Arc;

/// A part that is in the log, or may come there.
#[derive(Debug)]
pub(super) struct PartPlace {
    pub(super) number: u64,
    /// The fresh batches that it is made of: whoever sees it does not see those.
    pub(super) replaces: Vec<u64>,
    /// What it says of itself, as long as it lies where that was read.
    head: Mutex<Option<(Address, Arc<PartHead>)>>,
}

impl PartPlace {
    pub(super) fn new(number: u64, replaces: Vec<u64>) -> Self {
        Self { number, replaces, head: Mutex::new(None) }
    }

    /// What the part says of itself. Read anew where log compaction has moved it: the copy is other bytes, of which
    /// nothing was verified yet.
    pub(super) fn head(&self, database_id: u64, hit: &Hit<'_>) -> Result<Arc<PartHead>> {
        if let Some((address, head)) = &*self.head.lock()
            && *address == hit.address
        {
            return Ok(Arc::clone(head));
        }
        let (at, len) = hit.record.value;
        let identity = PartIdentity { database_id, number: self.number };
        let read = PartHead::read(hit.guard.bytes(at, len), identity).map_err(Error::from)?;
        let head = Arc::new(read);
        *self.head.lock() = Some((hit.address, Arc::clone(&head)));
        Ok(head)
    }
}
