//! Events read in batches, and one by one in a row, are those that are read one after the other.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Builder, Category, Database, Error, EventBatch, ExpectedVersion, NewEvent,
    RecordedEvent, Result, Seq,
};
use annals_events::Event;
use std::{collections::BTreeMap, sync::Arc};

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

type Told = (Seq, String, String, u64, String, u64, Vec<u8>);

fn told(event: &RecordedEvent<'_>) -> Told {
    let (category, stream) = (event.category().to_owned(), event.stream().to_string());
    let event_type = event.event_type().to_string();
    let data = event.data().to_vec();
    (event.seq(), category, stream, event.version(), event_type, event.time_ms(), data)
}

fn each<'a>(events: impl Iterator<Item = Result<RecordedEvent<'a>>>) -> Result<Vec<Told>> {
    events.map(|event| Ok(told(&event?))).collect()
}

fn batched<'a>(batches: impl Iterator<Item = Result<EventBatch<'a>>>) -> Result<Vec<Told>> {
    let mut all = Vec::new();
    for batch in batches {
        let batch = batch?;
        assert!(!batch.is_empty());
        let events: Vec<_> = batch.iter().map(|event| told(&event)).collect();
        assert_eq!(events.len(), batch.len());
        let mut back: Vec<_> = batch.iter().rev().map(|event| told(&event)).collect();
        back.reverse();
        assert_eq!(back, events);
        assert_eq!(batch.get(events.len() - 1).as_ref().map(told), events.last().cloned());
        assert!(batch.get(events.len()).is_none());
        all.extend(events);
    }
    Ok(all)
}

/// Whatever is read, and from wherever: in batches it is the same.
fn check(db: &Database, categories: &[Category]) -> Result<()> {
    let last = db.last_seq().0;
    for from in [0, 1, last / 3, last / 2, last, last + 1].map(Seq) {
        let all = each(db.read_all(from)?)?;
        assert_eq!(batched(db.read_all(from)?.batches())?, all);
        for name in ["odd", "even", "none"] {
            let of_type = each(db.read_all(from)?.of_type(name))?;
            assert_eq!(batched(db.read_all(from)?.of_type(name).batches())?, of_type);
        }
    }
    for category in categories {
        // Twice: the index is made by the first one.
        for _ in 0..2 {
            let all = each(category.read_all(Seq::ZERO)?)?;
            assert_eq!(batched(category.read_all(Seq::ZERO)?.batches())?, all);
        }
        let mut streams = Vec::new();
        category.each_stream(|id, last| {
            streams.push((id.into_owned(), last));
            Ok(())
        })?;
        for (id, last) in streams {
            for from in [0, 1, 15, 16, 17, last / 2, last, last + 1] {
                let forward = each(category.read(&id)?.from(from))?;
                assert_eq!(batched(category.read(&id)?.from(from).batches())?, forward);
                let back = each(category.read(&id)?.back_from(from))?;
                assert_eq!(batched(category.read(&id)?.back_from(from).batches())?, back);
            }
            let forward = each(category.read(&id)?)?;
            let mut back = batched(category.read(&id)?.back().batches())?;
            back.reverse();
            assert_eq!(back, forward);
            // What was read before in the same reader is not read again.
            let mut reader = category.read(&id)?;
            let begun: Vec<_> = reader.by_ref().take(5).collect::<Result<_>>()?;
            assert_eq!(batched(reader.batches())?, forward[begun.len()..]);
            // One by one, in a row, and then some out of it.
            let of_version: BTreeMap<_, _> =
                forward.iter().map(|event| (event.3, event.clone())).collect();
            let row = 0..last + 2;
            let strewn = row.clone().map(|n| n * 37 % (last + 2));
            for version in row.clone().chain(strewn).chain(row.rev()) {
                let found = category.get(&id, version)?;
                assert_eq!(found.as_ref().map(told).as_ref(), of_version.get(&version));
            }
        }
    }
    Ok(())
}

