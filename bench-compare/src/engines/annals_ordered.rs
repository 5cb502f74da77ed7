//! Annals: an ordered keyspace over the durable log.

use std::path::Path;

use ::annals::{Database, OrderedKeyspace, Range};

use super::annals::open_database;
use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader};

/// A database with one ordered keyspace.
pub(crate) struct AnnalsOrdered {
    db: Database,
    keyspace: OrderedKeyspace,
}

impl Engine for AnnalsOrdered {
    const NAME: &'static str = "annals-ordered";
    const KIND: Kind = Kind::MergeTree;
    const PACKAGE: &'static str = "annals";
    const BUFFERED: &'static str = "`Durability::Buffered`";
    const SYNC: &'static str = "`Durability::Sync`";
    const SETTINGS: &'static str = "one ordered keyspace, defaults otherwise: a budget of 96 MiB, no \
         compression, filters of 10 bits; reads through `get_with` and `next_entry`; deletes by \
         `remove_blindly`, which does not look first, as those of the other merge trees; `compact`, \
         of the keyspace and of the log, before reads";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let db = open_database(dir, mode)?;
        let keyspace = db.keyspace("bench")?;
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
        self.keyspace.remove_blindly(key)?;
        Ok(())
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        job.run(&KeyspaceReader(&self.keyspace))
    }

    fn settle(&self) -> Result<()> {
        self.keyspace.compact()?;
        // What tables have now, the log has besides.
        self.db.compact()?;
        Ok(())
    }

    fn sorted_runs(&self) -> Result<Option<u64>> {
        let stats = self.db.stats();
        let tree = stats.keyspaces.iter().find_map(|keyspace| keyspace.tree.as_ref());
        Ok(tree.map(|tree| tree.read_amplification))
    }

    fn close(self) -> Result<()> {
        drop(self.keyspace);
        self.db.close()?;
        Ok(())
    }
}

struct KeyspaceReader<'a>(&'a OrderedKeyspace);

impl Reader for KeyspaceReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get_with(key, show)?)
    }

    fn get_many(&self, keys: &[Key], mut show: impl FnMut(usize, Option<&[u8]>)) -> Result<()> {
        for (index, value) in self.0.get_many(keys)?.iter().enumerate() {
            show(index, value.as_deref());
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        walk(self.0.range(from..)?, |key, value| show(key, value))
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        walk(self.0.prefix(prefix)?, |key, value| {
            show(key, value);
            true
        })
    }
}

fn walk(mut records: Range, mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
    while let Some((key, value)) = records.next_entry()? {
        if !show(key, value) {
            break;
        }
    }
    Ok(())
}
