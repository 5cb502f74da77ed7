//! What is appended, and what is refused.

use super::*;
use crate::{Durability, WriteOptions};

#[test]
fn a_stream_that_is_not_as_expected_is_left_alone() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let event = NewEvent::bytes("happened", b"x");
    for expected in [StreamExists, Exact(0), Exact(u64::MAX)] {
        let error = category.append("a", &event, expected).unwrap_err();
        assert!(matches!(error, Error::VersionConflict { found: None, .. }), "{error}");
    }
    category.append("a", &event, NoStream)?;
    category.append("a", &event, StreamExists)?;
    let before = db.read_all(Seq::ZERO)?.until();
    for expected in [NoStream, Exact(0), Exact(2)] {
        for events in [&[event.clone()][..], &[event.clone(), event.clone()]] {
            let error = category.append_many("a", events, expected).unwrap_err();
            assert!(matches!(error, Error::VersionConflict { found: Some(1), .. }), "{error}");
        }
    }
    assert_eq!(category.len("a")?, 2);
    assert_eq!(db.read_all(Seq::ZERO)?.until(), before, "a refused append leaves no hole");
    assert!(matches!(category.append_many("a", &[], Any), Err(Error::NoEvents)));
    Ok(())
}

#[test]
fn an_event_that_is_too_long_is_refused() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    // One byte less would do, but for what stands behind the data.
    let large = vec![0; crate::VALUE_BYTES_MAX];
    let event = NewEvent::bytes("large", &large);
    for events in [&[event.clone()][..], &[NewEvent::bytes("small", b""), event]] {
        let error = category.append_many(1u64, events, Any).unwrap_err();
        assert!(matches!(error, Error::ValueTooLong { .. }), "{error}");
    }
    let error =
        category.append("x".repeat(STREAM_ID_BYTES_MAX + 1), &NewEvent::bytes("n", b""), Any);
    assert!(matches!(error, Err(Error::StreamIdTooLong { bytes: 1025, .. })));
    assert!(
        category.append("x".repeat(STREAM_ID_BYTES_MAX), &NewEvent::bytes("n", b""), Any).is_ok()
    );
    assert_eq!(category.streams_count()?, 1);
    Ok(())
}

#[test]
fn a_retry_changes_nothing() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let one = NewEvent::bytes("happened", b"1").id(1);
    let first = category.append(7u64, &one, NoStream)?;
    let again = category.append(7u64, &one, NoStream)?;
    assert_eq!((again.first_version, again.first_seq), (first.first_version, first.first_seq));
    assert!(again.was_there && !first.was_there);
    let many: Vec<_> = (2..6).map(|id| NewEvent::bytes("happened", b"2").id(id)).collect();
    let first = category.append_many(7u64, &many, Exact(0))?;
    let again = category.append_many(7u64, &many, Exact(0))?;
    assert_eq!((again.last_version, again.last_seq), (first.last_version, first.last_seq));
    // Another stream may have events of the same ids.
    assert!(!category.append(8u64, &one, NoStream)?.was_there);
    assert!(category.append(8u64, &one, NoStream)?.was_there);
    let mixed = [NewEvent::bytes("happened", b"9").id(9), one.clone()];
    let error = category.append_many(7u64, &mixed, Any).unwrap_err();
    assert!(matches!(error, Error::DuplicateEvent { id: 1, .. }), "{error}");
    assert_eq!(category.len(7u64)?, 5);
    Ok(())
}

#[test]
fn an_id_is_in_a_stream_once_also_within_a_commit() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let [one, other] = [1, 2].map(|id| NewEvent::bytes("happened", b"1").id(id));
    let twice = [one.clone(), other.clone(), one.clone()];
    let error = category.append_many(7u64, &twice, Any).unwrap_err();
    assert!(matches!(error, Error::DuplicateEvent { id: 1, .. }), "{error}");
    assert_eq!(category.len(7u64)?, 0);

    let mut batch = db.batch();
    batch.append(&category, 7u64, std::slice::from_ref(&one), Any)?;
    let error = batch.append(&category, 7u64, &[other.clone(), one.clone()], Any).unwrap_err();
    assert!(matches!(error, Error::DuplicateEvent { id: 1, .. }), "{error}");
    // What was refused with it may come by itself, and to other streams all of it.
    batch.append(&category, 7u64, std::slice::from_ref(&other), Exact(0))?;
    batch.append(&category, 8u64, &[other, one], NoStream)?;
    batch.commit()?;
    assert_eq!((category.len(7u64)?, category.len(8u64)?), (2, 2));
    Ok(())
}

