//! What comes between two steps of a reader, and of compaction.

use super::{ExpectedVersion, NewEvent, chains::SPAN, find::meanwhile};
use crate::{Database, Result};

#[test]
fn a_stream_may_grow_past_a_span_while_a_walk_begins() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    for n in 0..3u64 {
        let data = n.to_le_bytes();
        category.append(7u64, &NewEvent::bytes("happened", &data), ExpectedVersion::Any)?;
    }
    for _ in 0..3 {
        let (others, last) = (category.clone(), category.len(7u64)? - 1);
        let grow = move || {
            for _ in 0..3 * SPAN {
                let n = others.len(7u64).expect("a length");
                let data = n.to_le_bytes();
                let event = NewEvent::bytes("happened", &data);
                others.append(7u64, &event, ExpectedVersion::Any).expect("an append");
            }
        };
        let event = meanwhile::each_time(grow, || category.get(7u64, last))?;
        let event = event.expect("it is there");
        assert_eq!((event.version(), event.data()), (last, &last.to_le_bytes()[..]));
        assert!(category.len(7u64)? > last + 3 * SPAN, "it grew meanwhile");
    }
    Ok(())
}

#[test]
fn streams_are_whole_between_any_two_events_that_compaction_notes() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let db = Database::builder()
        .segment_bytes(64 << 10)
        .background(crate::Background::Manual)
        .compact_below(0.9)
        .open(dir.path().join("db"))?;
    let category = db.category("orders")?;
    let churn = db.hash_keyspace("churn")?;
    let rounds = 16u64;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for stream in 0..3u64 {
                    let versions = category.read(stream).expect("a reader");
                    let mut count = 0;
                    for event in versions {
                        assert_eq!(event.expect("an event").version(), count);
                        count += 1;
                    }
                    assert!(count <= category.len(stream).expect("a length"));
                    let back = category.read(stream).expect("a reader").back();
                    let back = back.inspect(|event| assert!(event.is_ok(), "{event:?}"));
                    assert!(back.count() as u64 >= count);
                }
            }
        });
        let outcome = (0..rounds).try_for_each(|round| {
            for n in 0..60u64 {
                let event = NewEvent::bytes("happened", &[7; 40]);
                category.append(n % 3, &event, ExpectedVersion::Any)?;
                // What is beside the events of a round is overwritten in the next but one: so its events are
                // moved when those before them have been, and those behind them not yet.
                let key = [round % 2, n];
                churn.insert(key.map(u64::to_le_bytes).concat(), [round as u8; 2_000])?;
            }
            crate::compaction::pause::PAUSE_US.store(300, std::sync::atomic::Ordering::Relaxed);
            let compacted = db.compact();
            crate::compaction::pause::PAUSE_US.store(0, std::sync::atomic::Ordering::Relaxed);
            compacted.map(drop)
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        outcome
    })?;
    assert_eq!(category.read(1u64)?.count() as u64, rounds * 20);
    Ok(())
}
