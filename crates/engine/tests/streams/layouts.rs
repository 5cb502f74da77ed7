//! Archives are read as what they were written as, whatever of their type's name came before them.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Category, Database, Error, EventFormat,
    ExpectedVersion::{Any, NoStream},
    KeyspaceOptions, NewEvent, Result, Seq, Streams,
};
use annals_events::{Event, EventBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What is written.
#[derive(Event, Debug, PartialEq)]
#[event(name = "paid", crate = annals_events)]
struct Cents {
    cents: u64,
}

/// Any archive of the other one looks like one of these.
#[derive(Event, Debug, PartialEq)]
#[event(name = "paid", crate = annals_events)]
struct Apples {
    apples: i64,
}

#[derive(Event, Debug, PartialEq)]
#[event(name = "paid", version = 2, from(1 = Apples), crate = annals_events)]
struct Pears {
    pears: i64,
}

impl From<Apples> for Pears {
    fn from(Apples { apples }: Apples) -> Self {
        Self { pears: apples }
    }
}

fn archive<E: Event>(event: &E) -> Vec<u8> {
    let mut buffer = EventBuf::new();
    event.encode(&mut buffer).unwrap();
    buffer.as_bytes().to_vec()
}

/// It is refused, and told which type it is about and which layouts there are.
fn is_refused<T>(outcome: Result<T>) {
    let error = outcome.err().expect("another layout");
    assert!(matches!(error, Error::EventTypes { .. }), "{error:?}");
    let told = error.to_string();
    let layouts = [&Cents::TYPES[0], &Apples::TYPES[0]].map(|ty| ty.fingerprint().as_u64());
    for part in ["orders".to_owned(), "`paid v1`".to_owned()]
        .into_iter()
        .chain(layouts.map(|layout| format!("{layout:016x}")))
    {
        assert!(told.contains(&part), "{part} in {told}");
    }
}

fn open(disk: &SimDisk) -> Result<Database> {
    Database::builder().disk(Arc::new(disk.clone())).open("db")
}

fn events(streams: &Streams<Cents>, id: u64) -> Result<Vec<u64>> {
    streams.read(id)?.values().map(|event| Ok(event?.cents)).collect()
}

/// What every way in finds where JSON came first and archives later.
fn check(db: &Database, counts: (u64, usize)) -> Result<()> {
    is_refused(db.stream::<Apples>("orders"));
    is_refused(db.stream::<Pears>("orders"));
    let streams = db.stream::<Cents>("orders")?;
    let (archives, others) = counts;
    assert_eq!(events(&streams, 7)?, (0..archives).collect::<Vec<_>>());
    let category = streams.category();
    let types: Vec<_> = category.event_types().iter().map(|known| known.to_string()).collect();
    assert_eq!(types, ["paid v1", "other v1", "paid v1"]);
    assert_eq!(category.event_types()[0].layout, 0);
    for event in streams.read(8u64)? {
        let event = event?;
        assert_eq!((event.format(), event.data()), (EventFormat::Json, &b"{}"[..]));
        assert!(matches!(event.view(), Err(Error::EventTypes { .. })));
    }
    // Those who ask for the type by its name get the events of both numbers.
    let count = archives as usize + others;
    assert_eq!(db.read_all(Seq::ZERO)?.of_type("paid").count(), count);
    assert_eq!(category.read_all(Seq::ZERO)?.of_type("paid").count(), count);
    let mut live = db.subscribe(Seq::ZERO)?.of_type("paid");
    for _ in 0..count {
        assert_eq!(live.try_next()?.expect("an event").event_type().name, "paid");
    }
    assert!(live.try_next()?.is_none());
    Ok(())
}

#[test]
fn another_layout_is_refused_where_json_came_first() -> Result<()> {
    for is_chained in [false, true] {
        if is_chained && !cfg!(feature = "chained-events") {
            continue;
        }
        let disk = SimDisk::new(SimOptions::seeded(3));
        let mut db = open(&disk)?;
        let options = KeyspaceOptions::default();
        let options = if is_chained { options.chained() } else { options };
        let category = db.create_category("orders", options)?;
        let reader = Database::builder().disk(Arc::new(disk.clone())).read_only(true).open("db")?;
        let early = reader.stream::<Apples>("orders")?;
        category.append(8u64, &NewEvent::json("paid", "{}"), Any)?;
        category.append(9u64, &NewEvent::bytes("other", b"x"), Any)?;
        db.stream::<Cents>("orders")?.append(7u64, &Cents { cents: 0 })?;
        // Opened for nothing yet, it is told when it comes to an event.
        is_refused(early.last(7u64)?.expect("an event").view().map(drop));
        is_refused(early.last(7u64)?.expect("an event").decode());
        let batch = early.read(7u64)?.batches().next().expect("a batch")?;
        is_refused(batch.view(0).expect("an event").map(drop));
        is_refused(early.read(7u64)?.each_view(|_| Ok(())));
        category.append(8u64, &NewEvent::json("paid", "{}"), Any)?;
        let mut batch = db.batch();
        let streams = db.stream::<Cents>("orders")?;
        streams.append_in(&mut batch, 7u64, &[Cents { cents: 1 }, Cents { cents: 2 }], Any)?;
        batch.append(&category, 8u64, &[NewEvent::json("paid", "{}")], Any)?;
        batch.commit()?;
        check(&db, (3, 3))?;
        check(&reader, (3, 3))?;
        for _ in 0..2 {
            db.close()?;
            db = open(&disk)?;
            check(&db, (3, 3))?;
            check(&reader, (3, 3))?;
        }
        #[cfg(feature = "chained-events")]
        if is_chained {
            let category = db.open_category("orders")?;
            assert_eq!(category.verify_chain(7u64, None)?.events_count, 3);
            assert_eq!(category.verify_chain(8u64, None)?.events_count, 3);
        }
        let report = db.verify(&mut |_| {})?;
        assert!(report.is_intact(), "{:?}", report.damages);
    }
    Ok(())
}

#[test]
fn a_copy_refuses_what_the_database_refuses() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let db = Database::open(dir.path().join("db"))?;
    let category = db.category("orders")?;
    category.append_many(8u64, &[NewEvent::json("paid", "{}")], Any)?;
    category.append(9u64, &NewEvent::bytes("other", b"x"), Any)?;
    db.stream::<Cents>("orders")?.append(7u64, &Cents { cents: 0 })?;
    db.backup_to(dir.path().join("copy"))?;
    check(&Database::open(dir.path().join("copy"))?, (1, 1))
}

