//! Who has a database open for writing, and clearing what a dead process left.

use crate::{Error, Result};
use annals_disk::{Disk, Holder, LockMode};
use annals_journal::LOCK_NAME;
use std::path::Path;

pub(crate) fn of(disk: &dyn Disk, dir: &Path) -> Result<Option<Holder>> {
    let lock = dir.join(LOCK_NAME);
    if disk.len(&lock).map_err(Error::disk)?.is_none() {
        return Ok(None);
    }
    disk.lock_holder(&lock).map_err(Error::disk)
}

pub(crate) fn break_lock(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    let lock = dir.join(LOCK_NAME);
    if disk.len(&lock).map_err(Error::disk)?.unwrap_or(0) == 0 {
        return Ok(false);
    }
    match disk.try_lock(&lock, LockMode::Exclusive).map_err(Error::disk)? {
        // Taking it and letting go clears what the dead holder wrote.
        Some(_held) => Ok(true),
        None => {
            let unknown = Holder { pid: 0, host: "unknown".into(), since_ms: 0 };
            let holder = disk.lock_holder(&lock).map_err(Error::disk)?.unwrap_or(unknown);
            Err(annals_journal::Error::Locked { path: dir.to_owned(), holder }.into())
        }
    }
}
