//! The lock: one writer at a time, who is named to those who come second.

use crate::{Error, Result};
use annals_disk::{Disk, Lock, LockMode};
use std::path::Path;

/// The file whose lock a writer holds.
pub const LOCK_NAME: &str = "annals.lock";

/// Takes the writer lock of the directory `dir`, which must exist.
///
/// # Errors
/// [`Error::Locked`] with the holder if another handle has it.
pub fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Lock>> {
    let path = dir.join(LOCK_NAME);
    // The holder may let go between the two questions; then ask once more.
    for _ in 0..3 {
        if let Some(lock) = disk.try_lock(&path, LockMode::Exclusive)? {
            return Ok(lock);
        }
        if let Some(holder) = disk.lock_holder(&path)? {
            return Err(Error::Locked { path: dir.to_owned(), holder });
        }
    }
    let holder = annals_disk::Holder { pid: 0, host: "unknown".into(), since_ms: 0 };
    Err(Error::Locked { path: dir.to_owned(), holder })
}
