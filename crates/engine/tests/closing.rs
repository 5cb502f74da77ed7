//! Closing while other handles are at work on the files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_engine::{Background, Database, Durability, ErrorKind};
use std::{thread, time::Duration};

/// A checkpoint that goes on after the database was closed would replace or remove the one that
/// closing wrote, in a directory that may be another opener's by then.
#[test]
fn a_checkpoint_beside_closing_leaves_the_one_that_closing_wrote() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path()).unwrap();
        let keys = db.hash_keyspace("keys").unwrap();
        keys.insert_many((0..500u32).map(|number| (number.to_le_bytes(), "value"))).unwrap();
        let other = db.clone();
        let checkpoints = thread::spawn(move || (0..5).find_map(|_| other.checkpoint().err()));
        thread::sleep(Duration::from_micros(150 * round));
        db.close().unwrap();
        let refused = checkpoints.join().unwrap();
        assert!(refused.is_none_or(|error| error.kind() == ErrorKind::Closed));

        let db = Database::open(dir.path()).unwrap();
        assert!(db.recovery().clean && db.recovery().warnings.is_empty(), "{:?}", db.recovery());
        assert_eq!(db.open_hash_keyspace("keys").unwrap().len(), 500);
    }
}

/// Guards and handles of a closed database go on reading. The next writer would fill the files they
/// have mapped again, if it took nobody to be reading.
#[test]
fn what_a_closed_handle_reads_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let builder = Database::builder().segment_bytes(64 << 10).durability(Durability::Buffered);
        builder.background(Background::Manual).open(dir.path()).unwrap()
    };
    let overwrite = |db: &Database, round: u8| {
        let keys = db.hash_keyspace("keys").unwrap();
        for number in 0..8u32 {
            keys.insert(number.to_be_bytes(), vec![round; 15_000]).unwrap();
        }
        db.compact().unwrap();
        db.tick().unwrap();
    };
    let one = open();
    overwrite(&one, 0xaa);
    let keys = one.open_hash_keyspace("keys").unwrap();
    let guard = keys.get(1u32.to_be_bytes()).unwrap().unwrap();
    one.close().unwrap();
    let two = open();
    (0..12).for_each(|round| overwrite(&two, round));
    assert_eq!(two.stats().log.recycled_count, 0);
    assert!(guard.iter().all(|byte| *byte == 0xaa));
    drop(guard);
    drop(keys);
    two.close().unwrap();

    let three = open();
    (0..12).for_each(|round| overwrite(&three, round));
    assert!(three.stats().log.recycled_count > 0, "nobody reads any more");
}

/// What tables have is needed no more in the log, and nobody may open the database for long. But who said
/// that nothing is to be compacted wants to read the log from its beginning.
#[test]
fn closing_leaves_no_segment_that_nobody_needs() {
    for (compact_below, first_stays) in [(0.5, false), (0.0, true)] {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let builder = Database::builder().segment_bytes(64 << 10).compact_below(compact_below);
            builder.background(Background::Manual).open(dir.path()).unwrap()
        };
        let db = open();
        let keyspace = db.keyspace("readings").unwrap();
        for number in 0..1_000u32 {
            keyspace.insert(number.to_be_bytes(), [7; 1_000]).unwrap();
        }
        let segments = || {
            let paths = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
            paths.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).count()
        };
        let oldest = db.oldest_seq();
        assert!(segments() > 10);
        drop(keyspace);
        db.close().unwrap();
        assert_eq!(segments() > 10, first_stays, "{} segments", segments());
        assert!(first_stays || segments() <= 2, "{} segments", segments());
        let db = open();
        assert_eq!(db.oldest_seq() == oldest, first_stays);
        assert_eq!(db.open_keyspace("readings").unwrap().len().unwrap(), 1_000);
    }
}

/// Whoever looks at the feed after a program has ended finds what that wrote last, though tables have it too.
#[test]
fn closing_keeps_the_segment_in_use_for_feeds() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path()).unwrap();
    let keyspace = db.keyspace("readings").unwrap();
    let oldest = db.oldest_seq();
    for number in 0..6_000u32 {
        keyspace.insert(number.to_be_bytes(), [7; 1_000]).unwrap();
    }
    drop(keyspace);
    db.close().unwrap();
    let db = Database::open(dir.path()).unwrap();
    assert_eq!(db.oldest_seq(), oldest);
    let mut feed = db.changes(oldest).unwrap();
    let mut count = 0;
    while feed.try_next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 6_001, "the keyspace and its records");
}
