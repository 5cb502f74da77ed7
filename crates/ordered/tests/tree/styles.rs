//! Trees whose oldest records go first.

use crate::support::*;
use annals_ordered::{Style, TreeOptions};

#[test]
fn what_is_too_old_goes_in_whole_tables_and_what_is_kept_is_whole() {
    let disk = disk(1);
    let store = create(&disk).unwrap();
    let style = Style::Fifo { keep_ms: 1000, bytes_max: 0 };
    let tree = store.create_tree(TREE, TreeOptions { style, ..options() }).unwrap();
    let mut log = Log::default();
    for round in 0..40u64 {
        let now_ms = round * 100;
        let key = |at| format!("{round:03}-{at}").into_bytes();
        let changes: Vec<_> = (0..10).map(|at| Change::put(&key(at), b"value")).collect();
        log.write(&tree, &changes, now_ms).unwrap();
        tree.seal();
        work(&store, now_ms).unwrap();
    }
    let found = forward(&mut tree.cursor(&[], None, newest(3900)));
    let oldest: u64 = String::from_utf8(found[0].0[..3].to_vec()).unwrap().parse().unwrap();
    assert!((20..=30).contains(&oldest), "{oldest}");
    let kept = log.state.iter().filter(|(key, _)| **key >= found[0].0);
    assert!(kept.map(|(key, (value, _))| (key.clone(), value.clone())).eq(found.clone()));
    let stats = tree.stats();
    assert!(stats.levels[0].tables < 15, "small tables are merged: {stats:?}");
    assert!(stats.levels[1..].iter().all(|level| level.tables == 0));
}

#[test]
fn what_is_too_much_goes() {
    let disk = disk(2);
    let store = create(&disk).unwrap();
    let style = Style::Fifo { keep_ms: 0, bytes_max: 20_000 };
    let tree = store.create_tree(TREE, TreeOptions { style, ..options() }).unwrap();
    let mut log = Log::default();
    for round in 0..60u64 {
        let key = |at| format!("{round:03}-{at}").into_bytes();
        let changes: Vec<_> = (0..10).map(|at| Change::put(&key(at), &[7; 100])).collect();
        log.write(&tree, &changes, round).unwrap();
        tree.seal();
        work(&store, round).unwrap();
    }
    let bytes: u64 = tree.stats().levels.iter().map(|level| level.bytes).sum();
    assert!((15_000..=20_000).contains(&bytes), "{bytes}");
    assert_eq!(tree.get(b"059-9", newest(60)).unwrap(), Some(vec![7; 100]));
    assert_eq!(tree.get(b"000-0", newest(60)).unwrap(), None);
}
