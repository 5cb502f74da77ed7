//! The seam between the engine and the world: one trait, object safe, small.
//!
//! Durability rules that every implementation keeps, and that callers rely on:
//! * bytes are durable after [`File::sync`] or [`Region::sync`], never before;
//! * a creation, rename or removal is durable after [`Disk::sync_dir`] of its directory;
//! * closing a file makes nothing durable;
//! * after a failed sync nobody knows what is durable, and a later sync that succeeds says nothing
//!   about what the failed one covered.

use crate::{Region, Result};
use std::{
    fmt::{self, Debug},
    path::{Component, Path, PathBuf},
};

/// The file system, the clocks and the randomness an engine runs on.
pub trait Disk: Debug + Send + Sync {
    /// Makes a directory and its parents; fine if it exists. Parents' entries are synced too.
    fn create_dir_all(&self, path: &Path) -> Result<()>;

    /// Makes creations, renames and removals inside `path` durable.
    fn sync_dir(&self, path: &Path) -> Result<()>;

    /// The entries of a directory, in the order of their names.
    fn list(&self, path: &Path) -> Result<Vec<Entry>>;

    /// Where `path` leads: without links and steps back as far as it is there; what is not there yet is
    /// taken as it is written. Two paths that lead to one place are the same then. Where there are no
    /// links, the names alone say it.
    fn resolve(&self, path: &Path) -> Result<PathBuf> {
        Ok(folded(path))
    }

    /// The length of a file in bytes, or `None` if nothing is there. A directory is an error.
    fn len(&self, path: &Path) -> Result<Option<u64>>;

    /// The whole content of a file. A file longer than `limit_bytes` is an error
    /// (`InvalidData`), so that memory never follows a length nobody checked.
    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>>;

    /// Up to `len` bytes of a file from `offset` on: fewer only if it ends before. Unlike a region's, they can be
    /// read while another process cuts the file.
    fn read_part(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>> {
        if self.len(path)? == Some(0) {
            return Ok(Vec::new());
        }
        let region = self.open_region(path, Access::Read)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(region.len());
        Ok(region.read(start, len.min(region.len() - start)).to_vec())
    }

    /// Creates a file, or empties the one that is there, for appending. The file must not be open
    /// as a region: what its readers see then is not defined, up to the end of the process.
    fn create(&self, path: &Path) -> Result<Box<dyn File>>;

    /// Renames a file, not a directory; an existing target file is replaced atomically. Between two
    /// directories the rename is durable once both are synced.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file. Regions of it that are open stay readable.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Creates a file of `len` zero bytes whose space is really reserved, and opens it in place.
    /// Fails with `AlreadyExists` if the file is there. On failure no file is left behind.
    fn create_region(&self, path: &Path, len: u64) -> Result<Region>;

    /// Opens a file in place. [`Access::Write`] grows it to `len` bytes first (never shrinks it),
    /// with the space reserved.
    fn open_region(&self, path: &Path, access: Access) -> Result<Region>;

    /// Takes an advisory lock on the file `path` (made if missing), without waiting: `None` if
    /// another handle, of this or another process, holds it in a way that excludes `mode`.
    /// An exclusive lock writes the holder's identity into the file. A lock whose holder died is
    /// free. The lock is released when the returned value is dropped.
    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>>;

    /// Takes the lock of the directory `path` itself, without waiting: `None` if another handle, of this
    /// or another process, has it. It keeps those out who find another file in the place of the one that
    /// [`try_lock`](Self::try_lock) has locked, because somebody has removed that. Where directories
    /// have no locks, or no file goes without the disk's knowledge, everybody is given one.
    fn try_lock_dir(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        let _ = path;
        Ok(Some(Box::new(NoLock)))
    }

    /// Who holds the exclusive lock on `path` now; `None` if nobody does. A holder that has not
    /// written who it is has the process id 0.
    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>>;

    /// Wall clock: milliseconds since 1970-01-01 UTC. May jump in either direction.
    fn now_ms(&self) -> u64;

    /// A clock that only moves forward, in nanoseconds from an arbitrary start.
    fn monotonic_ns(&self) -> u64;

    /// A fresh random number.
    fn random_u64(&self) -> u64;
}

/// The path without steps to where it came from. Links are not looked at.
pub(crate) fn folded(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut folded, part| {
        match part {
            Component::ParentDir if folded.file_name().is_some() => drop(folded.pop()),
            Component::CurDir => {}
            part => folded.push(part),
        }
        folded
    })
}

/// How [`Disk::open_region`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading what is there.
    Read,
    /// For reading and writing, grown to at least `len` bytes.
    Write {
        /// The least length in bytes.
        len: u64,
    },
}

/// A file that is written from its start to its end.
pub trait File: Debug + Send {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
    /// Makes everything appended durable.
    fn sync(&mut self) -> Result<()>;
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name without its directory; names that are not UTF-8 are shown lossily.
    pub name: String,
    /// The length in bytes (0 for a directory).
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// How a lock excludes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Excludes everybody.
    Exclusive,
    /// Excludes only exclusive holders.
    Shared,
}

/// A held lock; dropping it releases.
pub trait Lock: Debug + Send + Sync {}

/// What keeps nobody out.
#[derive(Debug)]
pub(crate) struct NoLock;

impl Lock for NoLock {}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process id on its host.
    pub pid: u32,
    /// The host's name.
    pub host: String,
    /// When the lock was taken, in milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
}

impl fmt::Display for Holder {
    /// The process, its host, and since when in UTC, as far as that is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("a process that does not say who it is");
        }
        let seconds = self.since_ms / 1000;
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "process {} on {} since {year:04}-{month:02}-{day:02}", self.pid, self.host)?;
        write!(f, "T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// The date of a day counted from 1970-01-01, in the Gregorian calendar. Years are taken to start in
/// March, so that leap days come last; 400 of them repeat.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let shifted = days + DAYS_TO_1970;
    let (era, of_era) = (shifted / DAYS_OF_400_YEARS, shifted % DAYS_OF_400_YEARS);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_back_are_folded() {
        for (path, wanted) in [
            ("data/../bk", "bk"),
            ("data/./bk", "data/bk"),
            ("../bk", "../bk"),
            ("a/../../bk", "../bk"),
            ("/data/bk/..", "/data"),
            ("/../bk", "/../bk"),
        ] {
            assert_eq!(folded(Path::new(path)), Path::new(wanted), "{path}");
        }
    }

    #[test]
    fn holders_are_shown_with_their_time() {
        let holder = |since_ms| Holder { pid: 7, host: "vm".into(), since_ms };
        assert_eq!(holder(0).to_string(), "process 7 on vm since 1970-01-01T00:00:00Z");
        let leap = holder(951_782_400_000 + 3_661_000);
        assert_eq!(leap.to_string(), "process 7 on vm since 2000-02-29T01:01:01Z");
        let late = holder(1_795_185_201_827);
        assert_eq!(late.to_string(), "process 7 on vm since 2026-11-20T14:33:21Z");
    }
}
