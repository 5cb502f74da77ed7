//! Annals: a hash keyspace over the durable log.

use std::path::Path;

use ::annals::{Database, Durability, HashKeyspace};

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader};
use crate::group::Group;

/// A database with one hash keyspace.
pub(crate) struct Annals {
    db: Database,
    keyspace: HashKeyspace,
}

/// Opens a database that commits as `mode` says.
pub(crate) fn open_database(dir: &Path, mode: Mode) -> Result<Database> {
    let durability = match mode {
        Mode::Buffered => Durability::Buffered,
        Mode::Sync => Durability::Sync,
    };
    Ok(Database::builder().durability(durability).open(dir)?)
}

impl Engine for Annals {
    const NAME: &'static str = "annals";
    const KIND: Kind = Kind::Hash;
    const PACKAGE: &'static str = "annals";
    const BUFFERED: &'static str = "`Durability::Buffered`";
    const SYNC: &'static str = "`Durability::Sync`";
    const SETTINGS: &'static str = "one hash keyspace, defaults otherwise";
    const GROUPS: &'static [Group] = Group::UNORDERED;

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let db = open_database(dir, mode)?;
        let keyspace = db.hash_keyspace("bench")?;
        Ok(Self { db, keyspace })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keyspace.insert(key, value)?;
        Ok(())
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        let mut batch = self.db.batch();
        for (key, value) in records {
            batch.insert(&self.keyspace, key, value)?;
        }
        batch.commit()?;
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        self.keyspace.remove(key)?;
        Ok(())
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        job.run(&KeyspaceReader(&self.keyspace))
    }

    fn close(self) -> Result<()> {
        drop(self.keyspace);
        self.db.close()?;
        Ok(())
    }
}

struct KeyspaceReader<'a>(&'a HashKeyspace);

impl Reader for KeyspaceReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get(key)?.map(|value| show(&value)))
    }

    fn get_many(&self, keys: &[Key], mut show: impl FnMut(usize, Option<&[u8]>)) -> Result<()> {
        for (index, value) in self.0.get_many(keys)?.iter().enumerate() {
            show(index, value.as_deref());
        }
        Ok(())
    }
}
