//! What writers, readers and background work share.
//!
//! Locks, in the order in which they may be taken: `root` (held across file operations) before
//! `tail` (never held across any). Readers take neither.

use crate::{
    Config, Durability, Error, Position, Result, Root,
    background::Signals,
    cursor::Cursor,
    durable::{Durable, Progress, SharedProgress},
    holds::Holds,
    root::ROOT_NAME,
    segments::Segments,
    space::SlotPool,
    tail::Tail,
};
use annals_disk::{Disk, DiskError, Lock};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A file that a failed sync leaves. It need not be durable: what it tells is of no use once the
/// kernel's memory is gone.
pub(crate) const SYNC_FAILED_NAME: &str = "sync-failed.tmp";

/// What writers, readers and background threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) database_id: u64,
    pub(crate) epoch: u32,
    pub(crate) read_only: bool,
    pub(crate) segments: Segments,
    pub(crate) root: Mutex<Root>,
    pub(crate) slots: Mutex<SlotPool>,
    pub(crate) tail: Mutex<Tail>,
    /// Signalled when the tail may have room again.
    pub(crate) room: Condvar,
    /// How far frames are appended.
    pub(crate) appended: SharedProgress,
    /// How far the views have applied; the feed shows nothing beyond.
    pub(crate) applied: SharedProgress,
    pub(crate) durable: Durable,
    pub(crate) signals: Signals,
    pub(crate) holds: Arc<Holds>,
    /// Generations of segments that the root no longer names and whose files are kept to be
    /// recycled. Changed under the lock of `root` only.
    pub(crate) retired: Mutex<BTreeSet<u32>>,
    /// Segments recycled since this opening.
    pub(crate) recycled_count: AtomicU64,
    /// Whether every reader of another process can be seen.
    pub(crate) sees_readers: bool,
    pub(crate) poison: OnceLock<Arc<str>>,
    pub(crate) closed: AtomicBool,
    pub(crate) lock: Mutex<Option<Box<dyn Lock>>>,
    /// For read-only journals: how far the chain has been followed.
    pub(crate) follower: Mutex<Option<Cursor>>,
    /// Position up to which some frame says that the log is synced.
    pub(crate) marked: AtomicU64,
    /// Of a read-only journal: keeps writers from recycling what is mapped here. The last field: it
    /// is let go after the maps.
    pub(crate) reader_lock: Mutex<Option<Box<dyn Lock>>>,
}

/// A sync in the directory `dir` failed. The kernel may count the pages as written from now on although
/// they are not on the device; if only this process ends, the next opening has to write them again.
pub(crate) fn note_failed_sync(disk: &dyn Disk, dir: &Path) {
    if let Err(error) = disk.create(&dir.join(SYNC_FAILED_NAME)) {
        tracing::warn!(%error, "the next opening will not know of the failed sync");
    }
}

/// The parts of a journal that a takeover decides.
pub(crate) struct Takeover {
    pub(crate) root: Root,
    pub(crate) segments: Segments,
    pub(crate) tail: Tail,
    pub(crate) synced: Progress,
    pub(crate) slots: SlotPool,
    pub(crate) read_only: bool,
}

