//! Readers beside writers, compaction, clearing, dropping and the removal of segments, on threads:
//! no half commit, nothing that goes back in time, nothing that is not there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_disk::{Disk, RealDisk};
use annals_engine::{Database, ErrorKind};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

const PAIRS: u64 = 40;

fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

fn value(number: u64) -> Vec<u8> {
    let mut value = number.to_le_bytes().to_vec();
    value.resize(8 + (number % 700) as usize, number as u8);
    value
}

fn check_value(value: &[u8]) -> u64 {
    let found = number(value);
    assert_eq!(value.len(), 8 + (found % 700) as usize, "a value of another record");
    assert!(value[8..].iter().all(|byte| *byte == found as u8), "a value of another record");
    found
}

/// Sets the flag when its thread ends, also by a panic.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_see_whole_commits_that_never_go_back() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::builder()
        .segment_bytes(64 << 10)
        .checkpoint_every_bytes(100 << 10)
        .compact_below(0.8)
        .open(dir.path().join("db"))
        .unwrap();
    let (left, right) = (db.hash_keyspace("left").unwrap(), db.hash_keyspace("right").unwrap());
    for pair in 0..PAIRS {
        let mut batch = db.batch();
        batch.insert(&left, pair.to_le_bytes(), value(0)).unwrap();
        batch.insert(&right, pair.to_le_bytes(), value(0)).unwrap();
        batch.commit().unwrap();
    }
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let clock = RealDisk::new();
    let end_ns = clock.monotonic_ns() + Duration::from_secs(5).as_nanos() as u64;
    let go_on = || !stop.load(Ordering::Relaxed) && clock.monotonic_ns() < end_ns;
    std::thread::scope(|scope| {
        for first in 0..2 {
            let (db, left, right, go_on, stop) = (&db, &left, &right, &go_on, &stop);
            scope.spawn(move || {
                let _stopper = Stopper(stop);
                for round in 1u64.. {
                    if !go_on() {
                        return;
                    }
                    // Each writer has its own pairs, so each pair only grows.
                    let pair = (round * 2 + first) % PAIRS;
                    let mut batch = db.batch();
                    batch.insert(left, pair.to_le_bytes(), value(round)).unwrap();
                    batch.insert(right, pair.to_le_bytes(), value(round)).unwrap();
                    batch.commit().unwrap();
                }
            });
        }
        for reader in 0..2u64 {
            let (db, left, right, go_on, stop, reads) = (&db, &left, &right, &go_on, &stop, &reads);
            scope.spawn(move || {
                let _stopper = Stopper(stop);
                let mut latest = [0; PAIRS as usize];
                for round in 0.. {
                    if !go_on() {
                        return;
                    }
                    let pair = (round * 7 + reader) % PAIRS;
                    let key = pair.to_le_bytes();
                    // What was seen in one keyspace is there in the other, then and later.
                    let (one, other) = if round % 2 == 0 { (left, right) } else { (right, left) };
                    let first = check_value(&one.get(key).unwrap().expect("never removed"));
                    let second = check_value(&other.get(key).unwrap().expect("never removed"));
                    assert!(first <= second, "{first}, then {second}");
                    assert!(latest[pair as usize] <= first, "back from {latest:?} to {first}");
                    latest[pair as usize] = second;
                    if round % 16 == 0 {
                        let many = one.get_many(&[key, key]).unwrap();
                        assert!(many.iter().all(Option::is_some));
                    }
                    if round % 64 == 0 {
                        read_snapshot(db);
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (db, go_on, stop) = (&db, &go_on, &stop);
        scope.spawn(move || {
            let _stopper = Stopper(stop);
            for round in 0u64.. {
                if !go_on() {
                    return;
                }
                let scratch = db.hash_keyspace("scratch").unwrap();
                for key in 0..50u64 {
                    scratch.insert(key.to_le_bytes(), value(key)).unwrap();
                }
                let held = scratch.iter().unwrap();
                match round % 3 {
                    0 => scratch.clear().unwrap(),
                    1 => db.drop_keyspace("scratch").unwrap(),
                    _ => drop(db.compact().unwrap()),
                }
                // The iterator was made before.
                let kept: u64 = held.map(|entry| check_value(&entry.unwrap().to_vecs().1)).sum();
                assert_eq!(kept, (0..50).sum::<u64>(), "in round {round}");
                if round % 3 == 1 {
                    let gone = scratch.get([0; 8]).map(drop).unwrap_err();
                    assert_eq!(gone.kind(), ErrorKind::NotFound);
                }
            }
        });
    });
    assert!(reads.load(Ordering::Relaxed) > 0);
    assert_eq!(left.len(), PAIRS);
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
    drop((left, right));
    db.close().unwrap();
    let db = Database::open(dir.path().join("db")).unwrap();
    assert!(db.recovery().clean);
    read_snapshot(&db);
}

/// In a snapshot both halves of every pair are equal, by look-up and by iteration.
fn read_snapshot(db: &Database) {
    let snapshot = db.snapshot();
    let mut count = 0;
    for entry in snapshot.iter("left").unwrap() {
        let (key, left) = entry.unwrap().to_vecs();
        let right = snapshot.get("right", &key).unwrap().expect("both halves");
        assert_eq!(check_value(&left), check_value(&right), "half a commit");
        count += 1;
    }
    assert_eq!(count, PAIRS);
    assert_eq!(snapshot.iter("right").unwrap().count() as u64, PAIRS);
}

#[test]
fn batches_are_counted_whole() {
    const BATCH: u64 = 300;
    let db = Database::open_in_memory().unwrap();
    let keyspaces = [db.hash_keyspace("left").unwrap(), db.hash_keyspace("right").unwrap()];
    let (over, partial) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for keyspace in &keyspaces {
            let (over, partial) = (&over, &partial);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let len = keyspace.len();
                    if ![0, BATCH].contains(&len) {
                        partial.store(len, Ordering::Relaxed);
                    }
                }
            });
        }
        let _stopper = Stopper(&over);
        for round in 0..400u64 {
            let mut batch = db.batch();
            for n in 0..BATCH {
                for keyspace in &keyspaces {
                    if round % 2 == 0 {
                        batch.insert(keyspace, n.to_be_bytes(), "x").unwrap();
                    } else {
                        batch.remove(keyspace, n.to_be_bytes()).unwrap();
                    }
                }
            }
            batch.commit().unwrap();
            let len = if round % 2 == 0 { BATCH } else { 0 };
            assert_eq!(keyspaces.each_ref().map(|keyspace| keyspace.len()), [len, len]);
        }
    });
    assert_eq!(partial.into_inner(), 0, "so many records of a batch were counted");
}

#[test]
fn a_feed_that_begins_during_a_compaction_has_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::builder().segment_bytes(64 << 10).open(dir.path().join("db")).unwrap();
    let keyspace = db.hash_keyspace("k").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _stopper = Stopper(&over);
            for round in 0..60u8 {
                for n in 0..30u32 {
                    keyspace.insert(n.to_be_bytes(), vec![round; 5_000]).unwrap();
                }
                db.compact().unwrap();
            }
        });
        while !over.load(Ordering::Relaxed) {
            let oldest = db.oldest_seq();
            let mut changes = match db.changes(oldest) {
                Ok(changes) => changes,
                // It was compacted in between, and creating the feed says so.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => panic!("{error}"),
            };
            let mut next = None;
            while let Some(change) = changes.try_next().unwrap() {
                assert!(next.is_none_or(|next| next == change.seq), "{next:?}: {change:?}");
                next = Some(change.seq.plus(1));
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    });
}
