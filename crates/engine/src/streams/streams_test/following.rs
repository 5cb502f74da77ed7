//! Subscriptions and projections.

use super::*;
use std::time::Duration;

#[test]
fn a_subscription_tells_what_is_there_and_what_comes_once_each() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = small(&disk).open("db")?;
    let (category, other) = (db.category("orders")?, db.category("users")?);
    let hashed = db.hash_keyspace("churn")?;
    let (mut appended, mut seen) = (Vec::new(), Vec::new());
    let mut late = db.subscribe(Seq::ZERO)?;
    let mut of_one = category.subscribe_to(3u64, Seq::ZERO)?;
    let mut by_type = db.subscribe(Seq::ZERO)?.of_type("rare");
    let mut live = category.subscribe(Seq::ZERO)?;
    for n in 0..3_000u64 {
        let name = if n % 100 == 7 { "rare" } else { "often" };
        let data = n.to_le_bytes();
        let event = NewEvent::bytes(name, &data);
        category.append(n % 5, &event, Any)?;
        appended.push(n);
        other.append("x", &NewEvent::bytes("other", b""), Any)?;
        hashed.insert((n % 10).to_be_bytes(), [1; 300])?;
        if n % 700 == 699 {
            // Under a reader that has come to the end, and under one that has not begun.
            db.compact()?;
        }
        if n % 13 == 0 {
            while let Some(event) = live.try_next()? {
                seen.push(u64::from_le_bytes(event.data().try_into().expect("a number")));
            }
        }
    }
    while let Some(event) = live.try_next()? {
        seen.push(u64::from_le_bytes(event.data().try_into().expect("a number")));
    }
    assert_eq!(seen, appended);
    let mut count = 0;
    let mut last = Seq::ZERO;
    while let Some(event) = late.try_next()? {
        assert!(event.seq() > last);
        last = event.seq();
        count += 1;
    }
    assert_eq!(count, 2 * appended.len());
    let mut versions = Vec::new();
    while let Some(event) = of_one.try_next()? {
        assert_eq!(event.stream(), 3u64.into());
        versions.push(event.version());
    }
    assert_eq!(versions, (0..600).collect::<Vec<_>>());
    let mut rare = 0;
    while let Some(event) = by_type.try_next()? {
        assert_eq!(event.event_type().name, "rare");
        rare += 1;
    }
    assert_eq!(rare, 30);
    // One that goes on where another was.
    let mut again = category.subscribe(live.position())?;
    assert!(again.try_next()?.is_none());
    category.append(1u64, &NewEvent::bytes("often", b""), Any)?;
    assert!(again.try_next()?.is_some() && again.try_next()?.is_none());
    Ok(())
}

/// Who does not sleep is told the same, and no later ends than who does.
#[test]
fn a_follower_that_stays_awake_gets_all_and_ends_with_the_database() -> Result<()> {
    let (db, hour) = (Database::open_in_memory()?, Duration::from_secs(3600));
    let category = db.category("orders")?;
    let mut events = category.subscribe(Seq::ZERO)?.stay_awake(hour);
    assert!(events.next_within(Duration::from_millis(1))?.is_none());
    let (told, tell) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let followed = scope.spawn(move || -> Result<u64> {
            let mut count = 0;
            for event in events {
                assert_eq!(event?.version(), count);
                count += 1;
                let _ = told.send(());
            }
            Ok(count)
        });
        for _ in 0..50 {
            category.append(7u64, &NewEvent::bytes("n", b""), Any)?;
            tell.recv().expect("it follows");
        }
        db.close()?;
        assert_eq!(followed.join().expect("no panic")?, 50);
        Ok(())
    })
}

#[test]
fn a_task_is_woken() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let (appender, tasks) = (category.clone(), 3);
    std::thread::scope(|scope| {
        let seen: Vec<_> = (0..tasks)
            .map(|_| {
                let category = &category;
                scope.spawn(move || -> Result<u64> {
                    let mut events = category.subscribe(Seq::ZERO)?;
                    let mut count = 0;
                    let work = async {
                        while count < 200 {
                            let event = events.next_async().await?.expect("it is open");
                            assert_eq!(event.version(), count);
                            count += 1;
                        }
                        Ok::<(), Error>(())
                    };
                    block_on(work)?;
                    Ok(count)
                })
            })
            .collect();
        for n in 0..200u64 {
            appender.append(7u64, &NewEvent::bytes("n", b""), Any)?;
            if n % 10 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        for one in seen {
            assert_eq!(one.join().expect("no panic")?, 200);
        }
        Ok(())
    })
}

