//! Read-only handles beside a writer that compacts, and a clock that is set back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Builder, ChangeKind, Database, Error, ExpectedVersion, NewEvent, Result, Seq,
    WriteOptions,
};
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

/// Opens the log again and writes so much that all of it is compacted away that was there, and one event.
fn overtake(disk: &SimDisk) -> Result<()> {
    let db = open(disk)?;
    let keyspace = db.hash_keyspace("k")?;
    for n in 0..60u32 {
        keyspace.insert("again", vec![n as u8; 6_000])?;
        db.tick()?;
    }
    let behind = NewEvent::bytes("behind", b"");
    db.category("c")?.append(1u64, &behind, ExpectedVersion::Any)?;
    assert!(db.compact()?.segments_count > 0);
    db.close()
}

/// A closed database with so many events in one stream, and as many in another.
fn closed(disk: &SimDisk, events_count: usize) -> Result<()> {
    let db = open(disk)?;
    let category = db.category("c")?;
    for _ in 0..events_count {
        for stream in [1u64, 2] {
            let event = NewEvent::bytes("first", &[7; 100]);
            category.append(stream, &event, ExpectedVersion::Any)?;
        }
    }
    db.hash_keyspace("k")?.insert("again", "first")?;
    db.close()
}

/// A log that was closed is as long as its content: what comes then lies behind the map of who reads it, in a
/// file that may be gone before he looks.
#[test]
fn a_reader_of_a_closed_log_that_was_compacted_away_behind_it_goes_on() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    closed(&disk, 1)?;
    let reader = read(&disk)?;
    let seen = reader.open_hash_keyspace("k")?;
    assert_eq!(seen.get("again")?.as_deref(), Some(&b"first"[..]));
    let category = reader.open_category("c")?;
    let mut stream = category.read(1u64)?;
    assert_eq!(stream.by_ref().count(), 1);
    for round in 1..4u64 {
        overtake(&disk)?;
        assert_eq!(seen.get("again")?.as_deref(), Some(&[59; 6_000][..]), "round {round}");
        stream.refresh()?;
        let events = stream.by_ref().collect::<Result<Vec<_>>>()?;
        assert_eq!(events.iter().map(|event| event.version()).collect::<Vec<_>>(), [round]);
    }
    Ok(())
}

#[test]
fn a_subscription_to_a_closed_log_that_was_compacted_away_behind_it_has_all_events() -> Result<()> {
    const FIRST: usize = 40;
    for taken in [0, 1, FIRST, 2 * FIRST] {
        let disk = SimDisk::new(SimOptions::seeded(6));
        closed(&disk, FIRST)?;
        let reader = read(&disk)?;
        let category = reader.open_category("c")?;
        let mut all = reader.subscribe(Seq::ZERO)?;
        let mut of_one = category.subscribe_to(1u64, Seq::ZERO)?;
        let (mut seen, mut seen_of_one) = (Vec::new(), Vec::new());
        for at in 0..taken {
            let event = all.try_next()?.expect("it was there");
            seen.push((event.stream().to_string(), event.version()));
            if at % 2 == 0 {
                seen_of_one.push(of_one.try_next()?.expect("it was there").version());
            }
        }
        if taken == 2 * FIRST {
            assert!(all.try_next()?.is_none() && of_one.try_next()?.is_none());
        }
        for _ in 0..2 {
            overtake(&disk)?;
            while let Some(event) = all.try_next()? {
                seen.push((event.stream().to_string(), event.version()));
            }
            while let Some(event) = of_one.try_next()? {
                seen_of_one.push(event.version());
            }
        }
        let first = (0..FIRST as u64).flat_map(|n| [("1".to_owned(), n), ("2".to_owned(), n)]);
        let behind = (FIRST as u64..).take(2).map(|n| ("1".to_owned(), n));
        assert_eq!(seen, first.chain(behind).collect::<Vec<_>>(), "{taken} were taken before");
        assert!(seen_of_one.iter().copied().eq(0..FIRST as u64 + 2), "{seen_of_one:?}");
    }
    Ok(())
}

