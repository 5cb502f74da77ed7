//! Tables that want each id once.
//!
//! Whoever appends looks for the ids when the events are encoded, and once more under a lock of the table if others have
//! appended in between. The lock is held until the commit is visible, and not while it waits for durability.

use super::{
    append::Pending, damage::ALWAYS, delete::Deletion, deleted::DeletedRows, fresh::FreshBatch,
    keys, table::EventTable,
};
use crate::{Error, Result, WriteBatch};
use annals_columns::Batch;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What becomes of an event that is appended with an id that the table has already.
///
/// Ids of events that were deleted or are over are no longer there, and events without an id are never the same. What was
/// there before a table wanted each id once stays as it is, and appends that are under way when it is told so go
/// by what held before.
///
/// To look for an id costs a look at the filter of ids of each part, and the appends of one table take turns in
/// becoming visible; they still share syncs.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, Duplicates, TableOptions};
/// use annals_columns::{Schema, WideEvent};
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
/// let once = TableOptions::default().duplicates(Duplicates::Refuse);
/// let requests = db.create_table("requests", Request::schema(), once)?;
/// requests.append(&Request::event().at(10).id("a"))?;
/// let refused = requests.append(&Request::event().at(20).id("a")).unwrap_err();
/// assert!(matches!(refused, annals::Error::DuplicateId { .. }), "{refused}");
///
/// // The one that is there makes room for another, in one step.
/// let mut events = annals_columns::Batch::of::<Request>();
/// events.push(&Request::event().at(30).id("a"))?;
/// let mut batch = db.batch();
/// batch.delete_events(&requests, ["a"])?;
/// batch.append_rows(&requests, &events)?;
/// batch.commit()?;
/// assert_eq!(requests.view()?.event("a")?.expect("one").event::<Request>(0)?.at, 30);
/// assert_eq!(requests.view()?.len(), 1);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Duplicates {
    /// It is one more: who asks for the id gets the one that came last. Costs nothing.
    #[default]
    Keep,
    /// Nothing of what it is appended with is written: [`Error::DuplicateId`].
    Refuse,
    /// It is left out, and the others are appended. So what may have been appended before can be appended again. Of the
    /// same id among those that are appended the first counts.
    Ignore,
}

/// What appending events has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendReport {
    /// The commit; `None` if there was nothing to append.
    pub commit: Option<crate::Commit>,
    /// Events that were appended.
    pub appended_count: u64,
    /// Events that were left out since their ids were there.
    pub ignored_count: u64,
}

/// What a table knows to want each id once.
#[derive(Debug, Default)]
pub(super) struct Uniqueness {
    /// Held by who appends, from the last look for the ids until they are visible. Taken behind those that keep deletions
    /// and flushes apart.
    appending: Mutex<()>,
    /// How often somebody has appended.
    appends: AtomicU64,
    fresh: Mutex<FreshIds>,
}

/// The ids of the fresh batches that were there at the last look, by their hashes.
#[derive(Debug, Default)]
struct FreshIds {
    hasher: RandomState,
    batches: Vec<Arc<FreshBatch>>,
    counts: HashMap<u64, u32>,
}

impl FreshIds {
    fn follow(&mut self, fresh: &[Arc<FreshBatch>]) {
        let same = |(one, other): (&Arc<FreshBatch>, &Arc<FreshBatch>)| Arc::ptr_eq(one, other);
        if self.batches.len() == fresh.len() && self.batches.iter().zip(fresh).all(same) {
            return;
        }
        let set = |all: &[Arc<FreshBatch>]| all.iter().map(Arc::as_ptr).collect::<HashSet<_>>();
        let (before, now) = (set(&self.batches), set(fresh));
        let (hasher, counts) = (&self.hasher, &mut self.counts);
        for batch in self.batches.iter().filter(|batch| !now.contains(&Arc::as_ptr(batch))) {
            for hash in batch.ids().map(|(_, id)| hasher.hash_one(id)) {
                if let Some(count) = counts.get_mut(&hash) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(&hash);
                    }
                }
            }
        }
        for batch in fresh.iter().filter(|batch| !before.contains(&Arc::as_ptr(batch))) {
            for (_, id) in batch.ids() {
                *counts.entry(hasher.hash_one(id)).or_default() += 1;
            }
        }
        self.batches = fresh.to_vec();
    }

    fn has(&self, id: &str) -> bool {
        self.counts.contains_key(&self.hasher.hash_one(id))
            && self.batches.iter().any(|batch| batch.find_id(id).is_some())
    }
}

/// The ids of events that are about to be appended, by their rows, and when they were looked for.
#[derive(Debug)]
pub(super) struct Sought {
    policy: Duplicates,
    ids: Vec<(u32, Box<str>)>,
    at: u64,
}

/// Which rows of a batch may be appended.
pub(super) struct Wanted {
    /// All but these, rising.
    pub(super) left_out: Vec<u32>,
    pub(super) sought: Sought,
}

