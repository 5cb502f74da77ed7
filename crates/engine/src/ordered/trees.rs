//! The store of all trees, and what the engine adds to it: the root that names its manifest, writers
//! that wait for flushes, and the work itself.

use super::{
    Moved,
    brief::{BRIEF_INPUT_BYTES, Brief},
    leaving::Leaving,
    threads::Threads,
};
use crate::{Error, Result, builder::Config, core::Core};
use annals_journal::{Background, Journal, RootKeeper, RootManifest, Seq};
use annals_ordered::{
    Admission, CacheStats, Follower, ManifestPlace, ManifestRoot, RootError, Store, StoreConfig,
    Tree, TreeOptions, Work,
};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Writers ask whether they may go on once for so many bytes of all of them.
const STEP_BYTES: u64 = 64 << 10;
/// Shorter waits are added up until they are worth going to sleep, in nanoseconds: the system lets nobody sleep
/// for a few microseconds.
const SHORTEST_SLEEP_NS: i64 = 200_000;
/// How long a writer that stood still for too long is spared for it, in nanoseconds.
const OVERSLEPT_MAX_NS: u64 = 20_000_000;
/// A memtable is flushed at this size at the latest, in bytes: it has addresses for a few times as much, and a commit
/// comes on top.
const MEMTABLE_BYTES_MAX: u64 = 8 << 30;
/// How long somebody waits for a flush before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Figures about the tables of all ordered keyspaces.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// assert_eq!(db.stats().tables, None);
/// db.keyspace("scores")?.insert("ada", "12")?;
/// let tables = db.stats().tables.expect("there is an ordered keyspace");
/// assert!(tables.memtable_bytes > 0);
/// assert_eq!((tables.strain, tables.stalls_count), (0.0, 0));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableStats {
    /// The cache of decompressed blocks.
    pub cache: CacheStats,
    /// What is in memory and not in tables yet, in bytes.
    pub memtable_bytes: u64,
    /// How strained the tables are: 0 if writers are not slowed, 1 if most.
    pub strain: f64,
    /// How often a writer waited for flushes and compactions since this opening.
    pub stalls_count: u64,
    /// How long those waits took together, in nanoseconds.
    pub stalled_ns: u64,
    /// How long compactions waited since this opening to write no faster than
    /// [`compaction_bytes_per_s`](crate::Builder::compaction_bytes_per_s), in nanoseconds.
    pub compaction_paused_ns: u64,
}

/// The trees of a database; none as long as it has no ordered keyspace.
#[derive(Debug)]
pub(crate) struct Trees {
    pub(super) config: StoreConfig,
    pub(super) memory_bytes: u64,
    pub(super) store: OnceLock<Store>,
    /// In a read-only handle: what moves the store on.
    pub(super) follower: Mutex<Option<Follower>>,
    /// In a read-only handle: why the trees lack something that the log has.
    pub(super) lost: Mutex<Option<Error>>,
    /// In a read-only handle: why there are no trees, though there should be.
    pub(super) no_manifest: OnceLock<Error>,
    /// Whether a table was found damaged where it would tell of a value.
    is_reference_lost: AtomicBool,
    /// Where values are that were moved out of the segments to which the tables refer.
    pub(crate) moved: ArcSwap<Moved>,
    pub(super) threads: Threads,
    /// Bytes of records for trees since this opening.
    written_bytes: AtomicU64,
    /// How long writers are still to wait, in nanoseconds; below zero if they have waited longer than they had
    /// to.
    owed_ns: AtomicI64,
    stalls_count: AtomicU64,
    stalled_ns: AtomicU64,
    flushed: (Mutex<()>, Condvar),
    brief: Brief,
    /// Why the last work was not done, if the disk had no space for it.
    no_space: Mutex<Option<annals_ordered::Error>>,
    /// Trees that no keyspace needs, and that could not be dropped for want of space.
    leaving: Mutex<Leaving>,
    pub(super) is_over: AtomicBool,
    /// Held for reading by who writes files for a load; see there.
    pub(super) loading: RwLock<()>,
}

/// What keeps the manifest's name in the root.
#[derive(Debug)]
struct Keeper {
    root: RootKeeper,
    /// Why the root could not be written.
    failure: Mutex<Option<annals_journal::Error>>,
}

impl Keeper {
    fn of(journal: &Journal) -> Arc<Self> {
        Arc::new(Self { root: journal.root_keeper(), failure: Mutex::new(None) })
    }
}

