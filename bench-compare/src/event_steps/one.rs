//! One event a commit under `Buffered`: to one stream whatever its version, and to another at the version
//! expected. They take turns, so that neither has the better of a database that grows.

use std::time::Duration;

use super::walk::check;
use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event::{Batch, Event};
use crate::event_engine::{Ability, EventEngine, Expected};
use crate::timing;

/// Appends of one turn.
const TURN: u64 = 1_000;
/// The stream to which events are appended whatever its version.
const ANY: u64 = 0;
/// The stream to which they are appended at the version expected.
const EXACT: u64 = 1;

pub(super) fn run<E: EventEngine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    let mut any = Appends::to(ANY, |_| Expected::Any);
    let mut exact = Appends::to(EXACT, Expected::Events);
    loop {
        let any_goes_on = any.turn(&db, task)?;
        let exact_goes_on = !E::can(Ability::Exact) || exact.turn(&db, task)?;
        if !(any_goes_on && exact_goes_on) {
            break;
        }
    }

    check(&db, [(ANY, any.done), (EXACT, exact.done)].into_iter(), |_, version| version)?;
    emit("events.one", any.rate())?;
    if E::can(Ability::Exact) {
        for wrong in [exact.done - 1, exact.done + 1] {
            if db.append(EXACT, &[Event::of(0)], Expected::Events(wrong)).is_ok() {
                return Err("an append to a stream that is not as expected went through".into());
            }
        }
        check(&db, std::iter::once((EXACT, exact.done)), |_, version| version)?;
        emit("events.exact", exact.rate())?;
    }
    db.close()
}

/// Appends of one kind.
struct Appends {
    stream: u64,
    expected: fn(u64) -> Expected,
    batch: Batch,
    done: u64,
    took: Duration,
}

impl Appends {
    fn to(stream: u64, expected: fn(u64) -> Expected) -> Self {
        Self { stream, expected, batch: Batch::of(1), done: 0, took: Duration::ZERO }
    }

    /// Appends some; false when all are there, or the time is over.
    fn turn<E: EventEngine>(&mut self, db: &E, task: &Task) -> Result<bool> {
        let count = TURN.min(task.keys - self.done);
        let left = task.cap.saturating_sub(self.took);
        let timed = timing::up_to(count, left, |index| {
            let number = self.done + index;
            let event = self.batch.fill(number..=number);
            db.append(self.stream, event, (self.expected)(number))
        })?;
        self.done += timed.ops;
        self.took += timed.took();
        Ok(timed.ops == TURN)
    }

    fn rate(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }
}
