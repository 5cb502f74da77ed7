//! What opening after a crash has to read is bounded by settings, not by the log's length.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_engine::{Background, Builder, Database, Durability};
use std::path::Path;

const EVERY_BYTES: u64 = 256 << 10;
const KEYS: u32 = 500;
const VALUE: [u8; 180] = [7; 180];
/// Records between two moments at which a checkpoint may begin.
const STEP: u32 = 50;

fn builder() -> Builder {
    Database::builder()
        .background(Background::Manual)
        .durability(Durability::Buffered)
        .segment_bytes(256 << 10)
        .checkpoint_every_bytes(EVERY_BYTES)
}

/// Writes every key `rounds` times, crashes, and returns what the next opening read back: how many
/// records it replayed, how many there are, and the bytes of the log.
fn replayed_after(rounds: u32) -> (u64, u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let db = builder().open(dir.path()).unwrap();
    let users = db.hash_keyspace("users").unwrap();
    for write in 0..rounds * KEYS {
        users.insert((write % KEYS).to_le_bytes(), VALUE).unwrap();
        if write % STEP == 0 {
            db.tick().unwrap();
        }
    }
    let log_bytes = u64::from(rounds) * u64::from(KEYS) * VALUE.len() as u64;
    // What another process would find if this one were killed now.
    let left = tempfile::tempdir().unwrap();
    copy(dir.path(), left.path());
    let db = builder().open(left.path()).unwrap();
    let recovery = db.recovery();
    assert!(!recovery.clean);
    (recovery.records_count, db.hash_keyspace("users").unwrap().len(), log_bytes)
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn replay_is_bounded_by_the_interval_of_checkpoints() {
    let most = EVERY_BYTES / VALUE.len() as u64 + u64::from(STEP);
    let mut most_seen = 0;
    for rounds in [2, 7, 40, 41, 83] {
        let (records, len, log_bytes) = replayed_after(rounds);
        assert_eq!(len, u64::from(KEYS), "{rounds} rounds");
        assert!(records <= most, "{records} records of {log_bytes} bytes of log, {rounds} rounds");
        most_seen = most_seen.max(records);
    }
    // The bound is one: without the checkpoints all would have been replayed.
    assert!(most_seen > u64::from(STEP), "{most_seen}");
}

/// Crash after crash, each before a checkpoint is due by itself.
#[test]
fn replay_does_not_grow_from_crash_to_crash() {
    let most = EVERY_BYTES / VALUE.len() as u64 + u64::from(STEP);
    let mut dir = tempfile::tempdir().unwrap();
    let (mut total, mut most_seen) = (0, 0);
    for _ in 0..12 {
        let db = builder().open(dir.path()).unwrap();
        let replayed = db.recovery().records_count;
        assert!(replayed <= most, "{replayed} of {total} records");
        most_seen = most_seen.max(replayed);
        let users = db.hash_keyspace("users").unwrap();
        for write in 0..6 * STEP {
            users.insert((write % KEYS).to_le_bytes(), VALUE).unwrap();
            if write % STEP == 0 {
                db.tick().unwrap();
            }
        }
        total += 6 * STEP;
        let left = tempfile::tempdir().unwrap();
        copy(dir.path(), left.path());
        dir = left;
    }
    assert!(u64::from(total) > 2 * most && most_seen > u64::from(6 * STEP), "{most_seen}");
}

/// Closing leaves nothing to replay, however long the log is.
#[test]
fn nothing_is_replayed_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    for rounds in [1, 20] {
        let db = builder().open(dir.path()).unwrap();
        assert_eq!(db.recovery().records_count, 0);
        let users = db.hash_keyspace("users").unwrap();
        for write in 0..rounds * KEYS {
            users.insert((write % KEYS).to_le_bytes(), VALUE).unwrap();
        }
        db.close().unwrap();
    }
    let db = builder().open(dir.path()).unwrap();
    assert!(db.recovery().clean);
    assert_eq!(db.recovery().records_count, 0);
}
