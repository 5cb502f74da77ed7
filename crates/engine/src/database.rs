//! The handle of an open database.

use crate::{
    Builder, Category, Changes, Error, Events, HashKeyspace, KeyspaceKind, KeyspaceOptions,
    OrderedKeyspace, RecordedEvent, Result, Snapshot, Subscription, TreeOptions, Watcher,
    WriteBatch,
    catalog::{Change, Keyspace, check_name},
    loading,
    open::Open,
    ordered::Trees,
    streams::{Filter, Streams, check_built, flush_all, wait_for},
};
use annals_disk::Holder;
use annals_events::Event;
use annals_journal::{Recovery, Seq};
use annals_ordered::View;
use std::{path::Path, sync::Arc, time::Duration};

/// An open database. Cheap to clone; clones are the same database, which is closed when the last
/// handle of any kind (keyspaces, batches, snapshots) is gone, or by [`close`](Self::close).
///
/// ```
/// # use annals_engine as annals;
/// # let folder = std::env::temp_dir().join(format!("annals-doc-{}", std::process::id()));
/// use annals::Database;
/// let db = Database::open(&folder)?;
/// let users = db.hash_keyspace("users")?;
/// users.insert("ada", "1815")?;
/// db.close()?;
///
/// let db = Database::open(&folder)?;
/// assert_eq!(db.hash_keyspace("users")?.get("ada")?.as_deref(), Some(&b"1815"[..]));
/// # db.close()?;
/// # std::fs::remove_dir_all(&folder).ok();
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) core: Arc<Open>,
}

/// A keyspace as the catalog lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceInfo {
    /// Its name.
    pub name: String,
    /// Its number; never used twice.
    pub id: u32,
    /// What it is good at.
    pub kind: KeyspaceKind,
    /// How long its records live that do not say otherwise; of an event table its events.
    pub ttl: Option<Duration>,
    /// Whether it is a category whose events carry hashes.
    pub chained: bool,
    /// How many records it has; of ordered keyspaces an estimate.
    pub len: u64,
}

