//! A disk that a user has written, with nothing but this crate: it forwards to another one, counts, and refuses
//! what it is told to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals::{
    Database, ErrorKind,
    disk::{
        Access, Disk, DiskError, Entry, File, Holder, Lock, LockMode, Operation, RealDisk, Region,
        Result,
    },
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

#[derive(Debug, Default)]
struct Hand {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    /// What no file may be made with in its name.
    refused: Option<&'static str>,
}

impl Hand {
    fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    fn counted(&self, what: &str) -> u64 {
        self.counts.lock().unwrap().get(what).copied().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct OwnDisk {
    disk: RealDisk,
    hand: Arc<Hand>,
}

impl OwnDisk {
    fn refusing(refused: &'static str) -> Self {
        let hand = Hand { refused: Some(refused), ..Hand::default() };
        Self { hand: Arc::new(hand), ..Self::default() }
    }

    fn check(&self, operation: Operation, path: &Path) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if self.hand.refused.is_some_and(|refused| name.contains(refused)) {
            self.hand.count("refused");
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return Err(DiskError::new(operation, path, full));
        }
        Ok(())
    }
}

impl Disk for OwnDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.hand.count("create_dir_all");
        self.disk.create_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.hand.count("sync_dir");
        self.disk.sync_dir(path)
    }
    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        self.hand.count("list");
        self.disk.list(path)
    }
    fn resolve(&self, path: &Path) -> Result<PathBuf> {
        self.disk.resolve(path)
    }
    fn len(&self, path: &Path) -> Result<Option<u64>> {
        self.hand.count("len");
        self.disk.len(path)
    }
    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        self.hand.count("read");
        self.disk.read(path, limit_bytes)
    }
    fn read_part(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.disk.read_part(path, offset, len)
    }
    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        self.hand.count("create");
        self.check(Operation::Create, path)?;
        let file = self.disk.create(path)?;
        Ok(Box::new(OwnFile { file, hand: Arc::clone(&self.hand) }))
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.hand.count("rename");
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> Result<()> {
        self.hand.count("remove");
        self.disk.remove(path)
    }
    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        self.hand.count("create_region");
        self.check(Operation::Create, path)?;
        self.disk.create_region(path, len)
    }
    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        self.hand.count(if access == Access::Read { "open to read" } else { "open to write" });
        self.disk.open_region(path, access)
    }
    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        self.hand.count("try_lock");
        self.disk.try_lock(path, mode)
    }
    fn try_lock_dir(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
        self.disk.try_lock_dir(path)
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

#[derive(Debug)]
struct OwnFile {
    file: Box<dyn File>,
    hand: Arc<Hand>,
}

impl File for OwnFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.hand.count("append");
        self.file.append(bytes)
    }
    fn sync(&mut self) -> Result<()> {
        self.hand.count("sync");
        self.file.sync()
    }
}

/// Stores something, and finds it again.
fn use_it(disk: &Arc<OwnDisk>, dir: &Path) {
    for round in 0..2_u64 {
        let db = Database::builder().disk(disk.clone()).open(dir).unwrap();
        let (stock, days) = (db.hash_keyspace("stock").unwrap(), db.keyspace("days").unwrap());
        assert_eq!(stock.len(), round);
        stock.insert(round.to_be_bytes(), "apple").unwrap();
        days.insert(round.to_be_bytes(), "one").unwrap();
        assert_eq!(days.len().unwrap(), round + 1);
        db.sync().unwrap();
        db.close().unwrap();
    }
}

#[test]
fn a_disk_that_forwards_sees_what_a_database_does() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(OwnDisk::default());
    use_it(&disk, &folder.path().join("db"));
    for what in ["create", "append", "sync", "rename", "create_region", "sync_dir", "try_lock"] {
        assert!(disk.hand.counted(what) > 0, "{what} in {disk:?}");
    }
    assert_eq!(disk.hand.counted("refused"), 0);
    // The same files for everybody.
    assert_eq!(Database::open(folder.path().join("db")).unwrap().keyspaces().len(), 2);
}

#[test]
fn what_it_refuses_is_an_error_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(OwnDisk::refusing(".seg"));
    let error = Database::builder().disk(disk).open(folder.path().join("db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains(".seg"), "{error}");
}

/// They are told to readers, and are worth no commit.
#[test]
fn figures_that_cannot_be_written_fail_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(OwnDisk::refusing("annals.figures"));
    use_it(&disk, &folder.path().join("db"));
    assert!(disk.hand.counted("refused") >= 2, "each closing has tried");
    let reader = Database::builder().read_only(true).open(folder.path().join("db")).unwrap();
    assert_eq!((reader.stats().writer, reader.recovery().clean), (None, true));
}
