//! Group sync: how far the log is on the device, and waiting for it to get there.
//!
//! One waiter at a time syncs for everybody. It takes the log's end first and syncs after, so all
//! commits that were appended while the previous sync ran share the next one; and it waits a moment for
//! those whom the previous one woke, who would fill every second sync only otherwise. A sync that fails
//! poisons the journal: nobody knows what the device holds then.

use crate::{Position, Seq, segment::Segment};
use annals_disk::{DiskError, Operation};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex as StdMutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How far the log got: as a place, as a record number, and in bytes ever appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) position: Position,
    pub(crate) next_seq: Seq,
    pub(crate) bytes: u64,
}

/// [`Progress`] shared between threads. The position is stored last and loaded first, so that who
/// sees a position sees at least the other two that belong to it; they may belong to a later one.
#[derive(Debug, Default)]
pub(crate) struct SharedProgress {
    position: AtomicU64,
    next_seq: AtomicU64,
    bytes: AtomicU64,
}

impl SharedProgress {
    #[inline]
    pub(crate) fn load(&self) -> Progress {
        let position = Position::from_u64(self.position.load(Ordering::Acquire));
        Progress {
            position,
            next_seq: Seq(self.next_seq.load(Ordering::Relaxed)),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    #[inline]
    pub(crate) fn position(&self) -> Position {
        Position::from_u64(self.position.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn store(&self, progress: Progress) {
        self.bytes.store(progress.bytes, Ordering::Relaxed);
        self.next_seq.store(progress.next_seq.0, Ordering::Relaxed);
        self.position.store(progress.position.to_u64(), Ordering::Release);
    }
}

/// Before a sync others are waited for, but not longer than a part of what the last one took: one in so many.
const GATHER_ONE_IN: u64 = 2;
/// Nor after nobody has come for so long: it takes a thread less to be woken and to append.
const NOBODY_NS: u64 = 20_000;
/// Nor for more turns: a disk of the user's own may have a clock that stands still.
const TURNS_MAX: u32 = 10_000;

/// Who syncs.
#[derive(Debug, Default)]
struct State {
    running: bool,
    waiting_count: u64,
    /// How many will have come when all that were there when the last sync ended have come again.
    crowd: u64,
    /// How long that sync took.
    took_ns: u64,
}

/// A sync that came to its end: how many had come, and how long it took.
struct Ended {
    come: u64,
    took_ns: u64,
}

/// Whose turn it is to sync: lets the others go on when it is over. Also when the disk, or who listens to what is
/// logged, panics: all the others would wait for ever.
struct Turn<'d, P: Fn(&DiskError)> {
    durable: &'d Durable,
    poison: &'d P,
    ended: Option<Ended>,
}

impl<P: Fn(&DiskError)> Drop for Turn<'_, P> {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // Before the next waiter may try: nobody knows what the device holds.
            (self.poison)(&self.durable.panicked());
        }
        let mut state = self.durable.lock();
        state.running = false;
        if let Some(Ended { come, took_ns }) = self.ended {
            state.crowd = come + state.waiting_count + 1;
            state.took_ns = took_ns;
        }
        // Who is woken wants the lock.
        drop(state);
        self.durable.done.notify_all();
    }
}

/// How far the log is on the device.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    pub(crate) synced: SharedProgress,
    /// The library's own: its condition wakes all who wait at once, and not each when the one before has gone.
    state: StdMutex<State>,
    /// How many have come to wait for a sync, or to do it: how long others are waited for goes by that, and nothing else.
    come: AtomicU64,
    done: Condvar,
    /// Segments of the chain with bytes that may not be on the device, in order.
    dirty: Mutex<VecDeque<Arc<Segment>>>,
    /// How many bytes the last sync covered that were not synced before.
    pub(crate) covered: AtomicU64,
    /// Device flushes so far.
    pub(crate) syncs_count: AtomicU64,
}

impl Durable {
    /// A segment joined the chain.
    pub(crate) fn track(&self, segment: Arc<Segment>) {
        self.dirty.lock().push_back(segment);
    }

