//! An event found by the id it was given, wherever it has gone meanwhile.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{Background, Builder, Category, Database, ExpectedVersion, NewEvent, Result};
use std::{ops::Range, sync::Arc};

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

/// The event of each id is that of its stream with the version of the same number, of these versions alone.
fn check(events: &Category, left: &[Range<u64>; 2]) -> Result<()> {
    for (stream, left) in [1u64, 2].into_iter().zip(left) {
        for version in 0..100 {
            let found = events.find(stream, u128::from(version))?;
            let found = found.map(|event| (event.version(), event.data().to_vec()));
            let wanted = (version, vec![version as u8 + stream as u8; 300]);
            assert_eq!(found, left.contains(&version).then_some(wanted), "{stream}: {version}");
        }
        assert!(events.find(stream, 100)?.is_none());
        assert!(events.find(stream + 2, 1)?.is_none());
    }
    Ok(())
}

#[test]
fn an_event_is_found_by_its_id_in_its_stream_for_as_long_as_it_is_left() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let db = small(&disk).open("db")?;
    let reader = small(&disk).read_only(true).open("db")?;
    let (events, others) = (db.category("events")?, db.category("others")?);
    for n in 0..100u64 {
        for stream in [1u64, 2] {
            let data = vec![n as u8 + stream as u8; 300];
            let event = NewEvent::bytes("n", &data).id(u128::from(n));
            events.append(stream, &event, ExpectedVersion::Any)?;
        }
        let event = NewEvent::bytes("n", b"other").id(100);
        others.append(n, &event, ExpectedVersion::Any)?;
    }
    let read = reader.open_category("events")?;
    check(&events, &[0..100, 0..100])?;
    check(&read, &[0..100, 0..100])?;
    assert_eq!(others.find(7u64, 100)?.expect("of this one").data(), b"other");
    events.truncate_before(1u64, 60)?;
    events.delete(2u64)?;
    check(&events, &[60..100, 0..0])?;
    db.compact()?;
    check(&events, &[60..100, 0..0])?;
    check(&read, &[60..100, 0..0])?;
    drop((read, reader, events, others));
    db.close()?;
    let db = small(&disk).open("db")?;
    check(&db.open_category("events")?, &[60..100, 0..0])
}
