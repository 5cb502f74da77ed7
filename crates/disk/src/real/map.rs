//! Regions of the real disk: a shared memory map of a whole file, and the file itself.
//!
//! Invariants:
//! * the map covers exactly the file's length at the time of mapping and lives as long as the
//!   region, also after the file was removed;
//! * maps are always shared, so that `pwrite` and stores of other maps are seen through them.

use super::space;
use crate::{Backing, DiskError, Operation, Region, Result};
use memmap2::{MmapOptions, MmapRaw};
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    ptr::NonNull,
};

/// How many bytes one call makes present. While it does, and waits for the device or the file system's log if it
/// must, no other thread of the process gets addresses of the system.
#[cfg(target_os = "linux")]
const POPULATE_CALL_BYTES: usize = 1 << 17;

/// A mapped file.
#[derive(Debug)]
struct Mapped {
    path: PathBuf,
    file: File,
    map: MmapRaw,
    /// Whether bytes are stored through the map.
    direct: bool,
}

/// Maps `file` for reading and writing: through its memory if `direct`, else with `pwrite`.
#[allow(unsafe_code, reason = "a region is made of a raw pointer and its owner")]
pub(super) fn writable(path: &Path, file: File, direct: bool) -> Result<Region> {
    let len = len_of(path, &file)?;
    let options = options(len);
    let map = if direct { options.map_raw(&file) } else { options.map_raw_read_only(&file) };
    let (base, backing) = parts(path, file, map, direct)?;
    if direct {
        // SAFETY: the map is readable and writable over `len` bytes and is owned by the backing;
        // moving the backing into its box moves the handle, not the mapping. It is shared with the
        // file, so it shows what `pwrite` wrote.
        Ok(unsafe { Region::direct(base, len, backing) })
    } else {
        // SAFETY: the map is readable over `len` bytes and owned by the backing; it is shared with
        // the file, so it shows what `pwrite` wrote.
        Ok(unsafe { Region::through(base, len, backing) })
    }
}

/// Maps `file` for reading.
#[allow(unsafe_code, reason = "a region is made of a raw pointer and its owner")]
pub(super) fn read_only(path: &Path, file: File) -> Result<Region> {
    let len = len_of(path, &file)?;
    let map = options(len).map_raw_read_only(&file);
    let (base, backing) = parts(path, file, map, false)?;
    // SAFETY: the map is readable over `len` bytes and owned by the backing.
    Ok(unsafe { Region::read_only(base, len, backing) })
}

/// Turns a map and its file into the parts of a region.
fn parts(
    path: &Path,
    file: File,
    map: io::Result<MmapRaw>,
    direct: bool,
) -> Result<(NonNull<u8>, Box<Mapped>)> {
    let failed = |error| DiskError::new(Operation::Map, path, error);
    let map = map.map_err(failed)?;
    // Large pages make first touches rare. A kernel or file system that has none for files says
    // so, and nothing is lost. Not where nothing is stored through the map: what is there is read
    // by its size, and a look-up that finds nothing in memory would wait for 2 MiB.
    #[cfg(target_os = "linux")]
    if direct {
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    let base = NonNull::new(map.as_mut_ptr())
        .ok_or_else(|| failed(io::Error::other("the system mapped the file to address zero")))?;
    Ok((base, Box::new(Mapped { path: path.to_owned(), file, map, direct })))
}

fn options(len: usize) -> MmapOptions {
    let mut options = MmapOptions::new();
    // The length is fixed here: a file that another process grows meanwhile must not give a map
    // that is longer than the region knows.
    options.len(len);
    options
}

/// The length of a file that is to be mapped.
fn len_of(path: &Path, file: &File) -> Result<usize> {
    let metadata = file.metadata().map_err(|error| DiskError::new(Operation::Stat, path, error))?;
    let failed = |error| DiskError::new(Operation::Map, path, error);
    if metadata.len() == 0 {
        return Err(failed(empty_file()));
    }
    usize::try_from(metadata.len()).map_err(|error| failed(io::Error::other(error)))
}

/// Why an empty file cannot be opened as a region.
pub(crate) fn empty_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is empty")
}

impl Mapped {
    fn failed(&self, operation: Operation) -> impl FnOnce(io::Error) -> DiskError {
        move |error| DiskError::new(operation, &self.path, error)
    }
}

impl Backing for Mapped {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(self.failed(Operation::Write))
    }

    #[cfg(target_os = "linux")]
    fn write_parts_at(&self, mut offset: u64, parts: &[&[u8]]) -> Result<()> {
        if let [bytes] = parts {
            return self.write_at(offset, bytes);
        }
        let slices: Vec<_> = parts.iter().map(|part| io::IoSlice::new(part)).collect();
        // A call that was interrupted, or cut short by a signal, is made up for part by part.
        let mut done = match rustix::io::pwritev(&self.file, &slices, offset) {
            Ok(done) => done,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(self.failed(Operation::Write)(error.into())),
        };
        for part in parts {
            let skipped = done.min(part.len());
            if skipped < part.len() {
                self.write_at(offset + skipped as u64, &part[skipped..])?;
            }
            done -= skipped;
            offset += part.len() as u64;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        // Linux writes pages that were dirtied through a map in `fdatasync` too; POSIX does not
        // ask for that, so others are told about the map.
        #[cfg(not(target_os = "linux"))]
        if self.direct {
            self.map.flush().map_err(self.failed(Operation::Sync))?;
        }
        self.file.sync_data().map_err(self.failed(Operation::Sync))
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        // Through the file, not the map: a store of zero to a page of zeroes is easily optimised
        // away by whoever comes next, and the blocks would stay unwritten.
        space::fill(&self.file, offset, len).map_err(self.failed(Operation::Write))
    }

    fn populate(&self, offset: u64, len: u64) {
        #[cfg(target_os = "linux")]
        if self.direct
            && len > 0
            && let (Ok(offset), Ok(len)) = (usize::try_from(offset), usize::try_from(len))
        {
            let end = offset + len;
            for from in (offset..end).step_by(POPULATE_CALL_BYTES) {
                let len = POPULATE_CALL_BYTES.min(end - from);
                // The map aligns the start to its page. Kernels before 5.14 do not know the advice.
                let _ = self.map.advise_range(memmap2::Advice::PopulateWrite, from, len);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, len);
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let cut = || {
            // `ftruncate` also lengthens, and what it adds has no space behind it: a region that
            // was cut before must not grow a hole that a mapped write would fault on.
            if len < self.file.metadata()?.len() { self.file.set_len(len) } else { Ok(()) }
        };
        cut().map_err(self.failed(Operation::Resize))
    }

    fn filled(&self, from: u64) -> Option<Range<u64>> {
        space::filled(&self.file, from)
    }
}
