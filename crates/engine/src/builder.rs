//! Settings for opening a database.

use crate::{
    Background, BackupReport, Database, Durability, Result, backup, clock::as_ms, holder, loading,
};
use annals_disk::{Disk, Holder, MemoryDisk, RealDisk};
use annals_journal::Config as JournalConfig;
use std::{path::Path, sync::Arc, time::Duration};

/// Settings for opening a database. They are checked once, by [`open`](Self::open).
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, Durability};
/// let builder = Database::builder().durability(Durability::Sync).memory_bytes(8 << 20);
/// let db = builder.open_in_memory()?;
/// db.keyspace("orders")?.insert("17", "one apple")?;
/// let log = db.stats().log;
/// assert_eq!(log.synced, log.end, "the commit is on the device");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) journal: JournalConfig,
    pub(crate) engine: Config,
    pub(crate) create: bool,
    pub(crate) read_only: bool,
    disk: Option<Arc<dyn Disk>>,
}

/// More threads of a kind than this are a mistake.
const ORDERED_THREADS_MAX: usize = 64;

/// Settings of the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) checkpoint_every_bytes: u64,
    pub(crate) compact_below: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) compaction_bytes_per_s: u64,
    pub(crate) ordered_threads: usize,
    pub(crate) query_threads: usize,
    pub(crate) flush_rows: usize,
    pub(crate) flush_bytes: usize,
    pub(crate) flush_after_ms: u64,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            journal: JournalConfig::default(),
            engine: Config {
                checkpoint_every_bytes: 32 << 20,
                compact_below: 0.5,
                memory_bytes: 96 << 20,
                compaction_bytes_per_s: 0,
                ordered_threads: 0,
                query_threads: 0,
                flush_rows: 1 << 16,
                flush_bytes: 64 << 20,
                flush_after_ms: 60_000,
            },
            create: true,
            read_only: false,
            disk: None,
        }
    }
}

