//! A store that another process writes: what moves it on.
//!
//! The tables of a manifest may lack versions that were replaced by newer ones, and records that were
//! over at some time. So readers see them only when they see everything that was in the log when the
//! manifest was read: first the follower *looks*, then the caller reads its log to the end, then the
//! follower *shows* what it has seen. A record gets to a table only after it is in the log, so by then
//! readers have the newer version, and the time.
//!
//! What was shown before stays open for who reads it. A table that the writer has removed meanwhile
//! lives on for who has it mapped.

use super::{ManifestRoot, RootError, Store, StoreConfig, StoreCore, core::Ledger, opening};
use crate::{
    Error, FileName, ManifestPlace, Result, State, Tree, TreeOptions,
    manifest::{Followed, TreeState},
    table_file::TableFile,
    tree::TreeCore,
};
use annals_disk::Disk;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// How often something is looked for anew because the writer has just removed it.
const ATTEMPTS: usize = 100;

/// The root of somebody else.
#[derive(Debug)]
struct OthersRoot;

impl ManifestRoot for OthersRoot {
    fn set_manifest(&self, _: ManifestPlace) -> Result<(), RootError> {
        Err(RootError::Unknown(Error::ReadOnly.to_string()))
    }
}

/// What moves a store on that was [opened for reading](Store::open_read_only).
#[derive(Debug)]
pub struct Follower {
    core: Arc<StoreCore>,
    manifest: Followed,
    /// Tables that the manifest names and readers do not see yet, by their numbers.
    opened: BTreeMap<u64, Arc<TableFile>>,
    /// Whether the manifest says something that readers do not see yet.
    is_ahead: bool,
}

/// See [`Store::open_read_only`].
pub(super) fn open<E: From<Error>>(
    disk: Arc<dyn Disk>,
    dir: &Path,
    database_id: u64,
    config: StoreConfig,
    place: impl Fn() -> Result<ManifestPlace, E>,
) -> Result<(Store, Follower), E> {
    config.validate()?;
    let manifest = open_manifest(&*disk, dir, database_id, &place)?;
    let site = opening::site(disk, dir, database_id, &config, manifest.state().next_number);
    let ledger = Ledger::Others(manifest.place());
    let (state, trees) = (State::default(), BTreeMap::new());
    let store = Store::of(StoreCore::new(site, config, Arc::new(OthersRoot), ledger, state, trees));
    let core = Arc::clone(&store.core);
    let mut follower = Follower { core, manifest, opened: BTreeMap::new(), is_ahead: true };
    follower.open_tables(&place)?;
    Ok((store, follower))
}

/// Opens the manifest that the root names. The writer may begin a new one, and remove the one before,
/// between the two.
fn open_manifest<E: From<Error>>(
    disk: &dyn Disk,
    dir: &Path,
    database_id: u64,
    place: &impl Fn() -> Result<ManifestPlace, E>,
) -> Result<Followed, E> {
    let mut now = place()?;
    for _ in 1..ATTEMPTS {
        match Followed::open(disk, dir, database_id, now) {
            Err(error @ Error::Missing { .. }) => {
                let before = std::mem::replace(&mut now, place()?);
                if now.number == before.number {
                    return Err(error.into());
                }
            }
            outcome => return Ok(outcome?),
        }
    }
    Ok(Followed::open(disk, dir, database_id, now)?)
}

impl Follower {
    /// Reads on in the manifest, and opens the tables that it names. Readers see nothing of it yet, but
    /// that trees which begin are there, without tables: their records are all in the caller's log still
    /// to be read. Costs a call to the file system where nothing is new.
    ///
    /// # Errors
    /// What is wrong with the manifest or a table, or what `place` says; readers go on with what they
    /// have.
    pub fn look<E: From<Error>>(
        &mut self,
        place: impl Fn() -> Result<ManifestPlace, E>,
    ) -> Result<(), E> {
        self.is_ahead |= self.manifest.advance()?;
        let site = &self.core.site;
        let path = FileName::Manifest(self.manifest.place().number).path(&site.dir);
        // A writer removes the manifest that it has left. If it could not, the memory tells that nothing
        // has come for long.
        let is_left = site.disk.len(&path).map_err(Error::from)?.is_none() || self.is_short();
        if is_left {
            self.turn(&place)?;
        }
        self.open_tables(&place)
    }