fn stored(category: &Category) -> Result<(u64, usize)> {
    Ok((category.streams_count()?, category.event_types().len()))
}

#[test]
fn an_archive_of_another_layout_is_refused_whichever_way_it_comes() -> Result<()> {
    let db = Database::open_in_memory()?;
    let streams = db.stream::<Cents>("orders")?;
    let category = streams.category();
    let (cents, apples) = (archive(&Cents { cents: 5 }), archive(&Apples { apples: -1 }));
    let cents = || NewEvent::archive(&Cents::TYPES[0], &cents);
    let apples = || NewEvent::archive(&Apples::TYPES[0], &apples);
    category.append(7u64, &cents(), NoStream)?;
    let mut batch = db.batch();
    is_refused(category.append(7u64, &apples(), Any));
    is_refused(category.append_many(7u64, &[cents(), apples()], Any));
    is_refused(batch.append(category, 7u64, &[cents(), apples()], Any));
    assert_eq!((events(&streams, 7)?, stored(category)?), (vec![5], (1, 1)));

    // Where neither is known yet.
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    is_refused(category.append_many(7u64, &[cents(), apples()], Any));
    assert_eq!(stored(&category)?, (0, 0));
    let mut batch = db.batch();
    batch.append(&category, 7u64, &[NewEvent::json("paid", "{}"), cents()], Any)?;
    is_refused(batch.append(&category, 8u64, &[apples()], Any));
    // Somebody is faster.
    let mut other = db.batch();
    other.append(&category, 8u64, &[apples()], Any)?;
    batch.commit()?;
    is_refused(other.commit());
    assert_eq!(stored(&category)?, (1, 2));
    is_refused(category.append(8u64, &apples(), Any));
    let streams = db.stream::<Cents>("orders")?;
    assert_eq!(streams.last(7u64)?.expect("an event").decode()?, Cents { cents: 5 });

    // Of an older version that a program reads and does not write, another layout may still come.
    let db = Database::open_in_memory()?;
    let pears = db.stream::<Pears>("orders")?;
    pears.category().append(7u64, &cents(), Any)?;
    is_refused(pears.last(7u64)?.expect("an event").view().map(drop));
    is_refused(db.stream::<Pears>("orders"));
    Ok(())
}

