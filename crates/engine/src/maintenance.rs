//! The work beside commits: checkpoints, log compaction, expiry, forgetting what no snapshot
//! needs.

use crate::{
    Result, builder::Config, catalog::Keyspace, checkpoint, compaction, core::Core, figures,
};
use annals_journal::{Age, Background, Journal};
use annals_ordered::Former;
use parking_lot::{Condvar, Mutex};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How often the thread looks without being asked.
const ROUND: Duration = Duration::from_secs(1);
/// A checkpoint waits for this many times its own size in log: what is written for checkpoints stays
/// a fraction of what is written to the log.
const CHECKPOINT_SHARE: u64 = 4;

/// State of the maintenance.
#[derive(Debug)]
pub(crate) struct Maintenance {
    pub(crate) config: Config,
    asked: Mutex<Asked>,
    wake: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Log bytes of this opening at which the next checkpoint is due.
    checkpoint_at_bytes: AtomicU64,
    /// The last checkpoint number that was tried in this opening.
    checkpoint_tried: AtomicU64,
    /// Held by whoever writes a checkpoint or compacts.
    pub(crate) exclusive: Mutex<()>,
    /// Segments the root does not name any more, which may still be read.
    pub(crate) zombies: Mutex<Vec<Zombies>>,
    /// Ordered keyspaces that were dropped while somebody was reading: handles of them may live for long, and
    /// the files of the tree need not.
    dropped: Mutex<Vec<Arc<Keyspace>>>,
}

/// Segments that one compaction has emptied.
#[derive(Debug)]
pub(crate) struct Zombies {
    /// That of the first snapshot that cannot read them.
    pub(crate) ticket: u64,
    /// Who was pinned before this may read them.
    pub(crate) age: Age,
    /// What of ordered keyspaces may read them.
    pub(crate) former: Former,
    /// Their slots.
    pub(crate) slots: Vec<u32>,
}

#[derive(Debug, Default)]
struct Asked {
    stop: bool,
    work: bool,
}

impl Maintenance {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            asked: Mutex::default(),
            wake: Condvar::new(),
            thread: Mutex::new(None),
            checkpoint_at_bytes: AtomicU64::new(config.checkpoint_every_bytes),
            checkpoint_tried: AtomicU64::new(0),
            exclusive: Mutex::new(()),
            zombies: Mutex::default(),
            dropped: Mutex::default(),
        }
    }

    /// The slots of segments that the root does not name any more.
    pub(crate) fn leaving(&self) -> Vec<u32> {
        self.zombies.lock().iter().flat_map(|zombies| zombies.slots.iter().copied()).collect()
    }

    /// Asks the thread to look.
    pub(crate) fn wake(&self) {
        self.asked.lock().work = true;
        self.wake.notify_one();
    }

    /// A commit was appended.
    #[inline]
    pub(crate) fn note_appended(&self, journal: &Journal) {
        let due = self.checkpoint_at_bytes.load(Ordering::Relaxed);
        if journal.appended_bytes() >= due
            // Asked once; the checkpoint sets the next mark.
            && self.checkpoint_at_bytes.swap(u64::MAX, Ordering::Relaxed) != u64::MAX
        {
            self.wake();
        }
    }

    /// A number for the next checkpoint that no earlier attempt had.
    pub(crate) fn next_checkpoint(&self, journal: &Journal) -> u64 {
        let latest = journal.checkpoint().map_or(0, |latest| latest.number);
        let number = latest.max(self.checkpoint_tried.load(Ordering::Relaxed)) + 1;
        self.checkpoint_tried.store(number, Ordering::Relaxed);
        number
    }

    /// How much log a checkpoint of this length may leave to be replayed.
    fn interval(&self, file_bytes: u64) -> u64 {
        self.config.checkpoint_every_bytes.max(file_bytes.saturating_mul(CHECKPOINT_SHARE))
    }

    /// The database was opened with a checkpoint of this length. What had to be replayed counts:
    /// otherwise a database that crashes early again and again would replay more each time.
    pub(crate) fn note_opened(&self, replayed_bytes: u64, file_bytes: u64) {
        let due = self.interval(file_bytes).saturating_sub(replayed_bytes);
        self.checkpoint_at_bytes.store(due, Ordering::Relaxed);
    }

    /// A checkpoint of this length was written, from which replay begins where the log had this many
    /// bytes.
    pub(crate) fn note_checkpoint(&self, journal: &Journal, begun_bytes: u64, file_bytes: u64) {
        let due = next_due(begun_bytes, journal.appended_bytes(), self.interval(file_bytes));
        self.checkpoint_at_bytes.store(due, Ordering::Relaxed);
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.asked.lock().stop = true;
        self.wake.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic in it was noted when it happened.
            drop(thread.join());
        }
    }
}

