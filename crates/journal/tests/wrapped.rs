//! A disk that stops in the middle of an operation, or refuses one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_disk::{
    Disk, DiskError, Operation, Result, SimDisk, SimOptions,
    hooked::{Act, Hook, hooked},
};
use annals_journal::{
    Background, Config, Draft, Durability, Error, FrameBuilder, Journal, Kind, Position,
    READERS_NAME, RootCheckpoint, RootManifest,
};
use std::{
    io,
    path::Path,
    sync::{
        Arc, Barrier, Mutex,
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

    fn shared(&self) -> Arc<dyn Disk> {
        hooked(Arc::new(self.disk.clone()), Arc::clone(&self.hand))
    }
}

impl Hook for Hand {
    fn before(&self, act: Act, path: &Path) -> Result<bool> {
        let stops = match act {
            Act::Sync => self.stops_at_sync.swap(false, Ordering::SeqCst),
            Act::Zero => self.stops_at_zeroes.load(Ordering::SeqCst),
            _ => false,
        };
        if stops {
            self.reached.wait();
            self.go_on.wait();
        }
        if matches!(act, Act::Lock(_))
            && path.ends_with(READERS_NAME)
            && self.refuses_readers.load(Ordering::SeqCst)
        {
            let refused = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(DiskError::new(Operation::Lock, path, refused));
        }
        Ok(true)
    }
}

fn create(disk: &Wrapped) -> Journal {
    let config = Config {
        segment_bytes: 256 << 10,
        background: Background::Manual,
        durability: Durability::Sync,
        ..Config::default()
    };
    Journal::create(disk.shared(), Path::new(DIR), config).unwrap()
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
    let open = || Journal::open_read_only(disk.shared(), Path::new(DIR), Config::default());
    let refused = open().map(drop).unwrap_err();
    let is_named = |error: &Error| error.to_string().contains(READERS_NAME);
    assert!(matches!(refused, Error::Disk(_)) && is_named(&refused), "{refused}");
    // Without the file there is nothing to be had, and the writer knows.
    disk.disk.remove(&Path::new(DIR).join(READERS_NAME)).unwrap();
    assert!(open().is_ok());
}

/// A disk that has no space for one operation.
#[derive(Debug, Default)]
struct NoSpace {
    /// For which, and how many of its kind come before.
    operation: Mutex<Option<(Act, usize)>>,
}

impl Hook for NoSpace {
    fn before(&self, act: Act, path: &Path) -> Result<bool> {
        let mut operation = self.operation.lock().unwrap();
        match &mut *operation {
            Some((of, 0)) if *of == act => {
                *operation = None;
                let full = io::Error::from(io::ErrorKind::StorageFull);
                Err(DiskError::new(Operation::Write, path, full))
            }
            Some((of, before)) if *of == act => {
                *before -= 1;
                Ok(true)
            }
            _ => Ok(true),
        }
    }
}

/// Without space nothing has happened, up to the moment at which the new root gets the name of the former one.
#[test]
fn a_root_without_space_is_the_one_before_as_long_as_that_is_known() {
    let hook = Arc::new(NoSpace::default());
    let sim = SimDisk::new(SimOptions::seeded(4));
    let disk = hooked(Arc::new(sim), Arc::clone(&hook));
    let background = Background::Manual;
    let config = Config { segment_bytes: 256 << 10, background, ..Config::default() };
    let journal = Journal::create(disk, Path::new(DIR), config).unwrap();
    let name = |number| {
        let manifest = RootManifest { number, synced_bytes: 0 };
        journal.root_keeper().set_manifest(manifest)
    };
    name(1).unwrap();
    for act in [Act::Create, Act::Write, Act::Sync, Act::SyncDir, Act::Rename] {
        *hook.operation.lock().unwrap() = Some((act, 0));
        let refused = name(2).unwrap_err();
        assert!(matches!(refused, Error::Full { .. }), "{act:?}: {refused}");
        assert_eq!(journal.manifest().map(|manifest| manifest.number), Some(1));
    }
    *hook.operation.lock().unwrap() = Some((Act::SyncDir, 1));
    let unknown = name(2).unwrap_err();
    assert!(matches!(unknown, Error::Disk(_)), "{unknown}");
    name(3).unwrap();
    assert_eq!(journal.manifest().map(|manifest| manifest.number), Some(3));
}
