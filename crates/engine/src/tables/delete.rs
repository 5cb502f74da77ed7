//! Deleting events by their ids.
//!
//! A part never changes, and neither does a batch: which of their rows were deleted is a record beside them, and what
//! reads them leaves those rows out. Who makes a part of them leaves the rows out for good. Both are done under one
//! lock of the table, so that no row is deleted from what is becoming something else.

use super::{
    deleted::DeletedRows,
    keys,
    lifetime::Lifetime,
    places::PartPlace,
    shape::{Coming, Known},
    table::EventTable,
};
use crate::{Result, WriteBatch};
use annals_journal::Seq;
use parking_lot::MutexGuard;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Events that a batch of writes will delete.
#[derive(Debug)]
pub(crate) struct Deletion {
    table: EventTable,
    ids: BTreeSet<String>,
}

/// The rows of the events that are to be deleted, while no other one may delete or move them.
#[derive(Debug)]
pub(crate) struct Deleting<'d> {
    table: &'d EventTable,
    coming: Arc<Coming>,
    events_count: u64,
    _flushing: MutexGuard<'d, ()>,
}

impl Deletion {
    /// Whether it deletes the events with this id of a table.
    pub(super) fn has(&self, table: &EventTable, id: &str) -> bool {
        self.table.keyspace_id() == table.keyspace_id() && self.ids.contains(id)
    }

    /// Adds what another one will delete to the one of the same table, in the order in which tables are locked.
    pub(crate) fn add_to(self, all: &mut Vec<Self>) {
        let id = self.table.keyspace_id();
        match all.binary_search_by_key(&id, |other| other.table.keyspace_id()) {
            Ok(at) => all[at].ids.extend(self.ids),
            Err(at) => all.insert(at, self),
        }
    }

    /// Looks for the rows.
    pub(crate) fn begin(&self) -> Result<Deleting<'_>> {
        let flushing = self.table.shape().flushing.lock();
        let known = self.table.known()?;
        // It may have such events, which would be there if the file were put back.
        if let Some(lost) = known.lost.first() {
            return Err(lost.damage.error.clone());
        }
        let (mut fresh, mut parts) = (HashMap::new(), HashMap::new());
        let mut events_count = 0;
        let mut lifetime = self.table.lifetime(&known);
        let mut with = |before: &Option<Arc<DeletedRows>>, rows: Vec<u32>| {
            let now = DeletedRows::with(before.as_deref(), rows);
            let count = before.as_ref().map_or(0, |before| before.set().len());
            events_count += (now.set().len() - count) as u64;
            Arc::new(now)
        };
        for place in known.parts.iter() {
            let rows = self.rows_of_part(place, lifetime.as_ref())?;
            if !rows.is_empty() {
                parts.insert(place.number, with(&place.deleted, rows));
            }
        }
        for one in &known.fresh {
            let Some(batch) = self.table.read_fresh(&known, one)? else { continue };
            let left = lifetime
                .as_mut()
                .map_or_else(|| Ok(Some(Arc::clone(&batch))), |lifetime| lifetime.of_batch(&batch));
            let Some(batch) = left? else { continue };
            let rows: Vec<u32> = self.ids.iter().flat_map(|id| batch.rows_of_id(id)).collect();
            if !rows.is_empty() {
                fresh.insert(one.number, with(&one.deleted, rows));
            }
        }
        let coming = Arc::new(Coming { fresh, parts });
        Ok(Deleting { table: &self.table, coming, events_count, _flushing: flushing })
    }

    fn rows_of_part(&self, place: &PartPlace, lifetime: Option<&Lifetime>) -> Result<Vec<u32>> {
        let Some(found) = self.table.part(place)? else { return Ok(Vec::new()) };
        let (part, mut rows) = (found.view(), Vec::new());
        let deleted = place.deleted.as_ref().map(|deleted| deleted.set());
        let mut seek = || -> Result<()> {
            let first = lifetime.map_or(Ok(0), |lifetime| lifetime.first_row(part))?;
            for id in &self.ids {
                part.find_id_if(id, |row| {
                    if row >= first && !deleted.is_some_and(|deleted| deleted.contains(row)) {
                        rows.push(row);
                    }
                    false
                })?;
            }
            Ok(())
        };
        seek().map_err(|error| found.named(error))?;
        Ok(rows)
    }
}

impl<'d> Deleting<'d> {
    /// Rows of fresh batches and parts that are to be deleted beside something else.
    pub(super) fn new(
        table: &'d EventTable,
        fresh: HashMap<u64, Arc<DeletedRows>>,
        parts: HashMap<u64, Arc<DeletedRows>>,
        flushing: MutexGuard<'d, ()>,
    ) -> Self {
        let coming = Arc::new(Coming { fresh, parts });
        Self { table, coming, events_count: 0, _flushing: flushing }
    }

