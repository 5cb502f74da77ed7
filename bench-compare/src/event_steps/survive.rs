//! What `kill -9` takes: one process appends and tells the parent of each commit through a pipe until it
//! is killed, another counts what is left.

use std::fs::File;
use std::io::{Write, stdout};
use std::os::fd::AsFd;

use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event::Batch;
use crate::event_engine::{EventEngine, EventJob, EventReader, Expected};

/// Appends events from number `extra` on to a stream of that number, one a commit; after each, the number
/// of commits so far goes to standard output as eight bytes.
pub(super) fn write<E: EventEngine>(task: &Task) -> Result<()> {
    let first: u64 = task.extra.parse()?;
    let db = E::open(&task.dir, Mode::Buffered)?;
    let mut acknowledge = File::from(stdout().as_fd().try_clone_to_owned()?);
    let mut batch = Batch::of(1);
    for index in 0.. {
        let number = first + index;
        db.append(first, batch.fill(number..=number), Expected::Any)?;
        acknowledge.write_all(&(index + 1).to_le_bytes())?;
    }
    db.close()
}

/// Counts what is missing of the ranges in `extra`, written `FIRST:COUNT,…`.
pub(super) fn count<E: EventEngine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    let mut missing = 0;
    for range in task.extra.split(',') {
        let (first, count) = range.split_once(':').ok_or("a range is FIRST:COUNT")?;
        let mut left = Count { first: first.parse()?, count: count.parse()?, missing: 0 };
        db.read(&mut left)?;
        missing += left.missing;
    }
    emit("kill", missing as f64)?;
    db.close()
}

struct Count {
    first: u64,
    count: u64,
    missing: u64,
}

impl EventJob for Count {
    fn run<R: EventReader>(&mut self, reader: &mut R) -> Result<()> {
        for version in 0..self.count {
            let number = self.first + version;
            let right = reader.get(self.first, version, |event| event.is(number))? == Some(true);
            self.missing += u64::from(!right);
        }
        Ok(())
    }
}