    /// Waits until the log is on the device up to `target` or the journal is poisoned, syncing if
    /// nobody else does. `progress` tells how far the log has been appended in all three ways at one
    /// moment: what is counted as synced must be before the place.
    pub(crate) fn wait(
        &self,
        target: Position,
        now_ns: impl Fn() -> u64,
        progress: impl Fn() -> Progress,
        poisoned: impl Fn() -> bool,
        poison: impl Fn(&DiskError),
    ) {
        if self.synced.position() >= target {
            return;
        }
        self.come.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        loop {
            if self.synced.position() >= target || poisoned() {
                return;
            }
            if state.running {
                state.waiting_count += 1;
                state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting_count -= 1;
                continue;
            }
            state.running = true;
            let State { crowd, took_ns, .. } = *state;
            drop(state);
            let mut turn = Turn { durable: self, poison: &poison, ended: None };
            self.gather(crowd, took_ns / GATHER_ONE_IN, &now_ns);
            let come = self.come.load(Ordering::Relaxed);
            let (end, begun_ns) = (progress(), now_ns());
            // Poisoned before the next waiter may try: a second sync can succeed although the
            // pages that the first one failed on are gone.
            if let Err(error) = self.sync_up_to(end) {
                poison(&error);
            }
            turn.ended = Some(Ended { come, took_ns: now_ns().saturating_sub(begun_ns) });
            return;
        }
    }

    /// Lets the committers that the last sync woke append before the next sync starts, so that they share it: waits
    /// until so many have come, or nobody comes any more, at most for a time.
    fn gather(&self, crowd: u64, most_ns: u64, now_ns: &impl Fn() -> u64) {
        let mut come = self.come.load(Ordering::Relaxed);
        if come >= crowd {
            return;
        }
        let begun_ns = now_ns();
        let mut last_ns = begun_ns;
        for _ in 0..TURNS_MAX {
            std::thread::yield_now();
            let (latest, now_ns) = (self.come.load(Ordering::Relaxed), now_ns());
            if latest != come {
                (come, last_ns) = (latest, now_ns);
            }
            if come >= crowd
                || now_ns.saturating_sub(last_ns) > NOBODY_NS
                || now_ns.saturating_sub(begun_ns) > most_ns
            {
                return;
            }
        }
    }