#[test]
fn batches_have_what_is_read_one_by_one() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(11));
    let mut db = small(&disk).open("db")?;
    for round in 0..4u64 {
        let categories = [db.category("orders")?, db.category("carts")?];
        let [orders, carts] = &categories;
        if round == 2 {
            carts.restore(2u64)?;
        }
        let churn = db.hash_keyspace("churn")?;
        let events = |n: u64| -> Vec<(&str, Vec<u8>)> {
            let name = |n: u64| if n.is_multiple_of(2) { "even" } else { "odd" };
            (0..n).map(|n| (name(n), vec![n as u8; (n * 7 % 40) as usize])).collect()
        };
        // In one piece, over frames of all lengths, and in turn with others.
        for (id, count) in [(1u64, 700), (1, 1), (1, 90), (2, 3), (1, 400), (3, 260)] {
            let events = events(count);
            let events: Vec<_> =
                events.iter().map(|(name, data)| NewEvent::bytes(name, data)).collect();
            orders.append_many(id, &events, ExpectedVersion::Any)?;
        }
        for n in 0..300u64 {
            let data = [n as u8; 30];
            orders.append(9u64, &NewEvent::bytes("even", &data), ExpectedVersion::Any)?;
        }
        for n in 0..400u64 {
            carts.append(n % 3, &NewEvent::bytes("odd", &[n as u8]), ExpectedVersion::Any)?;
            if n.is_multiple_of(5) {
                orders.append(n % 2, &NewEvent::bytes("n", &[]), ExpectedVersion::Any)?;
                churn.insert((n % 11).to_le_bytes(), vec![round as u8; 900])?;
            }
        }
        check(&db, &categories)?;
        match round {
            0 => {
                db.compact()?;
            }
            1 => {
                orders.truncate_before(1u64, 600)?;
                carts.archive(2u64)?;
            }
            2 => {
                orders.delete(3u64)?;
                db.compact()?;
            }
            _ => {}
        }
        check(&db, &categories)?;
        let copy = small(&disk).read_only(true).open("db")?;
        check(&copy, &[copy.category("orders")?, copy.category("carts")?])?;
        drop((categories, churn, copy));
        db.close()?;
        db = small(&disk).open("db")?;
        check(&db, &[db.category("orders")?, db.category("carts")?])?;
    }
    Ok(())
}

#[test]
fn a_batch_keeps_its_events() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(12));
    let db = small(&disk).open("db")?;
    let (orders, churn) = (db.category("orders")?, db.hash_keyspace("churn")?);
    for n in 0..200u64 {
        orders.append(n % 2, &NewEvent::bytes("n", &[n as u8; 20]), ExpectedVersion::Any)?;
        churn.insert([0], vec![n as u8; 900])?;
    }
    let before = each(db.read_all(Seq::ZERO)?)?;
    let global = db.read_all(Seq::ZERO)?.batches().next().expect("a batch")?;
    let of_stream = orders.read(1u64)?.batches().next().expect("a batch")?;
    for _ in 0..3 {
        db.compact()?;
        for n in 0..200u64 {
            churn.insert([1], vec![n as u8; 900])?;
        }
    }
    orders.truncate_before(1u64, 90)?;
    let told_all = |batch: &EventBatch<'_>| batch.iter().map(|event| told(&event)).collect();
    let (global, of_stream) = std::thread::scope(|scope| {
        let global = scope.spawn(move || -> Vec<Told> { told_all(&global) });
        let of_stream = scope.spawn(move || -> Vec<Told> { told_all(&of_stream) });
        (global.join().expect("it ends"), of_stream.join().expect("it ends"))
    });
    assert_eq!(global, before[..global.len()]);
    let of_one: Vec<_> = before.iter().filter(|event| event.2 == "1").cloned().collect();
    assert_eq!(of_stream, of_one[..of_stream.len()]);
    assert!(global.len() > 100 && of_stream.len() > 50);
    Ok(())
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(name = "moved", version = 1, crate = annals_events)]
struct MovedV1(u32);

