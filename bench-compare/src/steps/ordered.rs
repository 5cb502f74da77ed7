//! One record a commit under `Buffered`, ascending keys.

use super::check::{Expected, check};
use crate::Result;
use crate::child::Task;
use crate::data::{ordered_key, value};
use crate::emit::emit;
use crate::engine::{Engine, Mode};
use crate::timing;

pub(super) fn run<E: Engine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    let inserted = timing::up_to(task.keys, task.cap, |index| {
        let key = ordered_key(index);
        db.insert(&key, &value(&key, 0))
    })?;
    emit("insert.ordered", inserted.rate())?;
    check(&db, (0..inserted.ops).step_by(61).map(ordered_key), Expected::Version(0))?;
    db.close()
}
