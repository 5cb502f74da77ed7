//! Databases on a simulated disk, and what their keyspaces have.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{Database, KeyspaceOptions, OrderedEntry, OrderedKeyspace, TreeOptions};
use std::collections::BTreeMap;

pub(crate) use crate::by_hand::{builder, open, read, tables as files};

pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) fn machine(seed: u64) -> SimDisk {
    SimDisk::new(SimOptions::seeded(seed))
}

/// Tables of a few kilobytes, so that few records make several.
pub(crate) fn small() -> TreeOptions {
    TreeOptions {
        table_bytes: 2 << 10,
        base_bytes: 8 << 10,
        ratio: 4,
        level0_tables: 3,
        block_bytes: 256,
        separate_over_bytes: Some(300),
        ..TreeOptions::default()
    }
}

pub(crate) fn made(db: &Database, name: &str) -> OrderedKeyspace {
    db.create_keyspace(name, KeyspaceOptions::default(), small()).unwrap()
}

/// Records with this in their values.
pub(crate) fn records(count: u32, value: u8) -> State {
    (0..count).map(|n| (format!("{n:05}").into_bytes(), vec![value; 40])).collect()
}

/// All that a keyspace has, read in every way.
pub(crate) fn seen(keyspace: &OrderedKeyspace) -> State {
    let walked: State = keyspace.iter().unwrap().map(|entry| entry.unwrap().to_vecs()).collect();
    let back: State =
        keyspace.iter().unwrap().rev().map(|entry| entry.unwrap().to_vecs()).collect();
    assert_eq!(back, walked);
    for (key, value) in &walked {
        assert_eq!(keyspace.get(key).unwrap().as_deref(), Some(&value[..]));
    }
    walked
}

pub(crate) fn seen_by(entries: impl Iterator<Item = annals_engine::Result<OrderedEntry>>) -> State {
    entries.map(|entry| entry.unwrap().to_vecs()).collect()
}

/// How many tables the keyspaces have.
pub(crate) fn tables(db: &Database) -> usize {
    let keyspaces = db.stats().keyspaces;
    let trees = keyspaces.iter().filter_map(|keyspace| keyspace.tree.as_ref());
    trees.flat_map(|tree| &tree.levels).map(|level| level.tables as usize).sum()
}

/// No file is there that nobody needs, once what was replaced is removed.
pub(crate) fn check_files(disk: &SimDisk, db: &Database, context: &str) {
    // What was replaced is let go of once nobody reads, in other tests of this process neither.
    for _ in 0..10_000 {
        db.tick().unwrap();
        if files(disk) == tables(db) {
            return;
        }
        std::thread::yield_now();
    }
    assert_eq!(files(disk), tables(db), "{context}: files without an owner");
}