    /// As [`look`](Self::look), for a tree that the caller's log speaks of. Where the manifest that is read does not name
    /// it, the root is asked for another: the writer may have begun one with just this tree, and not removed the one
    /// before.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub fn look_for<E: From<Error>>(
        &mut self,
        id: u32,
        place: impl Fn() -> Result<ManifestPlace, E>,
    ) -> Result<(), E> {
        self.look(&place)?;
        if !self.manifest.state().trees.contains_key(&id) && self.turn(&place)? {
            self.open_tables(&place)?;
        }
        Ok(())
    }

    /// Reads the manifest that the root names, from its beginning.
    ///
    /// # Errors
    /// What is wrong with it, or what `place` says.
    pub fn verify_manifest<E: From<Error>>(
        &self,
        place: impl Fn() -> Result<ManifestPlace, E>,
    ) -> Result<(), E> {
        let site = &self.core.site;
        open_manifest(&*site.disk, &site.dir, site.database_id, &place).map(drop)
    }

    /// Whether memtables and cached blocks take more than all of them may.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let bytes = |tree: &Arc<TreeCore>| {
            let (active, sealed) = tree.memory_bytes();
            active + sealed
        };
        let memtables: u64 = self.core.trees.read().values().map(bytes).sum();
        let config = &self.core.config;
        memtables + self.core.site.cache.stats().used_bytes
            > config.memory_bytes + config.cache_bytes
    }

    /// Whether showing what was seen would give memory back.
    #[must_use]
    pub fn would_let_go(&self) -> bool {
        let trees = self.core.trees.read();
        let mut states = self.manifest.state().trees.iter();
        self.is_ahead
            && states.any(|(id, state)| trees.get(id).is_some_and(|tree| tree.would_let_go(state)))
    }

    /// Goes over to the manifest that the root names now. Whether it is another one.
    fn turn<E: From<Error>>(
        &mut self,
        place: &impl Fn() -> Result<ManifestPlace, E>,
    ) -> Result<bool, E> {
        if place()?.number == self.manifest.place().number {
            return Ok(false);
        }
        let site = &self.core.site;
        self.manifest = open_manifest(&*site.disk, &site.dir, site.database_id, place)?;
        self.is_ahead = true;
        Ok(true)
    }

    /// Opens what tables the manifest names. One that is not there may have been replaced since the
    /// manifest was read: then the manifest, or the root, says so already. Else it is lost.
    fn open_tables<E: From<Error>>(
        &mut self,
        place: &impl Fn() -> Result<ManifestPlace, E>,
    ) -> Result<(), E> {
        let mut outcome = self.try_open_tables(false);
        for _ in 1..ATTEMPTS {
            let Err(Error::KeysLost { .. }) = outcome else { break };
            if !self.manifest.advance()? && !self.turn(place)? {
                break;
            }
            self.is_ahead = true;
            outcome = self.try_open_tables(false);
        }
        if let Err(Error::KeysLost { .. }) = outcome {
            // Nobody has replaced it. But others may be replaced while they are opened behind it.
            for _ in 1..ATTEMPTS {
                outcome = self.try_open_tables(true);
                if outcome.is_err() || !self.manifest.advance()? && !self.turn(place)? {
                    break;
                }
                self.is_ahead = true;
                self.forget_replaced();
            }
        }
        outcome?;
        if self.is_ahead {
            self.begin_trees();
            self.core.glance.store(Some(Arc::new(self.manifest.glance())));
        }
        Ok(())
    }

    /// Lets go of opened tables that the manifest does not name any more.
    fn forget_replaced(&mut self) {
        let trees = self.manifest.state().trees.values();
        let tables = trees.flat_map(|tree| tree.levels.tables());
        let named: BTreeSet<u64> = tables.map(|(_, table)| table.number).collect();
        self.opened.retain(|number, _| named.contains(number));
    }

    fn try_open_tables(&mut self, or_lose: bool) -> Result<()> {
        if !self.is_ahead {
            return Ok(());
        }
        let site = &self.core.site;
        for (&id, tree) in &self.manifest.state().trees {
            let shown = self.tree_of(id, tree).map(|tree| Arc::clone(&tree.view.load().version));
            let shown = shown.iter().flat_map(|version| version.files());
            let mut known: BTreeSet<u64> = shown.map(|file| file.info.number).collect();
            known.extend(self.opened.keys());
            for (_, info) in tree.levels.tables().filter(|(_, info)| !known.contains(&info.number))
            {
                let (cache, graves) = (Arc::clone(&site.cache), Arc::clone(&site.graves));
                let (disk, dir) = (&*site.disk, &*site.dir);
                let (number, info) = (info.number, Arc::clone(info));
                let file = if or_lose {
                    TableFile::open_or_lose(disk, dir, site.database_id, id, info, cache, graves)?
                } else {
                    TableFile::open(disk, dir, site.database_id, info, cache, graves)?
                };
                self.opened.insert(number, Arc::new(file));
            }
        }
        Ok(())
    }

    /// The tree that is shown as `id`, if it is the one that the manifest has now: what was written for a tree
    /// never becomes less.
    fn tree_of(&self, id: u32, state: &TreeState) -> Option<Arc<TreeCore>> {
        let tree = Arc::clone(self.core.trees.read().get(&id)?);
        let shown = tree.view.load().version.traffic.loaded_bytes;
        (tree.options == state.options && shown <= state.traffic.loaded_bytes).then_some(tree)
    }

    /// Makes the trees that are not there yet. One whose number was given before and never used is made
    /// anew, as it is now; what that one was loaded with must not be seen in it.
    fn begin_trees(&self) {
        for (&id, state) in &self.manifest.state().trees {
            if self.tree_of(id, state).is_none() {
                let tree = Arc::new(self.empty_tree(id, state.options));
                self.core.trees.write().insert(id, tree);
            }
        }
    }

    fn empty_tree(&self, id: u32, options: TreeOptions) -> TreeCore {
        TreeCore::new(id, &self.core.site, &TreeState::begun(options), &[])
    }

    /// Shows readers the tables that the tree `id` was [loaded](Store::load) with, before the caller has read its
    /// log to the end: it has come to where the tree takes its place. Whether they can be shown: not once
    /// the tables have later records too, and not if the tree is gone again. The caller has looked.
    #[must_use]
    pub fn show_loaded(&mut self, id: u32) -> bool {
        let Some(state) = self.manifest.state().trees.get(&id) else { return false };
        if state.flushed_through > 0 {
            return false;
        }
        let Some(tree) = self.tree_of(id, state) else { return false };
        // Those of other trees stay for when all are shown.
        let opened: Vec<Arc<TableFile>> = self.opened.values().cloned().collect();
        tree.show(state, &opened);
        true
    }

    /// A tree that the caller's log speaks of, and that went again before the manifest was read: it never
    /// gets tables.
    #[must_use]
    pub fn passing_tree(&self, id: u32) -> Tree {
        let core = Arc::new(self.empty_tree(id, TreeOptions::default()));
        Tree { core, store: Arc::clone(&self.core) }
    }

    /// The newest record that the tables have which were seen.
    #[must_use]
    pub fn newest_seq(&self) -> u64 {
        let of = |tree: &TreeState| {
            let tables = tree.levels.tables().map(|(_, table)| table.highest_seq).max();
            tree.flushed_through.max(tables.unwrap_or(0))
        };
        self.manifest.state().trees.values().map(of).max().unwrap_or(0)
    }

    /// Shows readers what was seen, and lets go of memtables that the tables cover. The caller has read its
    /// log to the end since it looked, applied what it found, and shows it to readers: up to
    /// `visible_seq`. If the tables have something newer nothing happens, until the next time.
    ///
    /// At the beginning, before anybody reads, it may be told so before the log is read: trees then pass over
    /// what their tables have. Nobody may read before the log was read to [`newest_seq`](Self::newest_seq).
    pub fn show(&mut self, visible_seq: u64) {
        if !self.is_ahead || self.newest_seq() > visible_seq {
            return;
        }
        let opened: Vec<Arc<TableFile>> = std::mem::take(&mut self.opened).into_values().collect();
        let state = self.manifest.state();
        let mut trees = self.core.trees.write();
        trees.retain(|id, _| state.trees.contains_key(id));
        for (id, tree) in &*trees {
            tree.show(&state.trees[id], &opened);
        }
        drop(trees);
        let mut log = self.core.log.lock();
        (log.ledger, log.state) = (Ledger::Others(self.manifest.place()), state.clone());
        self.is_ahead = false;
    }
}
