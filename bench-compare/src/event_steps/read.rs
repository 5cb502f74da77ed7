//! Reads of one long stream. Every event is checked. The first pass of each kind warms caches and page
//! tables, but for the first reads after reopening.

use super::fill::long_batches;
use super::walk::{Walk, stream};
use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event_engine::{Ability, EventEngine, EventJob, EventReader};
use crate::timing;

pub(super) fn run<E: EventEngine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    long_batches(&db, task.keys)?;
    db.close()?;

    // Nothing was looked at before: what is checked once is checked now.
    let db = E::open(&task.dir, Mode::Buffered)?;
    db.read(&mut Reopened(task.keys))?;
    db.read(&mut Reads { events: task.keys, can: E::can })?;
    db.close()
}

struct Reopened(u64);

impl EventJob for Reopened {
    fn run<R: EventReader>(&mut self, reader: &mut R) -> Result<()> {
        emit("events.all.reopened", timing::once(self.0, || all(reader, self.0))?.rate())
    }
}

struct Reads {
    events: u64,
    can: fn(Ability) -> bool,
}

impl EventJob for Reads {
    fn run<R: EventReader>(&mut self, reader: &mut R) -> Result<()> {
        let events = self.events;
        emit("events.all", timing::once(events, || all(reader, events))?.rate())?;

        let forward = |reader: &mut R| stream(reader, 0, events, |version| version);
        forward(reader)?;
        emit("events.stream", timing::once(events, || forward(reader))?.rate())?;
        if (self.can)(Ability::Backward) {
            back(reader, events)?;
            emit("events.stream.back", timing::once(events, || back(reader, events))?.rate())?;
        }

        let one_by_one = timing::once(events, || {
            (0..events).try_for_each(|number| {
                found(number, reader.get(0, number, |event| event.is(number))?)
            })
        })?;
        emit("events.get", one_by_one.rate())?;
        if (self.can)(Ability::Place) {
            let one_by_one = timing::once(events, || {
                (0..events).try_for_each(|number| {
                    found(number, reader.get_at(number, |event| event.is(number))?)
                })
            })?;
            emit("events.get.at", one_by_one.rate())?;
        }
        Ok(())
    }
}

/// Goes through all events in global order.
fn all<R: EventReader>(reader: &mut R, events: u64) -> Result<()> {
    let mut walk = Walk::new();
    reader.all(|event| walk.see(&event, |seen| seen))?;
    walk.check(events)
}

/// Goes through the stream from its end.
fn back<R: EventReader>(reader: &mut R, events: u64) -> Result<()> {
    let mut walk = Walk::new();
    reader.stream_back(0, |event| walk.see(&event, |seen| events.wrapping_sub(seen + 1)))?;
    walk.check(events)
}

fn found(number: u64, right: Option<bool>) -> Result<()> {
    match right {
        Some(true) => Ok(()),
        Some(false) => Err(format!("event {number} is another").into()),
        None => Err(format!("event {number} is not there").into()),
    }
}
