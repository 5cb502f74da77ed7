//! Readers of events of a Rust type can be told what those of any events can, and say the same.

use annals_engine::{
    Database, Durability, Error, ExpectedVersion, NewEvent, Result, Seq, Streams, WriteOptions,
};
use annals_events::Event;
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

#[derive(Event, Debug, PartialEq)]
#[event(crate = annals_events)]
enum Step {
    #[event(name = "walked")]
    Walked { metres: u64 },
    #[event(name = "rested")]
    Rested,
}

fn walked(metres: u64) -> Step {
    Step::Walked { metres }
}

/// Long enough for any machine; nobody waits so long unless something is wrong.
const LONG: Duration = Duration::from_secs(600);

/// Two streams whose events come in turn: 40 each, of which each fourth is a rest.
fn filled(db: &Database) -> Result<Streams<Step>> {
    let steps = db.stream::<Step>("steps")?;
    for n in 0..40 {
        for id in ["ada", "bob"] {
            steps.append(id, &if n % 4 == 3 { Step::Rested } else { walked(n) })?;
        }
    }
    Ok(steps)
}

#[test]
fn a_typed_reader_of_a_stream_goes_where_an_untyped_one_does() -> Result<()> {
    let db = Database::open_in_memory()?;
    let steps = filled(&db)?;
    let plain = || steps.category().read("ada");
    let read = || steps.read("ada");
    for version in [0, 7, 39, 40, u64::MAX] {
        let ways = [
            (read()?.from(version), plain()?.from(version)),
            (read()?.back_from(version), plain()?.back_from(version)),
            (read()?.back_from(version).from(3), plain()?.back_from(version).from(3)),
            (read()?.from(version).back(), plain()?.from(version).back()),
            (steps.read_from("ada", version)?, plain()?.from(version)),
            (steps.read_back("ada")?, plain()?.back()),
        ];
        for (typed, plain) in ways {
            assert_eq!(typed.left(), plain.left());
            let of_clone = typed.clone().map(|event| Ok(event?.version()));
            let expected: Vec<u64> =
                plain.map(|event| Ok(event?.version())).collect::<Result<_>>()?;
            assert_eq!(of_clone.collect::<Result<Vec<_>>>()?, expected);
            let values: Vec<Step> = typed.values().collect::<Result<_>>()?;
            let step = |n: &u64| if n % 4 == 3 { Step::Rested } else { walked(*n) };
            assert_eq!(values, expected.iter().map(step).collect::<Vec<_>>());
        }
    }
    let mut events = read()?.from(38);
    let before = events.clone();
    assert_eq!(events.by_ref().count(), 2);
    steps.append("ada", &walked(1_000))?;
    assert!(events.next().is_none());
    events.refresh()?;
    assert_eq!(events.left(), (40, 41));
    assert_eq!(events.next().expect("an event")?.decode()?, walked(1_000));
    assert_eq!(before.left(), (38, 40), "clones go on by themselves");
    Ok(())
}

#[test]
fn a_typed_reader_of_all_streams_ends_where_it_is_told_and_reads_the_types_it_is_told() -> Result<()>
{
    let db = Database::open_in_memory()?;
    let steps = filled(&db)?;
    let all = || steps.read_all(Seq::ZERO);
    assert_eq!(all()?.until(), db.last_seq());
    let fifth = all()?.nth(4).expect("an event")?.seq();
    let until = all()?.end_at(fifth);
    assert_eq!(until.until(), fifth);
    assert_eq!(
        until.map(|event| Ok(event?.version())).collect::<Result<Vec<_>>>()?,
        [0, 0, 1, 1, 2]
    );
    let rests = all()?.of_type("rested").values().collect::<Result<Vec<_>>>()?;
    assert_eq!(rests, (0..20).map(|_| Step::Rested).collect::<Vec<_>>());
    assert_eq!(all()?.of_type("walked").count(), 60);
    assert_eq!(all()?.of_type("flown").count(), 0);
    // What was recorded stays when the type is forgotten.
    let recorded = all()?.next().expect("an event")?.into_recorded();
    assert_eq!((recorded.version(), recorded.event_type().name.as_str()), (0, "walked"));
    Ok(())
}

/// Counts how often somebody was woken.
#[derive(Default)]
struct Wakings(AtomicU64);

impl Wake for Wakings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

