//! The cache of blocks that had to be decompressed, shared by the tables that are given it.
//!
//! Blocks that are stored plain are read in place and never come here. What was asked for once gives
//! way before what was asked for again; scans do not fill the cache at all.

use quick_cache::{Weighter, sync::Cache};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A decompressed block.
pub(crate) type Block = Arc<Vec<u8>>;

/// What a block takes besides its bytes, about.
const ROW_BYTES: usize = 64;
/// What a block has, about; how many rows there are room for goes by it.
const BLOCK_BYTES: u64 = 4096;

/// Decompressed blocks of any number of tables.
pub struct BlockCache {
    blocks: Cache<(u64, u64), Block, Weight>,
    next_table: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How a cache has done so far.
///
/// ```
/// # use annals_ordered as annals;
/// use annals::CacheStats;
/// let stats = CacheStats { hits: 90, misses: 10, ..CacheStats::default() };
/// let found = stats.hits as f64 / (stats.hits + stats.misses) as f64;
/// assert_eq!(found, 0.9);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Bytes of the blocks in it, and of what they take besides.
    pub used_bytes: u64,
    /// What it may take, in bytes.
    pub capacity_bytes: u64,
    /// Blocks that were found.
    pub hits: u64,
    /// Blocks that were not, and had to be decompressed.
    pub misses: u64,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<(u64, u64), Block> for Weight {
    fn weight(&self, _: &(u64, u64), block: &Block) -> u64 {
        (block.len() + ROW_BYTES) as u64
    }
}

impl BlockCache {
    /// A cache that takes up to `capacity_bytes`; with 0 it keeps nothing.
    #[must_use]
    pub fn new(capacity_bytes: u64) -> Self {
        let rows = usize::try_from(capacity_bytes / BLOCK_BYTES).unwrap_or(usize::MAX).max(16);
        Self {
            blocks: Cache::with_weighter(rows, capacity_bytes, Weight),
            next_table: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// How it has done so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            used_bytes: self.blocks.weight(),
            capacity_bytes: self.blocks.capacity(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    /// A number for an opened table. Never the same twice: a table may be closed, and another file
    /// opened under its name.
    pub(crate) fn admit(&self) -> u64 {
        self.next_table.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn get(&self, table: u64, offset: u64) -> Option<Block> {
        let found = self.blocks.get(&(table, offset));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn put(&self, table: u64, offset: u64, block: Block) {
        self.blocks.insert((table, offset), block);
    }

    /// Drops the blocks of a table that is being closed.
    pub(crate) fn dismiss(&self, table: u64) {
        self.blocks.retain(|(of, _), _| *of != table);
    }
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockCache({:?})", self.stats())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_to_its_size_and_what_is_used_outlives_what_passes_by() {
        let cache = BlockCache::new(64 << 10);
        let table = cache.admit();
        assert_ne!(table, cache.admit());
        let block = || Arc::new(vec![0; 1000]);
        for _ in 0..3 {
            for offset in 0..10 {
                if cache.get(table, offset).is_none() {
                    cache.put(table, offset, block());
                }
            }
        }
        for offset in 1000..2000 {
            cache.put(table, offset, block());
            assert!(cache.stats().used_bytes <= 64 << 10);
        }
        let kept = (0..10).filter(|offset| cache.get(table, *offset).is_some()).count();
        assert!(kept >= 8, "{kept}");
        assert!(cache.stats().hits >= 20 && cache.stats().misses >= 10, "{cache:?}");
        cache.dismiss(table);
        assert_eq!(cache.stats().used_bytes, 0);
    }

    #[test]
    fn a_cache_of_nothing_keeps_nothing() {
        let cache = BlockCache::new(0);
        cache.put(1, 2, Arc::new(vec![1]));
        assert_eq!(cache.get(1, 2), None);
    }
}
