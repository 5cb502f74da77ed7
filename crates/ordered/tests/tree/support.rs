//! A store on a simulated disk, its log as a list, and what should be in it.

use annals_disk::{Disk, SimDisk, SimOptions};
use annals_ordered::{
    AsOf, Entry, EntryKind, Error, Follower, ManifestPlace, ManifestRoot, Record, Result,
    RootError, Store, StoreConfig, Tree, TreeCursor, TreeOptions,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) const ID: u64 = 0x0a11_a150_0000_0007;
pub(crate) const TREE: u32 = 5;

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("db")
}

/// The root file of a database: replaced atomically, as the engine does.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) disk: SimDisk,
}

impl Root {
    fn path() -> PathBuf {
        dir().join("root")
    }

    pub(crate) fn place(disk: &SimDisk) -> Option<ManifestPlace> {
        let bytes = disk.read(&Self::path(), 16).ok()?;
        let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        let synced_bytes = u64::from_le_bytes(bytes[8..].try_into().unwrap());
        Some(ManifestPlace { number, synced_bytes })
    }

    fn write(&self, place: ManifestPlace) -> annals_disk::Result<()> {
        let temporary = dir().join("root.tmp");
        let mut file = self.disk.create(&temporary)?;
        file.append(&place.number.to_le_bytes())?;
        file.append(&place.synced_bytes.to_le_bytes())?;
        file.sync()?;
        drop(file);
        self.disk.rename(&temporary, &Self::path())?;
        self.disk.sync_dir(&dir())
    }
}

impl ManifestRoot for Root {
    fn set_manifest(&self, place: ManifestPlace) -> Result<(), RootError> {
        self.write(place).map_err(|error| RootError::Unknown(error.to_string()))
    }
}

pub(crate) fn config() -> StoreConfig {
    StoreConfig {
        memory_bytes: 64 << 20,
        memtable_bytes: 16 << 20,
        cache_bytes: 64 << 10,
        ..StoreConfig::default()
    }
}

/// Tables of two kilobytes, so that few records make several levels.
pub(crate) fn options() -> TreeOptions {
    TreeOptions {
        table_bytes: 2 << 10,
        base_bytes: 8 << 10,
        ratio: 4,
        level0_tables: 3,
        block_bytes: 256,
        ..TreeOptions::default()
    }
}

pub(crate) fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(SimOptions::seeded(seed));
    disk.create_dir_all(&dir()).unwrap();
    disk
}

pub(crate) fn create(disk: &SimDisk) -> Result<Store> {
    let root = Arc::new(Root { disk: disk.clone() });
    Store::create(Arc::new(disk.clone()), &dir(), ID, config(), root)
}

/// A tree that begins with these records, which must be in order.
pub(crate) fn loaded(
    store: &Store,
    log: &mut Log,
    options: TreeOptions,
    records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
) -> Result<Tree> {
    let mut load = store.load(options, 0)?;
    for (key, value) in records {
        load.add(&key, &value, None)?;
        log.state.insert(key, (value, None));
    }
    load.finish(0)?.begin_tree(TREE)
}

pub(crate) fn open(disk: &SimDisk) -> Result<Store> {
    let root = Arc::new(Root { disk: disk.clone() });
    let place = Root::place(disk).expect("the root names a manifest");
    Store::open(Arc::new(disk.clone()), &dir(), ID, config(), root, place)
}

pub(crate) fn place(disk: &SimDisk) -> Result<ManifestPlace> {
    Root::place(disk)
        .ok_or(Error::Root { cause: RootError::Unknown("it names no manifest".to_owned()) })
}

/// The store as another process reads it.
pub(crate) fn read_only(disk: &SimDisk, config: StoreConfig) -> Result<(Store, Follower)> {
    Store::open_read_only(Arc::new(disk.clone()), &dir(), ID, config, || place(disk))
}

/// Runs all work there is.
pub(crate) fn work(store: &Store, now_ms: u64) -> Result<()> {
    while let Some(work) = store.next_work(now_ms) {
        work.run()?;
    }
    Ok(())
}

/// A record that owns its bytes.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put { key: Vec<u8>, value: Vec<u8>, expires_ms: Option<u64> },
    Remove { key: Vec<u8> },
    RemoveRange { from: Vec<u8>, to: Vec<u8> },
}

impl Change {
    pub(crate) fn put(key: &[u8], value: &[u8]) -> Self {
        Self::Put { key: key.into(), value: value.into(), expires_ms: None }
    }

