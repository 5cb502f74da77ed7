//! Events that are tried too often.

use super::*;

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
