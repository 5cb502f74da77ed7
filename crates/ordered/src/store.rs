//! All trees of a database: one manifest, one cache, one budget of memory, one order of work.
//!
//! A store has no threads. What is to be done in the background is handed out as [`Work`], which any
//! thread runs; several pieces may run at the same time. `tree` takes records and answers readers,
//! `work` does what is to be done, `view` is what readers see.
//!
//! Locks, in the order in which they may be taken: the log (held while an edit is synced), a tree's
//! writer, what is running in a tree, the list of trees. Readers take none.

mod follower;
mod frozen;
mod opening;
mod range;

pub use follower::Follower;
pub use frozen::Frozen;
pub(crate) use range::compact_range;

use crate::{
    Admission, Backlog, BlockCache, Damage, Edit, Error, FileName, Hold, Manifest, ManifestPlace,
    Pause, Pressure, Result, State, StoreStats, Tree, TreeAdded, TreeOptions, Work,
    holds::{Holds, Horizon},
    manifest::{Glance, TreeState},
    referring::FormerViews,
    site::Site,
    stats,
    tree::TreeCore,
    version::Version,
};
use annals_disk::Disk;
use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// The caller's root file, which says which manifest a store has.
pub trait ManifestRoot: Debug + Send + Sync {
    /// Makes the root name this manifest, durably, before it returns. The manifest and its name are
    /// durable already. Called while an edit is written, so it must not call the store.
    ///
    /// # Errors
    /// Why it could not, in words. Nobody knows then which manifest the root names, and the store
    /// stops writing.
    fn set_manifest(&self, place: ManifestPlace) -> Result<(), String>;

    /// Makes durable what the caller's log has of the records that were applied. Called before a table
    /// with some of them becomes part of a tree: otherwise a power cut could leave records that the log
    /// has lost, beside a state that lacks what came before them. Nothing to do for who applies durable
    /// records only.
    ///
    /// # Errors
    /// Why it could not, in words. The store stops writing then.
    fn sync_log(&self) -> Result<(), String> {
        Ok(())
    }
}

/// How a store works.
#[derive(Clone)]
pub struct StoreConfig {
    /// What all memtables may take, in bytes. 64 MiB by default.
    pub memory_bytes: u64,
    /// At how many bytes a memtable is sealed, to be flushed. 16 MiB by default.
    pub memtable_bytes: u64,
    /// What decompressed blocks may take, in bytes. 32 MiB by default.
    pub cache_bytes: u64,
    /// How fast flushes and compactions write together, in bytes a second; 0 by default: no limit.
    pub write_bytes_per_s: u64,
    /// How work waits to keep to that.
    pub pause: Pause,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            memtable_bytes: 16 << 20,
            cache_bytes: 32 << 20,
            write_bytes_per_s: 0,
            pause: Arc::new(|ns| std::thread::sleep(std::time::Duration::from_nanos(ns))),
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("memory_bytes", &self.memory_bytes)
            .field("memtable_bytes", &self.memtable_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .field("write_bytes_per_s", &self.write_bytes_per_s)
            .finish_non_exhaustive()
    }
}

impl StoreConfig {
    /// Checks that each setting is in its range.
    ///
    /// # Errors
    /// `Config`, which names the setting.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, value, allowed| Err(Error::Config { field, value, allowed });
        if self.memtable_bytes < 1 << 10 {
            return refuse("memtable_bytes", self.memtable_bytes, "1 KiB or more");
        }
        if self.memory_bytes < self.memtable_bytes {
            return refuse("memory_bytes", self.memory_bytes, "memtable_bytes or more");
        }
        Ok(())
    }
}

