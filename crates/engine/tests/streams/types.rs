//! A category has events of its own types.

use annals_engine::{Category, Database, Error, ExpectedVersion, NewEvent, Result};
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
