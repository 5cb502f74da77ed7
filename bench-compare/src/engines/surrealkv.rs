//! SurrealKV: a log-structured merge tree with an asynchronous commit.

use std::path::Path;

use ::surrealkv::{
    CompactRangeOptions, Durability, LSMIterator, Mode as TxnMode, ReadOptions, Transaction, Tree,
    TreeBuilder,
};
use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader, behind_prefix};

const CACHE_BYTES: u64 = 512 << 20;

/// A tree and the runtime its background work needs.
pub(crate) struct Surrealkv {
    tree: Tree,
    runtime: Runtime,
    durability: Durability,
}

impl Surrealkv {
    fn commit(&self, change: impl FnOnce(&mut Transaction) -> Result<()>) -> Result<()> {
        let mut txn = self.tree.begin_with_mode(TxnMode::WriteOnly)?;
        txn.set_durability(self.durability);
        change(&mut txn)?;
        Ok(self.runtime.block_on(txn.commit())?)
    }
}

impl Engine for Surrealkv {
    const NAME: &'static str = "surrealkv";
    const KIND: Kind = Kind::MergeTree;
    const PACKAGE: &'static str = "surrealkv";
    const BUFFERED: &'static str = "`Durability::Eventual`: the log is written, not synced";
    const SYNC: &'static str = "`Durability::Immediate` (concurrent commits share a sync)";
    const SETTINGS: &'static str = "512 MiB of block cache, no compression, one write-only \
         transaction a commit, driven by `block_on` of a runtime in the calling thread (with workers \
         of its own, each commit pays two thread switches); one read transaction a thread, held \
         for the whole row; `compact_range` of everything before reads";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let tree = {
            let _inside = runtime.enter();
            TreeBuilder::new()
                .with_path(dir.to_path_buf())
                .with_block_cache_capacity(CACHE_BYTES)
                .without_compression()
                .build()?
        };
        let durability = match mode {
            Mode::Buffered => Durability::Eventual,
            Mode::Sync => Durability::Immediate,
        };
        Ok(Self { tree, runtime, durability })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.commit(|txn| Ok(txn.set(key, value)?))
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        self.commit(|txn| {
            for (key, value) in records {
                txn.set(key, value)?;
            }
            Ok(())
        })
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        self.commit(|txn| Ok(txn.delete(key)?))
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        job.run(&TxnReader(&self.tree.begin_with_mode(TxnMode::ReadOnly)?))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.tree.compact_range(None, None, &CompactRangeOptions::default())?)
    }

    fn close(self) -> Result<()> {
        Ok(self.runtime.block_on(self.tree.close())?)
    }
}

struct TxnReader<'a>(&'a Transaction);

impl Reader for TxnReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get(key)?.map(|value| show(&value)))
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        let mut options = ReadOptions::new();
        if !from.is_empty() {
            options.set_iterate_lower_bound(Some(from.to_vec()));
        }
        let mut records = self.0.range_with_options(&options)?;
        records.seek_first()?;
        while records.valid() && show(records.key().user_key(), &records.value_ref()?) {
            records.next()?;
        }
        Ok(())
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut options = ReadOptions::new();
        options.set_iterate_lower_bound(Some(prefix.to_vec()));
        options.set_iterate_upper_bound(behind_prefix(prefix));
        let mut records = self.0.range_with_options(&options)?;
        records.seek_first()?;
        while records.valid() {
            show(records.key().user_key(), &records.value_ref()?);
            records.next()?;
        }
        Ok(())
    }
}