impl Shared {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        config: Config,
        takeover: Takeover,
    ) -> Self {
        let Takeover { root, segments, tail, synced, slots, read_only } = takeover;
        let appended = SharedProgress::default();
        appended.store(tail.progress());
        let applied = SharedProgress::default();
        applied.store(tail.progress());
        let durable = Durable::default();
        durable.synced.store(synced);
        durable.track(Arc::clone(&tail.segment));
        if config.durability == Durability::Buffered {
            // Nobody is expected to sync: as if the last sync had covered much.
            durable.covered.store(u64::MAX, Ordering::Relaxed);
        }
        let signals = Signals::new(config.durability);
        let sees_readers = !root.unseen_readers;
        Self {
            disk,
            dir,
            config,
            database_id: root.database_id,
            epoch: root.epoch,
            read_only,
            segments,
            root: Mutex::new(root),
            slots: Mutex::new(slots),
            tail: Mutex::new(tail),
            room: Condvar::new(),
            appended,
            applied,
            durable,
            signals,
            holds: Arc::new(Holds::default()),
            retired: Mutex::default(),
            recycled_count: AtomicU64::new(0),
            sees_readers,
            poison: OnceLock::new(),
            closed: AtomicBool::new(false),
            lock: Mutex::new(None),
            follower: Mutex::new(None),
            marked: AtomicU64::new(0),
            reader_lock: Mutex::new(None),
        }
    }

    pub(crate) fn poison(&self, cause: &str) {
        if self.poison.set(cause.into()).is_ok() {
            tracing::error!(dir = %self.dir.display(), cause, "writes stop here");
        }
        self.room.notify_all();
    }

    /// A sync failed: nothing is written any more.
    pub(crate) fn sync_failed(&self, error: &DiskError) {
        note_failed_sync(&*self.disk, &self.dir);
        self.poison(&error.to_string());
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    #[inline]
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        if let Some(cause) = self.poison.get() {
            return Err(Error::Poisoned { cause: Arc::clone(cause) });
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        Ok(())
    }

    pub(crate) fn sync_to(&self, target: Position) -> Result<()> {
        self.durable.wait(
            target,
            || self.disk.monotonic_ns(),
            || self.tail.lock().progress(),
            || self.is_poisoned(),
            |error: &DiskError| self.sync_failed(error),
        );
        match self.poison.get() {
            Some(cause) if self.durable.synced.position() < target => {
                Err(Error::Poisoned { cause: Arc::clone(cause) })
            }
            _ => {
                self.signals.note_synced();
                Ok(())
            }
        }
    }

    #[inline]
    pub(crate) fn make_durable(&self, end: Position, durability: Durability) -> Result<()> {
        if durability == Durability::Buffered { Ok(()) } else { self.sync_as(end, durability) }
    }

    /// Waits until the log is on the device up to `end`, or sees to it that it gets there in time.
    fn sync_as(&self, end: Position, durability: Durability) -> Result<()> {
        match durability {
            Durability::Buffered => Ok(()),
            Durability::Sync => {
                self.signals.note_sync_commit();
                self.sync_to(end)
            }
            Durability::Interval { every, events, bytes } => {
                self.signals.note_dirty(every, &*self.disk);
                if events.is_none() && bytes.is_none() {
                    return Ok(());
                }
                let (now, synced) = (self.appended.load(), self.durable.synced.load());
                let records = now.next_seq.0.saturating_sub(synced.next_seq.0);
                let unsynced = now.bytes.saturating_sub(synced.bytes);
                let over = events.is_some_and(|most| records >= most)
                    || bytes.is_some_and(|most| unsynced >= most);
                if over { self.sync_to(end) } else { Ok(()) }
            }
        }
    }

    /// Sees to it that what ends at `end`, which nobody waits for, is synced as soon as a commit at
    /// an interval would be; not in a database that leaves syncing to the kernel.
    pub(crate) fn sync_soon(&self, end: Position) {
        let every = match self.config.durability {
            Durability::Buffered => return,
            Durability::Interval { every, .. } => every,
            Durability::Sync => std::time::Duration::from_millis(10),
        };
        if self.durable.synced.position() < end {
            self.signals.note_dirty(every, &*self.disk);
        }
    }

    /// Removes a file that the root no longer names. One that stays is put away at the next
    /// opening, so a failure is only noted.
    pub(crate) fn remove_file(&self, name: &str) {
        debug_assert_ne!(name, ROOT_NAME);
        if let Err(error) = self.disk.remove(&self.dir.join(name)) {
            tracing::warn!(%error, "a file without an owner stays until the next opening");
        }
    }
}
