//! emdb: a journal and a hash index in memory.

use std::path::Path;

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader};
use crate::group::Group;

/// A database with its default namespace.
pub(crate) struct Emdb {
    db: ::emdb::Emdb,
    mode: Mode,
}

impl Emdb {
    fn committed(&self) -> Result<()> {
        if self.mode == Mode::Sync {
            self.db.flush()?;
        }
        Ok(())
    }
}

impl Engine for Emdb {
    const NAME: &'static str = "emdb";
    const KIND: Kind = Kind::Hash;
    const PACKAGE: &'static str = "emdb";
    const BUFFERED: &'static str = "`insert` alone (`FlushPolicy::OnEachFlush`): the journal is written with `pwrite`, not synced";
    const SYNC: &'static str = "`insert`, then `flush` (concurrent flushes share one `fdatasync`)";
    const SETTINGS: &'static str =
        "built without expiry times; reads through `get_zerocopy`; `checkpoint` before close";
    const GROUPS: &'static [Group] = Group::UNORDERED;

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        Ok(Self { db: ::emdb::Emdb::open(dir.join("data.emdb"))?, mode })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.db.insert(key, value)?;
        self.committed()
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        self.db.insert_many(records.iter().map(|(key, value)| (key, value)))?;
        self.committed()
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        self.db.remove(key)?;
        self.committed()
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        job.run(&ZeroCopy(&self.db))
    }

    fn close(self) -> Result<()> {
        self.db.checkpoint()?;
        Ok(())
    }
}

struct ZeroCopy<'a>(&'a ::emdb::Emdb);

impl Reader for ZeroCopy<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get_zerocopy(key)?.map(|value| show(value.as_slice())))
    }
}