#[derive(Event, Clone, Debug, PartialEq)]
#[event(name = "moved", version = 2, from(MovedV1), crate = annals_events)]
struct Moved {
    steps: u64,
    to: String,
}

impl From<MovedV1> for Moved {
    fn from(old: MovedV1) -> Self {
        Self { steps: old.0.into(), to: "somewhere".into() }
    }
}

#[test]
fn typed_batches_lend_views_of_all_versions() -> Result<()> {
    let db = Database::open_in_memory()?;
    let mut all = Vec::new();
    let old = db.stream::<MovedV1>("walks")?;
    for n in 0..300 {
        old.append(7u64, &MovedV1(n))?;
        all.push(Moved::from(MovedV1(n)));
    }
    let walks = db.stream::<Moved>("walks")?;
    let new: Vec<_> = (0..500u64)
        .map(|steps| Moved { steps, to: "a place with a long name".repeat(steps as usize % 3) })
        .collect();
    walks.append_batch(7u64, &new)?;
    all.extend(new);

    let mut viewed = Vec::new();
    for batch in walks.read(7u64)?.batches() {
        let batch = batch?;
        for (index, view) in batch.views().enumerate() {
            let view = view?;
            assert_eq!(batch.view(index).expect("an event")?.steps, view.steps);
            viewed.push(Moved { steps: view.steps.to_native(), to: view.to.as_str().to_owned() });
        }
        for (event, value) in batch.iter().zip(batch.values()) {
            assert_eq!(event.decode()?, value?);
            assert_eq!(all[event.version() as usize], event.decode()?);
        }
    }
    assert_eq!(viewed, all);
    for is_back in [false, true] {
        let (mut all, mut seen) = (all.clone(), Vec::new());
        let reader = if is_back { walks.read_back(7u64)? } else { walks.read(7u64)? };
        reader.each_view(|view| {
            let to = view.to.as_str().to_owned();
            seen.push(Moved { steps: view.steps.to_native(), to });
            Ok(())
        })?;
        if is_back {
            all.reverse();
        }
        assert_eq!(seen, all);
    }
    let mut seen = Vec::new();
    walks
        .read_all(Seq::ZERO)?
        .each_view(|view| {
            seen.push(view.steps.to_native());
            if seen.len() < 700 { Ok(()) } else { Err(Error::Refused("enough".into())) }
        })
        .expect_err("it was told to end");
    assert_eq!(seen, all[..700].iter().map(|event| event.steps).collect::<Vec<_>>());
    let values: Vec<_> = walks.read_all(Seq::ZERO)?.values().collect::<Result<_>>()?;
    assert_eq!(values, all);
    let mut back = Vec::new();
    for batch in walks.read_back(7u64)?.batches() {
        back.extend(batch?.values().collect::<Result<Vec<_>>>()?);
    }
    back.reverse();
    assert_eq!(back, all);

    // What it does not know, or is no archive, is refused, and the rest is read.
    walks.category().append(8u64, &NewEvent::bytes("moved", b"x"), ExpectedVersion::Any)?;
    walks.category().append(8u64, &NewEvent::bytes("else", b"x"), ExpectedVersion::Any)?;
    walks.append(8u64, &all[400])?;
    let batch = walks.read(8u64)?.batches().next().expect("a batch")?;
    let viewed: Vec<_> = batch.views().collect();
    assert!(matches!(viewed[0], Err(Error::EventTypes { .. })));
    assert!(viewed[1].is_err());
    assert_eq!(viewed[2].as_ref().map(|view| view.to.as_str()).ok(), Some(&*all[400].to));
    let mut seen = 0;
    let ended = walks.read(8u64)?.each_view(|_| {
        seen += 1;
        Ok(())
    });
    assert!(matches!(ended, Err(Error::EventTypes { .. })) && seen == 0);
    let ended = walks.read_all(Seq::ZERO)?.each_view(|_| {
        seen += 1;
        Ok(())
    });
    assert!(matches!(ended, Err(Error::EventTypes { .. })) && seen == 800);
    Ok(())
}
