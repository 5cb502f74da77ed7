//! 64 KiB at a time: into a file by `write`, and out of a mapped file by adding up its words.

use std::fs::File;
use std::io::Write;

use super::mapped;
use crate::Result;
use crate::child::Task;
use crate::data::{LARGE_BYTES, LargeValue, random_key, shuffled};
use crate::emit::emit;
use crate::timing;

pub(super) fn run(task: &Task) -> Result<()> {
    let mut large = LargeValue::new();
    let mut file = File::create(task.dir.join("log"))?;
    let written = timing::up_to(task.large(), task.cap, |index| {
        Ok(file.write_all(large.of(&random_key(index)))?)
    })?;
    emit("large.write", written.rate() * LARGE_BYTES as f64)?;

    let count = written.ops as usize;
    let mut map = mapped::create(&task.dir.join("map"), count * LARGE_BYTES)?;
    for (index, bytes) in map.chunks_mut(LARGE_BYTES).enumerate() {
        bytes.copy_from_slice(large.of(&random_key(index as u64)));
    }
    let order = shuffled(count as u64);
    let read = timing::once(count as u64, || {
        for index in &order {
            let start = *index as usize * LARGE_BYTES;
            let key = random_key(u64::from(*index));
            if !large.is_of(&map[start..start + LARGE_BYTES], &key) {
                return Err("a value is wrong".into());
            }
        }
        Ok(())
    })?;
    emit("large.read", read.rate() * LARGE_BYTES as f64)
}
