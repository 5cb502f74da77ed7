//! A file of fixed length whose bytes are read in place.
//!
//! One writer fills a region from its start to its end; readers get slices of what has been
//! published. The rule that makes this sound, and which the journal keeps: **a byte is written
//! only before it is published, and read only after**. Zeroes written ahead of the tail and the
//! header of a recycled segment are before publication too.
//!
//! One reader cannot keep to it: a process that follows a writer in another one looks behind the end for
//! the next frame, where that writer may be storing at this moment. No rule of the language speaks of
//! memory that another process changes, so nothing is concluded from such bytes but this: a frame whose
//! checksums are right is there whole, and since a byte is stored once, none of it changes any more. Until
//! then lengths are compared with the region before anything is read by them, and what does not fit
//! together is "not there yet".

use crate::{DiskError, Operation, Result, lines::prefetch_for_write};
use std::{fmt::Debug, io, ops::Range, path::Path, ptr::NonNull};

/// What stands behind a [`Region`]: owns the memory and reaches the file.
pub trait Backing: Debug + Send + Sync {
    /// The path, for errors.
    fn path(&self) -> &Path;
    /// Writes bytes with a call; the region's memory shows them once it returned.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Writes `parts` one behind the other, with one call if the system has such.
    fn write_parts_at(&self, mut offset: u64, parts: &[&[u8]]) -> Result<()> {
        for part in parts {
            self.write_at(offset, part)?;
            offset += part.len() as u64;
        }
        Ok(())
    }
    /// Makes all written bytes durable.
    fn sync(&self) -> Result<()>;
    /// Writes real zeroes over a range that was never written, so that a later sync of data in it
    /// changes no file-system metadata.
    fn zero(&self, offset: u64, len: u64) -> Result<()>;
    /// Asks for the pages of a range to be made present and writable; a hint, never an error.
    fn populate(&self, offset: u64, len: u64);
    /// Gives the bytes from `len` on back to the file system. They must never be touched again.
    fn truncate(&self, len: u64) -> Result<()>;
    /// The first range at or behind `from` that may have anything but zeroes; see
    /// [`Region::filled`]. Who does not keep account of that says that everything may.
    fn filled(&self, from: u64) -> Option<Range<u64>> {
        Some(from..u64::MAX)
    }
}

/// The way in which bytes go to a region. What is written is the same, and so is what a sync makes
/// durable; they differ in cost. Regions that cannot be written through their memory always take
/// the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A copy to the region's memory: no system call. The first store to a page since the last
    /// sync makes the whole page dirty, and a page may be as large as 2 MiB.
    Memory,
    /// A call that writes to the file: makes dirty no more than the blocks it touches.
    Call,
}

/// A file of fixed length whose bytes are read in place.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
    writes: Writes,
    backing: Box<dyn Backing>,
}

/// How bytes get into a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    /// By copying to its memory, or by a call.
    Direct,
    /// By a call to its backing alone.
    Through,
    /// Not at all.
    Never,
}

// SAFETY: the memory behind `base` lives as long as `backing`, which the region owns and which is
// itself `Send`. The region holds no thread-bound state.
#[allow(unsafe_code, reason = "the pointer is owned with its backing")]
unsafe impl Send for Region {}
// SAFETY: shared access is limited to `read` (shared slices of published bytes) and `write`
// (unpublished bytes); the module's rule keeps the two disjoint, so no thread ever reads a byte that
// another one writes.
#[allow(unsafe_code, reason = "reads and writes never overlap, see the module's rule")]
unsafe impl Sync for Region {}

impl Region {
    /// Wraps memory owned by `backing`, written by copying to it or by [`Backing::write_at`].
    ///
    /// # Safety
    /// `base` must be valid for reads and writes of `len` bytes for as long as `backing` lives, and
    /// show what `write_at` wrote once it returned.
    #[allow(unsafe_code, reason = "the constructor is where the contract is taken on")]
    pub unsafe fn direct(base: NonNull<u8>, len: usize, backing: Box<dyn Backing>) -> Self {
        Self { base, len, writes: Writes::Direct, backing }
    }

    /// Wraps memory owned by `backing`, written by [`Backing::write_at`].
    ///
    /// # Safety
    /// `base` must be valid for reads of `len` bytes for as long as `backing` lives, and show what
    /// `write_at` wrote once it returned.
    #[allow(unsafe_code, reason = "the constructor is where the contract is taken on")]
    pub unsafe fn through(base: NonNull<u8>, len: usize, backing: Box<dyn Backing>) -> Self {
        Self { base, len, writes: Writes::Through, backing }
    }

    /// Wraps memory owned by `backing` that is never written.
    ///
    /// # Safety
    /// `base` must be valid for reads of `len` bytes for as long as `backing` lives.
    #[allow(unsafe_code, reason = "the constructor is where the contract is taken on")]
    pub unsafe fn read_only(base: NonNull<u8>, len: usize, backing: Box<dyn Backing>) -> Self {
        Self { base, len, writes: Writes::Never, backing }
    }

