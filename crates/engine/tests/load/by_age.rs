//! Keyspaces that lose their oldest records.

use crate::support::{machine, open, small};
use annals_engine::{KeyspaceOptions, Style, TreeOptions};

#[test]
fn records_of_a_load_that_took_long_are_no_older_than_its_end() {
    const KEEP_MS: u64 = 1_000;
    let disk = machine(1);
    let db = open(&disk);
    let options = TreeOptions { style: Style::Fifo { keep_ms: KEEP_MS, bytes_max: 0 }, ..small() };
    let keyspace = db.create_keyspace("k", KeyspaceOptions::default(), options).unwrap();
    let late = (0..100u32).map(|n| {
        disk.advance_ms(KEEP_MS / 10);
        (n.to_be_bytes(), [7; 100])
    });
    assert_eq!(keyspace.replace_all(late).unwrap().records_count, 100);
    let count = |after_ms| {
        disk.advance_ms(after_ms);
        // The time is in the log before anything is dropped for it.
        db.hash_keyspace("clock").unwrap().insert("now", "").unwrap();
        db.tick().unwrap();
        keyspace.len().unwrap()
    };
    assert_eq!((count(0), count(KEEP_MS - 1), count(1)), (100, 100, 0));
}
