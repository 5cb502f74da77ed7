//! Traps, each a test of its own.

use annals_disk::{Disk, SimDisk, SimOptions};
use annals_engine::{
    Background, Database, Error, ErrorKind, ExpectedVersion, KEYSPACE_NAME_BYTES_MAX,
    KeyspaceOptions, NewEvent, STREAM_ID_BYTES_MAX, Seq, StreamId,
};
use std::{collections::BTreeSet, sync::Arc};

fn event(data: &[u8]) -> NewEvent<'_> {
    NewEvent::bytes("happened", data)
}

fn open(dir: &std::path::Path) -> Database {
    let builder = Database::builder().segment_bytes(64 << 10).background(Background::Manual);
    builder.open(dir.join("db")).unwrap()
}

#[test]
fn a_refused_append_leaves_no_hole() {
    let db = Database::open_in_memory().unwrap();
    let category = db.category("orders").unwrap();
    let first = category.append(1u64, &event(b"1"), ExpectedVersion::NoStream).unwrap();
    let before = db.last_seq();
    let long = "x".repeat(STREAM_ID_BYTES_MAX + 1);
    let many = [event(b"2"), event(b"3")];
    for events in [&many[..1], &many[..]] {
        for expected in [ExpectedVersion::NoStream, ExpectedVersion::Exact(1)] {
            let error = category.append_many(1u64, events, expected).unwrap_err();
            assert!(matches!(error, Error::VersionConflict { found: Some(0), .. }), "{error}");
        }
        let error = category.append_many(long.as_str(), events, ExpectedVersion::Any).unwrap_err();
        assert!(matches!(error, Error::StreamIdTooLong { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    for name in ["", " x", "x\n", &"x".repeat(KEYSPACE_NAME_BYTES_MAX + 1)] {
        let named = NewEvent::bytes(name, b"");
        let error = category.append(1u64, &named, ExpectedVersion::Any).unwrap_err();
        assert!(matches!(error, Error::InvalidName { .. }), "{error}");
    }
    assert_eq!(db.last_seq(), before, "what was refused took numbers");
    let second = category.append(1u64, &event(b"2"), ExpectedVersion::Exact(0)).unwrap();
    assert_eq!(second.first_seq, before.plus(1));
    assert_eq!(second.first_version, first.first_version + 1);
}

/// Nor does one for which there is no space, whichever way it comes, and once there is some it happens.
#[test]
fn a_failed_append_leaves_no_hole() {
    let disk = SimDisk::new(SimOptions::seeded(8));
    let open = || {
        let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
        builder.background(Background::Manual).open("db").unwrap()
    };
    let db = open();
    let (category, hashed) = (db.category("orders").unwrap(), db.hash_keyspace("cache").unwrap());
    let data = [7; 20_000];
    let (one, new) = (event(&data), NewEvent::bytes("new", &data));
    let any = ExpectedVersion::Any;
    // Each takes more than is left of a segment that two of them fit into.
    let mut count = 0;
    disk.set_capacity(300_000);
    let full = loop {
        match category.append(1u64, &one, any) {
            Ok(appended) => assert_eq!(appended.first_version, count),
            Err(error) => break error,
        }
        count += 1;
        assert!(count < 100, "the disk never filled");
    };
    assert_eq!(full.kind(), ErrorKind::Full, "{full}");
    let (last, types_count) = (db.last_seq(), category.event_types().len());
    let mixed = || {
        let mut batch = db.batch();
        batch.insert(&hashed, "k", data).unwrap();
        batch.append(&category, 2u64, &[one.clone(), new.clone()], any).unwrap();
        batch.append(&category, 1u64, std::slice::from_ref(&one), any).unwrap();
        batch.commit()
    };
    for _ in 0..2 {
        let exact = ExpectedVersion::Exact(count - 1);
        let refused = [
            category.append(1u64, &one, exact).map(drop),
            category.append(2u64, &new.clone().id(7), any).map(drop),
            category.append_many(1u64, &[one.clone(), new.clone()], any).map(drop),
            mixed().map(drop),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
        }
    }
    assert_eq!((db.last_seq(), category.event_types().len()), (last, types_count));
    assert_eq!((category.len(1u64).unwrap(), category.len(2u64).unwrap()), (count, 0));
    assert!(category.find(2u64, 7).unwrap().is_none() && hashed.is_empty());
    disk.clear_capacity();
    let next = category.append(1u64, &one, any).unwrap();
    assert_eq!((next.first_seq, next.first_version), (last.plus(1), count));
    mixed().unwrap();
    drop((category, hashed));
    db.close().unwrap();
    let db = open();
    let category = db.category("orders").unwrap();
    for (stream, count) in [(1u64, count + 2), (2, 2)] {
        let versions = category.read(stream).unwrap().map(|event| event.unwrap().version());
        assert!(versions.eq(0..count), "stream {stream}");
    }
}

/// What is refused leaves no type either, and what is appended brings its types along.
#[test]
fn a_type_comes_with_the_first_event_that_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let chained = KeyspaceOptions::default().chained();
    let all = [("orders", KeyspaceOptions::default()), ("audit", chained)];
    let all = &all[..if cfg!(feature = "chained-events") { 2 } else { 1 }];
    for (name, options) in all.iter().copied() {
        let category = db.create_category(name, options).unwrap();
        let before = db.last_seq();
        let of = |name| NewEvent::bytes(name, b"x");
        let exact = ExpectedVersion::Exact(7);
        category.append(1u64, &of("refused"), exact).unwrap_err();
        category.append_many(1u64, &[of("refused"), of("too")], exact).unwrap_err();
        let bad = [of("refused"), of("not\na name")];
        let error = category.append_many(1u64, &bad, ExpectedVersion::Any).unwrap_err();
        assert!(matches!(error, Error::InvalidName { .. }), "{error}");
        let twice = [of("refused").id(1), of("refused").id(1)];
        category.append_many(1u64, &twice, ExpectedVersion::Any).unwrap_err();
        let mut batch = db.batch();
        batch.append(&category, 1u64, &[of("refused")], exact).unwrap_err();
        assert!(batch.commit().unwrap().is_none());
        let mut dropped = db.batch();
        dropped.append(&category, 1u64, &[of("refused")], ExpectedVersion::Any).unwrap();
        drop(dropped);
        assert_eq!((db.last_seq(), category.event_types().len()), (before, 0));

        // Three that know nothing of each other.
        let [mut one, mut two, mut three] = [(); 3].map(|()| db.batch());
        let any = ExpectedVersion::Any;
        one.append(&category, 1u64, &[of("a"), of("b"), of("a")], any).unwrap();
        two.append(&category, 2u64, &[of("c"), of("b").version(2), of("b")], any).unwrap();
        three.append(&category, 1u64, &[of("c")], exact).unwrap_err();
        three.append(&category, 2u64, &[of("c"), of("d")], ExpectedVersion::NoStream).unwrap();
        let commit = one.commit().unwrap().unwrap();
        assert_eq!((commit.first_seq, commit.last_seq), (before.plus(3), before.plus(5)));
        let commit = two.commit().unwrap().unwrap();
        assert_eq!((commit.first_seq, commit.last_seq), (before.plus(8), before.plus(10)));
        three.commit().unwrap_err();
        assert_eq!(db.last_seq(), before.plus(10));
        let done = category.append(3u64, &of("e"), any).unwrap();
        assert_eq!((done.first_seq, db.last_seq()), (before.plus(12), before.plus(12)));
        assert_eq!(category.append(3u64, &of("e"), any).unwrap().first_seq, before.plus(13));
    }
    let check = |db: &Database| {
        for (name, _) in all {
            let category = db.open_category(name).unwrap();
            let types: Vec<String> =
                category.event_types().iter().map(|known| known.to_string()).collect();
            assert_eq!(types, ["a v1", "b v1", "c v1", "b v2", "e v1"]);
            let read = |id: u64| -> Vec<String> {
                let events = category.read(id).unwrap();
                events.map(|event| event.unwrap().event_type().to_string()).collect()
            };
            assert_eq!(read(1), ["a v1", "b v1", "a v1"]);
            assert_eq!(read(2), ["c v1", "b v2", "b v1"]);
            assert_eq!(read(3), ["e v1", "e v1"]);
            let seqs = category.read_all(Seq::ZERO).unwrap().of_type("b").count();
            assert_eq!(seqs, 3);
            if *name == "audit" {
                for id in 1..=3u64 {
                    category.verify_chain(id, None).unwrap();
                }
            }
        }
    };
    check(&db);
    let reader = Database::builder().read_only(true).open(dir.path().join("db")).unwrap();
    check(&reader);
    // A follower gets an event of a new type while it looks.
    let (category, seen) =
        (db.open_category("orders").unwrap(), reader.open_category("orders").unwrap());
    category.append(3u64, &NewEvent::bytes("f", b"x"), ExpectedVersion::Any).unwrap();
    assert_eq!(seen.last(3u64).unwrap().unwrap().event_type().name, "f");
    category.truncate_before(3u64, 2).unwrap();
    let mut batch = db.batch();
    let batched = NewEvent::bytes("g", b"x");
    batch.append(&category, 9u64, &[batched], ExpectedVersion::Any).unwrap();
    batch.commit().unwrap();
    category.delete(9u64).unwrap();
    drop((seen, reader, category));
    db.close().unwrap();
    let db = open(dir.path());
    let category = db.open_category("orders").unwrap();
    assert_eq!(category.event_types().len(), 7);
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
}

#[test]
fn a_batch_whose_five_hundredth_event_is_refused_stores_nothing() {
    let db = Database::open_in_memory().unwrap();
    let (category, stock) = (db.category("orders").unwrap(), db.hash_keyspace("stock").unwrap());
    category.append("late", &event(b"0").id(77), ExpectedVersion::Any).unwrap();
    let before = db.last_seq();

    // Refused when it is added.
    let mut batch = db.batch();
    for n in 0..499u64 {
        batch.append(&category, n % 7, &[event(&n.to_le_bytes())], ExpectedVersion::Any).unwrap();
    }
    let held = (batch.len(), batch.len_bytes());
    for (five_hundredth, expected) in
        [(event(b"x"), ExpectedVersion::Exact(9)), (event(b"x").id(77), ExpectedVersion::Any)]
    {
        let refused = batch.append(&category, "late", &[five_hundredth], expected);
        refused.unwrap_err();
        assert_eq!((batch.len(), batch.len_bytes()), held);
    }
    drop(batch);
    assert_eq!((db.last_seq(), category.streams_count().unwrap()), (before, 1));

    // Refused when it is committed, since somebody was faster.
    for retries in [false, true] {
        let mut batch = db.batch();
        let last = category.last("late").unwrap().unwrap().version();
        for n in 0..1_000u64 {
            batch.insert(&stock, n.to_le_bytes(), "x").unwrap();
            if n == 499 {
                let one = if retries { event(b"x").id(78) } else { event(b"x") };
                let expected = match retries {
                    true => ExpectedVersion::Any,
                    false => ExpectedVersion::Exact(last),
                };
                batch.append(&category, "late", &[one], expected).unwrap();
            } else {
                let data = n.to_le_bytes();
                let events = [event(&data)];
                batch.append(&category, n % 7, &events, ExpectedVersion::Any).unwrap();
            }
        }
        let theirs = if retries { event(b"theirs").id(78) } else { event(b"theirs") };
        category.append("late", &theirs, ExpectedVersion::Any).unwrap();
        let before = db.last_seq();
        let error = batch.commit().unwrap_err();
        let is_right = match error {
            Error::VersionConflict { found, .. } => !retries && found == Some(last + 1),
            Error::DuplicateEvent { id, .. } => retries && id == 78,
            _ => false,
        };
        assert!(is_right, "{error}");
        assert_eq!((db.last_seq(), stock.len()), (before, 0));
        assert_eq!(category.streams_count().unwrap(), 1);
        assert_eq!(category.len("late").unwrap(), last + 2);
    }
    // And the many of one append.
    let data: Vec<_> = (0..1_000u64).map(u64::to_le_bytes).collect();
    let mut events: Vec<_> = data.iter().map(|data| event(data)).collect();
    events[499] = event(b"x").id(77);
    let before = db.last_seq();
    let error = category.append_many("late", &events, ExpectedVersion::Any).unwrap_err();
    assert!(matches!(error, Error::DuplicateEvent { id: 77, .. }), "{error}");
    assert_eq!((db.last_seq(), category.len("late").unwrap()), (before, 3));
}

#[test]
fn an_append_that_has_an_id_twice_is_refused() {
    let db = Database::open_in_memory().unwrap();
    let category = db.category("orders").unwrap();
    let twice = [event(b"1").id(1), event(b"2").id(2), event(b"3").id(1)];
    let error = category.append_many("a", &twice, ExpectedVersion::Any).unwrap_err();
    assert!(matches!(error, Error::DuplicateEvent { id: 1, .. }), "{error}");
    assert_eq!(category.len("a").unwrap(), 0);
    let mut batch = db.batch();
    let error = batch.append(&category, "a", &twice, ExpectedVersion::Any).unwrap_err();
    assert!(matches!(error, Error::DuplicateEvent { id: 1, .. }), "{error}");
    assert!(batch.is_empty());
    batch.append(&category, "a", &twice[..1], ExpectedVersion::Any).unwrap();
    batch.append(&category, "a", &twice[2..], ExpectedVersion::Any).unwrap_err();
    // In another stream it is another event.
    batch.append(&category, "b", &twice[2..], ExpectedVersion::Any).unwrap();
    batch.commit().unwrap();
    let len = |id| category.len(id).unwrap();
    assert_eq!((len("a"), len("b")), (1, 1));
}

#[test]
fn ten_thousand_categories_with_names_of_any_length_work() {
    const COUNT: usize = 10_000;
    // Each of these costs another change to the catalog.
    const WITH_EVENTS: usize = 20;
    let name = |n: usize| {
        let len = 5 + n % (KEYSPACE_NAME_BYTES_MAX - 4);
        let mut name = format!("{n:05}");
        name.extend(std::iter::repeat_n('x', len - 5));
        name
    };
    let dir = tempfile::tempdir().unwrap();
    let db = Database::builder().background(Background::Manual).open(dir.path()).unwrap();
    for n in 0..COUNT {
        let category = db.category(&name(n)).unwrap();
        if n.is_multiple_of(WITH_EVENTS) {
            let data = n.to_le_bytes();
            category.append(n as u64, &event(&data), ExpectedVersion::NoStream).unwrap();
        }
    }
    for too_long in [KEYSPACE_NAME_BYTES_MAX + 1, 2 * KEYSPACE_NAME_BYTES_MAX, 100_000] {
        let error = db.category(&"x".repeat(too_long)).unwrap_err();
        assert!(matches!(error, Error::InvalidName { .. }), "{error}");
    }
    let check = |db: &Database| {
        for n in 0..COUNT {
            let category = db.open_category(&name(n)).unwrap();
            let streams_count = u64::from(n.is_multiple_of(WITH_EVENTS));
            assert_eq!(category.streams_count().unwrap(), streams_count);
            if streams_count == 0 {
                continue;
            }
            let last = category.last(n as u64).unwrap().unwrap();
            assert_eq!((last.category(), last.data()), (&*name(n), &n.to_le_bytes()[..]));
        }
        let mut n = 0;
        for event in db.read_all(Seq::ZERO).unwrap() {
            let event = event.unwrap();
            assert_eq!((event.category(), event.stream()), (&*name(n), (n as u64).into()));
            n += WITH_EVENTS;
        }
        assert_eq!(n, COUNT);
    };
    check(&db);
    db.checkpoint().unwrap();
    db.close().unwrap();
    let db = Database::builder().background(Background::Manual).open(dir.path()).unwrap();
    assert_eq!(db.keyspaces().len(), COUNT);
    check(&db);
}

#[test]
fn an_id_of_the_largest_number_works() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let category = db.category("orders").unwrap();
    let ids: [StreamId<'_>; 6] = [
        u64::MAX.into(),
        (u64::MAX - 1).into(),
        0u64.into(),
        StreamId::Uuid(u128::MAX),
        StreamId::Uuid(u128::from(u64::MAX)),
        "18446744073709551615".into(),
    ];
    for round in 0..40u64 {
        for (n, id) in ids.iter().enumerate() {
            let data = [round as u8, n as u8];
            let new = event(&data).id(u128::MAX - u128::from(round));
            let done = category.append(id, &new, ExpectedVersion::Any).unwrap();
            assert_eq!((done.first_version, done.was_there), (round, false), "{id}");
        }
        // A retry is known in each of them.
        let again = event(b"").id(u128::MAX - u128::from(round));
        for id in &ids {
            assert!(category.append(id, &again, ExpectedVersion::Any).unwrap().was_there);
        }
    }
    drop(category);
    for round in 0..3 {
        let category = db.open_category("orders").unwrap();
        let mut told = Vec::new();
        category
            .each_stream(|id, last| {
                told.push((id.into_owned(), last));
                Ok(())
            })
            .unwrap();
        assert_eq!(told.len(), ids.len());
        for (n, id) in ids.iter().enumerate() {
            assert!(told.contains(&(id.clone(), 39)), "{id} in {told:?}");
            for (version, event) in category.read(id).unwrap().enumerate() {
                let event = event.unwrap();
                assert_eq!(event.stream(), *id);
                assert_eq!(event.data(), [version as u8, n as u8]);
            }
            assert!(category.get(id, u64::MAX).unwrap().is_none());
            assert_eq!(category.read(id).unwrap().from(u64::MAX).count(), 0);
            assert_eq!(category.read(id).unwrap().back_from(u64::MAX).count(), 40);
        }
        if round == 1 {
            db.compact().unwrap();
        }
    }
    let mut reopened = db;
    for _ in 0..2 {
        reopened.close().unwrap();
        reopened = open(dir.path());
        let category = reopened.open_category("orders").unwrap();
        assert!(ids.iter().all(|id| category.len(id).unwrap() == 40));
    }
}

#[test]
fn an_open_iterator_never_blocks_or_fails_an_append_of_the_same_thread() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let (category, churn) = (db.category("orders").unwrap(), db.hash_keyspace("churn").unwrap());
    let append = |n: u64| {
        let data = n.to_le_bytes();
        category.append("a", &event(&data), ExpectedVersion::Any).unwrap();
        churn.insert((n % 5).to_le_bytes(), [1; 3_000]).unwrap();
    };
    for n in 0..200 {
        append(n);
    }
    let forward = category.read("a").unwrap();
    let back = category.read("a").unwrap().back();
    let (all, of_category) =
        (db.read_all(Seq::ZERO).unwrap(), category.read_all(Seq::ZERO).unwrap());
    let (until, mut n) = (all.until(), 200);
    let readers = forward.zip(back).zip(all.zip(of_category));
    let mut kept = Vec::new();
    for (version, ((forward, back), (one, other))) in (0u64..).zip(readers) {
        let [forward, back, one, other] = [forward, back, one, other].map(Result::unwrap);
        assert_eq!((forward.version(), back.version()), (version, 199 - version));
        assert_eq!((one.version(), other.version()), (version, version));
        assert!(one.seq() <= until);
        kept.push((forward, one));
        append(n);
        let mut batch = db.batch();
        batch.append(&category, "b", &[event(b"1"), event(b"2")], ExpectedVersion::Any).unwrap();
        batch.insert(&churn, "b", [1; 500]).unwrap();
        batch.commit().unwrap();
        n += 1;
        if version.is_multiple_of(16) {
            db.compact().unwrap();
            db.checkpoint().unwrap();
        }
        category
            .each_stream(|id, _| {
                let id = id.into_owned();
                category.append(&id, &event(b"from within"), ExpectedVersion::StreamExists)?;
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(kept.len(), 200, "readers end with what was there when they were made");
    for (version, (forward, one)) in (0u64..).zip(&kept) {
        assert_eq!(forward.data(), version.to_le_bytes(), "what was read stays as it was");
        assert_eq!((one.seq(), one.data()), (forward.seq(), forward.data()));
    }
    assert!(db.stats().log.recycled_count > 0, "no segment was used again meanwhile");
}

#[test]
fn a_reader_that_refreshes_goes_on_without_gap_or_duplicate() {
    let db = Database::open_in_memory().unwrap();
    let category = db.category("orders").unwrap();
    let mut reader = category.read("a").unwrap();
    let (mut next, mut appended) = (0, 0u64);
    for step in [1, 2, 31, 32, 33, 1, 64, 100] {
        assert!(reader.next().is_none());
        for _ in 0..step {
            category.append("a", &event(b"x"), ExpectedVersion::Any).unwrap();
            appended += 1;
        }
        assert!(reader.next().is_none(), "it ends with what was there");
        reader.refresh().unwrap();
        for event in reader.by_ref().take(step / 2) {
            assert_eq!(event.unwrap().version(), next);
            next += 1;
        }
        let mut clone = reader.clone();
        for event in reader.by_ref() {
            let event = event.unwrap();
            assert_eq!(event.version(), next);
            assert_eq!(clone.next().unwrap().unwrap().seq(), event.seq());
            next += 1;
        }
        assert_eq!(next, appended);
    }
}

#[test]
fn a_category_that_was_dropped_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let old = db.category("orders").unwrap();
    for n in 0..50u128 {
        old.append(1u64, &event(b"old").id(n), ExpectedVersion::Any).unwrap();
    }
    let mut batch = db.batch();
    batch.append(&old, 1u64, &[event(b"late")], ExpectedVersion::Any).unwrap();
    let mut reader = old.read(1u64).unwrap();
    reader.next().unwrap().unwrap();
    drop(reader);
    db.drop_keyspace("orders").unwrap();
    let dropped = |error: Error| {
        assert!(matches!(error, Error::KeyspaceDropped { .. }), "{error}");
    };
    dropped(batch.commit().unwrap_err());
    dropped(old.append(1u64, &event(b""), ExpectedVersion::Any).unwrap_err());
    dropped(old.append(1u64, &NewEvent::bytes("new", b""), ExpectedVersion::Any).unwrap_err());
    dropped(old.get(1u64, 0).map(drop).unwrap_err());
    dropped(old.len(1u64).unwrap_err());
    dropped(old.read_all(Seq::ZERO).map(drop).unwrap_err());
    let new = db.category("orders").unwrap();
    dropped(old.append(1u64, &event(b""), ExpectedVersion::Any).unwrap_err());
    assert_eq!(new.event_types().len(), 0);
    assert_eq!(db.read_all(Seq::ZERO).unwrap().count(), 0);
    let done = new.append(1u64, &event(b"new").id(7), ExpectedVersion::NoStream).unwrap();
    assert_eq!((done.first_version, done.was_there), (0, false), "ids begin anew too");
    db.compact().unwrap();
    let after = db.read_all(Seq::ZERO).unwrap().map(|e| e.unwrap().data().to_vec());
    assert_eq!(after.collect::<Vec<_>>(), [b"new"]);
    drop((old, new));
    db.close().unwrap();
    let db = open(dir.path());
    assert_eq!(db.open_category("orders").unwrap().len(1u64).unwrap(), 1);
}

#[test]
fn each_stream_is_told_once_while_its_events_are_moved() {
    const STREAMS: u64 = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let (category, churn) = (db.category("orders").unwrap(), db.hash_keyspace("churn").unwrap());
    for n in 0..STREAMS {
        category.append(n, &event(b"x"), ExpectedVersion::NoStream).unwrap();
        churn.insert((n % 3).to_le_bytes(), [1; 300]).unwrap();
    }
    let mut told = BTreeSet::new();
    category
        .each_stream(|id, last| {
            assert_eq!(last, 0, "stream {id}");
            assert!(told.insert(id.to_string()), "stream {id} was told twice");
            if told.len() % 30 == 1 {
                // Segments are given up, and used for something else.
                for n in 0..150u64 {
                    churn.insert((n % 3).to_le_bytes(), [2; 900])?;
                }
                db.compact()?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(told.len() as u64, STREAMS);
    assert!(db.stats().log.recycled_count > 0);
}

#[test]
fn a_read_only_handle_reads_what_was_appended_whatever_it_asks_first() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(SimOptions::seeded(1)));
    let builder = || {
        let builder = Database::builder().disk(Arc::clone(&disk)).segment_bytes(64 << 10);
        builder.background(Background::Manual)
    };
    let db = builder().open("db").unwrap();
    let category = db.category("orders").unwrap();
    let reader = builder().read_only(true).open("db").unwrap();
    let theirs = reader.open_category("orders").unwrap();
    for n in 0..120u64 {
        category.append(n, &event(b"x"), ExpectedVersion::NoStream).unwrap();
        if n % 30 == 29 {
            db.compact().unwrap();
        }
        let count = n + 1;
        let found = match n % 8 {
            0 => theirs.read_all(Seq::ZERO).unwrap().count() as u64,
            1 => reader.read_all(Seq::ZERO).unwrap().count() as u64,
            2 => theirs.streams_count().unwrap(),
            3 => n + theirs.len(n).unwrap(),
            4 => n + theirs.read(n).unwrap().count() as u64,
            5 => n + u64::from(theirs.get(n, 0).unwrap().is_some()),
            6 => n + u64::from(theirs.last(n).unwrap().is_some()),
            _ => {
                let mut told = 0;
                theirs
                    .each_stream(|_, _| {
                        told += 1;
                        Ok(())
                    })
                    .unwrap();
                told
            }
        };
        assert_eq!(found, count, "asked in way {}", n % 8);
        let error = theirs.append(n, &event(b"x"), ExpectedVersion::Any).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
    }
}
