//! Consistent read-only states.
//!
//! A snapshot is a number and the catalog of its moment. Taking one copies nothing; while it
//! lives, writers leave in each record where the version before lies, removed keys stay marked in
//! the tables, and compacted segments stay mapped.

use crate::{
    Error, Guard, Iter, KeyspaceKind, Result,
    catalog::{Catalog, Listed},
    core::Core,
    hash::{Hit, hash_key},
    open::Open,
};
use annals_journal::Seq;
use annals_ordered::{Hold, View};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The registry of live snapshots.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    count: AtomicUsize,
    inner: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    next_ticket: u64,
    live: BTreeMap<u64, Seq>,
}

impl Snapshots {
    /// How many are live. Exact under the writer lock.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn add(&self, seq: Seq) -> u64 {
        let mut inner = self.inner.lock();
        let ticket = inner.next_ticket;
        inner.next_ticket += 1;
        inner.live.insert(ticket, seq);
        self.count.store(inner.live.len(), Ordering::Release);
        ticket
    }

    /// Removes a snapshot; `forget` is called if none is left, before another can be added.
    fn remove(&self, ticket: u64, forget: impl FnOnce()) {
        let mut inner = self.inner.lock();
        inner.live.remove(&ticket);
        self.count.store(inner.live.len(), Ordering::Release);
        if inner.live.is_empty() {
            forget();
        }
    }

    /// The lowest number that a live snapshot sees.
    pub(crate) fn oldest_seq(&self) -> Option<Seq> {
        self.inner.lock().live.values().min().copied()
    }

    /// The ticket the next snapshot gets.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.inner.lock().next_ticket
    }

    /// Whether a snapshot with a lower ticket than `ticket` lives.
    pub(crate) fn any_before(&self, ticket: u64) -> bool {
        self.inner.lock().live.keys().next().is_some_and(|oldest| *oldest < ticket)
    }
}

/// A consistent read-only state of a whole database.
///
/// Cheap to take and to clone; what it holds back is shown in
/// [`Stats`](crate::Stats). Drop it when it is no longer needed.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// users.insert("ada", "1815")?;
/// let before = db.snapshot();
/// users.insert("ada", "1852")?;
/// assert_eq!(before.get("users", "ada")?.as_deref(), Some(&b"1815"[..]));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Keeps the database open.
    _open: Arc<Open>,
    /// The state that the snapshot is of; read-only handles may have later ones.
    core: Arc<Core>,
    catalog: Arc<Catalog>,
    seq: Seq,
    time_ms: u64,
    ticket: u64,
    /// Keeps the versions that it sees of ordered keyspaces.
    _hold: Option<Hold>,
    /// In a read-only handle: what it sees of them, by the numbers of their trees.
    views: BTreeMap<u32, Arc<View>>,
}

impl Drop for State {
    fn drop(&mut self) {
        self.core.snapshots.remove(self.ticket, || self.core.history.forget());
        if self.core.superseded.load(Ordering::Acquire) && self.core.snapshots.count() == 0 {
            self.core.let_go();
        }
        self.core.maintenance.wake();
    }
}

impl Snapshot {
    pub(crate) fn take(open: &Arc<Open>) -> Self {
        // Under the locks that commits and following are applied under: no frame is half applied,
        // and every later one finds the snapshot counted. A state that was left meanwhile may have
        // let go of its segments.
        let (core, following) = loop {
            let core = open.core();
            let following = core.following.lock();
            if !core.superseded.load(Ordering::Acquire) {
                break (core, following);
            }
        };
        let writer = core.journal.quiesce();
        let (catalog, seq) = (core.catalog.load_full(), core.visible_seq());
        let ticket = core.snapshots.add(seq);
        let time_ms = core.clock.now_ms();
        let (mut _hold, mut views) = (None, BTreeMap::new());
        if core.read_only {
            let trees = catalog.iter().filter_map(|listed| listed.tree.tree.as_ref());
            views = trees.map(|tree| (tree.id(), tree.view())).collect();
        } else {
            _hold = core.trees.store().map(|store| store.hold(seq.0, time_ms));
        }
        drop(writer);
        drop(following);
        let (_open, core) = (Arc::clone(open), Arc::clone(core));
        let state = State { _open, core, catalog, seq, time_ms, ticket, _hold, views };
        Self { state: Arc::new(state) }
    }

