//! A thousand records a commit under `Buffered`, and the memory they leave behind.

use super::check::{Expected, check};
use super::load::load;
use crate::child::Task;
use crate::data::random_key;
use crate::emit::emit;
use crate::engine::{Engine, Mode};
use crate::{Result, memory, timing};

pub(super) fn run<E: Engine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    let before = memory::anonymous_bytes()?;
    let loaded = timing::once(task.keys, || load(&db, task.keys))?;
    let grown = memory::anonymous_bytes()?.saturating_sub(before);
    emit("insert.batch", loaded.rate())?;
    emit("memory", grown as f64 / task.keys as f64)?;
    check(&db, (0..task.keys).step_by(61).map(random_key), Expected::Version(0))?;
    db.close()
}
