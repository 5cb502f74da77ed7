//! Which bytes are told to be an archive of a type: those that need no more than the caller's word to be read
//! unchecked.

use annals_engine::{Database, EventFormat, ExpectedVersion::Any, NewEvent, Result, Seq};
use annals_events::{ARCHIVE_ALIGN_BYTES, Event, EventBuf};
use tempfile::TempDir;

#[derive(Event)]
#[event(name = "paid", crate = annals_events)]
struct Cents {
    cents: u64,
}

/// Any archive of the other one looks like one of these.
#[derive(Event)]
#[event(name = "paid", crate = annals_events)]
struct Apples {
    apples: i64,
}

#[derive(Event)]
#[event(name = "paid", version = 2, from(1 = Cents), crate = annals_events)]
struct Paid {
    cents: u64,
}

impl From<Cents> for Paid {
    fn from(Cents { cents }: Cents) -> Self {
        Self { cents }
    }
}

#[derive(Event)]
#[event(crate = annals_events)]
enum Order {
    #[event(name = "placed")]
    Placed {
        item: String,
    },
    Paid(Cents),
}

#[test]
fn bytes_are_an_archive_only_if_they_came_as_one_of_exactly_that_type() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let cents = &Cents::TYPES[0];
    let open = || Database::open(dir.path().join("db"));
    let mut db = open()?;
    let category = db.category("orders")?;
    let mut archive = EventBuf::new();
    Cents { cents: 5 }.encode(&mut archive).unwrap();
    let bytes = archive.as_bytes().to_vec();
    // What is none, under the same name and version: before there is a layout and behind it.
    for _ in 0..2 {
        category.append(1u64, &NewEvent::json("paid", "{}"), Any)?;
        category.append(1u64, &NewEvent::bytes("paid", &bytes), Any)?;
        category.append(
            1u64,
            &NewEvent::bytes("paid", &bytes).layout(cents.fingerprint().as_u64()),
            Any,
        )?;
        category.append(2u64, &NewEvent::archive(cents, &bytes), Any)?;
        category.append(3u64, &NewEvent::new("other", EventFormat::Archive, &bytes), Any)?;
    }
    db.stream::<Paid>("orders")?.append(4u64, &Paid { cents: 6 })?;
    let orders = db.stream::<Order>("carts")?;
    orders.append(5u64, &Order::Placed { item: "apple".into() })?;
    orders.append(5u64, &Order::Paid(Cents { cents: 7 }))?;
    drop((category, orders));
    for _ in 0..2 {
        check(&db, &bytes)?;
        db.close()?;
        db = open()?;
    }
    Ok(())
}

fn check(db: &Database, bytes: &[u8]) -> Result<()> {
    let (cents, apples, paid) = (&Cents::TYPES[0], &Apples::TYPES[0], &Paid::TYPES[0]);
    let category = db.open_category("orders")?;
    for event in category.read(1u64)?.chain(category.read(3u64)?) {
        let event = event?;
        for event_type in [cents, apples, paid, &Order::TYPES[0]] {
            assert_eq!(event.archive_of(event_type), None, "{event:?}");
        }
    }
    let mut count = 0;
    for batch in category.read(2u64)?.batches() {
        for event in &batch? {
            let found = event.archive_of(cents).expect("an archive");
            assert_eq!((found, found.as_ptr()), (bytes, event.data().as_ptr()));
            assert!(found.as_ptr().addr().is_multiple_of(ARCHIVE_ALIGN_BYTES));
            // Another layout of the same name and version, and another version.
            assert_eq!((event.archive_of(apples), event.archive_of(paid)), (None, None));
            count += 1;
        }
    }
    assert_eq!(count, 2);
    let newer = db.stream::<Paid>("orders")?;
    let event = newer.get(4u64, 0)?.expect("an event");
    assert!(event.archive_of(paid).is_some() && event.archive_of(cents).is_none());
    // One that is brought to the newest version by a view is an archive of what it was.
    let event = newer.get(2u64, 0)?.expect("an event");
    assert_eq!(event.view()?.cents, 5);
    assert!(event.archive_of(paid).is_none() && event.archive_of(cents).is_some());
    let carts = db.stream::<Order>("carts")?;
    let found = carts.read_all(Seq::ZERO)?.map(|event| {
        let event = event?;
        Ok([&Order::TYPES[0], &Order::TYPES[1], cents].map(|ty| event.archive_of(ty).is_some()))
    });
    let found = found.collect::<Result<Vec<_>>>()?;
    assert_eq!(found, [[true, false, false], [false, true, true]]);
    Ok(())
}