#[derive(Event, Debug, PartialEq)]
#[event(name = "noted", crate = annals_events)]
struct Noted {
    by: String,
    lines: Vec<String>,
}

/// Whoever appends bytes may call them an archive of a type that is known: what is in them is looked at, and nothing
/// that is there is read as something else.
#[test]
fn bytes_that_claim_to_be_an_archive_are_refused_whichever_way_they_are_read() -> Result<()> {
    let whole = Noted { by: "ada of london".into(), lines: vec!["a line of many bytes".into(); 3] };
    let whole_bytes = archive(&whole);
    let mut claims: Vec<Vec<u8>> =
        (0..whole_bytes.len()).map(|len| whole_bytes[..len].to_vec()).collect();
    claims.extend((1..8).map(|by| whole_bytes[by..].to_vec()));
    claims.extend(
        (1..8).map(|by| [&vec![0; by][..], &whole_bytes].concat()[..whole_bytes.len()].to_vec()),
    );
    let mut state = 1u64;
    let mut random = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    claims.extend((0..300).map(|len| (0..len).map(|_| random()).collect()));
    // Where one byte is another, there may be another event.
    let changed = (0..whole_bytes.len()).map(|at| {
        let mut bytes = whole_bytes.clone();
        bytes[at] ^= random() | 1;
        bytes
    });
    let changed: Vec<_> = changed.collect();
    let db = Database::open_in_memory()?;
    let streams = db.stream::<Noted>("notes")?;
    streams.append(0u64, &whole)?;
    let foreign_count = claims.len();
    for (id, bytes) in (1u64..).zip(claims.iter().chain(&changed)) {
        let claim = NewEvent::new("noted", EventFormat::Archive, bytes);
        let from = streams.category().append(id, &claim, Any)?.first_seq;
        let event = streams.get(id, 0)?.expect("an event");
        assert!(event.archive_of(&Noted::TYPES[0]).is_none(), "nobody said that it has the layout");
        let decoded = event.decode();
        let ways = [
            event.view().map(drop),
            streams.last(id)?.expect("an event").view().map(drop),
            streams.read(id)?.try_for_each(|event| event?.view().map(drop)),
            streams.read(id)?.values().try_for_each(|event| event.map(drop)),
            streams.read(id)?.each_view(|_| Ok(())),
            streams.read_back(id)?.each_view(|_| Ok(())),
            streams.read_all(from)?.each_view(|_| Ok(())),
            streams
                .read(id)?
                .batches()
                .try_for_each(|batch| batch?.view(0).expect("an event").map(drop)),
            streams
                .read_all(from)?
                .batches()
                .try_for_each(|batch| batch?.values().try_for_each(|event| event.map(drop))),
            streams
                .read_all(from)?
                .batches()
                .try_for_each(|batch| batch?.views().try_for_each(|view| view.map(drop))),
            streams.subscribe(from)?.try_next()?.expect("an event").view().map(drop),
        ];
        for (way, outcome) in ways.iter().enumerate() {
            assert_eq!(
                outcome.is_ok(),
                decoded.is_ok(),
                "way {way}: {outcome:?}, {decoded:?}, {bytes:?}"
            );
            if let Err(error) = outcome {
                assert!(matches!(error, Error::Event(_)), "way {way}: {error:?}");
            }
        }
        assert!(id > foreign_count as u64 || decoded.is_err(), "{decoded:?} of {bytes:?}");
        assert_eq!(event.data(), bytes, "the bytes can be had");
        assert_eq!(streams.get(0u64, 0)?.expect("an event").decode()?, whole);
    }
    Ok(())
}
