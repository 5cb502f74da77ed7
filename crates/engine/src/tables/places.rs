//! Where parts are.

use super::{deleted::DeletedRows, rollup::Rollups};
use crate::{Error, Result, hash::Hit};
use annals_columns::{PartHead, PartIdentity, PartView, Schema};
use annals_journal::Address;
use parking_lot::Mutex;
use std::sync::Arc;

/// A part that is in the log, or may come there.
#[derive(Debug)]
pub(super) struct PartPlace {
    pub(super) number: u64,
    /// The fresh batches that it is made of: whoever sees it does not see those.
    pub(super) replaces: Vec<u64>,
    /// The parts that it is made of; likewise.
    pub(super) merges: Vec<u64>,
    /// Which of its rows were deleted.
    pub(super) deleted: Option<Arc<DeletedRows>>,
    /// Why it is not known which these are, if that is damaged.
    pub(super) unreadable: Option<annals_journal::Error>,
    /// What its events come to by day.
    pub(super) rollups: Rollups,
    /// What it says of itself, as long as it lies where that was read.
    head: Mutex<Option<(Address, Arc<PartHead>)>>,
    /// The same without the rows below one, as it was asked for last.
    pub(super) without: Mutex<Option<(u32, Arc<PartPlace>)>>,
}

impl PartPlace {
    pub(super) fn new(number: u64, replaces: Vec<u64>) -> Self {
        let (merges, rollups, head) = (Vec::new(), Rollups::default(), Mutex::new(None));
        let (deleted, unreadable, without) = (None, None, Mutex::default());
        Self { number, replaces, merges, deleted, unreadable, rollups, head, without }
    }

    /// One that is in the log, and why it is not known what was deleted of it, if it is not.
    pub(super) fn found(number: u64, unreadable: Option<annals_journal::Error>) -> Self {
        Self { unreadable, ..Self::new(number, Vec::new()) }
    }

    /// One that is made of parts.
    pub(super) fn merged(number: u64, merges: Vec<u64>, deleted: Option<Arc<DeletedRows>>) -> Self {
        Self { merges, deleted, ..Self::new(number, Vec::new()) }
    }

    /// The same, of which other rows were deleted.
    pub(super) fn with_deleted(&self, deleted: Option<Arc<DeletedRows>>) -> Self {
        let head = Mutex::new(self.head.lock().clone());
        let (merges, unreadable) = (self.merges.clone(), self.unreadable.clone());
        let rollups = self.rollups.of_same_part();
        let new = Self::new(self.number, self.replaces.clone());
        Self { merges, deleted, unreadable, rollups, head, ..new }
    }

    /// What lies under the same number when the table is read again: another part, if a writer has opened it since.
    pub(super) fn read_again(&self) -> Self {
        Self { rollups: Rollups::default(), ..self.with_deleted(None) }
    }

    /// How many of a part's rows were not deleted.
    pub(super) fn live_rows(&self, part: PartView<'_>) -> u64 {
        let deleted = self.deleted.as_ref().map_or(0, |deleted| deleted.set().len());
        part.rows_count().saturating_sub(deleted) as u64
    }

    /// What the part says of itself. Read anew where log compaction has moved it: the copy is other bytes, of which
    /// nothing was verified yet. It gets the table's schema, if there is one and it is equal.
    pub(super) fn head(
        &self,
        database_id: u64,
        hit: &Hit<'_>,
        schema: impl FnOnce() -> Option<Arc<Schema>>,
    ) -> Result<Arc<PartHead>> {
        if let Some((address, head)) = &*self.head.lock()
            && *address == hit.address
        {
            return Ok(Arc::clone(head));
        }
        let (at, len) = hit.record.value;
        let identity = PartIdentity { database_id, number: self.number };
        let mut read = PartHead::read(hit.guard.bytes(at, len), identity).map_err(Error::from)?;
        if let Some(schema) = schema() {
            read = read.sharing_schema(&schema);
        }
        let head = Arc::new(read);
        *self.head.lock() = Some((hit.address, Arc::clone(&head)));
        Ok(head)
    }
}
