//! A file of the memory disk, and the three ways to hold one open: a region, an appender, a lock.
//!
//! Invariants:
//! * `len` never exceeds the capacity of `pages`;
//! * bytes behind `len` are zero, so that a file that grows again shows zeroes;
//! * regions of one file share its memory. Growing may move the file to larger memory: regions
//!   for reading keep the old one, whose published bytes never change; while a region for writing
//!   is open a file that would have to move is not grown, since its writes would be lost.

use crate::{
    Backing, DiskError, File, Holder, Lock, LockMode, Operation, Region, Result, holders::Holders,
    identity, pages::Pages, real, system,
};
use parking_lot::Mutex;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The content of a file and who holds its lock.
#[derive(Debug)]
pub(super) struct MemoryFile {
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    pages: Arc<Pages>,
    len: usize,
    /// How many regions for writing use `pages`.
    writer_count: usize,
    holders: Holders,
}

impl MemoryFile {
    /// A file of `len` zero bytes.
    pub(super) fn zeroed(len: u64) -> io::Result<Self> {
        let len = size(len)?;
        let pages = Arc::new(Pages::zeroed(len)?);
        let content = Content { pages, len, writer_count: 0, holders: Holders::default() };
        Ok(Self { content: Mutex::new(content) })
    }

    pub(super) fn len(&self) -> u64 {
        self.content.lock().len as u64
    }

    /// A copy of the whole content.
    #[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
    pub(super) fn bytes(&self) -> Vec<u8> {
        let content = self.content.lock();
        // SAFETY: appenders write under the lock that is held; regions are written under the rule
        // of the `region` module, which makes whoever reads a file whole while a region of it is
        // written wait for publication.
        unsafe { content.pages.read(0, content.len) }.to_vec()
    }

    /// Takes all bytes away. Who has the file open keeps the old ones.
    pub(super) fn empty(&self) -> io::Result<()> {
        let pages = Arc::new(Pages::zeroed(0)?);
        let mut content = self.content.lock();
        content.pages = pages;
        content.len = 0;
        content.writer_count = 0;
        Ok(())
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        self.content.lock().holders.exclusive().cloned()
    }
}

impl Content {
    /// Makes the file at least `len` bytes long. `spare` asks for room to grow further.
    #[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
    fn grow(&mut self, len: usize, spare: bool) -> io::Result<()> {
        if len > self.pages.capacity() {
            if self.writer_count > 0 {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "the file is open for writing and cannot grow in memory",
                ));
            }
            let room = if spare { len.max(self.pages.capacity().saturating_mul(2)) } else { len };
            let larger = Pages::zeroed(room)?;
            // SAFETY: no region writes the old memory, by the check above, and appenders write
            // under the lock that the caller holds. The new memory is known to nobody yet.
            unsafe { larger.write(0, self.pages.read(0, self.len)) }
            self.pages = Arc::new(larger);
        }
        self.len = self.len.max(len);
        Ok(())
    }

    /// Takes the bytes from `len` on away.
    #[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
    fn cut(&mut self, len: usize) {
        if len < self.len {
            // SAFETY: bytes that were given back are never touched again by any region, as
            // `Region::truncate` asks; nobody has a region of a lock's text while it is held.
            unsafe { self.pages.clear(len, self.len - len) }
            self.len = len;
        }
    }

    #[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
    fn write(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.grow(end, true)?;
        // SAFETY: appended bytes lie behind the length of every region that was opened before, and
        // a region that is opened later waits for the lock that the caller holds.
        unsafe { self.pages.write(offset, bytes) }
        Ok(())
    }
}

