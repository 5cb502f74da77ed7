//! Projections that run: one of a name at a time, and as much at once as fits.

use super::{Newest, Sums, number};
use annals_engine::{
    Category, Database, Error, ExpectedVersion, NewEvent, Projection, Projector, RecordedEvent,
    Result, StreamId, Work,
};
use std::{
    cell::Cell,
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

#[test]
fn of_two_projectors_of_a_name_one_goes_on() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let mut one = Projector::new(&db, "sums", Sums(sums.clone()))?;
    let mut other = Projector::new(&db, "sums", Sums(sums.clone()))?;
    category.append(1u64, &NewEvent::bytes("n", &7u64.to_le_bytes()), ExpectedVersion::Any)?;
    assert_eq!(one.step()?, 1);
    for _ in 0..2 {
        assert!(matches!(other.step(), Err(Error::Refused(_))));
    }
    assert_eq!(number(&sums.get("1")?.unwrap()), 7);
    let mut anew = Projector::new(&db, "sums", Sums(sums.clone()))?;
    category.append(1u64, &NewEvent::bytes("n", &1u64.to_le_bytes()), ExpectedVersion::Any)?;
    assert_eq!(anew.catch_up()?, 1);
    assert_eq!(number(&sums.get("1")?.unwrap()), 8);
    Ok(())
}

/// It is behind by what came while it was not called, and goes on with that: when it is run again, and when it is begun
/// again by its name.
#[test]
fn a_projection_runs_until_it_is_stopped_lags_and_goes_on() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let append = |count: u64| {
        (0..count).try_for_each(|_| {
            let data = 1u64.to_le_bytes();
            let event = NewEvent::bytes("n", &data);
            category.append(1u64, &event, ExpectedVersion::Any).map(drop)
        })
    };
    let sum = || Ok::<_, Error>(sums.get("1")?.map_or(0, |sum| number(&sum)));
    append(10)?;
    let mut projector = Projector::new(&db, "sums", Sums(sums.clone()))?;
    assert_eq!(projector.lag(), db.last_seq().0 + 1, "it has not begun");
    projector.run(|| true)?;
    assert_eq!(sum()?, 0, "it was stopped in front of the first step");
    let stop = AtomicBool::new(false);
    // Until the sum is `wanted`, while so many more come.
    let run = |projector: &mut Projector<'_, Sums>, more: u64, wanted: u64| {
        std::thread::scope(|scope| -> Result<()> {
            let running = scope.spawn(|| projector.run(|| stop.load(Ordering::Relaxed)));
            // One by one, some while it waits.
            for _ in 0..more {
                append(1)?;
                std::thread::yield_now();
            }
            while sum()? < wanted && !running.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            stop.store(true, Ordering::Relaxed);
            running.join().unwrap()
        })
    };
    run(&mut projector, 20, 30)?;
    assert_eq!(sum()?, 30);
    let stopped_at = projector.position();
    append(7)?;
    let others = db.hash_keyspace("others")?;
    others.insert("no", "event")?;
    assert_eq!((sum()?, projector.position()), (30, stopped_at), "it is not called");
    assert_eq!(projector.lag(), db.last_seq().0 + 1 - stopped_at.0);
    assert!(projector.lag() >= 8, "the record that is no event counts too: {}", projector.lag());
    assert_eq!(projector.catch_up()?, 7);
    assert_eq!((sum()?, projector.lag()), (37, 0));
    append(5)?;
    drop(projector);
    let mut again = Projector::new(&db, "sums", Sums(sums.clone()))?;
    assert!((5..30).contains(&again.lag()), "{}", again.lag());
    assert_eq!(again.step()?, 5);
    assert_eq!(sum()?, 42);
    // Whoever closes the database ends it too.
    std::thread::scope(|scope| {
        let running = scope.spawn(|| again.run(|| false));
        db.clone().close()?;
        running.join().unwrap()
    })
}

/// Appends an event of 1 MiB to each of these streams.
fn append_large(category: &Category, streams: impl IntoIterator<Item = u64>) -> Result<()> {
    let data = vec![7; 1 << 20];
    for stream in streams {
        category.append(stream, &NewEvent::bytes("n", &data), ExpectedVersion::Any)?;
    }
    Ok(())
}

/// A thousand large ones would have to be in memory, and might be too long for a commit for ever.
#[test]
fn few_events_whose_writes_are_long_are_committed_together() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (category, newest) = (db.category("orders")?, db.hash_keyspace("newest")?);
    append_large(&category, 0..20)?;
    let mut projector = Projector::new(&db, "newest", Newest(newest.clone()))?;
    assert_eq!([projector.step()?, projector.step()?, projector.step()?], [16, 4, 0]);
    assert_eq!(newest.len(), 20);
    // What is written in place of something else counts once.
    append_large(&category, [7; 20])?;
    assert_eq!(projector.step()?, 20);
    Ok(())
}

/// Cannot handle the tenth event, as long as it is told so; part of what it writes for it is there then.
struct Failing {
    newest: Newest,
    is_failing: Rc<Cell<bool>>,
}

impl Projection for Failing {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        self.newest.handle(event, work)?;
        let is_tenth = event.stream() == StreamId::Number(9);
        if is_tenth && self.is_failing.get() {
            return Err(Error::Refused("not now".to_owned()));
        }
        Ok(())
    }

    fn reset(&mut self, db: &Database) -> Result<()> {
        self.newest.reset(db)
    }
}

/// What was given up with an event that could not be handled is not counted with what is handled again.
#[test]
fn what_was_not_committed_takes_no_room_in_the_next_commit() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (category, newest) = (db.category("orders")?, db.hash_keyspace("newest")?);
    append_large(&category, 0..20)?;
    let is_failing = Rc::new(Cell::new(true));
    let failing = Failing { newest: Newest(newest.clone()), is_failing: Rc::clone(&is_failing) };
    let mut projector = Projector::new(&db, "newest", failing)?;
    assert_eq!(projector.step()?, 9);
    for _ in 0..2 {
        assert!(matches!(projector.step(), Err(Error::Refused(_))));
        assert_eq!(newest.len(), 9);
    }
    is_failing.set(false);
    assert_eq!([projector.step()?, projector.step()?], [11, 0]);
    Ok(())
}
