//! What `kill -9` takes: one process writes and tells the parent of each commit through a pipe
//! until it is killed, another counts what is left.

use std::fs::File;
use std::io::{Write, stdout};
use std::os::fd::AsFd;

use super::open::Count;
use crate::Result;
use crate::child::Task;
use crate::data::{random_key, value};
use crate::emit::emit;
use crate::engine::{Engine, Mode};

/// Writes from index `extra` on, one a commit; after each, the number of commits so far goes to
/// standard output as eight bytes.
pub(super) fn write<E: Engine>(task: &Task) -> Result<()> {
    let first: u64 = task.extra.parse()?;
    let db = E::open(&task.dir, Mode::Buffered)?;
    let mut acknowledge = File::from(stdout().as_fd().try_clone_to_owned()?);
    for index in 0.. {
        let key = random_key(first + index);
        db.insert(&key, &value(&key, 0))?;
        acknowledge.write_all(&(index + 1).to_le_bytes())?;
    }
    db.close()
}

/// Counts what is missing of the ranges in `extra`, written `FIRST:COUNT,…`.
pub(super) fn count<E: Engine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    let mut missing = 0;
    for range in task.extra.split(',') {
        let (from, count) = range.split_once(':').ok_or("a range is FIRST:COUNT")?;
        let from = from.parse::<u64>()?;
        let mut left = Count { from, to: from + count.parse::<u64>()?, missing: 0 };
        db.read(&mut left)?;
        missing += left.missing;
    }
    emit("kill", missing as f64)?;
    db.close()
}
