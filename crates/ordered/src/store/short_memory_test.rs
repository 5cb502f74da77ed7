//! A system that gives a process few addresses at once: memtables are flushed earlier, and what cannot be had is an
//! error.

use crate::{
    Admission, AsOf, Entry, EntryKind, Error, ManifestPlace, ManifestRoot, Record, RootError,
    Store, StoreConfig, Tree, TreeOptions,
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

#[test]
fn writers_wait_for_a_flush_where_memtables_get_little_memory() {
    let (store, tree) = tree();
    let value = [7; 100];
    let mut seq = 0;
    while tree.view().sealed.is_empty() {
        assert_eq!(store.admit(1 << 16), Admission::After { delay_ns: 0 });
        seq += 1;
        tree.apply([put(&u64::to_be_bytes(seq), seq, &value)], 0).unwrap();
    }
    assert!(seq < 1_000, "{seq}");
    assert_eq!(store.admit(1 << 16), Admission::Full);
    let flush = store.next_flush(0).expect("a flush gives memory back");
    assert_eq!(store.admit(1 << 16), Admission::Full, "it has only been begun");
    assert!(store.is_short());
    flush.run().unwrap();
    assert!(!store.is_short());
    assert_eq!(store.admit(1 << 16), Admission::After { delay_ns: 0 });
    // Nobody waits for a flush that will never be.
    while tree.view().sealed.is_empty() {
        seq += 1;
        tree.apply([put(&u64::to_be_bytes(seq), seq, &value)], 0).unwrap();
    }
    assert_eq!(store.admit(1 << 16), Admission::Full);
    store.drop_tree(1).unwrap();
    assert_eq!(store.admit(1 << 16), Admission::After { delay_ns: 0 });
}

#[test]
fn the_memtable_that_has_the_memory_is_flushed() {
    let (store, little) = tree();
    let lines_max = &store.core.site.spare.lines_max;
    lines_max.store(usize::MAX, Ordering::Relaxed);
    let much = store.create_tree(2, TreeOptions::default()).unwrap();
    let value = [7; 100];
    for seq in 1..=10_000u64 {
        much.apply([put(&seq.to_be_bytes(), seq, &value)], 0).unwrap();
    }
    lines_max.store(256, Ordering::Relaxed);
    let mut seq = 10_000;
    while little.view().sealed.is_empty() {
        seq += 1;
        little.apply([put(&u64::to_be_bytes(seq), seq, &value)], 0).unwrap();
    }
    assert!(much.view().sealed.is_empty());
    assert_eq!(store.admit(1 << 16), Admission::Full);
    let wanted: Vec<u32> = store.seal_wanted().iter().map(Tree::id).collect();
    assert_eq!(wanted, [2]);
}
