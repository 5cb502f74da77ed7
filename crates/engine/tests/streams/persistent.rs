//! Persistent subscriptions: what consumers that share one rely on, also across failures and restarts.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Category, Consumer, Database, Delivery, Error, ErrorKind, ExpectedVersion,
    NewEvent, PersistentOptions, PersistentSubscription, Replayed, Result, Seq, StartAt, Strategy,
    StreamId,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};

const MINUTE: Duration = Duration::from_secs(60);

fn append(category: &Category, id: u64, n: u64) -> Result<()> {
    let data = n.to_le_bytes();
    category.append(id, &NewEvent::bytes("n", &data), ExpectedVersion::Any).map(drop)
}

fn number(event: &Delivery<'_>) -> u64 {
    u64::from_le_bytes(event.data().try_into().unwrap())
}

/// Takes all there is now, and acknowledges it.
fn drain(consumer: &Consumer) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    while let Some(event) = consumer.try_next()? {
        numbers.push(number(&event));
        assert!(event.acknowledge()?);
    }
    Ok(numbers)
}

fn sim(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).open("db")
}

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
    assert_eq!(drain(&consumer).unwrap(), (0..=10_000).collect::<Vec<_>>());
    // And the same from the front.
    let other = db.persistent_subscription("other", &PersistentOptions::default()).unwrap();
    assert_eq!(drain(&other.consumer().unwrap()).unwrap(), (0..=10_000).collect::<Vec<_>>());
}

#[test]
fn who_wants_few_events_of_a_large_log_waits_no_longer_than_asked_and_goes_on() -> Result<()> {
    const EVENTS: u64 = 200_000;
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    let options = PersistentOptions::default().types(["rare"]);
    let subscription = db.persistent_subscription("s", &options)?;
    let consumer = subscription.consumer()?;
    let common = vec![NewEvent::bytes("n", b""); 10_000];
    // First from the front of the log, then from where it ended.
    for round in 0..2u64 {
        for _ in 0..EVENTS / 10_000 {
            category.append_many(round, &common, ExpectedVersion::Any)?;
        }
        let rare = NewEvent::bytes("rare", b"");
        let rare = category.append(9u64, &rare, ExpectedVersion::Any)?.first_seq;
        let (mut calls_count, mut position) = (1, subscription.info()?.position);
        let event = loop {
            if let Some(event) = consumer.next_within(Duration::ZERO)? {
                break event;
            }
            let before = std::mem::replace(&mut position, subscription.info()?.position);
            assert!(before < position && position <= rare, "it does not go on");
            calls_count += 1;
        };
        assert_eq!(event.seq(), rare);
        assert!(calls_count > 5, "round {round}: it read the log in {calls_count} calls");
        assert!(event.acknowledge()?);
        assert!(consumer.try_next()?.is_none());
    }
    // Its own place, which was written, is a record too.
    assert!(subscription.info()?.lag <= 1);
    Ok(())
}

#[test]
fn events_that_are_gone_after_a_restart_are_no_places_that_cannot_be_read() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let mut db = sim(&disk)?;
    let options = PersistentOptions::default().strategy(Strategy::Any).max_in_flight(9_000);
    let category = db.category("numbers")?;
    let data: Vec<_> = (0..9_000u64).map(u64::to_le_bytes).collect();
    let events: Vec<_> = data.iter().map(|data| NewEvent::bytes("n", data)).collect();
    category.append_many(1u64, &events[..2], ExpectedVersion::Any)?;
    for some in events[2..].chunks(500) {
        category.append_many(2u64, some, ExpectedVersion::Any)?;
    }
    let subscription = db.persistent_subscription("s", &options)?;
    let consumer = subscription.consumer()?;
    // Two in front of what is settled are not.
    let left: Vec<_> = (0..3).map(|_| consumer.try_next().unwrap().unwrap().leave()).collect();
    for ticket in [left[2], consumer.try_next()?.unwrap().leave()] {
        assert!(subscription.acknowledge(ticket)?);
    }
    drop((consumer, subscription, category));
    for _ in 0..3 {
        db.close()?;
        db = sim(&disk)?;
        // The first of them goes, and there is more behind them than is read ahead.
        db.category("numbers")?.truncate_before(1u64, 1)?;
        let subscription = db.persistent_subscription("s", &options)?;
        let consumer = subscription.consumer()?;
        let first = consumer.try_next()?.unwrap();
        assert_eq!(number(&first), 1);
        let _ticket = first.leave();
        let second = consumer.try_next()?.unwrap();
        assert!(number(&second) > 3);
        assert!(second.acknowledge()?);
        subscription.flush()?;
    }
    Ok(())
}

