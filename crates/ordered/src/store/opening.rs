//! Making and opening a store.

use super::{ManifestRoot, Store, StoreConfig, StoreCore, core::Ledger};
use crate::{
    BlockCache, Edit, Error, FileName, Manifest, ManifestPlace, Result, State,
    memtable::SpareMemory,
    rate::Rate,
    site::Site,
    table_file::{Graves, TableFile},
    tree::TreeCore,
};
use annals_disk::Disk;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

pub(super) fn site(
    disk: Arc<dyn Disk>,
    dir: &Path,
    database_id: u64,
    config: &StoreConfig,
    next_number: u64,
) -> Site {
    Site {
        disk,
        dir: dir.to_owned(),
        database_id,
        cache: Arc::new(BlockCache::new(config.cache_bytes)),
        graves: Arc::new(Graves::default()),
        // All but what the one takes that is written to.
        spare: Arc::new(SpareMemory::new(
            usize::try_from(config.memory_bytes - config.memtable_bytes).unwrap_or(usize::MAX),
        )),
        next_number: AtomicU64::new(next_number),
        stopping: AtomicBool::new(false),
        rate: Rate::new(config.compaction_bytes_per_s),
        paused_ns: AtomicU64::new(0),
        pause: Arc::clone(&config.pause),
    }
}

/// See [`Store::create`].
pub(super) fn create(
    disk: Arc<dyn Disk>,
    dir: &Path,
    database_id: u64,
    config: StoreConfig,
    root: Arc<dyn ManifestRoot>,
) -> Result<Store> {
    config.validate()?;
    // A crash in an earlier attempt may have left files.
    let strays = strays(&*disk, dir, &BTreeSet::new())?;
    let number = strays.iter().map(|file| file.number() + 1).max().unwrap_or(1);
    let state = State { next_number: number + 1, ..State::default() };
    let manifest = Manifest::create(&*disk, dir, database_id, number, &state)?;
    let manifest = name_in_root(&*disk, dir, &*root, manifest)?;
    let site = site(disk, dir, database_id, &config, state.next_number);
    remove(&*site.disk, dir, &strays)?;
    Ok(Store::of(StoreCore::new(
        site,
        config,
        root,
        Ledger::Ours(manifest),
        state,
        BTreeMap::new(),
    )))
}

/// See [`Store::open`].
pub(super) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    database_id: u64,
    config: StoreConfig,
    root: Arc<dyn ManifestRoot>,
    place: ManifestPlace,
) -> Result<Store> {
    config.validate()?;
    let (mut manifest, mut state) = Manifest::open(&*disk, dir, database_id, place)?;
    #[cfg(debug_assertions)]
    if annals_disk::canary::is_broken(annals_disk::canary::Broken::ForgetsTable) {
        state = without_a_table(&state)?;
    }
    let mut site = site(disk, dir, database_id, &config, state.next_number);
    let mut trees = BTreeMap::new();
    let mut named = BTreeSet::from([FileName::Manifest(place.number)]);
    for (&id, tree) in &state.trees {
        let mut files = Vec::new();
        for (_, info) in tree.levels.tables() {
            named.insert(FileName::Table(info.number));
            let (cache, graves) = (Arc::clone(&site.cache), Arc::clone(&site.graves));
            let info = Arc::clone(info);
            let file =
                TableFile::open_or_lose(&*site.disk, dir, database_id, id, info, cache, graves)?;
            files.push(Arc::new(file));
        }
        trees.insert(id, Arc::new(TreeCore::new(id, &site, tree, &files)));
    }
    let strays = strays(&*site.disk, dir, &named)?;
    // Nothing was changed so far, and nothing but the file system can refuse any more.
    manifest.mend()?;
    if let Some(highest) = strays.iter().map(|file| file.number()).max()
        && highest >= state.next_number
    {
        // First it is noted that the numbers are given: once the files are gone nothing else tells.
        let edit = Edit { next_number: Some(highest + 1), ..Edit::default() };
        let next = state.changed(&edit)?;
        if !manifest.append(&edit)? {
            let number = highest + 1;
            let next = State { next_number: number + 1, ..next };
            let fresh = Manifest::create(&*site.disk, dir, database_id, number, &next)?;
            let fresh = name_in_root(&*site.disk, dir, &*root, fresh)?;
            site.graves.push(FileName::Manifest(place.number));
            (manifest, state) = (fresh, next);
        } else {
            state = next;
        }
        site.next_number = AtomicU64::new(state.next_number);
    }
    remove(&*site.disk, dir, &strays)?;
    Ok(Store::of(StoreCore::new(site, config, root, Ledger::Ours(manifest), state, trees)))
}

/// Has the root name a manifest that was just made. Where the disk has no space for that, it goes: what is to be
/// tried again needs its space.
fn name_in_root(
    disk: &dyn Disk,
    dir: &Path,
    root: &dyn ManifestRoot,
    manifest: Manifest,
) -> Result<Manifest> {
    let place = manifest.place();
    let Err(cause) = root.set_manifest(place) else { return Ok(manifest) };
    drop(manifest);
    let error = Error::Root { cause };
    if error.is_full()
        && let Err(error) = disk.remove(&FileName::Manifest(place.number).path(dir))
    {
        tracing::warn!(%error, "a manifest that nothing names stays until the next opening");
    }
    Err(error)
}

/// What an opening that forgets a table takes for what the manifest says.
#[cfg(debug_assertions)]
fn without_a_table(state: &State) -> Result<State> {
    let lost = state.trees.iter().find_map(|(&tree, of_tree)| {
        let (level, table) = of_tree.levels.tables().next()?;
        Some(crate::TableRemoved { tree, level, number: table.number })
    });
    let edit = Edit { tables_removed: lost.into_iter().collect(), ..Edit::default() };
    Ok(state.changed(&edit)?)
}

/// The files of a store in `dir` that are not in `named`.
fn strays(disk: &dyn Disk, dir: &Path, named: &BTreeSet<FileName>) -> Result<Vec<FileName>> {
    let files = disk.list(dir)?.into_iter().filter(|entry| !entry.is_dir);
    let ours = files.filter_map(|entry| FileName::parse(&entry.name));
    Ok(ours.filter(|file| !named.contains(file)).collect())
}

fn remove(disk: &dyn Disk, dir: &Path, files: &[FileName]) -> Result<()> {
    for file in files {
        disk.remove(&file.path(dir))?;
    }
    if !files.is_empty() {
        disk.sync_dir(dir)?;
    }
    Ok(())
}