impl ManifestRoot for Keeper {
    fn set_manifest(&self, place: ManifestPlace) -> Result<(), RootError> {
        let ManifestPlace { number, synced_bytes } = place;
        let manifest = RootManifest { number, synced_bytes };
        self.root.set_manifest(manifest).map_err(|error| {
            let cause = root_error(&error);
            *self.failure.lock() = Some(error);
            cause
        })
    }

    fn sync_log(&self) -> Result<(), RootError> {
        self.root.sync().map_err(|error| root_error(&error))
    }
}

/// What the tables are told of an error of the log.
fn root_error(error: &annals_journal::Error) -> RootError {
    match error {
        annals_journal::Error::Full { .. } => RootError::Full(error.to_string()),
        _ => RootError::Unknown(error.to_string()),
    }
}

/// The manifest that a root names.
pub(crate) fn place_of(manifest: RootManifest) -> ManifestPlace {
    let RootManifest { number, synced_bytes } = manifest;
    ManifestPlace { number, synced_bytes }
}

impl Trees {
    /// What suits a budget of so many bytes for all of it.
    pub(super) fn config(memory_bytes: u64) -> StoreConfig {
        // A third for the cache; of the rest, one memtable is written to while others are flushed.
        let memtables_bytes = memory_bytes / 3 * 2;
        StoreConfig {
            memory_bytes: memtables_bytes,
            memtable_bytes: (memtables_bytes / 4).min(MEMTABLE_BYTES_MAX),
            cache_bytes: memory_bytes - memtables_bytes,
            ..StoreConfig::default()
        }
    }

    pub(crate) fn new(settings: &Config) -> Self {
        let Config { memory_bytes, compaction_bytes_per_s, ordered_threads, .. } = *settings;
        Self {
            config: StoreConfig { compaction_bytes_per_s, ..Self::config(memory_bytes) },
            memory_bytes,
            store: OnceLock::new(),
            follower: Mutex::new(None),
            lost: Mutex::new(None),
            no_manifest: OnceLock::new(),
            is_reference_lost: AtomicBool::new(false),
            moved: ArcSwap::default(),
            threads: Threads::new(ordered_threads),
            written_bytes: AtomicU64::new(0),
            owed_ns: AtomicI64::new(0),
            stalls_count: AtomicU64::new(0),
            stalled_ns: AtomicU64::new(0),
            flushed: (Mutex::new(()), Condvar::new()),
            brief: Brief::default(),
            no_space: Mutex::new(None),
            leaving: Mutex::default(),
            is_over: AtomicBool::new(false),
            loading: RwLock::new(()),
        }
    }

    /// Opens the store that the root of `journal` names, if it names one.
    pub(crate) fn open(&self, journal: &Journal) -> Result<()> {
        let Some(manifest) = journal.manifest() else { return Ok(()) };
        let (disk, root) = (Arc::clone(journal.disk()), Keeper::of(journal));
        let (id, config) = (journal.database_id(), self.config.clone());
        let store = Store::open(disk, journal.dir(), id, config, root, place_of(manifest))?;
        drop(self.store.set(store));
        Ok(())
    }

