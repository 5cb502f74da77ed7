//! Many short streams: what opening them takes, in a process that has not seen them before. The kernel's
//! page cache is warm.

use std::time::Instant;

use super::fill::in_small_commits;
use super::walk::stream;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event::Batch;
use crate::event_engine::{Ability, EventEngine, EventJob, EventReader, Expected};
use crate::{Result, memory};

/// Events of each stream.
const LENGTH: u64 = 5;

/// Appends the events of each stream in a commit of its own.
pub(super) fn load<E: EventEngine>(task: &Task) -> Result<()> {
    in_small_commits(&task.dir, |db: &E| {
        let mut batch = Batch::of(LENGTH as usize);
        (0..task.keys).try_for_each(|stream| {
            let first = stream * LENGTH;
            db.append(stream, batch.fill(first..first + LENGTH), Expected::Any)
        })
    })
}

/// The time until the first stream is read, and the memory that is taken by then and after all have been.
pub(super) fn open<E: EventEngine>(task: &Task) -> Result<()> {
    let before = memory::anonymous_bytes()?;
    let started = Instant::now();
    let db = E::open(&task.dir, Mode::Buffered)?;
    db.read(&mut Streams { from: task.keys / 2, to: task.keys / 2 + 1 })?;
    emit("events.open", started.elapsed().as_secs_f64() * 1e3)?;
    let grown = memory::anonymous_bytes()?.saturating_sub(before);
    emit("events.open.memory", grown as f64 / task.keys as f64)?;

    if E::can(Ability::Count) {
        let started = Instant::now();
        let count = db.count_streams()?;
        if count != task.keys {
            return Err(format!("{count} streams of {}", task.keys).into());
        }
        emit("events.count", started.elapsed().as_secs_f64() * 1e3)?;
    }
    db.read(&mut Streams { from: 0, to: task.keys })?;
    let grown = memory::anonymous_bytes()?.saturating_sub(before);
    emit("events.open.memory.read", grown as f64 / task.keys as f64)?;
    db.close()
}

struct Streams {
    from: u64,
    to: u64,
}

impl EventJob for Streams {
    fn run<R: EventReader>(&mut self, reader: &mut R) -> Result<()> {
        (self.from..self.to)
            .try_for_each(|id| stream(reader, id, LENGTH, |version| id * LENGTH + version))
    }
}