#[test]
fn what_is_tried_too_often_is_parked_and_can_be_replayed_and_dropped() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let db = sim(&disk)?;
    let category = db.category("numbers")?;
    let delay = Duration::from_millis(100);
    let options = || PersistentOptions::default().max_attempts(3).retry_delay(delay);
    let subscription = db.persistent_subscription("s", &options())?;
    let consumer = subscription.consumer()?;
    for n in 0..4 {
        append(&category, n % 2, n)?;
    }
    for attempt in 1..=3 {
        let event = consumer.try_next()?.unwrap();
        assert_eq!((number(&event), event.attempt()), (0, attempt));
        assert!(event.retry()?);
        if attempt == 1 {
            // The other stream does not wait for it; its own does.
            assert_eq!(drain(&consumer)?, [1, 3]);
        }
        disk.advance_ms(99);
        assert_eq!(consumer.try_next()?.map(|event| number(&event)), (attempt == 3).then_some(2));
        disk.advance_ms(1);
    }
    // The one that was dropped waits; it goes on behind the parked one.
    disk.advance_ms(100);
    let event = consumer.try_next()?.unwrap();
    assert_eq!((number(&event), event.attempt()), (2, 2));
    assert!(event.park("no such user")?);
    assert!(consumer.try_next()?.is_none());

    let info = subscription.info()?;
    assert_eq!((info.parked_count, info.waiting_count, info.in_flight_count), (2, 0, 0));
    let parked = subscription.parked()?;
    let told: Vec<_> = parked
        .iter()
        .map(|parked| (parked.version, parked.attempts, &*parked.reason, parked.is_gone))
        .collect();
    assert_eq!(told, [(0, 3, "tried 3 times", false), (1, 2, "no such user", false)]);
    assert_eq!(parked[0].category.as_deref(), Some("numbers"));
    assert_eq!(parked[0].stream, StreamId::Number(0));

    // It is so after a restart.
    drop((consumer, subscription));
    db.close()?;
    let db = sim(&disk)?;
    let subscription = db.persistent_subscription("s", &options())?;
    assert_eq!(subscription.parked()?, parked);
    let consumer = subscription.consumer()?;
    assert!(consumer.try_next()?.is_none());

    assert!(subscription.drop_parked_event(parked[1].seq)?);
    assert!(!subscription.drop_parked_event(parked[1].seq)?);
    let one = Replayed { replayed_count: 1, gone_count: 0 };
    assert_eq!(subscription.replay_parked()?, one);
    assert_eq!(subscription.replay_parked()?, Replayed::default());
    assert_eq!(subscription.info()?.parked_count, 0);
    // What was replayed and not handled is there after a restart.
    drop((consumer, subscription));
    db.close()?;
    let db = sim(&disk)?;
    assert_eq!(db.persistent_subscriptions()?[0].waiting_count, 1);
    let subscription = db.persistent_subscription("s", &options())?;
    let consumer = subscription.consumer()?;
    let event = consumer.try_next()?.unwrap();
    assert_eq!((number(&event), event.attempt()), (0, 1));
    // Parked again, replayed alone, and handled.
    assert!(event.park("again")?);
    assert_eq!(subscription.replay_parked_event(parked[1].seq)?, Replayed::default());
    assert_eq!(subscription.replay_parked_event(parked[0].seq)?, one);
    assert_eq!(drain(&consumer)?, [0]);
    drop((consumer, subscription));
    db.close()?;
    let db = sim(&disk)?;
    let subscription = db.persistent_subscription("s", &options())?;
    assert!(subscription.consumer()?.try_next()?.is_none());
    assert_eq!((subscription.parked()?, subscription.drop_parked()?), (vec![], 0));
    Ok(())
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
fn a_restart_goes_on_where_it_was() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let mut db = sim(&disk)?;
    let options = PersistentOptions::default().strategy(Strategy::Any);
    for n in 0..100 {
        append(&db.category("numbers")?, n, n)?;
    }
    let (mut handled, mut round) = (BTreeSet::new(), 0);
    while handled.len() < 100 {
        let subscription = db.persistent_subscription("s", &options)?;
        let consumer = subscription.consumer()?;
        // Some are taken and not handled, each time others.
        let mut left = Vec::new();
        for at in 0..30 {
            let Some(event) = consumer.try_next()? else { break };
            if (at + round) % 3 == 0 {
                left.push(event.leave());
            } else {
                assert!(handled.insert(number(&event)), "it was acknowledged before a restart");
                event.acknowledge()?;
            }
        }
        if round % 2 == 0 {
            // In the middle of everything.
            db.close()?;
            drop((consumer, subscription));
            db = sim(&disk)?;
        }
        let info = &db.persistent_subscriptions()?[0];
        assert_eq!((&*info.name, info.position > Seq(100)), ("s", handled.len() == 100));
        round += 1;
    }
    Ok(())
}

