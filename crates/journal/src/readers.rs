//! Read-only openers of all processes, as far as a writer has to know of them: whether there is
//! one.
//!
//! Each holds a shared lock on one file for as long as it may look at mapped segments. The system
//! gives the lock back when a process dies, so no entry of a dead reader has to be found and
//! cleared. It is taken *before* the root is read: a reader that comes after a writer looked finds
//! the root that the writer had made durable before it looked.

use crate::{Error, Result};
use annals_disk::{Disk, DiskError, Holder, Lock, LockMode};
use std::{io::ErrorKind, path::Path, thread, time::Duration};

/// The file whose lock readers share.
pub const READERS_NAME: &str = "annals.readers";

/// A writer has the lock to itself for a few file operations; a reader that meets it asks again so
/// often, with such pauses between.
const ATTEMPTS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(2);

/// Counts the caller in among the readers of `dir`. `None` where it has no means to: the file is
/// missing. Only writers make it, so that one which finds it missing knows that there may be readers
/// it cannot see.
///
/// # Errors
/// [`Error::Locked`] if a writer keeps the lock to itself; what the file system refuses.
pub fn enter(disk: &dyn Disk, dir: &Path) -> Result<Option<Box<dyn Lock>>> {
    let path = dir.join(READERS_NAME);
    if !is_there(disk, dir) {
        return Ok(None);
    }
    for _ in 0..ATTEMPTS {
        match disk.try_lock(&path, LockMode::Shared) {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Ok(None) => thread::sleep(PAUSE),
            // A file that is there and refuses would let the writer believe that nobody reads.
            Err(error)
                if error.source.kind() == ErrorKind::PermissionDenied && is_there(disk, dir) =>
            {
                return Err(error.into());
            }
            Err(error) if is_out_of_reach(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    let unknown = Holder { pid: 0, host: "unknown".into(), since_ms: 0 };
    let holder = disk.lock_holder(&path)?.unwrap_or(unknown);
    Err(Error::Locked { path: dir.to_owned(), holder })
}

/// Whether a lock cannot be had here, whoever holds it: reading must be possible all the same.
fn is_out_of_reach(error: &DiskError) -> bool {
    let kind = error.source.kind();
    error.is_not_found()
        || error.is_read_only()
        || error.is_full()
        || matches!(kind, ErrorKind::Unsupported | ErrorKind::IsADirectory)
}

/// Whether readers find the file: those that came while it was missing cannot be seen.
pub(crate) fn is_there(disk: &dyn Disk, dir: &Path) -> bool {
    disk.len(&dir.join(READERS_NAME)).is_ok_and(|len| len.is_some())
}

/// Makes the file, so that readers can share its lock who may not write to the directory. Returns
/// whether it is there now.
///
/// ```no_run
/// # use std::path::Path;
/// let disk = annals_disk::RealDisk::new();
/// assert!(annals_journal::make_readers_file(&disk, Path::new("a-copy-of-a-database")));
/// ```
pub fn make_readers_file(disk: &dyn Disk, dir: &Path) -> bool {
    if is_there(disk, dir) {
        return true;
    }
    match disk.try_lock(&dir.join(READERS_NAME), LockMode::Exclusive) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "without this file no segment is recycled");
            false
        }
    }
}

/// The lock for the writer alone, if there is no reader. Never waits for one to go. If somebody has
/// removed the file, those that hold its lock cannot be seen.
pub(crate) fn alone(disk: &dyn Disk, dir: &Path) -> Option<Box<dyn Lock>> {
    if !is_there(disk, dir) {
        return None;
    }
    disk.try_lock(&dir.join(READERS_NAME), LockMode::Exclusive).ok().flatten()
}
