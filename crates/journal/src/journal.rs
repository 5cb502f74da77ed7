//! The journal: the state that writers, readers and background work share.
//!
//! Locks, in the order in which they may be taken: `root` (held across file operations) before
//! `tail` (never held across any). Readers take neither.

use crate::{
    Address, Background, Config, Durability, Error, Hold, Opening, Position, Recovery, Result,
    Root, SegmentGuard, Seq,
    background::Signals,
    chair::Pin,
    cursor::Cursor,
    durable::{Durable, Progress, SharedProgress},
    format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentKind, segment_name},
    frame::{FrameHeader, FrameKind, empty_frame},
    holds::Holds,
    pace::Pace,
    readers::{self, READERS_NAME},
    root::{NO_DIRECTORY, ROOT_NAME, ROOT_TEMPORARY, RootSegment, has_frames},
    segment::Segment,
    segments::{Glance, Segments},
    space::{self, SlotPool},
    way::{BUSY_BYTES, way},
};
use annals_disk::{Disk, DiskError, Lock, LockMode, Via};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::BTreeSet,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

/// The file whose lock a writer holds.
pub const LOCK_NAME: &str = "annals.lock";
/// A file that a failed sync leaves. It need not be durable: what it tells is of no use once the
/// kernel's memory is gone.
pub(crate) const SYNC_FAILED_NAME: &str = "sync-failed.tmp";
/// The directory for what recovery cut off or found without an owner.
pub const PUT_AWAY_NAME: &str = "put-away";

/// The durable log of a database.
#[derive(Debug)]
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

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
    poison: OnceLock<Arc<str>>,
    pub(crate) closed: AtomicBool,
    lock: Mutex<Option<Box<dyn Lock>>>,
    /// For read-only journals: how far the chain has been followed.
    pub(crate) follower: Mutex<Option<Cursor>>,
    /// Position up to which some frame says that the log is synced.
    pub(crate) marked: AtomicU64,
    /// Of a read-only journal: keeps writers from recycling what is mapped here. The last field: it
    /// is let go after the maps.
    pub(crate) reader_lock: Mutex<Option<Box<dyn Lock>>>,
}

/// The end of the log; owned by whoever holds the writer lock.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: usize,
    /// Nothing is appended from here on; lowered while zeroes are written ahead.
    pub(crate) limit: usize,
    /// Real zeroes have been written up to here.
    pub(crate) zeroed_to: usize,
    /// Pages have been made present up to here.
    pub(crate) populated_to: usize,
    /// The same of the segment of this generation, which is expected to be the next one.
    pub(crate) populated_next: (u32, usize),
    pub(crate) next_seq: Seq,
    pub(crate) time_ms: u64,
    pub(crate) bytes: u64,
    pub(crate) spares: Vec<Arc<Segment>>,
    /// Why the last attempt to prepare a segment failed; handed to one waiting writer.
    pub(crate) space_error: Option<Error>,
    /// A background attempt to prepare a segment is under way or asked for.
    pub(crate) preparing: bool,
    /// Spares taken since segments were last let go of, and in the stretch before that.
    pub(crate) taken: usize,
    pub(crate) taken_before: usize,
    /// Whether the last frame went by a call.
    pub(crate) by_call: bool,
    /// A log that goes by calls is looked at again once it gets here.
    pub(crate) pace_at: usize,
    /// How fast the log takes segments.
    pub(crate) pace: Pace,
    /// Slots of segments that were sealed with much of their space unused.
    pub(crate) half_empty: Vec<u32>,
}

impl Tail {
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            position: self.segment.position(self.offset),
            next_seq: self.next_seq,
            bytes: self.bytes,
        }
    }

    /// Which spare becomes the next segment if `need` bytes have to fit.
    pub(crate) fn next_spare(&self, need: usize) -> Option<usize> {
        (0..self.spares.len()).filter(|index| self.spares[*index].region.len() >= need).min_by_key(
            |index| {
                let spare = &self.spares[*index];
                (spare.region.len(), !spare.recycled)
            },
        )
    }

    /// Brings the pace up to date. Who has no threads prepares what is asked for and no more.
    pub(crate) fn look_at_pace(&mut self, disk: &dyn Disk, config: &Config) {
        if config.background == Background::Threads {
            self.pace.look(self.bytes, disk.monotonic_ns(), config.segment_bytes);
        }
    }

    /// Whether `bytes` and a seal behind them fit into the segment, whatever the limit is now.
    pub(crate) fn fits(&self, bytes: usize, records: usize) -> bool {
        let last = self.next_seq.0 + records as u64 - self.segment.base_seq().0;
        self.offset + bytes + FRAME_HEADER_BYTES <= self.segment.region.len()
            && u32::try_from(last).is_ok()
    }
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
        let lock = take_lock(&*disk, dir)?;
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
        let lock = take_lock(&*disk, dir)?;
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
    pub fn glance(&self, address: Address, pin: &Pin, space: u32, key: &[u8]) -> Glance<'_> {
        self.shared.segments.glance(address, pin.seat(), space, key)
    }

    /// Brings the record at `address` closer to the processor. A hint.
    #[inline]
    pub fn prefetch(&self, address: Address) {
        self.shared.segments.prefetch(address);
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
    // What an interrupted creation leaves. A segment with frames is more: its root is lost.
    let ours = |name: &str| {
        [LOCK_NAME, READERS_NAME, ROOT_TEMPORARY].contains(&name)
            || (crate::format::parse_segment_name(name) == Some(1)
                && !has_frames(disk, &dir.join(name)))
    };
    if entries.iter().any(|entry| !ours(&entry.name)) {
        let what = "it is not empty and has no annals.root file; name an empty directory, or \
                    restore the database from a backup if it lost its root";
        return Err(Error::NotADatabase { path: dir.to_owned(), what });
    }
    Ok(())
}

