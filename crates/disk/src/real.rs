//! The file system of the machine.
//!
//! The job: the [`Disk`] rules on top of POSIX files. What needs care lives in its own file:
//! `space` makes sure that mapped memory is backed by real blocks, `map` keeps regions, `dir`
//! makes names durable, `lock` keeps a second opener out.
//!
//! Invariants:
//! * a region that is written through its memory lies on a file system that has promised the
//!   space; a store to mapped memory without blocks behind it on a full disk kills the process
//!   with `SIGBUS`, which no caller can handle;
//! * nothing is done on drop that could make bytes or names durable by accident of order.
//!
//! What it cannot see: another program that cuts a file while it is mapped. Reading behind the new
//! end kills the process; the advisory lock keeps our own kind from doing so.

mod dir;
mod file;
mod lock;
mod map;
mod space;

pub(crate) use map::empty_file;

use crate::{
    Access, Disk, DiskError, Entry, File, Holder, Lock, LockMode, Operation, Region, Result, system,
};
use std::{
    fs::{self, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// How a region of the real disk is written.
///
/// ```
/// use annals_disk::{Disk, RealDisk, WriteMode};
/// let dir = tempfile::tempdir()?;
/// // For a file system whose promise of space is not to be trusted.
/// let disk = RealDisk::with_write_mode(WriteMode::Positioned);
/// let region = disk.create_region(&dir.path().join("one.seg"), 4096)?;
/// region.write(0, b"hello")?;
/// assert_eq!(region.read(0, 5), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// Through mapped memory where the file system promises reserved space (ext4, XFS, tmpfs),
    /// else with `pwrite`.
    #[default]
    Auto,
    /// Always through mapped memory. On a file system that cannot promise space, a full disk
    /// kills the process with `SIGBUS`: for measurements, and for those who know better.
    Mapped,
    /// Always with `pwrite`; reads are still in place.
    Positioned,
}

/// The file system of the machine, its clocks and its randomness.
///
/// ```
/// use annals_disk::{Access, Disk, RealDisk};
///
/// let dir = tempfile::tempdir()?;
/// let disk = RealDisk::new();
/// let path = dir.path().join("one.seg");
/// let region = disk.create_region(&path, 8192)?;
/// region.write(100, b"hello")?;
/// region.sync()?;
/// disk.sync_dir(dir.path())?;
///
/// let reader = disk.open_region(&path, Access::Read)?;
/// assert_eq!(reader.read(100, 5), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk {
    write_mode: WriteMode,
}

impl RealDisk {
    /// A disk that chooses by itself how regions are written.
    ///
    /// ```
    /// use annals_disk::{Disk, RealDisk};
    /// let dir = tempfile::tempdir()?;
    /// assert!(RealDisk::new().list(dir.path())?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk whose regions are written as told.
    ///
    /// ```
    /// use annals_disk::{Disk, RealDisk, WriteMode};
    /// let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("one.seg");
    /// for mode in [WriteMode::Mapped, WriteMode::Positioned] {
    ///     let disk = RealDisk::with_write_mode(mode);
    ///     disk.create_region(&path, 4096)?.write(0, b"hello")?;
    ///     // What is written is the same; only the way differs.
    ///     assert_eq!(disk.read_part(&path, 0, 5)?, b"hello");
    ///     disk.remove(&path)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_write_mode(write_mode: WriteMode) -> Self {
        Self { write_mode }
    }
}

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        dir::create_all(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        dir::sync(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        dir::list(path)
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf> {
        dir::resolve(path)
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                Err(DiskError::new(Operation::Stat, path, io::ErrorKind::IsADirectory.into()))
            }
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::new(Operation::Stat, path, error)),
        }
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        let file = file::open(path, Access::Read)?;
        read_whole(file, limit_bytes).map_err(|error| DiskError::new(Operation::Read, path, error))
    }

    fn read_part(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>> {
        let file = file::open(path, Access::Read)?;
        let mut bytes = vec![0; len];
        let read = file::read_at(&file, &mut bytes, offset)
            .map_err(|error| DiskError::new(Operation::Read, path, error))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        Ok(Box::new(file::RealFile::create(path)?))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the disk that others are sent to")]
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let rename = || {
            if fs::symlink_metadata(from)?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            fs::rename(from, to)
        };
        rename().map_err(|error| DiskError::new(Operation::Rename, from, error))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|error| DiskError::new(Operation::Remove, path, error))
    }

    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        if len == 0 {
            return Err(DiskError::new(Operation::Create, path, empty_region()));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| DiskError::new(Operation::Create, path, error))?;
        let made = space::reserve(&file, 0, len)
            .map_err(|error| DiskError::new(Operation::Reserve, path, error))
            .and_then(|promise| map::writable(path, file, self.maps(promise)));
        if made.is_err() {
            // A partial file would hold the very space whose lack made this fail, and would be
            // taken for a region at the next start.
            let _ = fs::remove_file(path);
        }
        made
    }

    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        let file = file::open(path, access)?;
        let metadata =
            file.metadata().map_err(|error| DiskError::new(Operation::Stat, path, error))?;
        match access {
            Access::Read => map::read_only(path, file),
            Access::Write { len } => {
                let promise = space::reserve(&file, metadata.len(), len.max(metadata.len()))
                    .map_err(|error| {
                        // The file keeps its length: nobody asked for the part that was gained.
                        let _ = file.set_len(metadata.len());
                        DiskError::new(Operation::Reserve, path, error)
                    })?;
                map::writable(path, file, self.maps(promise))
            }
        }
    }

    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        match lock::try_lock(path, mode) {
            Ok(Some(lock)) => Ok(Some(Box::new(lock))),
            Ok(None) => Ok(None),
            Err(error) => Err(DiskError::new(Operation::Lock, path, error)),
        }
    }

    fn try_lock_dir(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        Ok(lock::try_lock_dir(path))
    }

    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>> {
        lock::holder(path).map_err(|error| DiskError::new(Operation::Lock, path, error))
    }

    fn now_ms(&self) -> u64 {
        system::now_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        system::monotonic_ns()
    }

    fn random_u64(&self) -> u64 {
        system::random_u64()
    }
}

impl RealDisk {
    /// Whether a region is written through its memory, given what the file system promised.
    fn maps(self, promise: space::Promise) -> bool {
        match self.write_mode {
            WriteMode::Auto => promise == space::Promise::Kept,
            WriteMode::Mapped => true,
            WriteMode::Positioned => false,
        }
    }
}

/// Why a region of no bytes is refused: the system maps no empty range.
pub(crate) fn empty_region() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a region needs at least one byte")
}

/// Reads `file` to its end, but never more than `limit_bytes`.
fn read_whole(file: fs::File, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    if metadata.len() <= limit_bytes {
        bytes.reserve_exact(usize::try_from(metadata.len()).map_err(io::Error::other)?);
        // One byte more than allowed, so that a file that grows meanwhile is noticed.
        file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    if metadata.len() > limit_bytes || bytes.len() as u64 > limit_bytes {
        return Err(too_long(metadata.len(), limit_bytes));
    }
    Ok(bytes)
}

/// Why a file longer than its reader's limit is refused.
pub(crate) fn too_long(len: u64, limit_bytes: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the file has {len} bytes, more than the {limit_bytes} that can be right"),
    )
}