/// All trees of a database. Copies are of the same store.
///
/// ```
/// use annals_disk::MemoryDisk;
/// use annals_ordered::{
///     AsOf, Entry, EntryKind, ManifestPlace, ManifestRoot, Record, Store, StoreConfig, TreeOptions,
/// };
/// use std::{path::Path, sync::{Arc, Mutex}};
///
/// /// What the database's root file says.
/// #[derive(Debug)]
/// struct Root(Mutex<Option<ManifestPlace>>);
///
/// impl ManifestRoot for Root {
///     fn set_manifest(&self, place: ManifestPlace) -> Result<(), String> {
///         *self.0.lock().unwrap() = Some(place);
///         Ok(())
///     }
/// }
///
/// let disk = Arc::new(MemoryDisk::new());
/// let root = Arc::new(Root(Mutex::new(None)));
/// let store = Store::create(disk, Path::new(""), 7, StoreConfig::default(), root)?;
/// let tree = store.create_tree(1, TreeOptions::default())?;
///
/// let put = Entry { key: b"key", seq: 1, kind: EntryKind::Put, expires_ms: None, value: b"value" };
/// tree.apply([Record::Entry(put)], 0)?;
/// tree.seal();
/// while let Some(work) = store.next_work(0) {
///     work.run()?;
/// }
/// assert_eq!(tree.flushed_through(), 1);
/// let now = AsOf { seq: u64::MAX, now_ms: 0 };
/// assert_eq!(tree.get(b"key", now)?, Some(b"value".to_vec()));
/// # Ok::<(), annals_ordered::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) core: Arc<StoreCore>,
}

/// What all copies of a store share.
#[derive(Debug)]
pub(crate) struct StoreCore {
    pub(crate) site: Site,
    pub(crate) config: StoreConfig,
    pressure: Pressure,
    log: Mutex<Log>,
    root: Arc<dyn ManifestRoot>,
    trees: RwLock<BTreeMap<u32, Arc<TreeCore>>>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) former: FormerViews,
    failure: OnceLock<Arc<Error>>,
    is_read_only: bool,
    /// Where the next edit of another process will be; none in a store that is written.
    glance: ArcSwapOption<Glance>,
    /// Which tree is looked at first for the next compaction.
    turn: AtomicUsize,
    pub(crate) stalls: Stalls,
}

/// How writers were slowed since opening.
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    pub(crate) delays: AtomicU64,
    pub(crate) delay_ns: AtomicU64,
    pub(crate) refusals: AtomicU64,
}

#[derive(Debug)]
struct Log {
    ledger: Ledger,
    state: State,
}

/// Where edits go.
#[derive(Debug)]
enum Ledger {
    /// To this manifest.
    Ours(Manifest),
    /// Another process may write them; this is how far they were read and shown.
    Others(ManifestPlace),
}

impl Log {
    fn place(&self) -> ManifestPlace {
        match &self.ledger {
            Ledger::Ours(manifest) => manifest.place(),
            Ledger::Others(place) => *place,
        }
    }
}

impl StoreCore {
    /// Whether writing goes on.
    pub(crate) fn check(&self) -> Result<()> {
        match self.failure.get() {
            None => Ok(()),
            Some(cause) => Err(Error::Stopped { cause: Arc::clone(cause) }),
        }
    }

    /// Whether tables may be written.
    pub(crate) fn check_ours(&self) -> Result<()> {
        if self.is_read_only { Err(Error::ReadOnly) } else { self.check() }
    }

    /// Whether work is handed out: not after a failure, not while the store is being closed, and not where
    /// another process does it.
    fn has_work_done(&self) -> bool {
        self.check().is_ok() && self.site.check_going_on().is_ok() && !self.is_read_only
    }

    /// Notes that background work has failed: no records are taken from now on.
    pub(crate) fn fail(&self, error: &Error) {
        if !matches!(error, Error::Cancelled | Error::Dropped { .. } | Error::Stopped { .. })
            && self.failure.set(Arc::new(error.clone())).is_ok()
        {
            tracing::error!(%error, "work on the tables failed; writing stops");
        }
    }

    /// Writes an edit, syncs it, and has `install` take over what it makes. Nothing has happened
    /// after [`Error::Shape`], [`Error::Stopped`] or [`Error::Dropped`]; after any other error the
    /// edit may be there at the next opening, so no file may be removed that it names or drops.
    pub(crate) fn commit(&self, edit: Edit, install: impl FnOnce(&State)) -> Result<()> {
        self.commit_checked(edit, |_| Ok(()), install)
    }

