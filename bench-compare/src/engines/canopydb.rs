//! canopydb: a B+tree with versions and a write-ahead log.

use std::path::Path;

use ::canopydb::{Database, DbOptions, EnvOptions, Tree, TreeOptions, WriteTransaction};

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader};

const TREE: &[u8] = b"bench";

/// A database with one tree.
pub(crate) struct Canopydb {
    db: Database,
}

fn tree(txn: &WriteTransaction) -> Result<Tree<'_>> {
    let mut options = TreeOptions::default();
    options.compress_overflow_values = None;
    Ok(txn.get_or_create_tree_with(TREE, options)?)
}

impl Engine for Canopydb {
    const NAME: &'static str = "canopydb";
    const KIND: Kind = Kind::Tree;
    const PACKAGE: &'static str = "canopydb";
    const BUFFERED: &'static str =
        "default: each commit is written to the write-ahead log, not synced";
    const SYNC: &'static str = "`default_commit_sync`: the log is synced before commit returns";
    const SETTINGS: &'static str = "default caches (1 GiB), no compression; one exclusive write \
         transaction a commit; one read transaction a thread, held for the whole row; \
         `checkpoint` before reads and before close";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let mut options = DbOptions::default();
        options.default_commit_sync = mode == Mode::Sync;
        let db = Database::with_options(EnvOptions::new(dir), options)?;
        let found = db.begin_read()?.get_tree(TREE)?.is_some();
        if !found {
            let txn = db.begin_write()?;
            tree(&txn)?;
            txn.commit()?;
        }
        Ok(Self { db })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let txn = self.db.begin_write()?;
        tree(&txn)?.insert(key, value)?;
        txn.commit()?;
        Ok(())
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        let txn = self.db.begin_write()?;
        let mut tree = tree(&txn)?;
        for (key, value) in records {
            tree.insert(key, value)?;
        }
        drop(tree);
        txn.commit()?;
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        let txn = self.db.begin_write()?;
        tree(&txn)?.delete(key)?;
        txn.commit()?;
        Ok(())
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        let txn = self.db.begin_read()?;
        let tree = txn.get_tree(TREE)?.ok_or("the tree is gone")?;
        job.run(&TreeReader(&tree))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.db.checkpoint()?)
    }

    fn close(self) -> Result<()> {
        Ok(self.db.checkpoint()?)
    }
}

struct TreeReader<'a>(&'a Tree<'a>);

impl Reader for TreeReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.get(key)?.map(|value| show(&value)))
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        for record in self.0.range(from..)? {
            let (key, value) = record?;
            if !show(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for record in self.0.prefix(&prefix)? {
            let (key, value) = record?;
            show(&key, &value);
        }
        Ok(())
    }
}
