//! A reader so slow that the writer goes on between any two of its operations: it replaces tables, segments
//! and manifests that the reader has just read of.

use annals_disk::{
    Disk, Result, SimDisk, SimOptions,
    hooked::{Act, Hook, hooked},
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

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Something that happens before the nth operation of a disk.
struct Slow {
    left: AtomicU64,
    act: Mutex<Option<Meanwhile>>,
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }
}

impl Slow {
    fn new() -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(u64::MAX), act: Mutex::default() })
    }

    /// The disk as who is slow sees it.
    fn disk(self: &Arc<Self>, sim: &SimDisk) -> Arc<dyn Disk> {
        hooked(Arc::new(sim.clone()), Arc::clone(self))
    }

    fn before_nth(&self, nth: u64, act: impl FnOnce() + Send + 'static) {
        *self.act.lock().unwrap() = Some(Box::new(act));
        self.left.store(nth, Ordering::SeqCst);
    }

    fn has_acted(&self) -> bool {
        self.act.lock().unwrap().is_none()
    }
}

impl Hook for Slow {
    fn before(&self, _: Act, _: &Path) -> Result<bool> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let act = self.act.lock().unwrap().take();
            act.expect("it happens once")();
        }
        Ok(true)
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
        let slow = Slow::new();
        // At times the manifest is replaced too.
        let passes = if nth % 6 == 0 { 400 } else { 3 };
        let writer = db.clone();
        slow.before_nth(nth, move || write(&writer, 2, passes));
        let reader = builder(slow.disk(&disk)).read_only(true).open("db");
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
        let slow = Slow::new();
        let reader = builder(slow.disk(&disk)).read_only(true).open("db").unwrap();
        let first = reader.snapshot();
        write(&db, 2, 3);
        let passes = if nth % 6 == 0 { 400 } else { 3 };
        let writer = db.clone();
        slow.before_nth(nth, move || write(&writer, 3, passes));
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
