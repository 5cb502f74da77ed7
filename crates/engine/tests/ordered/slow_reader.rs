//! A reader so slow that the writer goes on between any two of its operations: it replaces tables, segments
//! and manifests that the reader has just read of.

use annals_disk::{
    Access, Disk, Entry, File, Holder, Lock, LockMode, Region, Result, SimDisk, SimOptions,
};
use annals_engine::{Background, Builder, Database, Snapshot};
use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

type Act = Box<dyn FnOnce() + Send>;

/// A disk on which something happens before the nth operation.
struct SlowDisk {
    sim: SimDisk,
    left: AtomicU64,
    act: Mutex<Option<Act>>,
}

impl fmt::Debug for SlowDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlowDisk")
    }
}

impl SlowDisk {
    fn new(sim: &SimDisk) -> Arc<Self> {
        Arc::new(Self { sim: sim.clone(), left: AtomicU64::new(u64::MAX), act: Mutex::default() })
    }

    fn before(&self, nth: u64, act: impl FnOnce() + Send + 'static) {
        *self.act.lock().unwrap() = Some(Box::new(act));
        self.left.store(nth, Ordering::SeqCst);
    }

    fn has_acted(&self) -> bool {
        self.act.lock().unwrap().is_none()
    }

    fn sim(&self) -> &SimDisk {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let act = self.act.lock().unwrap().take();
            act.expect("it happens once")();
        }
        &self.sim
    }
}

impl Disk for SlowDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.sim().create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.sim().sync_dir(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        self.sim().list(path)
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        self.sim().len(path)
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        self.sim().read(path, limit_bytes)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        self.sim().create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.sim().rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.sim().remove(path)
    }

    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        self.sim().create_region(path, len)
    }

    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        self.sim().open_region(path, access)
    }

    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        self.sim().try_lock(path, mode)
    }

    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>> {
        self.sim().lock_holder(path)
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

fn builder(disk: Arc<dyn Disk>) -> Builder {
    Database::builder()
        .disk(disk)
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .checkpoint_every_bytes(1 << 30)
}

const KEYS: u8 = 60;

fn has(key: u8, round: u8) -> bool {
    !(key + round).is_multiple_of(3)
}

/// Leaves exactly what [`state`] says. Goes through several segments, tables and, with many `passes`,
/// manifests.
fn write(db: &Database, round: u8, passes: u32) {
    let (sorted, hashed) = (db.keyspace("s").unwrap(), db.hash_keyspace("h").unwrap());
    if round.is_multiple_of(2) {
        sorted.clear().unwrap();
    }
    for pass in (0..passes).rev() {
        let mut batch = db.batch();
        for key in 0..KEYS {
            if has(key, round) {
                batch.insert(&sorted, [key], [round ^ (pass as u8); 500]).unwrap();
            } else {
                batch.remove(&sorted, [key]).unwrap();
            }
        }
        let round = if pass == 0 { round } else { u8::MAX };
        batch.insert(&hashed, "round", [round]).unwrap();
        batch.commit().unwrap();
        db.checkpoint().unwrap();
        db.tick().unwrap();
    }
    sorted.compact().unwrap();
    db.compact().unwrap();
    db.tick().unwrap();
}

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn state(round: u8) -> State {
    let keys = (0..KEYS).filter(|key| has(*key, round));
    keys.map(|key| (vec![key], vec![round; 500])).collect()
}

/// What a snapshot sees, with the round that the hash keyspace tells.
fn seen(snapshot: &Snapshot) -> (Option<u8>, State) {
    let round = snapshot.get("h", "round").unwrap().map(|value| value[0]);
    let sorted = snapshot.ordered("s").unwrap();
    let all: State = sorted.iter().unwrap().map(|entry| entry.unwrap().to_vecs()).collect();
    for (key, value) in &all {
        assert_eq!(sorted.get(key).unwrap().as_deref(), Some(&value[..]));
    }
    (round, all)
}

#[test]
fn an_opening_reader_finds_what_the_writer_has_made_meanwhile() {
    for nth in 1.. {
        let disk = SimDisk::new(SimOptions::seeded(nth));
        let db = builder(Arc::new(disk.clone())).open("db").unwrap();
        write(&db, 1, 2);
        let slow = SlowDisk::new(&disk);
        // At times the manifest is replaced too.
        let passes = if nth % 6 == 0 { 400 } else { 3 };
        let writer = db.clone();
        slow.before(nth, move || write(&writer, 2, passes));
        let reader = builder(Arc::clone(&slow) as Arc<dyn Disk>).read_only(true).open("db");
        let reader = reader.unwrap_or_else(|error| panic!("operation {nth}: {error}"));
        if !slow.has_acted() {
            assert!(nth > 12, "an opening takes {nth} operations");
            return;
        }
        let snapshot = reader.snapshot();
        assert!(seen(&snapshot) == (Some(2), state(2)), "operation {nth}");
        assert!(reader.verify(&mut |_| {}).unwrap().is_intact());
        write(&db, 3, 3);
        assert!(seen(&reader.snapshot()) == (Some(3), state(3)), "operation {nth}, later");
        assert!(seen(&snapshot) == (Some(2), state(2)), "operation {nth}, a snapshot");
    }
}

#[test]
fn a_following_reader_sees_one_moment_whatever_the_writer_makes_meanwhile() {
    for nth in 1.. {
        let disk = SimDisk::new(SimOptions::seeded(nth));
        let db = builder(Arc::new(disk.clone())).open("db").unwrap();
        write(&db, 1, 2);
        let slow = SlowDisk::new(&disk);
        let reader =
            builder(Arc::clone(&slow) as Arc<dyn Disk>).read_only(true).open("db").unwrap();
        let first = reader.snapshot();
        write(&db, 2, 3);
        let passes = if nth % 6 == 0 { 400 } else { 3 };
        let writer = db.clone();
        slow.before(nth, move || write(&writer, 3, passes));
        let snapshot = reader.snapshot();
        let then = seen(&snapshot);
        let round = then.0.unwrap();
        assert!([2, 3].contains(&round) && then.1 == state(round), "operation {nth}: {round}");
        if !slow.has_acted() {
            assert!(nth > 3, "following takes {nth} operations");
            return;
        }
        assert!(seen(&reader.snapshot()) == (Some(3), state(3)), "operation {nth}, later");
        write(&db, 4, 3);
        assert!(seen(&reader.snapshot()) == (Some(4), state(4)), "operation {nth}, at last");
        assert!(seen(&snapshot) == then, "operation {nth}, a snapshot");
        assert!(seen(&first) == (Some(1), state(1)), "operation {nth}, the first snapshot");
    }
}