/// What consumers did, by the numbers in the events: an event that is lost in a power cut leaves its `Seq` to
/// another.
#[derive(Default)]
struct Done {
    handled: BTreeSet<u64>,
    /// What is never to be given out again, also after a power cut.
    settled: BTreeSet<u64>,
}

/// Handles events until the power is cut or there is enough. What is handled is noted in front of its
/// acknowledgement, as a consumer does its work.
fn work(disk: &SimDisk, seed: u64, done: &mut Done) -> Result<()> {
    let db = sim(disk)?;
    let category = db.category("numbers")?;
    let options = PersistentOptions::default()
        .write_every((seed % 7) as u32, MINUTE)
        .max_attempts(3)
        .retry_delay(Duration::ZERO);
    let subscription = db.persistent_subscription("s", &options)?;
    let consumers = [subscription.consumer()?, subscription.consumer()?];
    let mut acknowledged = BTreeSet::new();
    for n in 0..30u64 {
        append(&category, (n ^ seed) % 5, n + seed * 100)?;
        if (n + seed).is_multiple_of(11) {
            db.sync()?;
        }
        let Some(event) = consumers[n as usize % 2].try_next()? else { continue };
        let number = number(&event);
        let is_settled = done.settled.contains(&number) || acknowledged.contains(&number);
        assert!(!is_settled, "seed {seed}: {number} is given out again");
        match (n * 7 + seed) % 10 {
            0 => drop(event.retry()?),
            1 => drop(event.park("cut")?),
            2 => drop(event.leave()),
            _ => {
                done.handled.insert(number);
                assert!(event.acknowledge()?);
                acknowledged.insert(number);
            }
        }
        if n == 15 && seed.is_multiple_of(3) {
            subscription.replay_parked()?;
        }
        if n == 20 && seed.is_multiple_of(5) {
            db.compact()?;
        }
        if n % 9 == 7 {
            subscription.flush()?;
            db.sync()?;
            done.settled.extend(&acknowledged);
        }
    }
    drop(consumers);
    drop(subscription);
    db.close()?;
    done.settled.extend(&acknowledged);
    Ok(())
}

#[test]
fn a_subscription_that_is_killed_at_a_thousand_points_loses_nothing_and_goes_on() -> Result<()> {
    let (mut cut_count, mut settled_count, mut handled_count) = (0, 0, 0);
    for seed in 0..1_000u64 {
        let mut disk = SimDisk::new(SimOptions::seeded(seed));
        let mut done = Done::default();
        for life in 0..2 {
            disk.cut_power_at(15 + (seed * 7 + life * 31) % 120);
            let outcome = work(&disk, seed + life, &mut done);
            cut_count += u64::from(outcome.is_err());
            assert!(outcome.is_ok() || disk.is_power_cut(), "seed {seed}: {outcome:?}");
            disk = disk.restart();
        }
        let db = sim(&disk)?;
        let subscription = db.persistent_subscription("s", &PersistentOptions::default())?;
        let parked: Vec<_> = subscription.parked()?.iter().map(|parked| parked.seq.0).collect();
        let consumer = subscription.consumer()?;
        let mut order: BTreeMap<String, u64> = BTreeMap::new();
        while let Some(event) = consumer.try_next()? {
            assert!(!parked.contains(&event.seq().0), "seed {seed}: it is parked");
            let last = order.insert(event.stream().to_string(), event.version());
            assert!(last < Some(event.version()), "seed {seed}: a stream is out of order");
            let number = number(&event);
            assert!(!done.settled.contains(&number), "seed {seed}: {number} is given out again");
            done.handled.insert(number);
            event.acknowledge()?;
        }
        for event in db.read_all(Seq::ZERO)? {
            let event = event?;
            let number = u64::from_le_bytes(event.data().try_into().unwrap());
            let is_known = done.handled.contains(&number) || parked.contains(&event.seq().0);
            assert!(is_known, "seed {seed}: the event {number} is lost");
        }
        settled_count += done.settled.len();
        handled_count += done.handled.len();
    }
    assert!(settled_count > handled_count / 4, "{settled_count} of {handled_count} were settled");
    assert!(cut_count > 1_500, "the power was cut {cut_count} times only");
    Ok(())
}