    /// What a sync that panicked is told as.
    #[cold]
    fn panicked(&self) -> DiskError {
        let segment = self.dirty.lock().front().map(|segment| segment.region.path().to_owned());
        let source = io::Error::other("the thread that synced panicked");
        DiskError::new(Operation::Sync, segment.unwrap_or_default(), source)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync_up_to(&self, end: Progress) -> Result<(), DiskError> {
        let ordinal = end.position.ordinal;
        let covered: Vec<_> =
            self.dirty.lock().iter().filter(|s| s.ordinal() <= ordinal).cloned().collect();
        for segment in &covered {
            segment.region.sync()?;
            self.syncs_count.fetch_add(1, Ordering::Relaxed);
        }
        // Only segments that nothing more is appended to are done with.
        self.dirty.lock().retain(|segment| segment.ordinal() >= ordinal);
        let covered = end.bytes.saturating_sub(self.synced.bytes());
        self.covered.store(covered, Ordering::Relaxed);
        self.synced.store(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Background, Config, Draft, Durability, Error, FrameBuilder, Journal, Kind};
    use annals_disk::{
        MemoryDisk,
        hooked::{Act, Hook, hooked},
    };
    use std::{
        cell::Cell,
        path::Path,
        sync::{atomic::AtomicBool, mpsc},
        time::Duration,
    };

    const US: u64 = 1_000;

    /// How many come, and how many microseconds go by, while they are gathered: one comes every `each_us`.
    fn gathered(crowd: u64, most_us: u64, each_us: u64) -> (u64, u64) {
        let (durable, now_us) = (Durable::default(), Cell::new(0));
        durable.gather(crowd, most_us * US, &|| {
            now_us.set(now_us.get() + 1);
            if now_us.get() % each_us == 0 {
                durable.come.fetch_add(1, Ordering::Relaxed);
            }
            now_us.get() * US
        });
        (durable.come.load(Ordering::Relaxed), now_us.get())
    }

    #[test]
    fn who_syncs_waits_for_those_who_come_again_and_no_longer() {
        assert_eq!(gathered(0, 1_000, 1), (0, 0), "nobody is expected");
        assert_eq!(gathered(7, 1_000, 10).0, 7, "all have come");
        let nobody_us = NOBODY_NS / US;
        let (come, waited_us) = gathered(7, 1_000, nobody_us + 5);
        assert_eq!(come, 0, "nobody comes any more");
        assert!((nobody_us..nobody_us + 5).contains(&waited_us), "{waited_us} us");
        let (come, waited_us) = gathered(100, 50, 10);
        assert!(come < 6 && (50..60).contains(&waited_us), "{come} in {waited_us} us");
        let durable = Durable::default();
        durable.gather(7, US, &|| 5);
        assert_eq!(
            durable.come.load(Ordering::Relaxed),
            0,
            "its clock stands still, and it returned"
        );
    }

    /// Appends a record.
    fn append(journal: &Journal) {
        let mut frame = FrameBuilder::new();
        let (kind, key, value) = (Kind::Put, &b"k"[..], &b"v"[..]);
        let draft = Draft { kind, space: 1, key, value, expires_ms: None, aligned: false };
        frame.push(&draft).expect("a short record");
        let mut writer = journal.writer(frame.len_bytes(), 1).expect("room");
        writer.append(&mut frame).expect("room");
        drop(writer);
    }

    /// `Interval` would let writers go on with more unsynced than they may leave.
    #[test]
    fn no_record_counts_as_synced_that_lies_behind_what_was() {
        let config = Config {
            background: Background::Manual,
            durability: Durability::Buffered,
            ..Config::default()
        };
        let disk = Arc::new(MemoryDisk::new());
        let journal = Journal::create(disk, Path::new("log"), config).expect("a log");
        append(&journal);
        let shared = &journal.shared;
        let end = shared.appended.load();
        // What others see while the next frame is noted: its counts, and not yet its place.
        shared.appended.bytes.fetch_add(1_000, Ordering::Relaxed);
        shared.appended.next_seq.fetch_add(10, Ordering::Relaxed);
        journal.sync().expect("memory");
        assert_eq!(shared.durable.synced.load(), end);
    }

    /// Panics where a sync is asked for, from some time on.
    #[derive(Debug, Default)]
    struct Panicking(AtomicBool);

    impl Hook for Panicking {
        fn before(&self, act: Act, _: &Path) -> annals_disk::Result<bool> {
            assert!(act != Act::Sync || !self.0.load(Ordering::Relaxed), "a disk that panics");
            Ok(true)
        }
    }

    #[test]
    fn nobody_waits_for_a_sync_that_panicked() {
        let config = Config {
            background: Background::Manual,
            durability: Durability::Buffered,
            ..Config::default()
        };
        let hook = Arc::new(Panicking::default());
        let disk = hooked(Arc::new(MemoryDisk::new()), Arc::clone(&hook));
        let journal = Arc::new(Journal::create(disk, Path::new("log"), config).expect("a log"));
        append(&journal);
        hook.0.store(true, Ordering::Relaxed);
        let sync = || {
            let journal = Arc::clone(&journal);
            let (tell, told) = mpsc::channel();
            std::thread::spawn(move || tell.send(journal.sync()));
            told.recv_timeout(Duration::from_secs(60))
        };
        assert_eq!(sync().err(), Some(mpsc::RecvTimeoutError::Disconnected), "it panics");
        hook.0.store(false, Ordering::Relaxed);
        // Nobody knows what the device holds.
        let refused = sync().expect("it does not wait");
        assert!(matches!(refused, Err(Error::Poisoned { .. })), "{refused:?}");
    }
}
