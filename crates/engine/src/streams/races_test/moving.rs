//! Events that are moved meanwhile.

use super::*;

#[test]
fn a_stream_may_grow_past_a_span_while_a_walk_begins() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    for n in 0..3u64 {
        category.append(7u64, &NewEvent::bytes("happened", &n.to_le_bytes()), Any)?;
    }
    for _ in 0..3 {
        let (others, last) = (category.clone(), category.len(7u64)? - 1);
        let grow = move || {
            for _ in 0..3 * SPAN {
                let n = others.len(7u64).expect("a length");
                let data = n.to_le_bytes();
                others.append(7u64, &NewEvent::bytes("happened", &data), Any).expect("an append");
            }
        };
        let event = each_time(Moment::WaypointSought, grow, || category.get(7u64, last))?;
        let event = event.expect("it is there");
        assert_eq!((event.version(), event.data()), (last, &last.to_le_bytes()[..]));
        assert!(category.len(7u64)? > last + 3 * SPAN, "it grew meanwhile");
    }
    Ok(())
}

/// A walk holds an event that is moved then, and the one before it, which was moved earlier, is a stray no more.
#[test]
fn a_walk_comes_to_its_end_however_often_events_are_moved_meanwhile() -> Result<()> {
    let world = World::new(1, KeyspaceOptions::default())?;
    world.append_apart(12)?;
    let options = PersistentOptions::default().category("orders");
    let subscription = world.db.persistent_subscription("mails", &options)?;
    let consumer = subscription.consumer()?;
    for version in 0..12 {
        world.have_strays(12);
        let moving = world.clone();
        let before_it = at_most(20, move || {
            moving.move_event(10);
            moving.let_go();
        });
        let moving = world.clone();
        let held = at_most(20, move || moving.move_event(11));
        let given = each_time(Moment::WalkBegins, before_it, || {
            each_time(Moment::EventHeld, held, || consumer.try_next())
        })?;
        let given = given.expect("it is there");
        assert_eq!(given.version(), version);
        given.acknowledge()?;
    }
    Ok(())
}

/// Where a stream is limited by age, what a walk does not find is taken for gone: not if it was moved.
#[test]
fn what_is_moved_meanwhile_is_not_gone() -> Result<()> {
    let day = Duration::from_secs(24 * 3600);
    for ttl in [None, Some(day)] {
        let options = KeyspaceOptions::default();
        let world = World::new(2, ttl.map_or(options, |ttl| options.ttl(ttl)))?;
        world.category.set_retention(7u64, Retention::default().max_age(day))?;
        world.append_apart(12)?;
        let move_held = || {
            let (moving, mut held) = (world.clone(), 12);
            at_most(12, move || {
                held -= 1;
                moving.move_event(held);
            })
        };
        world.have_strays(12);
        let info = each_time(Moment::EventHeld, move_held(), || world.category.info(7u64))?;
        assert_eq!((info.first_version, info.next_version), (0, 12));
        // It would be settled for ever as one that is gone.
        let options = PersistentOptions::default().category("orders");
        let subscription = world.db.persistent_subscription("mails", &options)?;
        let consumer = subscription.consumer()?;
        for version in 0..12 {
            world.have_strays(12);
            let given = each_time(Moment::EventHeld, move_held(), || consumer.try_next())?;
            let given = given.expect("it is there");
            assert_eq!(given.version(), version);
            given.acknowledge()?;
        }
        assert_eq!(subscription.info()?.gone_count, 0);
    }
    Ok(())
}

/// A read-only handle comes across an event that says where a compaction has moved the one before it, of which
/// it knows nothing.
#[test]
fn a_follower_finds_what_is_in_front_of_an_event_that_just_came() -> Result<()> {
    let world = World::new(11, KeyspaceOptions::default())?;
    world.append_apart(3)?;
    let reader = small(&world.disk).read_only(true).open("db")?;
    let seen = reader.open_category("orders")?;
    assert_eq!(seen.len(7u64)?, 3);
    let (went_on, other) = (Arc::new(AtomicUsize::new(0)), seen.clone());
    let (ready, is_ready) = mpsc::channel::<()>();
    let (go, gone) = mpsc::channel::<()>();
    let found = std::thread::scope(|scope| -> Result<_> {
        let tries = Arc::clone(&went_on);
        let reading = scope.spawn(move || {
            let looks = Arc::clone(&tries);
            let look = move || {
                if looks.fetch_add(1, Ordering::SeqCst) == 0 {
                    ready.send(()).expect("it is waited for");
                    gone.recv().expect("it goes on");
                }
            };
            let found = each_time(Moment::WaypointSought, look, || {
                other.get(7u64, 1).map(|event| event.map(|event| event.version()))
            });
            tries.fetch_add(1_000, Ordering::SeqCst);
            found
        });
        let (category, follower, tries) =
            (world.category.clone(), seen.clone(), Arc::clone(&went_on));
        let mut channels = Some((is_ready, go));
        let deed = at_most(1, move || {
            let (is_ready, go) = channels.take().expect("once");
            let tries = Arc::clone(&tries);
            is_ready.recv().expect("it is ready");
            append(&category, 7, 1).expect("an append");
            let meanwhile = at_most(1, move || {
                go.send(()).expect("it is there");
                while tries.load(Ordering::SeqCst) < 20 {
                    std::thread::yield_now();
                }
            });
            let len = each_time(Moment::NewestShown, meanwhile, || follower.len(7u64));
            assert_eq!(len.expect("a length"), 4);
        });
        churn(&world.churned, 9)?;
        each_time(Moment::MovesNoted, deed, || world.db.compact())?;
        reading.join().expect("it ends")
    })?;
    assert_eq!(found, Some(1));
    Ok(())
}

