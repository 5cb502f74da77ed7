//! Loads.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::LONG;
use crate::Result;
use crate::engine::Mode;
use crate::event::Batch;
use crate::event_engine::{EventEngine, Expected};

/// Appends events `0..events` to stream 0, in long batches.
pub(super) fn long_batches<E: EventEngine>(db: &E, events: u64) -> Result<()> {
    let mut batch = Batch::of(LONG as usize);
    for first in (0..events).step_by(LONG as usize) {
        let numbers = first..events.min(first + LONG);
        db.append(0, batch.fill(numbers), Expected::Any)?;
    }
    Ok(())
}

/// Makes a database in `dir` of what `load` commits, often and a little at a time. Where each commit would
/// be synced, that would take minutes and tell nothing of reading: such a database is made in memory and
/// copied.
pub(super) fn in_small_commits<E: EventEngine>(
    dir: &Path,
    load: impl FnOnce(&E) -> Result<()>,
) -> Result<()> {
    let memory = if E::ALWAYS_SYNCS { folder_in_memory()? } else { None };
    let place = memory.as_ref().map_or(dir, TempDir::path);
    let db = E::open(place, Mode::Buffered)?;
    load(&db)?;
    db.close()?;
    if memory.is_some() {
        for entry in fs::read_dir(place)? {
            let entry = entry?;
            fs::copy(entry.path(), dir.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn folder_in_memory() -> Result<Option<TempDir>> {
    let shared = Path::new("/dev/shm");
    if !shared.is_dir() {
        return Ok(None);
    }
    Ok(Some(tempfile::Builder::new().prefix("bench-compare-").tempdir_in(shared)?))
}