#[test]
fn what_was_acknowledged_is_not_given_out_again_after_a_power_cut_behind_a_flush() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let builder = Database::builder().disk(Arc::new(disk.clone())).background(Background::Manual);
    let db = builder.durability(annals_engine::Durability::Sync).open("db")?;
    let category = db.category("numbers")?;
    let subscription = db.persistent_subscription("s", &PersistentOptions::default())?;
    let consumer = subscription.consumer()?;
    for n in 0..10 {
        append(&category, 1, n)?;
    }
    for _ in 0..4 {
        consumer.try_next()?.unwrap().acknowledge()?;
    }
    subscription.flush()?;
    consumer.try_next()?.unwrap().acknowledge()?;
    disk.cut_power_at(disk.operations());
    let disk = disk.restart();
    drop((consumer, subscription, category, db));
    let db = sim(&disk)?;
    let subscription = db.open_persistent_subscription("s")?;
    assert_eq!(drain(&subscription.consumer()?)?, [4, 5, 6, 7, 8, 9]);
    Ok(())
}

#[test]
fn it_gives_out_what_was_asked_for_and_begins_where_it_was_told() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (a, b) = (db.category("a")?, db.category("b")?);
    let mut fourth = Seq::ZERO;
    for n in 0..8u64 {
        let (category, data) = (if n % 2 == 0 { &a } else { &b }, n.to_le_bytes());
        let event = NewEvent::bytes(["placed", "paid", "sent"][n as usize % 3], &data);
        let done = category.append(n / 4, &event, ExpectedVersion::Any)?;
        if n == 4 {
            fourth = done.first_seq;
        }
    }
    let all = PersistentOptions::default;
    for (index, (options, wanted)) in [
        (all(), vec![0, 1, 2, 3, 4, 5, 6, 7]),
        (all().category("a"), vec![0, 2, 4, 6]),
        (all().stream("a", 1u64), vec![4, 6]),
        (all().types(["sent", "paid"]), vec![1, 2, 4, 5, 7]),
        (all().category("b").types(["paid"]), vec![1, 7]),
        (all().start(StartAt::Seq(fourth)), vec![4, 5, 6, 7]),
        (all().start(StartAt::Now), vec![]),
    ]
    .into_iter()
    .enumerate()
    {
        let subscription = db.persistent_subscription(&format!("s{index}"), &options)?;
        assert_eq!(drain(&subscription.consumer()?)?, wanted, "{options:?}");
    }
    append(&a, 9, 9)?;
    assert_eq!(drain(&db.open_persistent_subscription("s6")?.consumer()?)?, [9]);
    assert_eq!(drain(&db.open_persistent_subscription("s4")?.consumer()?)?, [0u64; 0]);
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
    let _other = db.persistent_subscription("s", &options.max_in_flight(4))?;
    assert!(consumers[0].try_next()?.is_some());
    Ok(())
}

#[test]
fn who_waits_is_woken_by_events_and_by_time() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    let options = PersistentOptions::default().ack_timeout(Duration::from_millis(50));
    let subscription = db.persistent_subscription("s", &options)?;
    let consumer = subscription.consumer()?;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.next_within(MINUTE).unwrap().unwrap().leave());
        append(&category, 1, 1).unwrap();
        let ticket = waiting.join().unwrap();
        // Not acknowledged in time.
        let again = consumer.next_within(MINUTE).unwrap().unwrap();
        assert_eq!(again.attempt(), 2);
        assert!(!subscription.acknowledge(ticket).unwrap());
        again.retry_after(Duration::from_millis(10)).unwrap();
        let again = consumer.next_within(MINUTE).unwrap().unwrap();
        assert_eq!(again.attempt(), 3);
        again.acknowledge().unwrap();
    });
    // A database that is closed has no more.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| (&consumer).next().is_none());
        db.clone().close().unwrap();
        assert!(waiting.join().unwrap());
    });
    Ok(())
}

