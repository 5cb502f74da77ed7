//! A table that is in use: its file, what the manifest says of it, and its removed ranges.
//!
//! The file is removed when nobody uses it any more: it is marked when an edit that drops it is
//! synced, and the last who lets go of it, be it a reader, puts it on the list of files to remove.
//!
//! A table whose file is missing or cannot be opened is *lost*. It keeps its place among the others, with
//! the keys that the manifest knows: who comes to those keys is told, and nobody takes what lies deeper
//! for the newest.

use crate::{BlockCache, Error, FileName, Removals, Result, Table, TableIdentity, TableInfo};
use annals_disk::{Disk, Kept};
use parking_lot::Mutex;
use std::{
    io::ErrorKind,
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
    held: Mutex<HeldTables>,
}

/// Tables that no tree has any more, and that stay on disk since somebody reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldTables {
    /// How many.
    pub count: u64,
    /// Bytes of their files.
    pub bytes: u64,
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

    /// What is still read of what is to be removed.
    pub(crate) fn held(&self) -> HeldTables {
        *self.held.lock()
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
    table: Result<Table>,
    /// Its removed ranges; none of a table that is lost.
    pub(crate) removals: Removals,
    is_dropped: AtomicBool,
    graves: Arc<Graves>,
}

impl TableFile {
    /// Opens the table that `info` describes.
    ///
    /// # Errors
    /// [`Error::KeysLost`] if the file is missing, is not what was written, or has another format than this build
    /// reads; else what [`Table::open`] says: that it is compressed as this build knows nothing of, or that the
    /// file system refuses.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        database_id: u64,
        info: Arc<TableInfo>,
        cache: Arc<BlockCache>,
        graves: Arc<Graves>,
    ) -> Result<Self> {
        let identity = TableIdentity { database_id, number: info.number };
        match open_whole(disk, dir, identity, &info, cache) {
            Ok((table, removals)) => {
                let is_dropped = AtomicBool::new(false);
                Ok(Self { info, table: Ok(table), removals, is_dropped, graves })
            }
            Err(error) if error.is_damage() || error.is_other_format() => {
                let (cause, range) = (Arc::new(error), info.range.clone());
                Err(Error::KeysLost { cause, range })
            }
            Err(error) => Err(error),
        }
    }

    /// As [`open`](Self::open), of the tree `tree`, but a table that is lost is one that fails when it is read: what others
    /// have stays readable.
    ///
    /// # Errors
    /// If this build knows nothing of how the table is compressed, or the file system refuses.
    pub(crate) fn open_or_lose(
        disk: &dyn Disk,
        dir: &Path,
        database_id: u64,
        tree: u32,
        info: Arc<TableInfo>,
        cache: Arc<BlockCache>,
        graves: Arc<Graves>,
    ) -> Result<Self> {
        let (known, left) = (Arc::clone(&info), Arc::clone(&graves));
        match Self::open(disk, dir, database_id, info, cache, graves) {
            Err(error @ Error::KeysLost { .. }) => {
                tracing::error!(%error, tree, "a table is lost; what others have stays readable");
                let (removals, is_dropped) = (Removals::default(), AtomicBool::new(false));
                Ok(Self { info: known, table: Err(error), removals, is_dropped, graves: left })
            }
            opened => opened,
        }
    }

    /// The open table.
    ///
    /// # Errors
    /// [`Error::KeysLost`].
    #[inline]
    pub(crate) fn table(&self) -> Result<&Table> {
        match &self.table {
            Ok(table) => Ok(table),
            Err(error) => Err(lost(error)),
        }
    }

    /// Why the table is lost; `None` if it is not.
    pub(crate) fn lost(&self) -> Option<&Error> {
        self.table.as_ref().err()
    }

    /// Says that an edit without it is synced: the file goes with its last user.
    pub(crate) fn drop_file(&self) {
        if !self.is_dropped.swap(true, Ordering::AcqRel) {
            let mut held = self.graves.held.lock();
            held.count += 1;
            held.bytes += self.info.bytes;
        }
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        if self.is_dropped.load(Ordering::Acquire) {
            let mut held = self.graves.held.lock();
            held.count -= 1;
            held.bytes -= self.info.bytes;
            drop(held);
            self.graves.push(FileName::Table(self.info.number));
        }
    }
}

#[cold]
fn lost(error: &Error) -> Error {
    error.clone()
}

/// Opens a table that is as the manifest says, with its removed ranges.
fn open_whole(
    disk: &dyn Disk,
    dir: &Path,
    identity: TableIdentity,
    info: &TableInfo,
    cache: Arc<BlockCache>,
) -> Result<(Table, Removals)> {
    let path = FileName::Table(info.number).path(dir);
    let missing =
        || Error::Missing { path: path.clone(), what: "the manifest names this table".to_owned() };
    let damaged = |what| Error::Damaged { path: path.clone(), offset: 0, what };
    let refused = |error: Error| match &error {
        Error::Disk(cause) => match cause.source.kind() {
            // Another process has removed it since.
            ErrorKind::NotFound => missing(),
            ErrorKind::IsADirectory => damaged("a directory stands in its place"),
            ErrorKind::NotSeekable => damaged("a pipe or a device stands in its place"),
            _ => error,
        },
        _ => error,
    };
    match disk.len(&path).map_err(|error| refused(error.into()))? {
        None => return Err(missing()),
        Some(bytes) if bytes != info.bytes => {
            let what = "the table does not have the length that the manifest says";
            return Err(Error::Damaged { path, offset: bytes.min(info.bytes), what });
        }
        Some(_) => {}
    }
    let table = Table::open(disk, &path, identity, cache).map_err(refused)?;
    let removals = if info.range_removals > 0 {
        table.range_removals()?.into_iter().collect()
    } else {
        Removals::default()
    };
    Ok((table, removals))
}

/// A table that a cursor keeps in use, and that is not lost.
#[derive(Clone, Debug)]
pub(crate) struct Used(Arc<TableFile>);

impl Used {
    /// The table of a file.
    ///
    /// # Errors
    /// [`Error::KeysLost`].
    pub(crate) fn of(file: &Arc<TableFile>) -> Result<Self> {
        file.table().map(|_| Self(Arc::clone(file)))
    }

    /// Bytes of the table, which keep it in use by themselves.
    pub(crate) fn keep(&self, find: impl for<'a> FnOnce(&'a Table) -> &'a [u8]) -> Kept<TableFile> {
        Kept::of(Arc::clone(&self.0), |file| file.table.as_ref().map_or(&[][..], find))
    }
}

impl Deref for Used {
    type Target = Table;

    #[inline]
    fn deref(&self) -> &Table {
        match &self.0.table {
            Ok(table) => table,
            Err(_) => unreachable!("`of` refuses a table that is lost"),
        }
    }
}
