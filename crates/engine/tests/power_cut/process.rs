//! The writing process on a simulated machine: it can die by itself, at any operation, while other
//! processes go on with the same disk. Between two of its operations another process may look.

use crate::check;
use crate::model::State;
use annals_disk::{
    Access, Backing, Disk, DiskError, Entry, File, Holder, Lock, LockMode, Operation, Region,
    Result, SimDisk,
};
use annals_engine::Database;
use std::{
    io,
    path::Path,
    ptr::NonNull,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// What a reader saw between two operations of the writer.
pub(crate) type Sighting = std::result::Result<(State, u64), String>;

/// The life of the writing process.
#[derive(Debug)]
pub(crate) struct Life {
    sim: SimDisk,
    is_over: AtomicBool,
    /// The operation of the disk at which the process dies.
    dies_at: AtomicU64,
    /// A reader in another process, and between how many operations it looks once.
    watcher: Mutex<Option<(Database, u64)>>,
    sightings: Mutex<Vec<Sighting>>,
}

impl Life {
    pub(crate) fn new(sim: SimDisk) -> Arc<Self> {
        Arc::new(Self {
            sim,
            is_over: AtomicBool::new(false),
            dies_at: AtomicU64::new(u64::MAX),
            watcher: Mutex::default(),
            sightings: Mutex::default(),
        })
    }

    /// Ends the process: nothing it does from now on reaches the disk.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        *self.watcher.lock().unwrap() = None;
    }

    pub(crate) fn end_at(&self, operation: u64) {
        self.dies_at.store(operation, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Lets `reader` look once in so many operations.
    pub(crate) fn watch(&self, reader: Option<(Database, u64)>) {
        *self.watcher.lock().unwrap() = reader;
    }

    pub(crate) fn sightings(&self) -> Vec<Sighting> {
        std::mem::take(&mut *self.sightings.lock().unwrap())
    }

    /// Comes before each operation.
    fn go_on(&self, path: &Path) -> Result<()> {
        let now = self.sim.operations();
        let watcher = self.watcher.lock().unwrap().clone();
        if let Some((reader, every)) = watcher
            && now.is_multiple_of(every)
            && !self.is_over()
            && !self.sim.is_power_cut()
        {
            let seen = check::quick_state(&reader);
            self.sightings.lock().unwrap().push(seen);
        }
        if now >= self.dies_at.load(Ordering::SeqCst) {
            self.is_over.store(true, Ordering::SeqCst);
        }
        if self.is_over() {
            let dead = io::Error::new(io::ErrorKind::BrokenPipe, "the process is dead");
            return Err(DiskError::new(Operation::Write, path, dead));
        }
        Ok(())
    }
}

/// The disk as the writing process sees it.
#[derive(Debug)]
pub(crate) struct ProcessDisk {
    disk: Arc<dyn Disk>,
    life: Arc<Life>,
}

impl ProcessDisk {
    pub(crate) fn of(life: &Arc<Life>, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        Arc::new(Self { disk, life: Arc::clone(life) })
    }

    #[allow(unsafe_code, reason = "a region is made of a raw pointer and its owner")]
    fn region(&self, inner: Region) -> Region {
        let len = inner.len();
        let base = NonNull::from(inner.read(0, len)).cast::<u8>();
        let life = Arc::clone(&self.life);
        // SAFETY: the backing owns the region whose memory this is, and writes go through it.
        unsafe { Region::through(base, len, Box::new(ProcessRegion { inner, life })) }
    }
}

#[derive(Debug)]
struct ProcessRegion {
    inner: Region,
    life: Arc<Life>,
}

impl Backing for ProcessRegion {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.life.go_on(self.path())?;
        self.inner.write(offset as usize, bytes)
    }

    fn sync(&self) -> Result<()> {
        self.life.go_on(self.path())?;
        self.inner.sync()
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.life.go_on(self.path())?;
        self.inner.zero(offset as usize, len as usize)
    }

    fn populate(&self, offset: u64, len: u64) {
        self.inner.populate(offset as usize, len as usize);
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.life.go_on(self.path())?;
        self.inner.truncate(len as usize)
    }
}

#[derive(Debug)]
struct ProcessFile {
    inner: Box<dyn File>,
    path: std::path::PathBuf,
    life: Arc<Life>,
}

impl File for ProcessFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.life.go_on(&self.path)?;
        self.inner.append(bytes)
    }

    fn sync(&mut self) -> Result<()> {
        self.life.go_on(&self.path)?;
        self.inner.sync()
    }
}

impl Disk for ProcessDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.life.go_on(path)?;
        self.disk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.life.go_on(path)?;
        self.disk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        self.disk.list(path)
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        self.disk.len(path)
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        self.disk.read(path, limit_bytes)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        self.life.go_on(path)?;
        let (inner, life) = (self.disk.create(path)?, Arc::clone(&self.life));
        Ok(Box::new(ProcessFile { inner, path: path.to_owned(), life }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.life.go_on(from)?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.life.go_on(path)?;
        self.disk.remove(path)
    }

    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        self.life.go_on(path)?;
        Ok(self.region(self.disk.create_region(path, len)?))
    }

    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        self.life.go_on(path)?;
        let inner = self.disk.open_region(path, access)?;
        Ok(if access == Access::Read { inner } else { self.region(inner) })
    }

    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        self.life.go_on(path)?;
        self.disk.try_lock(path, mode)
    }

    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>> {
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
