//! Commands: errors of the program's own come back as what they are, decisions are made anew when somebody was
//! faster, and events carry what they are dressed with.

use annals_engine::{
    Aggregate, Aggregates, Database, Durability, Error, Handle, Result, WriteOptions,
};
use annals_events::Event;
use std::cell::Cell;

#[derive(Event)]
#[event(crate = annals_events)]
enum SeatEvent {
    Opened { seats: u64 },
    Sold { count: u64 },
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Show {
    left: u64,
}

impl Aggregate for Show {
    type Event = SeatEvent;

    fn apply(&mut self, event: SeatEventView<'_>) {
        match event {
            SeatEventView::Opened(opened) => self.left = opened.seats.to_native(),
            SeatEventView::Sold(sold) => self.left -= sold.count.to_native(),
        }
    }
}

/// An error that does not compare, clone or print: nothing but what a program needs it to be.
enum Refusal {
    SeatsLeft(u64),
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

struct Open {
    seats: u64,
}

impl Handle<Open> for Show {
    type Error = Error;

    fn handle(&self, open: &Open) -> Result<Vec<SeatEvent>> {
        Ok(vec![SeatEvent::Opened { seats: open.seats }])
    }
}

struct Sell<'c> {
    count: u64,
    /// How often it was decided.
    decided: &'c Cell<u32>,
    /// What others do while it is decided.
    meanwhile: &'c dyn Fn(),
}

impl Handle<Sell<'_>> for Show {
    type Error = Refusal;

    fn handle(&self, sell: &Sell<'_>) -> Result<Vec<SeatEvent>, Refusal> {
        sell.decided.set(sell.decided.get() + 1);
        (sell.meanwhile)();
        match sell.count {
            0 => Ok(Vec::new()),
            count if count > self.left => Err(Refusal::SeatsLeft(self.left)),
            count => Ok(vec![SeatEvent::Sold { count }]),
        }
    }
}

#[test]
fn a_refusal_comes_back_as_what_it_is_and_a_conflict_decides_anew() -> Result<()> {
    let db = Database::open_in_memory()?;
    let shows = Aggregates::<Show>::new(&db, "shows")?;
    assert_eq!(shows.handle(1u64, &Open { seats: 10 })?.state.left, 10);
    let decided = Cell::new(0);
    let sell = |count, meanwhile: &dyn Fn()| {
        decided.set(0);
        shows.handle(1u64, &Sell { count, decided: &decided, meanwhile })
    };
    let sold = |outcome: Result<annals_engine::Loaded<Show>, Refusal>| match outcome {
        Ok(loaded) => Ok((loaded.state.left, loaded.events_count)),
        Err(Refusal::SeatsLeft(left)) => Err(left),
        Err(Refusal::Failed(error)) => panic!("{error}"),
    };
    assert_eq!(sold(sell(4, &|| ())), Ok((6, 2)));
    assert_eq!(sold(sell(7, &|| ())), Err(6));
    assert_eq!((sold(sell(0, &|| ())), decided.get()), (Ok((6, 2)), 1), "it changes nothing");
    assert_eq!(shows.streams().len(1u64)?, 2, "nothing was appended");

    // Others are faster twice; the third decision is by what they have left.
    let faster = || {
        if decided.get() < 3 {
            shows.streams().append(1u64, &SeatEvent::Sold { count: 2 }).unwrap();
        }
    };
    assert_eq!((sold(sell(2, &faster)), decided.get()), (Ok((0, 5)), 3));
    // And what was possible once is refused.
    shows.streams().append(1u64, &SeatEvent::Opened { seats: 3 })?;
    let faster = || {
        if decided.get() < 2 {
            shows.streams().append(1u64, &SeatEvent::Sold { count: 2 }).unwrap();
        }
    };
    assert_eq!((sold(sell(2, &faster)), decided.get()), (Err(1), 2));

    // What the database fails with is there too.
    shows.streams().category().tombstone(1u64)?;
    match sell(0, &|| ()) {
        Ok(loaded) => assert_eq!(loaded.state, Show::default()),
        Err(_) => panic!("it needs no event"),
    }
    shows.streams().category().archive(2u64)?;
    let refused = shows.handle(2u64, &Open { seats: 1 }).unwrap_err();
    assert!(matches!(refused, Error::StreamClosed { is_tombstone: false, .. }), "{refused}");
    shows.streams().category().restore(2u64)?;
    shows.handle(2u64, &Open { seats: 1 })?;
    shows.streams().category().archive(2u64)?;
    let closed = shows.handle(2u64, &Sell { count: 1, decided: &decided, meanwhile: &|| () });
    match closed {
        Err(Refusal::Failed(Error::StreamClosed { is_tombstone: false, .. })) => Ok(()),
        Err(Refusal::Failed(error)) => panic!("{error}"),
        _ => panic!("it is archived"),
    }
}

#[test]
fn the_events_of_a_command_carry_what_they_are_dressed_with_also_if_it_is_decided_anew()
-> Result<()> {
    let db = Database::builder().durability(Durability::Buffered).open_in_memory()?;
    let shows = Aggregates::<Show>::new(&db, "shows")?;
    let (command, clerk) = (0x5eed_0000_u128, String::from("bob"));
    let decided = Cell::new(0);
    let execute = || {
        let decide = |show: &Show| {
            decided.set(decided.get() + 1);
            if decided.get() == 1 {
                shows.streams().append(7u64, &SeatEvent::Opened { seats: 6 })?;
            }
            Ok::<_, Error>(vec![
                SeatEvent::Sold { count: show.left.min(1) },
                SeatEvent::Sold { count: show.left.min(2) },
            ])
        };
        let sync = WriteOptions::default().durability(Durability::Sync);
        shows.execute_with(7u64, decide, sync, |index, event| {
            event
                .id(command + index as u128)
                .correlation(9)
                .causation(command)
                .with("clerk", &clerk)
        })
    };
    let done = execute()?;
    assert_eq!((done.state.left, done.events_count, decided.get()), (3, 3, 2));
    assert_eq!(db.stats().log.synced, db.stats().log.end);
    for event in shows.streams().read_from(7u64, 1)? {
        let event = event?;
        assert_eq!(event.id(), Some(command + u128::from(event.version() - 1)));
        assert_eq!((event.correlation(), event.causation()), (Some(9), Some(command)));
        assert_eq!(event.pairs().collect::<Vec<_>>(), [("clerk", "bob")]);
    }
    // Known by its ids, it is not executed again.
    assert!(matches!(execute(), Err(Error::DuplicateEvent { .. })));
    assert_eq!(shows.load(7u64)?.events_count, 3);
    Ok(())
}
