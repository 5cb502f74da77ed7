//! The threads that flush and compact, begun with the first ordered keyspace.
//!
//! There are two kinds, as many of each: flushes give writers the memory back that they wait for, so they never
//! wait for compactions. Each thread takes a piece of work, does it, and looks for the next one. Who takes a piece
//! wakes one other thread of its kind before beginning: there may be more, and that one does the same. Who
//! has ended a piece looks again, so what the piece was in the way of is found then. A thread that finds
//! nothing sleeps, and only one of those that sleep looks now and then without being asked.

use crate::{Result, core::Core};
use annals_journal::Background;
use annals_ordered::Work;
use parking_lot::{Condvar, Mutex};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often one thread of each kind looks without being asked: what expires, and what others waited with.
const ROUND: Duration = Duration::from_millis(500);

/// After so many rounds in which nobody asked for anything, memory goes back to the system that memtables have left.
const IDLE_ROUNDS: u32 = 8;

/// So many of each kind there are unless somebody asks for more: beyond that the device is what is waited for.
const USUAL_MAX: usize = 4;

/// The threads that flush and compact.
#[derive(Debug)]
pub(super) struct Threads {
    /// How many there are of each kind.
    count: usize,
    flush: Kind,
    compact: Kind,
}

/// The threads of one kind.
#[derive(Debug, Default)]
struct Kind {
    asked: Mutex<Asked>,
    wake: Condvar,
    /// Where those rest whose work has failed.
    rest: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Asked {
    stop: bool,
    /// Whether there may be work that nobody has looked for.
    work: bool,
    /// Whether one of those that sleep looks when its time has come.
    is_watched: bool,
    /// How often it has done so since somebody asked.
    idle_rounds: u32,
}

impl Kind {
    /// Has one thread look: one that sleeps, or else the next one that has nothing to do.
    fn wake(&self) {
        self.asked.lock().work = true;
        self.wake.notify_one();
    }

    /// Waits until there may be work: how many rounds nobody has asked for any, 0 if somebody did; `None` at the
    /// end.
    fn wait(&self) -> Option<u32> {
        let mut asked = self.asked.lock();
        while !asked.stop && !asked.work {
            if asked.is_watched {
                // Whoever watches wakes another thread before it begins something that takes long.
                self.wake.wait(&mut asked);
                continue;
            }
            asked.is_watched = true;
            let is_time = self.wake.wait_for(&mut asked, ROUND).timed_out();
            asked.is_watched = false;
            if is_time && !asked.stop && !asked.work {
                asked.idle_rounds = asked.idle_rounds.saturating_add(1);
                return Some(asked.idle_rounds);
            }
        }
        (asked.work, asked.idle_rounds) = (false, 0);
        (!asked.stop).then_some(0)
    }

    /// Waits for a round whoever asks: what has failed would fail again at once, and for ever.
    fn rest(&self) {
        let mut asked = self.asked.lock();
        if !asked.stop {
            self.rest.wait_for(&mut asked, ROUND);
        }
    }

    /// Ends all of them, once what they do is done.
    fn stop(&self) {
        self.asked.lock().stop = true;
        self.wake.notify_all();
        self.rest.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.thread().id() != thread::current().id() {
                // A panic in it was noted when it happened.
                drop(thread.join());
            }
        }
    }

    /// Starts them, if they do not run and were not ended.
    fn spawn(
        &self,
        core: &Arc<Core>,
        name: &str,
        this: fn(&Threads) -> &Self,
        run: fn(&Core, u32) -> Result<()>,
    ) {
        let mut threads = self.threads.lock();
        if !threads.is_empty() || self.asked.lock().stop {
            return;
        }
        for _ in 0..core.trees.threads.count {
            let shared = Arc::clone(core);
            let body = move || {
                let work = || {
                    let kind = this(&shared.trees.threads);
                    while let Some(idle_rounds) = kind.wait() {
                        if shared.journal.poisoned().is_some() || shared.journal.is_closed() {
                            continue;
                        }
                        if let Err(error) = run(&shared, idle_rounds) {
                            tracing::warn!(%error, "work on the tables failed");
                            kind.rest();
                        }
                    }
                };
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    shared.journal.poison("a thread that works on the tables panicked");
                }
            };
            match thread::Builder::new().name(name.into()).spawn(body) {
                Ok(handle) => threads.push(handle),
                Err(error) if threads.is_empty() => {
                    core.journal.poison(&format!("no thread for the tables: {error}"));
                    return;
                }
                Err(error) => {
                    // Those that there are do all of it, in more time.
                    tracing::warn!(%error, "fewer threads for the tables than asked for");
                    return;
                }
            }
        }
    }
}

