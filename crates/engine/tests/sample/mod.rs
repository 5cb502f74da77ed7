//! A small database with everything a database on disk can have, and its files as plain bytes, so
//! that tests can damage them one at a time.
//!
//! It has three keyspaces (one with a time to live), removed and overwritten keys, a commit over
//! two keyspaces, a packed segment, sealed segments, a checkpoint, and a log that goes on behind
//! the checkpoint. Content is a few kilobytes, so that every byte of it can be tried.

#![allow(dead_code, reason = "each test uses the part it needs")]

use annals_disk::{Disk, MemoryDisk, SimDisk, SimOptions};
use annals_engine::{Background, Builder, Database, Durability, KeyspaceOptions, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The directory of the database on its disk.
pub(crate) const DIR: &str = "db";
/// Bytes of a segment file: the smallest there may be.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 10;

/// Records by keyspace and key.
pub(crate) type State = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

/// Settings for tests: small segments, nothing happens by itself, every commit synced.
pub(crate) fn builder() -> Builder {
    Database::builder()
        .segment_bytes(SEGMENT_BYTES)
        .background(Background::Manual)
        .durability(Durability::Sync)
        .checkpoint_every_bytes(1 << 30)
        .compact_below(0.0)
}

/// The files of a database as plain bytes, by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image(pub(crate) BTreeMap<PathBuf, Vec<u8>>);

impl Image {
    /// The files of a simulated disk.
    pub(crate) fn of(disk: &SimDisk) -> Self {
        let bytes = |path: PathBuf| disk.file_bytes(&path).map(|bytes| (path, bytes));
        Self(disk.paths().into_iter().filter_map(bytes).collect())
    }

    /// The files of the database on any disk, folders below it included.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in disk.list(&folder).unwrap() {
                let path = folder.join(&entry.name);
                if entry.is_dir {
                    folders.push(path);
                } else {
                    let bytes = disk.read(&path, u64::MAX).unwrap();
                    files.insert(path, bytes);
                }
            }
        }
        Self(files)
    }

    /// A disk in memory with these files.
    pub(crate) fn memory(&self) -> MemoryDisk {
        let disk = MemoryDisk::new();
        for (path, bytes) in &self.0 {
            disk.create_dir_all(path.parent().unwrap()).unwrap();
            disk.create(path).unwrap().append(bytes).unwrap();
        }
        disk
    }

    /// A simulated disk with these files, all durable.
    pub(crate) fn sim(&self) -> SimDisk {
        let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(1) });
        for (path, bytes) in &self.0 {
            disk.set_file_bytes(path, bytes).unwrap();
        }
        disk
    }

    /// Writes these files into the directory `target` of the machine.
    pub(crate) fn save(&self, target: &Path) {
        for (path, bytes) in &self.0 {
            let path = target.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// The bytes of a file, to be changed.
    pub(crate) fn file(&mut self, name: &str) -> &mut Vec<u8> {
        let path = Path::new(DIR).join(name);
        self.0.get_mut(&path).unwrap_or_else(|| panic!("no file {name}"))
    }

    /// Takes a file away.
    pub(crate) fn remove(&mut self, name: &str) -> Vec<u8> {
        self.0.remove(&Path::new(DIR).join(name)).unwrap_or_else(|| panic!("no file {name}"))
    }

    /// Adds or replaces a file.
    pub(crate) fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.insert(Path::new(DIR).join(name), bytes);
    }

    /// The names of the files directly in the database's directory.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |path: &PathBuf| Some(path.strip_prefix(DIR).ok()?.to_str()?.to_owned());
        self.0.keys().filter_map(name).collect()
    }

    /// The names that end with `ending`, in order.
    pub(crate) fn names_with(&self, ending: &str) -> Vec<String> {
        self.names().into_iter().filter(|name| name.ends_with(ending)).collect()
    }

    /// Opens the database on a fresh disk in memory.
    pub(crate) fn open(&self) -> Result<Database> {
        builder().disk(Arc::new(self.memory())).open(DIR)
    }
}

