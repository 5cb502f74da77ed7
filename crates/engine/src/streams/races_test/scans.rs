//! Segments that go, and categories that are dropped, while everything is read.

use super::*;

/// What is given up between the list of the segments and the look at them was moved before.
#[test]
fn a_scan_finds_all_events_however_often_segments_go_meanwhile() -> Result<()> {
    let world = World::new(6, KeyspaceOptions::default())?;
    world.append_apart(6)?;
    let seqs: Vec<Seq> =
        world.category.read_all(Seq::ZERO)?.map(|event| Ok(event?.seq())).collect::<Result<_>>()?;
    assert_eq!(seqs.len(), 6);
    for _ in 0..3 {
        let deed = at_most(70, world.move_all());
        let scanned =
            each_time(Moment::SegmentsListed, deed, || world.category.read_all(Seq::ZERO))?;
        assert!(
            scanned.map(|event| event.map(|event| event.seq())).collect::<Result<Vec<_>>>()?
                == seqs
        );
    }
    for seq in &seqs {
        let deed = at_most(70, world.move_all());
        let found = each_time(Moment::SegmentsListed, deed, || world.db.event_at(*seq))?;
        assert_eq!(found.map(|event| event.seq()), Some(*seq));
    }
    Ok(())
}

/// Drops the category once, and has its segments used for something else.
fn drop_it(world: &World) -> impl FnMut() + use<> {
    let (db, mut move_all) = (world.db.clone(), world.move_all());
    at_most(1, move || {
        db.drop_keyspace("orders").expect("it is dropped");
        (0..3).for_each(|_| move_all());
    })
}

/// A category with marks is dropped, and its segments are used for something else: what was found of it before may
/// be told, or not.
#[test]
fn who_reads_what_is_dropped_meanwhile_is_told_or_passes_it_over() -> Result<()> {
    let fill = |seed| -> Result<World> {
        let world = World::new(seed, KeyspaceOptions::default())?;
        world.append_apart(3)?;
        world.category.truncate_before(7u64, 1)?;
        churn(&world.churned, 1)?;
        append(&world.db.category("others")?, 7, 1)?;
        Ok(world)
    };
    let world = fill(7)?;
    let events = world.db.read_all(Seq::ZERO)?;
    let read = || events.map(|event| Ok(event?.category().to_owned())).collect();
    let read: Result<Vec<String>> = each_time(Moment::EventScanned, drop_it(&world), read);
    assert_eq!(read?.last().map(String::as_str), Some("others"));

    let world = fill(8)?;
    let seq = world.category.get(7u64, 2)?.expect("it is there").seq();
    let read = each_time(Moment::EventScanned, drop_it(&world), || world.db.event_at(seq))?;
    assert!(read.is_none_or(|event| event.seq() == seq));

    let world = fill(9)?;
    let mut events = world.db.subscribe(Seq::ZERO)?;
    while events.try_next()?.is_some() {}
    world.append_apart(1)?;
    append(&world.db.category("others")?, 7, 1)?;
    let mut next = || -> Result<Vec<String>> {
        let mut told = Vec::new();
        while let Some(event) = events.try_next()? {
            told.push(event.category().to_owned());
        }
        Ok(told)
    };
    let told = each_time(Moment::EventScanned, drop_it(&world), &mut next)?;
    assert_eq!(told.last().map(String::as_str), Some("others"));

    let world = fill(10)?;
    let read = each_time(Moment::CategoryThere, drop_it(&world), || world.category.get(7u64, 2));
    let is_told = matches!(read, Err(Error::KeyspaceDropped { .. }));
    assert!(is_told || matches!(&read, Ok(Some(event)) if event.version() == 2), "{read:?}");
    Ok(())
}

/// A read-only handle that leaves a state goes on reading it where a scan was begun.
#[test]
fn a_read_only_scan_shows_nothing_that_was_given_up_before_it() -> Result<()> {
    let world = World::new(10, KeyspaceOptions::default())?;
    world.append_apart(3)?;
    for stream in 1..4u64 {
        append(&world.category, stream, 2)?;
    }
    world.category.truncate_before(1u64, 1)?;
    world.category.archive(2u64)?;
    world.category.delete(3u64)?;
    let reader = small(&world.disk).read_only(true).open("db")?;
    let seen = reader.open_category("orders")?;
    let expected: Vec<Seq> =
        seen.read_all(Seq::ZERO)?.map(|event| Ok(event?.seq())).collect::<Result<_>>()?;
    assert_eq!(expected.len(), 4);
    let (scan, mut events) = (seen.read_all(Seq::ZERO)?, seen.subscribe(Seq::ZERO)?);
    let first = events.try_next()?.expect("there is one").seq();
    // The writer compacts, and the handle loads the database anew.
    let superseded = reader.core.core().number;
    for _ in 0..8 {
        world.move_all()();
        seen.len(7u64)?;
    }
    assert_ne!(reader.core.core().number, superseded, "it has loaded anew");
    assert_eq!(scan.map(|event| Ok(event?.seq())).collect::<Result<Vec<_>>>()?, expected);
    let mut told = vec![first];
    while let Some(event) = events.try_next()? {
        told.push(event.seq());
    }
    assert_eq!(told, expected);
    Ok(())
}
