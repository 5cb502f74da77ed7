//! sled: a lock-free tree over a log.

use std::path::Path;

use ::sled::{Batch, Config, Db, Mode as SledMode};

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader};

/// A database with its default tree.
pub(crate) struct Sled {
    db: Db,
    mode: Mode,
}

impl Sled {
    fn committed(&self) -> Result<()> {
        if self.mode == Mode::Sync {
            self.db.flush()?;
        }
        Ok(())
    }
}

impl Engine for Sled {
    const NAME: &'static str = "sled";
    const KIND: Kind = Kind::Tree;
    const PACKAGE: &'static str = "sled";
    const BUFFERED: &'static str = "`flush_every_ms(500)`, the default: commits stay in the \
         process until then; no setting short of `flush` keeps them";
    const SYNC: &'static str = "`insert`, then `flush`, which calls `sync_file_range`: neither the \
         device's cache nor the file's metadata is flushed, so a power cut may take commits";
    const SYNC_REACHES_DEVICE: bool = false;
    const SETTINGS: &'static str = "default cache (1 GiB), `Mode::HighThroughput`; `flush` before \
         close";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let every_ms = match mode {
            Mode::Buffered => Some(500),
            Mode::Sync => None,
        };
        let config =
            Config::new().path(dir).mode(SledMode::HighThroughput).flush_every_ms(every_ms);
        Ok(Self { db: config.open()?, mode })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.db.insert(key, value)?;
        self.committed()
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        let mut batch = Batch::default();
        for (key, value) in records {
            batch.insert(&key[..], &value[..]);
        }
        self.db.apply_batch(batch)?;
        self.committed()
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        self.db.remove(key)?;
        self.committed()
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        job.run(&TreeReader(&self.db))
    }

    fn close(self) -> Result<()> {
        self.db.flush()?;
        Ok(())
    }
}

struct TreeReader<'a>(&'a Db);

impl Reader for TreeReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get(key)?.map(|value| show(&value)))
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        for record in self.0.range(from..) {
            let (key, value) = record?;
            if !show(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for record in self.0.scan_prefix(prefix) {
            let (key, value) = record?;
            show(&key, &value);
        }
        Ok(())
    }
}
