//! Tables for tests.

use super::*;
use crate::{BlockCache, Compression, Cursor, Entry, EntryKind, Result};
use annals_disk::{Disk, MemoryDisk};
use std::{path::Path, sync::Arc};

pub(crate) const ID: TableIdentity = TableIdentity { database_id: 7, number: 3 };
pub(crate) const NAME: &str = "3.sst";

/// An entry that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) key: Vec<u8>,
    pub(crate) seq: u64,
    pub(crate) kind: EntryKind,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) value: Vec<u8>,
}

impl Owned {
    pub(crate) fn put(key: impl Into<Vec<u8>>, seq: u64, value: impl Into<Vec<u8>>) -> Self {
        let (key, value) = (key.into(), value.into());
        Self { key, seq, kind: EntryKind::Put, expires_ms: None, value }
    }

    pub(crate) fn of(entry: &Entry<'_>) -> Self {
        Self {
            key: entry.key.into(),
            seq: entry.seq,
            kind: entry.kind,
            expires_ms: entry.expires_ms,
            value: entry.value.into(),
        }
    }

    pub(crate) fn entry(&self) -> Entry<'_> {
        Entry {
            key: &self.key,
            seq: self.seq,
            kind: self.kind,
            expires_ms: self.expires_ms,
            value: &self.value,
        }
    }
}

/// Settings that make many blocks of few entries.
pub(crate) fn small_blocks() -> TableOptions {
    TableOptions { block_bytes: 256, ..TableOptions::default() }
}

/// Every compression there is.
pub(crate) const COMPRESSIONS: [Compression; 3] =
    [Compression::None, Compression::Lz4, Compression::Zstd { level: 1 }];

/// Writes a table with these entries.
pub(crate) fn write(options: &TableOptions, entries: &[Owned]) -> (Arc<MemoryDisk>, Written) {
    let disk = Arc::new(MemoryDisk::new());
    let mut writer =
        TableWriter::create(&*disk, Path::new(NAME), ID, options.clone()).expect("memory");
    for entry in entries {
        writer.add(&entry.entry()).expect("in order");
    }
    let written = writer.finish(TableNotes::default()).expect("memory");
    (disk, written)
}

/// Opens the table on a disk.
pub(crate) fn open(disk: &dyn Disk) -> Result<Arc<Table>> {
    let cache = Arc::new(BlockCache::new(1 << 20));
    Table::open(disk, Path::new(NAME), ID, cache).map(Arc::new)
}

/// A disk with a file of these bytes in the place of the table.
pub(crate) fn disk_with(bytes: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create(Path::new(NAME)).expect("memory").append(bytes).expect("memory");
    disk
}

/// The bytes of the table on a disk.
pub(crate) fn bytes_of(disk: &dyn Disk) -> Vec<u8> {
    disk.read(Path::new(NAME), 1 << 30).expect("memory")
}

/// The entries from where a cursor stands to the end.
pub(crate) fn rest(cursor: &mut impl Cursor) -> Result<Vec<Owned>> {
    let mut found = Vec::new();
    while let Some(entry) = cursor.entry() {
        found.push(Owned::of(&entry));
        cursor.advance()?;
    }
    Ok(found)
}

/// All entries of a table.
pub(crate) fn all(table: &Table) -> Result<Vec<Owned>> {
    let mut cursor = TableCursor::new(table, Reading::Light);
    cursor.to_first()?;
    rest(&mut cursor)
}

/// What a table finds for a key, as an entry.
pub(crate) fn get(table: &Table, key: &[u8], seq: u64) -> Result<Option<Owned>> {
    let found = table.get(&Sought::new(ID.database_id, key, seq))?;
    Ok(found.map(|found| Owned {
        key: key.into(),
        seq: found.seq,
        kind: found.kind,
        expires_ms: found.expires_ms,
        value: table.value(&found).into(),
    }))
}
