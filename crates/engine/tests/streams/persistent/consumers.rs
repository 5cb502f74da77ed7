//! Several consumers of one subscription.

use super::*;

#[test]
fn competing_consumers_get_each_event_once_and_streams_in_order() {
    const EVENTS: u64 = 6_000;
    for strategy in [Strategy::ByStream, Strategy::Any] {
        let db = Database::open_in_memory().unwrap();
        let category = db.category("numbers").unwrap();
        let options = PersistentOptions::default().category("numbers").strategy(strategy);
        let got: Mutex<BTreeMap<Seq, u64>> = Mutex::default();
        let (lasts, busy): (Mutex<BTreeMap<u64, u64>>, [AtomicUsize; 16]) = Default::default();
        let count = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for writer in 0..2u64 {
                let category = &category;
                scope.spawn(move || {
                    for n in 0..EVENTS / 2 {
                        append(category, (n % 8) * 2 + writer, n).unwrap();
                    }
                });
            }
            for _ in 0..4 {
                let options = options.clone();
                let (db, got, lasts, busy, count) = (&db, &got, &lasts, &busy, &count);
                scope.spawn(move || {
                    let subscription = db.persistent_subscription("shared", &options).unwrap();
                    let consumer = subscription.consumer().unwrap();
                    while count.load(Ordering::SeqCst) < EVENTS {
                        let wait = Duration::from_millis(20);
                        let Some(event) = consumer.next_within(wait).unwrap() else { continue };
                        let StreamId::Number(id) = event.stream() else { panic!("a number") };
                        let slot = &busy[id as usize];
                        let others = slot.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(event.attempt(), 1);
                        let twice = got.lock().unwrap().insert(event.seq(), number(&event));
                        assert_eq!(twice, None, "{:?} was given out twice", event.seq());
                        if strategy == Strategy::ByStream {
                            assert_eq!(others, 0, "two have events of one stream");
                            let before = lasts.lock().unwrap().insert(id, event.version());
                            assert_eq!(before.map_or(0, |last| last + 1), event.version());
                        }
                        slot.fetch_sub(1, Ordering::SeqCst);
                        count.fetch_add(1, Ordering::SeqCst);
                        assert!(event.acknowledge().unwrap());
                    }
                });
            }
        });
        assert_eq!(got.lock().unwrap().len() as u64, EVENTS);
        let again = db.open_persistent_subscription("shared").unwrap();
        assert!(again.consumer().unwrap().try_next().unwrap().is_none());
        assert_eq!(again.info().unwrap().lag, 0);
    }
}

/// So many events that were read wait for consumers, and no more.
const READ_AHEAD: u64 = 4_096;

#[test]
fn a_commit_larger_than_what_is_read_ahead_is_given_out_whole() {
    let db = Database::open_in_memory().unwrap();
    let category = db.category("numbers").unwrap();
    let subscription = db.persistent_subscription("s", &PersistentOptions::default()).unwrap();
    let consumer = subscription.consumer().unwrap();
    // What is read is read from the end of the log.
    assert!(consumer.try_next().unwrap().is_none());
    let data: Vec<_> = (0..10_000u64).map(u64::to_le_bytes).collect();
    let events: Vec<_> = data.iter().map(|data| NewEvent::bytes("n", data)).collect();
    category.append_many(1u64, &events, ExpectedVersion::Any).unwrap();
    append(&category, 2, 10_000).unwrap();
    let first = consumer.try_next().unwrap().unwrap();
    let read_count = subscription.info().unwrap().waiting_count + 1;
    assert!((2..=READ_AHEAD).contains(&read_count), "{read_count} of a commit are in memory");
    // As if it had not been taken.
    assert!(first.retry_after(Duration::ZERO).unwrap());
    assert_eq!(drain(&consumer).unwrap(), (0..=10_000).collect::<Vec<_>>());
    // And the same from the front.
    let other = db.persistent_subscription("other", &PersistentOptions::default()).unwrap();
    assert_eq!(drain(&other.consumer().unwrap()).unwrap(), (0..=10_000).collect::<Vec<_>>());
}

#[test]
fn what_is_not_acknowledged_in_time_goes_to_another() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(2));
    let db = sim(&disk)?;
    let category = db.category("numbers")?;
    let options = PersistentOptions::default().ack_timeout(Duration::from_secs(5)).max_attempts(2);
    let subscription = db.persistent_subscription("s", &options)?;
    let (slow, other) = (subscription.consumer()?, subscription.consumer()?);
    append(&category, 1, 7)?;
    let first = slow.try_next()?.unwrap();
    disk.advance_ms(4_999);
    assert!(other.try_next()?.is_none());
    disk.advance_ms(1);
    let second = other.try_next()?.unwrap();
    assert_eq!((number(&second), second.attempt()), (7, 2));
    // Too late: somebody else has it.
    assert!(!first.acknowledge()?);
    let ticket = second.leave();
    assert_eq!(subscription.info()?.in_flight_count, 1);
    disk.advance_ms(5_000);
    assert!(slow.try_next()?.is_none());
    let parked = subscription.parked()?;
    assert_eq!((parked.len(), &*parked[0].reason), (1, "it was not acknowledged in time"));
    assert!(!subscription.acknowledge(ticket)?);

    // Late, but nobody else has it.
    append(&category, 1, 8)?;
    let event = slow.try_next()?.unwrap();
    disk.advance_ms(6_000);
    assert_eq!(subscription.info()?.in_flight_count, 0);
    assert!(event.acknowledge()?);
    assert!(other.try_next()?.is_none());

    // Who goes away gives back what it has, and that does not count.
    append(&category, 1, 9)?;
    let _ticket = slow.try_next()?.unwrap().leave();
    assert!(other.try_next()?.is_none());
    drop(slow);
    let event = other.try_next()?.unwrap();
    assert_eq!((number(&event), event.attempt()), (9, 1));
    Ok(())
}

#[test]
fn no_more_is_given_out_than_may_be_in_flight() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    let options = PersistentOptions::default().max_in_flight(3);
    let subscription = db.persistent_subscription("s", &options)?;
    let consumers = [subscription.consumer()?, subscription.consumer()?];
    for n in 0..10 {
        append(&category, n, n)?;
    }
    let mut taken: Vec<_> = (0..3).map(|n| consumers[n % 2].try_next().unwrap().unwrap()).collect();
    assert!(consumers[1].try_next()?.is_none());
    assert!(consumers[0].next_within(Duration::from_millis(5))?.is_none());
    // Who waits goes on when one is settled.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumers[1].next_within(MINUTE).unwrap().unwrap().leave());
        std::thread::sleep(Duration::from_millis(20));
        taken.pop().unwrap().acknowledge().unwrap();
        waiting.join().unwrap();
    });
    // The limit may be changed while it is open.
    assert!(consumers[0].try_next()?.is_none());
    let other = db.persistent_subscription("s", &options.max_in_flight(4))?;
    assert!(consumers[0].try_next()?.is_some());
    // And stays so.
    drop((taken, other));
    drop((consumers, subscription));
    let again = db.open_persistent_subscription("s")?;
    let consumer = again.consumer()?;
    let _tickets: Vec<_> = (0..4).map(|_| consumer.try_next().unwrap().unwrap().leave()).collect();
    assert!(consumer.try_next()?.is_none());
    Ok(())
}
