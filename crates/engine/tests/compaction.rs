//! What log compaction must keep although no view shows it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_disk::{Disk, SimDisk, SimOptions};
use annals_engine::{Background, Database, Result, WriteOptions};
use std::{path::Path, sync::Arc, time::Duration};

fn open(disk: &SimDisk) -> Result<Database> {
    Database::builder()
        .segment_bytes(64 << 10)
        .background(Background::Manual)
        .disk(Arc::new(disk.clone()))
        .open("db")
}

/// Removes the checkpoint, so that the next opening rebuilds the views from the whole log.
fn lose_checkpoint(disk: &SimDisk) {
    let entries = disk.list(Path::new("db")).unwrap();
    let lost: Vec<_> = entries.iter().filter(|entry| entry.name.ends_with(".ckp")).collect();
    assert_eq!(lost.len(), 1, "one checkpoint");
    disk.remove(&Path::new("db").join(&lost[0].name)).unwrap();
}

#[test]
fn an_expired_or_removed_key_does_not_come_back_from_an_older_segment() -> Result<()> {
    for removed in [false, true] {
        let disk = SimDisk::new(SimOptions::seeded(1));
        let db = open(&disk)?;
        let keyspace = db.hash_keyspace("k")?;
        keyspace.insert("key", "old")?;
        // The old version's segment stays: all else in it is current.
        for n in 0..600u32 {
            keyspace.insert(n.to_be_bytes(), [1; 100])?;
        }
        let ttl = WriteOptions::default().ttl(Duration::from_millis(50));
        keyspace.insert_with("key", "new", ttl)?;
        if removed {
            keyspace.remove("key")?;
        }
        for n in 0..600u32 {
            keyspace.insert((n % 10 + 1_000).to_be_bytes(), [2; 100])?;
        }
        disk.advance_ms(100);
        assert!(keyspace.get("key")?.is_none());
        db.tick()?;
        assert!(db.compact()?.segments_count > 0);
        drop(keyspace);
        db.close()?;

        lose_checkpoint(&disk);
        let db = open(&disk)?;
        assert!(!db.recovery().warnings.is_empty(), "the rebuild is reported");
        let keyspace = db.open_hash_keyspace("k")?;
        assert!(keyspace.get("key")?.is_none(), "removed: {removed}");
        assert_eq!(keyspace.len(), 610);
    }
    Ok(())
}

/// A record says in 32 bits how far its number is from its segment's. A database that has lived long,
/// or crashed often, has numbers further apart than that, and moves them side by side.
#[test]
fn numbers_that_lie_far_apart_are_compacted_together() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let builder = Database::builder().segment_bytes(64 << 10);
        builder.background(annals_engine::Background::Manual).open(dir.path()).unwrap()
    };
    let write = |db: &Database, round: u8| {
        let keys = db.hash_keyspace("keys").unwrap();
        for number in 0..8u32 {
            keys.insert(number.to_be_bytes(), vec![round; 15_000]).unwrap();
        }
        keys.insert([round], "small").unwrap();
    };
    let db = open();
    write(&db, 1);
    db.close().unwrap();
    let disk = annals_disk::RealDisk::new();
    let mut root = annals_journal::Root::read(&disk, dir.path()).unwrap();
    root.next_seq = annals_journal::Seq(1 << 33);
    root.write(&disk, dir.path()).unwrap();
    let db = open();
    write(&db, 2);
    write(&db, 3);
    db.compact().unwrap();
    let keys = db.open_hash_keyspace("keys").unwrap();
    assert_eq!(keys.len(), 11);
    drop(keys);
    db.close().unwrap();
    let keys = open().open_hash_keyspace("keys").unwrap();
    assert_eq!(keys.get([1]).unwrap().as_deref(), Some(&b"small"[..]));
    assert_eq!(keys.len(), 11);
}