    /// The store, made if there is none. The caller sees to it that nobody else makes it.
    pub(crate) fn begin(&self, journal: &Journal) -> Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let (disk, root) = (Arc::clone(journal.disk()), Keeper::of(journal));
        let (id, config) = (journal.database_id(), self.config.clone());
        let keeper = Arc::clone(&root);
        let store = Store::create(disk, journal.dir(), id, config, root).map_err(|error| {
            keeper.failure.lock().take().map_or(Error::Tables(error), Error::Journal)
        })?;
        Ok(self.store.get_or_init(|| store))
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.get()
    }

    /// A tree by its number.
    pub(crate) fn tree(&self, id: u32) -> Option<Tree> {
        self.store.get()?.tree(id)
    }

    /// Makes an empty tree, durably. One of that number that somebody began and did not use goes.
    pub(crate) fn make(&self, core: &Core, id: u32, options: TreeOptions) -> Result<()> {
        let store = self.begin(&core.journal)?;
        self.take_number(store, id)?;
        store.create_tree(id, options)?;
        Ok(())
    }

    /// Sees to it that no tree has the number `id`, which is given to another: one that somebody began and did not
    /// use goes.
    pub(super) fn take_number(&self, store: &Store, id: u32) -> Result<()> {
        // Whoever drops what is left drops no tree that comes after this; one that cannot be dropped stays left.
        let mut leaving = self.leaving.lock();
        if store.tree(id).is_some() {
            store.drop_tree(id)?;
        }
        leaving.remove(id);
        Ok(())
    }

    /// Lets go of the tree of a keyspace that was dropped or cleared. The log must say so durably
    /// before: otherwise a power cut could bring the keyspace back and not what it had. Where the disk has no space
    /// for that, it is tried again with every look for flushes.
    pub(crate) fn retire(&self, core: &Core, id: u32) {
        self.leaving.lock().add(id);
        self.retire_left(core);
    }

    /// Drops the trees that are not needed any more.
    fn retire_left(&self, core: &Core) {
        let Some(store) = self.store.get() else { return };
        // Held all the time: the number of one that goes must not be given to another meanwhile.
        let mut leaving = self.leaving.lock();
        leaving.drop_all(|id| {
            if store.tree(id).is_none() {
                return Ok(());
            }
            core.journal.sync()?;
            Ok(store.drop_tree(id)?)
        });
    }

    /// Whether trees take records.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match self.store.get() {
            Some(store) => Ok(store.check()?),
            None => Ok(()),
        }
    }

    /// Has the threads look for what is to be done: files of a tree that is gone.
    pub(super) fn wake(&self) {
        self.threads.wake();
    }

    /// Has writers wait if flushes and compactions are behind. Asked before the writer lock is taken.
    #[inline]
    ///
    /// # Errors
    /// If memory is full, and cannot be flushed for want of space on the disk.
    pub(crate) fn admit(&self, core: &Core, bytes: usize) -> Result<()> {
        let bytes = bytes as u64;
        let before = self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Who only reads is refused where the log is asked.
        if before / STEP_BYTES == (before + bytes) / STEP_BYTES || core.read_only {
            return Ok(());
        }
        self.admit_step(core, bytes.max(STEP_BYTES))
    }

    #[cold]
    fn admit_step(&self, core: &Core, bytes: u64) -> Result<()> {
        let Some(store) = self.store.get() else { return Ok(()) };
        let begun_ns = core.journal.disk().monotonic_ns();
        let manual = core.journal.config().background == Background::Manual;
        let mut stalled = false;
        loop {
            let admission = store.admit(bytes);
            // The thread would ask for the writer lock to find nothing.
            if store.has_flush() {
                self.threads.wake();
            }
            match admission {
                Admission::After { delay_ns } => {
                    if delay_ns > 0 && !manual {
                        stalled |= self.delay(core, delay_ns);
                    }
                    break;
                }
                Admission::Full => {
                    stalled = true;
                    // Who appends is told why nothing goes on.
                    if core.journal.poisoned().is_some() || self.is_over.load(Ordering::Acquire) {
                        break;
                    }
                    if manual {
                        if !self.flush_next(core)? {
                            break;
                        }
                    } else {
                        if let Some(error) = self.no_space.lock().clone() {
                            return Err(error.into());
                        }
                        self.wait_for_flush();
                    }
                }
            }
        }
        if stalled {
            let ns = core.journal.disk().monotonic_ns().saturating_sub(begun_ns);
            self.stalls_count.fetch_add(1, Ordering::Relaxed);
            self.stalled_ns.fetch_add(ns, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Has the writer wait for so long, at once or, if that is short, together with what comes later. Whether it
    /// has waited.
    fn delay(&self, core: &Core, delay_ns: u64) -> bool {
        let delay_ns = i64::try_from(delay_ns).unwrap_or(i64::MAX);
        if self.owed_ns.fetch_add(delay_ns, Ordering::Relaxed) + delay_ns < SHORTEST_SLEEP_NS {
            return false;
        }
        // Another writer may have taken it over.
        let owed_ns = self.owed_ns.swap(0, Ordering::Relaxed);
        let Ok(sleep_ns @ 1..) = u64::try_from(owed_ns) else {
            self.owed_ns.fetch_add(owed_ns, Ordering::Relaxed);
            return false;
        };
        let disk = core.journal.disk();
        let begun_ns = disk.monotonic_ns();
        std::thread::sleep(Duration::from_nanos(sleep_ns));
        let slept_ns = disk.monotonic_ns().saturating_sub(begun_ns);
        let overslept_ns = slept_ns.saturating_sub(sleep_ns).min(OVERSLEPT_MAX_NS);
        self.owed_ns.fetch_sub(overslept_ns as i64, Ordering::Relaxed);
        true
    }

    fn wait_for_flush(&self) {
        let mut guard = self.flushed.0.lock();
        self.flushed.1.wait_for(&mut guard, LOOK_AGAIN);
    }

    /// Puts all memtables among those that are to be flushed. The caller has the writer lock.
    pub(crate) fn seal_all(&self) {
        for tree in self.store.get().iter().flat_map(|store| store.trees()) {
            tree.seal();
        }
    }

    /// The time as of which work judges what is over. It is in the log, so that once the log is synced
    /// no clock shows an earlier one, whatever happens to this machine's.
    pub(super) fn settled_ms(core: &Core) -> u64 {
        let log_ms = core.journal.quiesce().time_ms();
        log_ms.min(core.clock.now_ms())
    }

    /// Does one flush, or removes files. False if there is none that nobody does already.
    pub(crate) fn flush_next(&self, core: &Core) -> Result<bool> {
        let Some(store) = self.store.get() else { return Ok(false) };
        self.retire_left(core);
        if !store.seal_wanted().is_empty() {
            let _writer = core.journal.quiesce();
            // Another thread may just have done it: what came since then would be a table of a few records.
            for tree in store.seal_wanted() {
                tree.seal();
            }
        }
        let next = store.next_flush(Self::settled_ms(core));
        let done = self.run(core, next);
        self.flushed.1.notify_all();
        if matches!(done, Ok(true)) {
            self.threads.wake_compacting();
        }
        done
    }

    /// Does one compaction. False if there is none that can be done now.
    pub(crate) fn compact_next(&self, core: &Core) -> Result<bool> {
        let Some(store) = self.store.get() else { return Ok(false) };
        let next = || store.next_compaction(Self::settled_ms(core));
        let Some((work, _brief)) = self.brief.begin(next) else { return Ok(false) };
        self.run(core, Some(work))
    }

    /// Does what compactions are due as long as little is to be read for them, and removes the files that
    /// compactions have replaced: before the database closes. Programs that open it for a moment each do not come
    /// to it in the background, and would leave a table each.
    pub(crate) fn run_closing(&self, core: &Core) -> Result<()> {
        let Some(store) = self.store.get() else { return Ok(()) };
        // It is little, and somebody waits.
        store.lift_compaction_rate();
        let mut left_bytes = BRIEF_INPUT_BYTES;
        loop {
            if let Some(work) = store.next_small_compaction(Self::settled_ms(core), left_bytes) {
                left_bytes = left_bytes.saturating_sub(work.input_bytes());
                if !self.run(core, Some(work))? {
                    break;
                }
            } else if !self.brief.wait() {
                // A thread in the background that was at one would be stopped in it, at every closing again.
                break;
            }
        }
        while self.flush_next(core)? {}
        Ok(())
    }

    /// Does what was handed out, once the log is durable: what is written must not be younger. A
    /// failure stops all writing, but for want of space, and for damage to what a compaction reads.
    fn run(&self, core: &Core, work: Option<Work>) -> Result<bool> {
        let Some(work) = work else { return Ok(false) };
        self.threads.wake_beside(&work);
        core.journal.sync()?;
        match work.run() {
            Ok(()) => {
                *self.no_space.lock() = None;
                Ok(true)
            }
            Err(annals_ordered::Error::Cancelled) => Ok(false),
            // The table is left alone from now on.
            Err(error) if error.is_damage() && self.check().is_ok() => Ok(true),
            Err(error) if error.is_full() => {
                // It is tried again in the next round.
                *self.no_space.lock() = Some(error.clone());
                Err(error.into())
            }
            Err(error) => {
                core.journal.poison(&error.to_string());
                Err(error.into())
            }
        }
    }

    /// Waits until the tables have every record before `next_seq`. The memtables that have them are
    /// sealed.
    pub(crate) fn flush_through(&self, core: &Core, next_seq: Seq) -> Result<()> {
        let Some(store) = self.store.get() else { return Ok(()) };
        let is_flushed = |tree: &Tree| tree.unflushed_from().is_none_or(|from| from >= next_seq.0);
        loop {
            store.check()?;
            if store.trees().iter().all(is_flushed) {
                return Ok(());
            }
            if self.is_over.load(Ordering::Acquire) {
                return Err(annals_journal::Error::Closed.into());
            }
            if !self.flush_next(core)? {
                // Somebody else does it.
                self.wait_for_flush();
            }
        }
    }

    /// The lowest number of a record that no table has yet: the log is needed from there on.
    pub(crate) fn unflushed_from(&self) -> Option<Seq> {
        let store = self.store.get()?;
        store.trees().iter().filter_map(Tree::unflushed_from).min().map(Seq)
    }

    /// Whether the system gives less memory than memtables want, and a flush would give some back.
    pub(crate) fn is_short(&self) -> bool {
        self.store.get().is_some_and(Store::is_short)
    }

    /// Flushes while what waits for it takes more than half of the memory for it, or the system gives no more: at
    /// opening, where nobody else does.
    pub(crate) fn flush_some(&self, core: &Core) -> Result<()> {
        let Some(store) = self.store.get() else { return Ok(()) };
        while store.is_short() || store.backlog().memtable_bytes > self.config.memory_bytes / 2 {
            if !self.flush_next(core)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Makes sure that each ordered keyspace has its tree. The numbers of those.
    pub(crate) fn check_all_there(&self, core: &Core) -> Result<BTreeSet<u32>> {
        let catalog = core.catalog.load();
        let mut known = BTreeSet::new();
        for listed in catalog.iter().filter(|listed| listed.keyspace.is_ordered()) {
            known.insert(listed.tree.id);
            if listed.tree.tree.is_none() {
                let what = format!("it does not name the tables of `{}`", listed.keyspace.name);
                let path = core.journal.dir().join("annals.root");
                return Err(annals_ordered::Error::Missing { path, what }.into());
            }
        }
        Ok(known)
    }

    /// Drops trees that no keyspace has, and makes sure that each ordered keyspace has its own.
    pub(crate) fn settle(&self, core: &Core) -> Result<()> {
        let known = self.check_all_there(core)?;
        for tree in self.store.get().iter().flat_map(|store| store.trees()) {
            if !known.contains(&tree.id())
                && let Some(store) = self.store.get()
            {
                store.drop_tree(tree.id())?;
            }
        }
        Ok(())
    }

    /// Compacts the keys from `from` on and lower than `to` of a tree down to one level.
    pub(crate) fn compact_range(
        &self,
        core: &Core,
        tree: &Tree,
        range: Option<&annals_ordered::KeyRange>,
    ) -> Result<()> {
        if core.read_only {
            return Err(annals_journal::Error::ReadOnly.into());
        }
        core.trees.check()?;
        // What has expired is judged by the log's time, which stands still while nobody writes. If
        // somebody does at this moment, it moves on anyway.
        core.journal.note_time(core.clock.now_ms());
        {
            let _writer = core.journal.quiesce();
            tree.seal();
        }
        let now_ms = Self::settled_ms(core);
        core.journal.sync()?;
        let done = tree.compact_range(range, now_ms);
        self.flushed.1.notify_all();
        match done {
            Ok(()) => {}
            // Nothing is wrong with the tables.
            Err(
                error @ (annals_ordered::Error::Cancelled
                | annals_ordered::Error::Dropped { .. }
                | annals_ordered::Error::Stopped { .. }),
            ) => return Err(error.into()),
            Err(error) if error.is_full() => return Err(error.into()),
            Err(error) if error.is_damage() && self.check().is_ok() => return Err(error.into()),
            Err(error) => {
                core.journal.poison(&error.to_string());
                return Err(error.into());
            }
        }
        // The files that were replaced, and what this was in the way of.
        self.threads.wake();
        self.threads.wake_compacting();
        Ok(())
    }

    /// Notes that a table could not tell whether it refers to a value.
    pub(crate) fn note_reference_lost(&self) {
        self.is_reference_lost.store(true, Ordering::Relaxed);
    }

    /// Whether tables may refer to values of which nobody can tell.
    pub(crate) fn may_refer_to_more(&self) -> bool {
        self.is_reference_lost.load(Ordering::Relaxed)
            || self.store.get().is_some_and(|store| !store.lost_tables().is_empty())
    }

    /// Ends all work for good.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(store) = self.store.get() {
            store.stop();
        }
        self.threads.stop_compacting();
        self.flushed.1.notify_all();
        // A load writes no file from now on.
        drop(self.loading.write());
    }

    /// Figures about the tables; none if there are none.
    pub(crate) fn stats(&self) -> Option<TableStats> {
        let store = self.store.get()?;
        Some(TableStats {
            cache: store.cache().stats(),
            memtable_bytes: store.backlog().memtable_bytes,
            strain: store.strain(),
            stalls_count: self.stalls_count.load(Ordering::Relaxed),
            stalled_ns: self.stalled_ns.load(Ordering::Relaxed),
            compaction_paused_ns: store.compaction_paused_ns(),
        })
    }
}
