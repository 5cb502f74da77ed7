//! What all copies of a store share, and how edits are written: one at a time, under the lock of the log.

use super::{ManifestRoot, StoreConfig};
use crate::{
    Edit, Error, FileName, Manifest, ManifestPlace, Pressure, Result, State, TreeOptions,
    holds::{Holds, Horizon},
    manifest::Glance,
    referring::FormerViews,
    site::Site,
    tree::TreeCore,
};
use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// What all copies of a store share.
#[derive(Debug)]
pub(crate) struct StoreCore {
    pub(crate) site: Site,
    pub(crate) config: StoreConfig,
    pub(super) pressure: Pressure,
    pub(super) log: Mutex<Log>,
    root: Arc<dyn ManifestRoot>,
    pub(crate) trees: RwLock<BTreeMap<u32, Arc<TreeCore>>>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) former: FormerViews,
    failure: OnceLock<Arc<Error>>,
    pub(super) is_read_only: bool,
    /// Where the next edit of another process will be; none in a store that is written.
    pub(super) glance: ArcSwapOption<Glance>,
    /// Which tree is looked at first for the next compaction.
    pub(super) turn: AtomicUsize,
    pub(crate) stalls: Stalls,
    /// A memtable was sealed because the system gave it less memory than it asked for, and no flush has ended since.
    pub(crate) is_short: AtomicBool,
}

/// How writers were slowed since opening.
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    pub(crate) delays: AtomicU64,
    pub(crate) delay_ns: AtomicU64,
    pub(crate) refusals: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) ledger: Ledger,
    pub(super) state: State,
}

/// Where edits go.
#[derive(Debug)]
pub(super) enum Ledger {
    /// To this manifest.
    Ours(Manifest),
    /// Another process may write them; this is how far they were read and shown.
    Others(ManifestPlace),
}

impl Log {
    pub(super) fn place(&self) -> ManifestPlace {
        match &self.ledger {
            Ledger::Ours(manifest) => manifest.place(),
            Ledger::Others(place) => *place,
        }
    }
}

impl StoreCore {
    /// What a store shares that begins with `state`.
    pub(super) fn new(
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
        Self {
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
            is_short: AtomicBool::new(false),
        }
    }

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
    pub(super) fn has_work_done(&self) -> bool {
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
    /// after [`Error::Shape`], [`Error::Stopped`] or [`Error::Dropped`], nor for want of space if the store
    /// takes records still; after any other error the edit may be there at the next opening, so no file may
    /// be removed that it names or drops.
    pub(crate) fn commit(&self, edit: Edit, install: impl FnOnce(&State)) -> Result<()> {
        self.commit_completed(edit, |_, _| Ok(()), install)
    }

    /// As [`commit`](Self::commit), where `complete` looks at the state before the edit, and adds to the
    /// edit what follows from it.
    pub(crate) fn commit_completed(
        &self,
        mut edit: Edit,
        complete: impl FnOnce(&State, &mut Edit) -> Result<()>,
        install: impl FnOnce(&State),
    ) -> Result<()> {
        let mut log = self.log.lock();
        let Log { ledger: Ledger::Ours(manifest), state } = &mut *log else {
            return Err(Error::ReadOnly);
        };
        self.check()?;
        complete(state, &mut edit)?;
        edit.next_number = Some(self.site.next_number.load(Ordering::Relaxed));
        let mut next = state.changed(&edit)?;
        let written = match manifest.append(&edit) {
            Ok(true) => Ok(()),
            Ok(false) => self.roll_over(manifest, &mut next),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // A disk that is full refuses a new manifest, or the root that is to name it, before anything
            // names it: the one that there is stays, and the same edit can be tried again.
            if !error.is_full() || manifest.has_failed() {
                self.fail(&error);
            }
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
        let fresh = Manifest::create(&**disk, dir, *database_id, number, state)
            .inspect_err(|_| self.site.discard([FileName::Manifest(number)]))?;
        if let Err(cause) = self.root.set_manifest(fresh.place()) {
            let error = Error::Root { cause };
            // Whatever else went wrong, the root may name it.
            if error.is_full() {
                drop(fresh);
                self.site.discard([FileName::Manifest(number)]);
            }
            return Err(error);
        }
        let former = std::mem::replace(manifest, fresh);
        self.site.graves.push(FileName::Manifest(former.place().number));
        Ok(())
    }

    /// Asks the caller to make its log durable, before records that came from it are in a table.
    pub(crate) fn sync_log(&self) -> Result<()> {
        self.root.sync_log().map_err(|cause| Error::Root { cause })
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
