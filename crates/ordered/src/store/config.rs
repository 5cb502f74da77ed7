//! How a store works.

use crate::{Error, Pause, Result};
use std::{fmt, sync::Arc};

/// How a store works.
#[derive(Clone)]
pub struct StoreConfig {
    /// What all memtables may take, in bytes. 64 MiB by default.
    pub memory_bytes: u64,
    /// At how many bytes a memtable is sealed, to be flushed; 1 KiB to 8 GiB. 16 MiB by default.
    pub memtable_bytes: u64,
    /// What decompressed blocks may take, in bytes. 32 MiB by default.
    pub cache_bytes: u64,
    /// How fast compactions write together, in bytes a second; 0 by default: no limit. Flushes and bulk loads
    /// are not held to it, or writers would stand still for memory behind compactions.
    pub compaction_bytes_per_s: u64,
    /// How compactions wait to keep to that, a few milliseconds at a time.
    pub pause: Pause,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            memtable_bytes: 16 << 20,
            cache_bytes: 32 << 20,
            compaction_bytes_per_s: 0,
            pause: Arc::new(|ns| std::thread::sleep(std::time::Duration::from_nanos(ns))),
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("memory_bytes", &self.memory_bytes)
            .field("memtable_bytes", &self.memtable_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .field("compaction_bytes_per_s", &self.compaction_bytes_per_s)
            .finish_non_exhaustive()
    }
}

impl StoreConfig {
    /// Checks that each setting is in its range.
    ///
    /// # Errors
    /// `Config`, which names the setting.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, value, allowed| Err(Error::Config { field, value, allowed });
        if !(1 << 10..=8 << 30).contains(&self.memtable_bytes) {
            return refuse("memtable_bytes", self.memtable_bytes, "1 KiB to 8 GiB");
        }
        if self.memory_bytes < self.memtable_bytes {
            return refuse("memory_bytes", self.memory_bytes, "memtable_bytes or more");
        }
        Ok(())
    }
}
