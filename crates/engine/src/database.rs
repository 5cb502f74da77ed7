//! The handle of an open database.

use crate::{
    Builder, Changes, Events, RecordedEvent, Result, Snapshot, Subscription, Watcher, WriteBatch,
    open::Open,
    ordered::Trees,
    streams::{Filter, flush_all, wait_for},
};
use annals_disk::Holder;
use annals_journal::{Recovery, Seq};
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

impl Database {
    /// Opens the database in the directory `path`, or creates it there if the directory is missing
    /// or empty.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = Database::open(folder.join("shop"))?;
    /// db.keyspace("stock")?.insert("apple", "42")?;
    /// db.close()?;
    /// let db = Database::open(folder.join("shop"))?;
    /// assert_eq!(db.open_keyspace("stock")?.get("apple")?.as_deref(), Some(&b"42"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path)
    }

    /// Settings for opening a database.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability};
    /// let db = Database::builder().durability(Durability::Sync).open_in_memory()?;
    /// db.keyspace("stock")?.insert("apple", "42")?;
    /// assert_eq!(db.stats().log.synced, db.stats().log.end);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A database that lives and dies with the process.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let stock = db.keyspace("stock")?;
    /// stock.insert("apple", "42")?;
    /// assert_eq!(stock.get("apple")?.as_deref(), Some(&b"42"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the system has no memory or no thread for it.
    pub fn open_in_memory() -> Result<Self> {
        Self::builder().open_in_memory()
    }

    /// Opens the database in `path` for reading, beside a writer or alone. The handle follows the
    /// writer live: every call sees what the writer had committed when it was made.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = Database::open(folder)?;
    /// let stock = db.keyspace("stock")?;
    /// let reader = Database::open_read_only(folder)?;
    /// // It sees what the writer does after it was opened, too.
    /// stock.insert("apple", "42")?;
    /// assert_eq!(reader.open_keyspace("stock")?.get("apple")?.as_deref(), Some(&b"42"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`Builder::open`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().read_only(true).open(path)
    }

    /// Opens, or creates, the database of the application `name` in the place the system has for
    /// such data; see [`data_dir`](crate::data_dir).
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// fn remember_theme(theme: &str) -> annals::Result<()> {
    ///     let db = Database::open_for_app("my-app")?;
    ///     db.keyspace("settings")?.insert("theme", theme)
    /// }
    /// // Not called here: it writes below the home of whoever runs it. A name is one plain name.
    /// let refused = Database::open_for_app("my/app").unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoDataDir`](crate::Error::NoDataDir), and as [`open`](Self::open).
    pub fn open_for_app(name: &str) -> Result<Self> {
        Self::open(crate::data_dir(name)?)
    }

    /// Who has the database in `path` open for writing now. If somebody has removed the lock file
    /// meanwhile, who it is is not known, and the process id is 0.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = Database::open(folder)?;
    /// let holder = Database::lock_holder(folder)?.expect("this process");
    /// assert_eq!(holder.pid, std::process::id());
    /// db.close()?;
    /// assert!(Database::lock_holder(folder)?.is_none());
    /// # Ok::<(), annals::Error>(())
    /// ```
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
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = Database::open(folder)?;
    /// assert_eq!(Database::break_lock(folder).unwrap_err().kind(), ErrorKind::Locked);
    /// db.close()?;
    /// assert!(!Database::break_lock(folder)?, "closing left nothing to clear");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Locked` with the holder if a live process has it; what the file system refuses.
    pub fn break_lock(path: impl AsRef<Path>) -> Result<bool> {
        Self::builder().break_lock(path)
    }

    /// Reads the events of all categories in the order in which they were appended, from the number
    /// `from` on, up to what is the last one now; nothing if that is in front of `from`. Compaction does not change what
    /// it reads.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent, Seq};
    /// let db = Database::open_in_memory()?;
    /// let (orders, carts) = (db.category("orders")?, db.category("carts")?);
    /// carts.append("ada", &NewEvent::bytes("added", b"apple"), ExpectedVersion::Any)?;
    /// orders.append(17u64, &NewEvent::bytes("placed", b"apple"), ExpectedVersion::Any)?;
    /// let mut types = Vec::new();
    /// for event in db.read_all(Seq::ZERO)? {
    ///     types.push(event?.event_type().name.clone());
    /// }
    /// assert_eq!(types, ["added", "placed"]);
    /// # Ok::<(), annals::Error>(())
    /// ```
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
    /// appended from now on. A number that no record has yet is waited for, and events that come in front of it are left
    /// out: who kept it outside of a database that was [restored](Self::restore) from an older backup has to compare it
    /// with [`last_seq`](Self::last_seq) then.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent, Seq};
    /// let db = Database::open_in_memory()?;
    /// let orders = db.category("orders")?;
    /// let mut events = db.subscribe(Seq::ZERO)?;
    /// assert!(events.try_next()?.is_none());
    /// orders.append(17u64, &NewEvent::bytes("placed", b"apple"), ExpectedVersion::Any)?;
    /// let event = events.try_next()?.expect("the one that came");
    /// assert_eq!((event.event_type().name.as_str(), event.data()), ("placed", &b"apple"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_all`](Self::read_all).
    pub fn subscribe(&self, from: Seq) -> Result<Subscription<'_>> {
        Subscription::new(&self.core, from, Filter::default(), None)
    }

    /// Waits until readers see everything up to `seq`, the database is closed, or `timeout` is over.
    /// Returns whether they do.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, WriteOptions};
    /// use std::time::Duration;
    /// let db = Database::open_in_memory()?;
    /// let commit = db.keyspace("stock")?.insert_with("apple", "42", WriteOptions::default())?;
    /// assert!(db.wait_for(commit.last_seq, Duration::from_secs(1))?);
    /// assert!(!db.wait_for(commit.last_seq.plus(1), Duration::ZERO)?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// In a read-only handle, what following the writer fails with.
    pub fn wait_for(&self, seq: Seq, timeout: Duration) -> Result<bool> {
        wait_for(&self.core, seq, timeout)
    }

    /// Tells when readers see what was written, to threads and to tasks.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use std::{thread, time::Duration};
    /// let db = annals::Database::open_in_memory()?;
    /// let (stock, watcher, next) = (db.keyspace("stock")?, db.watcher(), db.last_seq().plus(1));
    /// thread::scope(|scope| {
    ///     let waiting = scope.spawn(|| watcher.wait_for(next.plus(1), Duration::from_secs(60)));
    ///     stock.insert("apple", "42")?;
    ///     stock.insert("pear", "7")?;
    ///     assert!(waiting.join().expect("no panic")?);
    ///     Ok::<(), annals::Error>(())
    /// })?;
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher::new(&self.core)
    }

    /// An empty batch of writes that will happen together. Takes no lock before its commit.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let accounts = db.keyspace("accounts")?;
    /// let mut batch = db.batch();
    /// batch.insert(&accounts, "ada", "90")?;
    /// batch.insert(&accounts, "bob", "10")?;
    /// assert!(!accounts.contains("ada")?, "nothing is written before the commit");
    /// batch.commit()?;
    /// assert_eq!(accounts.len()?, 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn batch(&self) -> WriteBatch {
        WriteBatch::new(Arc::clone(&self.core))
    }

    /// The state of all keyspaces at this moment, to be read from as long as it is kept. Takes the
    /// writer lock for a moment and copies nothing. While it lives, writes note what they replace,
    /// and what it can still see is not reclaimed.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let (stock, users) = (db.keyspace("stock")?, db.hash_keyspace("users")?);
    /// stock.insert("apple", "42")?;
    /// let now = db.snapshot();
    /// stock.insert("apple", "41")?;
    /// users.insert("ada", "1815")?;
    /// assert_eq!(now.ordered("stock")?.get("apple")?.as_deref(), Some(&b"42"[..]));
    /// assert!(!now.contains("users", "ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        drop(self.core.follow_if_read_only());
        Snapshot::take(&self.core)
    }

    /// Makes everything committed so far durable.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability};
    /// let db = Database::builder().durability(Durability::Buffered).open_in_memory()?;
    /// let stock = db.keyspace("stock")?;
    /// for n in 0..1_000u32 {
    ///     stock.insert(n.to_be_bytes(), "one")?;
    /// }
    /// // One sync for all of them.
    /// db.sync()?;
    /// assert_eq!(db.stats().log.synced, db.stats().log.end);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Poisoned` if the device refuses, now or earlier.
    pub fn sync(&self) -> Result<()> {
        Ok(self.core.journal.sync()?)
    }

    /// The same as [`sync`](Self::sync), by the name other stores have for it.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// db.keyspace("stock")?.insert("apple", "42")?;
    /// db.flush()?;
    /// assert_eq!(db.stats().log.synced, db.stats().log.end);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn flush(&self) -> Result<()> {
        self.sync()
    }

    /// What happened from record `from` on, in order, and what happens from now on. A number that no record has yet
    /// is waited for, and what comes in front of it is left out.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// // From what comes next on; who goes on later keeps the number of the last change it saw.
    /// let mut changes = db.changes(db.last_seq().plus(1))?;
    /// users.remove("ada")?;
    /// let change = changes.try_next()?.expect("the removal");
    /// assert_eq!((change.kind.to_string().as_str(), &change.key[..]), ("remove", &b"ada"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound` if the log no longer reaches back that far; [`oldest_seq`](Self::oldest_seq)
    /// says how far it does.
    pub fn changes(&self, from: Seq) -> Result<Changes> {
        self.core.follow_if_read_only()?;
        Changes::new(&self.core, from)
    }

    /// The lowest number from which [`changes`](Self::changes) can start.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{ChangeKind, Database};
    /// let db = Database::open_in_memory()?;
    /// db.hash_keyspace("users")?.insert("ada", "1815")?;
    /// let mut changes = db.changes(db.oldest_seq())?;
    /// let first = changes.try_next()?.expect("how it began");
    /// assert_eq!((first.seq, first.kind), (db.oldest_seq(), ChangeKind::CreateKeyspace));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn oldest_seq(&self) -> Seq {
        self.core.journal.oldest_seq()
    }

    /// The number of the last record committed.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, WriteOptions};
    /// let db = Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// let commit = users.insert_with("ada", "1815", WriteOptions::default())?;
    /// assert_eq!(db.last_seq(), commit.last_seq);
    /// # Ok::<(), annals::Error>(())
    /// ```
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

    /// The database's directory; `memory`, which is none, if it lives in memory.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = annals::Database::open(folder.join("shop"))?;
    /// assert_eq!(db.path(), folder.join("shop"));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        self.core.journal.dir()
    }

    /// Does what background threads would do now: syncs that are due, checkpoints, compaction,
    /// expiry. Needed only with [`Background::Manual`](crate::Background::Manual).
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Background, Database};
    /// let builder = Database::builder().background(Background::Manual).checkpoint_every_bytes(1);
    /// let db = builder.open_in_memory()?;
    /// let before = db.stats().log.checkpoint;
    /// db.keyspace("users")?.insert("ada", "1815")?;
    /// db.tick()?;
    /// assert!(db.stats().log.checkpoint > before);
    /// # Ok::<(), annals::Error>(())
    /// ```
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
    /// next opening has nothing to replay. Other handles of it only read from now on, those of a read-only one what it
    /// has followed so far; who waits for events is told all that there are, and the end. Dropping the last
    /// handle does the same, but cannot report a failure.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = Database::open(folder)?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// db.close()?;
    /// assert_eq!(users.insert("bob", "1").unwrap_err().kind(), ErrorKind::Closed);
    /// assert!(Database::open(folder)?.recovery().clean);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the device refuses, or there is no space to note that the log is whole: the next opening then
    /// recovers as after a crash, and what was acknowledged is kept as the
    /// [durability](crate::Durability) says. It is closed all the same. If only the checkpoint could not be written, the log is whole,
    /// and the next opening replays more of it.
    pub fn close(self) -> Result<()> {
        flush_all(&self.core);
        self.core.close()
    }
}
