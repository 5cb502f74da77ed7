//! A system that gives a process few addresses at once: memtables are flushed earlier, and what cannot be had is an
//! error.

use crate::{
    AsOf, Entry, EntryKind, Error, ManifestPlace, ManifestRoot, Record, RootError, Store,
    StoreConfig, Tree, TreeOptions,
};
use annals_disk::MemoryDisk;
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

#[derive(Debug)]
struct NoRoot;

impl ManifestRoot for NoRoot {
    fn set_manifest(&self, _: ManifestPlace) -> Result<(), RootError> {
        Ok(())
    }
}

/// A tree for which there are 16 KiB at once.
fn tree() -> (Store, Tree) {
    let (disk, config) = (Arc::new(MemoryDisk::new()), StoreConfig::default());
    let store = Store::create(disk, Path::new(""), 1, config, Arc::new(NoRoot)).unwrap();
    store.core.site.spare.lines_max.store(256, Ordering::Relaxed);
    let tree = store.create_tree(1, TreeOptions::default()).unwrap();
    (store, tree)
}

fn put<'e>(key: &'e [u8], seq: u64, value: &'e [u8]) -> Record<'e> {
    Record::Entry(Entry { key, seq, kind: EntryKind::Put, expires_ms: None, value })
}

const NOW: AsOf = AsOf { seq: u64::MAX, now_ms: 0 };

#[test]
fn memtables_that_get_little_memory_are_flushed_earlier() {
    let (store, tree) = tree();
    let value = [7; 100];
    for seq in 1..=10_000u64 {
        tree.apply([put(&seq.to_be_bytes(), seq, &value)], 0).unwrap();
        while let Some(work) = store.next_flush(0) {
            work.run().unwrap();
        }
    }
    assert!(tree.flushed_through() > 9_000, "{}", tree.flushed_through());
    for seq in 1..=10_000u64 {
        assert_eq!(tree.get(&seq.to_be_bytes(), NOW).unwrap().as_deref(), Some(&value[..]));
    }
}

#[test]
fn records_for_which_there_is_no_memory_are_an_error() {
    let (store, tree) = tree();
    let long = vec![7; 100 << 10];
    let refused = tree.apply([put(b"long", 1, &long)], 0).unwrap_err();
    assert!(matches!(refused, Error::NoMemory { tree: 1 }), "{refused}");
    // More in one call, which stays together, than there are pieces for.
    let keys: Vec<_> = (2..20_000u64).map(u64::to_be_bytes).collect();
    let many = (2..).zip(&keys).map(|(seq, key)| put(key, seq, b"value"));
    let refused = tree.apply(many, 0).unwrap_err();
    assert!(matches!(refused, Error::NoMemory { tree: 1 }), "{refused}");
    store.check().unwrap();
    assert_eq!(tree.get(b"long", NOW).unwrap(), None);
    assert_eq!(tree.get(&keys[0], NOW).unwrap().as_deref(), Some(&b"value"[..]));
}
