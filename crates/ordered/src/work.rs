//! One thing to be done in the background: a flush, a compaction, the removal of files.
//!
//! What is handed out is marked as begun, and the mark goes when the work has been run or is dropped.
//! While it runs nothing waits for it but what needs its result: tables are written without a lock,
//! and only the edit that names them is written under the lock of the log.
//!
//! Order of durability: a table is synced, then the directory, then the edit; only then do readers
//! see it, does `flushed_through` advance, and do the inputs go.

use crate::{
    Edit, Error, FileName, Result, State, TableAdded, TableInfo, TableRemoved, TreeTraffic,
    compaction::{
        Action, Compaction, Running,
        beneath::Beneath,
        choice::{Ask, choose},
        outputs::OutputPlan,
        run::{Inputs, merge_tables, write},
        split::Splitter,
    },
    holds::Horizon,
    removals::Removals,
    source::Source,
    store::StoreCore,
    table_file::{Graves, TableFile},
    tree::{Counts, TreeCore},
    version::Version,
    view::{Sealed, View},
};
use parking_lot::MutexGuard;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// One thing to be done in the background. Running it takes as long as it takes to read and write
/// what it concerns; dropping it instead gives it back.
#[derive(Debug)]
#[must_use = "work that is dropped is not done"]
pub struct Work {
    store: Arc<StoreCore>,
    kind: Kind,
    now_ms: u64,
}

#[derive(Debug)]
enum Kind {
    Remove(Removal),
    Flush(Flush),
    Compact(Compact),
}

/// Files that are to be removed.
#[derive(Debug)]
struct Removal {
    graves: Arc<Graves>,
    files: Vec<FileName>,
    is_begun: AtomicBool,
}

impl Drop for Removal {
    fn drop(&mut self) {
        if !*self.is_begun.get_mut() {
            self.files.drain(..).for_each(|file| self.graves.push(file));
        }
    }
}

/// Memtables that are to become a table.
#[derive(Debug)]
struct Flush {
    tree: Arc<TreeCore>,
    /// The newest first.
    memtables: Vec<Arc<Sealed>>,
}

impl Drop for Flush {
    fn drop(&mut self) {
        // Swapped, so that who found the mark has what it saw seen by who takes the mark away and looks again.
        self.tree.is_flushing.swap(false, Ordering::AcqRel);
    }
}

/// A compaction that is marked as running.
#[derive(Debug)]
struct Compact {
    tree: Arc<TreeCore>,
    compaction: Arc<Compaction>,
    version: Arc<Version>,
}

impl Drop for Compact {
    fn drop(&mut self) {
        self.tree.running.lock().end(&self.compaction);
    }
}

impl Work {
    /// Files that nobody uses any more.
    pub(crate) fn remove(store: &Arc<StoreCore>) -> Option<Self> {
        let graves = Arc::clone(&store.site.graves);
        let files = graves.take();
        if files.is_empty() {
            return None;
        }
        let kind = Kind::Remove(Removal { graves, files, is_begun: AtomicBool::new(false) });
        Some(Self { store: Arc::clone(store), kind, now_ms: 0 })
    }

    /// The flush of the tree that has most to flush.
    pub(crate) fn flush(store: &Arc<StoreCore>, now_ms: u64) -> Option<Self> {
        let mut trees = store.all_trees();
        trees.retain(Self::can_flush);
        trees.sort_by_key(|tree| std::cmp::Reverse(tree.memory_bytes().1));
        trees.iter().find_map(|tree| Self::flush_of(store, tree, now_ms))
    }

    /// Whether a tree has something to flush and nobody does it.
    pub(crate) fn can_flush(tree: &Arc<TreeCore>) -> bool {
        !tree.is_flushing.load(Ordering::Acquire) && !tree.view.load().sealed.is_empty()
    }

    /// The flush of a tree.
    pub(crate) fn flush_of(
        store: &Arc<StoreCore>,
        tree: &Arc<TreeCore>,
        now_ms: u64,
    ) -> Option<Self> {
        loop {
            if tree.is_flushing.swap(true, Ordering::AcqRel) {
                return None;
            }
            let memtables = tree.view.load().sealed.clone();
            let flush = Flush { tree: Arc::clone(tree), memtables };
            if !flush.memtables.is_empty() {
                return Some(Self { store: Arc::clone(store), kind: Kind::Flush(flush), now_ms });
            }
            drop(flush);
            // Who came meanwhile found the mark: a memtable that was sealed since then would be left to nobody.
            if tree.view.load().sealed.is_empty() {
                return None;
            }
        }
    }

