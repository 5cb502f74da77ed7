//! Disks that are full, and work that was interrupted.

use crate::sample;
use crate::sample::{DIR, Image, builder};
use crate::support::told;
use annals_disk::{Fault, SimDisk, SimOptions};
use annals_engine::{Background, Database, Durability, ErrorKind};
use std::sync::Arc;

#[test]
fn no_space_at_open() {
    let disk = SimDisk::new(SimOptions { capacity_bytes: Some(10_000), ..SimOptions::seeded(1) });
    let error = builder().disk(Arc::new(disk.clone())).open(DIR).unwrap_err();
    told(&error, ErrorKind::Full, &[".seg", "free space"]);
    disk.clear_capacity();
    let db = builder().disk(Arc::new(disk)).open(DIR).unwrap();
    db.hash_keyspace("k").unwrap().insert("a", "1").unwrap();
}

#[test]
fn no_space_at_a_commit() {
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new(SimOptions::seeded(1));
        disk.set_capacity(300_000);
        let db = builder().background(background).disk(Arc::new(disk.clone())).open(DIR).unwrap();
        let keyspace = db.hash_keyspace("k").unwrap();
        let mut written = 0u32;
        let error = loop {
            match keyspace.insert(written.to_be_bytes(), [7; 1000]) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 1_000, "the disk never filled");
        };
        told(&error, ErrorKind::Full, &["this was not written", "free space", "segment_bytes"]);
        assert!(error.is_retryable());
        assert_eq!(keyspace.len(), u64::from(written));
        assert!(keyspace.get(written.to_be_bytes()).unwrap().is_none());
        disk.clear_capacity();
        // The background may hand out one more refusal that it had ready.
        if keyspace.insert(written.to_be_bytes(), [7; 1000]).is_err() {
            keyspace.insert(written.to_be_bytes(), [7; 1000]).unwrap();
        }
        drop(keyspace);
        db.close().unwrap();
        let db = builder().disk(Arc::new(disk)).open(DIR).unwrap();
        assert_eq!(db.open_hash_keyspace("k").unwrap().len(), u64::from(written) + 1);
    }
}

fn open(disk: &SimDisk) -> Database {
    builder().durability(Durability::Buffered).disk(Arc::new(disk.clone())).open(DIR).unwrap()
}

/// A database with some records that no checkpoint has yet.
fn filled(disk: &SimDisk) -> Database {
    let db = open(disk);
    let keyspace = db.hash_keyspace("k").unwrap();
    for n in 0..500u32 {
        keyspace.insert(n.to_be_bytes(), [7; 10]).unwrap();
    }
    db
}

/// The log has what was committed: nobody must be told that it was not written.
#[test]
fn closing_takes_no_space_that_is_not_there() {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let db = filled(&disk);
    // Enough for the root, not for a checkpoint of so many keys.
    disk.set_capacity(
        Image::of(&disk).0.values().map(|bytes| bytes.len() as u64).sum::<u64>() + 1_000,
    );
    db.close().unwrap();
    let db = open(&disk);
    assert!(db.recovery().clean, "{:?}", db.recovery());
    assert_eq!(db.open_hash_keyspace("k").unwrap().len(), 500);
}

/// Not even the note that the log is whole can be written: what was stored is not lost by that, and nobody
/// must be told that it is.
#[test]
fn closing_without_any_space_says_that_all_is_stored() {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let db = filled(&disk);
    disk.set_capacity(0);
    let error = db.close().unwrap_err();
    told(&error, ErrorKind::Io, &[DIR, "not closed cleanly", "no space left", "is stored"]);
    assert!(!error.to_string().contains("was not written"), "{error}");
    disk.clear_capacity();
    let db = open(&disk);
    assert!(!db.recovery().clean, "{:?}", db.recovery());
    assert_eq!(db.open_hash_keyspace("k").unwrap().len(), 500);
}

/// On a full disk compaction is what gives space back: it must not ask for much itself.
#[test]
fn a_full_disk_can_be_compacted() {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let open = || builder().segment_bytes(1 << 20).disk(Arc::new(disk.clone())).open(DIR);
    let db = open().unwrap();
    let keyspace = db.hash_keyspace("k").unwrap();
    for n in 0..500u32 {
        keyspace.insert(n.to_be_bytes(), [7; 20_000]).unwrap();
    }
    let used = || Image::of(&disk).0.values().map(|bytes| bytes.len() as u64).sum::<u64>();
    // Room for a few pages, and for no segment.
    disk.set_capacity(used() + (64 << 10));
    drop(keyspace);
    db.drop_keyspace("k").unwrap();
    let before = used();
    let report = db.compact().unwrap();
    assert!(report.segments_count > 5, "{report:?}");
    // Some of it serves the log again at once, the rest goes.
    let keyspace = db.hash_keyspace("k").unwrap();
    for n in 0..100u32 {
        keyspace.insert(n.to_be_bytes(), [7; 20_000]).unwrap();
    }
    drop(keyspace);
    db.close().unwrap();
    assert!(used() < before / 2, "{} of {before} bytes are left", used());
    assert_eq!(open().unwrap().open_hash_keyspace("k").unwrap().len(), 100);
}

#[test]
fn an_interrupted_compaction_loses_nothing() {
    for fault in [Fault::FailSync, Fault::FailTruncate, Fault::FailWrite, Fault::FailCreate] {
        for nth in 1..12 {
            let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(9) });
            let open = |disk: &SimDisk| builder().disk(Arc::new(disk.clone())).open(DIR);
            let db = open(&disk).unwrap();
            let mut recorder = sample::Recorder::new(db);
            sample::fill(&mut recorder);
            let sample::Recorder { db, history } = recorder;
            for n in 200..220 {
                db.open_hash_keyspace("users").unwrap().remove(format!("key {n}")).unwrap();
            }
            let mut expected = history.last().unwrap().clone();
            expected
                .get_mut("users")
                .unwrap()
                .retain(|key, _| !(200..220).any(|n| *key == format!("key {n}").into_bytes()));
            disk.fail_nth_at(fault, "", nth);
            drop(db.compact());
            disk.clear_faults();
            assert_eq!(sample::contents(&db), expected, "{fault:?} {nth}");
            drop(db.compact());
            drop(db.checkpoint());
            let killed = disk.restart_clean();
            drop(db);
            let db = open(&killed).unwrap();
            assert_eq!(sample::contents(&db), expected, "{fault:?} {nth}, reopened");
        }
    }
}
