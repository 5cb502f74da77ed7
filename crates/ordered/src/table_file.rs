//! A table that is in use: its file, what the manifest says of it, and its removed ranges.
//!
//! The file is removed when nobody uses it any more: it is marked when an edit that drops it is
//! synced, and the last who lets go of it, be it a reader, puts it on the list of files to remove.

use crate::{BlockCache, Error, FileName, Removals, Result, Table, TableIdentity, TableInfo};
use annals_disk::Disk;
use parking_lot::Mutex;
use std::{
    ops::Deref,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Files that nobody uses any more, to be removed by background work.
#[derive(Debug, Default)]
pub(crate) struct Graves {
    files: Mutex<Vec<FileName>>,
}

impl Graves {
    /// Notes a file that is to be removed.
    pub(crate) fn push(&self, file: FileName) {
        self.files.lock().push(file);
    }

    /// Takes all that are noted.
    pub(crate) fn take(&self) -> Vec<FileName> {
        std::mem::take(&mut *self.files.lock())
    }

    /// Whether none are noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.lock().is_empty()
    }
}

/// A table that is in use.
#[derive(Debug)]
pub(crate) struct TableFile {
    pub(crate) info: Arc<TableInfo>,
    pub(crate) table: Table,
    /// Its removed ranges.
    pub(crate) removals: Removals,
    is_dropped: AtomicBool,
    graves: Arc<Graves>,
}

impl TableFile {
    /// Opens the table that `info` describes, of the tree `tree`.
    ///
    /// # Errors
    /// [`Error::Missing`] with the keys that it held, [`Error::Damaged`] if it has another length,
    /// or what [`Table::open`] says.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        database_id: u64,
        tree: u32,
        info: Arc<TableInfo>,
        cache: Arc<BlockCache>,
        graves: Arc<Graves>,
    ) -> Result<Self> {
        let path = FileName::Table(info.number).path(dir);
        let missing = || {
            let what = format!("it held keys {} of the keyspace with id {tree}", info.range);
            Error::Missing { path: path.clone(), what }
        };
        match disk.len(&path)? {
            None => return Err(missing()),
            Some(bytes) if bytes != info.bytes => {
                let what = "the table does not have the length that the manifest says";
                return Err(Error::Damaged { path, offset: bytes.min(info.bytes), what });
            }
            Some(_) => {}
        }
        let identity = TableIdentity { database_id, number: info.number };
        let table = Table::open(disk, &path, identity, cache).map_err(|error| match error {
            // Another process has removed it since.
            Error::Disk(error) if error.is_not_found() => missing(),
            error => error,
        })?;
        let removals = if info.range_removals > 0 {
            table.range_removals()?.into_iter().collect()
        } else {
            Removals::default()
        };
        Ok(Self { info, table, removals, is_dropped: AtomicBool::new(false), graves })
    }

    /// Says that an edit without it is synced: the file goes with its last user.
    pub(crate) fn drop_file(&self) {
        self.is_dropped.store(true, Ordering::Release);
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        if self.is_dropped.load(Ordering::Acquire) {
            self.graves.push(FileName::Table(self.info.number));
        }
    }
}

/// A table that a cursor keeps in use.
#[derive(Clone, Debug)]
pub(crate) struct Used(pub(crate) Arc<TableFile>);

impl Deref for Used {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.0.table
    }
}