impl Threads {
    /// So many of each kind, none of them begun; 0: as many as suit the machine.
    pub(super) fn new(count: usize) -> Self {
        let count = if count == 0 { of_machine() } else { count };
        Self { count, flush: Kind::default(), compact: Kind::default() }
    }

    /// Starts the threads, if there is a store, the database has threads, and they do not run.
    pub(crate) fn spawn(core: &Arc<Core>) {
        let manual = core.journal.config().background == Background::Manual;
        if core.read_only || manual || core.trees.store().is_none() {
            return;
        }
        let threads = &core.trees.threads;
        threads.flush.spawn(core, "annals-flush", |threads| &threads.flush, look_for_flushes);
        let compact = |core: &Core, _| compact_all(core);
        threads.compact.spawn(core, "annals-compact", |threads| &threads.compact, compact);
    }

    /// Asks a flushing thread to look; it asks the others.
    pub(super) fn wake(&self) {
        self.flush.wake();
    }

    /// Asks a compacting thread to look.
    pub(super) fn wake_compacting(&self) {
        self.compact.wake();
    }

    /// Asks another thread to look, since `work` was handed out: there may be more of the kind.
    pub(super) fn wake_beside(&self, work: &Work) {
        if work.is_compaction() { self.compact.wake() } else { self.flush.wake() }
    }

    /// Ends the threads that compact.
    pub(super) fn stop_compacting(&self) {
        self.compact.stop();
    }
}

/// How many threads of each kind suit this machine: half of its processors are left to who writes and reads.
fn of_machine() -> usize {
    thread::available_parallelism().map_or(1, |count| (count.get() / 2).clamp(1, USUAL_MAX))
}

fn look_for_flushes(core: &Core, idle_rounds: u32) -> Result<()> {
    if idle_rounds >= IDLE_ROUNDS
        && let Some(store) = core.trees.store()
    {
        // Nobody has written much for a while.
        store.let_spare_memory_go();
    }
    flush_all(core)
}

fn flush_all(core: &Core) -> Result<()> {
    while core.trees.flush_next(core)? {}
    Ok(())
}

fn compact_all(core: &Core) -> Result<()> {
    while core.trees.compact_next(core)? {
        // The files that were replaced.
        core.trees.threads.wake();
    }
    Ok(())
}

impl super::Trees {
    /// Starts the threads if there is something to do for them.
    pub(crate) fn spawn(core: &Arc<Core>) {
        Threads::spawn(core);
    }

    /// Ends the threads that flush, once what they do is done.
    pub(crate) fn stop_flushing(&self) {
        self.threads.flush.stop();
    }

    /// Does all that is to be done, in this thread.
    pub(crate) fn run_all(core: &Core) -> Result<()> {
        flush_all(core)?;
        compact_all(core)?;
        flush_all(core)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_asked_looks_at_once_and_else_one_of_them_now_and_then() {
        let kind = Kind::default();
        assert_eq!((kind.wait(), kind.wait()), (Some(1), Some(2)), "nobody asked");
        kind.wake();
        kind.wake();
        assert_eq!((kind.wait(), kind.wait()), (Some(0), Some(1)), "one look is enough");
        thread::scope(|scope| {
            let watching = scope.spawn(|| kind.wait());
            while !kind.asked.lock().is_watched && !watching.is_finished() {
                thread::yield_now();
            }
            // While that one sleeps this one is not counted: it sleeps until it is asked, or until it is its turn.
            let other = scope.spawn(|| kind.wait());
            assert_eq!(watching.join().unwrap(), Some(2));
            kind.wake();
            assert!(other.join().unwrap().is_some());
        });
        kind.stop();
        assert_eq!(kind.wait(), None);
        kind.wake();
        assert_eq!(kind.wait(), None, "nothing is begun after the end");
    }

    #[test]
    fn all_that_sleep_end_when_they_are_told() {
        let kind = Kind::default();
        let ends = || while kind.wait().is_some() {};
        thread::scope(|scope| {
            let sleeping: Vec<_> = (0..5).map(|_| scope.spawn(ends)).collect();
            kind.wake();
            kind.stop();
            sleeping.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn this_machine_has_a_sensible_number_of_threads() {
        assert!((1..=USUAL_MAX).contains(&Threads::new(0).count));
        assert_eq!(Threads::new(7).count, 7);
    }
}