/// Told that there is more, but never what, whoever waits for changes would ask for ever.
#[test]
fn changes_of_a_closed_log_that_was_compacted_away_behind_them_end_with_an_error() -> Result<()> {
    for taken in [1, 10, usize::MAX] {
        let disk = SimDisk::new(SimOptions::seeded(7));
        closed(&disk, 10)?;
        let reader = read(&disk)?;
        let mut changes = reader.changes(reader.oldest_seq())?;
        for _ in 0..taken {
            if changes.try_next()?.is_none() {
                assert!(!changes.wait(Duration::ZERO), "all was read");
                break;
            }
        }
        let last_seq = reader.last_seq();
        overtake(&disk)?;
        assert!(changes.wait(Duration::ZERO), "{taken} were taken before");
        for _ in 0..2 {
            let next = loop {
                match changes.try_next() {
                    // What was read ahead.
                    Ok(Some(change)) => assert!(change.seq <= last_seq, "{change:?}"),
                    next => break next,
                }
            };
            assert!(matches!(next, Err(Error::HistoryGone { .. })), "{taken}: {next:?}");
        }
        let mut rest = reader.changes(reader.oldest_seq())?;
        while rest.try_next()?.is_some() {}
        assert!(!rest.wait(Duration::ZERO), "nothing more comes");
    }
    Ok(())
}

/// A writer that ended between two segments leaves what looks as if more came at once: whoever waits would ask for
/// ever, as fast as it can.
#[test]
fn who_waits_behind_a_writer_that_ended_anywhere_is_told_that_nothing_came() -> Result<()> {
    let write = |disk: &SimDisk| -> Result<()> {
        let db = open(disk)?;
        let category = db.category("c")?;
        let event = NewEvent::bytes("n", &[7; 9_000]);
        (0..20).try_for_each(|_| category.append(1u64, &event, ExpectedVersion::Any).map(drop))
    };
    let whole = SimDisk::new(SimOptions::seeded(10));
    write(&whole)?;
    for operation in 0..whole.operations() {
        let disk = SimDisk::new(SimOptions::seeded(10));
        disk.cut_power_at(operation);
        let _ = write(&disk);
        let found = disk.restart();
        let Ok(reader) = read(&found) else { continue };
        let mut changes = reader.changes(reader.oldest_seq())?;
        let mut appends_count = 0;
        while let Some(change) = changes.try_next()? {
            appends_count += usize::from(change.kind == ChangeKind::Append);
        }
        assert_eq!(appends_count, reader.read_all(Seq::ZERO)?.count(), "cut at {operation}");
        assert!(!changes.wait(Duration::ZERO), "cut at operation {operation}");
        // Whoever goes on writing is followed.
        write(&found)?;
        let seen = std::iter::from_fn(|| changes.try_next().transpose());
        let seen = seen.collect::<Result<Vec<_>>>()?;
        assert!(seen.len() >= 20, "cut at operation {operation}: {}", seen.len());
        let events = reader.read_all(Seq::ZERO)?.count();
        assert_eq!(events, appends_count + 20, "cut at operation {operation}");
    }
    Ok(())
}

/// Its id is not given to another: what is gone from the newest state is gone for good, whether the reader read
/// that it was dropped or found the database without it.
#[test]
fn handles_of_what_was_dropped_behind_a_reader_say_so() -> Result<()> {
    for is_loaded_anew in [false, true] {
        let disk = SimDisk::new(SimOptions::seeded(8));
        closed(&disk, 1)?;
        let reader = read(&disk)?;
        let (category, keys) = (reader.open_category("c")?, reader.open_hash_keyspace("k")?);
        let mut stream = category.read(1u64)?;
        assert_eq!(stream.by_ref().count(), 1);
        overtake(&disk)?;
        stream.refresh()?;
        assert_eq!(stream.by_ref().count(), 1);
        let db = open(&disk)?;
        for name in ["c", "k"] {
            db.drop_keyspace(name)?;
        }
        db.close()?;
        if is_loaded_anew {
            overtake(&disk)?;
        }
        let is_told = |error: &Error| matches!(error, Error::KeyspaceDropped { .. });
        assert!(stream.refresh().is_err_and(|error| is_told(&error)));
        assert!(category.streams_count().is_err_and(|error| is_told(&error)));
        assert!(keys.get("again").is_err_and(|error| is_told(&error)));
        let listed = category.each_stream(|_, _| Ok(()));
        assert!(listed.is_err_and(|error| is_told(&error)));
        if is_loaded_anew {
            assert_eq!(reader.open_category("c")?.read(1u64)?.count(), 1);
        }
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
