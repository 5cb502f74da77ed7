//! Traps that were found by looking for them: tables of a load among others, work that waits for what
//! does not come, records that no table takes.

use crate::support::*;
use annals_ordered::{
    Admission, Error, KEY_BYTES_MAX, LEVELS, Store, StoreConfig, Style, Tree, TreeOptions,
};
use std::sync::Arc;

fn begun(seed: u64, options: TreeOptions) -> (annals_disk::SimDisk, Store, Tree) {
    let disk = disk(seed);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options).unwrap();
    (disk, store, tree)
}

fn numbered(numbers: std::ops::Range<u64>) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    numbers.map(|number| (format!("{number:05}").into_bytes(), b"loaded value".to_vec()))
}

/// A load that becomes several tables with one number, and newer tables that reach over all of those while
/// some of them are merged.
fn merged_with_loaded(options: TreeOptions, level: usize, loaded_count: u64) {
    let disk = disk(1);
    let store = create(&disk).unwrap();
    let mut log = Log::default();
    let tree = loaded(&store, &mut log, options, numbered(0..loaded_count)).unwrap();
    assert!(tree.stats().levels[level].tables > 2, "{:?}", tree.stats());
    for round in 0..12 {
        let key = |number: u64| format!("{number:05}").into_bytes();
        let changes = [
            Change::put(&key(round), b"new"),
            Change::Remove { key: key(50 + round) },
            Change::put(&key(loaded_count - 1), b"new"),
        ];
        log.write(&tree, &changes, 0).unwrap();
        tree.seal();
        work(&store, 0).unwrap();
        check(&tree, &log.state, newest(0), &format!("round {round}"));
    }
    assert!(tree.stats().compactions > 0);
}

#[test]
fn tables_of_a_load_are_merged_with_newer_ones_in_a_tiered_tree() {
    let options = TreeOptions { style: Style::Tiered, ..options() };
    merged_with_loaded(options, LEVELS - 1, 400);
}

#[test]
fn tables_of_a_load_are_merged_with_newer_ones_where_the_oldest_go_first() {
    let style = Style::Fifo { keep_ms: 0, bytes_max: 0 };
    let options = TreeOptions { style, table_bytes: 8 << 10, ..options() };
    merged_with_loaded(options, 0, 2000);
}

#[test]
fn the_oldest_tables_are_dropped_while_newer_ones_are_merged() {
    let style = Style::Fifo { keep_ms: 1000, bytes_max: 0 };
    let (_, store, tree) = begun(2, TreeOptions { style, table_bytes: 8 << 10, ..options() });
    let mut log = Log::default();
    // A large one that no merge takes, and small ones behind it.
    log.write(&tree, &[Change::put(b"a", &[7; 7000]), Change::put(b"z", b"")], 0).unwrap();
    tree.seal();
    for _ in 0..3 {
        while let Some(work) = store.next_flush(0) {
            work.run().unwrap();
        }
        log.write(&tree, &[Change::put(b"a", b"small"), Change::put(b"z", b"")], 500).unwrap();
        tree.seal();
    }
    while let Some(work) = store.next_flush(0) {
        work.run().unwrap();
    }
    let merge = store.next_compaction(500).unwrap();
    let drop = store.next_compaction(1200).unwrap();
    drop.run().unwrap();
    merge.run().unwrap();
    check(&tree, &log.state, newest(500), "");
    assert_eq!(tree.stats().levels[0].tables, 1);
}

#[test]
fn what_no_table_takes_is_refused_before_it_is_taken() {
    let (disk, store, tree) = begun(3, options());
    let mut log = Log::default();
    log.write(&tree, &[Change::put(b"a", b"1")], 0).unwrap();
    let long = vec![b'k'; KEY_BYTES_MAX + 1];
    let wrong = [
        Change::put(&long, b""),
        Change::Remove { key: long.clone() },
        Change::RemoveRange { from: b"a".to_vec(), to: long.clone() },
    ];
    for change in &wrong {
        let refused = tree.apply([change.record(2)], 0);
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    }
    tree.seal();
    work(&store, 0).unwrap();
    log.write(&tree, &[Change::put(&long[1..], b"2")], 0).unwrap();
    tree.seal();
    work(&store, 0).unwrap();
    check(&tree, &log.state, newest(0), "");
    drop((tree, store));
    let store = open(&disk.restart_clean()).unwrap();
    check(&store.tree(TREE).unwrap(), &log.state, newest(0), "");
}