    /// How many events there are.
    pub(crate) fn events_count(&self) -> u64 {
        self.events_count
    }

    /// Adds what has to be written. Readers know of it before it is committed: so what is committed with it is not
    /// there for them without it.
    pub(crate) fn write(&self, commit: &mut WriteBatch) -> Result<()> {
        for (key, rows) in self.coming.records() {
            commit.insert(self.table.space(), key, rows.bytes())?;
        }
        if !self.coming.is_empty() {
            let coming = Arc::clone(&self.coming);
            self.table.shape().change(|known| known.expect(Some(coming)));
        }
        Ok(())
    }

    /// It is written.
    pub(crate) fn done(self) {
        self.done_with(|_| {});
    }

    /// It is written, and something else with it.
    pub(super) fn done_with(self, also: impl FnOnce(&mut Known)) {
        self.table.shape().change(|known| {
            known.delete(&self.coming);
            also(known);
        });
    }

    /// Writing failed. If that was while it waited for durability, it is there all the same.
    pub(crate) fn failed(self) {
        if self.table.has_come(&self.coming, Seq(u64::MAX)).is_ok_and(|has_come| has_come) {
            self.done();
        }
    }
}

impl Drop for Deleting<'_> {
    fn drop(&mut self) {
        // It was done, or will not be.
        if !self.coming.is_empty() {
            self.table.shape().change(|known| known.expect(None));
        }
    }
}

impl Coming {
    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.parts.is_empty()
    }

    /// What has to be written.
    fn records(&self) -> impl Iterator<Item = ([u8; keys::NUMBERED_BYTES], &DeletedRows)> {
        let parts = self.parts.iter().map(|(number, rows)| (keys::deleted(*number), &**rows));
        let fresh = self.fresh.iter().map(|(number, rows)| (keys::deleted_fresh(*number), &**rows));
        parts.chain(fresh)
    }
}

impl EventTable {
    /// Whether this was committed, up to a number. All of it is in one commit.
    pub(super) fn has_come(&self, coming: &Coming, seq: Seq) -> Result<bool> {
        let Some((key, rows)) = coming.records().next() else { return Ok(false) };
        let Some(hit) = self.space().hit(&key)? else { return Ok(false) };
        let is_seen = hit.record.seq <= seq;
        Ok(is_seen && *hit.into_value() == *rows.bytes())
    }
}

impl EventTable {
    /// Deletes the events with these ids, all that there are of each, and says how many there were. They are in no
    /// answer any more when this returns; who has a [view](Self::view) from before goes on to have them. Their space is
    /// given back when the part they are in is merged with others or dropped.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::Schema;
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
    /// let requests = db.table_of::<Request>("requests")?;
    /// requests.append(&Request::event().at(10).id("a"))?;
    /// requests.append(&Request::event().at(20).id("b"))?;
    /// assert_eq!(requests.delete_events(["a", "nobody"])?, 1);
    /// assert_eq!(requests.view()?.len(), 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoIds`](crate::Error::NoIds) if events have no id; those of writing, and nothing was deleted then, unless it was waiting for
    /// durability that failed.
    pub fn delete_events<I: AsRef<str>>(&self, ids: impl IntoIterator<Item = I>) -> Result<u64> {
        let mut batch = self.batch_of_commit();
        batch.delete_events(self, ids)?;
        Ok(batch.commit_counted(|| Ok(true))?.deleted_count)
    }
}

impl WriteBatch {
    /// Will delete the events with these ids from a table: those that are there when the batch is committed. Events
    /// that this batch appends itself stay.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::Schema;
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
    /// let (requests, log) = (db.table_of::<Request>("requests")?, db.keyspace("deleted")?);
    /// requests.append(&Request::event().at(10).id("a"))?;
    /// let mut batch = db.batch();
    /// batch.delete_events(&requests, ["a"])?;
    /// batch.insert(&log, "a", "on request")?;
    /// batch.commit()?;
    /// assert!(requests.view()?.is_empty());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoIds`](crate::Error::NoIds) if events have no id, [`Error::ForeignKeyspace`](crate::Error::ForeignKeyspace) if the table belongs to another
    /// database. What there is to write is known when it is committed: that fails if it is too much for one commit.
    pub fn delete_events<I: AsRef<str>>(
        &mut self,
        table: &EventTable,
        ids: impl IntoIterator<Item = I>,
    ) -> Result<()> {
        self.check_own(table.space())?;
        if table.schema()?.event_id().is_none() {
            return Err(crate::Error::NoIds { name: table.name().to_owned() });
        }
        let ids = ids.into_iter().map(|id| id.as_ref().to_owned()).collect();
        self.delete(Deletion { table: table.clone(), ids });
        Ok(())
    }
}
