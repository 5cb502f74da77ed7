use super::{ExpectedVersion::*, *};
use crate::{Background, Builder, Database, Error, Result};
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_events::EventFormat;
use annals_journal::Seq;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

fn data_of(event: &RecordedEvent<'_>) -> Vec<u8> {
    event.data().to_vec()
}

fn all(category: &Category, id: u64) -> Result<Vec<Vec<u8>>> {
    category.read(id)?.map(|event| Ok(data_of(&event?))).collect()
}

/// What the streams of a category should be.
type Model = BTreeMap<u64, Vec<Vec<u8>>>;

/// Everything that a category has agrees with the model, whichever way it is read.
fn check(db: &Database, category: &Category, model: &Model) -> Result<()> {
    let mut in_order: BTreeMap<Seq, (u64, u64)> = BTreeMap::new();
    for (id, events) in model {
        assert_eq!(category.len(*id)?, events.len() as u64);
        let mut last_seq = Seq::ZERO;
        for (version, event) in category.read(*id)?.enumerate() {
            let event = event?;
            assert_eq!((event.version(), event.stream()), (version as u64, (*id).into()));
            assert_eq!(event.data(), events[version], "stream {id}, version {version}");
            assert!(event.data().as_ptr().addr().is_multiple_of(8));
            assert!(event.seq() > last_seq);
            last_seq = event.seq();
            in_order.insert(last_seq, (*id, version as u64));
        }
        let mut back: Vec<_> = category.read(*id)?.back().collect::<Result<_>>()?;
        back.reverse();
        assert_eq!(back.iter().map(data_of).collect::<Vec<_>>(), *events);
        for version in [0, events.len() as u64 / 2, events.len() as u64 - 1] {
            let event = category.get(*id, version)?.expect("it has this version");
            assert_eq!(event.data(), events[version as usize]);
        }
        assert!(category.get(*id, events.len() as u64)?.is_none());
    }
    let mut read = Vec::new();
    for event in db.read_all(Seq::ZERO)? {
        let event = event?;
        let StreamId::Number(id) = event.stream() else { panic!("{event:?}") };
        assert_eq!(event.data(), model[&id][event.version() as usize]);
        read.push((event.seq(), (id, event.version())));
    }
    assert_eq!(read, in_order.into_iter().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn what_is_appended_is_read_in_order() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let mut model = Model::new();
    for n in 0..500u64 {
        for id in [1, n % 7, u64::MAX - n % 3] {
            let data = format!("event {n} of {id}").into_bytes();
            let events = model.entry(id).or_default();
            let expected = match events.len() {
                0 => NoStream,
                len => Exact(len as u64 - 1),
            };
            let appended = category.append(id, &NewEvent::bytes("happened", &data), expected)?;
            assert_eq!(appended.last_version, events.len() as u64);
            events.push(data);
        }
    }
    check(&db, &category, &model)?;
    assert_eq!(category.streams_count()?, model.len() as u64);
    let mut told = BTreeMap::new();
    category.each_stream(|id, last| {
        told.insert(id.to_string(), last + 1);
        Ok(())
    })?;
    let wanted = model.iter().map(|(id, events)| (id.to_string(), events.len() as u64));
    assert_eq!(told, wanted.collect());
    Ok(())
}

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
fn streams_of_every_length_and_span_are_read_from_everywhere() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("lengths")?;
    for len in [1u64, 2, 15, 16, 17, 31, 32, 33, 100] {
        let data: Vec<[u8; 8]> = (0..len).map(u64::to_le_bytes).collect();
        let events: Vec<_> = data.iter().map(|data| NewEvent::bytes("n", data)).collect();
        category.append_many(len, &events, NoStream)?;
        for from in 0..=len + 1 {
            let read: Vec<u64> =
                category.read(len)?.from(from).map(|e| Ok(e?.version())).collect::<Result<_>>()?;
            assert_eq!(read, (from..len).collect::<Vec<_>>());
            let back: Vec<u64> = category
                .read(len)?
                .back_from(from)
                .map(|e| Ok(e?.version()))
                .collect::<Result<_>>()?;
            assert_eq!(back, (0..len.min(from + 1)).rev().collect::<Vec<_>>());
        }
    }
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

#[test]
fn nothing_is_lost_by_reopening_compaction_and_a_lost_checkpoint() -> Result<()> {
    for lose_checkpoint in [false, true] {
        let disk = SimDisk::new(SimOptions::seeded(3));
        let mut model = Model::new();
        let mut n = 0u64;
        for round in 0..12u64 {
            let db = small(&disk).open("db")?;
            let (category, hashed) = (db.category("orders")?, db.hash_keyspace("churn")?);
            check(&db, &category, &model)?;
            for _ in 0..300 {
                n += 1;
                let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
                let data = format!("{n} in round {round}").into_bytes();
                let mut event = NewEvent::bytes("happened", &data);
                if n.is_multiple_of(3) {
                    event = event.id(n.into());
                }
                category.append(id, &event, Any)?;
                model.entry(id).or_default().push(data);
                // What dies, so that segments are given up.
                hashed.insert((n % 10).to_be_bytes(), [1; 400])?;
            }
            let before = db.stats().log.content_bytes;
            let report = db.compact()?;
            assert!(report.moved_count > 0 || round == 0, "round {round}: {report:?}");
            assert!(db.stats().log.content_bytes < before);
            check(&db, &category, &model)?;
            if round % 2 == 0 {
                category.append(1u64, &NewEvent::bytes("happened", b"late"), Any)?;
                model.entry(1).or_default().push(b"late".to_vec());
            }
            assert!(
                category
                    .append(
                        n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58,
                        &NewEvent::bytes("happened", b"").id((n / 3 * 3).into()),
                        Any
                    )?
                    .was_there
                    || !n.is_multiple_of(3)
            );
            db.close()?;
            if lose_checkpoint {
                let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "ckp");
                for path in disk.paths().into_iter().filter(is_one) {
                    disk.remove(&path).expect("removed");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_subscription_tells_what_is_there_and_what_comes_once_each() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = small(&disk).open("db")?;
    let (category, other) = (db.category("orders")?, db.category("users")?);
    let hashed = db.hash_keyspace("churn")?;
    let (mut appended, mut seen) = (Vec::new(), Vec::new());
    let mut late = db.subscribe(Seq::ZERO)?;
    let mut of_one = category.subscribe_to(3u64, Seq::ZERO)?;
    let mut by_type = db.subscribe(Seq::ZERO)?.of_type("rare");
    let mut live = category.subscribe(Seq::ZERO)?;
    for n in 0..3_000u64 {
        let name = if n % 100 == 7 { "rare" } else { "often" };
        let data = n.to_le_bytes();
        let event = NewEvent::bytes(name, &data);
        category.append(n % 5, &event, Any)?;
        appended.push(n);
        other.append("x", &NewEvent::bytes("other", b""), Any)?;
        hashed.insert((n % 10).to_be_bytes(), [1; 300])?;
        if n % 700 == 699 {
            // Under a reader that has come to the end, and under one that has not begun.
            db.compact()?;
        }
        if n % 13 == 0 {
            while let Some(event) = live.try_next()? {
                seen.push(u64::from_le_bytes(event.data().try_into().expect("a number")));
            }
        }
    }
    while let Some(event) = live.try_next()? {
        seen.push(u64::from_le_bytes(event.data().try_into().expect("a number")));
    }
    assert_eq!(seen, appended);
    let mut count = 0;
    let mut last = Seq::ZERO;
    while let Some(event) = late.try_next()? {
        assert!(event.seq() > last);
        last = event.seq();
        count += 1;
    }
    assert_eq!(count, 2 * appended.len());
    let mut versions = Vec::new();
    while let Some(event) = of_one.try_next()? {
        assert_eq!(event.stream(), 3u64.into());
        versions.push(event.version());
    }
    assert_eq!(versions, (0..600).collect::<Vec<_>>());
    let mut rare = 0;
    while let Some(event) = by_type.try_next()? {
        assert_eq!(event.event_type().name, "rare");
        rare += 1;
    }
    assert_eq!(rare, 30);
    // One that goes on where another was.
    let mut again = category.subscribe(live.position())?;
    assert!(again.try_next()?.is_none());
    category.append(1u64, &NewEvent::bytes("often", b""), Any)?;
    assert!(again.try_next()?.is_some() && again.try_next()?.is_none());
    Ok(())
}

#[test]
fn a_task_is_woken() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let (appender, tasks) = (category.clone(), 3);
    std::thread::scope(|scope| {
        let seen: Vec<_> = (0..tasks)
            .map(|_| {
                let category = &category;
                scope.spawn(move || -> Result<u64> {
                    let mut events = category.subscribe(Seq::ZERO)?;
                    let mut count = 0;
                    let work = async {
                        while count < 200 {
                            let event = events.next_async().await?.expect("it is open");
                            assert_eq!(event.version(), count);
                            count += 1;
                        }
                        Ok::<(), Error>(())
                    };
                    block_on(work)?;
                    Ok(count)
                })
            })
            .collect();
        for n in 0..200u64 {
            appender.append(7u64, &NewEvent::bytes("n", b""), Any)?;
            if n % 10 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        for one in seen {
            assert_eq!(one.join().expect("no panic")?, 200);
        }
        Ok(())
    })
}

/// The smallest runtime there is.
fn block_on<F: Future>(work: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut work = std::pin::pin!(work);
    loop {
        match work.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => return done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// Sums what streams say, and fails at some events.
struct Sums {
    sums: crate::HashKeyspace,
    fails_at: Option<u64>,
}

impl Projection for Sums {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        let key = event.stream().to_string();
        let before = work.get(&self.sums, &key)?;
        let before = before.map_or(0, |raw| u64::from_le_bytes(raw.try_into().expect("a number")));
        let added = u64::from_le_bytes(event.data().try_into().expect("a number"));
        work.insert(&self.sums, key, (before + added).to_le_bytes());
        // Behind the writes: they must not stay.
        if self.fails_at == Some(added) {
            return Err(Error::Refused(format!("not {added}")));
        }
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        self.sums.clear()
    }
}

#[test]
fn a_projection_counts_each_event_once() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    let mut n = 0u64;
    for round in 0..6u64 {
        let db = small(&disk).open("db")?;
        let (category, sums) = (db.category("orders")?, db.hash_keyspace("sums")?);
        for _ in 0..1_700 {
            n += 1;
            category.append(n % 9, &NewEvent::bytes("n", &n.to_le_bytes()), Any)?;
            *wanted.entry((n % 9).to_string()).or_default() += n;
        }
        let fails_at = (round == 2).then_some(n - 100);
        let projection = Sums { sums: sums.clone(), fails_at };
        let mut projector = Projector::new(&db, "sums", projection)?;
        if fails_at.is_some() {
            for _ in 0..2 {
                assert!(matches!(projector.catch_up(), Err(Error::Refused(_))));
                // What came before it is there, and nothing of it.
                let mut sum = 0;
                for entry in sums.iter()? {
                    let value = entry?.value().to_vec();
                    sum += u64::from_le_bytes(value.try_into().expect("a number"));
                }
                assert_eq!(sum, (1..n - 100).sum::<u64>());
            }
            let projection = Sums { sums: sums.clone(), fails_at: None };
            projector = Projector::new(&db, "sums", projection)?;
        }
        match round {
            // Closed before it has come to the end.
            0 => drop(projector.step()?),
            4 => {
                projector.rebuild()?;
                projector.catch_up()?;
            }
            _ => drop(projector.catch_up()?),
        }
        if round > 0 {
            assert_eq!(projector.lag(), 0);
            for (key, sum) in &wanted {
                let found = sums.get(key)?.expect("a sum").to_vec();
                assert_eq!(u64::from_le_bytes(found.try_into().expect("a number")), *sum);
            }
        }
        drop(projector);
        db.close()?;
    }
    Ok(())
}

#[test]
fn a_subscription_does_not_pass_over_what_stands_behind_damage() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(6));
    let db = small(&disk).open("db")?;
    let category = db.category("orders")?;
    for n in 0..20u64 {
        category.append(n, &NewEvent::bytes("n", format!("event {n:02}").as_bytes()), Any)?;
    }
    drop(category);
    db.close()?;
    let needle = b"event 11";
    for path in disk.paths() {
        let bytes = disk.file_bytes(&path).unwrap_or_default();
        if let Some(at) = bytes.windows(needle.len()).position(|some| some == needle) {
            disk.flip_bit(&path, at as u64, 0).expect("flipped");
        }
    }
    let db = small(&disk).open("db")?;
    let mut events = db.subscribe(Seq::ZERO)?;
    for n in 0..11u64 {
        let event = events.try_next()?.expect("it is whole");
        assert_eq!(event.stream(), n.into());
    }
    for _ in 0..3 {
        let error = events.try_next().map(drop).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Corrupt, "{error}");
    }
    Ok(())
}

/// The numbers of the events that a scan gives.
fn numbers(events: Events<'_>) -> Result<Vec<Seq>> {
    events.map(|event| Ok(event?.seq())).collect()
}

#[test]
fn what_has_nothing_that_is_wanted_is_passed_by() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let mut db = small(&disk).segment_bytes(1 << 20).open("db")?;
    let (orders, carts) = (db.category("orders")?, db.category("carts")?);
    let mut known: BTreeMap<(bool, &str), Vec<Seq>> = BTreeMap::new();
    for n in 0..3000u64 {
        let of_type = ["placed", "paid", "sent"][(n / 500 % 3) as usize];
        let is_cart = n / 250 % 4 == 1;
        let category = if is_cart { &carts } else { &orders };
        // Some of them go through pieces in which nothing begins.
        let data = vec![n as u8; if n % 400 == 7 { 20_000 } else { 500 }];
        let done = category.append(n % 7, &NewEvent::bytes(of_type, &data), Any)?;
        known.entry((is_cart, of_type)).or_default().push(done.first_seq);
    }
    drop((orders, carts));
    for round in 0..3 {
        let core = db.core.core();
        let (orders, carts) = (db.open_category("orders")?, db.open_category("carts")?);
        let none = || Vec::new();
        let passed = core.index.passed();
        for of_type in ["placed", "paid", "sent", "none"] {
            let of = |is_cart| known.get(&(is_cart, of_type)).cloned().unwrap_or_else(none);
            let mut both = [of(false), of(true)].concat();
            both.sort_unstable();
            for from in [Seq::ZERO, Seq(700), Seq(2999), Seq(9999)] {
                let (category, later) = (&orders, |seq: &Seq| *seq >= from);
                let found = numbers(category.read_all(from)?.of_type(of_type))?;
                assert_eq!(found, of(false).into_iter().filter(later).collect::<Vec<_>>());
                let found = numbers(db.read_all(from)?.of_type(of_type))?;
                assert_eq!(found, both.iter().copied().filter(later).collect::<Vec<_>>());
            }
        }
        let of_carts = known.iter().filter(|((is_cart, _), _)| *is_cart);
        let mut of_carts: Vec<_> = of_carts.flat_map(|(_, seqs)| seqs.clone()).collect();
        of_carts.sort_unstable();
        assert_eq!(numbers(carts.read_all(Seq::ZERO)?)?, of_carts);
        // What a scan does not learn, since it goes past pieces only, stays unknown.
        let before = core.index.passed();
        assert!(before > passed, "round {round}: {before} after {passed}");
        assert_eq!(numbers(carts.read_all(Seq::ZERO)?)?, of_carts);
        // A quarter of more than a mebibyte and a half in pieces of 4 KiB.
        let now = core.index.passed() - before;
        assert!(now > 150, "round {round}: {now} pieces were passed by");
        drop((orders, carts));
        if round == 1 {
            db.compact()?;
            db.close()?;
            db = small(&disk).segment_bytes(1 << 20).open("db")?;
        }
    }
    Ok(())
}

