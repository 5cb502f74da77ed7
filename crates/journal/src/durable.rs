//! Group sync: how far the log is on the device, and waiting for it to get there.
//!
//! One waiter at a time syncs for everybody. It takes the log's end first and syncs after, so all
//! commits that were appended while the previous sync ran share the next one. A sync that fails
//! poisons the journal: nobody knows what the device holds then.

use crate::{Position, Seq, segment::Segment};
use annals_disk::DiskError;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
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

/// Who syncs and who waits.
#[derive(Debug, Default)]
struct State {
    running: bool,
    waiting_count: usize,
    /// How many waited when the last sync ended.
    crowd_count: usize,
}

/// How far the log is on the device.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    pub(crate) synced: SharedProgress,
    state: Mutex<State>,
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
    /// nobody else does. `end` tells how far the log has been appended, as a place that may have
    /// moved on already, and `progress` in all three ways at one moment: what is counted as synced
    /// must be before the place.
    pub(crate) fn wait(
        &self,
        target: Position,
        end: impl Fn() -> Position,
        progress: impl Fn() -> Progress,
        poisoned: impl Fn() -> bool,
        poison: impl Fn(&DiskError),
    ) {
        if self.synced.position() >= target {
            return;
        }
        let mut state = self.state.lock();
        loop {
            if self.synced.position() >= target || poisoned() {
                return;
            }
            if state.running {
                state.waiting_count += 1;
                self.done.wait(&mut state);
                state.waiting_count -= 1;
                continue;
            }
            state.running = true;
            let crowd_count = state.crowd_count;
            drop(state);
            if crowd_count > 0 {
                gather(&end);
            }
            let end = progress();
            // Poisoned before the next waiter may try: a second sync can succeed although the
            // pages that the first one failed on are gone.
            if let Err(error) = self.sync_up_to(end) {
                poison(&error);
            }
            state = self.state.lock();
            state.running = false;
            state.crowd_count = state.waiting_count;
            self.done.notify_all();
        }
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

/// Lets the committers that the last sync woke append before the next sync starts, so that they
/// share it: gives way for as long as the log grows by that, a few times at most.
fn gather(end: &impl Fn() -> Position) {
    const TURNS_MAX: usize = 16;
    let mut latest = end();
    for _ in 0..TURNS_MAX {
        std::thread::yield_now();
        let now = end();
        if now == latest {
            break;
        }
        latest = now;
    }
}

#[cfg(test)]
mod tests {
    use crate::{Background, Config, Draft, Durability, FrameBuilder, Journal, Kind};
    use annals_disk::MemoryDisk;
    use std::{
        path::Path,
        sync::{Arc, atomic::Ordering},
    };

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
        let mut frame = FrameBuilder::new();
        let (kind, key, value) = (Kind::Put, &b"k"[..], &b"v"[..]);
        let draft = Draft { kind, space: 1, key, value, expires_ms: None, aligned: false };
        frame.push(&draft).expect("a short record");
        let mut writer = journal.writer(frame.len_bytes(), 1).expect("room");
        writer.append(&mut frame).expect("room");
        drop(writer);
        let shared = &journal.shared;
        let end = shared.appended.load();
        // What others see while the next frame is noted: its counts, and not yet its place.
        shared.appended.bytes.fetch_add(1_000, Ordering::Relaxed);
        shared.appended.next_seq.fetch_add(10, Ordering::Relaxed);
        journal.sync().expect("memory");
        assert_eq!(shared.durable.synced.load(), end);
    }
}
