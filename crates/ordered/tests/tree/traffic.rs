//! What was written for a tree is counted for its life, whatever comes between.

use crate::support::*;
use annals_ordered::{KeyRange, TreeTraffic, read_manifest};

#[test]
fn what_was_written_is_counted_for_the_life_of_a_tree() {
    let disk = disk(1);
    let store = create(&disk).unwrap();
    let mut log = Log::default();
    let tree = loaded(&store, &mut log, options(), []).unwrap();
    assert_eq!(tree.stats().life.write_amplification(), None);
    store.drop_tree(TREE).unwrap();
    let records = (100..140_u8).map(|key| (vec![key], vec![9; 30]));
    let tree = loaded(&store, &mut log, options(), records).unwrap();
    let mut expected = TreeTraffic { loaded_bytes: table_bytes(&tree), ..TreeTraffic::default() };
    assert!(expected.loaded_bytes > 0);
    for round in 0..2_u8 {
        let before = table_bytes(&tree);
        let changes: Vec<_> = (0..40_u8).map(|key| Change::put(&[key], &[round; 30])).collect();
        log.write(&tree, &changes, 0).unwrap();
        tree.seal();
        store.next_flush(0).unwrap().run().unwrap();
        expected.flushed_bytes += table_bytes(&tree) - before;
        assert_eq!(tree.stats().life, expected, "round {round}");
    }
    assert_eq!(tree.stats().life.write_amplification(), Some(1.0));

    // The load lies by itself in the deepest level: only what was flushed is merged.
    let before = table_bytes(&tree);
    let flushed = KeyRange::closed(&[0], &[40]);
    tree.compact_range(Some(&flushed), 0).unwrap();
    expected.compaction_read_bytes = expected.flushed_bytes;
    expected.compaction_written_bytes = table_bytes(&tree) + expected.flushed_bytes - before;
    let stats = tree.stats();
    assert_eq!((stats.life, stats.since_opening), (expected, expected));
    let times = stats.life.write_amplification().unwrap();
    assert!(times > 1.0 && times < 2.0, "{times}: two versions of a key become one");

    drop((tree, store));
    let store = open(&disk).unwrap();
    let tree = store.tree(TREE).unwrap();
    let stats = tree.stats();
    assert_eq!((stats.life, stats.since_opening), (expected, TreeTraffic::default()));
    let before = table_bytes(&tree);
    tree.apply([Change::put(b"k", b"v").record(1000)], 0).unwrap();
    tree.seal();
    store.next_flush(0).unwrap().run().unwrap();
    let more = table_bytes(&tree) - before;
    expected.flushed_bytes += more;
    let stats = tree.stats();
    assert_eq!((stats.life, stats.since_opening.flushed_bytes), (expected, more));
    let read = read_manifest(&disk, &dir(), ID, store.manifest_place()).unwrap();
    assert_eq!(read.state.trees[&TREE].traffic, expected);

    // One that takes its place begins anew.
    store.drop_tree(TREE).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    assert_eq!(tree.stats().life, TreeTraffic::default());
}

#[test]
fn what_another_process_wrote_is_seen_in_the_life_of_a_tree() {
    let disk = disk(2);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let (reader, mut follower) = read_only(&disk, config()).unwrap();
    let mut log = Log::default();
    for round in 0..4_u8 {
        log.write(&tree, &[Change::put(b"key", &[round; 50])], 0).unwrap();
        tree.seal();
        work(&store, 0).unwrap();
        follower.look(|| place(&disk)).unwrap();
        follower.show(log.seq());
        let stats = reader.tree(TREE).unwrap().stats();
        assert_eq!(stats.life, tree.stats().life, "round {round}");
        assert_eq!(stats.since_opening, TreeTraffic::default(), "it wrote nothing");
    }
    assert!(tree.stats().life.compaction_written_bytes > 0);
}
