//! Who has a database open for writing, and clearing what a dead process left.
//!
//! Who it is stands in the lock file, which somebody may have removed: that somebody has the database, the
//! lock of its directory still tells.

use crate::{Error, Result};
use annals_disk::{Disk, Holder, LockMode};
use annals_journal::LOCK_NAME;
use std::path::Path;

pub(crate) fn of(disk: &dyn Disk, dir: &Path) -> Result<Option<Holder>> {
    let lock = dir.join(LOCK_NAME);
    if let Some(holder) = disk.lock_holder(&lock).map_err(Error::disk)? {
        return Ok(Some(holder));
    }
    Ok(disk.try_lock_dir(dir).map_err(Error::disk)?.is_none().then(unknown))
}

pub(crate) fn break_lock(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    if let Some(holder) = of(disk, dir)? {
        return Err(annals_journal::Error::Locked { path: dir.to_owned(), holder }.into());
    }
    let lock = dir.join(LOCK_NAME);
    if disk.len(&lock).map_err(Error::disk)?.unwrap_or(0) == 0 {
        return Ok(false);
    }
    match disk.try_lock(&lock, LockMode::Exclusive).map_err(Error::disk)? {
        // Taking it and letting go clears what the dead holder wrote.
        Some(_held) => Ok(true),
        None => {
            let holder = disk.lock_holder(&lock).map_err(Error::disk)?.unwrap_or_else(unknown);
            Err(annals_journal::Error::Locked { path: dir.to_owned(), holder }.into())
        }
    }
}

/// Somebody who has the database, and whose lock file is not there to say who it is.
fn unknown() -> Holder {
    Holder { pid: 0, host: "unknown".into(), since_ms: 0 }
}
