//! fjall: a log-structured merge tree.

use std::path::Path;

use ::fjall::config::CompressionPolicy;
use ::fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode,
};

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader};

const CACHE_BYTES: u64 = 512 << 20;

/// A database with one keyspace.
pub(crate) struct Fjall {
    db: Database,
    keyspace: Keyspace,
    mode: Mode,
}

impl Fjall {
    fn committed(&self) -> Result<()> {
        if self.mode == Mode::Sync {
            self.db.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }
}

impl Engine for Fjall {
    const NAME: &'static str = "fjall";
    const KIND: Kind = Kind::MergeTree;
    const PACKAGE: &'static str = "fjall";
    const BUFFERED: &'static str =
        "default: each commit is written to the journal file (`PersistMode::Buffer`), not synced";
    const SYNC: &'static str = "`insert`, then `persist(PersistMode::SyncData)`";
    const SETTINGS: &'static str = "512 MiB of block cache, no compression, key-value separation \
         for large values; `major_compact` before reads; `persist(SyncAll)` before close";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let db = Database::builder(dir).cache_size(CACHE_BYTES).open()?;
        let keyspace = db.keyspace("bench", || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
                .with_kv_separation(Some(KvSeparationOptions::default()))
        })?;
        Ok(Self { db, keyspace, mode })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keyspace.insert(key, value)?;
        self.committed()
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        let mut batch = self.db.batch();
        for (key, value) in records {
            batch.insert(&self.keyspace, &key[..], &value[..]);
        }
        batch.commit()?;
        self.committed()
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        self.keyspace.remove(key)?;
        self.committed()
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        job.run(&KeyspaceReader(&self.keyspace))
    }

    fn settle(&self) -> Result<()> {
        self.keyspace.rotate_memtable_and_wait()?;
        Ok(self.keyspace.major_compact()?)
    }

    fn close(self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}

struct KeyspaceReader<'a>(&'a Keyspace);

impl Reader for KeyspaceReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get(key)?.map(|value| show(&value)))
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        for record in self.0.range(from..) {
            let (key, value) = record.into_inner()?;
            if !show(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for record in self.0.prefix(prefix) {
            let (key, value) = record.into_inner()?;
            show(&key, &value);
        }
        Ok(())
    }
}
