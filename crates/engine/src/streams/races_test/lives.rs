//! Streams that are closed or deleted meanwhile.

use super::*;

#[test]
fn a_stream_that_is_closed_meanwhile_takes_no_events() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let events = [NewEvent::bytes("happened", b"a"), NewEvent::bytes("happened", b"b")];
    for stream in 0..2u64 {
        append(&category, stream, 3)?;
        let closing = category.clone();
        let close = at_most(1, move || match stream {
            0 => closing.archive(stream).expect("it is archived"),
            _ => closing.tombstone(stream).expect("it is deleted"),
        });
        let done =
            each_time(Moment::StandingKnown, close, || category.append_many(stream, &events, Any));
        assert!(matches!(done, Err(Error::StreamClosed { .. })), "{done:?}");
        assert_eq!(category.len(stream)?, 3);
    }
    Ok(())
}

/// Counts events, and how many of them this life has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count(u64);

#[derive(annals_events::Event)]
#[event(crate = annals_events)]
enum Counted {
    By { count: u64 },
}

impl Aggregate for Count {
    type Event = Counted;

    fn apply(&mut self, event: CountedView<'_>) {
        let CountedView::By(event) = event;
        self.0 += event.count.to_native();
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(self.0.to_le_bytes().to_vec())
    }

    fn load(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(bytes.try_into().ok()?)))
    }
}

/// An aggregate is what all events of one life say: not a snapshot of one and the events of the next.
#[test]
fn an_aggregate_that_is_deleted_meanwhile_begins_anew() -> Result<()> {
    for saved in [false, true] {
        let db = Database::open_in_memory()?;
        let counts = Aggregates::<Count>::new(&db, "counts")?;
        let add = |count: usize| {
            counts.execute(7u64, |_| Ok((0..count).map(|_| Counted::By { count: 1 }).collect()))
        };
        add(5)?;
        if saved {
            counts.save_snapshot(7u64, &counts.load(7u64)?)?;
        }
        add(5)?;
        let category = counts.streams().category().clone();
        let other = Aggregates::<Count>::new(&db, "counts")?;
        let again = at_most(1, move || {
            category.delete(7u64).expect("it is deleted");
            other.execute(7u64, |_| Ok(vec![Counted::By { count: 100 }])).expect("an append");
        });
        let loaded = each_time(Moment::StreamKnown, again, || counts.load(7u64))?;
        assert_eq!((loaded.state, loaded.events_count), (Count(100), 11), "{saved}");

        let category = counts.streams().category().clone();
        let end = at_most(1, move || category.delete(7u64).expect("it is deleted"));
        let loaded = each_time(Moment::StreamKnown, end, || counts.load(7u64))?;
        assert_eq!((loaded.state, loaded.events_count), (Count(0), 0), "{saved}");
    }
    Ok(())
}

/// What was decided of a stream that was deleted since does not begin the next one.
#[test]
fn a_decision_on_a_stream_that_was_deleted_meanwhile_is_made_anew() -> Result<()> {
    for (others, expected) in [(0, 1), (3, 301)] {
        let db = Database::open_in_memory()?;
        let counts = Aggregates::<Count>::new(&db, "counts")?;
        let other = Aggregates::<Count>::new(&db, "counts")?;
        counts.execute(7u64, |_| Ok(vec![Counted::By { count: 10 }, Counted::By { count: 20 }]))?;
        let mut seen = Vec::new();
        let loaded = counts.execute(7u64, |count| {
            seen.push(count.0);
            if seen.len() == 1 {
                other.streams().category().delete(7u64)?;
                for _ in 0..others {
                    other.execute(7u64, |_| Ok(vec![Counted::By { count: 100 }]))?;
                }
            }
            Ok(vec![Counted::By { count: 1 }])
        })?;
        assert_eq!(seen, [30, others * 100]);
        let count = 2 + others + 1;
        assert_eq!(counts.load(7u64)?, loaded);
        assert_eq!((loaded.state, loaded.events_count), (Count(expected), count));
    }
    Ok(())
}
