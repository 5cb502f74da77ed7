//! Databases whose background work is done when a test says so.

use annals_disk::{Disk, SimDisk};
use annals_engine::{Background, Builder, Database};
use std::sync::Arc;

pub(crate) fn builder(disk: &SimDisk) -> Builder {
    Database::builder()
        .disk(Arc::new(disk.clone()))
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .checkpoint_every_bytes(1 << 30)
}

pub(crate) fn open(disk: &SimDisk) -> Database {
    builder(disk).open("db").unwrap()
}

/// How many tables there are.
pub(crate) fn tables(disk: &SimDisk) -> usize {
    let entries = disk.list("db".as_ref()).unwrap();
    entries.iter().filter(|entry| entry.name.ends_with(".tbl")).count()
}

pub(crate) fn read(disk: &SimDisk) -> Database {
    builder(disk).read_only(true).open("db").unwrap()
}
