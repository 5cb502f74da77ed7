//! The load: all records, a thousand a commit, under `Buffered`.

use std::io::{Read, stdin};

use crate::Result;
use crate::child::Task;
use crate::data::{Key, random_key, value};
use crate::emit::emit;
use crate::engine::{Engine, Mode};

/// Records a commit.
const BATCH: u64 = 1_000;

/// Writes `keys` records with random keys.
pub(super) fn load<E: Engine>(db: &E, keys: u64) -> Result<()> {
    load_keys(db, keys, random_key)
}

/// Writes `keys` records, whose keys `key` makes of their indices.
pub(super) fn load_keys<E: Engine>(db: &E, keys: u64, key: impl Fn(u64) -> Key) -> Result<()> {
    let mut records = Vec::with_capacity(BATCH as usize);
    for first in (0..keys).step_by(BATCH as usize) {
        records.clear();
        records.extend((first..keys.min(first + BATCH)).map(|index| {
            let key = key(index);
            (key, value(&key, 0))
        }));
        db.insert_batch(&records)?;
    }
    Ok(())
}

/// Loads and closes.
pub(super) fn and_close<E: Engine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    load(&db, task.keys)?;
    db.close()
}

/// Loads, says so, and waits for the parent to kill this process.
pub(super) fn and_wait<E: Engine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    load(&db, task.keys)?;
    emit("loaded", task.keys as f64)?;
    stdin().read_to_end(&mut Vec::new())?;
    db.close()
}
