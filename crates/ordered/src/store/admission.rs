//! What waits to be done, and what writers do about it.

use super::Store;
use crate::{Admission, Backlog, Memtable, Tree, tree::TreeCore};
use std::sync::{Arc, atomic::Ordering};

impl Store {
    /// What a commit of so many bytes has to do before it goes on: a caller asks before it takes
    /// what other writers wait for. Notes which memtable is to be sealed if memory runs short; see
    /// [`seal_wanted`](Self::seal_wanted).
    #[must_use]
    pub fn admit(&self, commit_bytes: u64) -> Admission {
        let backlog = self.backlog();
        let memory_bytes = self.core.config.memory_bytes;
        let is_short = self.is_short();
        if is_short || backlog.memtable_bytes > memory_bytes / 4 * 3 {
            let trees = self.core.all_trees();
            let active = |tree: &Arc<TreeCore>| flushable_bytes(&tree.view.load().active);
            let all_active = trees.iter().map(active).sum::<u64>();
            // Where flushes that are due will give enough back, sealing more would only make a memtable,
            // and later a table, of every few records.
            let is_enough = if is_short {
                all_active <= backlog.memtable_bytes.saturating_sub(all_active)
            } else {
                all_active <= memory_bytes / 2
            };
            if let Some(largest) = trees.iter().max_by_key(|tree| active(tree))
                && !is_enough
            {
                largest.is_seal_wanted.store(true, Ordering::Relaxed);
            }
        }
        // A memtable that found less than it wanted is followed by one that may find nothing, and records for which
        // there is nothing stop all writing.
        let admission = if is_short {
            Admission::Full
        } else {
            self.core.pressure.admit(&backlog, commit_bytes)
        };
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

    /// Whether the system gives the process less memory than memtables want, and a flush that has yet to end will
    /// give some back.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let waits = |tree: &Arc<TreeCore>| !tree.view.load().sealed.is_empty();
        self.core.is_short.load(Ordering::Relaxed)
            && !self.core.is_read_only
            && self.core.trees.read().values().any(waits)
    }

    /// The trees whose memtables are to be sealed to give memory back: the next records do it, or the
    /// caller, as a writer, with [`Tree::seal`] where no records come.
    #[must_use]
    pub fn seal_wanted(&self) -> Vec<Tree> {
        let wanted = |tree: &Tree| tree.core.is_seal_wanted.load(Ordering::Relaxed);
        self.trees().into_iter().filter(wanted).collect()
    }

    /// Gives memory back that is kept for memtables to come, as far as there would be more than the budget together
    /// with what they take now. For a thread that works in the background: a writer would wait for the system.
    pub(super) fn keep_spare_memory_to_budget(&self) {
        let spare = &self.core.site.spare;
        let spare_bytes = spare.bytes() as u64;
        let memory_bytes = self.core.config.memory_bytes;
        if spare_bytes == 0 || spare_bytes + self.backlog().memtable_bytes <= memory_bytes {
            return;
        }
        let rest = memory_bytes.saturating_sub(self.backlog().memtable_bytes);
        spare.shrink_to(usize::try_from(rest).unwrap_or(usize::MAX));
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
            backlog.memtable_bytes += flushable_bytes(&view.active) + sealed.sum::<usize>() as u64;
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

/// What a flush of a memtable would give back, in bytes. Of an empty one that is nothing, though it takes a few
/// kibibytes: if those counted, writers of a database with many trees would wait for memory that no flush can give.
fn flushable_bytes(memtable: &Memtable) -> u64 {
    if memtable.is_empty() { 0 } else { memtable.memory_bytes() as u64 }
}

#[cfg(test)]
mod tests {
    use crate::{
        Admission, Entry, EntryKind, ManifestPlace, ManifestRoot, Record, RootError, Store,
        StoreConfig, TreeOptions,
    };
    use annals_disk::MemoryDisk;
    use std::{path::Path, sync::Arc};

    #[derive(Debug)]
    struct NoRoot;

    impl ManifestRoot for NoRoot {
        fn set_manifest(&self, _: ManifestPlace) -> Result<(), RootError> {
            Ok(())
        }
    }

    /// Sealed memtables, three of a mebibyte, in a store with memory for four.
    fn full() -> Store {
        let config = StoreConfig {
            memory_bytes: 4 << 20,
            memtable_bytes: 1 << 20,
            ..StoreConfig::default()
        };
        let disk = Arc::new(MemoryDisk::new());
        let store = Store::create(disk, Path::new(""), 1, config, Arc::new(NoRoot)).unwrap();
        let tree = store.create_tree(1, TreeOptions::default()).unwrap();
        let mut seq = 0;
        while tree.view().sealed.len() < 3 {
            seq += 1;
            let key = u64::wrapping_mul(seq, 0x9e37_79b9_7f4a_7c15).to_be_bytes();
            let (kind, expires_ms, value) = (EntryKind::Put, None, &[7; 100][..]);
            let entry = Entry { key: &key, seq, kind, expires_ms, value };
            tree.apply([Record::Entry(entry)], 0).unwrap();
        }
        store
    }

    #[test]
    fn memory_of_flushed_memtables_is_kept_within_the_budget() {
        let store = full();
        let spare = &store.core.site.spare;
        assert_eq!(spare.bytes(), 0);
        let sealed_bytes = store.backlog().memtable_bytes;
        store.next_flush(0).expect("three wait").run().unwrap();
        assert!(spare.bytes() as u64 >= sealed_bytes / 3 * 2, "{spare:?} of {sealed_bytes}");
        let all_bytes = spare.bytes() as u64 + store.backlog().memtable_bytes;
        assert!(all_bytes <= 4 << 20, "{all_bytes}");
    }

    #[test]
    fn writers_wait_only_for_memory_that_a_flush_gives_back() {
        let config = StoreConfig {
            memory_bytes: 32 << 10,
            memtable_bytes: 8 << 10,
            ..StoreConfig::default()
        };
        let disk = Arc::new(MemoryDisk::new());
        let store = Store::create(disk, Path::new(""), 1, config, Arc::new(NoRoot)).unwrap();
        let trees = (1..=16).map(|id| store.create_tree(id, TreeOptions::default()).unwrap());
        let trees: Vec<_> = trees.collect();
        let held: u64 = trees.iter().map(|tree| tree.core.memory_bytes().0).sum();
        assert!(held > 32 << 10, "empty memtables alone take more than there is: {held}");
        for (seq, tree) in (1..).zip(&trees) {
            let (kind, expires_ms, value) = (EntryKind::Put, None, &[7; 5_000][..]);
            let entry = Entry { key: b"key", seq, kind, expires_ms, value };
            tree.apply([Record::Entry(entry)], 0).unwrap();
            while store.admit(1 << 16) == Admission::Full {
                for wanted in store.seal_wanted() {
                    wanted.seal();
                }
                store.next_flush(0).expect("a flush gives memory back").run().unwrap();
            }
        }
    }

    #[test]
    fn spare_memory_goes_when_memtables_take_what_there_is() {
        let store = full();
        let spare = &store.core.site.spare;
        let waiting = store.backlog().memtable_bytes;
        for bytes in [1 << 14, 1 << 19, 1 << 20] {
            spare.keep(annals_disk::Lines::zeroed(bytes / 64));
        }
        assert!(spare.bytes() as u64 + waiting > 4 << 20, "{spare:?}, {waiting}");
        drop(store.next_flush(0));
        assert!(spare.bytes() as u64 + waiting <= 4 << 20, "{spare:?}, {waiting}");
        assert!(spare.bytes() > 0);
    }
}
