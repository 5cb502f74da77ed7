//! Which events a subscription gives out, and what it is called.

use super::*;

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

/// It wants nothing that is there and nothing that comes, and whoever asks is told so.
#[test]
fn one_that_begins_at_the_highest_number_gives_out_nothing() -> Result<()> {
    let db = Database::open_in_memory()?;
    append(&db.category("numbers")?, 1, 1)?;
    for (name, seq) in [("last", u64::MAX), ("nearly", u64::MAX - 1)] {
        let options = PersistentOptions::default().start(StartAt::Seq(Seq(seq)));
        let subscription = db.persistent_subscription(name, &options)?;
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let nothing = subscription.consumer().and_then(|consumer| drain(&consumer));
            tell.send(nothing).unwrap();
        });
        let nothing = told.recv_timeout(5 * MINUTE).expect("it tells")?;
        assert_eq!(nothing, [0u64; 0]);
    }
    Ok(())
}
