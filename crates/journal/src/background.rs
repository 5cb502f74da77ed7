//! The work that no caller waits for: syncing at intervals, noting how far the log is synced,
//! preparing segments.

use crate::{
    Durability, Position, Result, format::FRAME_HEADER_BYTES, frame::FrameKind, shared::Shared,
    space,
};
use annals_disk::{Disk, fences};
use parking_lot::{Condvar, Mutex};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar as StdCondvar, Mutex as StdMutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    thread::JoinHandle,
    time::Duration,
};

/// What the background is asked for.
#[derive(Debug, Default)]
struct Asked {
    stop: bool,
    dirty: bool,
    space: bool,
    zeroes: bool,
    pages: bool,
    pace: bool,
}

/// How callers reach the background.
#[derive(Debug)]
pub(crate) struct Signals {
    asked: Mutex<Asked>,
    sync_wake: Condvar,
    space_wake: Condvar,
    /// Set while a commit waits for the next sync at an interval.
    dirty: AtomicBool,
    /// When that sync is due, by the disk's monotonic clock; for [`Background::Manual`].
    ///
    /// [`Background::Manual`]: crate::Background::Manual
    due_ns: AtomicU64,
    /// The shortest interval anybody asked for.
    every_ns: AtomicU64,
    /// Set while the thread watches for the log to fall idle.
    watching: AtomicBool,
    zeroes_asked: AtomicBool,
    pages_asked_at: AtomicU64,
    sync_commits_count: AtomicU64,
    /// The tasks that wait for the feed; each is counted among the waiters.
    ///
    /// The library's own, as its condition: who is woken comes by a shorter way than through tables of all who wait.
    feed: StdMutex<Vec<Waker>>,
    feed_wake: StdCondvar,
    feed_waiters: AtomicU64,
}

/// Who waits for so long waits without a timer: one that is set has to be taken back before who was woken comes to run, and
/// in a virtual machine that can take about as long as waking does.
const ENDLESS: Duration = Duration::from_secs(1 << 30);

impl Signals {
    pub(crate) fn new(durability: Durability) -> Self {
        let every = match durability {
            Durability::Interval { every, .. } => every,
            Durability::Buffered | Durability::Sync => Duration::from_millis(10),
        };
        Self {
            asked: Mutex::default(),
            sync_wake: Condvar::new(),
            space_wake: Condvar::new(),
            dirty: AtomicBool::new(false),
            due_ns: AtomicU64::new(u64::MAX),
            every_ns: AtomicU64::new(every.as_nanos() as u64),
            watching: AtomicBool::new(false),
            zeroes_asked: AtomicBool::new(false),
            pages_asked_at: AtomicU64::new(u64::MAX),
            sync_commits_count: AtomicU64::new(0),
            feed: StdMutex::default(),
            feed_wake: StdCondvar::new(),
            feed_waiters: AtomicU64::new(0),
        }
    }

    /// A commit wants to be synced within `every`.
    #[inline]
    pub(crate) fn note_dirty(&self, every: Duration, disk: &dyn Disk) {
        let every_ns = every.as_nanos() as u64;
        if every_ns < self.every_ns.load(Ordering::Relaxed)
            && every_ns < self.every_ns.fetch_min(every_ns, Ordering::Relaxed)
        {
            // The thread may be waiting for longer than that on account of earlier commits.
            let due = disk.monotonic_ns().saturating_add(every_ns);
            self.due_ns.fetch_min(due, Ordering::AcqRel);
            self.dirty.store(true, Ordering::Release);
            self.asked.lock().dirty = true;
            self.sync_wake.notify_one();
        }
        // The commit is appended before the flag is read.
        fences::light();
        if !self.dirty.load(Ordering::Acquire) && !self.dirty.swap(true, Ordering::AcqRel) {
            let due = disk.monotonic_ns().saturating_add(self.every_ns.load(Ordering::Relaxed));
            self.due_ns.store(due, Ordering::Release);
            self.asked.lock().dirty = true;
            self.sync_wake.notify_one();
        }
    }

    /// A commit is about to be synced by itself.
    pub(crate) fn note_sync_commit(&self) {
        let count = self.sync_commits_count.fetch_add(1, Ordering::Relaxed);
        // Not at the first one: a process that syncs once does not pay for zeroes.
        if count % 64 == 32 && !self.zeroes_asked.swap(true, Ordering::Relaxed) {
            self.asked.lock().zeroes = true;
            self.space_wake.notify_one();
        }
    }

