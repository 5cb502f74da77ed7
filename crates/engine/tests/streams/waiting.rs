//! Who waits for events without a timeout is woken by each that it is to be told of, and by the end. Nothing looks
//! again after a time: a waking that is lost never comes.

use annals_disk::{Fault, SimDisk, SimOptions};
use annals_engine::{
    Background, Builder, ChangeKind, Database, Durability, ErrorKind, ExpectedVersion::Any, Result,
    Seq, WriteOptions,
};
use annals_events::Event;
use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

#[derive(Event)]
#[event(crate = annals_events, name = "counted")]
struct Counted {
    n: u64,
}

/// What a follower says: the number of the event that it was told of.
type Told = mpsc::Receiver<u64>;

/// Long enough for any machine; nobody waits so long unless something is wrong.
const LONG: Duration = Duration::from_secs(60);

/// Who follows, each in a thread of its own until there is no more.
struct Followers(Vec<(&'static str, JoinHandle<Result<()>>, Told)>);

impl Followers {
    /// One of each kind, of events that are [appended](append).
    fn new(db: &Database) -> Self {
        let mut all = Self(Vec::new());
        all.add(db, "of all", |db, tell| {
            for event in db.subscribe(Seq::ZERO)? {
                tell(number(event?.data()));
            }
            Ok(())
        });
        all.add(db, "with a timeout", |db, tell| {
            let mut events = db.subscribe(Seq::ZERO)?.with_archived();
            while let Some(event) = events.next_within(Duration::MAX)? {
                tell(number(event.data()));
            }
            Ok(())
        });
        all.add(db, "awake", |db, tell| {
            let awake = Duration::from_micros(20);
            for event in db.category("counts")?.subscribe(Seq::ZERO)?.stay_awake(awake) {
                tell(number(event?.data()));
            }
            Ok(())
        });
        all.add(db, "of types", |db, tell| {
            for event in db.subscribe(Seq::ZERO)?.of_types(["counted", "never"]) {
                tell(number(event?.data()));
            }
            Ok(())
        });
        all.add(db, "of a stream", |db, tell| {
            for event in db.category("counts")?.subscribe_to("all", Seq::ZERO)? {
                tell(number(event?.data()));
            }
            Ok(())
        });
        all.add(db, "typed", |db, tell| {
            for event in db.stream::<Counted>("counts")?.subscribe(Seq::ZERO)? {
                tell(number(event?.data()));
            }
            Ok(())
        });
        all.add(db, "resumed", |db, tell| {
            let mut follower = db.subscribe(Seq::ZERO)?.into_follower();
            while let Some(event) = follower.resume()?.next() {
                tell(number(event?.data()));
            }
            Ok(())
        });
        all.add(db, "changes", |db, tell| {
            for change in db.changes(db.oldest_seq())? {
                let change = change?;
                if change.kind == ChangeKind::Append {
                    tell(number(&change.value.expect("an event")));
                }
            }
            Ok(())
        });
        all
    }

    fn add(
        &mut self,
        db: &Database,
        name: &'static str,
        follow: fn(Database, &dyn Fn(u64)) -> Result<()>,
    ) {
        let ((tell, told), db) = (mpsc::channel(), db.clone());
        let tell = move |n| tell.send(n).expect("somebody listens");
        self.0.push((name, thread::spawn(move || follow(db, &tell)), told));
    }

    /// Each is told of this one next.
    fn are_told(&self, n: u64) {
        for (name, _, told) in &self.0 {
            match told.recv_timeout(LONG) {
                Ok(next) => assert_eq!(next, n, "{name}"),
                Err(error) => panic!("{name} waits for event {n}: {error}"),
            }
        }
    }

    /// Each is told that no more comes, and of nothing else.
    fn end(self) -> Result<()> {
        for (name, follower, told) in self.0 {
            let next = told.recv_timeout(LONG);
            assert_eq!(next, Err(mpsc::RecvTimeoutError::Disconnected), "{name}");
            follower.join().expect("no panic")?;
        }
        Ok(())
    }
}

fn number(data: &[u8]) -> u64 {
    u64::from_le_bytes(data[..8].try_into().expect("a number"))
}

/// Appends event `n`.
fn append(db: &Database, n: u64, durability: Durability) -> Result<()> {
    let options = WriteOptions::default().durability(durability);
    let counts = db.stream::<Counted>("counts")?;
    counts.append_with("all", &Counted { n }, Any, options, |event| event).map(drop)
}

/// What is not told wakes followers and lets them sleep again: a mark, a change of the catalog, writes, compaction, a
/// checkpoint.
fn disturb(db: &Database, n: u64) -> Result<()> {
    let (hashed, ordered) = (db.hash_keyspace("hashed")?, db.keyspace("ordered")?);
    let mut batch = db.batch();
    batch.insert(&hashed, (n % 10).to_be_bytes(), [7; 3_000])?;
    batch.insert(&ordered, n.to_be_bytes(), "written")?;
    batch.commit()?;
    match n % 50 {
        10 => drop(db.category(&format!("category {n}"))?),
        20 => {
            db.category("counts")?.archive("other")?;
        }
        30 => {
            db.compact()?;
        }
        40 => {
            db.checkpoint()?;
        }
        _ => {}
    }
    Ok(())
}

/// `count` events, each of which every follower has to be told of before the next one is appended.
fn follow_each(db: Database, count: u64) -> Result<()> {
    let interval =
        Durability::Interval { every: Duration::from_millis(1), events: None, bytes: None };
    let followers = Followers::new(&db);
    for n in 0..count {
        let durability = [Durability::Buffered, interval, Durability::Sync][n as usize % 3];
        append(&db, n, durability)?;
        followers.are_told(n);
        if n % 5 == 0 {
            disturb(&db, n)?;
        }
    }
    db.close()?;
    followers.end()
}

fn small(background: Background) -> Builder {
    Database::builder().segment_bytes(64 << 10).compact_below(0.9).background(background)
}

#[test]
fn followers_are_told_of_each_event_before_the_next_and_of_the_end() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    follow_each(small(Background::Threads).open(folder.path().join("db"))?, 1_500)
}

#[test]
fn followers_in_memory_are_told_of_each_event_before_the_next_and_of_the_end() -> Result<()> {
    follow_each(small(Background::Threads).open_in_memory()?, 3_000)
}

/// Neither are there threads that could look again, nor does the clock go on by itself.
#[test]
fn followers_without_threads_are_told_of_each_event_before_the_next_and_of_the_end() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(61));
    follow_each(small(Background::Manual).disk(Arc::new(disk)).open("db")?, 1_500)
}

