//! The journal: what its users hold.

use crate::{
    Address, Background, Config, Durability, Error, Hold, Opening, Position, Recovery, Result,
    Root, SegmentGuard, Seq,
    chair::Seat,
    format::{parse_segment_name, segment_name},
    lock::{FIGURES_NAME, FIGURES_TEMPORARY, LOCK_NAME, lock},
    readers::{self, READERS_NAME},
    root::{NO_DIRECTORY, ROOT_TEMPORARY, has_frames},
    segments::Glance,
    shared::Shared,
};
use annals_disk::{Disk, Lock};
use parking_lot::Mutex;
use std::{
    io::ErrorKind,
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
};

/// The directory for what recovery cut off or found without an owner.
pub const PUT_AWAY_NAME: &str = "put-away";

/// The durable log of a database.
#[derive(Debug)]
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Journal {
    /// Creates the log of a new database in `dir`, which must be empty or missing.
    ///
    /// # Errors
    /// [`Error::NotADatabase`] if the directory holds anything, [`Error::Locked`], or what the
    /// file system refuses.
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, config: Config) -> Result<Self> {
        config.validate()?;
        // Looked at before the lock is taken, because taking it makes a file.
        check_empty(&*disk, dir)?;
        disk.create_dir_all(dir).map_err(|error| match error.source.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                Error::NotADatabase { path: dir.to_owned(), what: NO_DIRECTORY }
            }
            _ => error.into(),
        })?;
        let lock = lock(&*disk, dir)?;
        check_empty(&*disk, dir)?;
        let first = dir.join(segment_name(1));
        if disk.len(&first)?.is_some() {
            disk.remove(&first)?;
        }
        let root = Root {
            database_id: disk.random_u64(),
            hash_seed: disk.random_u64(),
            epoch: 0,
            clean_end: None,
            synced_to: Position::default(),
            next_seq: Seq(1),
            clock_ms: 0,
            next_generation: 1,
            copy: false,
            unseen_readers: false,
            checkpoint: None,
            manifest: None,
            segments: Vec::new(),
        };
        crate::takeover::create(disk, dir, config, lock, root)
    }

    /// Opens the log in `dir` for writing, up to the point where it has to be replayed.
    ///
    /// # Errors
    /// [`Error::NotADatabase`], [`Error::Locked`], or what is wrong with the files.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, config: Config) -> Result<Opening> {
        config.validate()?;
        // Looked for before the lock is taken, because taking it makes a file.
        Root::read(&*disk, dir)?;
        let lock = lock(&*disk, dir)?;
        Opening::read(disk, dir.to_owned(), config, Some(lock))
    }

    /// Opens the log in `dir` for reading beside a writer. As long as the journal lives, it shares
    /// a lock that keeps writers from recycling segments.
    ///
    /// # Errors
    /// [`Error::NotADatabase`], or what is wrong with the files.
    pub fn open_read_only(disk: Arc<dyn Disk>, dir: &Path, config: Config) -> Result<Opening> {
        config.validate()?;
        // Looked for before the readers' lock is taken, because taking it may make a file.
        Root::read(&*disk, dir)?;
        let reader_lock = readers::enter(&*disk, dir)?;
        let mut opening = Opening::read(disk, dir.to_owned(), config, None)?;
        opening.reader_lock = reader_lock;
        Ok(opening)
    }

    pub(crate) fn start(shared: Shared, lock: Option<Box<dyn Lock>>) -> Self {
        annals_disk::fences::prepare();
        *shared.lock.lock() = lock;
        let shared = Arc::new(shared);
        let threads = if shared.config.background == Background::Threads && !shared.read_only {
            crate::background::spawn(&shared)
        } else {
            Vec::new()
        };
        Self { shared, threads: Mutex::new(threads) }
    }

    /// The database's id.
    #[must_use]
    pub fn database_id(&self) -> u64 {
        self.shared.database_id
    }

    /// The seed of the key hash; part of the format of views that keep hashes.
    #[must_use]
    pub fn hash_seed(&self) -> u64 {
        self.shared.root.lock().hash_seed
    }

    /// Whether the journal was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// The database's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The disk the log lies on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.shared.disk
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The opening this is: counts from 1.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.shared.epoch
    }

    /// Keeps the segment in `slot` alive; `None` if there is none (any more).
    #[inline]
    #[must_use]
    pub fn guard(&self, slot: u32) -> Option<SegmentGuard<'_>> {
        self.shared.segments.guard(slot)
    }

    /// One glance at the record at `address`, whether it is of the key `key` in `space`; a thread
    /// that is pinned is spared looking for itself.
    #[inline(always)]
    #[must_use]
    pub fn glance(&self, address: Address, seat: Seat<'_>, space: u32, key: &[u8]) -> Glance<'_> {
        self.shared.segments.glance(address, seat.counter, space, key)
    }

    /// Brings the record at `address` closer to the processor. A hint.
    #[inline]
    pub fn prefetch(&self, address: Address) {
        self.shared.segments.prefetch(address);
    }

    /// The same for a record whose value will be read.
    #[inline]
    pub fn prefetch_value(&self, address: Address) {
        self.shared.segments.prefetch_value(address);
    }

    /// Where the log ends: the position behind the last frame.
    #[must_use]
    pub fn end(&self) -> Position {
        self.shared.appended.position()
    }

    /// The position up to which the log is on the device.
    #[must_use]
    pub fn synced(&self) -> Position {
        self.shared.durable.synced.position()
    }

    /// Holds back the removal of the log from `position` on.
    #[must_use]
    pub fn hold(&self, name: &str, position: Position) -> Hold {
        self.shared.holds.add(name, position)
    }

    /// Waits until the commit that ended at `end` has `durability`.
    ///
    /// # Errors
    /// [`Error::Poisoned`] if a sync failed, now or earlier.
    #[inline]
    pub fn make_durable(&self, end: Position, durability: Durability) -> Result<()> {
        self.shared.make_durable(end, durability)
    }

    /// Syncs everything appended so far.
    ///
    /// # Errors
    /// [`Error::Poisoned`] if a sync failed, now or earlier.
    pub fn sync(&self) -> Result<()> {
        if self.shared.read_only {
            return Ok(());
        }
        self.shared.sync_to(self.end())
    }

    /// Does what background threads would do now. Needed only with [`Background::Manual`].
    ///
    /// # Errors
    /// What the work ran into; the journal itself stays as it says.
    pub fn tick(&self) -> Result<()> {
        self.shared.tick()
    }

    /// Why writes have stopped, if they have.
    #[must_use]
    pub fn poisoned(&self) -> Option<Arc<str>> {
        self.shared.poison.get().cloned()
    }

    /// Stops all writing with `cause`, as a failed sync does. For views that cannot follow a
    /// commit any more.
    pub fn poison(&self, cause: &str) {
        self.shared.poison(cause);
    }

    /// Ends the log so that the next opening knows it is whole: syncs, writes a closing frame,
    /// gives reserved space back, and notes the end in the root. Later writes fail.
    ///
    /// # Errors
    /// If the device refuses; the next opening then recovers as after a crash.
    pub fn close(&self) -> Result<()> {
        self.stop_threads();
        self.shared.close()
    }

    fn stop_threads(&self) {
        self.shared.signals.stop();
        for thread in self.threads.lock().drain(..) {
            // A panic in a background thread has poisoned the journal already.
            drop(thread.join());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop_threads();
        if !self.shared.read_only
            && let Err(error) = self.shared.close()
        {
            tracing::warn!(%error, "the log was not closed cleanly; the next opening recovers it");
        }
    }
}

/// Makes sure that nothing but what an interrupted creation leaves is in `dir`: no root, a first
/// segment, a temporary root.
fn check_empty(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) if error.source.kind() == ErrorKind::NotADirectory => {
            return Err(Error::NotADatabase { path: dir.to_owned(), what: NO_DIRECTORY });
        }
        Err(error) => return Err(error.into()),
    };
    // What an interrupted creation leaves, and the figures of a database that is gone. A segment with frames
    // is more: its root is lost.
    let ours = |name: &str| {
        [LOCK_NAME, READERS_NAME, ROOT_TEMPORARY, FIGURES_NAME, FIGURES_TEMPORARY].contains(&name)
            || (parse_segment_name(name) == Some(1) && !has_frames(disk, &dir.join(name)))
    };
    if entries.iter().any(|entry| !ours(&entry.name)) {
        let what = "it is not empty and has no annals.root file; name an empty directory, or \
                    restore the database from a backup if it lost its root";
        return Err(Error::NotADatabase { path: dir.to_owned(), what });
    }
    Ok(())
}

/// What an opening produced.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// What recovery did.
    pub recovery: Recovery,
}
