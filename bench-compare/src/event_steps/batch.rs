//! Long batches to one stream.

use super::fill::long_batches;
use super::walk::check;
use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event_engine::EventEngine;
use crate::timing;

pub(super) fn run<E: EventEngine>(task: &Task, mode: Mode) -> Result<()> {
    let db = E::open(&task.dir, mode)?;
    let appended = timing::once(task.keys, || long_batches(&db, task.keys))?;
    let row = match mode {
        Mode::Buffered => "events.batch",
        Mode::Sync => "events.batch.sync",
    };
    emit(row, appended.rate())?;
    check(&db, std::iter::once((0, task.keys)), |_, version| version)?;
    db.close()
}
