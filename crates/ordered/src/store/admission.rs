//! What waits to be done, and what writers do about it.

use super::Store;
use crate::{Admission, Backlog, Tree, tree::TreeCore};
use std::sync::{Arc, atomic::Ordering};

impl Store {
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

    /// Gives memory back that is kept for memtables to come, where none will come soon.
    pub fn let_spare_memory_go(&self) {
        self.core.site.spare.clear();
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

    /// How strained the store is, from 0 to 1.
    #[must_use]
    pub fn strain(&self) -> f64 {
        self.core.pressure.strain(&self.backlog())
    }
}
