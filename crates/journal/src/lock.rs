//! The lock: one writer at a time, who is named to those who come second.

use crate::{Error, Result};
use annals_disk::{Disk, Holder, Lock, LockMode};
use std::path::Path;

/// The file whose lock a writer holds.
pub const LOCK_NAME: &str = "annals.lock";

/// The file in which the engine tells the figures of the process that writes. Nothing depends on it.
pub const FIGURES_NAME: &str = "annals.figures";
/// What it is written under before it gets its name.
pub const FIGURES_TEMPORARY: &str = "annals.figures.tmp";

/// What a writer holds: the directory's lock keeps out who finds another lock file, because somebody has
/// removed the one that is locked. Let go of in this order, so that who gets the file gets both.
#[derive(Debug)]
struct WriterLock {
    _dir: Box<dyn Lock>,
    _file: Box<dyn Lock>,
}

impl Lock for WriterLock {}

/// Takes the writer lock of the directory `dir`, which must exist.
///
/// # Errors
/// [`Error::Locked`] with the holder if another handle has it.
pub fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Lock>> {
    let path = dir.join(LOCK_NAME);
    let unknown = || Holder { pid: 0, host: "unknown".into(), since_ms: 0 };
    // The holder may let go between the two questions; then ask once more.
    for _ in 0..3 {
        if let Some(_file) = disk.try_lock(&path, LockMode::Exclusive)? {
            return match disk.try_lock_dir(dir)? {
                Some(_dir) => Ok(Box::new(WriterLock { _dir, _file })),
                // Who it is stood in the file that was removed.
                None => Err(Error::Locked { path: dir.to_owned(), holder: unknown() }),
            };
        }
        if let Some(holder) = disk.lock_holder(&path)? {
            return Err(Error::Locked { path: dir.to_owned(), holder });
        }
    }
    Err(Error::Locked { path: dir.to_owned(), holder: unknown() })
}
