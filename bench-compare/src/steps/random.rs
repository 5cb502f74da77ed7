//! One record a commit under `Buffered`, random keys: insert, overwrite, delete.

use super::check::{Expected, check};
use crate::child::Task;
use crate::data::{random_key, shuffled, value};
use crate::emit::emit;
use crate::engine::{Engine, Mode};
use crate::{Result, memory, timing};

/// One key in so many is looked up again after each row.
const SAMPLE_EVERY: usize = 61;

pub(super) fn run<E: Engine>(task: &Task) -> Result<()> {
    let watch = memory::Watch::start();
    let db = E::open(&task.dir, Mode::Buffered)?;

    let inserted = timing::up_to(task.keys, task.cap, |index| {
        let key = random_key(index);
        db.insert(&key, &value(&key, 0))
    })?;
    emit("insert.random", inserted.rate())?;
    check(&db, (0..inserted.ops).step_by(SAMPLE_EVERY).map(random_key), Expected::Version(0))?;

    let order = shuffled(inserted.ops);
    task.warm_up()?;
    let key_at = |index: u64| random_key(u64::from(order[index as usize]));
    let overwritten = timing::up_to(inserted.ops, task.cap, |index| {
        let key = key_at(index);
        db.insert(&key, &value(&key, 1))
    })?;
    emit("overwrite", overwritten.rate())?;
    check(&db, (0..overwritten.ops).step_by(SAMPLE_EVERY).map(key_at), Expected::Version(1))?;

    task.warm_up()?;
    let deleted = timing::up_to(inserted.ops, task.cap, |index| db.remove(&key_at(index)))?;
    emit("delete", deleted.rate())?;
    check(&db, (0..deleted.ops).step_by(SAMPLE_EVERY).map(key_at), Expected::Absent)?;
    emit("memory.write.anonymous", watch.most_bytes()? as f64)?;
    emit("memory.write.resident", memory::peak_bytes()? as f64)?;
    db.close()
}
