//! Settings for opening a database.

use crate::{Background, BackupReport, Database, Durability, Result, backup, holder, loading};
use annals_disk::{Disk, Holder, MemoryDisk, RealDisk};
use annals_journal::Config as JournalConfig;
use std::{path::Path, sync::Arc, time::Duration};

/// Settings for opening a database. They are checked once, by [`open`](Self::open).
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, Durability};
/// let db = Database::builder().durability(Durability::Sync).open_in_memory()?;
/// # let _ = db;
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

/// Settings of the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) checkpoint_every_bytes: u64,
    pub(crate) compact_below: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) compaction_bytes_per_s: u64,
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
    /// use std::time::Duration;
    /// let builder = annals::Database::builder().flush_at(10_000, 16 << 20, Duration::from_secs(5));
    /// # let _ = builder;
    /// ```
    #[must_use]
    pub fn flush_at(mut self, events: usize, bytes: usize, after: Duration) -> Self {
        self.engine.flush_rows = events.max(1);
        self.engine.flush_bytes = bytes.max(1);
        self.engine.flush_after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Whether a missing database is created. Default: yes.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Whether the database is opened for reading only, beside a writer or alone. Default: no.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Bytes of a segment file of the log: a multiple of 4096 between 64 KiB and 4 GiB. Default
    /// 64 MiB. A commit larger than that gets a segment of its own.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.journal.segment_bytes = bytes;
        self
    }

    /// A checkpoint is written at the latest after this many bytes of log; it bounds what a
    /// restart after a crash has to replay. Databases whose checkpoint is large wait for four
    /// times its size, if that is more. Default 32 MiB.
    #[must_use]
    pub fn checkpoint_every_bytes(mut self, bytes: u64) -> Self {
        self.engine.checkpoint_every_bytes = bytes.max(1);
        self
    }

    /// A segment of the log is compacted in the background when the share of its bytes that is
    /// still current falls below this, and that of the whole log too; one with nothing current
    /// goes at any time. 0.0: never. Values are taken into the range 0.0 to 1.0. Default 0.5.
    #[must_use]
    pub fn compact_below(mut self, share: f64) -> Self {
        self.engine.compact_below = share.clamp(0.0, 1.0);
        self
    }

    /// How much memory ordered keyspaces may take together, in bytes: two thirds for what is not in tables
    /// yet, where writers wait if flushes are behind, and one third for decompressed blocks of tables.
    /// Nothing of it is taken before it is needed. Less than 64 KiB is taken for that. Default 96 MiB.
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

    /// How many threads a question about what events of a table come to may take, if it does not
    /// say otherwise; 0: as many as the machine has. One that is answered soon takes one in any
    /// case. Default 0.
    #[must_use]
    pub fn query_threads(mut self, count: usize) -> Self {
        self.engine.query_threads = count;
        self
    }

    /// Who does the background work. Default: threads of the database.
    #[must_use]
    pub fn background(mut self, background: Background) -> Self {
        self.journal.background = background;
        self
    }

    /// The disk to use instead of the machine's: a simulated one, for tests.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Opens the database in the directory `path`, or creates it there.
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

    pub(crate) fn chosen_disk(&self) -> Arc<dyn Disk> {
        self.disk.clone().unwrap_or_else(|| Arc::new(RealDisk::new()))
    }

    /// [`Database::restore`] on the [`disk`](Self::disk) of these settings.
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
    /// # Errors
    /// What the file system refuses.
    pub fn lock_holder(&self, path: impl AsRef<Path>) -> Result<Option<Holder>> {
        holder::of(&*self.chosen_disk(), path.as_ref())
    }

    /// [`Database::break_lock`] on the [`disk`](Self::disk) of these settings.
    ///
    /// # Errors
    /// As [`Database::break_lock`].
    pub fn break_lock(&self, path: impl AsRef<Path>) -> Result<bool> {
        holder::break_lock(&*self.chosen_disk(), path.as_ref())
    }

    /// Creates a database that lives and dies with the process, whatever [`create`](Self::create)
    /// and [`read_only`](Self::read_only) say.
    ///
    /// # Errors
    /// If the system has no memory or no thread for it; settings out of range.
    pub fn open_in_memory(self) -> Result<Database> {
        let fresh = Self { read_only: false, create: true, ..self };
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        loading::open(fresh, &disk, Path::new("memory"))
    }
}
