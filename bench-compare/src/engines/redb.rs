//! redb: a copy-on-write B-tree, here over a file whose sync can be left out.
//!
//! redb has no level between `Durability::None`, which keeps commits in its own memory, and
//! `Durability::Immediate`, which syncs. A storage backend that hands every call to redb's own file
//! backend and makes `sync_data` do nothing gives the level in between: commits reach the kernel.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::Path;

use ::redb::backends::FileBackend;
use ::redb::{
    BackendError, Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, StorageBackend,
    TableDefinition,
};

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader, behind_prefix};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");

/// A database with one table.
pub(crate) struct Redb {
    db: Database,
}

/// Opens the file of redb in `dir`.
pub(super) fn open_file(dir: &Path) -> Result<File> {
    let path = dir.join("data.redb");
    Ok(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?)
}

/// Commits what `change` does with `durability`.
pub(super) fn commit(
    db: &Database,
    durability: Durability,
    change: impl FnOnce(&mut ::redb::Table<'_, &[u8], &[u8]>) -> Result<()>,
) -> Result<()> {
    let mut txn = db.begin_write()?;
    txn.set_durability(durability)?;
    {
        let mut table = txn.open_table(TABLE)?;
        change(&mut table)?;
    }
    Ok(txn.commit()?)
}

/// Inserts all `records` in one commit.
pub(super) fn commit_records(
    db: &Database,
    durability: Durability,
    records: &[(Key, Value)],
) -> Result<()> {
    commit(db, durability, |table| {
        for (key, value) in records {
            table.insert(&key[..], &value[..])?;
        }
        Ok(())
    })
}

/// Makes the table unless it is there: a read transaction cannot.
pub(super) fn make_table(db: &Database) -> Result<()> {
    match db.begin_read()?.open_table(TABLE) {
        Ok(_) => Ok(()),
        Err(_) => commit(db, Durability::Immediate, |_| Ok(())),
    }
}

/// Runs `job` in one read transaction.
pub(super) fn read<J: ReadJob>(db: &Database, job: &mut J) -> Result<()> {
    job.run(&TableReader(db.begin_read()?.open_table(TABLE)?))
}

impl Engine for Redb {
    const NAME: &'static str = "redb";
    const KIND: Kind = Kind::Tree;
    const PACKAGE: &'static str = "redb";
    const BUFFERED: &'static str = "`Durability::Immediate` over a storage backend whose \
         `sync_data` does nothing: pages reach the kernel at each commit, and a power cut may \
         damage the whole file";
    const SYNC: &'static str = "`Durability::Immediate` (`Eventual` is no longer there in redb 4)";
    const SETTINGS: &'static str = "default cache (1 GiB); one write transaction a commit; one \
         read transaction a thread, held for the whole row";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let file = FileBackend::new(open_file(dir)?)?;
        let db = match mode {
            Mode::Buffered => Builder::new().create_with_backend(Unsynced(file))?,
            Mode::Sync => Builder::new().create_with_backend(file)?,
        };
        make_table(&db)?;
        Ok(Self { db })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        commit(&self.db, Durability::Immediate, |table| {
            table.insert(key, value)?;
            Ok(())
        })
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        commit_records(&self.db, Durability::Immediate, records)
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        commit(&self.db, Durability::Immediate, |table| {
            table.remove(key)?;
            Ok(())
        })
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        read(&self.db, job)
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

struct TableReader(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Reader for TableReader {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get(key)?.map(|value| show(value.value())))
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        for record in self.0.range::<&[u8]>(from..)? {
            let (key, value) = record?;
            if !show(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let behind = behind_prefix(prefix);
        let end = behind.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        for record in self.0.range::<&[u8]>((Bound::Included(prefix), end))? {
            let (key, value) = record?;
            show(key.value(), value.value());
        }
        Ok(())
    }
}

/// A file that is written but never synced.
#[derive(Debug)]
struct Unsynced(FileBackend);

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