/// Nobody writes any more, but it is not closed: who waits is told so only when it is.
#[test]
fn followers_of_a_database_whose_writes_have_stopped_are_told_when_it_is_closed() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(62));
    let db = small(Background::Manual).disk(Arc::new(disk.clone())).open("db")?;
    let followers = Followers::new(&db);
    append(&db, 0, Durability::Sync)?;
    followers.are_told(0);
    disk.fail_nth(Fault::FailSync, 1);
    // It is there, and nobody knows whether it lasts.
    assert_eq!(append(&db, 1, Durability::Sync).unwrap_err().kind(), ErrorKind::Poisoned);
    followers.are_told(1);
    assert_eq!(append(&db, 2, Durability::Sync).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(db.close().unwrap_err().kind(), ErrorKind::Poisoned);
    followers.end()
}

/// Nothing comes of a category that was dropped, also if there is one of its name again, but the end does.
#[test]
fn a_follower_of_a_category_that_is_dropped_is_told_of_the_end() -> Result<()> {
    let db = Database::open_in_memory()?;
    append(&db, 0, Durability::Buffered)?;
    let mut followers = Followers(Vec::new());
    followers.add(&db, "of the category", |db, tell| {
        for event in db.category("counts")?.subscribe(Seq::ZERO)? {
            tell(number(event?.data()));
        }
        Ok(())
    });
    followers.are_told(0);
    db.drop_keyspace("counts")?;
    append(&db, 1, Durability::Buffered)?;
    db.close()?;
    followers.end()
}
