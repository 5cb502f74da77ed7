//! RocksDB: the system's library.

use std::fs;
use std::path::Path;

use ::rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DataBlockIndexType,
    Options, PrefixRange, ReadOptions, WriteBatch, WriteOptions,
};

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader};

const CACHE_BYTES: usize = 512 << 20;

/// Levels, by default.
const LEVELS: u32 = 7;

/// A database with its default column family.
pub(crate) struct Rocksdb {
    db: DB,
    mode: Mode,
}

impl Rocksdb {
    fn write_options(&self) -> WriteOptions {
        let mut options = WriteOptions::default();
        options.set_sync(self.mode == Mode::Sync);
        options
    }

    fn tables_of(&self, level: u32) -> Result<u64> {
        let name = format!("rocksdb.num-files-at-level{level}");
        Ok(self.db.property_value(&name)?.ok_or("a property is unknown")?.parse()?)
    }
}

impl Engine for Rocksdb {
    const NAME: &'static str = "rocksdb";
    const KIND: Kind = Kind::MergeTree;
    const PACKAGE: &'static str = "rocksdb";
    const BUFFERED: &'static str = "default: each commit is written to the log file, not synced";
    const SYNC: &'static str = "`sync = true` (concurrent writers share a sync)";
    const SETTINGS: &'static str = "512 MiB of block cache, Bloom filters of 10 bits, hash index \
         in data blocks, no compression; `get_many` is `batched_multi_get_cf`; `flush` and a full \
         compaction before reads; `flush` before close";

    fn library() -> Option<String> {
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let version = maps.split("librocksdb.so.").nth(1)?.split_whitespace().next()?;
        Some(format!("RocksDB {version}"))
    }

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES)?);
        blocks.set_bloom_filter(10.0, false);
        blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_compression_type(DBCompressionType::None);
        options.set_block_based_table_factory(&blocks);
        // Named, so that `get_many` can reach its handle.
        let family = ColumnFamilyDescriptor::new("default", options.clone());
        Ok(Self { db: DB::open_cf_descriptors(&options, dir, [family])?, mode })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.db.put_opt(key, value, &self.write_options())?)
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in records {
            batch.put(key, value);
        }
        Ok(self.db.write_opt(batch, &self.write_options())?)
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        Ok(self.db.delete_opt(key, &self.write_options())?)
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        job.run(&PinnedReader(&self.db))
    }

    fn settle(&self) -> Result<()> {
        self.db.flush()?;
        self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    fn sorted_runs(&self) -> Result<Option<u64>> {
        let property = |name: &str| -> Result<u64> {
            Ok(self.db.property_int_value(name)?.ok_or("a property is unknown")?)
        };
        let memtables = 1 + property("rocksdb.num-immutable-mem-table")?;
        let mut runs = memtables + self.tables_of(0)?;
        for level in 1..LEVELS {
            runs += u64::from(self.tables_of(level)? > 0);
        }
        Ok(Some(runs))
    }

    fn close(self) -> Result<()> {
        Ok(self.db.flush()?)
    }
}

struct PinnedReader<'a>(&'a DB);

impl Reader for PinnedReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get_pinned(key)?.map(|value| show(&value)))
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        let mut records = self.0.raw_iterator();
        records.seek(from);
        while let Some((key, value)) = records.item() {
            if !show(key, value) {
                return Ok(());
            }
            records.next();
        }
        Ok(records.status()?)
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix));
        let mut records = self.0.raw_iterator_opt(options);
        records.seek(prefix);
        while let Some((key, value)) = records.item() {
            show(key, value);
            records.next();
        }
        Ok(records.status()?)
    }

    fn get_many(&self, keys: &[Key], mut show: impl FnMut(usize, Option<&[u8]>)) -> Result<()> {
        let family = self.0.cf_handle("default").ok_or("no default column family")?;
        for (index, value) in
            self.0.batched_multi_get_cf(family, keys, false).into_iter().enumerate()
        {
            show(index, value?.as_deref());
        }
        Ok(())
    }
}