/// Reading with a filter is reading everything and leaving out what the filter does.
#[test]
fn a_filtered_scan_is_the_scan_with_less() -> Result<()> {
    for seed in 0..4 {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let db = small(&disk).compact_below(0.9).open("db")?;
        let reader = small(&disk).read_only(true).open("db")?;
        let categories = [db.category("a")?, db.category("b")?, db.category("c")?];
        let churn = db.hash_keyspace("churn")?;
        let mut random = seed + 1;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let types = ["x", "y", "z"];
        for step in 0..400u64 {
            let category = &categories[next(6).saturating_sub(3) as usize];
            match next(12) {
                0 => churn.insert(next(9).to_le_bytes(), vec![1; 2000])?,
                1 => {
                    let data = vec![step as u8; next(30_000) as usize];
                    category.append(next(5), &NewEvent::bytes("large", &data), Any)?;
                }
                2..5 => {
                    let events: Vec<_> = (0..=next(60))
                        .map(|_| NewEvent::bytes(types[next(3) as usize], b"many"))
                        .collect();
                    category.append_many(next(5), &events, Any)?;
                }
                _ => {
                    let of_type = types[(step / 60 % 3) as usize];
                    category.append(next(5), &NewEvent::bytes(of_type, &[7; 90]), Any)?;
                }
            }
            if step % 50 == 17 {
                db.compact()?;
            }
            if step % 20 != 0 {
                continue;
            }
            for db in [&db, &reader] {
                let all: Vec<_> = db.read_all(Seq::ZERO)?.collect::<Result<_>>()?;
                let from = Seq(next(1 + all.len() as u64 * 2));
                for category in ["a", "b", "c"].map(|name| db.open_category(name)) {
                    let category = category?;
                    for of_type in [None, Some("x"), Some("large"), Some("unknown")] {
                        let is_wanted = |event: &&RecordedEvent<'_>| {
                            event.category() == category.name()
                                && of_type.is_none_or(|of_type| event.event_type().name == of_type)
                        };
                        for from in [Seq::ZERO, from] {
                            let wanted = all.iter().filter(|event| event.seq() >= from);
                            let wanted: Vec<_> =
                                wanted.filter(is_wanted).map(RecordedEvent::seq).collect();
                            let events = category.read_all(from)?;
                            let events = match of_type {
                                Some(of_type) => events.of_type(of_type),
                                None => events,
                            };
                            assert_eq!(numbers(events)?, wanted, "seed {seed}, step {step}");
                        }
                    }
                }
            }
        }
        assert!(db.core.core().index.passed() > 0 && reader.core.core().index.passed() > 0);
    }
    Ok(())
}
