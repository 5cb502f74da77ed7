//! LMDB through heed: a B+tree in a memory map.

use std::ops::Bound;
use std::path::Path;

use ::heed::types::Bytes;
use ::heed::{Database, Env, EnvFlags, EnvOpenOptions, RoTxn};

use crate::Result;
use crate::data::{Key, Value};
use crate::engine::{Engine, Kind, Mode, ReadJob, Reader};

/// Addresses set aside; the file behind them is sparse.
const MAP_BYTES: usize = 16 << 30;

/// An environment with its unnamed database.
pub(crate) struct Lmdb {
    env: Env,
    tree: Database<Bytes, Bytes>,
}

impl Engine for Lmdb {
    const NAME: &'static str = "heed";
    const KIND: Kind = Kind::Tree;
    const PACKAGE: &'static str = "heed";
    const BUFFERED: &'static str = "LMDB, `WRITE_MAP` and `NO_SYNC`: commits change the mapped pages \
         in place and are not synced; a power cut may damage the whole file";
    const SYNC: &'static str = "LMDB, default flags: pages by `pwrite`, `fdatasync`, then the \
         meta page";
    const SETTINGS: &'static str = "one write transaction a commit; one read transaction a \
         thread, held for the whole row; `sync` before close";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let env = open_environment(dir, mode)?;
        let txn = env.read_txn()?;
        let found = env.open_database(&txn, None)?;
        txn.commit()?;
        let tree = match found {
            Some(tree) => tree,
            None => {
                let mut txn = env.write_txn()?;
                let tree = env.create_database(&mut txn, None)?;
                txn.commit()?;
                tree
            }
        };
        Ok(Self { env, tree })
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        self.tree.put(&mut txn, key, value)?;
        Ok(txn.commit()?)
    }

    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        for (key, value) in records {
            self.tree.put(&mut txn, key, value)?;
        }
        Ok(txn.commit()?)
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        self.tree.delete(&mut txn, key)?;
        Ok(txn.commit()?)
    }

    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()> {
        let txn = self.env.read_txn()?;
        job.run(&TxnReader { txn: &txn, tree: self.tree })
    }

    fn close(self) -> Result<()> {
        self.env.force_sync()?;
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

#[expect(unsafe_code, reason = "LMDB maps its file, and its flags trade safety for speed")]
fn open_environment(dir: &Path, mode: Mode) -> Result<Env> {
    let flags = match mode {
        Mode::Buffered => EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC,
        Mode::Sync => EnvFlags::empty(),
    };
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES);
    // SAFETY: the folder is fresh and belongs to this run alone, so no one else changes the mapped
    // file or opens it with other flags; what a power cut does to it does not matter here.
    unsafe { Ok(options.flags(flags).open(dir)?) }
}

struct TxnReader<'a> {
    txn: &'a RoTxn<'a>,
    tree: Database<Bytes, Bytes>,
}

impl Reader for TxnReader<'_> {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.tree.get(self.txn, key)?.map(show))
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        // LMDB has no empty keys: nothing can be sought before the first.
        if from.is_empty() {
            for record in self.tree.iter(self.txn)? {
                let (key, value) = record?;
                if !show(key, value) {
                    break;
                }
            }
            return Ok(());
        }
        for record in self.tree.range(self.txn, &(Bound::Included(from), Bound::Unbounded))? {
            let (key, value) = record?;
            if !show(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for record in self.tree.prefix_iter(self.txn, prefix)? {
            let (key, value) = record?;
            show(key, value);
        }
        Ok(())
    }
}
