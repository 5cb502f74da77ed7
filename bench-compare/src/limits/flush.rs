//! The device flush: over blocks that were written before, and past the end of a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;

use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::steps::sync::{cap, ops};
use crate::timing;

/// Bytes of one commit.
const COMMIT: [u8; 200] = [0x5a; 200];

pub(super) fn one(task: &Task) -> Result<()> {
    emit("sync.1", over_written_blocks(task, ops(1, task.keys), 1)?)?;
    let mut file = File::create(task.dir.join("appended"))?;
    let appended = timing::up_to(ops(1, task.keys), cap(task), |_| {
        file.write_all(&COMMIT)?;
        Ok(file.sync_data()?)
    })?;
    emit("sync.1.append", appended.rate())
}

pub(super) fn eight(task: &Task) -> Result<()> {
    emit("sync.8", over_written_blocks(task, ops(8, task.keys) / 8, 8)?)
}

/// Commits a second when `together` of them share each of `flushes`.
pub(super) fn over_written_blocks(task: &Task, flushes: u64, together: u64) -> Result<f64> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(task.dir.join("written"))?;
    let size = COMMIT.len() as u64;
    file.write_all(&vec![0; (flushes * together * size) as usize])?;
    file.sync_all()?;
    let flushed = timing::up_to(flushes, cap(task), |flush| {
        for commit in flush * together..(flush + 1) * together {
            file.write_all_at(&COMMIT, commit * size)?;
        }
        Ok(file.sync_data()?)
    })?;
    Ok(flushed.rate() * together as f64)
}
