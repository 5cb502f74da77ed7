//! Event types that somebody else brings meanwhile.

use super::*;
use annals_events::{Event, EventBuf};

#[derive(Event)]
#[event(name = "paid", crate = annals_events)]
struct Cents {
    cents: u64,
}

#[derive(Event)]
#[event(name = "paid", crate = annals_events)]
struct Apples {
    apples: i64,
}

/// An event's hash is made before its type has a number: what it was made with is what the number stands for.
#[cfg(feature = "chained-events")]
#[test]
fn a_layout_that_comes_meanwhile_is_in_no_hash() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.create_category("orders", KeyspaceOptions::default().chained())?;
    let opening = db.clone();
    let open = at_most(1, move || drop(opening.stream::<Cents>("orders").expect("it is opened")));
    each_time(Moment::StandingKnown, open, || {
        category.append(7u64, &NewEvent::json("paid", "{}"), Any)
    })?;
    assert_eq!(category.event_types().len(), 2);
    category.append(7u64, &NewEvent::json("paid", "{}"), Any)?;
    db.stream::<Cents>("orders")?.append(7u64, &Cents { cents: 5 })?;
    assert_eq!(category.verify_chain(7u64, None)?.events_count, 3);
    Ok(())
}

#[test]
fn another_layout_that_comes_meanwhile_is_the_only_one() -> Result<()> {
    let mut buffer = EventBuf::new();
    Apples { apples: -1 }.encode(&mut buffer)?;
    let event = NewEvent::archive(&Apples::TYPES[0], buffer.as_bytes());
    for is_appended in [false, true] {
        let db = Database::open_in_memory()?;
        let (category, other) = (db.category("orders")?, db.clone());
        let open = at_most(1, move || {
            let streams = other.stream::<Cents>("orders").expect("it is opened");
            if is_appended {
                streams.append(8u64, &Cents { cents: 5 }).expect("it is appended");
            }
        });
        let done = each_time(Moment::StandingKnown, open, || category.append(7u64, &event, Any));
        assert!(matches!(done, Err(Error::EventTypes { .. })), "{done:?}");
        assert_eq!((category.len(7u64)?, category.event_types().len()), (0, 1));
    }
    Ok(())
}
