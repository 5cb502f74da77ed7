//! A database that several open at once, while there is none yet: one makes it, the others find it in use or
//! made, and who reads beside them finds a database or none.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_engine::{Database, Durability, ErrorKind};
use std::{
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const ROUNDS: u32 = 30;
const WRITERS: u32 = 4;

/// Opens the database, or makes it, and writes `key`; whether it did.
fn write(dir: &Path, key: u32) -> bool {
    let builder = Database::builder().durability(Durability::Buffered);
    match builder.open(dir) {
        Ok(db) => {
            db.hash_keyspace("keys").unwrap().insert(key.to_be_bytes(), "value").unwrap();
            db.close().unwrap();
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Locked, "writer {key}: {error}");
            false
        }
    }
}

/// Opens what is there to read, again and again.
fn read(dir: &Path, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        match Database::open_read_only(dir) {
            Ok(db) => match db.open_hash_keyspace("keys") {
                Ok(keys) => assert!(keys.len() <= u64::from(WRITERS)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
            },
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotADatabase, "reader: {error}"),
        }
    }
}

#[test]
fn who_makes_a_database_at_once_makes_one() {
    for round in 0..ROUNDS {
        let place = tempfile::tempdir().unwrap();
        let dir = &place.path().join("db");
        let start = &Barrier::new(WRITERS as usize + 1);
        let is_over = &AtomicBool::new(false);
        let written: Vec<u32> = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|key| {
                    scope.spawn(move || {
                        start.wait();
                        // Some come when the first is about to close.
                        thread::sleep(Duration::from_micros(u64::from(key * round) * 100));
                        write(dir, key)
                    })
                })
                .collect();
            scope.spawn(move || {
                start.wait();
                read(dir, is_over);
            });
            let outcomes: Vec<_> =
                writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            is_over.store(true, Ordering::Release);
            let outcomes = outcomes.into_iter().map(Result::unwrap);
            (0..).zip(outcomes).filter(|(_, done)| *done).map(|(key, _)| key).collect()
        });
        assert!(!written.is_empty(), "round {round}: nobody made it");
        let db = Database::open(dir).unwrap();
        let keys = db.open_hash_keyspace("keys").unwrap();
        assert_eq!(keys.len(), written.len() as u64, "round {round}");
        for key in written {
            assert!(keys.contains(key.to_be_bytes()).unwrap(), "round {round}: key {key} is lost");
        }
    }
}