#[test]
fn a_typed_subscription_follows_however_it_is_asked() -> Result<()> {
    let db = Database::open_in_memory()?;
    let steps = filled(&db)?;
    let mut rests =
        steps.subscribe(Seq::ZERO)?.of_type("rested").stay_awake(Duration::from_micros(1));
    let mut bob = steps.subscribe_to("bob", Seq::ZERO)?;
    for n in 0..20 {
        let event = rests.try_next()?.expect("a rest");
        assert_eq!((event.version(), event.decode()?), (n / 2 * 4 + 3, Step::Rested));
    }
    assert!(rests.try_next()?.is_none());
    for n in 0..40 {
        let event = bob.next_within(LONG)?.expect("an event of bob");
        assert_eq!((event.version(), event.stream()), (n, "bob".into()));
    }
    assert!(bob.next_within(Duration::ZERO)?.is_none());
    // Who begins where one stopped gets what that one gets.
    let anew = steps.subscribe_to("bob", bob.position())?;
    steps.append("ada", &walked(1))?;
    steps.append("bob", &walked(2))?;
    for mut events in [bob, anew] {
        let event = events.try_next()?.expect("an event of bob");
        assert_eq!((event.version(), event.decode()?), (40, walked(2)));
        assert_eq!(events.position(), event.seq().plus(1));
        assert!(events.try_next()?.is_none());
    }
    // A task is woken by the append that it waits for.
    let wakings = Arc::new(Wakings::default());
    let waker = Waker::from(Arc::clone(&wakings));
    let mut context = Context::from_waker(&waker);
    let mut next = pin!(rests.next_async());
    assert!(next.as_mut().poll(&mut context).is_pending());
    steps.append("bob", &Step::Rested)?;
    assert!(wakings.0.load(Ordering::Acquire) > 0);
    match next.as_mut().poll(&mut context) {
        Poll::Ready(Ok(Some(event))) => assert_eq!(event.version(), 41),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[test]
fn typed_appends_heed_what_is_expected_and_keep_what_they_are_dressed_with() -> Result<()> {
    let db = Database::builder().durability(Durability::Buffered).open_in_memory()?;
    let steps = db.stream::<Step>("steps")?;
    let user = String::from("ada");
    let sync = WriteOptions::default().durability(Durability::Sync);
    let first = steps.append_with("ada", &walked(1), ExpectedVersion::NoStream, sync, |event| {
        event.id(1).correlation(2).causation(3).with("user", &user)
    })?;
    assert_eq!(db.stats().log.synced, db.stats().log.end);
    let again = steps
        .append_with("ada", &walked(1), ExpectedVersion::NoStream, sync, |event| event.id(1))?;
    assert!(again.was_there && !first.was_there);
    assert_eq!(again.last_version, first.last_version);
    let read = steps.get("ada", 0)?.expect("an event");
    assert_eq!((read.id(), read.correlation(), read.causation()), (Some(1), Some(2), Some(3)));
    assert_eq!(read.pairs().collect::<Vec<_>>(), [("user", "ada")]);
    let both = [walked(2), Step::Rested];
    let refused =
        steps.append_batch_expecting("ada", &both, ExpectedVersion::Exact(7)).unwrap_err();
    assert!(matches!(refused, Error::VersionConflict { found: Some(0), .. }));
    steps.append_batch_expecting("ada", &both, ExpectedVersion::Exact(0))?;
    assert_eq!(steps.len("ada")?, 3);
    Ok(())
}

/// Whatever comes before it in its batch: types that are new to the category, and such as it knows.
#[test]
fn each_event_of_a_typed_batch_has_its_own_type() -> Result<()> {
    let db = Database::open_in_memory()?;
    let steps = db.stream::<Step>("steps")?;
    let step = |n: u64| if n % 5 < 2 { Step::Rested } else { walked(n) };
    let all: Vec<Step> = (0..20).map(step).collect();
    for (round, dressed) in [0, 0, 7].into_iter().enumerate() {
        let id = round as u64;
        steps.append_batch_with(
            id,
            &all,
            ExpectedVersion::NoStream,
            WriteOptions::default(),
            |index, event| if index < dressed { event.correlation(9) } else { event },
        )?;
        let read: Vec<Step> = steps.read(id)?.map(|step| step?.decode()).collect::<Result<_>>()?;
        assert_eq!(read, all, "round {round}");
        for event in steps.category().read(id)? {
            let event = event?;
            let is_rest = step(event.version()) == Step::Rested;
            assert_eq!(event.event_type().name, if is_rest { "rested" } else { "walked" });
        }
    }
    Ok(())
}

#[test]
fn a_typed_batch_that_is_repeated_was_there_and_its_events_carry_what_they_are_dressed_with()
-> Result<()> {
    let db = Database::builder().durability(Durability::Buffered).open_in_memory()?;
    let steps = db.stream::<Step>("steps")?;
    let sync = WriteOptions::default().durability(Durability::Sync);
    let all: Vec<Step> = (0..300).map(walked).collect();
    let texts: Vec<String> = (0..all.len()).map(|n| n.to_string()).collect();
    // Each third one has an id and none has it between; the last ones have nothing.
    let mut asked = Vec::new();
    let mut append = |expected| {
        steps.append_batch_with("ada", &all, expected, sync, |index, event| {
            asked.push(index);
            match index % 3 {
                _ if index > 290 => event,
                0 => event.id(1_000 + index as u128).causation(7),
                1 => event.correlation(index as u128).with("n", &texts[index]),
                _ => event,
            }
        })
    };
    let first = append(ExpectedVersion::NoStream)?;
    assert_eq!((first.first_version, first.last_version, first.was_there), (0, 299, false));
    assert_eq!(db.stats().log.synced, db.stats().log.end);
    // Not all of them have an id, so it cannot be said that they are there.
    let refused = append(ExpectedVersion::Any).unwrap_err();
    assert!(matches!(refused, Error::DuplicateEvent { .. }), "{refused}");
    assert_eq!(asked, (0..300).chain(0..300).collect::<Vec<_>>());
    for event in steps.read("ada")? {
        let event = event?;
        let n = event.version();
        assert_eq!(event.decode()?, walked(n));
        let dressed = (event.id(), event.causation(), event.correlation());
        let expected = match n % 3 {
            _ if n > 290 => (None, None, None),
            0 => (Some(1_000 + u128::from(n)), Some(7), None),
            1 => (None, None, Some(u128::from(n))),
            _ => (None, None, None),
        };
        assert_eq!(dressed, expected, "{n}");
        let pairs: Vec<_> = event.pairs().collect();
        assert_eq!(pairs.len(), usize::from(n % 3 == 1 && n <= 290));
        assert!(pairs.iter().all(|pair| *pair == ("n", n.to_string().as_str())));
    }
    let with_ids = |index: usize, event: NewEvent<'static>| event.id(1 << 64 | index as u128);
    for is_repeated in [false, true] {
        let (any, options) = (ExpectedVersion::NoStream, WriteOptions::default());
        let done = steps.append_batch_with("bob", &all, any, options, with_ids)?;
        assert_eq!((done.first_version, done.last_version), (0, 299));
        assert_eq!(done.was_there, is_repeated);
    }
    assert_eq!(steps.len("bob")?, 300);
    Ok(())
}

#[test]
fn typed_events_in_a_batch_carry_what_they_are_dressed_with_and_come_once() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (steps, seen) = (db.stream::<Step>("steps")?, db.hash_keyspace("seen")?);
    let (user, any) = (String::from("ada"), ExpectedVersion::Any);
    let mut batch = db.batch();
    steps.append_in_with(&mut batch, "ada", &[walked(1), Step::Rested], any, |index, event| {
        event.id(10 + index as u128).correlation(5).with("user", &user)
    })?;
    steps.append_in(&mut batch, "bob", &[walked(3)], any)?;
    batch.insert(&seen, "ada", "2")?;
    let late = |batch: &mut annals_engine::WriteBatch| {
        steps.append_in_with(batch, "ada", &[Step::Rested], any, |_, event| event.id(11))
    };
    // Both are made before either is committed.
    let mut other = db.batch();
    late(&mut other)?;
    other.insert(&seen, "ada", "1")?;
    batch.commit()?;
    assert!(matches!(other.commit(), Err(Error::DuplicateEvent { id: 11, .. })));
    assert!(matches!(late(&mut db.batch()), Err(Error::DuplicateEvent { id: 11, .. })));
    assert_eq!((steps.len("ada")?, seen.get("ada")?.as_deref()), (2, Some(&b"2"[..])));
    for event in steps.read("ada")? {
        let event = event?;
        assert_eq!(event.id(), Some(10 + u128::from(event.version())));
        assert_eq!(event.correlation(), Some(5));
        assert_eq!(event.pairs().collect::<Vec<_>>(), [("user", "ada")]);
    }
    let of_bob = steps.get("bob", 0)?.expect("an event");
    assert_eq!((of_bob.id(), of_bob.pairs().count()), (None, 0));
    Ok(())
}
