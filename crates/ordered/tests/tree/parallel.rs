//! Work that several threads do at the same time, on one tree and on several, beside a writer with
//! snapshots and power cuts, over what a tree was loaded with; against the model.

use crate::support::*;
use annals_disk::{
    Disk, RealDisk, SimDisk,
    hooked::{Act, Hook, hooked},
};
use annals_ordered::{AsOf, Error, Hold, KeyRange, Store, Style, Tree, TreeOptions, Work};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

/// How long threads wait for each other before the test fails: far longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A disk on which whoever begins a table waits until so many threads have begun one.
#[derive(Debug)]
struct MeetingDisk {
    /// How many are expected, and who is there.
    there: Mutex<(usize, BTreeSet<String>)>,
    came: Condvar,
}

impl MeetingDisk {
    fn new() -> Self {
        Self { there: Mutex::default(), came: Condvar::new() }
    }

    fn expect(&self, count: usize) {
        *self.there.lock().unwrap() = (count, BTreeSet::new());
    }

    fn arrive(&self, id: ThreadId) {
        let clock = RealDisk::new();
        let end_ns = clock.monotonic_ns() + PATIENCE.as_nanos() as u64;
        let mut there = self.there.lock().unwrap();
        there.1.insert(format!("{id:?}"));
        self.came.notify_all();
        while there.1.len() < there.0 {
            let left_ns = end_ns.saturating_sub(clock.monotonic_ns());
            assert!(left_ns > 0, "{} of {} are there", there.1.len(), there.0);
            there = self.came.wait_timeout(there, Duration::from_nanos(left_ns)).unwrap().0;
        }
    }
}

impl Hook for MeetingDisk {
    fn before(&self, act: Act, path: &Path) -> annals_disk::Result<bool> {
        if act == Act::Create && path.extension().is_some_and(|is| is == "tbl") {
            self.arrive(thread::current().id());
        }
        Ok(true)
    }
}

fn some_changes(numbers: &mut Numbers, count: u64, keys: u64) -> Vec<Change> {
    let key = |number: u64| format!("{number:05}").into_bytes();
    let change = |_| {
        let at = numbers.below(keys);
        match numbers.below(20) {
            0..=2 => Change::Remove { key: key(at) },
            3 => Change::RemoveRange { from: key(at), to: key(at + numbers.below(12)) },
            _ => {
                let mut value = vec![0; 8 + numbers.below(60) as usize];
                value.iter_mut().for_each(|byte| *byte = numbers.below(256) as u8);
                Change::put(&key(at), &value)
            }
        }
    };
    (0..count).map(change).collect()
}

/// Work for all compactions of a tree that read something and can be begun at this moment.
fn merges(store: &Store) -> Vec<Work> {
    let all: Vec<Work> = std::iter::from_fn(|| store.next_compaction(0)).collect();
    all.into_iter().filter(|work| work.input_bytes() > 0).collect()
}

fn flush(store: &Store) {
    while let Some(work) = store.next_flush(0) {
        work.run().unwrap();
    }
}

