//! Appending events.

use super::{
    delete::Deletion,
    deleted::DeletedRows,
    flush::PART_BYTES,
    fresh, keys,
    shape::{Coming, Known},
    table::EventTable,
    unique::{AppendReport, Sought},
};
use crate::{
    Commit, Error, Result, WriteBatch,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Batch, Schema, ToRow};
use std::{cell::Cell, collections::HashMap, sync::Arc, time::Duration};

/// Nor are there more fresh batches than this: each is looked at by itself.
const FLUSH_BATCHES: usize = 512;
/// Who appends waits when there is this many times as much that is fresh as makes a part.
const BEHIND_TIMES: usize = 4;

/// As much memory as this is kept by a thread that appends, for the bytes of its next batch.
const KEEP_BYTES: usize = 1 << 20;

thread_local! {
    static VALUE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Memory for the bytes of a batch.
fn take_value() -> Vec<u8> {
    // A thread that is ending has none.
    VALUE.try_with(Cell::take).unwrap_or_default()
}

/// Keeps it for the next batch.
fn keep_value(mut value: Vec<u8>) {
    value.clear();
    value.shrink_to(KEEP_BYTES);
    let _ = VALUE.try_with(|kept| kept.set(value));
}

/// A batch that is about to be committed: its value and its key.
pub(crate) type Begun = (Vec<u8>, [u8; keys::NUMBERED_BYTES], Pending);

/// A fresh batch that may come; forgotten if it does not.
#[derive(Debug)]
pub(crate) struct Pending {
    table: EventTable,
    number: u64,
    /// How many events it has.
    rows: usize,
    /// The ids of its events, if the table wants each once.
    sought: Option<Sought>,
    is_there: bool,
}

impl Pending {
    pub(super) fn table(&self) -> &EventTable {
        &self.table
    }

    pub(super) fn is_of(&self, table: &EventTable) -> bool {
        self.table.keyspace_id() == table.keyspace_id()
    }

    pub(crate) fn events_count(&self) -> u64 {
        self.rows as u64
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn sought(&self) -> Option<&Sought> {
        self.sought.as_ref()
    }

    /// Some of its rows will not be there when it is.
    pub(super) fn leave_out(&self, rows: Arc<DeletedRows>) {
        let fresh = HashMap::from([(self.number, rows)]);
        let coming = Coming { fresh, ..Coming::default() };
        self.table.shape().change(|known| known.delete(&coming));
    }

    /// The batch is committed.
    pub(crate) fn commit(&mut self) {
        self.is_there = true;
    }

    /// Nothing is held any more that others may wait for.
    pub(crate) fn done(&self) {
        self.table.note_appended();
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
    /// `None` if its id is there already and the table [ignores](crate::Duplicates::Ignore) it then: nothing was written.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch), and if a field is missing or too long.
    pub fn append<R: ToRow>(&self, event: &R) -> Result<Option<Commit>> {
        let mut batch = Batch::of::<R::Event>();
        batch.push(event)?;
        self.append_batch(&batch)
    }

    /// Appends events, in any order of their times: all of them or none, in one commit. `None` for an empty batch. What
    /// becomes of an id that is there already [the table says](crate::Duplicates).
    ///
    /// From so many events on that are in no part yet, a part is made of them in the background
    /// ([`Builder::flush_at`](crate::Builder::flush_at)). If that falls far behind, this waits for it after the commit; without threads it makes
    /// the part itself then.
    ///
    /// # Errors
    /// `InvalidInput` if the batch has another schema than the table, unless it had that before, or takes more than 256 MiB;
    /// [`Error::DuplicateId`]; those of
    /// writing. Nothing was written then, unless it was waiting for durability that failed.
    pub fn append_batch(&self, batch: &Batch) -> Result<Option<Commit>> {
        Ok(self.append_batch_counted(batch)?.commit)
    }

    /// The same; says how many events were appended, and how many were [left out](crate::Duplicates::Ignore).
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Duplicates, TableOptions};
    /// use annals_columns::{Batch, Schema, WideEvent};
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Request {
    ///     #[ts]
    ///     at: i64,
    ///     #[id]
    ///     id: String,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let once = TableOptions::default().duplicates(Duplicates::Ignore);
    /// let requests = db.create_table("requests", Request::schema(), once)?;
    /// let mut events = Batch::of::<Request>();
    /// for id in ["a", "b"] {
    ///     events.push(&Request::event().at(10).id(id))?;
    /// }
    /// requests.append_batch(&events)?;
    /// // Nobody knows whether that went through; it is done again with what came since.
    /// events.push(&Request::event().at(20).id("c"))?;
    /// let report = requests.append_batch_counted(&events)?;
    /// assert_eq!((report.appended_count, report.ignored_count), (1, 2));
    /// assert_eq!(requests.view()?.len(), 3);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn append_batch_counted(&self, batch: &Batch) -> Result<AppendReport> {
        self.append_and(batch, None)
    }

    /// The same, and keeps in the same commit how far whoever appends has come: bytes that mean something to it, in
    /// place of those that the table had. So who goes on after a crash knows exactly what is there. The mark is kept also
    /// if the batch is empty or all of it is left out.
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
    /// let requests = db.table_of::<Request>("requests")?;
    /// let mut events = Batch::of::<Request>();
    /// events.push(&Request { at: 10 })?;
    /// requests.append_batch_marked(&events, b"line 1")?;
    /// assert_eq!(requests.mark()?.as_deref(), Some(&b"line 1"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch), and if the mark is longer than a value can be.
    pub fn append_batch_marked(&self, batch: &Batch, mark: &[u8]) -> Result<AppendReport> {
        self.append_and(batch, Some(mark))
    }

    /// The [mark](Self::append_batch_marked) that was kept last; `None` if there never was one. One look-up.
    ///
    /// # Errors
    /// Those of reading.
    pub fn mark(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.space().get(keys::MARK)?.map(|mark| mark.to_vec()))
    }

    fn append_and(&self, batch: &Batch, mark: Option<&[u8]>) -> Result<AppendReport> {
        let mut commit = self.batch_of_commit();
        commit.append_rows(self, batch)?;
        if let Some(mark) = mark {
            commit.insert(self.space(), keys::MARK, mark)?;
        }
        let done = commit.commit_counted(|| Ok(true))?;
        let ignored_count = done.ignored_count;
        let appended_count = batch.len() as u64 - ignored_count;
        Ok(AppendReport { commit: done.commit, appended_count, ignored_count })
    }

    /// Whether there is this many times as much that is fresh as makes a part.
    fn is_due_times(&self, times: usize) -> bool {
        let config = &self.space().parts().0.maintenance.config;
        let is_due = self.shape().look(|known| {
            known.fresh_rows >= config.flush_rows.saturating_mul(times)
                || known.fresh_bytes >= config.flush_bytes.saturating_mul(times)
                || known.fresh.len() >= FLUSH_BATCHES * times
        });
        is_due.unwrap_or(false)
    }

    /// Whether parts are to be made of what is fresh.
    pub(super) fn is_due(&self) -> bool {
        if self.is_due_times(1) {
            return true;
        }
        let flush_after = self.space().parts().0.maintenance.config.flush_after_ms;
        let oldest = self.shape().look(|known| known.fresh.first().map(|one| one.since_ms));
        oldest.flatten().is_some_and(|since| since.saturating_add(flush_after) <= self.now_ms())
    }

    /// Sees to it, after something was appended, that what is fresh does not become too much.
    pub(super) fn note_appended(&self) {
        if !self.is_due_times(1) {
            return;
        }
        let (core, _) = self.space().parts();
        let worker = &core.tables;
        if !self.is_due_times(BEHIND_TIMES) {
            return worker.wake();
        }
        meanwhile::run(Moment::FallenBehind);
        let begun_ns = core.journal.disk().monotonic_ns();
        if !worker.wait_while(|| self.is_due_times(BEHIND_TIMES))
            && let Err(error) = self.flush()
        {
            // What was appended is there all the same.
            tracing::warn!(%error, "parts of event tables will be made later");
        }
        let mut waits = self.shape().waits.lock();
        waits.0 += 1;
        let waited_ns = core.journal.disk().monotonic_ns().saturating_sub(begun_ns);
        waits.1 += Duration::from_nanos(waited_ns);
    }

    /// The bytes of a batch, and its key in the table's keyspace; what is left out of it since its id is there, or comes
    /// before it in the commit. `None` if nothing is left.
    pub(crate) fn begin(
        &self,
        batch: &Batch,
        before: &[Pending],
        deletions: &[Deletion],
    ) -> Result<(Option<Begun>, u64)> {
        loop {
            let schema = self.schema()?;
            let begun = self.begin_as(&schema, batch, before, deletions)?;
            // Nobody would know how to read it if the table had another schema meanwhile, and what came of that is known.
            if let Some(begun) = begun {
                return Ok(begun);
            }
        }
    }

    /// The same; `None` if the table has another schema by then.
    fn begin_as(
        &self,
        schema: &Arc<Schema>,
        batch: &Batch,
        before: &[Pending],
        deletions: &[Deletion],
    ) -> Result<Option<(Option<Begun>, u64)>> {
        super::table::check_schema(batch.schema(), schema)?;
        fresh::check_seq(self.name(), self.space().parts().0.visible_seq())?;
        let wanted = self.seek_ids(batch, before, deletions)?;
        let (left_out, sought) =
            wanted.map_or_else(Default::default, |wanted| (wanted.left_out, Some(wanted.sought)));
        let rows = batch.len() - left_out.len();
        if rows == 0 {
            return Ok(Some((None, left_out.len() as u64)));
        }
        let mut value = take_value();
        if batch.schema() == schema && left_out.is_empty() {
            batch.encode(&mut value);
        } else {
            let is_kept = |row: &u32| left_out.binary_search(row).is_err();
            let kept: Vec<u32> = (0..batch.len() as u32).filter(is_kept).collect();
            fresh::copied(batch, Some(&kept), schema)?.encode(&mut value);
        }
        let bytes = value.len();
        // It becomes a part, which is one value: as long as that is not too long, nothing keeps it from being flushed.
        if bytes > PART_BYTES {
            let (size, limit) = (bytes as u64, PART_BYTES as u64);
            let what = "a batch in bytes, to be appended in several,".to_owned();
            return Err(annals_columns::Error::TooLarge { what, size, limit }.into());
        }
        let now_ms = self.now_ms();
        meanwhile::run(Moment::RowsEncoded);
        let begin = |known: &mut Known| {
            let is_same = Arc::ptr_eq(&known.schema, schema) || known.schema == *schema;
            is_same.then(|| known.begin(rows, bytes, now_ms))
        };
        let Some(number) = self.shape().change(begin).ok_or(Error::Stale)? else {
            return Ok(None);
        };
        let pending = Pending { table: self.clone(), number, rows, sought, is_there: false };
        Ok(Some((Some((value, keys::fresh(number), pending)), left_out.len() as u64)))
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
    /// `InvalidInput` if the events have another schema than the table, unless it had that before, [`Error::DuplicateId`], and those
    /// of [`insert`](Self::insert). The batch is then as it was. Ids are looked for once more when it is committed.
    pub fn append_rows(&mut self, table: &EventTable, events: &Batch) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.check_own(table.space())?;
        let (begun, ignored_count) = table.begin(events, self.rows(), self.deletions())?;
        if let Some((value, key, pending)) = begun {
            self.insert(table.space(), key, &value)?;
            keep_value(value);
            self.keep(pending);
        }
        self.note_ignored(ignored_count);
        Ok(())
    }
}
