//! The advisory lock of the real disk: `flock` on a small text file.
//!
//! The lock belongs to the open file, so two handles of one process exclude each other, and the
//! system releases it when its holder dies. The file is never removed: a waiter that has it open
//! would lock a file without a name while the next comer locks a new one, and both would hold
//! "the" lock. People do remove it, though, to get rid of what they take for a stale lock: so a writer
//! locks the directory too, which stays the same one whatever is removed in it.

use crate::{Holder, Lock, LockMode, disk::NoLock, identity, system};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::Path,
    thread,
    time::Duration,
};

/// A lock that is held.
#[derive(Debug)]
pub(super) struct RealLock {
    file: File,
    mode: LockMode,
}

impl Lock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        if self.mode == LockMode::Exclusive {
            // Text that stays would name a holder that is gone; harmless, since the system is
            // asked who holds the lock, but confusing to who reads it with `cat`.
            let _ = self.file.set_len(0);
        }
        let _ = self.file.unlock();
    }
}

/// Takes the lock on `path`; `None` if another holder excludes `mode`.
pub(super) fn try_lock(path: &Path, mode: LockMode) -> io::Result<Option<RealLock>> {
    // Opened for writing without emptying: the text belongs to who holds the lock.
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = match opened {
        Ok(file) => file,
        // A reader of a database it may not write can still share.
        Err(error)
            if mode == LockMode::Shared
                && matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
        {
            File::open(path)?
        }
        Err(error) => return Err(error),
    };
    if !acquire(&file, mode)? {
        return Ok(None);
    }
    let mut lock = RealLock { file, mode };
    if mode == LockMode::Exclusive {
        match sign(&mut lock.file) {
            // A full disk keeps nobody from opening what is on it; the lock then has no text.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) => {}
            other => other?,
        }
    }
    Ok(Some(lock))
}

/// The lock of a directory.
#[derive(Debug)]
struct DirLock {
    dir: File,
}

impl Lock for DirLock {}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a process that another thread is about to start: until that runs
        // its own program it has this file open too.
        let _ = self.dir.unlock();
    }
}

/// Takes the lock on the directory `path`; `None` if somebody else has it. Not every file system has such
/// locks: there everybody is given one.
pub(super) fn try_lock_dir(path: &Path) -> Option<Box<dyn Lock>> {
    let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let Ok(dir) = File::open(here) else { return Some(Box::new(NoLock)) };
    match acquire(&dir, LockMode::Exclusive) {
        Ok(true) => Some(Box::new(DirLock { dir })),
        Ok(false) => None,
        Err(_) => Some(Box::new(NoLock)),
    }
}

/// Asks the system for the lock. Whoever looks for the holder shares the lock for a moment, so an
/// exclusive request is repeated for some milliseconds before it counts as refused: a look must
/// not keep a database from opening, also when the looker is put aside in the middle of it.
fn acquire(file: &File, mode: LockMode) -> io::Result<bool> {
    const PAUSES_US: [u64; 8] = [50, 100, 200, 400, 800, 1600, 3200, 6400];
    let mut pauses = PAUSES_US.iter().filter(|_| mode == LockMode::Exclusive);
    loop {
        let outcome = match mode {
            LockMode::Exclusive => file.try_lock(),
            LockMode::Shared => file.try_lock_shared(),
        };
        match outcome {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => match pauses.next() {
                Some(pause_us) => thread::sleep(Duration::from_micros(*pause_us)),
                None => return Ok(false),
            },
        }
    }
}

/// Replaces the text of a lock file by this process's identity.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(identity::encode(&system::this_process()).as_bytes())
}

/// Who holds the exclusive lock on `path`.
pub(super) fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => {
            file.unlock()?;
            Ok(None)
        }
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            let mut text = Vec::new();
            (&mut file).take(identity::IDENTITY_BYTES_MAX).read_to_end(&mut text)?;
            // A holder that has the lock and has not signed yet is a holder all the same.
            Ok(Some(identity::decode(&text).unwrap_or_else(identity::unknown)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a process has one that was forked and does not run its own program yet.
    #[test]
    fn a_lock_that_was_let_go_is_free_though_a_copy_of_its_file_is_open() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let dir = File::open(place.path())?;
        assert!(acquire(&dir, LockMode::Exclusive)?);
        let copy = dir.try_clone()?;
        assert!(try_lock_dir(place.path()).is_none(), "it is held");
        drop(DirLock { dir });
        assert!(try_lock_dir(place.path()).is_some(), "it was let go");
        drop(copy);
        Ok(())
    }
}