impl EventTable {
    /// Looks for the ids of events that are to be appended behind others of the same commit; `None` if the table does
    /// not care.
    pub(super) fn seek_ids(
        &self,
        batch: &Batch,
        before: &[Pending],
        deletions: &[Deletion],
    ) -> Result<Option<Wanted>> {
        let policy = self.options()?.duplicates;
        let Some(field) = batch.schema().event_id().filter(|_| policy != Duplicates::Keep) else {
            return Ok(None);
        };
        let at = self.uniqueness().appends.load(Ordering::Acquire);
        let ids: Vec<(u32, &str)> = (0..batch.len() as u32)
            .filter_map(|row| Some((row, batch.value(row as usize, field).as_text()?)))
            .collect();
        let before =
            before.iter().filter(|pending| pending.is_of(self)).filter_map(Pending::sought);
        let mut seen: HashSet<&str> =
            before.flat_map(|sought| sought.ids.iter().map(|(_, id)| &**id)).collect();
        let mut left_out: Vec<u32> =
            ids.iter().filter(|(_, id)| !seen.insert(id)).map(|(row, _)| *row).collect();
        left_out.extend(self.rows_there(ids.iter().copied(), deletions)?);
        left_out.sort_unstable();
        left_out.dedup();
        if let (Duplicates::Refuse, Some(row)) = (policy, left_out.first()) {
            let id = batch.value(*row as usize, field).as_text().unwrap_or_default();
            return Err(self.is_there(id));
        }
        let kept = |row: &u32| left_out.binary_search(row).is_err();
        // Rows are counted as they will be written.
        let mut place = 0;
        let rows = (0..batch.len() as u32).filter(kept);
        let places: HashMap<u32, u32> = rows
            .map(|row| {
                place += 1;
                (row, place - 1)
            })
            .collect();
        let ids = ids.into_iter().filter_map(|(row, id)| Some((*places.get(&row)?, id.into())));
        Ok(Some(Wanted { sought: Sought { policy, ids: ids.collect(), at }, left_out }))
    }

    fn uniqueness(&self) -> &Uniqueness {
        &self.shape().uniqueness
    }

    /// The rows whose ids are there, and are not about to be deleted.
    fn rows_there<'i>(
        &self,
        ids: impl Iterator<Item = (u32, &'i str)>,
        deletions: &[Deletion],
    ) -> Result<Vec<u32>> {
        let view = self.view()?;
        view.check(ALWAYS)?;
        let is_kept = |id: &str| !deletions.iter().any(|deletion| deletion.has(self, id));
        let (mut rows, mut others) = (Vec::new(), Vec::new());
        {
            let mut fresh = self.uniqueness().fresh.lock();
            fresh.follow(&view.fresh);
            for (row, id) in ids.filter(|(_, id)| is_kept(id)) {
                if fresh.has(id) { rows.push(row) } else { others.push((row, id)) }
            }
        }
        for (part, deleted) in view.parts_with_deleted() {
            let is_there = |row| !deleted.is_some_and(|deleted| deleted.contains(row));
            for (row, id) in &others {
                let found = part.find_id_if(id, is_there);
                if found.map_err(|error| view.named(error.into()))?.is_some() {
                    rows.push(*row);
                }
            }
        }
        rows.sort_unstable();
        Ok(rows)
    }

    #[cold]
    fn is_there(&self, id: &str) -> Error {
        Error::DuplicateId { name: self.name().to_owned(), id: id.chars().take(64).collect() }
    }
}

/// The tables of a commit that want each id once.
pub(crate) fn tables_of(rows: &[Pending]) -> Vec<EventTable> {
    let wanted = rows.iter().filter(|pending| pending.sought().is_some());
    let mut tables: Vec<_> = wanted.map(|pending| pending.table().clone()).collect();
    // In this order they are locked, so no two commits wait for each other.
    tables.sort_by_key(EventTable::keyspace_id);
    tables.dedup_by_key(|table| table.keyspace_id());
    tables
}

/// What keeps others from appending to some tables until it is dropped.
#[derive(Debug)]
pub(crate) struct Alone<'t> {
    tables: &'t [EventTable],
    _appending: Vec<MutexGuard<'t, ()>>,
}

impl<'t> Alone<'t> {
    /// Looks once more for the ids of a commit, where others have appended since. What is there now is left out, or
    /// the reason that nothing is written; says how many were left out.
    pub(crate) fn begin(
        tables: &'t [EventTable],
        rows: &[Pending],
        deletions: &[Deletion],
        commit: &mut WriteBatch,
    ) -> Result<(Self, u64)> {
        let mut ignored_count = 0;
        let locks = tables.iter().map(|table| table.uniqueness().appending.lock());
        let alone = Self { tables, _appending: locks.collect() };
        for pending in rows {
            let (Some(sought), table) = (pending.sought(), pending.table()) else { continue };
            if table.uniqueness().appends.load(Ordering::Acquire) == sought.at {
                continue;
            }
            let ids = sought.ids.iter().map(|(row, id)| (*row, &**id));
            let there = table.rows_there(ids, deletions)?;
            let Some(first) = there.first() else { continue };
            if sought.policy == Duplicates::Refuse {
                let id = sought.ids.iter().find(|(row, _)| row == first);
                return Err(table.is_there(id.map_or("", |(_, id)| id)));
            }
            ignored_count += there.len() as u64;
            let rows = Arc::new(DeletedRows::with(None, there));
            commit.insert(table.space(), keys::deleted_fresh(pending.number()), rows.bytes())?;
            // Known before the batch can be seen.
            pending.leave_out(rows);
        }
        Ok((alone, ignored_count))
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        for table in self.tables {
            table.uniqueness().appends.fetch_add(1, Ordering::Release);
        }
    }
}