/// Reads from a place of its own and waits when nothing is there, also what was there before the database was opened,
/// and in a handle that nobody tells of anything.
#[test]
fn who_reads_from_a_place_and_waits_sees_each_event_once() -> Result<()> {
    const BEFORE: u64 = 50;
    const ALL: u64 = 150;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db");
    let append = |category: &Category, from, to| -> Result<()> {
        for n in from..to {
            category.append(7u64, &NewEvent::bytes("n", &u64::to_le_bytes(n)), Any)?;
        }
        Ok(())
    };
    let db = Database::open(&path)?;
    append(&db.category("orders")?, 0, BEFORE)?;
    db.close()?;
    let db = Database::open(&path)?;
    let reader = Database::builder().read_only(true).open(&path)?;
    let hour = Duration::from_secs(3600);
    let follow = |handle: &Database, in_task: bool| -> Result<()> {
        let (category, watcher) = (handle.open_category("orders")?, handle.watcher());
        let (mut next, mut seen) = (Seq::ZERO, 0);
        while seen < ALL {
            let until = watcher.seq()?;
            for event in category.read_all(next)?.end_at(until) {
                assert_eq!(event?.version(), seen);
                seen += 1;
            }
            next = until.plus(1);
            if seen < ALL {
                let is_there = match in_task {
                    true => block_on(watcher.wait_for_async(next))?,
                    false => watcher.wait_for(next, hour)?,
                };
                assert!(is_there, "it is open");
            }
        }
        Ok(())
    };
    let follow = &follow;
    std::thread::scope(|scope| {
        let handles = [(&db, false), (&db, true), (&reader, false), (&reader, true)];
        let followers = handles.map(|(handle, in_task)| {
            let handle = handle.clone();
            scope.spawn(move || follow(&handle, in_task))
        });
        let category = db.category("orders")?;
        for from in (BEFORE..ALL).step_by(10) {
            append(&category, from, from + 10)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        for follower in followers {
            follower.join().expect("no panic")?;
        }
        // What never comes.
        let watcher = db.watcher();
        assert!(!watcher.wait_for(Seq(u64::MAX), Duration::from_millis(1))?);
        let waiting = [true, false].map(|in_task| {
            let watcher = watcher.clone();
            scope.spawn(move || match in_task {
                true => block_on(watcher.wait_for_async(Seq(u64::MAX))),
                false => watcher.wait_for(Seq(u64::MAX), hour),
            })
        });
        db.close()?;
        for waits in waiting {
            assert!(!waits.join().expect("no panic")?, "closed");
        }
        Ok(())
    })
}

/// The smallest runtime there is.
fn block_on<F: Future>(work: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut work = std::pin::pin!(work);
    loop {
        match work.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => return done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// Sums what streams say, and fails at some events.
struct Sums {
    sums: crate::HashKeyspace,
    fails_at: Option<u64>,
}

impl Projection for Sums {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        let key = event.stream().to_string();
        let before = work.get(&self.sums, &key)?;
        let before = before.map_or(0, |raw| u64::from_le_bytes(raw.try_into().expect("a number")));
        let added = u64::from_le_bytes(event.data().try_into().expect("a number"));
        work.insert(&self.sums, key, (before + added).to_le_bytes());
        // Behind the writes: they must not stay.
        if self.fails_at == Some(added) {
            return Err(Error::Refused(format!("not {added}")));
        }
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        self.sums.clear()
    }
}

#[test]
fn a_projection_counts_each_event_once() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    let mut n = 0u64;
    for round in 0..6u64 {
        let db = small(&disk).open("db")?;
        let (category, sums) = (db.category("orders")?, db.hash_keyspace("sums")?);
        for _ in 0..1_700 {
            n += 1;
            category.append(n % 9, &NewEvent::bytes("n", &n.to_le_bytes()), Any)?;
            *wanted.entry((n % 9).to_string()).or_default() += n;
        }
        let fails_at = (round == 2).then_some(n - 100);
        let projection = Sums { sums: sums.clone(), fails_at };
        let mut projector = Projector::new(&db, "sums", projection)?;
        if fails_at.is_some() {
            for _ in 0..2 {
                assert!(matches!(projector.catch_up(), Err(Error::Refused(_))));
                // What came before it is there, and nothing of it.
                let mut sum = 0;
                for entry in sums.iter()? {
                    let value = entry?.value().to_vec();
                    sum += u64::from_le_bytes(value.try_into().expect("a number"));
                }
                assert_eq!(sum, (1..n - 100).sum::<u64>());
            }
            let projection = Sums { sums: sums.clone(), fails_at: None };
            projector = Projector::new(&db, "sums", projection)?;
        }
        match round {
            // Closed before it has come to the end.
            0 => drop(projector.step()?),
            4 => {
                projector.rebuild()?;
                projector.catch_up()?;
            }
            _ => drop(projector.catch_up()?),
        }
        if round > 0 {
            assert_eq!(projector.lag(), 0);
            for (key, sum) in &wanted {
                let found = sums.get(key)?.expect("a sum").to_vec();
                assert_eq!(u64::from_le_bytes(found.try_into().expect("a number")), *sum);
            }
        }
        drop(projector);
        db.close()?;
    }
    Ok(())
}

#[test]
fn a_subscription_does_not_pass_over_what_stands_behind_damage() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(6));
    let db = small(&disk).open("db")?;
    let category = db.category("orders")?;
    for n in 0..20u64 {
        category.append(n, &NewEvent::bytes("n", format!("event {n:02}").as_bytes()), Any)?;
    }
    drop(category);
    db.close()?;
    let needle = b"event 11";
    for path in disk.paths() {
        let bytes = disk.file_bytes(&path).unwrap_or_default();
        if let Some(at) = bytes.windows(needle.len()).position(|some| some == needle) {
            disk.flip_bit(&path, at as u64, 0).expect("flipped");
        }
    }
    let db = small(&disk).open("db")?;
    let mut events = db.subscribe(Seq::ZERO)?;
    for n in 0..11u64 {
        let event = events.try_next()?.expect("it is whole");
        assert_eq!(event.stream(), n.into());
    }
    for _ in 0..3 {
        let error = events.try_next().map(drop).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Corrupt, "{error}");
    }
    Ok(())
}
