//! What is to be done in the background, handed out piece by piece.

use super::Store;
use crate::{Work, tree::TreeCore};
use std::sync::{Arc, atomic::Ordering};

impl Store {
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
        self.keep_spare_memory_to_budget();
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

    /// Has running work end soon, with [`Error::Cancelled`](crate::Error::Cancelled), and hands out none any more. What was
    /// begun is removed, or left without an owner for the next opening.
    pub fn stop(&self) {
        self.core.site.stopping.store(true, Ordering::Relaxed);
    }
}
