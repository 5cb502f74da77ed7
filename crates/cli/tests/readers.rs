//! A reader in a process of its own, while the writer would like to recycle what it reads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use annals::Database;
use common::{Place, SEGMENT_BYTES_COUNT};
use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

const KEYS: u32 = 3_000;

fn value(key: u32, round: u32) -> Vec<u8> {
    let mut value = format!("{key} in round {round} ").into_bytes();
    value.resize(1_000, b'.');
    value
}

/// What a reader that was stopped in the middle of a scan of `keyspace` lists, where `write` comes in
/// between.
fn scan_around(place: &Place, keyspace: &str, write: impl FnOnce()) -> Vec<String> {
    // It prints more than a pipe takes, and so waits in the middle of its snapshot.
    let mut reader = place.command();
    let mut reader = reader.args(["scan", "-k", keyspace]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(reader.stdout.take().unwrap());
    let mut listed = String::new();
    lines.read_line(&mut listed).unwrap();
    write();
    lines.read_to_string(&mut listed).unwrap();
    assert!(reader.wait().unwrap().success());
    listed.lines().map(str::to_owned).collect()
}

/// Overwrites everything, several times, and compacts each time.
fn overwrite(db: &Database, rounds: std::ops::Range<u32>) {
    let keyspace = db.hash_keyspace("default").unwrap();
    for round in rounds {
        let mut batch = db.batch();
        for key in 0..KEYS {
            batch.insert(&keyspace, format!("{key:08}"), value(key, round)).unwrap();
            if key % 100 == 99 {
                batch.commit().unwrap();
                batch = db.batch();
            }
        }
        db.compact().unwrap();
    }
}

#[test]
fn a_reader_in_another_process_keeps_its_state_and_nothing_is_recycled() {
    let place = Place::new();
    let open = || {
        Database::builder().segment_bytes(SEGMENT_BYTES_COUNT).compact_below(0.0).open(place.data())
    };
    let db = open().unwrap();
    overwrite(&db, 0..1);

    let before = db.stats().log.recycled_count;
    let read = scan_around(&place, "default", || {
        overwrite(&db, 1..6);
        assert_eq!(db.stats().log.recycled_count, before, "the reader lives");
    });
    assert_eq!(read.len(), KEYS as usize);
    for line in &read {
        let (key, found) = line.split_once('\t').unwrap();
        assert_eq!(found.as_bytes(), value(key.parse().unwrap(), 0), "key {key}");
    }

    overwrite(&db, 6..9);
    assert!(db.stats().log.recycled_count > before, "the reader is gone");
    db.close().unwrap();
    let db = open().unwrap();
    let keyspace = db.open_hash_keyspace("default").unwrap();
    for key in 0..KEYS {
        let found = keyspace.get(format!("{key:08}")).unwrap().unwrap().to_vec();
        assert_eq!(found, value(key, 8));
    }
}

#[test]
fn a_scan_of_an_ordered_keyspace_stays_with_its_moment() {
    let place = Place::new();
    let builder = Database::builder().segment_bytes(SEGMENT_BYTES_COUNT).memory_bytes(1 << 20);
    let db = builder.open(place.data()).unwrap();
    let sorted = db.keyspace("sorted").unwrap();
    let write = |round: u32| {
        for key in 0..KEYS {
            sorted.insert(format!("{key:08}"), value(key, round)).unwrap();
        }
        sorted.compact().unwrap();
    };
    write(0);
    let read = scan_around(&place, "sorted", || {
        (1..4).for_each(write);
        sorted.remove_range("00000100".."00002000").unwrap();
        sorted.compact().unwrap();
    });
    assert_eq!(read.len(), KEYS as usize);
    for (key, line) in (0..KEYS).zip(&read) {
        let (told, found) = line.split_once('\t').unwrap();
        assert_eq!((told, found.as_bytes()), (&*format!("{key:08}"), &*value(key, 0)));
    }
}
