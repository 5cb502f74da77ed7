//! Projections that are paused.

use super::{Sums, number};
use annals_engine::{
    Background, Category, Database, Error, ErrorKind, ExpectedVersion, NewEvent, Projection,
    Projector, RecordedEvent, Result, Seq, Work,
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// What is paused stays so over a restart and a rebuild, whoever runs it, and is listed.
#[test]
fn a_projection_stays_paused_until_it_is_resumed() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let open = || Database::builder().background(Background::Manual).open(dir.path().join("db"));
    let db = open()?;
    assert!(db.projections()?.is_empty());
    let unknown = db.pause_projection("sums").unwrap_err();
    assert!(matches!(&unknown, Error::UnknownProjection { name } if name == "sums"), "{unknown}");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let append = |category: &Category, n: u64| {
        let data = n.to_le_bytes();
        category.append(1u64, &NewEvent::bytes("n", &data), ExpectedVersion::Any)
    };
    append(&category, 1)?;
    let mut projector = Projector::new(&db, "sums", Sums(sums.clone()))?;
    assert_eq!(projector.step()?, 1);
    append(&category, 2)?;
    sums.insert("another", 7u64.to_le_bytes())?;
    db.pause_projection("sums")?;
    assert!(matches!(db.resume_projection("sum"), Err(Error::UnknownProjection { .. })));
    assert_eq!((projector.catch_up()?, projector.is_paused()?), (0, true));
    let listed = db.projections()?;
    let lag = db.last_seq().0 + 1 - projector.position().0;
    assert_eq!((listed.len(), &*listed[0].name, listed[0].is_paused), (1, "sums", true));
    assert!((listed[0].position, listed[0].is_lost) == (projector.position(), false), "{listed:?}");
    assert!(listed[0].lag > 0 && listed[0].lag < lag, "from the first event on: {listed:?}");
    drop((projector, category, sums));
    db.close()?;

    let db = open()?;
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let mut projector = Projector::new(&db, "sums", Sums(sums.clone()))?;
    assert_eq!((projector.catch_up()?, projector.is_paused()?), (0, true));
    projector.rebuild()?;
    assert_eq!((projector.step()?, sums.get("1")?.is_none()), (0, true), "it is empty, and paused");
    projector.resume()?;
    projector.resume()?;
    assert_eq!((projector.catch_up()?, number(&sums.get("1")?.unwrap())), (2, 3));
    assert_eq!(db.projections()?[0].lag, 0, "what it writes itself does not count");

    // One that has not begun can be paused by who runs it.
    let fresh = db.hash_keyspace("fresh")?;
    let mut fresh_projector = Projector::new(&db, "fresh", Sums(fresh))?;
    fresh_projector.pause()?;
    assert_eq!(fresh_projector.step()?, 0);
    let listed = db.projections()?;
    assert_eq!(
        (&*listed[0].name, listed[0].position, listed[0].is_paused),
        ("fresh", Seq::ZERO, true)
    );
    db.resume_projection("fresh")?;
    assert_eq!(fresh_projector.step()?, 2);

    // One that runs waits while it is paused, and misses nothing.
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        projector.pause()?;
        let running = scope.spawn(|| projector.run(|| is_over.load(Ordering::Relaxed)));
        append(&category, 4)?;
        db.resume_projection("sums")?;
        while number(&sums.get("1")?.unwrap()) != 7 && !running.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        is_over.store(true, Ordering::Relaxed);
        running.join().unwrap()
    })?;
    Ok(())
}

/// Handles an event, and is paused before that is committed, and resumed too if it is to be.
struct PausedMeanwhile {
    sums: Sums,
    db: Database,
    is_paused: bool,
    is_resumed: bool,
}

impl Projection for PausedMeanwhile {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        if !std::mem::replace(&mut self.is_paused, true) {
            self.db.pause_projection("sums")?;
            if self.is_resumed {
                self.db.resume_projection("sums")?;
            }
        }
        self.sums.handle(event, work)
    }

    fn reset(&mut self, db: &Database) -> Result<()> {
        self.sums.reset(db)
    }
}

#[test]
fn what_was_handled_when_a_projection_was_paused_comes_again_unless_it_was_resumed() -> Result<()> {
    for is_resumed in [false, true] {
        let db = Database::open_in_memory()?;
        let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
        let append = |n: u64| {
            category.append(1u64, &NewEvent::bytes("n", &n.to_le_bytes()), ExpectedVersion::Any)
        };
        let projection = |is_paused| PausedMeanwhile {
            sums: Sums(sums.clone()),
            db: db.clone(),
            is_paused,
            is_resumed,
        };
        append(1)?;
        let mut projector = Projector::new(&db, "sums", projection(true))?;
        assert_eq!(projector.step()?, 1);
        drop(projector);
        append(2)?;
        append(3)?;
        let mut projector = Projector::new(&db, "sums", projection(false))?;
        if !is_resumed {
            let before = projector.position();
            assert_eq!((projector.step()?, projector.position()), (0, before));
            assert_eq!(number(&sums.get("1")?.unwrap()), 1);
            projector.resume()?;
        }
        assert_eq!((projector.catch_up()?, number(&sums.get("1")?.unwrap())), (2, 6));
    }
    Ok(())
}
