//! Damage to the events that a subscription gives out, and to what is kept of it.

use super::*;
use crate::damaged::{damage, data, is_damage, open};

/// The streams of what one consumer gets, who skips what cannot be read, and how often it was told of that.
fn drain_around_damage(subscription: &PersistentSubscription) -> Result<(Vec<u64>, u64)> {
    let consumer = subscription.consumer()?;
    let (mut streams, mut damages_count) = (Vec::new(), 0);
    loop {
        match consumer.try_next() {
            Ok(Some(event)) => {
                let StreamId::Number(n) = event.stream() else { panic!("a number") };
                streams.push(n);
                assert!(event.acknowledge()?);
            }
            Ok(None) => return Ok((streams, damages_count)),
            Err(Error::DamagedEvents { readable_from, .. }) => {
                // Told each time, until it is skipped.
                assert!(is_damage(&consumer.try_next()));
                damages_count += 1;
                assert!(damages_count < 10, "it does not get past {readable_from}");
                subscription.skip_to(readable_from)?;
                // Where it is already.
                subscription.skip_to(Seq::ZERO)?;
            }
            Err(error) => return Err(error),
        }
    }
}

#[test]
fn what_is_behind_damage_is_given_out_once_that_is_skipped() -> Result<()> {
    const COUNT: u64 = 100;
    const DAMAGED: [u64; 3] = [40, 41, 90];
    let dir = tempfile::tempdir().unwrap();
    let append = |db: &Database, n: u64| -> Result<Seq> {
        let (category, data) = (db.category("orders")?, data(n));
        let event = NewEvent::bytes("n", data.as_bytes());
        // Each in a stream of its own: one that is damaged keeps nobody from finding another.
        Ok(category.append(n, &event, ExpectedVersion::Any)?.first_seq)
    };
    let options = PersistentOptions::default().strategy(Strategy::Any);
    let db = open(dir.path());
    let seqs: Vec<_> = (0..COUNT).map(|n| append(&db, n)).collect::<Result<_>>()?;
    for name in ["all", "held", "fresh"] {
        drop(db.persistent_subscription(name, &options)?);
    }
    db.close()?;
    DAMAGED.iter().for_each(|n| damage(dir.path(), *n));

    let db = open(dir.path());
    let whole: Vec<u64> = (0..COUNT).filter(|n| !DAMAGED.contains(n)).collect();
    let all = db.open_persistent_subscription("all")?;
    assert_eq!(drain_around_damage(&all)?, (whole.clone(), 2));
    assert!(all.info()?.position > seqs[COUNT as usize - 1]);

    // One in front of the damage that is not settled when it is skipped is given out again after a restart, and the
    // damage, which the log is read through then, is in nobody's way.
    let held = db.open_persistent_subscription("held")?;
    let consumer = held.consumer()?;
    let tickets: Vec<_> = (0..40).map(|_| consumer.try_next().unwrap().unwrap().leave()).collect();
    for ticket in tickets.iter().filter(|ticket| ticket.seq() != seqs[20]) {
        assert!(held.acknowledge(*ticket)?);
    }
    assert!(is_damage(&consumer.try_next()));
    held.skip_to(seqs[42])?;
    assert_eq!(held.info()?.position, seqs[20]);
    drop((consumer, held, all));
    db.close()?;
    let db = open(dir.path());
    let held = db.open_persistent_subscription("held")?;
    let expected: Vec<u64> = whole.iter().copied().filter(|n| *n == 20 || *n > 41).collect();
    assert_eq!(drain_around_damage(&held)?, (expected, 1));

    // What was skipped is not given out, nor is what is behind it left out.
    let fresh = db.open_persistent_subscription("fresh")?;
    fresh.skip_to(seqs[95])?;
    assert_eq!(drain_around_damage(&fresh)?, ((95..COUNT).collect(), 0));
    append(&db, COUNT)?;
    assert_eq!(drain_around_damage(&fresh)?, (vec![COUNT], 0));
    db.remove_persistent_subscription("fresh")?;
    assert!(matches!(fresh.skip_to(seqs[0]), Err(Error::UnknownSubscription { .. })));
    Ok(())
}