/// Takes the writer lock of the directory `dir`, which must exist.
///
/// # Errors
/// [`Error::Locked`] with the holder if another handle has it.
pub fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Lock>> {
    take_lock(disk, dir)
}

fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Lock>> {
    let path = dir.join(LOCK_NAME);
    // The holder may let go between the two questions; then ask once more.
    for _ in 0..3 {
        if let Some(lock) = disk.try_lock(&path, LockMode::Exclusive)? {
            return Ok(lock);
        }
        if let Some(holder) = disk.lock_holder(&path)? {
            return Err(Error::Locked { path: dir.to_owned(), holder });
        }
    }
    let holder = annals_disk::Holder { pid: 0, host: "unknown".into(), since_ms: 0 };
    Err(Error::Locked { path: dir.to_owned(), holder })
}

/// Brings a segment's entry in the root up to date, as far as its file is on the device: a root
/// that says more than the device holds would make a power cut look like damage.
fn describe(segment: &Segment, synced: Position, entry: &mut RootSegment) {
    let durable = |offset| synced >= segment.position(offset);
    let complete = segment.sealed_end();
    match segment.kind() {
        SegmentKind::Spare => {}
        SegmentKind::Log if durable(SEGMENT_HEADER_BYTES) => {
            entry.kind = SegmentKind::Log;
            entry.ordinal = segment.ordinal();
            entry.end = complete.filter(|end| durable(*end)).unwrap_or(0) as u32;
        }
        SegmentKind::Log => {}
        // Sealed only after it was synced.
        SegmentKind::Packed => {
            if let Some(end) = complete {
                entry.kind = SegmentKind::Packed;
                entry.ordinal = segment.ordinal();
                entry.end = end as u32;
            }
        }
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
            durable.covered.store(BUSY_BYTES, Ordering::Relaxed);
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

    /// A sync failed. The kernel may count the pages as written from now on although they are not
    /// on the device; if only this process ends, the next opening has to write them again.
    pub(crate) fn sync_failed(&self, error: &DiskError) {
        if let Err(error) = self.disk.create(&self.dir.join(SYNC_FAILED_NAME)) {
            tracing::warn!(%error, "the next opening will not know of the failed sync");
        }
        self.poison(&error.to_string());
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

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
            || self.appended.position(),
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

    pub(crate) fn make_durable(&self, end: Position, durability: Durability) -> Result<()> {
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

    /// Appends a frame without records at the end of the tail. The caller made sure that it fits.
    pub(crate) fn append_empty(&self, tail: &mut Tail, kind: FrameKind) -> Result<()> {
        let synced_to = self.durable.synced.position();
        let header = FrameHeader {
            kind,
            len: FRAME_HEADER_BYTES as u32,
            first_seq: tail.next_seq,
            time_ms: tail.time_ms,
            synced_to,
            count: 0,
            epoch: self.epoch,
            term: 0,
            shard: 0,
        };
        self.write_at_tail(tail, &[&empty_frame(&header, tail.segment.seed)], false)?;
        self.marked.fetch_max(synced_to.to_u64(), Ordering::Relaxed);
        Ok(())
    }

    /// Writes the parts of a finished frame at the tail and publishes it. `large`: its records are
    /// large ones.
    #[inline]
    pub(crate) fn write_at_tail(
        &self,
        tail: &mut Tail,
        parts: &[&[u8]],
        large: bool,
    ) -> Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let end = tail.offset + len;
        let bytes = tail.bytes + len as u64;
        let unsynced = bytes.saturating_sub(self.durable.synced.bytes());
        let via = way(large, unsynced, self.durable.covered.load(Ordering::Relaxed));
        tail.by_call = via == Via::Call;
        if via == Via::Memory {
            if space::wants_pages(tail, end) {
                self.signals.ask_for_pages(tail.populated_to);
            }
        } else if end >= tail.pace_at {
            tail.pace_at = end + space::LOOK_EVERY_BYTES;
            self.signals.ask_for_pace();
        }
        if let Err(error) = tail.segment.region.write_parts(tail.offset, parts, via) {
            // Part of the bytes may be there; writing on over them would be a guess.
            self.poison(&error.to_string());
            return Err(error.into());
        }
        tail.offset = end;
        tail.bytes = bytes;
        tail.segment.publish(end);
        self.appended.store(tail.progress());
        Ok(())
    }

    fn close(&self) -> Result<()> {
        let closed_before = self.closed.swap(true, Ordering::AcqRel);
        self.signals.wake_feed();
        if self.read_only || closed_before {
            self.lock.lock().take();
            return Ok(());
        }
        self.room.notify_all();
        let outcome = self.close_log();
        // Whoever changes the set of files at this moment has looked at the flag before: it comes
        // to its end first.
        drop(self.root.lock());
        self.stay_as_reader();
        // Released last: whoever gets it next finds a finished directory.
        self.lock.lock().take();
        outcome
    }

    /// Guards, snapshots and handles may outlive closing and go on reading: for the next writer, which
    /// would use the files again, this is one of its readers from now on.
    fn stay_as_reader(&self) {
        if readers::is_there(&*self.disk, &self.dir) {
            match readers::enter(&*self.disk, &self.dir) {
                Ok(lock) => *self.reader_lock.lock() = lock,
                Err(error) => tracing::warn!(%error, "the next writer does not see who reads here"),
            }
        }
    }

    /// The lock of the readers, if there is none and every one could be seen. Whoever comes while it is
    /// held waits.
    pub(crate) fn alone(&self) -> Option<Box<dyn Lock>> {
        if self.sees_readers { readers::alone(&*self.disk, &self.dir) } else { None }
    }

    fn close_log(&self) -> Result<()> {
        if let Some(cause) = self.poison.get() {
            return Err(Error::Poisoned { cause: Arc::clone(cause) });
        }
        self.sync_to(self.appended.position())?;
        let (end, segment) = {
            let mut tail = self.tail.lock();
            // The last place of a segment is for its seal.
            if tail.offset + 2 * FRAME_HEADER_BYTES <= tail.segment.region.len() {
                // The root alone says that the log is whole; the frame only tells readers of the log
                // of it. It must not take the room that sealing the segment needs.
                if tail.offset + 2 * FRAME_HEADER_BYTES <= tail.segment.region.len() {
                    self.append_empty(&mut tail, FrameKind::Close)?;
                }
            }
            (tail.progress(), Arc::clone(&tail.segment))
        };
        self.applied.store(end);
        self.sync_to(end.position)?;
        // One page of zeroes stays behind the end: followers look there for the next frame.
        let end_offset = end.position.offset as usize;
        let keep = end_offset.next_multiple_of(4096) + 4096;
        // A reader may be looking behind the end at this moment, or come to.
        let alone = self.alone();
        let cut = keep < segment.region.len() && alone.is_some();
        if segment.recycled {
            // What an earlier life left would be cut off page by page only.
            segment.region.zero(end_offset, keep.min(segment.region.len()) - end_offset)?;
        }
        if cut {
            segment.cut(keep)?;
        }
        if cut || segment.recycled {
            segment.region.sync()?;
        }
        drop(alone);
        let mut root = self.root.lock();
        let mut next = self.current_root(&root);
        let spares: Vec<_> = self.tail.lock().spares.drain(..).collect();
        next.segments.retain(|entry| entry.kind != SegmentKind::Spare);
        next.clean_end = Some(end.position);
        next.write(&*self.disk, &self.dir)?;
        *root = next;
        let retired = std::mem::take(&mut *self.retired.lock());
        for generation in spares.iter().map(|spare| spare.generation).chain(retired) {
            self.remove_file(&segment_name(generation));
        }
        Ok(())
    }

    /// The root as it should read now: kinds, places and ends of segments brought up to date.
    pub(crate) fn current_root(&self, root: &Root) -> Root {
        let mut next = root.clone();
        let synced = self.durable.synced.position();
        for entry in &mut next.segments {
            if let Some(guard) = self.segments.guard(entry.slot)
                && guard.segment().generation == entry.generation
            {
                describe(guard.segment(), synced, entry);
            }
        }
        let tail = self.tail.lock();
        next.next_seq = tail.next_seq;
        next.clock_ms = next.clock_ms.max(tail.time_ms);
        next.synced_to = next.synced_to.max(self.durable.synced.position());
        next.clean_end = None;
        next
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

/// What an opening produced.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// What recovery did.
    pub recovery: Recovery,
}