    /// As [`commit`](Self::commit), where `check` looks at the state before the edit.
    pub(crate) fn commit_checked(
        &self,
        mut edit: Edit,
        check: impl FnOnce(&State) -> Result<()>,
        install: impl FnOnce(&State),
    ) -> Result<()> {
        let mut log = self.log.lock();
        let Log { ledger: Ledger::Ours(manifest), state } = &mut *log else {
            return Err(Error::ReadOnly);
        };
        self.check()?;
        check(state)?;
        edit.next_number = Some(self.site.next_number.load(Ordering::Relaxed));
        let mut next = state.changed(&edit)?;
        let written = match manifest.append(&edit) {
            Ok(true) => Ok(()),
            Ok(false) => self.roll_over(manifest, &mut next),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            self.fail(&error);
            return Err(error);
        }
        log.state = next;
        install(&log.state);
        Ok(())
    }

    /// Begins a new manifest with `state`, and has the root name it.
    fn roll_over(&self, manifest: &mut Manifest, state: &mut State) -> Result<()> {
        let number = self.site.new_number();
        state.next_number = state.next_number.max(number + 1);
        let Site { disk, dir, database_id, .. } = &self.site;
        let fresh = Manifest::create(&**disk, dir, *database_id, number, state)?;
        self.root.set_manifest(fresh.place()).map_err(|what| Error::Root { what })?;
        let former = std::mem::replace(manifest, fresh);
        self.site.graves.push(FileName::Manifest(former.place().number));
        Ok(())
    }

    /// Asks the caller to make its log durable, before records that came from it are in a table.
    pub(crate) fn sync_log(&self) -> Result<()> {
        self.root.sync_log().map_err(|what| Error::Root { what })
    }

    /// Whether this very tree is still there.
    pub(crate) fn has_tree(&self, tree: &Arc<TreeCore>) -> bool {
        self.trees.read().get(&tree.id).is_some_and(|known| Arc::ptr_eq(known, tree))
    }

    /// All trees, by their ids.
    pub(crate) fn all_trees(&self) -> Vec<Arc<TreeCore>> {
        self.trees.read().values().cloned().collect()
    }

    /// What is held now.
    pub(crate) fn horizon(&self, now_ms: u64) -> Horizon {
        self.holds.horizon(now_ms)
    }
}

