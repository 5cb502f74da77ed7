//! Readers that are cloned in between give what the first one gives, and so do followers that are resumed again
//! and again.

use annals_engine::{
    Background, Database, Events, ExpectedVersion::Any, Follower, NewEvent, RecordedEvent, Result,
    Seq, Subscription, TypedFollower,
};

const TYPES: [&str; 4] = ["placed", "paid", "sent", "lost"];

/// Several small segments.
fn open() -> Result<Database> {
    Database::builder().segment_bytes(64 << 10).background(Background::Manual).open_in_memory()
}

/// Events of two categories; each tenth commit has a hundred of a stream.
fn append(db: &Database, count: u64) -> Result<()> {
    let (orders, carts) = (db.category("orders")?, db.category("carts")?);
    for n in 0..count {
        let data = [n as u8; 100];
        let event = NewEvent::bytes(TYPES[(n / 16 % 4) as usize], &data);
        if n % 10 == 0 {
            orders.append_many(n % 5, &vec![event; 100], Any)?;
        } else {
            carts.append(n % 7, &event, Any)?;
        }
    }
    Ok(())
}

/// Moves some of what is there to segments of their own.
fn thin_out(db: &Database) -> Result<()> {
    db.open_category("orders")?.delete(0u64)?;
    db.compact()?;
    Ok(())
}

fn seqs(events: Events<'_>) -> Result<Vec<Seq>> {
    events.map(|event| Ok(event?.seq())).collect()
}

fn drain(events: &mut Subscription<'_>) -> Result<Vec<Seq>> {
    let mut seqs = Vec::new();
    while let Some(event) = events.try_next()? {
        seqs.push(event.seq());
    }
    Ok(seqs)
}

/// Readers that are led by the index: of types, of a category, of both.
fn led(db: &Database, which: usize) -> Result<Events<'_>> {
    Ok(match which {
        0 => db.read_all(Seq::ZERO)?.of_types(["paid", "lost"]),
        1 => db.read_all(Seq::ZERO)?.of_type("sent"),
        _ => db.read_all(Seq::ZERO)?,
    })
}