/// What is truncated after compaction has decided to move it takes no room for ever.
#[test]
fn what_is_given_up_while_it_is_moved_is_counted_out() -> Result<()> {
    let world = World::new(12, KeyspaceOptions::default())?;
    for _ in 0..10 {
        append(&world.category, 7, 100)?;
        churn(&world.churned, 0)?;
    }
    let category = world.category.clone();
    let give_up = at_most(1, move || {
        category.truncate_before(7u64, 999).expect("it is truncated");
    });
    let deed = world.move_all();
    each_time(Moment::FateKnown, give_up, deed);
    let needed: u64 = {
        let catalog = world.db.core.catalog.load();
        let listed = catalog.iter().find(|listed| listed.keyspace.name == "orders");
        listed.expect("it is there").view.needed_bytes().iter().sum()
    };
    assert!(needed < 1_000, "{needed} bytes are needed of one event and a mark");
    world.move_all()();
    Ok(())
}

#[test]
fn streams_are_whole_between_any_two_events_that_compaction_notes() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let db = Database::builder()
        .segment_bytes(64 << 10)
        .background(crate::Background::Manual)
        .compact_below(0.9)
        .open(dir.path().join("db"))?;
    let category = db.category("orders")?;
    let churn = db.hash_keyspace("churn")?;
    let rounds = 16u64;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for stream in 0..3u64 {
                    let versions = category.read(stream).expect("a reader");
                    let mut count = 0;
                    for event in versions {
                        assert_eq!(event.expect("an event").version(), count);
                        count += 1;
                    }
                    assert!(count <= category.len(stream).expect("a length"));
                    let back = category.read(stream).expect("a reader").back();
                    let back = back.inspect(|event| assert!(event.is_ok(), "{event:?}"));
                    assert!(back.count() as u64 >= count);
                }
            }
        });
        let outcome = (0..rounds).try_for_each(|round| {
            for n in 0..60u64 {
                let event = NewEvent::bytes("happened", &[7; 40]);
                category.append(n % 3, &event, Any)?;
                // What is beside the events of a round is overwritten in the next but one: so its events are
                // moved when those before them have been, and those behind them not yet.
                let key = [round % 2, n];
                churn.insert(key.map(u64::to_le_bytes).concat(), [round as u8; 2_000])?;
            }
            crate::compaction::pause::PAUSE_US.store(300, std::sync::atomic::Ordering::Relaxed);
            let compacted = db.compact();
            crate::compaction::pause::PAUSE_US.store(0, std::sync::atomic::Ordering::Relaxed);
            compacted.map(drop)
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        outcome
    })?;
    assert_eq!(category.read(1u64)?.count() as u64, rounds * 20);
    Ok(())
}

/// The event behind one that was given up says that it is the first when it is moved, also where that one is still
/// in the log: whatever takes its place is asked by nobody.
#[test]
fn what_is_moved_behind_what_was_given_up_is_the_first() -> Result<()> {
    let world = World::new(14, KeyspaceOptions::default())?;
    world.append_apart(6)?;
    let before = |version| -> Result<Before> {
        let key = StreamKey::of(&7u64.into()).expect("a key");
        world.category.with_key(&key, |core, _, stream| {
            Ok(core.event_of_version(stream, version)?.expect("it is there").read.label.before)
        })
    };
    assert!(matches!(before(3)?, Before::At(_)));
    world.category.truncate_before(7u64, 3)?;
    world.move_event(3);
    assert_eq!(before(3)?, Before::Nothing);
    world.move_event(5);
    assert!(matches!(before(5)?, Before::At(_)), "the one in front of it is left");
    Ok(())
}
