//! What there is in a store, and what was done since it was opened.

use crate::{CacheStats, LEVELS, Store, Tree, TreeTraffic, store::Stalls};
use std::sync::atomic::{AtomicU64, Ordering};

/// A level of a tree.
///
/// ```
/// # use annals_ordered as annals;
/// use annals::LevelStats;
/// let level = LevelStats { tables: 2, bytes: 64 << 20, entries: 1_000_000 };
/// assert_eq!(level.bytes / level.entries, 67);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelStats {
    /// Tables.
    pub tables: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Versions in them, removals included.
    pub entries: u64,
}

/// A tree.
///
/// ```
/// # use annals_ordered as annals;
/// use annals::{LevelStats, TreeStats};
/// let deepest = LevelStats { tables: 3, bytes: 96 << 20, entries: 1_000_000 };
/// let stats = TreeStats { levels: vec![LevelStats::default(), deepest], ..TreeStats::default() };
/// let files: u64 = stats.levels.iter().map(|level| level.bytes).sum();
/// assert_eq!(files, 96 << 20);
/// // Nothing waits for a flush or a compaction.
/// assert_eq!((stats.sealed_memtables, stats.debt_bytes), (0, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TreeStats {
    /// Its id.
    pub tree: u32,
    /// Its levels, from 0 down.
    pub levels: Vec<LevelStats>,
    /// What the memtable that is written to takes, in bytes.
    pub memtable_bytes: u64,
    /// How many memtables wait to be flushed.
    pub sealed_memtables: u64,
    /// What those take, in bytes.
    pub sealed_bytes: u64,
    /// Keys and values that were applied since opening, in bytes.
    pub applied_bytes: u64,
    /// Flushes since opening.
    pub flushes: u64,
    /// Compactions that merged tables, since opening.
    pub compactions: u64,
    /// Compactions that changed a table's level only, since opening.
    pub moves: u64,
    /// What was written for it since opening, in bytes of tables; nothing where another process does it.
    pub since_opening: TreeTraffic,
    /// What was written for it in all its life, in bytes of tables: since the keyspace was made, cleared or loaded.
    pub life: TreeTraffic,
    /// Bytes of values that are in the owner's log, and that its tables refer to.
    pub referenced_bytes: u64,
    /// How far compactions are behind, in bytes.
    pub debt_bytes: u64,
    /// How many memtables and runs of tables a read of a key that is not there asks at most.
    pub read_amplification: u64,
}

impl TreeStats {
    /// How many bytes all tables have for each byte of the deepest level that has any: about how much
    /// space superseded versions take. 0 without tables.
    ///
    /// ```
    /// # use annals_ordered as annals;
    /// use annals::{LevelStats, TreeStats};
    /// let level = |bytes| LevelStats { bytes, ..LevelStats::default() };
    /// let stats = TreeStats { levels: vec![level(10), level(0), level(100)], ..TreeStats::default() };
    /// assert_eq!(stats.space_amplification(), 1.1);
    /// ```
    #[must_use]
    pub fn space_amplification(&self) -> f64 {
        let total: u64 = self.levels.iter().map(|level| level.bytes).sum();
        let deepest = self.levels.iter().rev().find(|level| level.bytes > 0);
        deepest.map_or(0.0, |deepest| total as f64 / deepest.bytes as f64)
    }
}

/// A store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreStats {
    /// Its trees, by their ids.
    pub trees: Vec<TreeStats>,
    /// The cache of decompressed blocks.
    pub cache: CacheStats,
    /// What all memtables take, in bytes.
    pub memtable_bytes: u64,
    /// How strained the store is: 0 if writers are not slowed, 1 if most.
    pub strain: f64,
    /// How many commits were asked to wait a while.
    pub delays: u64,
    /// How long they were asked to wait together, in nanoseconds.
    pub delay_ns: u64,
    /// How often a commit was told to ask again, because the memory was full.
    pub refusals: u64,
    /// How long compactions waited to write no faster than they may, in nanoseconds.
    pub compaction_paused_ns: u64,
}

pub(crate) fn of(store: &Store, stalls: &Stalls) -> StoreStats {
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let trees: Vec<TreeStats> = store.trees().iter().map(Tree::stats).collect();
    StoreStats {
        memtable_bytes: trees.iter().map(|tree| tree.memtable_bytes + tree.sealed_bytes).sum(),
        cache: store.cache().stats(),
        strain: store.strain(),
        delays: count(&stalls.delays),
        delay_ns: count(&stalls.delay_ns),
        refusals: count(&stalls.refusals),
        compaction_paused_ns: store.compaction_paused_ns(),
        trees,
    }
}

impl Tree {
    /// What there is and what was done since opening.
    #[must_use]
    pub fn stats(&self) -> TreeStats {
        let core = &self.core;
        let view = core.view.load();
        let levels = &view.version.levels;
        let level = |level| {
            let tables = levels.level(level);
            LevelStats {
                tables: tables.len() as u64,
                bytes: levels.bytes(level),
                entries: tables.iter().map(|table| table.entries).sum(),
            }
        };
        let (memtable_bytes, sealed_bytes) = core.memory_bytes();
        let sorted = (1..LEVELS).filter(|level| !levels.level(*level).is_empty()).count();
        let runs = 1 + view.sealed.len() + levels.level(0).len() + sorted;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &core.counts;
        TreeStats {
            tree: core.id,
            levels: (0..LEVELS).map(level).collect(),
            memtable_bytes,
            sealed_memtables: view.sealed.len() as u64,
            sealed_bytes,
            applied_bytes: count(&counts.applied_bytes),
            flushes: count(&counts.flushes),
            compactions: count(&counts.compactions),
            moves: count(&counts.moves),
            since_opening: *counts.traffic.lock(),
            life: view.version.traffic,
            referenced_bytes: levels.tables().map(|(_, table)| table.referenced_bytes()).sum(),
            debt_bytes: view.version.debt_bytes,
            read_amplification: runs as u64,
        }
    }
}