    /// Whether its file was opened for reading only: every write to it, and cutting it, is refused.
    ///
    /// ```
    /// # use annals_disk::{Access, Disk, MemoryDisk};
    /// # use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// let path = Path::new("one.seg");
    /// assert!(!disk.create_region(path, 4096)?.is_read_only());
    /// assert!(disk.open_region(path, Access::Read)?.is_read_only());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.writes == Writes::Never
    }

    /// The length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an empty region is never asked about")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The path of the file, for errors.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.backing.path()
    }

    /// The bytes `offset .. offset + len`.
    ///
    /// # Panics
    /// If the range is not inside the region.
    #[inline(always)]
    #[must_use]
    #[allow(unsafe_code, reason = "the one place where mapped bytes become a slice")]
    pub fn read(&self, offset: usize, len: usize) -> &[u8] {
        if offset > self.len || len > self.len - offset {
            self.is_left(offset, len);
        }
        // SAFETY: in bounds by the check above; alive as long as `self` by the constructors'
        // contract; not written meanwhile by this process, by the module's rule. What another process
        // may be writing is believed only once its checksum was right, see there.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(offset), len) }
    }

    /// Apart from [`read`](Self::read): to format numbers, they would have to be in memory there in any case.
    #[cold]
    #[inline(never)]
    fn is_left(&self, offset: usize, len: usize) -> ! {
        panic!("read of {len} bytes at {offset} leaves a region of {} bytes", self.len)
    }

    /// Writes `bytes` at `offset`. The range must not be published yet, and no two threads may
    /// write overlapping ranges at once.
    ///
    /// # Errors
    /// If the region is read-only or its file refuses the write. A copy to memory never fails.
    ///
    /// # Panics
    /// If the range is not inside the region.
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.write_parts(offset, &[bytes], Via::Memory)
    }

    /// Writes `parts` one behind the other from `offset` on, in the given way if the region has
    /// it. The range must not be published yet, and no two threads may write overlapping ranges at
    /// once.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Panics
    /// If the range is not inside the region.
    #[inline]
    #[allow(unsafe_code, reason = "the one place where mapped bytes are written")]
    pub fn write_parts(&self, offset: usize, parts: &[&[u8]], via: Via) -> Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        assert!(
            offset <= self.len && len <= self.len - offset,
            "write of {len} bytes at {offset} leaves a region of {} bytes",
            self.len
        );
        match (self.writes, via) {
            (Writes::Direct, Via::Memory) => {
                let mut at = offset;
                for part in parts {
                    // SAFETY: all parts together are in bounds by the check above; writable by the
                    // contract of `direct`; nobody reads or writes these bytes now, by the
                    // module's rule. `part` cannot overlap: a slice of this region would be of
                    // published bytes.
                    unsafe {
                        std::ptr::copy_nonoverlapping(
                            part.as_ptr(),
                            self.base.as_ptr().add(at),
                            part.len(),
                        );
                    }
                    at += part.len();
                }
                Ok(())
            }
            (Writes::Direct, Via::Call) | (Writes::Through, _) => {
                self.backing.write_parts_at(offset as u64, parts)
            }
            (Writes::Never, _) => Err(self.refused()),
        }
    }

    /// Asks for the lines of a range that will soon be written through memory; a hint. A store waits for
    /// its line, and whatever takes a lock after it waits for the store.
    #[inline]
    pub fn expect_write(&self, offset: usize, len: usize) {
        const LINE_BYTES: usize = 64;
        let end = self.len.min(offset.saturating_add(len));
        for at in (offset..end).step_by(LINE_BYTES) {
            prefetch_for_write(self.base.as_ptr().wrapping_add(at));
        }
    }

    #[cold]
    fn refused(&self) -> DiskError {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        DiskError::new(Operation::Write, self.path(), error)
    }

    /// Makes all written bytes durable.
    ///
    /// # Errors
    /// If the device reports that it could not. What is then on the disk is unknown.
    pub fn sync(&self) -> Result<()> {
        self.backing.sync()
    }

    /// Writes real zeroes over a range that was never written; see [`Backing::zero`].
    ///
    /// # Errors
    /// If the file refuses the write.
    pub fn zero(&self, offset: usize, len: usize) -> Result<()> {
        assert!(offset <= self.len && len <= self.len - offset);
        self.backing.zero(offset as u64, len as u64)
    }

    /// Makes the pages of a range present and writable ahead of use. A hint.
    pub fn populate(&self, offset: usize, len: usize) {
        let offset = offset.min(self.len);
        self.backing.populate(offset as u64, len.min(self.len - offset) as u64);
    }

    /// The first range at or behind `from` that may have anything but zeroes: everything outside
    /// of such ranges reads as zero. `None` if nothing behind `from` was ever written. Space that
    /// was reserved and never written need not be read to know that.
    #[must_use]
    pub fn filled(&self, from: usize) -> Option<Range<usize>> {
        if from >= self.len {
            return None;
        }
        let range = self.backing.filled(from as u64)?;
        let inside = |at: u64| usize::try_from(at).map_or(self.len, |at| at.min(self.len));
        let (start, end) = (inside(range.start).max(from), inside(range.end));
        (start < end).then_some(start..end)
    }

    /// Gives the bytes from `len` on back to the file system. They must not be touched again
    /// through this region.
    ///
    /// # Errors
    /// If the file cannot be cut.
    pub fn truncate(&self, len: usize) -> Result<()> {
        self.backing.truncate(len.min(self.len) as u64)
    }
}