#[test]
fn what_events_carry_comes_back() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let event = NewEvent::json("order-placed", "{}")
        .version(3)
        .id(1)
        .correlation(2)
        .causation(3)
        .with("user", "ada")
        .with("ünicode", "");
    category.append("x", &event, Any)?;
    let large = vec![7; 300_000];
    category.append("x", &NewEvent::new("large", EventFormat::Archive, &large), Any)?;
    let read = category.get("x", 0)?.expect("the first");
    assert_eq!(read.event_type().to_string(), "order-placed v3");
    assert_eq!((read.id(), read.correlation(), read.causation()), (Some(1), Some(2), Some(3)));
    assert_eq!(read.pairs().collect::<Vec<_>>(), [("user", "ada"), ("ünicode", "")]);
    assert_eq!((read.format(), read.data()), (EventFormat::Json, &b"{}"[..]));
    assert!(read.time_ms() > 1_600_000_000_000);
    let read = category.last("x")?.expect("the last");
    assert_eq!((read.format(), read.data(), read.id()), (EventFormat::Archive, &large[..], None));
    assert_eq!(category.event_types().len(), 2);
    let by_type = db.read_all(Seq::ZERO)?.of_type("large").collect::<Result<Vec<_>>>()?;
    assert_eq!(by_type.iter().map(RecordedEvent::version).collect::<Vec<_>>(), [1]);
    Ok(())
}

#[test]
fn a_batch_happens_whole_or_not_at_all() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (category, ordered, hashed) =
        (db.category("orders")?, db.keyspace("stock")?, db.hash_keyspace("cache")?);
    // With and without what a snapshot asks of records.
    let mut snapshots = Vec::new();
    for round in 0..4u64 {
        let mut batch = db.batch();
        for id in 0..20u64 {
            let data = [round as u8, id as u8];
            batch.append(&category, id, &[NewEvent::bytes("placed", &data)], Any)?;
            batch.insert(&ordered, id.to_be_bytes(), data)?;
            batch.append(&category, id, &[NewEvent::bytes("paid", &data)], Exact(round * 2))?;
            batch.insert(&hashed, id.to_be_bytes(), data)?;
        }
        batch.commit()?;
        if round == 1 {
            snapshots.push(db.snapshot());
        }
    }
    for id in 0..20u64 {
        assert_eq!(category.len(id)?, 8);
        assert_eq!(all(&category, id)?[6], [3, id as u8]);
    }
    // One that was refused is not in it; one that is overtaken refuses all.
    let mut batch = db.batch();
    batch.insert(&ordered, "late", "1")?;
    batch.append(&category, 1u64, &[NewEvent::bytes("paid", b"")], Exact(7))?;
    let len = batch.len();
    assert!(batch.append(&category, 2u64, &[NewEvent::bytes("paid", b"")], Exact(3)).is_err());
    assert_eq!(batch.len(), len);
    category.append(1u64, &NewEvent::bytes("paid", b""), Any)?;
    assert!(matches!(batch.commit(), Err(Error::VersionConflict { found: Some(8), .. })));
    assert!(ordered.get("late")?.is_none());
    // One that does not mind is overtaken and goes behind.
    let mut batch = db.batch();
    batch.append(&category, 1u64, &[NewEvent::bytes("paid", b"mine")], Any)?;
    batch.insert(&hashed, "k", "v")?;
    batch.append(&category, 1u64, &[NewEvent::bytes("paid", b"mine too")], Any)?;
    category.append(1u64, &NewEvent::bytes("paid", b"theirs"), Any)?;
    batch.commit()?;
    let last: Vec<_> = all(&category, 1)?.split_off(9);
    assert_eq!(last, [&b"theirs"[..], b"mine", b"mine too"]);
    drop(snapshots);
    Ok(())
}

/// Who is told that an event is there, and asked for it to be durable, does not lose it.
#[test]
fn a_retried_append_is_as_durable_as_it_asks_for() -> Result<()> {
    for (durability, is_kept) in [(Durability::Buffered, false), (Durability::Sync, true)] {
        let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(9) });
        let db = small(&disk).durability(Durability::Buffered).open("db")?;
        let category = db.category("orders")?;
        db.sync()?;
        let event = [NewEvent::bytes("happened", b"data").id(5)];
        assert!(!category.append_many(7u64, &event, Any)?.was_there);
        let options = WriteOptions { durability: Some(durability), ..WriteOptions::default() };
        assert!(category.append_with(7u64, &event, Any, options)?.was_there);
        disk.cut_power_now();
        drop((category, db));
        let db = small(&disk.restart()).open("db")?;
        assert_eq!(db.open_category("orders")?.exists(7u64)?, is_kept, "{durability:?}");
    }
    Ok(())
}

