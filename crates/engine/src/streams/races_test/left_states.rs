//! Read-only handles that load the database anew while they are followed.

use super::*;

fn read(world: &World) -> Result<Database> {
    small(&world.disk).read_only(true).open("db")
}

/// The writer compacts until `reader` has loaded the database anew and emptied the state that it has left.
fn overtake(world: &World, reader: &Database) -> Result<()> {
    let left = Arc::clone(reader.core.core());
    for _ in 0..8 {
        world.move_all()();
        reader.core.follow_if_read_only()?;
        if left.superseded.load(Ordering::Acquire) {
            assert_eq!(left.catalog.load().iter().count(), 0, "it is empty");
            return Ok(());
        }
    }
    panic!("it was not loaded anew");
}

fn append_one(category: &Category, stream: u64, name: &str) -> Result<Seq> {
    Ok(category.append(stream, &NewEvent::bytes(name, b""), Any)?.last_seq)
}

/// In the old state the type is unknown, and the stream is not archived.
#[test]
fn a_follower_knows_what_came_after_its_state_was_left() -> Result<()> {
    let world = World::new(31, KeyspaceOptions::default())?;
    let category = &world.category;
    append(category, 7, 1)?;
    let reader = read(&world)?;
    let mut all = reader.subscribe(Seq::ZERO)?;
    let mut of_types = reader.subscribe(Seq::ZERO)?.of_types(["happened", "paid"]);
    for events in [&mut all, &mut of_types] {
        assert!(events.try_next()?.is_some() && events.try_next()?.is_none());
    }
    // What comes is read in the log, where its category is remembered.
    append(category, 7, 1)?;
    for events in [&mut all, &mut of_types] {
        assert!(events.try_next()?.is_some() && events.try_next()?.is_none());
    }
    overtake(&world, &reader)?;
    for events in [&mut all, &mut of_types] {
        assert!(events.try_next()?.is_none());
    }
    let paid = append_one(category, 7, "paid")?;
    append_one(category, 8, "paid")?;
    category.archive(8u64)?;
    for events in [&mut all, &mut of_types] {
        let event = events.try_next()?.expect("it came");
        assert_eq!((event.seq(), event.event_type().name.as_str()), (paid, "paid"));
        assert!(events.try_next()?.is_none(), "the other one is archived");
    }
    Ok(())
}

/// Another thread loads the database anew between two looks of a follower, which has its place in the log open or has
/// yet to look for it.
#[test]
fn a_follower_loses_nothing_when_another_thread_leaves_its_state() -> Result<()> {
    for is_open in [true, false] {
        let world = World::new(32, KeyspaceOptions::default())?;
        append(&world.category, 7, 1)?;
        let reader = read(&world)?;
        let mut follower = reader.subscribe(Seq::ZERO)?.into_follower();
        let mut events = follower.resume()?;
        assert!(events.try_next()?.is_some() && events.try_next()?.is_none());
        if !is_open {
            drop(events);
            events = follower.resume()?;
        }
        let (its_world, its_reader) = (world.clone(), reader.clone());
        let leave = at_most(1, move || {
            append(&its_world.category, 7, 1).expect("an append");
            its_reader.core.follow_if_read_only().expect("it follows");
            overtake(&its_world, &its_reader).expect("it is overtaken");
        });
        let next = each_time(Moment::TailSought, leave, || events.try_next())?;
        assert_eq!(next.map(|event| event.version()), Some(1), "open: {is_open}");
        assert!(events.try_next()?.is_none());
    }
    Ok(())
}
