//! Events that are not there any more, and what cannot be read.

use super::*;

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

#[test]
fn one_that_cannot_be_read_hides_no_other() -> Result<()> {
    let db = Database::open_in_memory()?;
    for name in ["a", "b", "c", "d"] {
        drop(db.persistent_subscription(name, &PersistentOptions::default())?);
    }
    let held = db.open_persistent_subscription("d")?;
    for (name, key, value) in [
        ("a", &b"definition"[..], &[9u8, 9][..]),
        ("b", b"place", &[1, 0x80]),
        ("d", &7u64.to_be_bytes(), &[1, 0, 200]),
    ] {
        db.hash_keyspace(&format!("annals.subscription.{name}"))?.insert(key, value)?;
    }
    let lost = |db: &Database| -> Result<Vec<(String, bool)>> {
        let listed = db.persistent_subscriptions()?;
        Ok(listed.into_iter().map(|info| (info.name, info.is_lost)).collect())
    };
    let expected = |lost: [bool; 4]| -> Vec<(String, bool)> {
        ["a", "b", "c", "d"].map(str::to_owned).into_iter().zip(lost).collect()
    };
    // One that is open is known.
    assert_eq!(lost(&db)?, expected([true, true, false, false]));
    drop(held);
    assert_eq!(lost(&db)?, expected([true, true, false, true]));
    db.remove_persistent_subscription("a")?;
    assert_eq!(lost(&db)?, expected([true, true, false, true])[1..]);
    Ok(())
}