    /// The next compaction of a tree, of those that merge no more than so many bytes.
    pub(crate) fn compact(
        store: &Arc<StoreCore>,
        tree: &Arc<TreeCore>,
        horizon: &Horizon,
        now_ms: u64,
        input_bytes_max: u64,
    ) -> Option<Self> {
        let running = tree.running.lock();
        let view = tree.view.load_full();
        let compaction = choose(&Ask {
            levels: &view.version.levels,
            options: &tree.options,
            running: &running,
            settled_seq: horizon.settled_seq(),
            held_seq: horizon.held_seq(),
            now_ms: horizon.now_ms,
            input_bytes_max,
        })?;
        Some(Self::claim(store, tree, running, &view, compaction, now_ms))
    }

    /// A compaction, marked as running.
    pub(crate) fn claim(
        store: &Arc<StoreCore>,
        tree: &Arc<TreeCore>,
        mut running: MutexGuard<'_, Running>,
        view: &View,
        compaction: Compaction,
        now_ms: u64,
    ) -> Self {
        debug_assert_eq!(compaction.check(&view.version.levels), Ok(()));
        let compaction = Arc::new(compaction);
        running.begin(Arc::clone(&compaction));
        let version = Arc::clone(&view.version);
        let kind = Kind::Compact(Compact { tree: Arc::clone(tree), compaction, version });
        Self { store: Arc::clone(store), kind, now_ms }
    }

    /// Whether it is a flush.
    #[must_use]
    pub fn is_flush(&self) -> bool {
        matches!(self.kind, Kind::Flush(_))
    }

    /// Whether it is a compaction.
    #[must_use]
    pub fn is_compaction(&self) -> bool {
        matches!(self.kind, Kind::Compact(_))
    }