fn size(len: u64) -> io::Result<usize> {
    usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// Opens `file` for reading.
#[allow(unsafe_code, reason = "a region is made of a raw pointer and its owner")]
pub(super) fn read_only(path: &Path, file: &Arc<MemoryFile>) -> Result<Region> {
    let content = file.content.lock();
    if content.len == 0 {
        return Err(DiskError::new(Operation::Map, path, real::empty_file()));
    }
    let (len, backing) = (content.len, MemoryRegion::new(path, file, &content, false));
    // SAFETY: the backing owns the memory, which is never moved or shrunk and has at least `len`
    // bytes.
    Ok(unsafe { Region::read_only(content.pages.base(), len, Box::new(backing)) })
}

/// Opens `file` for reading and writing, with at least `len` bytes.
#[allow(unsafe_code, reason = "a region is made of a raw pointer and its owner")]
pub(super) fn writable(path: &Path, file: &Arc<MemoryFile>, len: u64) -> Result<Region> {
    let mut content = file.content.lock();
    size(len)
        .and_then(|len| content.grow(len, false))
        .map_err(|error| DiskError::new(Operation::Reserve, path, error))?;
    if content.len == 0 {
        return Err(DiskError::new(Operation::Map, path, real::empty_file()));
    }
    content.writer_count += 1;
    let (len, backing) = (content.len, MemoryRegion::new(path, file, &content, true));
    // SAFETY: the backing owns the memory, which is never moved or shrunk and has at least `len`
    // bytes.
    Ok(unsafe { Region::direct(content.pages.base(), len, Box::new(backing)) })
}

/// What stands behind a region.
#[derive(Debug)]
struct MemoryRegion {
    path: PathBuf,
    file: Arc<MemoryFile>,
    pages: Arc<Pages>,
    writes: bool,
}

impl MemoryRegion {
    fn new(path: &Path, file: &Arc<MemoryFile>, content: &Content, writes: bool) -> Self {
        Self { path: path.to_owned(), file: file.clone(), pages: content.pages.clone(), writes }
    }
}

impl Drop for MemoryRegion {
    fn drop(&mut self) {
        let mut content = self.file.content.lock();
        // A file that was emptied meanwhile has other memory, which this region never wrote.
        if self.writes && Arc::ptr_eq(&content.pages, &self.pages) {
            content.writer_count -= 1;
        }
    }
}

impl Backing for MemoryRegion {
    fn path(&self) -> &Path {
        &self.path
    }

    #[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: the region calls this for ranges inside it that are not published yet.
        unsafe { self.pages.write(offset as usize, bytes) }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    #[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        if self.writes {
            // SAFETY: the region calls this for ranges inside it that are not published yet.
            unsafe { self.pages.clear(offset as usize, len as usize) }
            return Ok(());
        }
        let error = io::ErrorKind::PermissionDenied.into();
        Err(DiskError::new(Operation::Write, &self.path, error))
    }

    fn populate(&self, _offset: u64, _len: u64) {}

    fn truncate(&self, len: u64) -> Result<()> {
        if !self.writes {
            let error = io::ErrorKind::PermissionDenied.into();
            return Err(DiskError::new(Operation::Resize, &self.path, error));
        }
        let mut content = self.file.content.lock();
        if Arc::ptr_eq(&content.pages, &self.pages) {
            content.cut(len as usize);
        }
        Ok(())
    }
}

/// A file that is written from its start to its end.
#[derive(Debug)]
pub(super) struct MemoryAppender {
    path: PathBuf,
    file: Arc<MemoryFile>,
    position: usize,
}

impl MemoryAppender {
    pub(super) fn new(path: &Path, file: Arc<MemoryFile>) -> Self {
        Self { path: path.to_owned(), file, position: 0 }
    }
}

impl File for MemoryAppender {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .content
            .lock()
            .write(self.position, bytes)
            .map_err(|error| DiskError::new(Operation::Write, &self.path, error))?;
        self.position += bytes.len();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A lock that is held.
#[derive(Debug)]
pub(super) struct MemoryLock {
    file: Arc<MemoryFile>,
    mode: LockMode,
}

impl MemoryLock {
    pub(super) fn try_take(file: Arc<MemoryFile>, mode: LockMode) -> io::Result<Option<Self>> {
        let mut content = file.content.lock();
        if !content.holders.admits(mode) {
            return Ok(None);
        }
        let holder = system::this_process();
        if mode == LockMode::Exclusive {
            content.cut(0);
            content.write(0, identity::encode(&holder).as_bytes())?;
        }
        content.holders.take(mode, holder);
        drop(content);
        Ok(Some(Self { file, mode }))
    }
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut content = self.file.content.lock();
        content.holders.release(self.mode);
        if self.mode == LockMode::Exclusive {
            content.cut(0);
        }
    }
}