#[test]
fn there_is_work_only_if_there_is_some_to_be_had() {
    let (_, store, tree) = begun(4, options());
    let mut log = Log::default();
    let put = |n: u8| Change::Put { key: vec![n], value: vec![], expires_ms: Some(150) };
    log.write(&tree, &(0..9).map(put).collect::<Vec<_>>(), 100).unwrap();
    tree.seal();
    tree.compact_range(None, 100).unwrap();
    work(&store, 100).unwrap();
    let _hold = store.hold(log.seq(), 100);
    assert!(store.next_work(200).is_none());
    assert!(!store.has_work(200));
}

#[test]
fn a_slow_flush_does_not_make_a_memtable_of_every_record() {
    let disk = disk(6);
    let root = Arc::new(Root { disk: disk.clone() });
    let config = StoreConfig { memory_bytes: 8 << 20, memtable_bytes: 2 << 20, ..config() };
    let store = Store::create(Arc::new(disk), &dir(), ID, config, root).unwrap();
    let tree = store.create_tree(TREE, TreeOptions::default()).unwrap();
    let value = vec![7; 1000];
    let mut seq = 0;
    while let Admission::After { .. } = store.admit(1000) {
        seq += 1;
        let key: [u8; 8] = u64::to_be_bytes(seq);
        tree.apply([Change::put(&key, &value).record(seq)], 0).unwrap();
    }
    let stats = tree.stats();
    assert!(stats.sealed_memtables < 8, "{stats:?} after {seq} records");
    assert!(seq > 6000, "{seq}");
}

#[test]
fn a_compaction_that_was_asked_for_waits_for_a_flush_of_others() {
    let (_, store, tree) = begun(7, options());
    let mut log = Log::default();
    log.write(&tree, &[Change::put(b"a", b"1")], 0).unwrap();
    tree.seal();
    let flush = store.next_flush(0).unwrap();
    std::thread::scope(|scope| {
        let tree = &tree;
        let asked = scope.spawn(move || {
            tree.compact_range(None, 0).unwrap();
            tree.stats()
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        flush.run().unwrap();
        let stats = asked.join().unwrap();
        assert_eq!(stats.sealed_memtables, 0);
        assert_eq!((stats.levels[0].tables, stats.levels[LEVELS - 1].tables), (0, 1), "{stats:?}");
    });
}

#[test]
fn nothing_is_written_to_a_tree_that_is_gone() {
    let (_, store, tree) = begun(8, options());
    store.drop_tree(TREE).unwrap();
    let refused = tree.apply([Change::put(b"a", b"1").record(9)], 0);
    assert!(matches!(refused, Err(Error::Dropped { .. })), "{refused:?}");
}

#[test]
fn what_is_asked_of_a_tree_that_is_gone_ends() {
    // Also if another one has its id since.
    for comes_again in [false, true] {
        let (_, store, tree) = begun(9, options());
        let mut log = Log::default();
        log.write(&tree, &[Change::put(b"a", b"1")], 0).unwrap();
        tree.seal();
        store.drop_tree(TREE).unwrap();
        if comes_again {
            store.create_tree(TREE, options()).unwrap();
        }
        let refused = tree.compact_range(None, 0);
        assert!(matches!(refused, Err(Error::Dropped { .. })), "{refused:?}");
    }
}

#[test]
fn files_whose_removal_was_not_run_are_removed_later() {
    let (disk, store, tree) = begun(10, options());
    let mut log = Log::default();
    log.write(&tree, &[Change::put(b"a", b"1")], 0).unwrap();
    tree.seal();
    tree.compact_range(None, 0).unwrap();
    drop(store.next_flush(0).expect("the flushed table is to be removed"));
    assert_eq!(files(&disk).len(), 3);
    work(&store, 0).unwrap();
    assert_eq!(files(&disk).len(), 2, "the manifest and a table");
}
