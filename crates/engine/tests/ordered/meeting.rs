//! A disk at which threads that begin tables wait for each other: what is done at the same time can be seen
//! there without looking at a clock.

use annals_disk::{
    Disk, RealDisk, Result, SimDisk, SimOptions,
    hooked::{Act, Hook, hooked},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

/// How long one waits for the other before the test fails: far longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What waits for threads ends at some time, whatever they do.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: RealDisk,
    begun_ns: u64,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let clock = RealDisk::new();
        Self { begun_ns: clock.monotonic_ns(), clock }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.clock.monotonic_ns() - self.begun_ns)
    }

    /// How long to wait at most from now on.
    fn left(&self) -> Duration {
        PATIENCE.saturating_sub(self.elapsed())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}

#[derive(Debug, Default)]
struct There {
    /// How many threads of which name are expected.
    expected: Option<(&'static str, usize)>,
    /// By thread: its name, and how many tables it has begun.
    began: BTreeMap<String, (String, usize)>,
}

impl There {
    fn count(&self, name: &str) -> usize {
        self.began.values().filter(|(of, _)| of == name).count()
    }

    fn is_missing(&self, name: &str) -> bool {
        self.expected.is_some_and(|(of, count)| of == name && self.count(name) < count)
    }
}

#[derive(Debug)]
pub(crate) struct MeetingDisk {
    pub(crate) sim: SimDisk,
    there: Mutex<There>,
    came: Condvar,
    /// Whether a thread that compacts panics when it begins its next table.
    pub(crate) panics: AtomicBool,
}

impl MeetingDisk {
    pub(crate) fn new() -> Arc<Self> {
        let sim = SimDisk::new(SimOptions::seeded(9));
        let (there, came, panics) = (Mutex::default(), Condvar::new(), AtomicBool::new(false));
        Arc::new(Self { sim, there, came, panics })
    }

    /// The disk on which they meet.
    pub(crate) fn disk(self: &Arc<Self>) -> Arc<dyn Disk> {
        hooked(Arc::new(self.sim.clone()), Arc::clone(self))
    }

    /// From now on a thread of that name that begins a table waits until so many others have begun one, too.
    pub(crate) fn expect(&self, name: &'static str, count: usize) {
        *self.there.lock().unwrap() =
            There { expected: Some((name, count)), began: BTreeMap::new() };
    }

    /// Whether all are there that are expected.
    pub(crate) fn have_met(&self) -> bool {
        let there = self.there.lock().unwrap();
        there.expected.is_some_and(|(name, _)| !there.is_missing(name))
    }

    /// How many threads of that name have begun tables, and how many tables.
    pub(crate) fn began(&self, name: &str) -> (usize, usize) {
        let there = self.there.lock().unwrap();
        let tables = there.began.values().filter(|(of, _)| of == name).map(|(_, tables)| tables);
        (there.count(name), tables.sum())
    }

    fn arrive(&self, name: &str, id: ThreadId) {
        let watch = Watch::begin();
        let mut there = self.there.lock().unwrap();
        there.began.entry(format!("{id:?}")).or_insert_with(|| (name.to_owned(), 0)).1 += 1;
        self.came.notify_all();
        // The test that waits for it fails then.
        while there.is_missing(name) && !watch.is_over() {
            there = self.came.wait_timeout(there, watch.left()).unwrap().0;
        }
    }
}

impl Hook for MeetingDisk {
    fn before(&self, act: Act, path: &Path) -> Result<bool> {
        if act == Act::Create && path.extension().is_some_and(|is| is == "tbl") {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            self.arrive(name, thread.id());
            let panics = name == "annals-compact" && self.panics.swap(false, Ordering::SeqCst);
            assert!(!panics, "as the test wants it");
        }
        Ok(true)
    }
}
