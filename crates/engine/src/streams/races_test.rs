//! What comes between two looks of who reads or writes: what they find is what there was at some moment.

use super::{
    Aggregate, Aggregates, Category,
    ExpectedVersion::*,
    NewEvent, Retention,
    chains::SPAN,
    id::StreamKey,
    meanwhile::{Moment, each_time},
};
use crate::{
    Background, Builder, Database, Error, HashKeyspace, KeyspaceOptions, PersistentOptions, Result,
    compaction::run_on, maintenance,
};
use annals_disk::{SimDisk, SimOptions};
use annals_journal::Seq;
use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).compact_below(0.9)
}

fn append(category: &Category, stream: u64, count: u64) -> Result<()> {
    for _ in 0..count {
        category.append(stream, &NewEvent::bytes("happened", &[7; 40]), Any)?;
    }
    Ok(())
}

/// Fills segments with what nobody needs any more.
fn churn(churned: &HashKeyspace, round: u64) -> Result<()> {
    (0..100).try_for_each(|n| churned.insert([n], [round as u8; 2_000]))
}

/// Does something the first so many times that it is asked.
fn at_most(times: u32, mut deed: impl FnMut()) -> impl FnMut() {
    let mut left = times;
    move || {
        if left > 0 {
            left -= 1;
            deed();
        }
    }
}

/// A database with a stream, number 7, whose events can be moved one by one.
#[derive(Clone)]
struct World {
    disk: SimDisk,
    db: Database,
    category: Category,
    churned: HashKeyspace,
    round: Rc<Cell<u64>>,
}

impl World {
    fn new(seed: u64, options: KeyspaceOptions) -> Result<Self> {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let db = small(&disk).open("db")?;
        let category = db.create_category("orders", options)?;
        let churned = db.hash_keyspace("churn")?;
        Ok(Self { disk, db, category, churned, round: Rc::default() })
    }

    /// Appends events, each of which is in a segment of its own.
    fn append_apart(&self, count: u64) -> Result<()> {
        (0..count).try_for_each(|_| {
            append(&self.category, 7, 1)?;
            Ok(self.db.core.journal.roll()?)
        })
    }

    /// Moves one event, to a segment of its own. Where one was before that was moved before, nothing is then,
    /// unless somebody is pinned.
    fn move_event(&self, version: u64) {
        let core = self.db.core.core();
        let slot =
            self.category.with_key(&StreamKey::of(&7u64.into()).expect("a key"), |_, _, stream| {
                let event = core.event_of_version(stream, version)?;
                Ok(event.expect("it is there").hit.address.slot)
            });
        let _ = run_on(core, slot.expect("it is found")).expect("it is moved");
    }

    /// Lets each second event lie elsewhere than the one behind it says, with nothing where that says it is.
    fn have_strays(&self, count: u64) {
        (0..count).step_by(2).for_each(|version| self.move_event(version));
        self.let_go();
    }

    /// Waits until nothing is kept of what was given up. In vain, if this thread is pinned.
    fn let_go(&self) {
        let core = self.db.core.core();
        for _ in 0..100 {
            maintenance::tidy(core);
            if core.maintenance.zombies.lock().is_empty() {
                return;
            }
            // Other tests' threads are pinned for moments.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Has everything moved.
    fn move_all(&self) -> impl FnMut() + use<> {
        let world = self.clone();
        move || {
            world.round.set(world.round.get() + 1);
            churn(&world.churned, world.round.get()).expect("it is filled");
            world.db.compact().expect("it is compacted");
            world.let_go();
        }
    }
}

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

#[test]
fn a_stream_that_is_closed_meanwhile_takes_no_events() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let events = [NewEvent::bytes("happened", b"a"), NewEvent::bytes("happened", b"b")];
    for stream in 0..2u64 {
        append(&category, stream, 3)?;
        let closing = category.clone();
        let close = at_most(1, move || match stream {
            0 => closing.archive(stream).expect("it is archived"),
            _ => closing.tombstone(stream).expect("it is deleted"),
        });
        let done =
            each_time(Moment::StandingKnown, close, || category.append_many(stream, &events, Any));
        assert!(matches!(done, Err(Error::StreamClosed { .. })), "{done:?}");
        assert_eq!(category.len(stream)?, 3);
    }
    Ok(())
}

/// Counts events, and how many of them this life has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count(u64);

#[derive(annals_events::Event)]
#[event(crate = annals_events)]
enum Counted {
    By { count: u64 },
}

impl Aggregate for Count {
    type Event = Counted;

    fn apply(&mut self, event: CountedView<'_>) {
        let CountedView::By(event) = event;
        self.0 += event.count.to_native();
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(self.0.to_le_bytes().to_vec())
    }

    fn load(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(bytes.try_into().ok()?)))
    }
}

/// An aggregate is what all events of one life say: not a snapshot of one and the events of the next.
#[test]
fn an_aggregate_that_is_deleted_meanwhile_begins_anew() -> Result<()> {
    for saved in [false, true] {
        let db = Database::open_in_memory()?;
        let counts = Aggregates::<Count>::new(&db, "counts")?;
        let add = |count: usize| {
            counts.execute(7u64, |_| Ok((0..count).map(|_| Counted::By { count: 1 }).collect()))
        };
        add(5)?;
        if saved {
            counts.save_snapshot(7u64, &counts.load(7u64)?)?;
        }
        add(5)?;
        let category = counts.streams().category().clone();
        let other = Aggregates::<Count>::new(&db, "counts")?;
        let again = at_most(1, move || {
            category.delete(7u64).expect("it is deleted");
            other.execute(7u64, |_| Ok(vec![Counted::By { count: 100 }])).expect("an append");
        });
        let loaded = each_time(Moment::StreamKnown, again, || counts.load(7u64))?;
        assert_eq!((loaded.state, loaded.events_count), (Count(100), 11), "{saved}");

        let category = counts.streams().category().clone();
        let end = at_most(1, move || category.delete(7u64).expect("it is deleted"));
        let loaded = each_time(Moment::StreamKnown, end, || counts.load(7u64))?;
        assert_eq!((loaded.state, loaded.events_count), (Count(0), 0), "{saved}");
    }
    Ok(())
}

/// What was decided of a stream that was deleted since does not begin the next one.
#[test]
fn a_decision_on_a_stream_that_was_deleted_meanwhile_is_made_anew() -> Result<()> {
    for (others, expected) in [(0, 1), (3, 301)] {
        let db = Database::open_in_memory()?;
        let counts = Aggregates::<Count>::new(&db, "counts")?;
        let other = Aggregates::<Count>::new(&db, "counts")?;
        counts.execute(7u64, |_| Ok(vec![Counted::By { count: 10 }, Counted::By { count: 20 }]))?;
        let mut seen = Vec::new();
        let loaded = counts.execute(7u64, |count| {
            seen.push(count.0);
            if seen.len() == 1 {
                other.streams().category().delete(7u64)?;
                for _ in 0..others {
                    other.execute(7u64, |_| Ok(vec![Counted::By { count: 100 }]))?;
                }
            }
            Ok(vec![Counted::By { count: 1 }])
        })?;
        assert_eq!(seen, [30, others * 100]);
        let count = 2 + others + 1;
        assert_eq!(counts.load(7u64)?, loaded);
        assert_eq!((loaded.state, loaded.events_count), (Count(expected), count));
    }
    Ok(())
}

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
