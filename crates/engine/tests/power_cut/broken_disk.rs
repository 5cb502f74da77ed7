//! A disk that claims more than it does.

use annals_disk::{
    Access, Backing, Disk, Entry, File, Holder, Lock, LockMode, Region, Result, SimDisk,
};
use std::{
    path::Path,
    ptr::NonNull,
    sync::{Arc, Mutex},
};

fn ending_of(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

/// What such a disk does not do, though it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    ReaderLocks,
    DirectorySyncs,
    /// Directory syncs that come next after a file with this ending was made.
    DirectorySyncsAfter(&'static str),
    Syncs,
    /// Syncs of files with this ending.
    SyncsOf(&'static str),
    /// Tables that are removed, for who has them mapped.
    RemovedTables,
}

/// A simulated disk that does not do something, and says that all is well.
#[derive(Debug)]
pub(crate) struct BrokenDisk {
    sim: SimDisk,
    broken: Broken,
    /// The ending of the file that was made last.
    made: Mutex<String>,
}

/// A lock that keeps nobody out.
#[derive(Debug)]
struct NoLock;

impl Lock for NoLock {}

impl BrokenDisk {
    fn made_of(sim: SimDisk, broken: Broken) -> Arc<dyn Disk> {
        Arc::new(Self { sim, broken, made: Mutex::default() })
    }

    pub(crate) fn without_reader_locks(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::ReaderLocks)
    }

    pub(crate) fn without_directory_syncs(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::DirectorySyncs)
    }

    pub(crate) fn without_syncs(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::Syncs)
    }

    /// Who has a table mapped that is removed reads something else from then on.
    pub(crate) fn without_removed_tables(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::RemovedTables)
    }

    /// Tables are named by an edit before their own names are durable.
    pub(crate) fn without_directory_syncs_of_tables(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::DirectorySyncsAfter("tbl"))
    }

    pub(crate) fn without_syncs_of_tables(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::SyncsOf("tbl"))
    }

    /// Edits are acted upon before they are durable: the log is let go of, and tables are removed.
    pub(crate) fn without_syncs_of_manifests(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::SyncsOf("man"))
    }

    fn syncs_content(&self, path: &Path) -> bool {
        match self.broken {
            Broken::Syncs => false,
            Broken::SyncsOf(ending) => ending_of(path) != ending,
            _ => true,
        }
    }

    fn syncs_directories(&self) -> bool {
        match self.broken {
            Broken::DirectorySyncs => false,
            Broken::DirectorySyncsAfter(ending) => *self.made.lock().unwrap() != ending,
            _ => true,
        }
    }

    #[allow(unsafe_code, reason = "a region is made of a raw pointer and its owner")]
    fn region(&self, inner: Region) -> Region {
        if self.syncs_content(inner.path()) {
            return inner;
        }
        let len = inner.len();
        let base = NonNull::from(inner.read(0, len)).cast::<u8>();
        // SAFETY: the backing owns the region whose memory this is, and writes go through it.
        unsafe { Region::through(base, len, Box::new(NeverSynced { inner })) }
    }
}

#[derive(Debug)]
struct NeverSynced {
    inner: Region,
}

impl Backing for NeverSynced {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.inner.write(offset as usize, bytes)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.zero(offset as usize, len as usize)
    }

    fn populate(&self, offset: u64, len: u64) {
        self.inner.populate(offset as usize, len as usize);
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.inner.truncate(len as usize)
    }
}

#[derive(Debug)]
struct NeverSyncedFile(Box<dyn File>);

impl File for NeverSyncedFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.append(bytes)
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Disk for BrokenDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.sim.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        if self.syncs_directories() { self.sim.sync_dir(path) } else { Ok(()) }
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        self.sim.list(path)
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        self.sim.len(path)
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        self.sim.read(path, limit_bytes)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        ending_of(path).clone_into(&mut self.made.lock().unwrap());
        let file = self.sim.create(path)?;
        Ok(if self.syncs_content(path) { file } else { Box::new(NeverSyncedFile(file)) })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.sim.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        if self.broken == Broken::RemovedTables && ending_of(path) == "tbl" {
            let len = self.sim.len(path)?.unwrap_or(0);
            (0..len).step_by(8).try_for_each(|offset| self.sim.flip_bit(path, offset, 0))?;
        }
        self.sim.remove(path)
    }

    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        Ok(self.region(self.sim.create_region(path, len)?))
    }

    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        Ok(self.region(self.sim.open_region(path, access)?))
    }

    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        if self.broken == Broken::ReaderLocks && mode == LockMode::Shared {
            return Ok(Some(Box::new(NoLock)));
        }
        self.sim.try_lock(path, mode)
    }

    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>> {
        self.sim.lock_holder(path)
    }

    fn now_ms(&self) -> u64 {
        self.sim.now_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        self.sim.monotonic_ns()
    }

    fn random_u64(&self) -> u64 {
        self.sim.random_u64()
    }
}
