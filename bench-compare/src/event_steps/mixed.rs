//! Streams whose events were written in turn with those of all the others, each in a commit of its own:
//! reading one after the other, and a projection of all.

use super::STREAMS;
use super::fill::in_small_commits;
use super::walk::stream;
use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event::{Batch, quantity};
use crate::event_engine::{Ability, EventEngine, EventJob, EventReader, Expected, Total};
use crate::timing;

/// Events that a projection adds in one commit.
const PROJECTED: usize = 1_000;

/// Streams that take turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixed {
    /// How many there are.
    pub(crate) streams: u64,
    /// The events of each.
    pub(crate) length: u64,
}

impl Mixed {
    /// Of about `events` events altogether.
    pub(crate) fn of(events: u64) -> Self {
        let streams = STREAMS.min(events / 10);
        Self { streams, length: events / streams }
    }

    /// All events.
    pub(crate) fn events(self) -> u64 {
        self.streams * self.length
    }

    /// The number of an event.
    pub(crate) fn number(self, stream: u64, version: u64) -> u64 {
        version * self.streams + stream
    }
}

pub(super) fn run<E: EventEngine>(task: &Task) -> Result<()> {
    let mixed = Mixed::of(task.keys);
    in_small_commits(&task.dir, |db: &E| {
        let mut batch = Batch::of(1);
        (0..mixed.events()).try_for_each(|number| {
            let stream = number % mixed.streams;
            db.append(stream, batch.fill(number..=number), Expected::Any)
        })
    })?;

    let db = E::open(&task.dir, Mode::Buffered)?;
    db.read(&mut Reads(mixed))?;
    if E::can(Ability::Project) {
        task.warm_up()?;
        let projected = timing::once(mixed.events(), || db.project(mixed.events(), PROJECTED))?;
        for stream in 0..mixed.streams {
            let numbers = (0..mixed.length).map(|version| mixed.number(stream, version));
            let quantity = numbers.map(|number| u64::from(quantity(number))).sum();
            let right = Total { events: mixed.length, quantity };
            let total = db.total(stream)?;
            if total != right {
                return Err(format!("stream {stream}: {total:?}, not {right:?}").into());
            }
        }
        emit("events.projection", projected.rate())?;
    }
    db.close()
}

struct Reads(Mixed);

impl EventJob for Reads {
    fn run<R: EventReader>(&mut self, reader: &mut R) -> Result<()> {
        let mixed = self.0;
        let mut every = || {
            (0..mixed.streams).try_for_each(|id| {
                stream(reader, id, mixed.length, |version| mixed.number(id, version))
            })
        };
        every()?;
        emit("events.mixed", timing::once(mixed.events(), every)?.rate())
    }
}