    /// How many bytes of tables it merges; 0 if it is no compaction, or one that reads none.
    #[must_use]
    pub fn input_bytes(&self) -> u64 {
        match &self.kind {
            Kind::Compact(Compact { compaction, .. }) if compaction.action == Action::Merge => {
                compaction.bytes()
            }
            _ => 0,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// Why it could not be done. The store takes no records any more then, unless it was stopped
    /// ([`Error::Cancelled`]), or what a compaction was to read is damaged: that table is left alone from
    /// then on. That the tree was dropped meanwhile is none.
    pub fn run(self) -> Result<()> {
        let done = match &self.kind {
            Kind::Remove(removal) => self.run_remove(removal),
            Kind::Flush(flush) => self.run_flush(flush),
            Kind::Compact(compact) => self.run_compact(compact),
        };
        match done {
            Err(Error::Dropped { .. }) => Ok(()),
            Err(error) if self.set_aside(&error) => Err(error),
            Err(error) => {
                // A disk that is full refuses a table that nobody knows of yet: nothing has happened,
                // and the work can be done later. What fails behind that point was noted there.
                if !error.is_full() {
                    self.store.fail(&error);
                }
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Whether what went wrong is that an input of a compaction is damaged. That table is left alone from
    /// now on; nothing has happened to it or to others, and writing goes on.
    fn set_aside(&self, error: &Error) -> bool {
        let Kind::Compact(Compact { tree, compaction, .. }) = &self.kind else { return false };
        let Some(path) = error.damaged_path() else { return false };
        let site = &self.store.site;
        let is_it = |(_, table): &&(usize, Arc<TableInfo>)| {
            FileName::Table(table.number).path(&site.dir) == path
        };
        let Some((_, table)) = compaction.inputs.iter().find(is_it) else { return false };
        tracing::error!(%error, "a table is damaged; compactions leave it alone");
        tree.set_aside(table.number, error.clone());
        true
    }

    /// Removes files. One that cannot be removed is left to the next opening.
    fn run_remove(&self, removal: &Removal) -> Result<()> {
        let site = &self.store.site;
        removal.is_begun.store(true, Ordering::Relaxed);
        for file in &removal.files {
            if let Err(error) = site.disk.remove(&file.path(&site.dir)) {
                tracing::warn!(%error, "a file that is not needed any more stays");
            }
        }
        Ok(())
    }

    fn run_flush(&self, flush: &Flush) -> Result<()> {
        let (site, tree) = (&self.store.site, &flush.tree);
        let levels = Arc::clone(&tree.view.load().version.levels);
        let horizon = self.store.horizon(self.now_ms);
        let memtables = || flush.memtables.iter().map(|sealed| &sealed.memtable);
        let removals: Vec<Removals> = memtables().map(|memtable| memtable.removals()).collect();
        let inputs = Inputs {
            runs: memtables().map(|memtable| Source::Memory(memtable.cursor())).collect(),
            removals: Removals::union(&removals),
            beneath: Beneath::of_flush(&levels),
        };
        let plan = OutputPlan {
            level: 0,
            options: tree.options.table_options(0),
            splitter: Splitter::new(u64::MAX, Vec::new()),
            removals: Vec::new(),
            oldest_ms: flush.memtables.iter().map(|sealed| sealed.oldest_ms).min().unwrap_or(0),
            newest_ms: flush.memtables.iter().map(|sealed| sealed.newest_ms).max().unwrap_or(0),
            now_ms: self.now_ms,
            keeps_to_rate: false,
        };
        let highest = memtables().filter_map(|memtable| memtable.seqs()).map(|seqs| seqs.1).max();
        let outputs = write(site, plan, inputs, &horizon)?;
        if let Err(error) = self.store.sync_log() {
            site.discard(outputs.iter().map(|table| FileName::Table(table.number)));
            return Err(error);
        }
        let edit = Edit {
            tables_added: added(tree.id, 0, &outputs),
            flushed_through: highest.map(|seq| (tree.id, seq)).into_iter().collect(),
            ..Edit::default()
        };
        let more = TreeTraffic { flushed_bytes: bytes_of(&outputs), ..TreeTraffic::default() };
        commit(&self.store, tree, edit, more, &outputs, &flush.memtables)?;
        // If this was not enough, the next memtable finds out.
        self.store.is_short.store(false, Ordering::Relaxed);
        Counts::add(&tree.counts.flushes, 1);
        Ok(())
    }

    fn run_compact(&self, compact: &Compact) -> Result<()> {
        let Compact { tree, compaction, version } = compact;
        let removed = |(level, table): &(usize, Arc<TableInfo>)| TableRemoved {
            tree: tree.id,
            level: *level,
            number: table.number,
        };
        let mut edit = Edit {
            tables_removed: compaction.inputs.iter().map(removed).collect(),
            ..Edit::default()
        };
        let (mut outputs, mut more) = (Vec::new(), TreeTraffic::default());
        match compaction.action {
            Action::Drop => {}
            Action::Move => {
                let inputs = compaction.inputs.iter().map(|(_, table)| Arc::clone(table));
                edit.tables_added = added(tree.id, compaction.output, &inputs.collect::<Vec<_>>());
            }
            Action::Merge => {
                let horizon = self.store.horizon(self.now_ms);
                let (site, options) = (&self.store.site, &tree.options);
                outputs = merge_tables(site, options, version, compaction, &horizon, self.now_ms)?;
                edit.tables_added = added(tree.id, compaction.output, &outputs);
                more.compaction_read_bytes = compaction.bytes();
                more.compaction_written_bytes = bytes_of(&outputs);
            }
        }
        commit(&self.store, tree, edit, more, &outputs, &[])?;
        let counts = &tree.counts;
        match compaction.action {
            Action::Merge => Counts::add(&counts.compactions, 1),
            Action::Move => Counts::add(&counts.moves, 1),
            Action::Drop => {}
        }
        Ok(())
    }
}

/// Opens what was written, writes the edit, and lets readers see it. What was written is removed
/// again if the edit is known not to be there. `more` is what was written for it.
pub(crate) fn commit(
    store: &StoreCore,
    tree: &Arc<TreeCore>,
    edit: Edit,
    more: TreeTraffic,
    outputs: &[Arc<TableInfo>],
    flushed: &[Arc<Sealed>],
) -> Result<()> {
    let done = open_all(store, outputs).and_then(|fresh| {
        let complete = |state: &State, edit: &mut Edit| {
            let before = state.trees.get(&tree.id).filter(|_| store.has_tree(tree));
            let before = before.ok_or(Error::Dropped { tree: tree.id })?.traffic;
            if more != TreeTraffic::default() {
                edit.traffic.push((tree.id, before.plus(&more)));
            }
            Ok(())
        };
        store.commit_completed(edit, complete, |state| {
            tree.install(&state.trees[&tree.id], &fresh, flushed, &store.former);
        })
    });
    let is_undone = match &done {
        Err(Error::Shape(_) | Error::Dropped { .. } | Error::Stopped { .. }) => true,
        // No manifest could be begun that names them.
        Err(error) => error.is_full() && store.check().is_ok(),
        Ok(()) => false,
    };
    if is_undone {
        store.site.discard(outputs.iter().map(|table| FileName::Table(table.number)));
    }
    done?;
    let mut sum = tree.counts.traffic.lock();
    *sum = sum.plus(&more);
    Ok(())
}

/// Opens tables that were written just now.
pub(crate) fn open_all(
    store: &StoreCore,
    outputs: &[Arc<TableInfo>],
) -> Result<Vec<Arc<TableFile>>> {
    let site = &store.site;
    let open = |info: &Arc<TableInfo>| {
        let (cache, graves) = (Arc::clone(&site.cache), Arc::clone(&site.graves));
        let info = Arc::clone(info);
        TableFile::open(&*site.disk, &site.dir, site.database_id, info, cache, graves).map(Arc::new)
    };
    outputs.iter().map(open).collect()
}

pub(crate) fn added(tree: u32, level: usize, tables: &[Arc<TableInfo>]) -> Vec<TableAdded> {
    tables.iter().map(|table| TableAdded { tree, level, table: Arc::clone(table) }).collect()
}

/// The bytes of tables' files.
pub(crate) fn bytes_of(tables: &[Arc<TableInfo>]) -> u64 {
    tables.iter().map(|table| table.bytes).sum()
}
