//! A disk that asks somebody before each operation of another one: for tests that count, stop, refuse or leave out
//! some of them, and are about nothing else.

use crate::{
    Access, Backing, Disk, Entry, File, Holder, Lock, LockMode, Region, Result, disk::NoLock,
};
use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    ptr::NonNull,
    sync::Arc,
};

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Directories are made.
    CreateDirs,
    /// A directory is synced.
    SyncDir,
    /// A directory is listed, or a file's length is asked for, or it is read.
    Look,
    /// A file is created to be appended to.
    Create,
    /// A file gets another name; the path is the one it has.
    Rename,
    /// A file is removed.
    Remove,
    /// A region is created.
    CreateRegion,
    /// A region is opened.
    OpenRegion(Access),
    /// A lock is tried.
    Lock(LockMode),
    /// A file is appended to, or a region is written to.
    Write,
    /// A file or a region is synced.
    Sync,
    /// A part of a region is made zero.
    Zero,
    /// A region is cut.
    Truncate,
}

/// Who is asked.
pub trait Hook: Debug + Send + Sync + 'static {
    /// Comes before something is done, in the thread that does it. Where it says false nothing is done, and whoever
    /// wanted it is told that all is well: for what has no result, and for locks, which keep nobody out then.
    ///
    /// # Errors
    /// What is said in place of doing it.
    fn before(&self, act: Act, path: &Path) -> Result<bool>;
}

/// `disk`, with `hook` being asked.
pub fn hooked<H: Hook>(disk: Arc<dyn Disk>, hook: Arc<H>) -> Arc<dyn Disk> {
    Arc::new(Hooked { disk, hook })
}

#[derive(Debug)]
struct Hooked<H> {
    disk: Arc<dyn Disk>,
    hook: Arc<H>,
}

impl<H: Hook> Hooked<H> {
    fn look(&self, path: &Path) -> Result<()> {
        self.hook.before(Act::Look, path).map(drop)
    }

    fn run(&self, act: Act, path: &Path, run: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.hook.before(act, path)? { run() } else { Ok(()) }
    }

    #[allow(unsafe_code, reason = "a region is made of another one")]
    fn region(&self, inner: Region) -> Region {
        let (len, hook) = (inner.len(), Arc::clone(&self.hook));
        let base = NonNull::from(inner.read(0, len)).cast::<u8>();
        // SAFETY: the memory is that of the region inside, which the backing owns and which is valid for reads of its
        // length and shows what was written to it; writes go through the backing.
        unsafe { Region::through(base, len, Box::new(HookedRegion { inner, hook })) }
    }
}

impl<H: Hook> Disk for Hooked<H> {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.run(Act::CreateDirs, path, || self.disk.create_dir_all(path))
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.run(Act::SyncDir, path, || self.disk.sync_dir(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        self.look(path)?;
        self.disk.list(path)
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        self.look(path)?;
        self.disk.len(path)
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        self.look(path)?;
        self.disk.read(path, limit_bytes)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        self.hook.before(Act::Create, path)?;
        let (inner, hook) = (self.disk.create(path)?, Arc::clone(&self.hook));
        Ok(Box::new(HookedFile { inner, path: path.to_owned(), hook }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.run(Act::Rename, from, || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.run(Act::Remove, path, || self.disk.remove(path))
    }

    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        self.hook.before(Act::CreateRegion, path)?;
        Ok(self.region(self.disk.create_region(path, len)?))
    }

    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        self.hook.before(Act::OpenRegion(access), path)?;
        let inner = self.disk.open_region(path, access)?;
        Ok(if access == Access::Read { inner } else { self.region(inner) })
    }

    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        if self.hook.before(Act::Lock(mode), path)? {
            self.disk.try_lock(path, mode)
        } else {
            Ok(Some(Box::new(NoLock)))
        }
    }

    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>> {
        self.look(path)?;
        self.disk.lock_holder(path)
    }

    fn now_ms(&self) -> u64 {
        self.disk.now_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        self.disk.monotonic_ns()
    }

    fn random_u64(&self) -> u64 {
        self.disk.random_u64()
    }
}

#[derive(Debug)]
struct HookedRegion<H> {
    inner: Region,
    hook: Arc<H>,
}

impl<H: Hook> HookedRegion<H> {
    fn run(&self, act: Act, run: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.hook.before(act, self.inner.path())? { run() } else { Ok(()) }
    }
}

impl<H: Hook> Backing for HookedRegion<H> {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.run(Act::Write, || self.inner.write(offset as usize, bytes))
    }

    fn sync(&self) -> Result<()> {
        self.run(Act::Sync, || self.inner.sync())
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.run(Act::Zero, || self.inner.zero(offset as usize, len as usize))
    }

    fn populate(&self, offset: u64, len: u64) {
        self.inner.populate(offset as usize, len as usize);
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.run(Act::Truncate, || self.inner.truncate(len as usize))
    }
}

#[derive(Debug)]
struct HookedFile<H> {
    inner: Box<dyn File>,
    path: PathBuf,
    hook: Arc<H>,
}

impl<H: Hook> File for HookedFile<H> {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.hook.before(Act::Write, &self.path)? { self.inner.append(bytes) } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        if self.hook.before(Act::Sync, &self.path)? { self.inner.sync() } else { Ok(()) }
    }
}
