//! Durability as time passes: intervals of single commits, and what an idle log knows of itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_engine::{Database, Durability, Result, WriteOptions};
use std::time::Duration;

/// Waits for `done`, generously: timings do not decide, only whether it happens at all.
fn eventually(done: impl Fn() -> bool) -> bool {
    (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        done()
    })
}

#[test]
fn a_commit_with_a_shorter_interval_does_not_wait_for_the_databases() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::builder()
        .durability(Durability::interval(Duration::from_secs(3600)))
        .open(dir.path().join("db"))?;
    let keyspace = db.hash_keyspace("k")?;
    keyspace.insert("slow", "1")?;
    let soon = Durability::interval(Duration::from_millis(1));
    keyspace.insert_with("soon", "1", WriteOptions::default().durability(soon))?;
    let end = db.stats().log.end;
    assert!(eventually(|| db.stats().log.synced >= end));
    Ok(())
}

#[test]
fn an_idle_log_notes_how_far_it_is_synced() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::builder().durability(Durability::Sync).open(dir.path().join("db"))?;
    let keyspace = db.hash_keyspace("k")?;
    for n in 0..3u32 {
        keyspace.insert(n.to_be_bytes(), "1")?;
        let end = db.stats().log.end;
        assert!(eventually(|| db.stats().log.end > end), "no mark after commit {n}");
    }
    let end = db.stats().log.end;
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(db.stats().log.end, end, "one mark is enough");
    Ok(())
}

#[test]
fn swapping_nothing_for_nothing_writes_nothing() -> Result<()> {
    let db = Database::open_in_memory()?;
    let keyspace = db.hash_keyspace("k")?;
    let before = db.last_seq();
    let outcome = keyspace.compare_and_swap("absent", None, None)?;
    assert_eq!(outcome, annals_engine::CasOutcome::Swapped(None));
    assert_eq!(db.last_seq(), before);
    Ok(())
}