/// Where the content of a segment ends: behind it are zeroes that mean nothing, or in a recycled one
/// bytes of its earlier life. Frames end on multiples of sixteen bytes.
pub(crate) fn content_end(bytes: &[u8]) -> usize {
    if bytes.len() > 64 && bytes[13] & 1 == 1 {
        return recycled_end(bytes);
    }
    let last = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    last.next_multiple_of(16).min(bytes.len())
}

/// Where the content of a recycled segment ends: at the first frame that is older than the one
/// before it, or none.
fn recycled_end(bytes: &[u8]) -> usize {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let seq_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    const SEAL: u8 = 3;
    let (mut at, mut next_seq) = (64, seq_at(32));
    while at + 48 <= bytes.len() {
        let len = u32_at(at + 4) as usize;
        let kind = bytes[at + 46];
        let ours = (48..=bytes.len() - at).contains(&len)
            && len.is_multiple_of(16)
            && (1..=4).contains(&kind)
            && seq_at(at + 8) >= next_seq;
        if !ours {
            break;
        }
        next_seq = seq_at(at + 8) + u64::from(u32_at(at + 32));
        at += len;
        if kind == SEAL {
            break;
        }
    }
    at
}

/// A sample database: its files, and the states it went through, one for each commit.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) image: Image,
    pub(crate) history: Vec<State>,
    /// Every key that was ever there, by keyspace.
    pub(crate) ever: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Sample {
    fn new(image: Image, history: Vec<State>) -> Self {
        let mut ever = BTreeMap::<_, BTreeSet<_>>::new();
        for (name, records) in history.iter().flatten() {
            ever.entry(name.clone()).or_default().extend(records.keys().cloned());
        }
        Self { image, history, ever }
    }

    pub(crate) fn last(&self) -> &State {
        self.history.last().unwrap()
    }
}

/// Writes through a database and keeps what it should hold after each commit.
pub(crate) struct Recorder {
    pub(crate) db: Database,
    pub(crate) history: Vec<State>,
}

impl Recorder {
    pub(crate) fn new(db: Database) -> Self {
        Self { db, history: vec![State::new()] }
    }

    fn change(&mut self, change: impl FnOnce(&mut State)) {
        let mut next = self.history.last().unwrap().clone();
        change(&mut next);
        self.history.push(next);
    }

    pub(crate) fn create(&mut self, name: &str, options: KeyspaceOptions) {
        self.db.create_hash_keyspace(name, options).unwrap();
        self.change(|state| {
            state.insert(name.into(), BTreeMap::new());
        });
    }

    pub(crate) fn drop_keyspace(&mut self, name: &str) {
        self.db.drop_keyspace(name).unwrap();
        self.change(|state| {
            state.remove(name);
        });
    }

    pub(crate) fn insert(&mut self, name: &str, key: &[u8], value: &[u8]) {
        self.db.open_hash_keyspace(name).unwrap().insert(key, value).unwrap();
        self.change(|state| {
            state.get_mut(name).unwrap().insert(key.into(), value.into());
        });
    }

    pub(crate) fn remove(&mut self, name: &str, key: &[u8]) {
        assert!(self.db.open_hash_keyspace(name).unwrap().remove(key).unwrap());
        self.change(|state| {
            state.get_mut(name).unwrap().remove(key);
        });
    }

    /// One commit over several keyspaces.
    pub(crate) fn batch(&mut self, records: &[(&str, Vec<u8>, Vec<u8>)]) {
        let mut batch = self.db.batch();
        for (name, key, value) in records {
            let keyspace = self.db.open_hash_keyspace(name).unwrap();
            batch.insert(&keyspace, key, value).unwrap();
        }
        batch.commit().unwrap();
        self.change(|state| {
            for (name, key, value) in records {
                state.get_mut(*name).unwrap().insert(key.clone(), value.clone());
            }
        });
    }

