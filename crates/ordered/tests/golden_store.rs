//! Stores written by earlier builds must open, with exactly the contents they had.
//!
//! `golden/store/v1` holds stores of format version 1: see the README there. They are never written again;
//! a later format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_disk::{Disk, MemoryDisk, SimDisk, SimOptions};
use annals_ordered::{
    AsOf, Compression, Entry, EntryKind, Error, ManifestPlace, ManifestRoot, Record, Result,
    RootError, Store, StoreConfig, TreeOptions, TreeTraffic,
};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

const ID: u64 = 0x0a11_a150_0000_0001;
/// What the root says of each of them: the manifest's number, and nothing of its length.
const PLACE: ManifestPlace = ManifestPlace { number: 1, synced_bytes: 0 };

/// What was written for its two trees.
const LIVES: [TreeTraffic; 2] = [
    TreeTraffic {
        flushed_bytes: 11_214,
        loaded_bytes: 0,
        compaction_read_bytes: 7_438,
        compaction_written_bytes: 4_720,
    },
    TreeTraffic {
        flushed_bytes: 28_073,
        loaded_bytes: 0,
        compaction_read_bytes: 18_663,
        compaction_written_bytes: 13_435,
    },
];

#[derive(Debug)]
struct NoRoot;

impl ManifestRoot for NoRoot {
    fn set_manifest(&self, _: ManifestPlace) -> Result<(), RootError> {
        Ok(())
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store/v1")
}

fn open(name: &str) -> Result<(SimDisk, Store)> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    for entry in std::fs::read_dir(golden().join(name)).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        disk.set_file_bytes(path.file_name().unwrap(), &bytes).unwrap();
    }
    let config = StoreConfig::default();
    let store =
        Store::open(Arc::new(disk.clone()), Path::new(""), ID, config, Arc::new(NoRoot), PLACE)?;
    Ok((disk, store))
}

/// What a store holds at a time, as text.
fn text(store: &Store) -> String {
    let mut out = String::new();
    for tree in store.trees() {
        writeln!(out, "tree {} flushed through {}", tree.id(), tree.flushed_through()).unwrap();
        let mut cursor = tree.cursor(&[], None, AsOf { seq: u64::MAX, now_ms: 1500 });
        cursor.to_first().unwrap();
        while let Some(entry) = cursor.entry() {
            let (key, value) = (entry.key.escape_ascii(), entry.value.escape_ascii());
            let (kind, expires) = (entry.kind, entry.expires_ms);
            writeln!(out, "{key}\t{kind:?}\t{expires:?}\t{value}").unwrap();
            cursor.advance().unwrap();
        }
    }
    out
}

fn expected() -> String {
    std::fs::read_to_string(golden().join("contents.txt")).unwrap()
}

#[test]
fn a_store_of_version_1_opens_and_goes_on() {
    let (disk, store) = open("clean").unwrap();
    assert_eq!(text(&store), expected());
    for (tree, life) in store.trees().iter().zip(LIVES) {
        assert_eq!(tree.stats().life, life, "tree {}", tree.id());
    }
    store.verify(&mut |_, damage| panic!("{damage:?}")).unwrap();
    for tree in store.trees() {
        tree.compact_range(None, 1500).unwrap();
    }
    assert_eq!(text(&store), expected());
    assert_eq!(store.trees()[0].options().bottom_compression, Compression::Zstd { level: 3 });
    let place = store.manifest_place();
    drop(store);
    let (config, root) = (StoreConfig::default(), Arc::new(NoRoot));
    let store = Store::open(Arc::new(disk), Path::new(""), ID, config, root, place).unwrap();
    assert_eq!(text(&store), expected());
}

#[test]
fn a_torn_edit_of_version_1_is_cut_off() {
    let (_, store) = open("torn").unwrap();
    assert_eq!(text(&store), expected());
}

#[test]
fn a_damaged_manifest_of_version_1_is_named() {
    let error = open("damaged").unwrap_err();
    assert!(matches!(&error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("m0000000000000001.man"), "{error}");
}

/// The store that was written.
fn build() -> (MemoryDisk, ManifestPlace) {
    let disk = MemoryDisk::new();
    let (config, root) = (StoreConfig::default(), Arc::new(NoRoot));
    let store = Store::create(Arc::new(disk.clone()), Path::new(""), ID, config, root).unwrap();
    let plain = TreeOptions { table_bytes: 4 << 10, block_bytes: 512, ..TreeOptions::default() };
    let packed = TreeOptions {
        compression: Compression::Lz4,
        bottom_compression: Compression::Zstd { level: 3 },
        filter_prefix_bytes: Some(4),
        ..plain
    };
    let mut seq = 0;
    for (id, options) in [(1, packed), (2, plain)] {
        let tree = store.create_tree(id, options).unwrap();
        for round in 0..3u64 {
            for number in 0..120u64 {
                seq += 1;
                let key = format!("key {:03}", (number * 7 + round * 50) % 200).into_bytes();
                let value = format!("value {seq} of tree {id}, {}", "more ".repeat(9));
                let kind = match number % 10 {
                    0 => EntryKind::Remove,
                    1 => EntryKind::Pointer,
                    _ => EntryKind::Put,
                };
                let value = if kind == EntryKind::Remove { "" } else { &value };
                let expires_ms = (number % 10 == 2).then_some(1000 + number * 10);
                let value = value.as_bytes();
                let entry = Entry { key: &key, seq, kind, expires_ms, value };
                tree.apply([Record::Entry(entry)], 100 * round).unwrap();
            }
            seq += 1;
            let from = format!("key {:03}", 30 * round).into_bytes();
            let to = format!("key {:03}", 30 * round + 4).into_bytes();
            tree.apply([Record::RemoveRange { from: &from, to: &to, seq }], 100 * round).unwrap();
            tree.seal();
            store.next_flush(0).unwrap().run().unwrap();
            if round == 1 {
                tree.compact_range(None, 0).unwrap();
            }
        }
    }
    while let Some(work) = store.next_work(0) {
        work.run().unwrap();
    }
    let contents = text(&store);
    std::fs::write(golden().join("contents.txt"), contents).unwrap();
    let place = store.manifest_place();
    (disk, place)
}

#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    assert!(!golden().exists(), "golden files are never written again");
    for name in ["clean", "torn", "damaged"] {
        std::fs::create_dir_all(golden().join(name)).unwrap();
    }
    let (disk, place) = build();
    assert_eq!(place.number, PLACE.number);
    for entry in disk.list(Path::new("")).unwrap() {
        let bytes = disk.read(Path::new(&entry.name), 1 << 20).unwrap();
        for name in ["clean", "torn", "damaged"] {
            let mut bytes = bytes.clone();
            let end = place.synced_bytes as usize;
            if entry.name.ends_with(".man") && name == "torn" {
                // The head of one more edit.
                bytes[end..end + 40].copy_from_slice(&[0x5a; 40]);
            }
            if entry.name.ends_with(".man") && name == "damaged" {
                bytes[end / 2] ^= 1;
            }
            std::fs::write(golden().join(name).join(&entry.name), bytes).unwrap();
        }
    }
}