/// Two compactions of one tree and the flushes of two others are in the middle of it all at once, and what
/// readers see afterwards is what was written.
#[test]
fn compactions_of_one_tree_and_flushes_of_others_are_done_at_once() {
    let sim = disk(1);
    let meeting = Arc::new(MeetingDisk::new());
    let root = Arc::new(Root { disk: sim.clone() });
    let store = Store::create(
        hooked(Arc::new(sim.clone()), Arc::clone(&meeting)),
        &dir(),
        ID,
        config(),
        root,
    )
    .unwrap();
    let trees: Vec<Tree> =
        (TREE..TREE + 3).map(|id| store.create_tree(id, options()).unwrap()).collect();
    let mut logs = vec![Log::default(); 3];
    let mut numbers = Numbers::new(3);
    let mut rounds = 0;
    let compactions = loop {
        let mut due = merges(&store);
        if due.len() >= 2 {
            due.truncate(2);
            break due;
        }
        // One at a time, until the levels ask for two.
        match due.pop() {
            Some(work) => work.run().unwrap(),
            None => work(&store, 0).unwrap(),
        }
        logs[0].write(&trees[0], &some_changes(&mut numbers, 60, 2_000), 0).unwrap();
        trees[0].seal();
        flush(&store);
        rounds += 1;
        assert!(rounds < 2_000, "two compactions are never due: {:?}", trees[0].stats());
    };
    let mut pieces = compactions;
    for (tree, log) in trees.iter().zip(&mut logs).skip(1) {
        log.write(tree, &some_changes(&mut numbers, 60, 100), 0).unwrap();
        tree.seal();
    }
    while pieces.len() < 4 {
        let next = store.next_flush(0).expect("both were sealed");
        if next.is_flush() { pieces.push(next) } else { next.run().unwrap() }
    }
    assert!(store.next_flush(0).is_none_or(|work| !work.is_flush()), "each is begun once");
    meeting.expect(4);
    thread::scope(|scope| {
        for piece in pieces {
            scope.spawn(|| piece.run().unwrap());
        }
    });
    meeting.expect(0);
    for (tree, log) in trees.iter().zip(&logs) {
        check(tree, &log.state, newest(0), "done at once");
    }
    work(&store, 0).unwrap();
    store.verify(&mut |_, damage| panic!("{damage:?}")).unwrap();
    drop((trees, store));
    let store = open(&sim).unwrap();
    for (id, log) in (TREE..).zip(&logs) {
        let tree = store.tree(id).unwrap();
        log.replay(&tree, tree.flushed_through(), 0).unwrap();
        check(&tree, &log.state, newest(0), "opened again");
    }
}

/// Tells the threads that work when to end, also if the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

struct Kept {
    hold: Hold,
    state: State,
}

/// A writer beside several threads that do whatever work there is.
struct Run {
    numbers: Numbers,
    log: Log,
    now_ms: Arc<AtomicU64>,
    flushed: u64,
    kept: Vec<Kept>,
    is_cut: Arc<AtomicBool>,
}

const KEYS: u64 = 240;

impl Run {
    fn now(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    fn check(&self, tree: &Tree, context: &str) {
        check(tree, &self.log.state, newest(self.now()), context);
        for kept in &self.kept {
            let as_of = AsOf { seq: kept.hold.seq(), now_ms: kept.hold.now_ms() };
            check(tree, &kept.state, as_of, &format!("{context}, held {}", as_of.seq));
        }
    }

    fn step(&mut self, store: &Store, tree: &Tree, context: &str) -> Result<(), Error> {
        let now_ms = self.now();
        match self.numbers.below(100) {
            0..=54 => {
                let count = 1 + self.numbers.below(20);
                let mut changes = some_changes(&mut self.numbers, count, KEYS);
                for change in &mut changes {
                    if let Change::Put { expires_ms, .. } = change
                        && self.numbers.below(5) == 0
                    {
                        *expires_ms = Some(now_ms + self.numbers.below(60));
                    }
                }
                self.log.write(tree, &changes, now_ms)?;
            }
            55..=69 => {
                tree.seal();
            }
            70..=74 => {
                let hold = store.hold(self.log.seq(), now_ms);
                self.kept.push(Kept { hold, state: self.log.state.clone() });
            }
            75..=78 if !self.kept.is_empty() => {
                let at = self.numbers.below(self.kept.len() as u64) as usize;
                self.kept.swap_remove(at);
            }
            79..=82 => {
                self.now_ms.store(now_ms + self.numbers.below(30), Ordering::Relaxed);
            }
            83 | 84 => {
                let first = self.numbers.below(KEYS);
                let last = first + self.numbers.below(KEYS);
                let bounds = [first, last].map(|number| format!("{number:05}"));
                let range = KeyRange::closed(bounds[0].as_bytes(), bounds[1].as_bytes());
                tree.compact_range(Some(&range), now_ms)?;
            }
            _ if !self.is_cut() => self.check(tree, context),
            _ => {}
        }
        if !self.is_cut() {
            self.flushed = self.flushed.max(tree.flushed_through());
        }
        Ok(())
    }

    /// Steps beside `workers` threads, until the steps or the power end.
    fn live(&mut self, disk: &SimDisk, store: &Store, workers: usize, steps: &mut u64, seed: u64) {
        let tree = &store.tree(TREE).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let _end = End(&done);
            for _ in 0..workers {
                let (done, now_ms, is_cut) = (&done, self.now_ms.clone(), self.is_cut.clone());
                scope.spawn(move || {
                    while !done.load(Ordering::Acquire) {
                        let Some(work) = store.next_work(now_ms.load(Ordering::Relaxed)) else {
                            thread::yield_now();
                            continue;
                        };
                        if let Err(error) = work.run() {
                            assert!(is_cut.load(Ordering::Acquire), "seed {seed}: {error}");
                        }
                    }
                });
            }
            while *steps > 0 {
                *steps -= 1;
                let context = format!("seed {seed}, {steps} steps left");
                if self.numbers.below(60) == 0 && !self.is_cut() {
                    self.is_cut.store(true, Ordering::Release);
                    disk.cut_power_at(disk.operations() + self.numbers.below(40));
                }
                let failed = self.step(store, tree, &context);
                if self.is_cut() {
                    if failed.is_err() || self.numbers.below(20) == 0 {
                        return;
                    }
                } else {
                    failed.unwrap_or_else(|error| panic!("{context}: {error}"));
                }
            }
        });
    }
}