impl Builder {
    /// The durability of commits that do not say otherwise. Default: synced every 10 ms.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability};
    /// use std::time::Duration;
    /// // Fast: a power cut may cost the last second.
    /// let every_second = Durability::interval(Duration::from_secs(1));
    /// let db = Database::builder().durability(every_second).open_in_memory()?;
    /// let users = db.keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// // What must not be lost waits for the device.
    /// db.sync()?;
    /// assert_eq!(db.stats().log.synced, db.stats().log.end);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.journal.durability = durability;
        self
    }

    /// When fresh events of a table become a part in the background: from so many events, or so many bytes of them in
    /// the log, or when the oldest have waited for so long. Default: 65,536 events, 64 MiB, a minute.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Background, Database};
    /// use annals_columns::Schema;
    /// use std::time::Duration;
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Tick {
    ///     #[ts]
    ///     at: i64,
    /// }
    ///
    /// let builder = Database::builder().flush_at(2, 16 << 20, Duration::from_secs(60));
    /// let db = builder.background(Background::Manual).open_in_memory()?;
    /// let ticks = db.table_of::<Tick>("ticks")?;
    /// ticks.append(&Tick { at: 1 })?;
    /// ticks.append(&Tick { at: 2 })?;
    /// db.tick()?;
    /// assert_eq!((ticks.stats()?.fresh_count, ticks.stats()?.parts_count), (0, 1));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn flush_at(mut self, events: usize, bytes: usize, after: Duration) -> Self {
        self.engine.flush_rows = events.max(1);
        self.engine.flush_bytes = bytes.max(1);
        self.engine.flush_after_ms = as_ms(after);
        self
    }

    /// Whether a missing database is created. Default: yes.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let missing = Database::builder().create(false).open(folder.join("typo")).unwrap_err();
    /// assert_eq!(missing.kind(), ErrorKind::NotADatabase);
    /// assert!(!folder.join("typo").exists());
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Whether the database is opened for reading only, beside a writer or alone. Default: no.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = Database::open(folder)?;
    /// db.keyspace("users")?.insert("ada", "1815")?;
    /// let reader = Database::builder().read_only(true).open(folder)?;
    /// let users = reader.open_keyspace("users")?;
    /// assert!(users.contains("ada")?);
    /// assert_eq!(users.insert("bob", "1").unwrap_err().kind(), ErrorKind::ReadOnly);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Bytes of a segment file of the log: a multiple of 4096 between 64 KiB and 4 GiB. Default
    /// 64 MiB. A commit larger than that gets a segment of its own.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// let db = Database::builder().segment_bytes(1 << 20).open_in_memory()?;
    /// let images = db.hash_keyspace("images")?;
    /// images.insert("front", vec![7; 700_000])?;
    /// images.insert("back", vec![8; 700_000])?;
    /// assert_eq!(db.stats().log.segments_count, 2);
    /// let odd = Database::builder().segment_bytes(1_000_000).open_in_memory().unwrap_err();
    /// assert_eq!(odd.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.journal.segment_bytes = bytes;
        self
    }

    /// A checkpoint is written at the latest after this many bytes of log; it bounds what a
    /// restart after a crash has to replay. Databases whose checkpoint is large wait for four
    /// times its size, if that is more. Default 32 MiB.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Background, Database};
    /// let builder = Database::builder().checkpoint_every_bytes(64 << 10);
    /// let db = builder.background(Background::Manual).open_in_memory()?;
    /// let images = db.hash_keyspace("images")?;
    /// let before = db.stats().log.checkpoint;
    /// images.insert("front", vec![7; 100_000])?;
    /// db.tick()?;
    /// assert!(db.stats().log.checkpoint > before);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn checkpoint_every_bytes(mut self, bytes: u64) -> Self {
        self.engine.checkpoint_every_bytes = bytes.max(1);
        self
    }

    /// A segment of the log is compacted in the background when the share of its bytes that is
    /// still current falls below this, and that of the whole log too; one with nothing current
    /// goes at any time. 0.0: never. Values are taken into the range 0.0 to 1.0. Default 0.5.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{ChangeKind, Database};
    /// // Keeps all that ever happened, for readers of changes.
    /// let db = Database::builder().compact_below(0.0).open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// users.insert("ada", "1852")?;
    /// let mut changes = db.changes(db.oldest_seq())?;
    /// assert_eq!(changes.try_next()?.map(|change| change.kind), Some(ChangeKind::CreateKeyspace));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn compact_below(mut self, share: f64) -> Self {
        self.engine.compact_below = share.clamp(0.0, 1.0);
        self
    }

    /// How much memory ordered keyspaces may take together, in bytes: two thirds for what is not in tables
    /// yet, where writers wait if flushes are behind, and one third for decompressed blocks of tables.
    /// Nothing of it is taken before it is needed. Less than 64 KiB is taken for that. Default 96 MiB.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::builder().memory_bytes(30 << 20).open_in_memory()?;
    /// db.keyspace("days")?.insert("11-20", "one apple")?;
    /// let tables = db.stats().tables.expect("those of the keyspace");
    /// assert_eq!(tables.cache.capacity_bytes, 10 << 20);
    /// assert!(tables.memtable_bytes < 20 << 20);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.engine.memory_bytes = bytes.max(64 << 10);
        self
    }

    /// How many bytes a second compactions of ordered keyspaces may write together, so that they leave the device
    /// to readers and to the log; 0: no limit. Flushes are never held to it, so no writer stands still
    /// for it; but where compactions fall far behind what is written, writers are slowed as in any such
    /// case. Default 0.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::builder().compaction_bytes_per_s(32 << 20).open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// assert_eq!(db.stats().tables.expect("there are trees").compaction_paused_ns, 0);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn compaction_bytes_per_s(mut self, bytes: u64) -> Self {
        self.engine.compaction_bytes_per_s = bytes;
        self
    }

    /// How many threads flush ordered keyspaces, and how many others compact them: as many of each kind, each
    /// with work of its own. They begin with the first ordered keyspace, and sleep while there is nothing to
    /// do. Flushes of one keyspace come one after the other, those of several run at the same time; so do
    /// compactions of different keys or levels. A thread that compacts holds a few blocks of tables in
    /// memory. 0: half as many as the machine has processors, at least 1 and at most 4; on two processors that
    /// is 1, since another would take time that writers and readers need. More than 64 are refused when the
    /// database is opened. Default 0.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// let db = Database::builder().ordered_threads(3).open_in_memory()?;
    /// for name in ["days", "scores", "users"] {
    ///     db.keyspace(name)?.insert("ada", "12")?;
    /// }
    /// // What is in memory goes to tables.
    /// db.checkpoint()?;
    /// assert_eq!(db.stats().tables.expect("those of the three").memtable_bytes, 0);
    /// let many = Database::builder().ordered_threads(1_000).open_in_memory().unwrap_err();
    /// assert_eq!(many.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn ordered_threads(mut self, count: usize) -> Self {
        self.engine.ordered_threads = count;
        self
    }

    /// How many threads a question about what events of a table come to may take, if it does not
    /// say otherwise; 0: as many as the machine has. Each question by itself: several at once take
    /// as many each. One that is answered soon takes one in any case. Default 0.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::Schema;
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Visit {
    ///     #[ts]
    ///     at: i64,
    ///     #[dim]
    ///     user: String,
    /// }
    ///
    /// // Questions leave the other processors to the rest of the program.
    /// let db = Database::builder().query_threads(1).open_in_memory()?;
    /// let visits = db.table_of::<Visit>("visits")?;
    /// visits.append(&Visit { at: 1, user: "ada".into() })?;
    /// let found = visits.view()?.query().group_by(Visit::fields().user()).run()?;
    /// assert_eq!(found.groups()[0].rows(), 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn query_threads(mut self, count: usize) -> Self {
        self.engine.query_threads = count;
        self
    }

    /// Who does the background work. Default: threads of the database.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Background, Database};
    /// let builder = Database::builder().background(Background::Manual).checkpoint_every_bytes(1);
    /// let db = builder.open_in_memory()?;
    /// let before = db.stats().log.checkpoint;
    /// db.keyspace("users")?.insert("ada", "1815")?;
    /// assert_eq!(db.stats().log.checkpoint, before, "nobody works beside the caller");
    /// db.tick()?;
    /// assert!(db.stats().log.checkpoint > before);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn background(mut self, background: Background) -> Self {
        self.journal.background = background;
        self
    }

    /// The disk to use instead of the machine's: a simulated one, for tests.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Background, Database, WriteOptions};
    /// use annals_disk::{SimDisk, SimOptions};
    /// use std::{sync::Arc, time::Duration};
    /// let disk = Arc::new(SimDisk::new(SimOptions::seeded(7)));
    /// let builder = Database::builder().disk(disk.clone()).background(Background::Manual);
    /// let sessions = builder.open("db")?.hash_keyspace("sessions")?;
    /// let a_minute = WriteOptions::default().ttl(Duration::from_secs(60));
    /// sessions.insert_with("ada", "token", a_minute)?;
    /// // Its clock goes as the test wants it to.
    /// disk.advance_ms(60_000);
    /// assert!(!sessions.contains("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Opens the database in the directory `path`, or creates it there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability, ErrorKind};
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = Database::builder().durability(Durability::Sync).open(folder)?;
    /// db.keyspace("users")?.insert("ada", "1815")?;
    /// // One process writes at a time; the message says who has it.
    /// let refused = Database::open(folder).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Locked);
    /// assert!(refused.to_string().contains(&std::process::id().to_string()));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotADatabase` if the directory holds other things, or nothing and `create` is off;
    /// `Locked` with the holder if another handle has it open for writing; `Corrupt` with file and
    /// offset if what was synced is damaged; `InvalidInput` for settings out of range; `Io`. An
    /// opening that fails for what it finds has changed nothing; one that the disk refuses a write
    /// has lost nothing.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        let disk = self.chosen_disk();
        loading::open(self, &disk, path.as_ref())
    }

    /// Whether the settings of the engine are in their ranges; the log looks at its own.
    ///
    /// # Errors
    /// `InvalidInput`, which names the setting.
    pub(crate) fn check(&self) -> Result<()> {
        let count = self.engine.ordered_threads;
        if count > ORDERED_THREADS_MAX {
            let (field, allowed) = ("ordered_threads", "0 to 64");
            return Err(
                annals_ordered::Error::Config { field, value: count as u64, allowed }.into()
            );
        }
        Ok(())
    }

    pub(crate) fn chosen_disk(&self) -> Arc<dyn Disk> {
        self.disk.clone().unwrap_or_else(|| Arc::new(RealDisk::new()))
    }

    /// [`Database::restore`] on the [`disk`](Self::disk) of these settings.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_disk::MemoryDisk;
    /// use std::sync::Arc;
    /// let builder = Database::builder().disk(Arc::new(MemoryDisk::new()));
    /// let db = builder.clone().open("live")?;
    /// db.keyspace("users")?.insert("ada", "1815")?;
    /// db.backup_to("backup")?;
    /// builder.restore("backup", "restored")?;
    /// assert!(builder.open("restored")?.open_keyspace("users")?.contains("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Database::restore`].
    pub fn restore(
        &self,
        backup: impl AsRef<Path>,
        target: impl AsRef<Path>,
    ) -> Result<BackupReport> {
        backup::restore(&*self.chosen_disk(), backup.as_ref(), target.as_ref())
    }

    /// [`Database::lock_holder`] on the [`disk`](Self::disk) of these settings.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_disk::MemoryDisk;
    /// use std::sync::Arc;
    /// let builder = Database::builder().disk(Arc::new(MemoryDisk::new()));
    /// assert!(builder.lock_holder("db")?.is_none());
    /// let db = builder.clone().open("db")?;
    /// assert!(builder.lock_holder("db")?.is_some());
    /// # drop(db);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn lock_holder(&self, path: impl AsRef<Path>) -> Result<Option<Holder>> {
        holder::of(&*self.chosen_disk(), path.as_ref())
    }

    /// [`Database::break_lock`] on the [`disk`](Self::disk) of these settings.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// use annals_disk::MemoryDisk;
    /// use std::sync::Arc;
    /// let builder = Database::builder().disk(Arc::new(MemoryDisk::new()));
    /// let db = builder.clone().open("db")?;
    /// assert_eq!(builder.break_lock("db").unwrap_err().kind(), ErrorKind::Locked);
    /// db.close()?;
    /// assert!(!builder.break_lock("db")?, "nothing was left");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Database::break_lock`].
    pub fn break_lock(&self, path: impl AsRef<Path>) -> Result<bool> {
        holder::break_lock(&*self.chosen_disk(), path.as_ref())
    }

    /// Creates a database that lives and dies with the process, whatever [`create`](Self::create)
    /// and [`read_only`](Self::read_only) say.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability};
    /// let builder = Database::builder().durability(Durability::Buffered);
    /// let (one, other) = (builder.clone().open_in_memory()?, builder.open_in_memory()?);
    /// one.keyspace("users")?.insert("ada", "1815")?;
    /// assert!(other.keyspaces().is_empty(), "each is a database of its own");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the system has no memory or no thread for it; settings out of range.
    pub fn open_in_memory(self) -> Result<Database> {
        let fresh = Self { read_only: false, create: true, ..self };
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        loading::open(fresh, &disk, Path::new("memory"))
    }
}
