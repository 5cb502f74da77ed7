//! Appending events.

use super::{keys, table::EventTable};
use crate::{Commit, Error, Result, WriteBatch};
use annals_columns::{Batch, ToRow, WideEvent as _};

/// From so many fresh rows, bytes or batches on the one who appends makes a part of them.
const FLUSH_ROWS: usize = 1 << 16;
const FLUSH_BYTES: usize = 64 << 20;
const FLUSH_BATCHES: usize = 512;

/// A fresh batch that may come; forgotten if it does not.
#[derive(Debug)]
pub(crate) struct Pending {
    table: EventTable,
    number: u64,
    is_there: bool,
}

impl Pending {
    /// The batch is committed.
    pub(crate) fn commit(&mut self) {
        self.is_there = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // A commit that failed while it waited for durability may be there all the same.
        let is_there = || matches!(self.table.space().hit(&keys::fresh(self.number)), Ok(Some(_)));
        if !self.is_there && !is_there() {
            let shape = self.table.shape();
            shape.change(|known| known.forget(&[self.number]));
        }
    }
}

impl EventTable {
    /// Appends one event. Who has many appends them [together](Self::append_batch), which costs far less for each.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch), and if a field is missing or too long.
    pub fn append<R: ToRow>(&self, event: &R) -> Result<Commit> {
        let mut batch = Batch::of::<R::Event>();
        super::table::check_schema(R::Event::schema(), &self.schema()?)?;
        batch.push(event)?;
        self.append_batch(&batch)?.ok_or(Error::NoEvents)
    }

    /// Appends events, in any order of their times: all of them or none, in one commit. `None` for an empty batch.
    ///
    /// From 65,536 events on that are in no part yet, this makes a part of them before it returns.
    ///
    /// # Errors
    /// `InvalidInput` if the batch has another schema than the table; those of writing. Nothing was written then,
    /// unless it was waiting for durability that failed.
    pub fn append_batch(&self, batch: &Batch) -> Result<Option<Commit>> {
        let mut commit = self.batch_of_commit();
        commit.append_rows(self, batch)?;
        let done = commit.commit()?;
        if self.is_due() {
            self.flush()?;
        }
        Ok(done)
    }

    fn is_due(&self) -> bool {
        let is_due = self.shape().look(|known| {
            known.fresh_rows >= FLUSH_ROWS
                || known.fresh_bytes >= FLUSH_BYTES
                || known.fresh.len() >= FLUSH_BATCHES
        });
        is_due.unwrap_or(false)
    }

    /// The bytes of a batch, and its key in the table's keyspace.
    pub(crate) fn begin(&self, batch: &Batch) -> Result<(Vec<u8>, [u8; 9], Pending)> {
        super::table::check_schema(batch.schema(), &self.schema()?)?;
        let mut value = Vec::new();
        batch.encode(&mut value);
        let (rows, bytes) = (batch.len(), value.len());
        let number = self.shape().change(|known| known.begin(rows, bytes)).ok_or(Error::Stale)?;
        let pending = Pending { table: self.clone(), number, is_there: false };
        Ok((value, keys::fresh(number), pending))
    }
}

impl WriteBatch {
    /// Will append events to a table. Nothing for an empty batch.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::{Batch, Schema};
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Request {
    ///     #[ts]
    ///     at: i64,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let (requests, last) = (db.table_of::<Request>("requests")?, db.keyspace("last")?);
    /// let mut events = Batch::of::<Request>();
    /// events.push(&Request { at: 10 })?;
    /// let mut batch = db.batch();
    /// batch.append_rows(&requests, &events)?;
    /// batch.insert(&last, "request", "10")?;
    /// batch.commit()?;
    /// assert_eq!(requests.view()?.len(), 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if the events have another schema than the table, and those of [`insert`](Self::insert). The
    /// batch is then as it was.
    pub fn append_rows(&mut self, table: &EventTable, events: &Batch) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let (value, key, pending) = table.begin(events)?;
        self.insert(table.space(), key, value)?;
        self.keep(pending);
        Ok(())
    }
}
