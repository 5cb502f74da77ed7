//! Followers of a log whose last segment is sealed and has no next one: they are told that nothing came, at once.

use annals_disk::{Fault, SimDisk, SimOptions};
use annals_engine::{
    Background, Builder, Database, ExpectedVersion::Any, Follower, NewEvent, Result, Seq,
    Subscription,
};
use std::{
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Waker},
    time::Duration,
};

fn builder(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

fn append(db: &Database) -> Result<()> {
    db.category("orders")?.append(7u64, &NewEvent::bytes("n", &[7; 9_000]), Any).map(drop)
}

/// Appends until the header of the second segment cannot be written. Returns how many events there are.
fn fill(disk: &SimDisk, db: &Database) -> Result<u64> {
    // Nothing else is written to a segment before it joins the log.
    disk.fail_always_at(Fault::FailWrite, "00000002.seg");
    assert!((0..100).any(|_| append(db).is_err()));
    disk.clear_faults();
    assert!(db.stats().poisoned.is_some());
    let header = disk.file_bytes("db/00000002.seg").expect("it was prepared");
    assert!(header[..64].iter().all(|byte| *byte == 0), "it has not joined the log");
    db.open_category("orders")?.len(7u64)
}

/// What `work` comes to. Fails instead of hanging.
fn ends<R: Send + 'static>(work: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(work()));
    told.recv_timeout(Duration::from_secs(60)).expect("it hangs")
}

/// Is told of the events from this version on up to `count`, and then that there are no more, whichever way it asks.
fn follow(events: &mut Subscription<'_>, from: u64, count: u64) -> Result<()> {
    for version in from..count {
        assert_eq!(events.try_next()?.map(|event| event.version()), Some(version));
    }
    for _ in 0..2 {
        assert!(events.try_next()?.is_none());
        // By the clock of the disk, which goes on by one each time that somebody looks.
        assert!(events.next_within(Duration::from_nanos(50))?.is_none());
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(events.next_async()).poll(&mut context).is_pending());
    }
    Ok(())
}

/// One that has read what is there, and reads what comes.
fn begun(db: &Database) -> Result<Follower> {
    let mut events = db.subscribe(Seq::ZERO)?;
    assert!(events.try_next()?.is_some() && events.try_next()?.is_none());
    Ok(events.into_follower())
}

/// Goes on with one that has read so many events.
fn go_on(mut follower: Follower, from: u64, count: u64) -> Result<Follower> {
    ends(move || {
        // The second time from where it has left.
        for from in [from, count] {
            let mut following = follower.resume()?;
            follow(&mut following, from, count)?;
        }
        Ok(follower)
    })
}

#[test]
fn followers_of_a_log_that_ends_behind_a_seal_are_told_that_nothing_came() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(12));
    let db = builder(&disk).open("db")?;
    append(&db)?;
    let reader = builder(&disk).read_only(true).open("db")?;
    let (writing, reading) = (begun(&db)?, begun(&reader)?);
    let count = fill(&disk, &db)?;
    assert!(count > 3, "{count}");
    drop(go_on(writing, 1, count)?);
    // It was opened in front of the seal, and another one behind.
    let reading = go_on(reading, 1, count)?;
    let late = builder(&disk).read_only(true).open("db")?;
    for handle in [&db, &reader, &late] {
        let handle = handle.clone();
        ends(move || follow(&mut handle.subscribe(Seq::ZERO)?, 0, count))?;
    }
    let behind = late.subscribe(late.last_seq().plus(1))?.into_follower();
    let behind = go_on(behind, count, count)?;
    // Whoever writes on is followed.
    drop(db);
    let db = builder(&disk).open("db")?;
    append(&db)?;
    append(&db)?;
    for follower in [reading, behind] {
        go_on(follower, count, count + 2)?;
    }
    ends(move || follow(&mut late.subscribe(Seq::ZERO)?, 0, count + 2))
}
