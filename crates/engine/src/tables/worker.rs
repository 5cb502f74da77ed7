//! Making and merging parts in the background.
//!
//! One thread for all tables, which starts when the first table is asked for. It holds what the database is made of and
//! no handle of it, so it keeps nobody from closing; closing waits for the step that it is in.

use super::{table::EventTable, unsynced::Unsynced};
use crate::{Error, ErrorKind, KeyspaceKind, Result, catalog::Listed, core::Core, open::Open};
use annals_journal::Background;
use parking_lot::{Condvar, Mutex};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

/// How often the thread looks without being asked.
const ROUND: Duration = Duration::from_secs(1);
/// Who waits for it looks again this often, since it may have done enough for him long before it is done.
const PATIENCE: Duration = Duration::from_millis(5);

/// State of the work on tables.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    asked: Mutex<Asked>,
    wake: Condvar,
    passed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// What of events was appended and is not synced.
    pub(crate) unsynced: Unsynced,
}

#[derive(Debug, Default)]
struct Asked {
    is_running: bool,
    stop: bool,
    work: bool,
    /// How often it has begun to look at all tables.
    begun: u64,
    /// How often it was done with that.
    done: u64,
}

impl Worker {
    /// Asks the thread to look.
    pub(super) fn wake(&self) {
        let mut asked = self.asked.lock();
        if !asked.work {
            asked.work = true;
            self.wake.notify_one();
        }
    }

    /// Waits for as long as this holds, but not for longer than it takes to look at all tables once: more would not
    /// help. `false` if there is nobody to wait for.
    pub(super) fn wait_while(&self, is_behind: impl Fn() -> bool) -> bool {
        let mut asked = self.asked.lock();
        asked.work = true;
        self.wake.notify_one();
        // What is going on may have passed this table already.
        let enough = asked.begun + 1;
        while asked.is_running && !asked.stop && asked.done < enough && is_behind() {
            self.passed.wait_for(&mut asked, PATIENCE);
        }
        asked.is_running && !asked.stop
    }

    fn is_stopped(&self) -> bool {
        self.asked.lock().stop
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.asked.lock().stop = true;
        self.wake.notify_all();
        self.passed.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic in it was noted when it happened.
            drop(thread.join());
        }
    }
}

/// Starts the thread, if the database has threads and it does not run yet.
pub(super) fn spawn(core: &Arc<Core>) {
    if core.read_only || core.journal.config().background == Background::Manual {
        return;
    }
    {
        let mut asked = core.tables.asked.lock();
        if asked.is_running || asked.stop {
            return;
        }
        asked.is_running = true;
    }
    let shared = Arc::clone(core);
    let body = move || {
        if catch_unwind(AssertUnwindSafe(|| run(&shared))).is_err() {
            shared.journal.poison("the thread for tables of events panicked");
        }
        shared.tables.asked.lock().is_running = false;
        shared.tables.passed.notify_all();
    };
    match std::thread::Builder::new().name("annals-tables".into()).spawn(body) {
        Ok(thread) => *core.tables.thread.lock() = Some(thread),
        Err(error) => {
            // Who appends makes parts then.
            tracing::warn!(%error, "no thread for tables of events");
            core.tables.asked.lock().is_running = false;
        }
    }
}

fn run(core: &Arc<Core>) {
    loop {
        {
            let mut asked = core.tables.asked.lock();
            if !asked.stop && !asked.work {
                core.tables.wake.wait_for(&mut asked, ROUND);
            }
            if asked.stop {
                return;
            }
            asked.work = false;
            asked.begun += 1;
        }
        if let Err(error) = run_once(core) {
            tracing::warn!(%error, "parts of event tables will be made later");
        }
        core.tables.asked.lock().done += 1;
        core.tables.passed.notify_all();
    }
}

/// Starts the thread if a table has a time to live, which is to be kept also if nobody asks for the table.
pub(crate) fn spawn_if_due(core: &Arc<Core>) {
    let catalog = core.catalog.load_full();
    let mut tables =
        catalog.iter().filter(|listed| listed.keyspace.kind == KeyspaceKind::Table).peekable();
    if core.read_only || tables.peek().is_none() {
        return;
    }
    let open = Arc::new(Open::beside(core));
    let has_ttl = |listed: &Listed| {
        EventTable::new(Arc::clone(&open), Arc::clone(&listed.keyspace)).has_ttl()
    };
    // What cannot be read is told to who asks for it.
    if tables.any(|listed| has_ttl(listed).unwrap_or(false)) {
        spawn(core);
    }
}

/// Makes and merges the parts that are due and drops those that are over, of all tables that were asked for in this
/// opening and of those that have a time to live.
pub(crate) fn run_once(core: &Arc<Core>) -> Result<()> {
    if core.read_only || core.journal.poisoned().is_some() || core.journal.is_closed() {
        return Ok(());
    }
    run_on_all(core, |table| table.tidy(&|| core.tables.is_stopped()))
}

/// Merges the parts that are due and drops those that are over, of all tables: what the log is compacted of right
/// after. Were it left to the thread, the parts that were merged would be dead in what was just compacted.
pub(crate) fn run_thorough(core: &Arc<Core>) {
    let tidied = run_on_all(core, |table| {
        table.drop_over()?;
        table.merge_parts().map(drop)
    });
    if let Err(error) = tidied {
        tracing::warn!(%error, "not all parts that are due were merged");
    }
}

/// Does this with each table, whatever is wrong with another one.
fn run_on_all(core: &Arc<Core>, work: impl Fn(&EventTable) -> Result<()>) -> Result<()> {
    let open = Arc::new(Open::beside(core));
    let mut outcome = Ok(());
    for listed in core.catalog.load_full().iter() {
        if listed.keyspace.kind != KeyspaceKind::Table || core.tables.is_stopped() {
            continue;
        }
        let table = EventTable::new(Arc::clone(&open), Arc::clone(&listed.keyspace));
        match work(&table) {
            // It was dropped in between, or the database is being closed.
            Err(Error::KeyspaceDropped { .. }) => {}
            Err(error) if error.kind() == ErrorKind::Closed => {}
            Err(error) => outcome = Err(error),
            Ok(()) => {}
        }
    }
    outcome
}

impl EventTable {
    /// Makes and merges the parts that are due.
    fn tidy(&self, is_stopped: &dyn Fn() -> bool) -> Result<()> {
        // Of a table that nobody has asked for nothing is done but what its age asks for.
        if self.shape().look(|_| ()).is_none() && !self.has_ttl()? {
            return Ok(());
        }
        if self.is_due() {
            self.flush()?;
        }
        self.drop_over()?;
        while !is_stopped() && self.merge_some(is_stopped)?.is_some() {}
        Ok(())
    }
}
