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
///
/// Calls that fail say what was tried, on which path, and the system's own reason: `NotFound` for a
/// file that must be there, `NotADirectory` or `IsADirectory` for a path of the other kind, `StorageFull`
/// where no space is left.
///
/// ```
/// use annals_disk::{Disk, MemoryDisk, RealDisk};
/// use std::path::Path;
/// /// Works on any disk, so that a test of it needs no files.
/// fn remember(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> annals_disk::Result<()> {
///     let mut file = disk.create(path)?;
///     file.append(bytes)?;
///     file.sync()?;
///     disk.sync_dir(path.parent().unwrap_or(Path::new("")))
/// }
/// let (memory, dir) = (MemoryDisk::new(), tempfile::tempdir()?);
/// remember(&memory, Path::new("notes"), b"hello")?;
/// remember(&RealDisk::new(), &dir.path().join("notes"), b"hello")?;
/// assert_eq!(memory.read(Path::new("notes"), 100)?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Disk: Debug + Send + Sync {
    /// Makes a directory and its parents; fine if it exists. Parents' entries are synced too.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// disk.create_dir_all(Path::new("data/tables"))?;
    /// disk.create_dir_all(Path::new("data/tables"))?;
    /// assert!(disk.list(Path::new("data"))?[0].is_dir);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn create_dir_all(&self, path: &Path) -> Result<()>;

    /// Makes creations, renames and removals inside `path` durable.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// drop(disk.create(Path::new("notes"))?);
    /// // Until then nobody knows whether a power cut leaves the name.
    /// assert_eq!(disk.durable_bytes("notes"), None);
    /// disk.sync_dir(Path::new(""))?;
    /// assert_eq!(disk.durable_bytes("notes"), Some(vec![]));
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn sync_dir(&self, path: &Path) -> Result<()>;

    /// The entries of a directory, in the order of their names.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// disk.create(Path::new("b"))?.append(b"hello")?;
    /// drop(disk.create(Path::new("a"))?);
    /// let found = disk.list(Path::new(""))?;
    /// assert_eq!((found[0].name.as_str(), found[1].name.as_str()), ("a", "b"));
    /// assert_eq!(found[1].len, 5);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn list(&self, path: &Path) -> Result<Vec<Entry>>;

    /// Where `path` leads: without links and steps back as far as it is there; what is not there yet is
    /// taken as it is written. Two paths that lead to one place are the same then. Where there are no
    /// links, the names alone say it.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// let (one, other) = (Path::new("data/log"), Path::new("data/../data/./log"));
    /// assert_ne!(one, other);
    /// assert_eq!(disk.resolve(one)?, disk.resolve(other)?);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn resolve(&self, path: &Path) -> Result<PathBuf> {
        Ok(folded(path))
    }

    /// The length of a file in bytes, or `None` if nothing is there. A directory is an error.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// disk.create(Path::new("notes"))?.append(b"hello")?;
    /// assert_eq!(disk.len(Path::new("notes"))?, Some(5));
    /// assert_eq!(disk.len(Path::new("no such file"))?, None);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn len(&self, path: &Path) -> Result<Option<u64>>;

    /// The whole content of a file. A file longer than `limit_bytes` is an error
    /// (`InvalidData`), so that memory never follows a length nobody checked.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// disk.create(Path::new("notes"))?.append(b"hello")?;
    /// assert_eq!(disk.read(Path::new("notes"), 5)?, b"hello");
    /// assert!(disk.read(Path::new("notes"), 4).is_err());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>>;

    /// Up to `len` bytes of a file from `offset` on: fewer only if it ends before. Unlike a region's, they can be
    /// read while another process cuts the file.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// disk.create(Path::new("notes"))?.append(b"hello")?;
    /// assert_eq!(disk.read_part(Path::new("notes"), 1, 3)?, b"ell");
    /// assert_eq!(disk.read_part(Path::new("notes"), 3, 100)?, b"lo");
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
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
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// let mut file = disk.create(Path::new("notes"))?;
    /// file.append(b"hello ")?;
    /// file.append(b"there")?;
    /// file.sync()?;
    /// assert_eq!(disk.read(Path::new("notes"), 100)?, b"hello there");
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn create(&self, path: &Path) -> Result<Box<dyn File>>;

    /// Renames a file, not a directory; an existing target file is replaced atomically. Between two
    /// directories the rename is durable once both are synced.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// disk.create(Path::new("root"))?.append(b"old")?;
    /// disk.create(Path::new("root.new"))?.append(b"new")?;
    /// // Whoever reads `root` meanwhile finds the old bytes or the new ones, and never a part.
    /// disk.rename(Path::new("root.new"), Path::new("root"))?;
    /// disk.sync_dir(Path::new(""))?;
    /// assert_eq!(disk.read(Path::new("root"), 100)?, b"new");
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file. Regions of it that are open stay readable.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// disk.create_region(Path::new("one.seg"), 4096)?.write(0, b"hello")?;
    /// let reader = disk.open_region(Path::new("one.seg"), annals_disk::Access::Read)?;
    /// disk.remove(Path::new("one.seg"))?;
    /// assert_eq!(disk.len(Path::new("one.seg"))?, None);
    /// assert_eq!(reader.read(0, 5), b"hello");
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn remove(&self, path: &Path) -> Result<()>;

    /// Creates a file of `len` zero bytes whose space is really reserved, and opens it in place.
    /// Fails with `AlreadyExists` if the file is there. On failure no file is left behind.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// let region = disk.create_region(Path::new("one.seg"), 4096)?;
    /// assert_eq!(region.read(0, 5), [0; 5]);
    /// // It never takes the place of a file that is there.
    /// assert!(disk.create_region(Path::new("one.seg"), 4096).is_err());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn create_region(&self, path: &Path, len: u64) -> Result<Region>;

    /// Opens a file in place. [`Access::Write`] grows it to `len` bytes first (never shrinks it),
    /// with the space reserved.
    ///
    /// ```
    /// use annals_disk::{Access, Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// disk.create_region(Path::new("one.seg"), 4096)?.write(0, b"hello")?;
    /// let region = disk.open_region(Path::new("one.seg"), Access::Write { len: 8192 })?;
    /// region.write(4096, b"more")?;
    /// assert_eq!((region.len(), region.read(0, 5)), (8192, &b"hello"[..]));
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn open_region(&self, path: &Path, access: Access) -> Result<Region>;

    /// Takes an advisory lock on the file `path` (made if missing), without waiting: `None` if
    /// another handle, of this or another process, holds it in a way that excludes `mode`.
    /// An exclusive lock writes the holder's identity into the file. A lock whose holder died is
    /// free. The lock is released when the returned value is dropped.
    ///
    /// ```
    /// use annals_disk::{Disk, LockMode, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// let held = disk.try_lock(Path::new("lock"), LockMode::Exclusive)?;
    /// assert!(held.is_some());
    /// assert!(disk.try_lock(Path::new("lock"), LockMode::Shared)?.is_none());
    /// drop(held);
    /// assert!(disk.try_lock(Path::new("lock"), LockMode::Shared)?.is_some());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>>;

    /// Takes the lock of the directory `path` itself, without waiting: `None` if another handle, of this
    /// or another process, has it. It keeps those out who find another file in the place of the one that
    /// [`try_lock`](Self::try_lock) has locked, because somebody has removed that. Where directories
    /// have no locks, or no file goes without the disk's knowledge, everybody is given one.
    ///
    /// ```
    /// use annals_disk::{Disk, RealDisk};
    /// let (disk, dir) = (RealDisk::new(), tempfile::tempdir()?);
    /// let held = disk.try_lock_dir(dir.path())?;
    /// assert!(held.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn try_lock_dir(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        let _ = path;
        Ok(Some(Box::new(NoLock)))
    }

    /// Who holds the exclusive lock on `path` now; `None` if nobody does. A holder that has not
    /// written who it is has the process id 0.
    ///
    /// ```
    /// use annals_disk::{Disk, LockMode, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// assert_eq!(disk.lock_holder(Path::new("lock"))?, None);
    /// let held = disk.try_lock(Path::new("lock"), LockMode::Exclusive)?;
    /// let holder = disk.lock_holder(Path::new("lock"))?.expect("this process has it");
    /// assert_eq!(holder.pid, std::process::id());
    /// # drop(held);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>>;

    /// Wall clock: milliseconds since 1970-01-01 UTC. May jump in either direction.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// let this_decade = 1_700_000_000_000..2_000_000_000_000;
    /// assert!(this_decade.contains(&MemoryDisk::new().now_ms()));
    /// ```
    fn now_ms(&self) -> u64;

    /// A clock that only moves forward, in nanoseconds from an arbitrary start.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// let disk = MemoryDisk::new();
    /// let begun_ns = disk.monotonic_ns();
    /// assert!(disk.monotonic_ns() >= begun_ns);
    /// ```
    fn monotonic_ns(&self) -> u64;

    /// A fresh random number.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// let (one, other) = (SimDisk::new(SimOptions::seeded(7)), SimDisk::new(SimOptions::seeded(7)));
    /// // A simulated disk draws the same numbers again from the same seed.
    /// assert_eq!(one.random_u64(), other.random_u64());
    /// assert_ne!(one.random_u64(), one.random_u64());
    /// ```
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
///
/// ```
/// use annals_disk::Holder;
/// let holder = Holder { pid: 17, host: "ada".into(), since_ms: 1_795_185_201_000 };
/// assert_eq!(holder.to_string(), "process 17 on ada since 2026-11-20T14:33:21Z");
/// ```
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