impl Database {
    /// Opens the database in the directory `path`, or creates it there if the directory is missing
    /// or empty.
    ///
    /// # Errors
    /// See [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path)
    }

    /// Settings for opening a database.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A database that lives and dies with the process.
    ///
    /// # Errors
    /// If the system has no memory or no thread for it.
    pub fn open_in_memory() -> Result<Self> {
        Self::builder().open_in_memory()
    }

    /// Opens the database in `path` for reading, beside a writer or alone. The handle follows the
    /// writer live: every call sees what the writer had committed when it was made.
    ///
    /// # Errors
    /// See [`Builder::open`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().read_only(true).open(path)
    }

    /// Opens, or creates, the database of the application `name` in the place the system has for
    /// such data; see [`data_dir`](crate::data_dir).
    ///
    /// # Errors
    /// [`Error::NoDataDir`], and as [`open`](Self::open).
    pub fn open_for_app(name: &str) -> Result<Self> {
        Self::open(crate::data_dir(name)?)
    }

    /// Who has the database in `path` open for writing now. If somebody has removed the lock file
    /// meanwhile, who it is is not known, and the process id is 0.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn lock_holder(path: impl AsRef<Path>) -> Result<Option<Holder>> {
        Self::builder().lock_holder(path)
    }

    /// Clears a lock that a dead process left. The next opening does the same by itself; this is
    /// for looking before opening. Returns whether there was anything to clear. The lock of a
    /// process that lives is never taken from it: the system holds it, and two writers would
    /// destroy the log.
    ///
    /// # Errors
    /// `Locked` with the holder if a live process has it; what the file system refuses.
    pub fn break_lock(path: impl AsRef<Path>) -> Result<bool> {
        Self::builder().break_lock(path)
    }

    /// The keyspace `name`, created with default options if it is not there. It is an ordered one, the kind that
    /// serves most uses; hash keyspaces are asked for [by their kind](Self::hash_keyspace).
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// let db = Database::open_in_memory()?;
    /// db.keyspace("scores")?.insert("ada", "12")?;
    /// let refused = db.hash_keyspace("scores").unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::WrongKind`], and those of writing.
    pub fn keyspace(&self, name: &str) -> Result<OrderedKeyspace> {
        match self.open_keyspace(name) {
            Err(Error::UnknownKeyspace { .. }) => {}
            other => return other,
        }
        match self.create_keyspace(name, KeyspaceOptions::default(), TreeOptions::default()) {
            // Somebody else was faster.
            Err(Error::KeyspaceExists { .. }) => self.open_keyspace(name),
            other => other,
        }
    }

    /// Creates the ordered keyspace `name`, whose tables are kept as `tables` says: a commit with the
    /// database's durability.
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`], [`Error::InvalidName`], `InvalidInput` for options out of range, and
    /// those of writing.
    pub fn create_keyspace(
        &self,
        name: &str,
        options: KeyspaceOptions,
        tables: TreeOptions,
    ) -> Result<OrderedKeyspace> {
        check_name(name)?;
        options.check_kind(KeyspaceKind::Ordered)?;
        tables.validate()?;
        self.core.create_ordered(name, options, tables)?;
        Trees::spawn(self.core.core());
        self.open_keyspace(name)
    }

    /// The ordered keyspace `name`.
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], [`Error::WrongKind`].
    pub fn open_keyspace(&self, name: &str) -> Result<OrderedKeyspace> {
        let keyspace = self.find_keyspace(name)?;
        keyspace.check_kind(KeyspaceKind::Ordered)?;
        Ok(OrderedKeyspace::new(Arc::clone(&self.core), keyspace))
    }

    /// The hash keyspace `name`, created with default options if it is not there.
    ///
    /// # Errors
    /// [`Error::InvalidName`], and those of writing.
    pub fn hash_keyspace(&self, name: &str) -> Result<HashKeyspace> {
        match self.open_hash_keyspace(name) {
            Err(Error::UnknownKeyspace { .. }) => {}
            other => return other,
        }
        match self.create_hash_keyspace(name, KeyspaceOptions::default()) {
            // Somebody else was faster.
            Err(Error::KeyspaceExists { .. }) => self.open_hash_keyspace(name),
            other => other,
        }
    }

    /// Creates the hash keyspace `name`: a commit with the database's durability.
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`], [`Error::InvalidName`], and those of writing.
    pub fn create_hash_keyspace(
        &self,
        name: &str,
        options: KeyspaceOptions,
    ) -> Result<HashKeyspace> {
        check_name(name)?;
        options.check_kind(KeyspaceKind::Hash)?;
        self.core.change_catalog(|catalog| {
            if catalog.by_name(name).is_some() {
                return Err(Error::KeyspaceExists { name: name.to_owned() });
            }
            let (id, kind) = (catalog.next_id, KeyspaceKind::Hash);
            Ok(Change::Create { id, name: name.to_owned(), kind, options })
        })?;
        self.open_hash_keyspace(name)
    }

    /// The hash keyspace `name`.
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], [`Error::WrongKind`].
    pub fn open_hash_keyspace(&self, name: &str) -> Result<HashKeyspace> {
        let keyspace = self.find_keyspace(name)?;
        keyspace.check_kind(KeyspaceKind::Hash)?;
        Ok(HashKeyspace::new(Arc::clone(&self.core), keyspace))
    }

    /// The category of streams `name`, created if it is not there.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::WrongKind`], and those of writing.
    pub fn category(&self, name: &str) -> Result<Category> {
        match self.open_category(name) {
            Err(Error::UnknownKeyspace { .. }) => {}
            other => return other,
        }
        match self.create_category(name, KeyspaceOptions::default()) {
            // Somebody else was faster.
            Err(Error::KeyspaceExists { .. }) => self.open_category(name),
            other => other,
        }
    }

    /// Creates the category of streams `name`: a commit with the database's durability. With a time to live its
    /// events are gone that long after they were appended.
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`], [`Error::InvalidName`], [`Error::NoChains`] if it should be chained and
    /// the build cannot, and those of writing.
    pub fn create_category(&self, name: &str, options: KeyspaceOptions) -> Result<Category> {
        check_name(name)?;
        check_built(name, options.chained)?;
        self.core.change_catalog(|catalog| {
            if catalog.by_name(name).is_some() {
                return Err(Error::KeyspaceExists { name: name.to_owned() });
            }
            let (id, kind) = (catalog.next_id, KeyspaceKind::Streams);
            Ok(Change::Create { id, name: name.to_owned(), kind, options })
        })?;
        self.open_category(name)
    }

    /// The category of streams `name`.
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], [`Error::WrongKind`].
    pub fn open_category(&self, name: &str) -> Result<Category> {
        let keyspace = self.find_keyspace(name)?;
        keyspace.check_kind(KeyspaceKind::Streams)?;
        Ok(Category::new(Arc::clone(&self.core), keyspace))
    }

    /// The streams of the category `name`, whose events are of the type `E`; the category is created if it
    /// is not there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_events::Event;
    ///
    /// #[derive(Event)]
    /// #[event(crate = annals_events)]
    /// struct OrderPlaced {
    ///     item: String,
    ///     count: u32,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let orders = db.stream::<OrderPlaced>("orders")?;
    /// orders.append(7u64, &OrderPlaced { item: "apple".into(), count: 3 })?;
    /// let first = orders.get(7u64, 0)?.expect("the event");
    /// assert_eq!(first.view()?.item, "apple");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`category`](Self::category); [`Error::EventTypes`] if the category has archived events that `E` is
    /// not, or not any more.
    pub fn stream<E: Event>(&self, name: &str) -> Result<Streams<E>> {
        let category = match self.core.read_only {
            true => self.open_category(name)?,
            false => self.category(name)?,
        };
        Streams::new(category)
    }

    /// Reads the events of all categories in the order in which they were appended, from the number
    /// `from` on, up to what is the last one now. Compaction does not change what it reads.
    ///
    /// # Errors
    /// Damage to the log.
    pub fn read_all(&self, from: Seq) -> Result<Events<'_>> {
        self.core.follow_if_read_only()?;
        Events::of(&self.core, from, Filter::default(), None)
    }

    /// The event with the number `seq`, read in place; `None` if no event has that number, or none that
    /// readers may see, yet or any more. Log compaction moves events, and their numbers stay.
    ///
    /// Looks for the segment that has it, and passes the records in front of it there, 8 KiB of them at
    /// most; the first time a segment is asked for, all of them, and of one that an earlier opening wrote
    /// every byte is checked then. Who wants many in a row [reads on](Self::read_all).
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let orders = db.category("orders")?;
    /// let placed = NewEvent::bytes("placed", b"7 apples");
    /// let seq = orders.append(17u64, &placed, ExpectedVersion::Any)?.first_seq;
    /// assert_eq!(db.event_at(seq)?.expect("the event").data(), b"7 apples");
    /// assert!(db.event_at(seq.plus(1))?.is_none());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// Damage to it, or to what is in front of it in its segment.
    pub fn event_at(&self, seq: Seq) -> Result<Option<RecordedEvent<'_>>> {
        self.core.follow_if_read_only()?;
        self.core.newest(|core| core.recorded_at(seq))
    }

    /// Reads the events of all categories that come from the number `from` on, and then those that are
    /// appended from now on.
    ///
    /// # Errors
    /// As [`read_all`](Self::read_all).
    pub fn subscribe(&self, from: Seq) -> Result<Subscription<'_>> {
        Subscription::new(&self.core, from, Filter::default(), None)
    }

    /// Waits until readers see everything up to `seq`, the database is closed, or `timeout` is over.
    /// Returns whether they do.
    ///
    /// # Errors
    /// In a read-only handle, what following the writer fails with.
    pub fn wait_for(&self, seq: Seq, timeout: Duration) -> Result<bool> {
        wait_for(&self.core, seq, timeout)
    }

    /// Tells when readers see what was written, to threads and to tasks.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher::new(&self.core)
    }

    pub(crate) fn find_keyspace(&self, name: &str) -> Result<Arc<Keyspace>> {
        check_name(name)?;
        self.core.follow_if_read_only()?;
        let found = self.core.newest(|core| {
            core.catalog.load().by_name(name).map(|listed| Arc::clone(&listed.keyspace))
        });
        found.ok_or_else(|| Error::UnknownKeyspace { name: name.to_owned() })
    }

    /// All keyspaces, by name.
    #[must_use]
    pub fn keyspaces(&self) -> Vec<KeyspaceInfo> {
        drop(self.core.follow_if_read_only());
        let catalog = self.core.newest(|core| core.catalog.load_full());
        let mut list: Vec<_> = catalog
            .iter()
            .map(|listed| {
                let keyspace = Arc::clone(&listed.keyspace);
                let (name, id, kind) = (keyspace.name.clone(), keyspace.id, keyspace.kind);
                let KeyspaceOptions { mut ttl, chained } = keyspace.options;
                if kind == KeyspaceKind::Table {
                    ttl = crate::tables::ttl_of(&self.core, &keyspace);
                }
                let len = match &listed.tree.tree {
                    Some(tree) => tree.with_view(View::len_estimate),
                    None => HashKeyspace::new(Arc::clone(&self.core), keyspace).len(),
                };
                KeyspaceInfo { name, id, kind, ttl, chained, len }
            })
            .collect();
        list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        list
    }

    /// Drops the keyspace `name` with all its records. Handles of it fail from now on; snapshots
    /// and iterators made before still see it.
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], and those of writing.
    pub fn drop_keyspace(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.core.change_catalog(|catalog| {
            let listed = catalog
                .by_name(name)
                .ok_or_else(|| Error::UnknownKeyspace { name: name.to_owned() })?;
            Ok(Change::Drop { id: listed.keyspace.id })
        })
    }

    /// An empty batch of writes that will happen together.
    #[must_use]
    pub fn batch(&self) -> WriteBatch {
        WriteBatch::new(Arc::clone(&self.core))
    }

    /// The state of all keyspaces at this moment, to be read from as long as it is kept. Takes the
    /// writer lock for a moment and copies nothing. While it lives, writes note what they replace,
    /// and what it can still see is not reclaimed.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        drop(self.core.follow_if_read_only());
        Snapshot::take(&self.core)
    }

    /// Makes everything committed so far durable.
    ///
    /// # Errors
    /// `Poisoned` if the device refuses, now or earlier.
    pub fn sync(&self) -> Result<()> {
        Ok(self.core.journal.sync()?)
    }

    /// The same as [`sync`](Self::sync), by the name other stores have for it.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn flush(&self) -> Result<()> {
        self.sync()
    }

    /// What happened from record `from` on, in order, and what happens from now on.
    ///
    /// # Errors
    /// `NotFound` if the log no longer reaches back that far; [`oldest_seq`](Self::oldest_seq)
    /// says how far it does.
    pub fn changes(&self, from: Seq) -> Result<Changes> {
        self.core.follow_if_read_only()?;
        Changes::new(&self.core, from)
    }

    /// The lowest number from which [`changes`](Self::changes) can start.
    #[must_use]
    pub fn oldest_seq(&self) -> Seq {
        self.core.journal.oldest_seq()
    }

    /// The number of the last record committed.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        drop(self.core.follow_if_read_only());
        self.core.visible_seq()
    }

    /// What opening read back and had to repair.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let recovery = db.recovery();
    /// assert_eq!((recovery.torn_bytes, recovery.warnings.len()), (0, 0));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.core.recovery
    }

    /// The database's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.core.journal.dir()
    }

    /// Does what background threads would do now: syncs that are due, checkpoints, compaction,
    /// expiry. Needed only with [`Background::Manual`](crate::Background::Manual).
    ///
    /// # Errors
    /// What the work ran into.
    pub fn tick(&self) -> Result<()> {
        self.core.journal.tick()?;
        if !self.core.read_only
            && self.core.journal.poisoned().is_none()
            && !self.core.journal.is_closed()
        {
            Trees::run_all(&self.core)?;
            crate::tables::run_once(self.core.core())?;
        }
        crate::maintenance::run_once(&self.core)
    }

    /// Closes the database: writes a checkpoint, syncs, and marks the log as whole, so that the
    /// next opening has nothing to replay. Other handles of it only read from now on. Dropping the last
    /// handle does the same, but cannot report a failure.
    ///
    /// # Errors
    /// If the device refuses, or there is no space to note that the log is whole: the next opening then
    /// recovers as after a crash, and what was acknowledged is kept as the
    /// [durability](crate::Durability) says.
    pub fn close(self) -> Result<()> {
        flush_all(&self.core);
        loading::close(&self.core)
    }
}
