//! A disk that stops in the middle of an operation, or refuses one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_disk::{
    Access, Backing, Disk, DiskError, Entry, File, Holder, Lock, LockMode, Operation, Region,
    Result, SimDisk, SimOptions,
};
use annals_journal::{
    Background, Config, Draft, Durability, Error, FrameBuilder, Journal, Kind, Position,
    READERS_NAME, RootCheckpoint,
};
use std::{
    io,
    path::Path,
    ptr::NonNull,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

const DIR: &str = "log";

/// A simulated disk with a hand on it.
#[derive(Clone, Debug)]
struct Wrapped {
    disk: SimDisk,
    hand: Arc<Hand>,
}

#[derive(Debug)]
struct Hand {
    /// Whether writing zeroes waits at both barriers: before it, and until it may go on.
    stops_at_zeroes: AtomicBool,
    /// Whether the next sync does so.
    stops_at_sync: AtomicBool,
    reached: Barrier,
    go_on: Barrier,
    /// Whether the file whose lock readers share refuses to be opened.
    refuses_readers: AtomicBool,
}

impl Wrapped {
    fn new() -> Self {
        let options = SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(4) };
        let hand = Hand {
            stops_at_zeroes: AtomicBool::new(false),
            stops_at_sync: AtomicBool::new(false),
            reached: Barrier::new(2),
            go_on: Barrier::new(2),
            refuses_readers: AtomicBool::new(false),
        };
        Self { disk: SimDisk::new(options), hand: Arc::new(hand) }
    }

    #[allow(unsafe_code, reason = "a region is made of another one")]
    fn wrap(&self, region: Region) -> Region {
        let base = NonNull::from(region.read(0, region.len())).cast();
        let len = region.len();
        let backing = Wrapper { region, hand: Arc::clone(&self.hand) };
        // SAFETY: the memory is that of the region inside, which the backing owns and which is valid
        // for reads of its length and shows what was written to it.
        unsafe { Region::through(base, len, Box::new(backing)) }
    }
}

#[derive(Debug)]
struct Wrapper {
    region: Region,
    hand: Arc<Hand>,
}

impl Backing for Wrapper {
    fn path(&self) -> &Path {
        self.region.path()
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.region.write(offset as usize, bytes)
    }
    fn sync(&self) -> Result<()> {
        if self.hand.stops_at_sync.swap(false, Ordering::SeqCst) {
            self.hand.reached.wait();
            self.hand.go_on.wait();
        }
        self.region.sync()
    }
    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        if self.hand.stops_at_zeroes.load(Ordering::SeqCst) {
            self.hand.reached.wait();
            self.hand.go_on.wait();
        }
        self.region.zero(offset as usize, len as usize)
    }
    fn populate(&self, offset: u64, len: u64) {
        self.region.populate(offset as usize, len as usize);
    }
    fn truncate(&self, len: u64) -> Result<()> {
        self.region.truncate(len as usize)
    }
}

impl Disk for Wrapped {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.disk.create_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> Result<()> {
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
        self.disk.create(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> Result<()> {
        self.disk.remove(path)
    }
    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        self.disk.create_region(path, len).map(|region| self.wrap(region))
    }
    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        self.disk.open_region(path, access).map(|region| self.wrap(region))
    }
    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        if path.ends_with(READERS_NAME) && self.hand.refuses_readers.load(Ordering::SeqCst) {
            let refused = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(DiskError::new(Operation::Lock, path, refused));
        }
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

fn create(disk: &Wrapped) -> Journal {
    let config = Config {
        segment_bytes: 256 << 10,
        background: Background::Manual,
        durability: Durability::Sync,
        ..Config::default()
    };
    Journal::create(Arc::new(disk.clone()), Path::new(DIR), config).unwrap()
}

fn commit(journal: &Journal) {
    let end = append(journal);
    journal.make_durable(end, Durability::Sync).unwrap();
}

/// Where what was appended ends.
fn append(journal: &Journal) -> Position {
    let mut frame = FrameBuilder::new();
    let (kind, value) = (Kind::Put, &b"v"[..]);
    let draft = Draft { kind, space: 1, key: b"k", value, expires_ms: None, aligned: false };
    frame.push(&draft).unwrap();
    let mut writer = journal.writer(frame.len_bytes(), frame.count()).unwrap();
    let appended = writer.append(&mut frame).unwrap();
    writer.publish();
    appended.end
}

/// Those who come while the device is busy share the next flush, however many they are.
#[test]
fn who_waits_for_a_sync_shares_the_next_one() {
    const WAITING: usize = 8;
    let disk = Wrapped::new();
    let journal = create(&disk);
    commit(&journal);
    let before = journal.syncs_count();
    disk.hand.stops_at_sync.store(true, Ordering::SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| commit(&journal));
        disk.hand.reached.wait();
        // None of these is in what the device is at.
        let ends: Vec<_> = (0..WAITING).map(|_| append(&journal)).collect();
        for end in ends {
            let journal = &journal;
            scope.spawn(move || journal.make_durable(end, Durability::Sync).unwrap());
        }
        disk.hand.go_on.wait();
    });
    assert_eq!(journal.syncs_count() - before, 2);
    assert_eq!(journal.synced(), journal.end());
}

/// Zeroes that are written ahead would go into what the file's next life holds.
#[test]
fn a_segment_that_is_being_zeroed_gets_no_other_life() {
    let disk = Wrapped::new();
    let journal = create(&disk);
    // So many synced commits make the background write zeroes ahead of the log.
    (0..40).for_each(|_| commit(&journal));
    let full = journal.segments().iter().find(|info| info.content_bytes > 0).unwrap().slot;
    disk.hand.stops_at_zeroes.store(true, Ordering::SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| journal.tick().unwrap());
        disk.hand.reached.wait();
        disk.hand.stops_at_zeroes.store(false, Ordering::SeqCst);
        // Meanwhile the log rolls on, and all of the segment is given up.
        journal.roll().unwrap();
        journal.sync().unwrap();
        let (replay_from, next_seq) = (journal.end(), journal.next_seq());
        let checkpoint = RootCheckpoint { number: 1, replay_from, next_seq };
        journal.install(checkpoint, &[full]).unwrap();
        journal.release(&[full]);
        let waiting = (journal.reap(), journal.recycled_count());
        disk.hand.go_on.wait();
        assert_eq!(waiting, (1, 0), "the zeroes are still to come");
    });
    assert_eq!((journal.reap(), journal.recycled_count()), (0, 1));
}

/// A reader without the lock is one that the writer does not see.
#[test]
fn a_readers_file_that_may_not_be_opened_is_an_error() {
    let disk = Wrapped::new();
    let journal = create(&disk);
    commit(&journal);
    disk.hand.refuses_readers.store(true, Ordering::SeqCst);
    let open = || {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        Journal::open_read_only(shared, Path::new(DIR), Config::default())
    };
    let refused = open().map(drop).unwrap_err();
    let is_named = |error: &Error| error.to_string().contains(READERS_NAME);
    assert!(matches!(refused, Error::Disk(_)) && is_named(&refused), "{refused}");
    // Without the file there is nothing to be had, and the writer knows.
    disk.disk.remove(&Path::new(DIR).join(READERS_NAME)).unwrap();
    assert!(open().is_ok());
}
