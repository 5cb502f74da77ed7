//! Readers of many streams give out the types that were asked for last, and archived streams if told to: of what is
//! there, of what comes, one by one and in batches, of the database and of a category.

use annals_engine::{
    Category, Database, Events, ExpectedVersion::Any, NewEvent, Result, Seq, Subscription,
};

const TYPES: [&str; 4] = ["placed", "paid", "sent", "lost"];

fn append(db: &Database, count: u64) -> Result<()> {
    let (orders, carts) = (db.category("orders")?, db.category("carts")?);
    for n in 0..count {
        let event = NewEvent::bytes(TYPES[(n % 4) as usize], &[7; 100]).version(1 + (n % 3) as u32);
        orders.append(n % 5, &event, Any)?;
        carts.append(n % 3, &event, Any)?;
    }
    Ok(())
}

/// The numbers of the events of these types, found one by one.
fn expected(all: Events<'_>, types: &[&str]) -> Result<Vec<Seq>> {
    let all = all.collect::<Result<Vec<_>>>()?;
    let is_it = |name: &str| types.is_empty() || types.contains(&name);
    let wanted = all.iter().filter(|event| is_it(&event.event_type().name));
    Ok(wanted.map(|event| event.seq()).collect())
}

fn in_batches(events: Events<'_>) -> Result<Vec<Seq>> {
    let mut seqs = Vec::new();
    for batch in events.batches() {
        seqs.extend(batch?.iter().map(|event| event.seq()));
    }
    Ok(seqs)
}

fn one_by_one(events: Events<'_>) -> Result<Vec<Seq>> {
    events.map(|event| Ok(event?.seq())).collect()
}

fn drain(events: &mut Subscription<'_>) -> Result<Vec<Seq>> {
    let mut seqs = Vec::new();
    while let Some(event) = events.try_next()? {
        seqs.push(event.seq());
    }
    Ok(seqs)
}

/// Each list of names, asked for after another.
const LISTS: [&[&str]; 5] =
    [&["paid"], &["placed", "sent"], &["lost", "unknown", "lost"], &["unknown"], &[]];

#[test]
fn the_types_that_were_asked_for_last_are_read() -> Result<()> {
    // Segments so small that there are several, and what is there is found by the index.
    let db = Database::builder().segment_bytes(64 << 10).open_in_memory()?;
    append(&db, 600)?;
    let orders = db.category("orders")?;
    let mut live = Vec::new();
    for types in LISTS {
        for before in LISTS {
            let all = || Ok::<_, annals_engine::Error>(db.read_all(Seq::ZERO)?.of_types(before));
            let wanted = expected(db.read_all(Seq::ZERO)?, types)?;
            assert_eq!(one_by_one(all()?.of_types(types))?, wanted, "{before:?}, {types:?}");
            assert_eq!(in_batches(all()?.of_types(types))?, wanted, "{before:?}, {types:?}");
            let wanted = expected(orders.read_all(Seq::ZERO)?, types)?;
            let of_orders = || orders.read_all(Seq::ZERO);
            assert_eq!(one_by_one(of_orders()?.of_types(before).of_types(types))?, wanted);
            assert_eq!(in_batches(of_orders()?.of_types(before).of_types(types))?, wanted);
            let follower = orders.subscribe(Seq::ZERO)?.of_types(before);
            live.push((follower.of_types(types), types));
        }
        let by_name = |name: &str| one_by_one(db.read_all(Seq::ZERO)?.of_type(name));
        assert_eq!(by_name("paid")?, expected(db.read_all(Seq::ZERO)?, &["paid"])?);
    }
    for (follower, _) in &mut live {
        drain(follower)?;
    }
    let from = db.last_seq().plus(1);
    append(&db, 40)?;
    for (follower, types) in &mut live {
        assert_eq!(drain(follower)?, expected(orders.read_all(from)?, types)?, "{types:?}");
    }
    Ok(())
}

#[test]
fn archived_streams_are_read_if_they_are_asked_for() -> Result<()> {
    let db = Database::builder().segment_bytes(64 << 10).open_in_memory()?;
    append(&db, 300)?;
    let orders: Category = db.category("orders")?;
    let all = one_by_one(db.read_all(Seq::ZERO)?)?;
    let paid = one_by_one(orders.read_all(Seq::ZERO)?.of_type("paid"))?;
    let mut live = db.subscribe(Seq::ZERO)?.with_archived();
    let mut without = db.subscribe(Seq::ZERO)?;
    orders.archive(2u64)?;
    let read = || orders.read_all(Seq::ZERO);
    assert_eq!(read()?.count(), 240);
    for with_archived in [one_by_one, in_batches] {
        assert_eq!(with_archived(db.read_all(Seq::ZERO)?.with_archived())?, all);
        assert_eq!(with_archived(read()?.with_archived().of_type("paid"))?, paid);
    }
    assert_eq!(drain(&mut live)?, all);
    assert_eq!(drain(&mut without)?.len(), all.len() - 60);
    // What comes and is archived before it is read.
    let from = db.last_seq().plus(1);
    append(&db, 0)?;
    let added = orders.append(9u64, &NewEvent::bytes("paid", b"x"), Any)?;
    orders.archive(9u64)?;
    assert!(added.first_seq >= from);
    assert_eq!(drain(&mut live)?, [added.first_seq]);
    assert!(drain(&mut without)?.is_empty());
    Ok(())
}
