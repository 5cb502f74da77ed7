//! The promises of the README that need a disk which fails on demand, one test each. Those about
//! crashes are proven by the engine's power cuts and the command's kills.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals::{
    Background, Database, Durability, ErrorKind,
    disk::{Fault, SimDisk, SimOptions},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

const DIR: &str = "data";
const SEGMENT_BYTES: u64 = 64 << 10;

fn sim() -> SimDisk {
    SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(7) })
}

fn open(sim: &SimDisk) -> annals::Result<Database> {
    Database::builder()
        .disk(Arc::new(sim.clone()))
        .background(Background::Manual)
        .segment_bytes(SEGMENT_BYTES)
        .durability(Durability::Buffered)
        .open(DIR)
}

fn files(sim: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let bytes = |path: PathBuf| sim.file_bytes(&path).map(|bytes| (path, bytes));
    sim.paths().into_iter().filter_map(bytes).collect()
}

/// Where `needle` lies in a segment's file.
fn find(sim: &SimDisk, needle: &[u8]) -> (PathBuf, u64) {
    let found = files(sim).into_iter().find_map(|(path, bytes)| {
        let at = bytes.windows(needle.len()).position(|window| window == needle)?;
        path.extension().is_some_and(|ending| ending == "seg").then_some((path, at as u64))
    });
    found.expect("the value is in the log")
}

#[test]
fn a_failed_sync_stops_all_writes_and_reads_go_on() {
    let sim = sim();
    let db = open(&sim).unwrap();
    let keys = db.hash_keyspace("keys").unwrap();
    keys.insert("before", "1").unwrap();
    sim.fail_nth(Fault::FailSync, 1);
    assert_eq!(db.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    // The device works again, and nothing hides what happened.
    for _ in 0..2 {
        assert_eq!(keys.insert("after", "1").unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(db.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    }
    assert_eq!(keys.get("before").unwrap().as_deref(), Some(&b"1"[..]));
    assert!(!keys.contains("after").unwrap());
    assert!(db.stats().poisoned.is_some());
}

#[test]
fn a_full_disk_is_an_error_before_the_commit() {
    let sim = sim();
    let db = open(&sim).unwrap();
    let keys = db.hash_keyspace("keys").unwrap();
    sim.set_capacity(6 * SEGMENT_BYTES);
    let value = vec![7; 9_000];
    let mut written = 0u32;
    let error = loop {
        match keys.insert(written.to_le_bytes(), &value) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the disk never fills");
    };
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.is_retryable());
    assert_eq!(keys.len(), u64::from(written));
    // The same call succeeds once there is space.
    sim.clear_capacity();
    keys.insert(written.to_le_bytes(), &value).unwrap();
    db.sync().unwrap();
    drop((keys, db));
    let db = open(&sim).unwrap();
    assert_eq!(db.open_hash_keyspace("keys").unwrap().len(), u64::from(written) + 1);
}

#[test]
fn a_damaged_record_is_an_error_with_file_and_offset_and_the_rest_stays_readable() {
    let sim = sim();
    let db = open(&sim).unwrap();
    let keys = db.hash_keyspace("keys").unwrap();
    keys.insert("one", "the value that rots").unwrap();
    keys.insert("two", "the value that stays").unwrap();
    drop(keys);
    db.close().unwrap();
    let (path, at) = find(&sim, b"the value that rots");
    sim.flip_bit(&path, at + 4, 2).unwrap();

    let db = open(&sim).unwrap();
    let keys = db.open_hash_keyspace("keys").unwrap();
    let error = keys.get("one").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()) && message.contains("at byte"));
    assert_eq!(keys.get("two").unwrap().as_deref(), Some(&b"the value that stays"[..]));
    let report = db.verify(&mut |_| {}).unwrap();
    assert!(report.damages.iter().any(|damage| damage.path == path && damage.offset <= at));
}

#[test]
fn damage_to_what_was_synced_is_no_torn_tail_and_a_failed_opening_changes_nothing() {
    let sim = sim();
    let db = open(&sim).unwrap();
    let keys = db.hash_keyspace("keys").unwrap();
    keys.insert("one", "the value that rots").unwrap();
    db.sync().unwrap();
    // A later frame notes that the log was synced.
    keys.insert("two", "2").unwrap();
    db.sync().unwrap();
    let crashed = sim.restart_clean();
    drop((keys, db));
    let (path, at) = find(&crashed, b"the value that rots");
    crashed.flip_bit(&path, at, 0).unwrap();

    let before = files(&crashed);
    let error = open(&crashed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    let mut after = files(&crashed);
    // Whose text names who holds the lock, for people.
    let lock = PathBuf::from(DIR).join("annals.lock");
    after.insert(lock.clone(), before.get(&lock).cloned().unwrap_or_default());
    assert!(before == after, "an opening that failed changed a file");
}

#[test]
fn a_torn_tail_is_cut_off_kept_aside_and_reported() {
    let torn = (0..64).find_map(|seed| {
        let sim = SimDisk::new(SimOptions::seeded(seed));
        let db = open(&sim).unwrap();
        let keys = db.hash_keyspace("keys").unwrap();
        keys.insert("synced", "1").unwrap();
        db.sync().unwrap();
        for number in 0..4u8 {
            keys.insert([number], vec![number; 6_000]).unwrap();
        }
        sim.cut_power_now();
        let crashed = sim.restart_with_seed(seed);
        drop((keys, db));
        let db = open(&crashed).unwrap();
        assert!(db.open_hash_keyspace("keys").unwrap().contains("synced").unwrap());
        let recovery = db.recovery().clone();
        (recovery.torn_bytes > 0).then_some((crashed, recovery))
    });
    let (crashed, recovery) = torn.expect("some power cut tears a frame");
    assert!(!recovery.clean);
    let kept = recovery.torn_files.iter().map(|path| crashed.file_bytes(path).unwrap().len());
    assert_eq!(kept.sum::<usize>() as u64, recovery.torn_bytes);
    assert!(!recovery.warnings.is_empty());
}

#[test]
fn a_write_that_returned_is_visible_at_once_and_a_watermark_can_be_read() {
    let db = open(&sim()).unwrap();
    let (state, events) = (db.hash_keyspace("state").unwrap(), db.hash_keyspace("events").unwrap());
    let mut changes = db.changes(db.last_seq().plus(1)).unwrap();
    for number in 0..50u8 {
        let mut batch = db.batch();
        batch.insert(&state, "number", [number]).unwrap();
        batch.insert(&events, [number], "changed").unwrap();
        let commit = batch.commit().unwrap().unwrap();
        assert_eq!(db.last_seq(), commit.last_seq);
        assert_eq!(state.get("number").unwrap().as_deref(), Some(&[number][..]));
        assert!(events.contains([number]).unwrap());
        assert_eq!(db.snapshot().seq(), commit.last_seq);
        assert_eq!(changes.try_next().unwrap().map(|change| change.seq), Some(commit.first_seq));
        let last = changes.try_next().unwrap().unwrap();
        assert!(last.ends_commit && last.seq == commit.last_seq);
        assert!(changes.try_next().unwrap().is_none());
    }
}