/// Runs a task on this thread.
fn block_on<T>(task: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut context, mut task) = (Context::from_waker(&waker), pin!(task));
    loop {
        match task.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn tasks_are_woken_by_events_by_time_and_by_what_others_give_back() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    let options = PersistentOptions::default().ack_timeout(Duration::from_millis(100));
    let subscription = db.persistent_subscription("s", &options)?;
    let consumer = subscription.consumer()?;
    let ((tell, done), (give, turn)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    std::thread::scope(|scope| {
        let consumer = &consumer;
        let task = scope.spawn(move || {
            block_on(async {
                for n in 0..100 {
                    let event = consumer.next_async().await.unwrap().unwrap();
                    assert_eq!(number(&event), n);
                    event.acknowledge().unwrap();
                }
                // Nothing but time brings these.
                let event = consumer.next_async().await.unwrap().unwrap();
                event.retry_after(Duration::from_millis(20)).unwrap();
                let event = consumer.next_async().await.unwrap().unwrap();
                assert_eq!(event.attempt(), 2);
                let _ticket = event.leave();
                let event = consumer.next_async().await.unwrap().unwrap();
                assert_eq!(event.attempt(), 3);
                event.acknowledge().unwrap();
                tell.send(()).unwrap();
                // Somebody else has this one, and goes away, or does not handle it in time.
                for n in [101, 102] {
                    turn.recv().unwrap();
                    let event = consumer.next_async().await.unwrap().unwrap();
                    assert_eq!(number(&event), n);
                    event.acknowledge().unwrap();
                    tell.send(()).unwrap();
                }
                assert!(consumer.next_async().await.unwrap().is_none());
            });
        });
        for n in 0..=100 {
            append(&category, n % 3, n).unwrap();
        }
        let wait = || done_by_task(&done);
        wait();
        for n in [101, 102] {
            let other = subscription.consumer().unwrap();
            append(&category, 9, n).unwrap();
            let taken = other.try_next().unwrap().unwrap();
            give.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            if n == 101 {
                let _ticket = taken.leave();
                drop(other);
                wait();
            } else {
                wait();
                assert!(!taken.acknowledge().unwrap());
            }
        }
        db.clone().close().unwrap();
        task.join().unwrap();
    });
    Ok(())
}

/// Waits until the task has done its part.
fn done_by_task(done: &std::sync::mpsc::Receiver<()>) {
    done.recv_timeout(MINUTE).unwrap();
}

#[test]
fn events_that_are_gone_are_passed_over_and_told() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    let subscription = db.persistent_subscription("s", &PersistentOptions::default())?;
    let consumer = subscription.consumer()?;
    for n in 0..3 {
        append(&category, n, n)?;
    }
    assert!(consumer.try_next()?.unwrap().park("first")?);
    assert!(consumer.try_next()?.unwrap().park("second")?);
    assert_eq!(subscription.replay_parked_event(subscription.parked()?[0].seq)?.replayed_count, 1);
    db.drop_keyspace("numbers")?;
    // One was replayed, one was read ahead, one is parked.
    assert!(consumer.try_next()?.is_none());
    assert_eq!(subscription.info()?.gone_count, 2);
    let parked = subscription.parked()?;
    assert_eq!((parked.len(), parked[0].is_gone, &parked[0].category), (1, true, &None));
    let gone = Replayed { replayed_count: 0, gone_count: 1 };
    assert_eq!(subscription.replay_parked()?, gone);
    assert_eq!(subscription.parked()?, []);
    assert_eq!(subscription.info()?.parked_count, 0);
    Ok(())
}

