//! Events that are given up meanwhile.

use super::*;

/// Between a reader's two looks the stream gets an event, and all in front of that is given up.
#[test]
fn a_stream_that_always_has_an_event_always_exists() -> Result<()> {
    for moment in [Moment::VisibleKnown, Moment::LastKnown] {
        let world = World::new(3, KeyspaceOptions::default())?;
        append(&world.category, 7, 3)?;
        let go_on = || {
            let (category, mut move_all) = (world.category.clone(), world.move_all());
            at_most(1, move || {
                append(&category, 7, 1).expect("an append");
                let len = category.len(7u64).expect("a length");
                category.truncate_before(7u64, len - 1).expect("it is truncated");
                move_all();
            })
        };
        for round in 0..3 {
            let len = world.category.len(7u64)?;
            assert!(each_time(moment, go_on(), || world.category.exists(7u64))?, "{round}");
            let last = each_time(moment, go_on(), || world.category.last(7u64))?;
            let last = last.expect("there is one").version();
            assert!((len..=len + 1).contains(&last), "{last} of {len}");
            let len = world.category.len(7u64)?;
            let found = each_time(moment, go_on(), || world.category.len(7u64))?;
            assert!((len..=len + 1).contains(&found), "{found} of {len}");
            let left =
                each_time(moment, go_on(), || Ok::<_, Error>(world.category.read(7u64)?.left()));
            assert!(left.as_ref().is_ok_and(|(from, to)| from < to), "{left:?}");
            let mut told = 0;
            each_time(moment, go_on(), || {
                world.category.each_stream(|_, _| {
                    told += 1;
                    Ok(())
                })
            })?;
            assert_eq!(told, 1);
        }
    }
    Ok(())
}

/// What was given up between a reader's looks is gone, not damaged.
#[test]
fn what_is_given_up_meanwhile_is_gone() -> Result<()> {
    for limited in [false, true] {
        let world = World::new(4, KeyspaceOptions::default())?;
        if limited {
            world.category.set_retention(7u64, Retention::default().max_count(1_000))?;
        }
        append(&world.category, 7, 5 * SPAN)?;
        let (category, mut move_all) = (world.category.clone(), world.move_all());
        let give_up = at_most(1, move || {
            category.truncate_before(7u64, 4 * SPAN).expect("it is truncated");
            move_all();
        });
        let found = each_time(Moment::LimitsKnown, give_up, || world.category.get(7u64, SPAN + 3))?;
        assert!(found.is_none());
    }
    Ok(())
}

#[test]
fn a_reader_of_what_was_given_up_meanwhile_ends_or_goes_on_behind_it() -> Result<()> {
    let world = World::new(5, KeyspaceOptions::default())?;
    append(&world.category, 7, 40 * SPAN)?;
    let (mut forward, mut back) = (world.category.read(7u64)?, world.category.read(7u64)?.back());
    assert_eq!(forward.next().transpose()?.map(|event| event.version()), Some(0));
    assert_eq!(back.next().transpose()?.map(|event| event.version()), Some(40 * SPAN - 1));
    world.category.delete(7u64)?;
    world.move_all()();
    // What was looked up before may be told; then nothing is left.
    for reader in [&mut forward, &mut back] {
        let left: Vec<u64> = reader.map(|event| Ok(event?.version())).collect::<Result<_>>()?;
        assert!(left.len() < 16 * SPAN as usize, "{}", left.len());
    }
    // More and more is given up, each time that it looks.
    let first = world.category.len(7u64)?;
    append(&world.category, 7, 40 * SPAN)?;
    let (category, mut move_all) = (world.category.clone(), world.move_all());
    let mut before = first;
    let give_up = at_most(12, move || {
        before += 2 * SPAN;
        category.truncate_before(7u64, before).expect("it is truncated");
        move_all();
    });
    let reader = world.category.read(7u64)?;
    let versions: Result<Vec<u64>> = each_time(Moment::WaypointSought, give_up, || {
        reader.map(|event| Ok(event?.version())).collect()
    });
    let versions = versions?;
    assert!(versions.is_sorted() && versions.ends_with(&[first + 40 * SPAN - 1]), "{versions:?}");
    Ok(())
}

/// Others append the same meanwhile, and give it up before it was asked where that is.
#[test]
fn an_append_whose_event_is_given_up_meanwhile_happens() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    for ids in [&[1u128][..], &[2, 3]] {
        let events: Vec<NewEvent<'static>> =
            ids.iter().map(|id| NewEvent::bytes("happened", b"x").id(*id)).collect();
        let (others, theirs) = (category.clone(), events.clone());
        let append_too = at_most(1, move || {
            others.append_many(9u64, &theirs, Any).expect("an append");
        });
        let others = category.clone();
        let before = category.len(9u64)?;
        let give_up = move || {
            let len = others.len(9u64).expect("a length");
            if len > before {
                others.truncate_before(9u64, len).expect("it is truncated");
            }
        };
        let done = each_time(Moment::CategoryThere, give_up, || {
            each_time(Moment::EventSought, append_too, || category.append_many(9u64, &events, Any))
        })?;
        let count = ids.len() as u64;
        assert_eq!((done.first_version, done.was_there), (before + count, false));
        assert_eq!(category.len(9u64)?, before + 2 * count);
        // What is twice in it is refused all the same.
        let twice = [events[0].clone(), events[0].clone()];
        let refused = category.append_many(10u64, &twice, Any);
        assert!(matches!(refused, Err(Error::DuplicateEvent { .. })), "{refused:?}");
    }
    Ok(())
}

/// Who is told that an event was appended before can read it.
#[test]
fn an_event_that_is_there_is_shown_before_it_is_told() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    append(&category, 7, 1)?;
    let event = NewEvent::bytes("happened", b"x").id(1);
    let (tell, told) = mpsc::channel();
    let (other, retried) = (category.clone(), event.clone());
    std::thread::scope(|scope| -> Result<()> {
        let (begin, begun) = mpsc::channel::<()>();
        scope.spawn(move || {
            begun.recv().expect("it begins");
            let there = other.append(7u64, &retried, Any).expect("an append");
            tell.send((there, db.last_seq())).expect("it is waited for");
        });
        // It is to wait for the one who commits.
        let deed = at_most(1, move || {
            begin.send(()).expect("it is there");
            std::thread::sleep(Duration::from_millis(50));
        });
        each_time(Moment::EventPlaced, deed, || category.append(7u64, &event, Any))?;
        let (there, seen) = told.recv().expect("it comes back");
        assert!(there.was_there && there.last_seq <= seen, "{there:?} of {seen}");
        Ok(())
    })
}
