//! Opening a loaded database: the time until the first value is there, in a process that has not
//! seen the database before. The kernel's page cache is warm.

use std::time::Instant;

use crate::Result;
use crate::child::Task;
use crate::data::{is_value, random_key};
use crate::emit::emit;
use crate::engine::{Engine, Mode, ReadJob, Reader};

/// The row is named by what else the task says; `missing` counts what the opened database lacks.
pub(super) fn run<E: Engine>(task: &Task) -> Result<()> {
    let started = Instant::now();
    let db = E::open(&task.dir, Mode::Buffered)?;
    let mut first = Count { from: task.keys / 2, to: task.keys / 2 + 1, missing: 0 };
    db.read(&mut first)?;
    let elapsed = started.elapsed();
    emit(&task.extra, elapsed.as_secs_f64() * 1e3)?;

    let mut all = Count { from: 0, to: task.keys, missing: 0 };
    db.read(&mut all)?;
    emit("missing", all.missing as f64)?;
    db.close()
}

/// Counts the records of an index range that are not as they were written.
pub(super) struct Count {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) missing: u64,
}

impl ReadJob for Count {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        for index in self.from..self.to {
            let key = random_key(index);
            let right = reader.get(&key, |value| is_value(value, &key, 0))? == Some(true);
            self.missing += u64::from(!right);
        }
        Ok(())
    }
}
