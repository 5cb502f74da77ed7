//! A disk that is full where a new manifest is due: nothing has happened, and it is tried again.

use crate::support::*;

#[test]
fn a_manifest_that_no_space_is_left_for_stops_nothing() {
    let disk = disk(1);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let mut log = Log::default();
    log.write(&tree, &[Change::put(b"key", b"value")], 0).unwrap();
    tree.seal();
    let first = store.manifest_place().number;
    let files_bytes = |disk: &annals_disk::SimDisk| -> u64 {
        disk.paths().iter().filter_map(|path| disk.file_bytes(path)).map(|b| b.len() as u64).sum()
    };
    // Room for a table, and not for another manifest.
    disk.set_capacity(files_bytes(&disk) + (32 << 10));
    let other = TREE + 1;
    let refused = (0..10_000).find_map(|_| {
        let made = store.create_tree(other, options()).and_then(|_| store.drop_tree(other));
        made.err()
    });
    let refused = refused.expect("the manifest is full some time");
    assert!(refused.is_full(), "{refused}");
    let before = files(&disk);
    for _ in 0..3 {
        let refused = store.next_flush(0).unwrap().run().unwrap_err();
        assert!(refused.is_full(), "{refused}");
        store.check().unwrap();
        assert_eq!(files(&disk), before, "neither the table nor the manifest is left behind");
        check(&tree, &log.state, newest(0), "not flushed");
    }
    log.write(&tree, &[Change::put(b"other", b"taken still")], 0).unwrap();
    disk.clear_capacity();
    tree.seal();
    work(&store, 0).unwrap();
    assert_ne!(store.manifest_place().number, first, "a new one was begun");
    assert!(tree.unflushed_from().is_none());
    check(&tree, &log.state, newest(0), "flushed");
    let after = disk.restart();
    drop((tree, store));
    let tree = open(&after).unwrap().tree(TREE).unwrap();
    check(&tree, &log.state, newest(0), "after a power cut");
}