    /// Begins the next segment of the log.
    pub(crate) fn roll(&self) {
        // A reader of changes holds back what compaction would move.
        let hold = self.db.changes(self.db.oldest_seq()).unwrap();
        self.db.compact().unwrap();
        drop(hold);
    }
}

fn key(n: u32) -> Vec<u8> {
    format!("key {n:03}").into_bytes()
}

fn value(n: u32) -> Vec<u8> {
    format!("value {n} ").repeat(n as usize % 4).into_bytes()
}

/// Fills a database: see the head of this file.
pub(crate) fn fill(recorder: &mut Recorder) {
    recorder.create("users", KeyspaceOptions::default());
    recorder.create("orders", KeyspaceOptions::default());
    let years = Duration::from_secs(60 * 365 * 24 * 3600);
    recorder.create("sessions", KeyspaceOptions::default().ttl(years));
    recorder.create("scratch", KeyspaceOptions::default());
    let many = |name: &'static str, range: std::ops::Range<u32>| -> Vec<_> {
        range.map(|n| (name, key(n), value(n))).collect()
    };
    recorder.batch(&many("users", 0..60));
    recorder.batch(&many("scratch", 0..20));
    recorder.insert("sessions", b"early", b"moved by compaction");
    for n in (0..30).step_by(2) {
        recorder.remove("users", &key(n));
    }
    recorder.drop_keyspace("scratch");
    recorder.db.compact().unwrap();

    recorder.batch(&many("orders", 0..60));
    recorder.batch(&[("users", key(100), value(3)), ("orders", key(100), value(7))]);
    recorder.insert("users", &key(1), b"overwritten");
    recorder.insert("users", b"", b"the empty key");
    recorder.roll();
    recorder.insert("sessions", b"in a sealed segment", b"");
    recorder.batch(&many("users", 200..240));
    recorder.roll();

    recorder.insert("orders", b"before the checkpoint", &[0; 40]);
    recorder.db.checkpoint().unwrap();
    recorder.batch(&[("users", key(101), value(3)), ("orders", key(101), value(7))]);
    recorder.insert("sessions", b"late", b"behind the checkpoint");
    recorder.remove("users", &key(51));
    recorder.insert("orders", b"last", b"the last commit");
}

fn recorder() -> (SimDisk, Recorder) {
    let options = SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(20) };
    let disk = SimDisk::new(options);
    let db = builder().disk(Arc::new(disk.clone())).open(DIR).unwrap();
    let mut recorder = Recorder::new(db);
    fill(&mut recorder);
    (disk, recorder)
}

/// The sample, closed.
pub(crate) fn closed() -> Sample {
    let (disk, Recorder { db, history }) = recorder();
    db.close().unwrap();
    Sample::new(Image::of(&disk), history)
}

/// The sample as a killed process leaves it.
pub(crate) fn killed() -> Sample {
    let (disk, Recorder { db, history }) = recorder();
    let after = disk.restart_clean();
    drop(db);
    Sample::new(Image::of(&after), history)
}

/// A backup of the sample.
pub(crate) fn backed_up() -> Sample {
    let (disk, Recorder { db, history }) = recorder();
    db.backup_to("copy").unwrap();
    let files = Image::of(&disk).0.into_iter().filter_map(|(path, bytes)| {
        Some((Path::new(DIR).join(path.strip_prefix("copy").ok()?), bytes))
    });
    Sample::new(Image(files.collect()), history)
}

/// Everything a database holds.
pub(crate) fn contents(db: &Database) -> State {
    let records = |name: &str| {
        let keyspace = db.open_hash_keyspace(name).unwrap();
        keyspace.iter().unwrap().map(|entry| entry.unwrap().to_vecs()).collect()
    };
    db.keyspaces().into_iter().map(|info| (info.name.clone(), records(&info.name))).collect()
}