/// Who keeps events for so long, and who reads up to some time, relies on it.
#[test]
fn times_of_a_stream_never_go_back() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(10));
    let db = small(&disk).open("db")?;
    let category = db.category("orders")?;
    let event = [NewEvent::bytes("happened", b"x"), NewEvent::bytes("happened", b"y")];
    let noon_ms = 1_800_000_000_000;
    disk.set_now_ms(noon_ms);
    category.append(7u64, &event[0], Any)?;
    let mut batch = db.batch();
    for (back_ms, round) in [(5_000, 0), (9_000, 1)] {
        disk.set_now_ms(noon_ms - back_ms);
        category.append(7u64, &event[0], Any)?;
        category.append_many(7u64, &event, Any)?;
        batch.append(&category, 7u64, &event, Any)?;
        if round == 0 {
            // It comes in front of what is in the batch already.
            disk.set_now_ms(noon_ms + 3_000);
            category.append(7u64, &event[0], Any)?;
        }
    }
    batch.commit()?;
    disk.set_now_ms(noon_ms + 4_000);
    category.append(7u64, &event[0], Any)?;
    let times: Vec<_> =
        category.read(7u64)?.map(|event| Ok(event?.time_ms())).collect::<Result<_>>()?;
    let expected = [(4, 0), (8, 3_000), (1, 4_000)];
    let expected: Vec<_> = expected
        .into_iter()
        .flat_map(|(count, past_ms)| std::iter::repeat_n(noon_ms + past_ms, count))
        .collect();
    assert_eq!(times, expected);
    Ok(())
}

/// Bytes of a category's events that are needed.
fn needed_bytes(category: &Category) -> u64 {
    let (open, keyspace) = category.parts();
    let catalog = open.core().catalog.load();
    let listed = catalog.by_id(keyspace.id).expect("it is there");
    listed.view.needed_bytes().iter().sum()
}

/// A frame of one stream's events alone is not applied record by record, as others are.
#[test]
fn a_batch_is_found_and_counted_as_its_events_one_by_one_are() -> Result<()> {
    for (before, len) in [(0, 2), (0, 16), (1, 14), (3, 13), (15, 2), (5, 90), (16, 16)] {
        let disk = SimDisk::new(SimOptions::default());
        let db = small(&disk).open("db")?;
        let [together, alone] = ["together", "alone"].map(|name| db.category(name));
        let (together, alone) = (together?, alone?);
        let event = |index: u64| {
            let event = NewEvent::bytes("happened", b"data of an event");
            if index.is_multiple_of(3) { event.id(u128::from(index) + 1) } else { event }
        };
        let events: Vec<_> = (0..before + len).map(event).collect();
        for event in &events[..before as usize] {
            together.append(7u64, event, Any)?;
            alone.append(7u64, event, Any)?;
        }
        let appended = together.append_many(7u64, &events[before as usize..], Any)?;
        assert_eq!((appended.first_version, appended.last_version), (before, before + len - 1));
        events[before as usize..]
            .iter()
            .try_for_each(|event| alone.append(7u64, event, Any).map(drop))?;

        let check = |category: &Category| -> Result<()> {
            for version in (0..before + len).rev() {
                let found = category.get(7u64, version)?.expect("it has this version");
                assert_eq!((found.version(), found.id()), (version, event(version).ids.event));
                if found.id().is_some() {
                    let again = category.append(7u64, &event(version), Any)?;
                    assert_eq!((again.was_there, again.first_seq), (true, found.seq()));
                }
            }
            assert_eq!(category.len(7u64)?, before + len);
            Ok(())
        };
        check(&together)?;
        check(&alone)?;
        let needed = needed_bytes(&together);
        assert!(needed > len * 16, "{needed}");
        drop((together, alone));
        // Without a checkpoint: each record is counted by itself.
        drop(db);
        let db = small(&disk).open("db")?;
        let together = db.category("together")?;
        assert_eq!(needed_bytes(&together), needed, "{before} and {len}");
        check(&together)?;
    }
    Ok(())
}
