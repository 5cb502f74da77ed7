//! What figures tell of readers that hold back the log.

use crate::{Background, Changes, Database, LogStats, Result};
use annals_disk::{SimDisk, SimOptions};
use std::sync::Arc;

const LIMIT_BYTES: u64 = 150_000;

fn database() -> Result<Database> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let builder = Database::builder().segment_bytes(64 << 10).background(Background::Manual);
    let mut builder = builder.compact_below(0.9).disk(Arc::new(disk));
    builder.journal.hold_limit_bytes = LIMIT_BYTES;
    builder.open("db")
}

/// Bytes that a reader of changes holds back, as the figures tell.
fn held_bytes(log: &LogStats) -> u64 {
    let (name, bytes) = log.oldest_hold.clone().expect("somebody reads");
    assert_eq!(name, "changes");
    bytes
}

fn read_all(changes: &mut Changes) -> Result<()> {
    while changes.try_next()?.is_some() {}
    Ok(())
}

#[test]
fn the_reader_that_holds_most_is_told_with_what_it_holds() -> Result<()> {
    let db = database()?;
    let keys = db.hash_keyspace("keys")?;
    let fill = |records: u32| (0..records).try_for_each(|_| keys.insert("same", [7; 5_000]));
    fill(30)?;
    let log = db.stats().log;
    assert_eq!((log.oldest_hold.clone(), log.hold_over_limit), (None, false), "nobody reads");

    // Who is behind is told, and not who comes later.
    let mut late = db.changes(db.last_seq().plus(1))?;
    let of_late = held_bytes(&db.stats().log);
    let mut early = db.changes(db.oldest_seq())?;
    let log = db.stats().log;
    assert_eq!(held_bytes(&log), log.content_bytes, "it has read nothing");
    assert!(of_late < 64 << 10 && of_late < log.content_bytes, "{of_late} of the last segment");

    // What it holds stays, though no key has it, and is told in full.
    fill(30)?;
    db.compact()?;
    let log = db.stats().log;
    assert!(held_bytes(&log) >= 60 * 5_000, "{log:?}");
    drop(late);
    assert_eq!(held_bytes(&db.stats().log), held_bytes(&log), "who comes later counts for nothing");

    // Who reads lets go; then compaction gets it.
    read_all(&mut early)?;
    let of_last = held_bytes(&db.stats().log);
    assert!(of_last < 64 << 10, "{of_last}");
    db.compact()?;
    assert!(db.stats().log.content_bytes < 128 << 10);
    late = db.changes(db.oldest_seq())?;
    drop(early);
    assert!(db.stats().log.oldest_hold.is_some());
    drop(late);
    assert_eq!(db.stats().log.oldest_hold, None);
    Ok(())
}

#[test]
fn a_reader_over_the_limit_is_told_until_it_has_read() -> Result<()> {
    let db = database()?;
    let keys = db.hash_keyspace("keys")?;
    let mut changes = db.changes(db.oldest_seq())?;
    let (mut under_count, mut over_count) = (0, 0);
    for _ in 0..60 {
        keys.insert("same", [7; 5_000])?;
        let log = db.stats().log;
        let held = held_bytes(&log);
        assert_eq!(log.hold_over_limit, held > LIMIT_BYTES, "{held} bytes are held");
        if log.hold_over_limit { over_count += 1 } else { under_count += 1 }
    }
    assert!(under_count >= 20 && over_count >= 20, "{under_count} under, {over_count} over");
    read_all(&mut changes)?;
    assert!(!db.stats().log.hold_over_limit, "it has read all");
    // A log that is long for other reasons is nobody's.
    drop(changes);
    (0..60u32).try_for_each(|n| keys.insert(n.to_be_bytes(), [7; 5_000]))?;
    let log = db.stats().log;
    assert!(log.content_bytes > LIMIT_BYTES && !log.hold_over_limit, "{log:?}");
    Ok(())
}