    /// The number of the last record this state holds.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// let snapshot = db.snapshot();
    /// users.insert("bob", "1")?;
    /// // What is not in it, and nothing else.
    /// let mut changes = db.changes(snapshot.seq().plus(1))?;
    /// assert_eq!(changes.try_next()?.map(|change| change.key), Some(b"bob".to_vec()));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.state.seq
    }

    /// The names of the keyspaces, in their order.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// db.hash_keyspace("users")?;
    /// db.keyspace("days")?;
    /// let snapshot = db.snapshot();
    /// db.drop_keyspace("days")?;
    /// assert_eq!(snapshot.keyspaces(), ["days", "users"]);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn keyspaces(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.state.catalog.iter().map(|listed| listed.keyspace.name.clone()).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn listed(&self, keyspace: &str) -> Result<&Listed> {
        let found = self.state.catalog.by_name(keyspace);
        found.ok_or_else(|| Error::UnknownKeyspace { name: keyspace.to_owned() })
    }

    fn listed_hash(&self, keyspace: &str) -> Result<&Listed> {
        let listed = self.listed(keyspace)?;
        listed.keyspace.check_kind(KeyspaceKind::Hash)?;
        Ok(listed)
    }

    /// The value of `key` in the hash keyspace `keyspace`; see [`ordered`](Self::ordered) for the others.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// let snapshot = db.snapshot();
    /// users.remove("ada")?;
    /// assert_eq!(snapshot.get("users", "ada")?.as_deref(), Some(&b"1815"[..]));
    /// assert!(snapshot.get("users", "bob")?.is_none());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`] if this state has no such keyspace, [`Error::WrongKind`] if it is of
    /// another kind, or damage.
    pub fn get(&self, keyspace: &str, key: impl AsRef<[u8]>) -> Result<Option<Guard<'_>>> {
        let hit = self.look_up(self.listed_hash(keyspace)?, key.as_ref())?;
        Ok(hit.map(Hit::into_value))
    }

    fn look_up(&self, listed: &Listed, key: &[u8]) -> Result<Option<Hit<'_>>> {
        let core = &*self.state.core;
        let hash = hash_key(core.hash_seed, key);
        core.look_up_hashed(&listed.view, listed.keyspace.id, hash, key, self.sight())
    }

    /// Whether the hash keyspace `keyspace` has `key`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// let snapshot = db.snapshot();
    /// users.insert("bob", "1")?;
    /// assert!(snapshot.contains("users", "ada")? && !snapshot.contains("users", "bob")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn contains(&self, keyspace: &str, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.look_up(self.listed_hash(keyspace)?, key.as_ref())?.is_some())
    }

    /// All records of the hash keyspace `keyspace` as this state has them, in no particular order. The
    /// iterator reads the whole table of the keyspace, in memory, and each record in the log.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert_many([("ada", "1815"), ("bob", "1")])?;
    /// let snapshot = db.snapshot();
    /// users.clear()?;
    /// let mut names = Vec::new();
    /// for entry in snapshot.iter("users")? {
    ///     names.push(entry?.key().to_vec());
    /// }
    /// names.sort_unstable();
    /// assert_eq!(names, [&b"ada"[..], b"bob"]);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`] if this state has no such keyspace, [`Error::WrongKind`] if it is of
    /// another kind.
    pub fn iter(&self, keyspace: &str) -> Result<Iter<'_>> {
        let listed = self.listed_hash(keyspace)?.clone();
        Ok(Iter::new(&self.state.core, listed, self.clone()))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.state.core
    }

    /// What it sees: records up to this number, at this time.
    pub(crate) fn moment(&self) -> (Seq, u64) {
        (self.state.seq, self.state.time_ms)
    }

    /// What it keeps of a tree, in a read-only handle.
    pub(crate) fn kept_view(&self, tree: u32) -> Option<Arc<View>> {
        self.state.views.get(&tree).cloned()
    }

    pub(crate) fn sight(&self) -> crate::hash::Sight {
        crate::hash::Sight::At { seq: self.state.seq, time_ms: self.state.time_ms }
    }

    pub(crate) fn find(&self, name: &str, id: u32) -> Option<Listed> {
        self.state.catalog.by_id(id).filter(|listed| listed.keyspace.name == name).cloned()
    }
}