    /// The log was synced: once it falls idle, that is noted in it.
    #[inline]
    pub(crate) fn note_synced(&self) {
        if !self.watching.load(Ordering::Relaxed) && !self.watching.swap(true, Ordering::AcqRel) {
            drop(self.asked.lock());
            self.sync_wake.notify_one();
        }
    }

    pub(crate) fn wake_space(&self) {
        self.asked.lock().space = true;
        self.space_wake.notify_one();
    }

    /// The tail comes close to the end of its present pages. Asks once for each end.
    #[cold]
    pub(crate) fn ask_for_pages(&self, populated_to: usize) {
        let step = populated_to as u64;
        // Looked at first: while pages are being made, every commit comes here, and a swap waits for all that the
        // commit has stored.
        if self.pages_asked_at.load(Ordering::Relaxed) != step
            && self.pages_asked_at.swap(step, Ordering::Relaxed) != step
        {
            self.asked.lock().pages = true;
            self.space_wake.notify_one();
        }
    }

    /// Nothing was done about what was asked for: it may be asked for again.
    pub(crate) fn forget_pages(&self) {
        self.pages_asked_at.store(u64::MAX, Ordering::Relaxed);
    }

    /// The log has grown by calls.
    #[cold]
    pub(crate) fn ask_for_pace(&self) {
        self.asked.lock().pace = true;
        self.space_wake.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.asked.lock().stop = true;
        self.sync_wake.notify_all();
        self.space_wake.notify_all();
        self.wake_feed();
    }

    /// The feed may have more to show.
    #[inline]
    pub(crate) fn notify_feed(&self) {
        // What was published is stored before the waiters are counted, so that one of the two sides
        // sees the other.
        fences::light();
        if self.feed_waiters.load(Ordering::Relaxed) != 0 {
            self.wake_feed();
        }
    }