fn run(seed: u64, options: &TreeOptions, workers: usize) {
    let mut disk = disk(seed);
    let mut store = create(&disk).unwrap();
    let (mut numbers, mut log) = (Numbers::new(seed + 5), Log::default());
    let first = numbers.below(2 * KEYS);
    let count = if seed.is_multiple_of(2) { 40 } else { 0 };
    let records = (first..first + count).map(|number| (format!("{number:05}").into(), vec![7; 8]));
    loaded(&store, &mut log, *options, records).unwrap();
    let mut run = Run {
        numbers,
        log,
        now_ms: Arc::new(AtomicU64::new(1_000)),
        flushed: 0,
        kept: Vec::new(),
        is_cut: Arc::default(),
    };
    let mut steps = 250;
    while steps > 0 {
        run.live(&disk, &store, workers, &mut steps, seed);
        if run.is_cut() {
            run.kept.clear();
            drop(store);
            disk = disk.restart();
            store = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let tree = store.tree(TREE).unwrap();
            assert!(tree.flushed_through() >= run.flushed, "seed {seed}");
            run.log.replay(&tree, tree.flushed_through(), run.now()).unwrap();
            run.flushed = tree.flushed_through();
            run.is_cut.store(false, Ordering::Release);
            run.check(&tree, &format!("seed {seed}, opened again"));
        }
    }
    let tree = store.tree(TREE).unwrap();
    run.check(&tree, &format!("seed {seed}, the end"));
    run.kept.clear();
    tree.seal();
    work(&store, run.now()).unwrap();
    run.check(&tree, &format!("seed {seed}, all done"));
    store.verify(&mut |_, damage| panic!("{damage:?}")).unwrap();
    let tables: u64 = tree.stats().levels.iter().map(|level| level.tables).sum();
    assert_eq!(files(&disk).len() as u64, tables + 1, "seed {seed}: files without an owner");
}

#[test]
fn threads_on_a_leveled_tree() {
    for seed in 1..25 {
        run(seed, &options(), 2 + seed as usize % 3);
    }
}

#[test]
fn threads_on_a_tiered_tree() {
    for seed in 101..113 {
        run(seed, &TreeOptions { style: Style::Tiered, ..options() }, 3);
    }
}

#[test]
fn threads_on_a_tree_that_drops_its_oldest() {
    for seed in 201..213 {
        let style = Style::Fifo { keep_ms: 0, bytes_max: 0 };
        run(seed, &TreeOptions { style, table_bytes: 8 << 10, ..options() }, 3);
    }
}
