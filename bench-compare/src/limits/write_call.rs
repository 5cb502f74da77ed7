//! One `write` of one encoded record: what a log without a map pays at least.

use std::fs::File;
use std::io::Write;

use crate::Result;
use crate::child::Task;
use crate::data::{KEY_BYTES, VALUE_BYTES};
use crate::emit::emit;
use crate::timing;

/// Bytes of a frame around key and value.
const FRAME_BYTES: usize = 24;

pub(super) fn run(task: &Task, rows: &[&str]) -> Result<()> {
    let mut file = File::create(task.dir.join("log"))?;
    let record = [0x5a; FRAME_BYTES + KEY_BYTES + VALUE_BYTES];
    let written = timing::up_to(task.keys, task.cap, |_| Ok(file.write_all(&record)?))?;
    for row in rows {
        emit(row, written.rate())?;
    }
    Ok(())
}