impl Store {
    /// Makes the store of a database that has none, in `dir`, which must be there. The root names
    /// its manifest when this returns.
    ///
    /// # Errors
    /// If a setting is out of range or the file system refuses.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        database_id: u64,
        config: StoreConfig,
        root: Arc<dyn ManifestRoot>,
    ) -> Result<Self> {
        opening::create(disk, dir, database_id, config, root)
    }

    /// Opens the store of a database in `dir`: `place` is what its root says. All tables are opened; one
    /// that is missing, or that is not what was written, is an error of those who read its keys, and
    /// compactions leave it alone ([`lost_tables`](Self::lost_tables)).
    /// The caller brings again, through [`Tree::apply`], what its log has beyond each tree's
    /// [`Tree::flushed_through`].
    ///
    /// Files of the store that neither the root nor the manifest names are removed, after it is
    /// noted that their numbers are given.
    ///
    /// # Errors
    /// What is wrong with the manifest; or if a setting is out of range, this build cannot read a table,
    /// or the file system refuses.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        database_id: u64,
        config: StoreConfig,
        root: Arc<dyn ManifestRoot>,
        place: ManifestPlace,
    ) -> Result<Self> {
        opening::open(disk, dir, database_id, config, root, place)
    }

    fn with(
        site: Site,
        config: StoreConfig,
        root: Arc<dyn ManifestRoot>,
        ledger: Ledger,
        state: State,
        trees: BTreeMap<u32, Arc<TreeCore>>,
    ) -> Self {
        let level0_tables = TreeOptions::default().level0_tables;
        let pressure = Pressure::new(config.memory_bytes, config.memtable_bytes, level0_tables);
        let is_read_only = matches!(ledger, Ledger::Others(_));
        let core = StoreCore {
            site,
            config,
            pressure,
            log: Mutex::new(Log { ledger, state }),
            root,
            trees: RwLock::new(trees),
            holds: Arc::default(),
            former: FormerViews::default(),
            failure: OnceLock::new(),
            is_read_only,
            glance: ArcSwapOption::empty(),
            turn: AtomicUsize::new(0),
            stalls: Stalls::default(),
        };
        Self { core: Arc::new(core) }
    }

    /// Begins a tree. Its id must not have been that of a tree that may come again when the caller
    /// replays its log.
    ///
    /// # Errors
    /// If an option is out of range, the tree is there already, or the manifest cannot be written.
    pub fn create_tree(&self, id: u32, options: TreeOptions) -> Result<Tree> {
        options.validate()?;
        let added = TreeAdded { tree: id, options };
        let edit = Edit { trees_added: vec![added], ..Edit::default() };
        self.core.commit(edit, |state| self.begin_tree(id, &state.trees[&id]))?;
        self.tree(id).ok_or(Error::Dropped { tree: id })
    }

    fn begin_tree(&self, id: u32, state: &TreeState) {
        let tree = TreeCore::new(id, &self.core.site, state, &[]);
        self.core.trees.write().insert(id, Arc::new(tree));
    }

    /// Ends a tree. Its files go when nobody reads them any more.
    ///
    /// # Errors
    /// If there is no such tree or the manifest cannot be written.
    pub fn drop_tree(&self, id: u32) -> Result<()> {
        let edit = Edit { trees_removed: vec![id], ..Edit::default() };
        self.core.commit(edit, |_| self.end_tree(id))
    }

    fn end_tree(&self, id: u32) {
        let removed = self.core.trees.write().remove(&id);
        if let Some(tree) = removed {
            tree.drop_files();
            self.core.former.retire(&tree);
        }
    }

    /// A tree by its id.
    #[must_use]
    pub fn tree(&self, id: u32) -> Option<Tree> {
        let core = Arc::clone(self.core.trees.read().get(&id)?);
        Some(Tree { core, store: Arc::clone(&self.core) })
    }

    /// All trees, by their ids.
    #[must_use]
    pub fn trees(&self) -> Vec<Tree> {
        let tree = |core| Tree { core, store: Arc::clone(&self.core) };
        self.core.all_trees().into_iter().map(tree).collect()
    }

    /// Which manifest there is and how far it is synced, for the caller's root. In a store that is only
    /// read: how far readers see it.
    #[must_use]
    pub fn manifest_place(&self) -> ManifestPlace {
        self.core.log.lock().place()
    }

    /// In a store that is only read: whether the manifest seems to say more than was read of it, so that
    /// its [`Follower`] should look. Costs a look at two places in memory.
    #[inline]
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        self.core.glance.load().as_ref().is_some_and(|glance| glance.may_have_more())
    }

    /// Opens the store of a database in `dir` for reading, beside a process that writes it or alone;
    /// nothing on disk is changed, ever. `place` asks the caller's root which manifest there is, each time
    /// anew. Trees take records that no table has, as in a store that is written; what shows their tables,
    /// and moves them on, is the [`Follower`]: before it is told to, trees have none.
    ///
    /// # Errors
    /// As [`open`](Self::open), or what `place` says.
    pub fn open_read_only<E: From<Error>>(
        disk: Arc<dyn Disk>,
        dir: &Path,
        database_id: u64,
        config: StoreConfig,
        place: impl Fn() -> Result<ManifestPlace, E>,
    ) -> Result<(Self, Follower), E> {
        follower::open(disk, dir, database_id, config, place)
    }

    /// In a store that is only read: lets go of all trees. Who has one goes on reading what it has.
    pub fn let_go(&self) {
        self.core.glance.store(None);
        self.core.trees.write().clear();
    }

    /// Keeps what can be seen as of `seq` and `now_ms` until the hold is dropped. `seq` must be the
    /// newest that is visible, so the caller is a writer or keeps them out: older states may be gone.
    #[must_use]
    pub fn hold(&self, seq: u64, now_ms: u64) -> Hold {
        self.core.holds.hold(seq, now_ms)
    }

    /// Whether records are taken.
    ///
    /// # Errors
    /// [`Error::Stopped`] with the cause after background work has failed.
    pub fn check(&self) -> Result<()> {
        self.core.check()
    }

    /// What a commit of so many bytes has to do before it goes on: a caller asks before it takes
    /// what other writers wait for. Notes which memtable is to be sealed if memory runs short; see
    /// [`seal_wanted`](Self::seal_wanted).
    #[must_use]
    pub fn admit(&self, commit_bytes: u64) -> Admission {
        let backlog = self.backlog();
        let memory_bytes = self.core.config.memory_bytes;
        if backlog.memtable_bytes > memory_bytes / 4 * 3 {
            let trees = self.core.all_trees();
            let active = |tree: &Arc<TreeCore>| tree.memory_bytes().0;
            // Where flushes that are due will give enough back, sealing more would only make a memtable,
            // and later a table, of every few records.
            let is_short = trees.iter().map(active).sum::<u64>() > memory_bytes / 2;
            if let Some(largest) = trees.iter().max_by_key(|tree| active(tree))
                && is_short
            {
                largest.is_seal_wanted.store(true, Ordering::Relaxed);
            }
        }
        // Where memory runs short, what is kept for memtables to come goes before anybody waits.
        let spare = &self.core.site.spare;
        if backlog.memtable_bytes + spare.bytes() as u64 >= memory_bytes {
            spare.clear();
        }
        let admission = self.core.pressure.admit(&backlog, commit_bytes);
        let stalls = &self.core.stalls;
        match admission {
            Admission::After { delay_ns: 0 } => {}
            Admission::After { delay_ns } => {
                stalls.delays.fetch_add(1, Ordering::Relaxed);
                stalls.delay_ns.fetch_add(delay_ns, Ordering::Relaxed);
            }
            Admission::Full => {
                stalls.refusals.fetch_add(1, Ordering::Relaxed);
            }
        }
        admission
    }

    /// The trees whose memtables are to be sealed to give memory back: the next records do it, or the
    /// caller, as a writer, with [`Tree::seal`] where no records come.
    #[must_use]
    pub fn seal_wanted(&self) -> Vec<Tree> {
        let wanted = |tree: &Tree| tree.core.is_seal_wanted.load(Ordering::Relaxed);
        self.trees().into_iter().filter(wanted).collect()
    }

    /// What waits to be done.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let mut backlog = Backlog::default();
        for tree in self.core.trees.read().values() {
            let view = tree.view.load();
            let sealed = view.sealed.iter().map(|sealed| sealed.memtable.memory_bytes());
            backlog.memtable_bytes += (view.active.memory_bytes() + sealed.sum::<usize>()) as u64;
            // Where a damaged table keeps compactions from getting on, waiting would not help.
            if tree.is_held_up.load(Ordering::Relaxed) {
                continue;
            }
            backlog.debt_bytes += view.version.debt_bytes;
            backlog.level0_tables = backlog.level0_tables.max(view.version.strain_tables);
        }
        backlog
    }

    /// The next thing to be done in the background; `None` if there is nothing, or nothing that can
    /// be done beside what is running. `now_ms` is the time, in milliseconds since 1970: no reader
    /// that is not held may have an earlier one later. Flushes come before compactions.
    #[must_use]
    pub fn next_work(&self, now_ms: u64) -> Option<Work> {
        self.next_flush(now_ms).or_else(|| self.next_compaction(now_ms))
    }

    /// The next flush, or files to remove.
    #[must_use]
    pub fn next_flush(&self, now_ms: u64) -> Option<Work> {
        if !self.core.has_work_done() {
            return None;
        }
        Work::remove(&self.core).or_else(|| Work::flush(&self.core, now_ms))
    }

    /// Whether a flush, or the removal of files, could be begun, or a memtable is to be sealed for it.
    #[must_use]
    pub fn has_flush(&self) -> bool {
        let is_due = |tree: &Arc<TreeCore>| {
            Work::can_flush(tree) || tree.is_seal_wanted.load(Ordering::Relaxed)
        };
        self.core.has_work_done()
            && (!self.core.site.graves.is_empty() || self.core.trees.read().values().any(is_due))
    }

    /// Gives memory back that is kept for memtables to come, where none will come soon.
    pub fn let_spare_memory_go(&self) {
        self.core.site.spare.clear();
    }

    /// The next compaction.
    #[must_use]
    pub fn next_compaction(&self, now_ms: u64) -> Option<Work> {
        self.next_small_compaction(now_ms, u64::MAX)
    }

    /// The next compaction of those that merge tables of no more than so many bytes: for who has little time.
    #[must_use]
    pub fn next_small_compaction(&self, now_ms: u64, input_bytes_max: u64) -> Option<Work> {
        if !self.core.has_work_done() {
            return None;
        }
        let trees = self.core.all_trees();
        let turn = self.core.turn.fetch_add(1, Ordering::Relaxed);
        let horizon = self.core.horizon(now_ms);
        (0..trees.len()).find_map(|step| {
            let tree = &trees[(turn + step) % trees.len()];
            Work::compact(&self.core, tree, &horizon, now_ms, input_bytes_max)
        })
    }

    /// Whether there is something to be done that could be begun now.
    #[must_use]
    pub fn has_work(&self, now_ms: u64) -> bool {
        let horizon = self.core.horizon(now_ms);
        self.core.has_work_done()
            && (!self.core.site.graves.is_empty()
                || self
                    .core
                    .all_trees()
                    .iter()
                    .any(|tree| Work::can_flush(tree) || tree.wants_compaction(&horizon)))
    }

    /// Has running work end soon, with [`Error::Cancelled`], and hands out none any more. What was
    /// begun is removed, or left without an owner for the next opening.
    pub fn stop(&self) {
        self.core.site.stopping.store(true, Ordering::Relaxed);
    }

    /// Reads every byte of all tables and of the manifest, and reports each place that is damaged
    /// with the keys concerned, as far as that is known. Where another process writes it, the manifest is
    /// left to [`Follower::verify_manifest`].
    ///
    /// # Errors
    /// What is wrong with the manifest, after all tables were read.
    pub fn verify(&self, report: &mut dyn FnMut(u32, Damage)) -> Result<()> {
        for tree in self.core.all_trees() {
            let version = Arc::clone(&tree.view.load().version);
            for file in version.files() {
                let mut report = |mut damage: Damage| {
                    damage.from.get_or_insert_with(|| file.info.range.first.to_vec());
                    damage.to.get_or_insert_with(|| file.info.range.last.to_vec());
                    report(tree.id, damage);
                };
                match file.table() {
                    Ok(table) => _ = table.verify(&mut report),
                    Err(error) => report(Damage::of_lost(&error)),
                }
            }
        }
        if self.core.is_read_only {
            return Ok(());
        }
        let site = &self.core.site;
        // No edit is written meanwhile, or it would be taken for a torn one.
        let log = self.core.log.lock();
        let place = log.place();
        crate::read_manifest(&*site.disk, &site.dir, site.database_id, place).map(drop)
    }

    /// Why tables are lost, each with its file and the keys concerned: their files are missing, or could
    /// not be opened.
    #[must_use]
    pub fn lost_tables(&self) -> Vec<Error> {
        let trees = self.core.all_trees();
        let versions = trees.iter().map(|tree| Arc::clone(&tree.view.load().version));
        let lost = |version: Arc<Version>| -> Vec<Error> {
            version.files().filter_map(|file| file.lost().cloned()).collect()
        };
        versions.flat_map(lost).collect()
    }

    /// The cache of decompressed blocks.
    #[must_use]
    pub fn cache(&self) -> &Arc<BlockCache> {
        &self.core.site.cache
    }

    /// What there is and what was done since opening.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        stats::of(self, &self.core.stalls)
    }

    /// How strained the store is, from 0 to 1.
    #[must_use]
    pub fn strain(&self) -> f64 {
        self.core.pressure.strain(&self.backlog())
    }
}