    fn lock_feed(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all who wait for the feed.
    pub(crate) fn wake_feed(&self) {
        let wakers = std::mem::take(&mut *self.lock_feed());
        self.feed_wake.notify_all();
        self.feed_waiters.fetch_sub(wakers.len() as u64, Ordering::SeqCst);
        for waker in wakers {
            // A runtime that panics leaves nobody else asleep, and no commit unfinished.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }

    /// Wakes `waker` when there may be more, unless `ready` holds already, which is returned.
    pub(crate) fn watch_feed(&self, waker: &Waker, ready: impl Fn() -> bool) -> bool {
        self.feed_waiters.fetch_add(1, Ordering::SeqCst);
        fences::heavy();
        let mut wakers = self.lock_feed();
        let is_ready = ready();
        if is_ready || wakers.iter().any(|known| known.will_wake(waker)) {
            self.feed_waiters.fetch_sub(1, Ordering::SeqCst);
        } else {
            wakers.push(waker.clone());
        }
        is_ready
    }

    /// Waits until `ready` holds or `timeout` is over. Returns whether it holds. May return earlier.
    pub(crate) fn wait_for_feed(&self, timeout: Duration, ready: impl Fn() -> bool) -> bool {
        // Counted in before looking: a commit that is not seen by `ready` sees the count.
        self.feed_waiters.fetch_add(1, Ordering::SeqCst);
        fences::heavy();
        let lock = self.lock_feed();
        if ready() {
            drop(lock);
        } else if timeout < ENDLESS {
            let woken = self.feed_wake.wait_timeout(lock, timeout);
            drop(woken.unwrap_or_else(PoisonError::into_inner));
        } else {
            drop(self.feed_wake.wait(lock).unwrap_or_else(PoisonError::into_inner));
        }
        self.feed_waiters.fetch_sub(1, Ordering::SeqCst);
        ready()
    }
}

/// Starts the threads. A panic in one poisons the journal: what it was to do is not done.
pub(crate) fn spawn(shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    type Work = fn(&Shared);
    let works: [(&str, Work); 2] = [("annals-sync", sync_loop), ("annals-space", space_loop)];
    works
        .into_iter()
        .filter_map(|(name, work)| {
            let of_thread = Arc::clone(shared);
            let body = move || {
                if catch_unwind(AssertUnwindSafe(|| work(&of_thread))).is_err() {
                    of_thread.poison("a background thread of the journal panicked");
                }
            };
            let spawned = std::thread::Builder::new().name(name.into()).spawn(body);
            // Without its threads the journal would promise what nobody does, and writers would
            // wait for segments that nobody prepares.
            let cause =
                |error: &std::io::Error| shared.poison(&format!("no thread {name}: {error}"));
            spawned.inspect_err(cause).ok()
        })
        .collect()
}

fn sync_loop(shared: &Shared) {
    let signals = &shared.signals;
    loop {
        let mut asked = signals.asked.lock();
        let every = Duration::from_nanos(signals.every_ns.load(Ordering::Relaxed));
        if asked.stop {
            return;
        }
        if !asked.dirty {
            if shared.needs_mark() {
                // Idle for an interval: then note how far the log is synced. Not while it grows
                // without being synced: each frame tells that anyway, and syncing was not asked for.
                let before = (shared.durable.synced.position(), shared.appended.position());
                let over = signals.sync_wake.wait_for(&mut asked, every.max(IDLE)).timed_out();
                let after = (shared.durable.synced.position(), shared.appended.position());
                let idle = over && before == after;
                if idle && !asked.dirty && !asked.stop {
                    drop(asked);
                    shared.mark_synced();
                }
            } else if signals.watching.swap(false, Ordering::AcqRel) {
                // Looked at once more: a sync that ended before the flag fell notified nobody.
            } else {
                signals.sync_wake.wait(&mut asked);
            }
            continue;
        }
        signals.sync_wake.wait_for(&mut asked, every);
        asked.dirty = false;
        drop(asked);
        shared.sync_interval();
    }
}

/// How long a log is left alone before its synced position is noted in it.
const IDLE: Duration = Duration::from_millis(50);

fn space_loop(shared: &Shared) {
    let signals = &shared.signals;
    loop {
        let mut asked = signals.asked.lock();
        while !(asked.stop || asked.space || asked.zeroes || asked.pages || asked.pace) {
            signals.space_wake.wait(&mut asked);
        }
        if asked.stop {
            return;
        }
        let (space, zeroes, pages, pace) = (asked.space, asked.zeroes, asked.pages, asked.pace);
        (asked.space, asked.zeroes, asked.pages, asked.pace) = (false, false, false, false);
        drop(asked);
        let mut more = pages || pace;
        while more {
            more = pages && space::populate_ahead(shared);
            space::keep_pace(shared);
        }
        if space {
            space::refill(shared);
            space::trim(shared);
            space::reap(shared);
            space::give_back_ends(shared);
        }
        if zeroes {
            signals.zeroes_asked.store(false, Ordering::Relaxed);
            space::zero_ahead(shared);
        }
    }
}

impl Shared {
    /// The sync that commits with an interval wait for.
    fn sync_interval(&self) {
        // Cleared before the end is taken: a commit that comes later asks anew.
        self.signals.due_ns.store(u64::MAX, Ordering::Release);
        self.signals.dirty.store(false, Ordering::SeqCst);
        // The end is read after the flag fell: a commit that still saw it set is before the end.
        fences::heavy();
        // A failure poisons the journal, which is how writers learn of it.
        drop(self.sync_to(self.appended.position()));
    }

    /// Whether the log is synced further than any frame says.
    fn needs_mark(&self) -> bool {
        let synced = self.durable.synced.position();
        synced > Position::from_u64(self.marked.load(Ordering::Relaxed))
            && !self.is_poisoned()
            && !self.closed.load(Ordering::Acquire)
    }

    /// Notes in the log how far it is synced, so that a flipped bit in what was synced is told
    /// from a torn tail.
    fn mark_synced(&self) {
        let end = {
            let mut tail = self.tail.lock();
            let room = tail.offset + 2 * FRAME_HEADER_BYTES <= tail.limit;
            if !room || self.check_writable().is_err() {
                return;
            }
            if self.append_empty(&mut tail, FrameKind::Mark).is_err() {
                return;
            }
            tail.segment.position(tail.offset)
        };
        if self.sync_to(end).is_ok() {
            // The mark itself needs no mark.
            self.marked.fetch_max(end.to_u64(), Ordering::Relaxed);
        }
    }

    pub(crate) fn tick(&self) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        let due = self.disk.monotonic_ns() >= self.signals.due_ns.load(Ordering::Acquire);
        if due {
            self.sync_interval();
        } else if !self.signals.dirty.load(Ordering::Acquire) && self.needs_mark() {
            self.mark_synced();
        }
        if std::mem::take(&mut self.signals.asked.lock().zeroes) {
            self.signals.zeroes_asked.store(false, Ordering::Relaxed);
            space::zero_ahead(self);
        }
        space::refill(self);
        space::reap(self);
        space::give_back_ends(self);
        self.check_writable()
    }
}