/// The length of the log at which the checkpoint is due that follows one from which replay begins at
/// `begun_bytes`, and which was complete at `now_bytes`. What was appended while it was written counts;
/// but a log that grows faster than checkpoints are written is not checkpointed without a pause.
fn next_due(begun_bytes: u64, now_bytes: u64, interval: u64) -> u64 {
    begun_bytes.saturating_add(interval).max(now_bytes.saturating_add(interval / 2))
}

/// Starts the thread, if the database has threads.
pub(crate) fn spawn(core: &Arc<Core>) {
    if core.read_only || core.journal.config().background == Background::Manual {
        return;
    }
    let shared = Arc::clone(core);
    let body = move || {
        if catch_unwind(AssertUnwindSafe(|| run(&shared))).is_err() {
            shared.journal.poison("the maintenance thread panicked");
        }
    };
    match std::thread::Builder::new().name("annals-maintenance".into()).spawn(body) {
        Ok(thread) => *core.maintenance.thread.lock() = Some(thread),
        Err(error) => core.journal.poison(&format!("no thread for maintenance: {error}")),
    }
}

fn run(core: &Core) {
    loop {
        let mut asked = core.maintenance.asked.lock();
        if !asked.stop && !asked.work {
            core.maintenance.wake.wait_for(&mut asked, ROUND);
        }
        if asked.stop {
            return;
        }
        asked.work = false;
        drop(asked);
        if let Err(error) = run_once(core) {
            tracing::warn!(%error, "maintenance will try again");
        }
        figures::publish_if_due(core);
    }
}

/// Does what is due.
pub(crate) fn run_once(core: &Core) -> Result<()> {
    tidy(core);
    if core.read_only || core.journal.poisoned().is_some() || core.journal.is_closed() {
        return Ok(());
    }
    let maintenance = &core.maintenance;
    let Some(_exclusive) = maintenance.exclusive.try_lock() else { return Ok(()) };
    let due = maintenance.checkpoint_at_bytes.load(Ordering::Relaxed);
    if due == u64::MAX || core.journal.appended_bytes() >= due {
        let written = checkpoint::write(core, &[]);
        if written.is_err() {
            // Without a next mark nobody would ask again.
            let now_bytes = core.journal.appended_bytes();
            maintenance.note_checkpoint(&core.journal, now_bytes, 0);
        }
        written?;
        compaction::run_due(core)?;
    }
    tidy(core);
    Ok(())
}

/// Lets go of the tree of a keyspace that was dropped, now or once nobody looks at it any more.
pub(crate) fn note_dropped(core: &Core, keyspace: &Arc<Keyspace>) {
    if keyspace.tree.tidy() > 0 {
        core.maintenance.dropped.lock().push(Arc::clone(keyspace));
    }
}

/// Forgets what no snapshot needs, and what expired.
pub(crate) fn tidy(core: &Core) {
    {
        // Under both locks that views are changed under, one for writers and one for followers.
        let _following = core.following.lock();
        let _writer = core.journal.quiesce();
        let oldest = core.snapshots.oldest_seq();
        let now_ms = core.clock.now_ms();
        for listed in core.catalog.load().iter() {
            let view = &listed.view;
            if view.has_expiries() {
                view.change(core).expire(now_ms, oldest.is_some());
            }
            if view.table.dead_len() > 0 {
                view.change(core).bury(oldest);
            }
            listed.keyspace.view.tidy();
            listed.keyspace.tree.tidy();
        }
    }
    core.maintenance.dropped.lock().retain(|keyspace| keyspace.tree.tidy() > 0);
    core.note_past();
    core.maintenance.zombies.lock().retain(|Zombies { ticket, age, former, slots }| {
        let needed = core.snapshots.any_before(*ticket) || !age.is_over() || !former.is_settled();
        if !needed {
            // What was not moved again is not needed.
            if core.trees.moved.load().has_any_in(slots) {
                core.trees.moved.rcu(|moved| Arc::new(moved.without(slots)));
            }
            core.journal.release(slots);
        }
        needed
    });
    core.journal.reap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_beside_a_checkpoint_counts_for_the_next() {
        assert_eq!(next_due(100, 100, 50), 150);
        assert_eq!(next_due(100, 120, 50), 150);
        assert_eq!(next_due(100, 400, 50), 425, "one that took long is followed by a pause");
        assert_eq!(next_due(u64::MAX - 1, u64::MAX, 50), u64::MAX);
    }
}
