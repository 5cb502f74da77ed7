//! Read-only handles beside a writer that compacts, and a clock that is set back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{Background, Builder, Database, Result, WriteOptions};
use std::{sync::Arc, time::Duration};

fn builder(disk: &SimDisk) -> Builder {
    Database::builder()
        .segment_bytes(64 << 10)
        .background(Background::Manual)
        .disk(Arc::new(disk.clone()))
}

fn open(disk: &SimDisk) -> Result<Database> {
    builder(disk).open("db")
}

fn read(disk: &SimDisk) -> Result<Database> {
    builder(disk).read_only(true).open("db")
}

fn ttl(ms: u64) -> WriteOptions {
    WriteOptions::default().ttl(Duration::from_millis(ms))
}

#[test]
fn what_the_writer_saw_expired_is_expired_for_readers_that_follow_it() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let start_ms = disk.options().start_ms;
    let db = open(&disk)?;
    let sessions = db.hash_keyspace("sessions")?;
    sessions.insert_with("a", "1", ttl(1_000))?;
    let reader = read(&disk)?;
    let seen = reader.open_hash_keyspace("sessions")?;
    assert!(seen.contains("a")?);
    disk.advance_ms(2_000);
    assert!(!sessions.contains("a")?);
    disk.set_now_ms(start_ms);
    assert!(!seen.contains("a")?);
    assert_eq!(seen.len(), 0);
    // Also if no frame of the writer says so any more: this opening's first one does.
    db.close()?;
    let reader = read(&disk)?;
    let seen = reader.open_hash_keyspace("sessions")?;
    assert!(!seen.contains("a")?);
    Ok(())
}

#[test]
fn a_reader_that_loads_anew_keeps_its_clock() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(2));
    let start_ms = disk.options().start_ms;
    let db = open(&disk)?;
    let sessions = db.hash_keyspace("sessions")?;
    sessions.insert_with("a", "1", ttl(1_000))?;
    let reader = read(&disk)?;
    let seen = reader.open_hash_keyspace("sessions")?;
    disk.advance_ms(2_000);
    assert!(!seen.contains("a")?);
    disk.set_now_ms(start_ms);
    for n in 0..4u32 {
        sessions.insert("filler", vec![n as u8; 40_000])?;
        db.compact()?;
        assert!(!seen.contains("a")?, "after compaction {n}");
    }
    Ok(())
}

#[test]
fn a_reader_whose_next_segment_was_compacted_out_of_the_middle_goes_on() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = open(&disk)?;
    let keyspace = db.hash_keyspace("k")?;
    // The first segment stays: all of it is current.
    for n in 0..4u32 {
        keyspace.insert(n.to_be_bytes(), [1; 15_000])?;
    }
    let reader = read(&disk)?;
    let seen = reader.open_hash_keyspace("k")?;
    assert_eq!(seen.len(), 4);
    let seen_to = reader.last_seq();
    // The reader has seen nothing of the segments that come now and go at once.
    for n in 0..60u32 {
        keyspace.insert("again", vec![n as u8; 6_000])?;
        db.tick()?;
    }
    db.compact()?;
    let log = db.stats().log;
    assert_eq!((log.oldest_seq > seen_to, log.segments_count > 2), (true, true), "{log:?}");
    keyspace.insert("last", "1")?;
    assert!(seen.contains("last")?);
    assert_eq!(seen.get("again")?.as_deref(), Some(&[59; 6_000][..]));
    Ok(())
}

#[test]
fn a_readers_snapshot_does_not_follow_addresses_of_the_writer() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = open(&disk)?;
    let keyspace = db.hash_keyspace("k")?;
    for n in 0..10u32 {
        keyspace.insert(n.to_be_bytes(), [1; 3_000])?;
        keyspace.insert("dead", [0; 3_000])?;
    }
    let reader = read(&disk)?;
    let before = reader.snapshot();
    // The writer moves the records to places that the reader has not loaded, and leaves those in
    // the records that replace them, for a snapshot of its own.
    db.compact()?;
    let _own = db.snapshot();
    for n in 0..10u32 {
        keyspace.insert(n.to_be_bytes(), "new")?;
    }
    assert_eq!(
        reader.open_hash_keyspace("k")?.get(0u32.to_be_bytes())?.as_deref(),
        Some(&b"new"[..])
    );
    for n in 0..10u32 {
        let old = before.get("k", n.to_be_bytes())?.map(|value| value.to_vec());
        assert_eq!(old, Some(vec![1; 3_000]), "key {n}");
    }
    Ok(())
}

/// Twenty synced commits, of which one in the middle is damaged while the writer has the log open.
fn damaged_beside_a_writer(disk: &SimDisk) -> Result<(Database, Database)> {
    let db = builder(disk).durability(annals_engine::Durability::Sync).open("db")?;
    let keys = db.hash_keyspace("keys")?;
    let reader = read(disk)?;
    for number in 0..20u32 {
        keys.insert(number.to_be_bytes(), [7; 200])?;
    }
    disk.flip_bit("db/00000001.seg", 2_000, 3).map_err(annals_journal::Error::from)?;
    Ok((db, reader))
}

/// Taken for the end of a log that is being written, a damaged place would hide all that follows.
#[test]
fn damage_in_a_log_that_was_not_closed_is_damage_for_readers_too() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let (db, follower) = damaged_beside_a_writer(&disk)?;
    let is_named = |error: &annals_engine::Error| {
        error.kind() == annals_engine::ErrorKind::Corrupt
            && error.to_string().contains("00000001.seg")
    };
    assert!(read(&disk).is_err_and(|error| is_named(&error)), "a reader that opens");
    let keys = follower.open_hash_keyspace("keys");
    let error = keys.and_then(|keys| keys.get(19u32.to_be_bytes()).map(|_| ()));
    assert!(error.is_err_and(|error| is_named(&error)), "a reader that follows");
    drop((db, follower));
    Ok(())
}

/// A copy of damage must not take the place of a copy from before it.
#[test]
fn a_backup_of_a_damaged_log_is_refused_and_leaves_the_older_one() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = open(&disk)?;
    let keys = db.hash_keyspace("keys")?;
    for number in 0..20u32 {
        keys.insert(number.to_be_bytes(), [7; 200])?;
    }
    db.backup_to("copy")?;
    disk.flip_bit("db/00000001.seg", 2_000, 3).map_err(annals_journal::Error::from)?;
    keys.insert("more", "x")?;
    let refused = db.backup_to("copy");
    assert!(refused.is_err_and(|error| error.kind() == annals_engine::ErrorKind::Corrupt));
    let copy = builder(&disk).read_only(true).open("copy")?;
    assert!(copy.verify(&mut |_| {})?.is_intact());
    assert_eq!(copy.open_hash_keyspace("keys")?.len(), 20);
    Ok(())
}