    pub(crate) fn record(&self, seq: u64) -> Record<'_> {
        let entry = |key, kind, expires_ms, value| {
            Record::Entry(Entry { key, seq, kind, expires_ms, value })
        };
        match self {
            Self::Put { key, value, expires_ms } => {
                entry(key, EntryKind::Put, *expires_ms, value.as_slice())
            }
            Self::Remove { key } => entry(key, EntryKind::Remove, None, &[]),
            Self::RemoveRange { from, to } => Record::RemoveRange { from, to, seq },
        }
    }
}

/// Keys with their values, and when they expire.
pub(crate) type State = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

/// Everything that was ever written: the log, with the number of each record its place in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) changes: Vec<Change>,
    pub(crate) state: State,
}

impl Log {
    /// The number of the last record.
    pub(crate) fn seq(&self) -> u64 {
        self.changes.len() as u64
    }

    /// Notes changes, and applies them to the tree.
    pub(crate) fn write(&mut self, tree: &Tree, changes: &[Change], now_ms: u64) -> Result<()> {
        let first = self.seq() + 1;
        for change in changes {
            self.changes.push(change.clone());
            apply(&mut self.state, change);
        }
        tree.apply((first..).zip(changes).map(|(seq, change)| change.record(seq)), now_ms)
    }

    /// Applies again what the log has after `seq`.
    pub(crate) fn replay(&self, tree: &Tree, after: u64, now_ms: u64) -> Result<()> {
        for (seq, change) in (1..).zip(&self.changes) {
            if seq > after {
                tree.apply([change.record(seq)], now_ms)?;
            }
        }
        Ok(())
    }
}

fn apply(state: &mut State, change: &Change) {
    match change {
        Change::Put { key, value, expires_ms } => {
            state.insert(key.clone(), (value.clone(), *expires_ms));
        }
        Change::Remove { key } => {
            state.remove(key);
        }
        Change::RemoveRange { from, to } => state.retain(|key, _| key < from || to <= key),
    }
}

/// What a reader sees of `state` at a time.
pub(crate) fn seen(state: &State, now_ms: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let live = state.iter().filter(|(_, (_, expires))| expires.is_none_or(|at| at > now_ms));
    live.map(|(key, (value, _))| (key.clone(), value.clone())).collect()
}

pub(crate) fn forward(cursor: &mut TreeCursor) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    cursor.to_first().unwrap();
    while let Some(entry) = cursor.entry() {
        found.push((entry.key.to_vec(), entry.value.to_vec()));
        cursor.advance().unwrap();
    }
    found
}

pub(crate) fn backward(cursor: &mut TreeCursor) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    cursor.to_last().unwrap();
    while let Some(entry) = cursor.entry() {
        found.push((entry.key.to_vec(), entry.value.to_vec()));
        cursor.retreat().unwrap();
    }
    found.reverse();
    found
}

/// Compares all that a reader sees with what it should.
pub(crate) fn check(tree: &Tree, state: &State, as_of: AsOf, context: &str) {
    let expected = seen(state, as_of.now_ms);
    assert_eq!(forward(&mut tree.cursor(&[], None, as_of)), expected, "{context}: forward");
    assert_eq!(backward(&mut tree.cursor(&[], None, as_of)), expected, "{context}: backward");
    for (key, value) in &expected {
        let found = tree.get(key, as_of).unwrap();
        assert_eq!(found.as_ref(), Some(value), "{context}: {}", key.escape_ascii());
        let behind = [key, &b"\0"[..]].concat();
        if !state.contains_key(&behind) {
            assert_eq!(tree.get(&behind, as_of).unwrap(), None, "{context}");
        }
    }
}

/// The bytes of all its tables.
pub(crate) fn table_bytes(tree: &Tree) -> u64 {
    tree.stats().levels.iter().map(|level| level.bytes).sum()
}

/// What was dropped of a tree's tables without being read: what was brought and written in its life, less
/// what was read and what is there.
pub(crate) fn dropped_bytes(tree: &Tree, context: &str) -> u64 {
    let life = tree.stats().life;
    let written = life.flushed_bytes + life.loaded_bytes + life.compaction_written_bytes;
    let rest = written.checked_sub(life.compaction_read_bytes + table_bytes(tree));
    rest.unwrap_or_else(|| panic!("{context}: nobody wrote what is there: {life:?}"))
}

/// As of the newest record.
pub(crate) fn newest(now_ms: u64) -> AsOf {
    AsOf { seq: u64::MAX, now_ms }
}

/// Numbers that look random, the same for the same seed.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end
    }
}

/// The files of the store that are there.
pub(crate) fn files(disk: &SimDisk) -> Vec<String> {
    let names = disk.list(Path::new("db")).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| !name.starts_with("root")).collect()
}
