//! Expiry where it meets other work: writes whose precondition looks at expired records, refreshes,
//! clocks that are set back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{Background, CasOutcome, Database, Result, WriteOptions};
use std::{sync::Arc, time::Duration};

fn open(disk: &SimDisk) -> Result<Database> {
    Database::builder()
        .segment_bytes(64 << 10)
        .background(Background::Manual)
        .disk(Arc::new(disk.clone()))
        .open("db")
}

fn ttl(ms: u64) -> WriteOptions {
    WriteOptions::default().ttl(Duration::from_millis(ms))
}

#[test]
fn writes_that_find_an_expired_record_do_not_wait_for_themselves() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let db = open(&disk)?;
    let keyspace = db.hash_keyspace("k")?;
    for key in ["remove", "swap", "update"] {
        keyspace.insert_with(key, "old", ttl(20))?;
    }
    disk.advance_ms(60);
    assert!(!keyspace.remove("remove")?);
    let outcome = keyspace.compare_and_swap("swap", None, Some(b"new"))?;
    assert!(matches!(outcome, CasOutcome::Swapped(Some(_))));
    let before = keyspace.fetch_update("update", |value| {
        assert_eq!(value, None);
        Some(b"new".to_vec())
    })?;
    assert_eq!(before, None);
    assert_eq!(keyspace.len(), 2);
    Ok(())
}

#[test]
fn what_was_seen_expired_stays_expired_over_a_kill_and_a_clock_set_back() -> Result<()> {
    for by_sweep in [false, true] {
        let disk = SimDisk::new(SimOptions::seeded(2));
        let start_ms = annals_disk::Disk::now_ms(&disk);
        let db = open(&disk)?;
        let keyspace = db.hash_keyspace("k")?;
        keyspace.insert_with("session", "1", ttl(1_000))?;
        disk.advance_ms(2_000);
        if by_sweep {
            db.tick()?;
        }
        assert!(keyspace.get("session")?.is_none());
        let killed = disk.restart_clean();
        killed.set_now_ms(start_ms);
        let db = open(&killed)?;
        assert!(db.open_hash_keyspace("k")?.get("session")?.is_none(), "by sweep: {by_sweep}");
        assert_eq!(db.open_hash_keyspace("k")?.len(), 0);
    }
    Ok(())
}

#[test]
fn counting_and_iterating_are_ways_of_seeing_too() -> Result<()> {
    type Look = fn(&Database) -> Result<()>;
    let ways: [Look; 3] = [
        |db| {
            assert_eq!(db.open_hash_keyspace("k")?.len(), 0);
            Ok(())
        },
        |db| {
            assert_eq!(db.open_hash_keyspace("k")?.iter()?.count(), 0);
            Ok(())
        },
        |db| {
            assert!(!db.snapshot().contains("k", "session")?);
            Ok(())
        },
    ];
    for (way, look) in ways.into_iter().enumerate() {
        let disk = SimDisk::new(SimOptions::seeded(5));
        let start_ms = annals_disk::Disk::now_ms(&disk);
        let db = open(&disk)?;
        db.hash_keyspace("k")?.insert_with("session", "1", ttl(1_000))?;
        disk.advance_ms(2_000);
        look(&db)?;
        let killed = disk.restart_clean();
        killed.set_now_ms(start_ms);
        let db = open(&killed)?;
        assert!(db.open_hash_keyspace("k")?.get("session")?.is_none(), "way {way}");
    }
    Ok(())
}

#[test]
fn what_was_seen_expired_stays_expired_over_a_power_cut_an_interval_later() -> Result<()> {
    for seed in 0..20 {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let start_ms = annals_disk::Disk::now_ms(&disk);
        let db = open(&disk)?;
        let keyspace = db.hash_keyspace("k")?;
        keyspace.insert_with("session", "1", ttl(1_000))?;
        // Until the log is idle, and nothing is due.
        for _ in 0..4 {
            disk.advance_ms(100);
            db.tick()?;
        }
        disk.advance_ms(2_000);
        assert!(keyspace.get("session")?.is_none());
        disk.advance_ms(20);
        db.tick()?;
        let cut = disk.restart();
        cut.set_now_ms(start_ms);
        let db = open(&cut)?;
        assert!(db.open_hash_keyspace("k")?.get("session")?.is_none(), "seed {seed}");
    }
    Ok(())
}

