//! A category has events of its own types.

use annals_engine::{
    Category, Database, Error, EventFormat, ExpectedVersion, NewEvent, RecordedEvent, Result,
};
use annals_events::Event;

#[derive(Event)]
#[event(name = "placed", crate = annals_events)]
struct Placed {
    item: String,
}

#[derive(Event)]
#[event(name = "placed", crate = annals_events)]
struct OtherPlaced {
    item: u64,
    count: u64,
}

#[derive(Event)]
#[event(name = "placed", version = 2, from(1 = Placed), crate = annals_events)]
struct NewPlaced {
    item: String,
    count: u64,
}

impl From<Placed> for NewPlaced {
    fn from(old: Placed) -> Self {
        Self { item: old.item, count: 1 }
    }
}

#[derive(Event)]
#[event(crate = annals_events)]
struct Unrelated {
    n: u64,
}

#[test]
fn a_category_is_opened_for_its_own_events_only() -> Result<()> {
    let db = Database::open_in_memory()?;
    let placed = db.stream::<Placed>("orders")?;
    placed.append(1u64, &Placed { item: "apple".into() })?;
    for error in [
        db.stream::<OtherPlaced>("orders").map(drop).unwrap_err(),
        db.stream::<Unrelated>("orders").map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::EventTypes { .. }), "{error}");
    }
    // One that knows what its events became reads both.
    let newer = db.stream::<NewPlaced>("orders")?;
    newer.append(1u64, &NewPlaced { item: "pear".into(), count: 3 })?;
    let read: Vec<(String, u64)> = newer
        .read(1u64)?
        .map(|event| {
            let event = event?;
            let view = event.view()?;
            Ok((view.item.to_string(), view.count.to_native()))
        })
        .collect::<Result<_>>()?;
    assert_eq!(read, [("apple".to_owned(), 1), ("pear".to_owned(), 3)]);
    // One that does not is told so, not misled.
    assert!(db.stream::<Placed>("orders").is_err());
    assert!(placed.get(1u64, 1)?.unwrap().view().is_err());
    // Bytes and archives live side by side.
    let category: &Category = newer.category();
    category.append(1u64, &NewEvent::json("note", "{}"), ExpectedVersion::Any)?;
    let newer = db.stream::<NewPlaced>("orders")?;
    let note = newer.last(1u64)?.unwrap();
    assert!(note.view().is_err());
    assert_eq!(note.data(), b"{}");
    Ok(())
}

/// Its versions, ids and types are for who comes next.
#[test]
fn of_events_that_a_batch_refuses_nothing_is_left_in_it() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let any = ExpectedVersion::Any;
    let archive = |layout| NewEvent::new("paid", EventFormat::Archive, b"12345678").layout(layout);
    let mut batch = db.batch();
    batch.append(&category, 1u64, &[NewEvent::bytes("placed", b"1")], any)?;
    let refused = batch.append(&category, 1u64, &[archive(1).id(7), archive(2).id(8)], any);
    assert!(matches!(refused, Err(Error::EventTypes { .. })), "{refused:?}");
    batch.append(&category, 1u64, &[NewEvent::bytes("sent", b"2").id(7)], any)?;
    batch.append(&category, 1u64, &[archive(2).id(8)], any)?;
    batch.commit()?;
    let told = |event: RecordedEvent<'_>| (event.version(), event.event_type().name.clone());
    let events: Vec<_> =
        category.read(1u64)?.map(|event| event.map(told)).collect::<Result<_>>()?;
    assert_eq!(events, [(0, "placed".into()), (1, "sent".into()), (2, "paid".into())]);
    let of_ids = [7, 8].map(|id| category.find(1u64, id).unwrap().map(|event| event.version()));
    assert_eq!(of_ids, [Some(1), Some(2)]);
    assert_eq!(category.event_types().len(), 3);
    assert_eq!(category.event_types()[2].layout, 2);

    // Where nothing else is new, what was planned stays as it is.
    let late = |layout| NewEvent::new("late", EventFormat::Archive, b"12345678").layout(layout);
    let sent = || NewEvent::bytes("sent", b"3").id(9);
    let mut batch = db.batch();
    batch.append(&category, 1u64, &[NewEvent::bytes("placed", b"3")], any)?;
    let refused = batch.append(&category, 1u64, &[sent(), late(1), late(2)], any);
    assert!(matches!(refused, Err(Error::EventTypes { .. })), "{refused:?}");
    batch.append(&category, 1u64, &[sent()], any)?;
    batch.commit()?;
    assert_eq!(category.find(1u64, 9)?.map(|event| event.version()), Some(4));
    let versions = category.read(1u64)?.map(|event| Ok(event?.version()));
    assert_eq!(versions.collect::<Result<Vec<_>>>()?, [0, 1, 2, 3, 4]);
    assert_eq!(category.event_types().len(), 3);
    Ok(())
}