#[test]
fn a_clone_of_a_reader_goes_on_where_that_was_and_by_itself() -> Result<()> {
    const WANTED: [&[&str]; 3] = [&["paid", "lost"], &["sent"], &TYPES];
    for at in [0, 1, 7, 60, 100, 200, 1_000] {
        for (which, wanted) in WANTED.iter().enumerate() {
            // Anew each time: the first that goes through a segment learns what is in it.
            let db = open()?;
            append(&db, 400)?;
            thin_out(&db)?;
            let of_wanted = |event: &RecordedEvent<'_>| {
                wanted.contains(&event.event_type().name.as_str()).then(|| event.seq())
            };
            // Found without the index.
            let mut all = Vec::new();
            for event in db.read_all(Seq::ZERO)? {
                all.extend(of_wanted(&event?));
            }
            let mut reader = led(&db, which)?;
            let taken = reader.by_ref().take(at).map(|event| Ok(event?.seq()));
            let taken = taken.collect::<Result<Vec<_>>>()?;
            assert_eq!(taken, all[..at.min(all.len())]);
            let rest = &all[taken.len()..];
            // The clones end first, and are gone.
            let (clone, in_batches) = (reader.clone(), reader.clone());
            assert_eq!(seqs(clone)?, rest, "{wanted:?} from {at}");
            let mut batched = Vec::new();
            for batch in in_batches.batches() {
                batched.extend(batch?.iter().map(|event| event.seq()));
            }
            assert_eq!(batched, rest, "{wanted:?} from {at}");
            assert_eq!(seqs(reader)?, rest, "{wanted:?} from {at}");
            // What they have left in the index is right.
            for (other, wanted) in WANTED.iter().enumerate() {
                let of_other =
                    |event: &RecordedEvent<'_>| wanted.contains(&event.event_type().name.as_str());
                let events = db.read_all(Seq::ZERO)?.collect::<Result<Vec<_>>>()?;
                let expected: Vec<_> = events
                    .iter()
                    .filter(|event| of_other(event))
                    .map(|event| event.seq())
                    .collect();
                assert_eq!(seqs(led(&db, other)?)?, expected, "{wanted:?} behind {at}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_clone_of_a_subscription_follows_by_itself() -> Result<()> {
    let db = open()?;
    append(&db, 200)?;
    let mut first = db.subscribe(Seq::ZERO)?.of_types(["paid", "sent"]);
    let mut given = Vec::new();
    let mut clones: Vec<(usize, Subscription<'_>)> = Vec::new();
    for round in 0..6 {
        // In what was there, at the end of it, and in what came.
        for n in 0..150 {
            if n % 40 == 3 {
                clones.push((given.len(), first.clone()));
            }
            let Some(event) = first.try_next()? else { break };
            given.push(event.seq());
        }
        clones.push((given.len(), first.clone()));
        if round == 3 {
            thin_out(&db)?;
        }
        append(&db, 60)?;
    }
    given.extend(drain(&mut first)?);
    let is_left = |seq: &Seq| db.event_at(*seq).is_ok_and(|event| event.is_some());
    for (at, mut clone) in clones {
        // Of what was deleted since, some may not come any more.
        let (found, expected) = (drain(&mut clone)?, &given[at..]);
        let left = |seqs: &[Seq]| seqs.iter().copied().filter(is_left).collect::<Vec<_>>();
        assert_eq!(left(&found), left(expected), "from event {at}");
        assert!(found.iter().all(|seq| expected.contains(seq)));
    }
    Ok(())
}

/// What keeps a follower and no handle.
struct Worker {
    follower: Follower,
    given: Vec<(Seq, u64)>,
}

#[test]
fn a_follower_that_is_resumed_again_and_again_has_no_gap_and_no_duplicate() -> Result<()> {
    fn is_of_its_own<T: Clone + Send + Sync + 'static>(_: &T) {}
    let db = open()?;
    append(&db, 300)?;
    let follower = db.subscribe(Seq::ZERO)?.into_follower();
    is_of_its_own(&follower);
    let stream = db.category("orders")?.subscribe_to(10u64 % 5, Seq::ZERO)?.into_follower();
    let workers = [follower, stream].map(|follower| Worker { follower, given: Vec::new() });
    let workers: Vec<_> = workers
        .into_iter()
        .map(|mut worker| {
            let of_all = db.clone();
            std::thread::spawn(move || -> Result<Worker> {
                // From within what was there, from within a commit of many, and from the end.
                for round in 0.. {
                    let mut events = worker.follower.resume()?;
                    let mut is_behind = false;
                    for _ in 0..1 + round % 37 {
                        match events.try_next()? {
                            Some(event) => worker.given.push((event.seq(), event.version())),
                            None => is_behind = true,
                        }
                    }
                    drop(events);
                    let last = worker.given.last().map_or(Seq::ZERO, |(seq, _)| *seq);
                    assert!(worker.follower.position() > last);
                    if is_behind && worker.follower.position() > of_all.last_seq() {
                        let is_last = of_all.hash_keyspace("done")?.get("done")?.is_some();
                        if is_last && worker.follower.clone().resume()?.try_next()?.is_none() {
                            break;
                        }
                        std::thread::yield_now();
                    }
                }
                Ok(worker)
            })
        })
        .collect();
    for _ in 0..5 {
        append(&db, 100)?;
        db.compact()?;
    }
    db.hash_keyspace("done")?.insert("done", "")?;
    let expected = |events: Events<'_>| -> Result<Vec<(Seq, u64)>> {
        events.map(|event| event.map(|event| (event.seq(), event.version()))).collect()
    };
    let all = expected(db.read_all(Seq::ZERO)?)?;
    let of_stream = db.open_category("orders")?;
    let of_stream =
        of_stream.read(0u64)?.map(|event| event.map(|event| (event.seq(), event.version())));
    let of_stream = of_stream.collect::<Result<Vec<_>>>()?;
    for (worker, expected) in workers.into_iter().zip([all, of_stream]) {
        assert_eq!(worker.join().unwrap()?.given, expected);
    }
    Ok(())
}

#[test]
fn a_follower_takes_no_place_of_another_database() -> Result<()> {
    let (one, other) = (open()?, open()?);
    append(&one, 300)?;
    append(&other, 10)?;
    let mut follower = one.subscribe(Seq::ZERO)?.into_follower();
    for _ in 0..5 {
        follower.resume()?.try_next()?;
    }
    let place = follower.position();
    {
        let mut following = follower.resume()?;
        let mut foreign = other.subscribe(Seq::ZERO)?;
        drain(&mut foreign)?;
        *following = foreign;
    }
    assert_eq!(follower.position(), place);
    let mut following = follower.resume()?;
    let left = drain(&mut following)?;
    let all = seqs(one.read_all(Seq::ZERO)?)?;
    assert_eq!(left, all[5..]);
    Ok(())
}

#[derive(annals_events::Event)]
#[event(crate = annals_events)]
enum Step {
    #[event(name = "begun")]
    Begun { n: u64 },
    #[event(name = "done")]
    Done { n: u64 },
}

/// It goes on where it was, with events of its type and of types that came later, in another thread and in its clones.
#[test]
fn a_follower_of_typed_events_goes_on_where_it_was() -> Result<()> {
    let db = open()?;
    let steps = db.stream::<Step>("steps")?;
    let mut follower = steps.subscribe(Seq::ZERO)?.of_type("done").into_follower();
    let read = |follower: &mut TypedFollower<Step>| -> Result<Vec<u64>> {
        let mut events = follower.resume()?;
        let mut numbers = Vec::new();
        while let Some(event) = events.try_next()? {
            match event.view()? {
                StepView::Begun(step) => panic!("{} was only begun", step.n),
                StepView::Done(step) => numbers.push(step.n.to_native()),
            }
        }
        Ok(numbers)
    };
    for n in 0..400u64 {
        steps.append(n % 3, &Step::Begun { n })?;
        steps.append(n % 3, &Step::Done { n })?;
        if n % 100 == 99 {
            append(&db, 50)?;
            let mut other = follower.clone();
            assert_eq!(other.position(), follower.position());
            let there = std::thread::scope(|scope| {
                scope.spawn(|| read(&mut follower)).join().expect("it does not panic")
            })?;
            assert_eq!(there, (n - 99..=n).collect::<Vec<_>>());
            assert_eq!(read(&mut other)?, there);
            assert!(read(&mut follower)?.is_empty());
        }
    }
    // As an iterator it waits for more; when the database is closed it ends.
    let mut events = follower.resume()?;
    steps.append(1u64, &Step::Done { n: 400 })?;
    assert_eq!(events.next().expect("the new one")?.seq(), db.last_seq());
    db.close()?;
    assert!(events.next().is_none());
    Ok(())
}