#[test]
fn what_was_seen_expired_is_noted_also_where_the_segment_is_full() -> Result<()> {
    // The last record leaves room for anything between nothing and a few frames.
    for spare in 0..24usize {
        let disk = SimDisk::new(SimOptions::seeded(6));
        let start_ms = annals_disk::Disk::now_ms(&disk);
        let db = open(&disk)?;
        let keyspace = db.hash_keyspace("k")?;
        keyspace.insert_with("session", "1", ttl(1_000))?;
        db.tick()?;
        let room = (64 << 10) - db.stats().log.end.offset as usize;
        keyspace.insert("filler", vec![1; room - 160 - spare * 8])?;
        assert_eq!(db.stats().log.end.ordinal, 1, "the segment holds {spare} more");
        disk.advance_ms(2_000);
        assert!(keyspace.get("session")?.is_none());
        let killed = disk.restart_clean();
        killed.set_now_ms(start_ms);
        let db = open(&killed)?;
        assert!(db.open_hash_keyspace("k")?.get("session")?.is_none(), "{spare} eights spare");
    }
    Ok(())
}

#[test]
fn refreshing_a_record_takes_no_memory_for_each_time() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = open(&disk)?;
    let keyspace = db.hash_keyspace("sessions")?;
    for n in 0..50_000u64 {
        disk.advance_ms(1);
        keyspace.insert_with((n % 10).to_le_bytes(), "1", ttl(86_400_000))?;
        if n % 5_000 == 0 {
            db.tick()?;
        }
    }
    db.tick()?;
    let memory = db.stats().keyspaces[0].memory_bytes;
    assert!(memory < 256 << 10, "{memory} bytes for ten keys");
    disk.advance_ms(86_400_000);
    assert_eq!(keyspace.len(), 0);
    Ok(())
}

#[test]
fn expired_data_is_given_back_beside_data_that_stays() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = open(&disk)?;
    let (stays, sessions) = (db.hash_keyspace("stays")?, db.hash_keyspace("sessions")?);
    for n in 0..500u32 {
        stays.insert(n.to_be_bytes(), [1; 100])?;
    }
    let mut sizes = Vec::new();
    for round in 0..8u32 {
        for n in 0..2_000u32 {
            let key = [round.to_be_bytes(), n.to_be_bytes()].concat();
            sessions.insert_with(key, [2; 200], ttl(1_000))?;
        }
        disk.advance_ms(2_000);
        db.tick()?;
        db.compact()?;
        sizes.push(db.stats().log.content_bytes);
    }
    // Each round wrote more than 400,000 bytes.
    assert!(sizes.iter().all(|bytes| *bytes < 600_000), "{sizes:?}");
    assert_eq!((stays.len(), sessions.len()), (500, 0));
    Ok(())
}

/// They are not there: what is removed ends behind the last key that is.
#[test]
fn a_range_without_an_end_is_removed_though_expired_records_stand_behind_it() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = open(&disk)?;
    let keyspace = db.keyspace("sorted")?;
    for flushed in [false, true] {
        keyspace.insert("a", "1")?;
        keyspace.insert("b", "2")?;
        keyspace.insert_with("z", "3", ttl(20))?;
        if flushed {
            db.checkpoint()?;
        }
        disk.advance_ms(60);
        assert!(keyspace.remove_range("b"..)?.is_some(), "flushed: {flushed}");
        assert_eq!(keyspace.len()?, 1);
        assert!(keyspace.remove_prefix("")?.is_some());
        assert!(keyspace.is_empty()?);
    }
    Ok(())
}
