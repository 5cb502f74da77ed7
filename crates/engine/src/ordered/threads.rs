//! The threads that flush and compact, begun with the first ordered keyspace.

use crate::{Result, core::Core};
use annals_journal::Background;
use parking_lot::{Condvar, Mutex};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How often the threads look without being asked: what expires, and what others waited with.
const ROUND: Duration = Duration::from_millis(500);

/// After so many rounds in which nobody asked for anything, memory goes back to the system that memtables have left.
const IDLE_ROUNDS: u32 = 8;

/// One of the two.
#[derive(Debug, Default)]
struct One {
    asked: Mutex<Asked>,
    wake: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Asked {
    stop: bool,
    work: bool,
}

/// The threads that flush and compact.
#[derive(Debug, Default)]
pub(super) struct Threads {
    flush: One,
    compact: One,
}

impl One {
    fn wake(&self) {
        self.asked.lock().work = true;
        self.wake.notify_one();
    }

    /// Waits until there may be work: whether somebody said so, or it is only time to look; `None` at the end.
    fn wait(&self) -> Option<bool> {
        let mut asked = self.asked.lock();
        if !asked.stop && !asked.work {
            self.wake.wait_for(&mut asked, ROUND);
        }
        let was_asked = std::mem::take(&mut asked.work);
        (!asked.stop).then_some(was_asked)
    }

    fn stop(&self) {
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

    fn spawn(
        &self,
        core: &Arc<Core>,
        name: &str,
        run: impl Fn(&Core, bool) -> Result<()> + Send + 'static,
        this: fn(&Threads) -> &Self,
    ) {
        let mut thread = self.thread.lock();
        if thread.is_some() || self.asked.lock().stop {
            return;
        }
        let shared = Arc::clone(core);
        let body = move || {
            let work = || {
                while let Some(was_asked) = this(&shared.trees.threads).wait() {
                    if shared.journal.poisoned().is_some() || shared.journal.is_closed() {
                        continue;
                    }
                    if let Err(error) = run(&shared, was_asked) {
                        tracing::warn!(%error, "work on the tables failed");
                    }
                }
            };
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                shared.journal.poison("a thread that works on the tables panicked");
            }
        };
        match std::thread::Builder::new().name(name.into()).spawn(body) {
            Ok(handle) => *thread = Some(handle),
            Err(error) => core.journal.poison(&format!("no thread for the tables: {error}")),
        }
    }
}

impl Threads {
    /// Starts the threads, if there is a store, the database has threads, and they do not run.
    pub(crate) fn spawn(core: &Arc<Core>) {
        let manual = core.journal.config().background == Background::Manual;
        if core.read_only || manual || core.trees.store().is_none() {
            return;
        }
        let threads = &core.trees.threads;
        let idle_rounds = AtomicU32::new(0);
        let flush = move |core: &Core, was_asked: bool| {
            let idle = if was_asked { 0 } else { idle_rounds.load(Ordering::Relaxed) + 1 };
            idle_rounds.store(idle, Ordering::Relaxed);
            if idle >= IDLE_ROUNDS
                && let Some(store) = core.trees.store()
            {
                // Nobody has written much for a while.
                store.let_spare_memory_go();
            }
            flush_all(core)
        };
        threads.flush.spawn(core, "annals-flush", flush, |threads| &threads.flush);
        let compact = |core: &Core, _: bool| compact_all(core);
        threads.compact.spawn(core, "annals-compact", compact, |threads| &threads.compact);
    }

    /// Asks the flushing thread to look; it asks the other one.
    pub(super) fn wake(&self) {
        self.flush.wake();
    }

    /// Ends the thread that flushes, once what it does is done.
    pub(super) fn stop_flushing(&self) {
        self.flush.stop();
    }

    /// Ends the thread that compacts.
    pub(super) fn stop_compacting(&self) {
        self.compact.stop();
    }
}

fn flush_all(core: &Core) -> Result<()> {
    let mut any = false;
    while core.trees.flush_next(core)? {
        any = true;
    }
    if any {
        core.trees.threads.compact.wake();
    }
    Ok(())
}

fn compact_all(core: &Core) -> Result<()> {
    let mut any = false;
    while core.trees.compact_next(core)? {
        any = true;
    }
    if any {
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

    /// Ends the thread that flushes, once what it does is done.
    pub(crate) fn stop_flushing(&self) {
        self.threads.stop_flushing();
    }

    /// Does all that is to be done, in this thread.
    pub(crate) fn run_all(core: &Core) -> Result<()> {
        flush_all(core)?;
        compact_all(core)?;
        flush_all(core)
    }
}