#[test]
fn events_that_were_truncated_are_passed_over_and_told() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    let subscription = db.persistent_subscription("s", &PersistentOptions::default())?;
    let consumer = subscription.consumer()?;
    for n in 0..5 {
        append(&category, 1, n)?;
    }
    assert!(consumer.try_next()?.unwrap().park("first")?);
    assert!(consumer.try_next()?.unwrap().retry_after(Duration::ZERO)?);
    category.truncate_before(1u64, 3)?;
    assert_eq!(drain(&consumer)?, [3, 4]);
    assert_eq!(subscription.info()?.gone_count, 2);
    assert!(subscription.parked()?[0].is_gone);
    assert_eq!(subscription.replay_parked()?.gone_count, 1);
    assert_eq!((subscription.parked()?, subscription.info()?.gone_count), (vec![], 3));
    Ok(())
}

#[test]
fn names_are_made_found_and_removed() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path().join("db"))?;
    let category = db.category("numbers")?;
    append(&category, 1, 1)?;
    let unknown = db.open_persistent_subscription("s").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(matches!(
        db.remove_persistent_subscription("s"),
        Err(Error::UnknownSubscription { .. })
    ));
    for name in ["", "a\n", &"x".repeat(250)] {
        let options = PersistentOptions::default();
        let error = db.persistent_subscription(name, &options).unwrap_err();
        assert!(matches!(error, Error::InvalidName { .. }), "{name}: {error}");
    }
    let long = "x".repeat(annals_engine::STREAM_ID_BYTES_MAX + 1);
    let options = PersistentOptions::default().stream("numbers", &*long);
    let error = db.persistent_subscription("s", &options).unwrap_err();
    assert!(matches!(error, Error::StreamIdTooLong { .. }), "{error}");

    let subscription: PersistentSubscription =
        db.persistent_subscription("s", &PersistentOptions::default().category("numbers"))?;
    let error = db.persistent_subscription("s", &PersistentOptions::default()).unwrap_err();
    assert!(matches!(error, Error::SubscriptionDiffers { .. }), "{error}");
    let consumer = subscription.consumer()?;
    assert_eq!(drain(&consumer)?, [1]);

    // Who only reads is told how it stands, and takes nothing.
    let reader = Database::open_read_only(dir.path().join("db"))?;
    let list = reader.persistent_subscriptions()?;
    assert_eq!((list.len(), &*list[0].name, list[0].parked_count), (1, "s", 0));
    let refused = reader.open_persistent_subscription("s").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);

    db.remove_persistent_subscription("s")?;
    assert!(matches!(consumer.try_next(), Err(Error::UnknownSubscription { .. })));
    assert!(subscription.info().is_err() && subscription.consumer().is_err());
    assert_eq!(db.persistent_subscriptions()?, []);
    // One of the same name begins anew, and those before have nothing to do with it.
    let anew = db.persistent_subscription("s", &PersistentOptions::default())?;
    let taken = anew.consumer()?;
    assert_eq!(drain(&taken)?, [1]);
    drop((consumer, subscription));
    assert!(db.open_persistent_subscription("s")?.consumer()?.try_next()?.is_none());
    Ok(())
}

#[test]
fn what_cannot_be_read_is_told() -> Result<()> {
    let db = Database::open_in_memory()?;
    let kept = |name: &str| db.hash_keyspace(&format!("annals.subscription.{name}"));
    let make = |name: &str| db.persistent_subscription(name, &PersistentOptions::default());
    for (name, key, value) in [
        ("definition", &b"definition"[..], &[9u8, 9][..]),
        ("progress", b"place", &[1, 0x80]),
        ("parked", &7u64.to_be_bytes(), &[1, 0, 200]),
        ("stream", &7u64.to_be_bytes(), &[1, 1, 1, 1, 99, 0, 0, 0, 0]),
    ] {
        drop(make(name)?);
        kept(name)?.insert(key, value)?;
        let error = make(name).unwrap_err();
        assert!(matches!(error, Error::SubscriptionState { .. }), "{name}: {error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        db.remove_persistent_subscription(name)?;
        drop(make(name)?);
    }
    let subscription = make("parked")?;
    kept("parked")?.insert(7u64.to_be_bytes(), [1, 0, 200])?;
    assert!(matches!(subscription.parked(), Err(Error::SubscriptionState { .. })));
    // A crash came between the keyspace and what is in it.
    kept("half")?;
    assert!(!db.persistent_subscriptions()?.iter().any(|info| info.name == "half"));
    make("half")?;
    assert!(db.persistent_subscriptions()?.iter().any(|info| info.name == "half"));
    Ok(())
}
