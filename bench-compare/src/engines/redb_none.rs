//! redb with `Durability::None`: what it gains, and what `kill -9` then takes.

use std::path::Path;

use ::redb::{Builder, Database, Durability};

use super::redb::{commit, commit_records, make_table, open_file, read};
use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob};
use crate::group::Group;

/// A database with one table.
pub(crate) struct RedbNone {
    db: Database,
}

impl Engine for RedbNone {
    const NAME: &'static str = "redb-none";
    const KIND: Kind = Kind::Tree;
    const PACKAGE: &'static str = "redb";
    const BUFFERED: &'static str =
        "`Durability::None`: commits stay in the process until a later `Immediate` commit or close";
    const SYNC: &'static str = "not measured: see redb";
    const SETTINGS: &'static str = "as redb; write rows only";
    const GROUPS: &'static [Group] = &[Group::Random, Group::Ordered, Group::Batch, Group::Kill];

    fn open(dir: &Path, _: Mode) -> Result<Self> {
        let db = Builder::new().create_file(open_file(dir)?)?;
        make_table(&db)?;
        Ok(Self { db })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        commit(&self.db, Durability::None, |table| {
            table.insert(key, value)?;
            Ok(())
        })
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        commit_records(&self.db, Durability::None, records)
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        commit(&self.db, Durability::None, |table| {
            table.remove(key)?;
            Ok(())
        })
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        read(&self.db, job)
    }

    fn close(self) -> Result<()> {
        commit(&self.db, Durability::Immediate, |_| Ok(()))
    }
}
