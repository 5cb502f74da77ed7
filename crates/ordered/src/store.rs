//! All trees of a database: one manifest, one cache, one budget of memory, one order of work.
//!
//! A store has no threads. What is to be done in the background is handed out as [`Work`](crate::Work), which any
//! thread runs; several pieces may run at the same time. `tree` takes records and answers readers,
//! `work` does what is to be done, `view` is what readers see.
//!
//! Locks, in the order in which they may be taken: the log (held while an edit is synced), a tree's
//! writer, what is running in a tree, the list of trees. Readers take none.

mod admission;
mod agenda;
mod config;
mod core;
mod damage;
mod follower;
mod frozen;
mod opening;
mod range;
mod root;

#[cfg(test)]
mod short_memory_test;

pub(crate) use self::core::{Stalls, StoreCore};
pub use config::StoreConfig;
pub use follower::Follower;
pub use frozen::Frozen;
pub(crate) use range::compact_range;
pub use root::{ManifestRoot, RootError};

use crate::{
    BlockCache, Edit, Error, HeldTables, Hold, ManifestPlace, Result, StoreStats, Tree, TreeAdded,
    TreeOptions, manifest::TreeState, stats, tree::TreeCore,
};
use annals_disk::Disk;
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

/// All trees of a database. Copies are of the same store.
///
/// ```
/// use annals_disk::MemoryDisk;
/// use annals_ordered::{
///     AsOf, Entry, EntryKind, ManifestPlace, ManifestRoot, Record, RootError, Store, StoreConfig,
///     TreeOptions,
/// };
/// use std::{path::Path, sync::{Arc, Mutex}};
///
/// /// What the database's root file says.
/// #[derive(Debug)]
/// struct Root(Mutex<Option<ManifestPlace>>);
///
/// impl ManifestRoot for Root {
///     fn set_manifest(&self, place: ManifestPlace) -> Result<(), RootError> {
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
    /// that is missing, is not what was written, or has another format, is an error of those who read its keys, and
    /// compactions leave it alone ([`lost_tables`](Self::lost_tables)).
    /// The caller brings again, through [`Tree::apply`], what its log has beyond each tree's
    /// [`Tree::flushed_through`].
    ///
    /// Files of the store that neither the root nor the manifest names are removed, after it is
    /// noted that their numbers are given.
    ///
    /// # Errors
    /// What is wrong with the manifest; or if a setting is out of range, this build knows nothing of how a table
    /// is compressed, or the file system refuses.
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

    fn of(core: StoreCore) -> Self {
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
        let ended = self.core.trees.read().get(&id).cloned();
        if let Some(tree) = ended {
            tree.drop_files();
            // Before it is gone: who asks which segments are referred to finds its view in the one list or the other.
            self.core.former.retire(&tree);
            self.core.trees.write().remove(&id);
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

    /// The cache of decompressed blocks.
    #[must_use]
    pub fn cache(&self) -> &Arc<BlockCache> {
        &self.core.site.cache
    }

    /// Tables that were replaced, or whose tree was dropped, and that somebody still reads: a view, a walk.
    #[must_use]
    pub fn held_tables(&self) -> HeldTables {
        self.core.site.graves.held()
    }

    /// Compactions write as fast as they can from now on: for who closes, and waits for the last of them.
    pub fn lift_compaction_rate(&self) {
        self.core.site.rate.lift();
    }

    /// How long compactions have waited since opening to write no faster than
    /// [`compaction_bytes_per_s`](StoreConfig::compaction_bytes_per_s), in nanoseconds, added up over threads.
    #[must_use]
    pub fn compaction_paused_ns(&self) -> u64 {
        self.core.site.paused_ns.load(Ordering::Relaxed)
    }

    /// What there is and what was done since opening.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        stats::of(self, &self.core.stalls)
    }
}
