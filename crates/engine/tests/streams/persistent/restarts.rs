//! Restarts and power cuts.

use super::*;

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

/// What consumers did, by the numbers in the events. Those that a power cut took are among them.
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

/// By count, by time, and what is parked at once; nothing else is.
#[test]
fn what_was_settled_is_written_when_it_was_asked_for() -> Result<()> {
    let many = PersistentOptions::default().write_every(1_000, 60 * MINUTE);
    let counted = PersistentOptions::default().write_every(3, 60 * MINUTE);
    let timed = PersistentOptions::default().write_every(1_000, MINUTE);
    for (options, wait_ms, is_parked, expected) in [
        (&many, 60_000, false, vec![0, 1, 2, 3]),
        (&counted, 60_000, false, vec![3]),
        (&timed, 59_999, false, vec![0, 1, 2, 3]),
        (&timed, 60_000, false, vec![2, 3]),
        (&many, 0, true, vec![3]),
    ] {
        let disk = SimDisk::new(SimOptions::seeded(8));
        let db = sim(&disk)?;
        let category = db.category("numbers")?;
        for n in 0..4 {
            append(&category, 1, n)?;
        }
        let subscription = db.persistent_subscription("s", options)?;
        let consumer = subscription.consumer()?;
        for _ in 0..2 {
            assert!(consumer.try_next()?.unwrap().acknowledge()?);
        }
        disk.advance_ms(wait_ms);
        let third = consumer.try_next()?.unwrap();
        assert!(if is_parked { third.park("later")? } else { third.acknowledge()? });
        db.sync()?;
        disk.cut_power_now();
        let disk = disk.restart();
        drop((consumer, subscription, category, db));
        let db = sim(&disk)?;
        let subscription = db.open_persistent_subscription("s")?;
        assert_eq!(subscription.parked()?.len(), usize::from(is_parked));
        assert_eq!(drain(&subscription.consumer()?)?, expected, "{options:?}, {wait_ms} ms");
    }
    Ok(())
}

/// Else one that always fails would stop the others of its stream for ever where the database is opened often.
#[test]
fn attempts_are_counted_over_a_restart() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(7));
    let db = sim(&disk)?;
    let options = PersistentOptions::default().strategy(Strategy::Any).max_attempts(3);
    let options = options.retry_delay(Duration::ZERO);
    let category = db.category("numbers")?;
    for n in 0..2 {
        append(&category, n, n)?;
    }
    let subscription = db.persistent_subscription("s", &options)?;
    let consumer = subscription.consumer()?;
    for attempt in 1..3 {
        let event = consumer.try_next()?.unwrap();
        assert_eq!((number(&event), event.attempt()), (0, attempt));
        assert!(event.retry()?);
    }
    let _first = consumer.try_next()?.unwrap().leave();
    let second = consumer.try_next()?.unwrap();
    assert_eq!(number(&second), 1);
    assert!(second.acknowledge()?);
    db.close()?;
    drop((consumer, subscription, category));
    let db = sim(&disk)?;
    let subscription = db.open_persistent_subscription("s")?;
    let consumer = subscription.consumer()?;
    let event = consumer.try_next()?.unwrap();
    assert_eq!((number(&event), event.attempt()), (0, 4));
    assert!(event.retry()?);
    assert_eq!(subscription.parked()?.len(), 1);
    Ok(())
}

/// Also of what was given out before a restart, and was not read again.
#[test]
fn what_was_skipped_is_not_given_out_again_after_a_power_cut() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(6));
    let open = |disk: &SimDisk| {
        let builder = Database::builder().disk(Arc::new(disk.clone()));
        let builder = builder.background(Background::Manual);
        builder.durability(annals_engine::Durability::Sync).open("db")
    };
    let options = PersistentOptions::default().strategy(Strategy::Any);
    let db = open(&disk)?;
    let category = db.category("numbers")?;
    for n in 0..10 {
        append(&category, n, n)?;
    }
    let subscription = db.persistent_subscription("s", &options)?;
    let consumer = subscription.consumer()?;
    let left = [consumer.try_next()?.unwrap().leave(), consumer.try_next()?.unwrap().leave()];
    assert!(consumer.try_next()?.unwrap().acknowledge()?);
    let sixth = left[0].seq().plus(5);
    drop((consumer, subscription, category));
    db.close()?;

    let db = open(&disk)?;
    let subscription = db.open_persistent_subscription("s")?;
    assert_eq!(subscription.info()?.position, left[0].seq());
    subscription.skip_to(sixth)?;
    let info = subscription.info()?;
    assert_eq!((info.position, info.gone_count), (sixth, 2));
    disk.cut_power_now();
    let disk = disk.restart();
    drop((subscription, db));
    let db = open(&disk)?;
    let subscription = db.open_persistent_subscription("s")?;
    assert_eq!(subscription.info()?.position, sixth);
    assert_eq!(drain(&subscription.consumer()?)?, [5, 6, 7, 8, 9]);
    Ok(())
}

#[test]
fn a_ticket_of_an_earlier_opening_or_another_subscription_settles_nothing() -> Result<()> {
    let db = Database::open_in_memory()?;
    append(&db.category("numbers")?, 1, 1)?;
    let make = |name: &str| db.persistent_subscription(name, &PersistentOptions::default());
    let take = |subscription: &PersistentSubscription| -> Result<_> {
        let consumer = subscription.consumer()?;
        let ticket = consumer.try_next()?.expect("an event").leave();
        Ok((consumer, ticket))
    };
    let subscription = make("s")?;
    let (consumer, old) = take(&subscription)?;
    drop((consumer, subscription));
    let (subscription, other) = (make("s")?, make("other")?);
    let ((_consumer, new), (_other_consumer, others)) = (take(&subscription)?, take(&other)?);
    assert_eq!((old.seq(), others.seq()), (new.seq(), new.seq()));
    for stale in [old, others] {
        assert!(!subscription.acknowledge(stale)?);
        assert!(!subscription.park(stale, "it is not mine")?);
        assert!(!subscription.retry(stale)?);
    }
    assert!(subscription.acknowledge(new)?);
    assert!(other.acknowledge(others)?);
    Ok(())
}
