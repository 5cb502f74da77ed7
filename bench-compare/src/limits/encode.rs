//! A mapped log without an engine: encode a thousand records, checksum them, copy them.

use super::mapped;
use crate::Result;
use crate::child::Task;
use crate::data::{KEY_BYTES, VALUE_BYTES, random_key, value};
use crate::emit::emit;
use crate::timing;

const BATCH: u64 = 1_000;
/// Bytes before the records of a frame.
const FRAME_BYTES: usize = 32;
/// Bytes before key and value of a record.
const RECORD_BYTES: usize = 16;

pub(super) fn run(task: &Task) -> Result<()> {
    let raw = task.keys as usize * (KEY_BYTES + VALUE_BYTES);
    let frames = task.keys.div_ceil(BATCH) as usize;
    let bytes = raw + task.keys as usize * RECORD_BYTES + frames * FRAME_BYTES;
    let mut map = mapped::create(&task.dir.join("log"), bytes)?;
    let mut frame = Vec::with_capacity(bytes / frames + FRAME_BYTES);
    let mut end = 0;
    let encoded = timing::once(task.keys, || {
        for first in (0..task.keys).step_by(BATCH as usize) {
            frame.clear();
            frame.resize(FRAME_BYTES, 0);
            for index in first..task.keys.min(first + BATCH) {
                let key = random_key(index);
                frame.extend_from_slice(&index.to_le_bytes());
                frame.extend_from_slice(&(KEY_BYTES as u32).to_le_bytes());
                frame.extend_from_slice(&(VALUE_BYTES as u32).to_le_bytes());
                frame.extend_from_slice(&key);
                frame.extend_from_slice(&value(&key, 0));
            }
            let checksum = crc32c::crc32c(&frame[4..]);
            frame[..4].copy_from_slice(&checksum.to_le_bytes());
            map[end..end + frame.len()].copy_from_slice(&frame);
            end += frame.len();
        }
        Ok(())
    })?;
    emit("insert.batch", encoded.rate())?;
    emit("disk", raw as f64)
}
