//! Figures about a table.

use super::table::EventTable;
use crate::Result;
use std::time::Duration;

/// Figures about an event table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTableStats {
    /// Events there are.
    pub events_count: u64,
    /// Those of them that are in no part yet.
    pub fresh_count: u64,
    /// The batches that these are in.
    pub batches_count: usize,
    /// Parts.
    pub parts_count: usize,
    /// Their bytes.
    pub parts_bytes: u64,
    /// Events in parts that were deleted and whose space was not given back yet.
    pub deleted_count: u64,
    /// Parts and others that [cannot be read](crate::TableView::damages).
    pub damages_count: usize,
    /// How often somebody who appended had to wait for parts to be made, since this opening.
    pub waits_count: u64,
    /// And for how long in all.
    pub waited: Duration,
}

impl EventTable {
    /// Figures about the table as it is now.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    pub fn stats(&self) -> Result<EventTableStats> {
        let view = self.view()?;
        let (waits_count, waited) = *self.shape().waits.lock();
        let deleted = view.parts_with_deleted().filter_map(|(_, deleted)| deleted);
        Ok(EventTableStats {
            events_count: view.len(),
            fresh_count: view.fresh.iter().map(|batch| batch.len() as u64).sum(),
            batches_count: view.fresh.len(),
            parts_count: view.parts_count(),
            parts_bytes: view.parts_bytes(),
            deleted_count: deleted.map(|deleted| deleted.len() as u64).sum(),
            damages_count: view.damages().len(),
            waits_count,
            waited,
        })
    }
}
