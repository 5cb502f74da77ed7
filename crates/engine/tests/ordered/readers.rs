//! Read-only handles on ordered keyspaces, beside a writer that flushes, compacts, and begins new
//! manifests.

use crate::support::{builder, open, read};
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_engine::{Database, ErrorKind, KeyspaceOptions, Snapshot, TreeOptions, WriteOptions};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

fn machine(seed: u64) -> SimDisk {
    SimDisk::new(SimOptions::seeded(seed))
}

fn bytes(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = disk.paths().into_iter();
    paths.map(|path| (path.clone(), disk.file_bytes(&path).unwrap_or_default())).collect()
}

fn names(disk: &SimDisk, ending: &str) -> Vec<String> {
    let entries = disk.list("db".as_ref()).unwrap().into_iter().map(|entry| entry.name);
    entries.filter(|name| name.ends_with(ending)).collect()
}

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn seen(db: &Database, name: &str) -> State {
    let keyspace = db.keyspace(name).unwrap();
    let walked: State = keyspace.iter().unwrap().map(|entry| entry.unwrap().to_vecs()).collect();
    assert_eq!(keyspace.len().unwrap(), walked.len() as u64);
    let back: State = keyspace.iter().unwrap().rev().map(|one| one.unwrap().to_vecs()).collect();
    assert_eq!(back, walked);
    for (key, value) in &walked {
        assert_eq!(keyspace.get(key).unwrap().as_deref(), Some(&value[..]));
    }
    walked
}

fn seen_by(snapshot: &Snapshot, name: &str) -> State {
    let keyspace = snapshot.ordered(name).unwrap();
    let walked: State = keyspace.iter().unwrap().map(|entry| entry.unwrap().to_vecs()).collect();
    for (key, value) in &walked {
        assert_eq!(keyspace.get(key).unwrap().as_deref(), Some(&value[..]));
    }
    walked
}

#[test]
fn ordered_keyspaces_are_read_beside_a_writer_and_nothing_changes() {
    let disk = machine(1);
    let db = open(&disk);
    let (sorted, hashed) = (db.keyspace("s").unwrap(), db.hash_keyspace("h").unwrap());
    let reader = read(&disk);
    let mine = reader.keyspace("s").unwrap();
    assert!(mine.is_empty().unwrap() && mine.first().unwrap().is_none());
    let mut batch = db.batch();
    batch.insert(&hashed, "a", "1").unwrap();
    for key in ["a", "b", "ba", "c"] {
        batch.insert(&sorted, key, key).unwrap();
    }
    batch.commit().unwrap();
    for round in 0..3 {
        let before = bytes(&disk);
        assert_eq!(mine.get("b").unwrap().as_deref(), Some(&b"b"[..]), "round {round}");
        assert!(mine.contains("c").unwrap() && !mine.contains("x").unwrap());
        assert_eq!(mine.get_with("ba", <[u8]>::len).unwrap(), Some(2));
        let many = mine.get_many(&["c", "x", "a"]).unwrap();
        assert!(many[0].is_some() && many[1].is_none() && many[2].is_some());
        let walk = mine.range("aa".."c").unwrap();
        let keys: Vec<_> = walk.map(|entry| entry.unwrap().key().to_vec()).collect();
        assert_eq!(keys, [b"b".to_vec(), b"ba".to_vec()]);
        assert_eq!(mine.prefix("b").unwrap().rev().count(), 2);
        assert_eq!(mine.first().unwrap().unwrap().key(), b"a");
        assert_eq!(mine.last().unwrap().unwrap().key(), b"c");
        assert_eq!((mine.len().unwrap(), reader.keyspaces()[1].len > 0), (4, true));
        assert!(mine.len_estimate().unwrap() > 0);
        assert_eq!(mine.table_options().unwrap(), sorted.table_options().unwrap());
        let stats = reader.stats();
        let levels = stats.keyspaces[1].tree.as_ref().unwrap().levels.iter();
        assert_eq!(levels.map(|level| level.tables).sum::<u64>(), u64::from(round > 0));
        assert!(stats.tables.is_some());
        let report = reader.verify(&mut |_| {}).unwrap();
        assert!(report.is_intact(), "{:?}", report.damages);
        let refused = [
            mine.insert("d", "1").unwrap_err(),
            mine.remove("a").unwrap_err(),
            mine.remove_range("a".."b").unwrap_err(),
            mine.clear().unwrap_err(),
            mine.compact().unwrap_err(),
            mine.fetch_update("a", |_| None).unwrap_err(),
            reader.keyspace("new").unwrap_err(),
            reader.drop_keyspace("s").unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        }
        read(&disk).close().unwrap();
        drop(read(&disk));
        assert!(bytes(&disk) == before, "round {round}: a reader changed something");
        if round == 0 {
            db.checkpoint().unwrap();
        } else {
            sorted.compact().unwrap();
        }
    }
}

/// What a writer does, and what that leaves.
struct Writer {
    db: Database,
    state: BTreeMap<&'static str, State>,
    number: u64,
}

const NAMES: [&str; 3] = ["s0", "s1", "s2"];

impl Writer {
    fn next(&mut self, below: u64) -> u64 {
        self.number = self.number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.number >> 33) % below
    }

    fn step(&mut self) {
        let name = NAMES[self.next(3) as usize];
        if !self.state.contains_key(name) {
            let tables =
                TreeOptions { level0_tables: 2, table_bytes: 4 << 10, ..Default::default() };
            let options = KeyspaceOptions::default();
            self.db.create_keyspace(name, options, tables).unwrap();
            self.state.insert(name, State::new());
        }
        let keyspace = self.db.keyspace(name).unwrap();
        let key = |number: u64| format!("key-{number:03}").into_bytes();
        match self.next(40) {
            0..=19 => {
                let mut batch = self.db.batch();
                for _ in 0..=self.next(12) {
                    let (key, len) = (key(self.next(150)), 20 + self.next(300) as usize);
                    let value = vec![self.next(256) as u8; len];
                    batch.insert(&keyspace, &key, &value).unwrap();
                    self.state.get_mut(name).unwrap().insert(key, value);
                }
                batch.commit().unwrap();
            }
            20..=24 => {
                let key = key(self.next(150));
                keyspace.remove(&key).unwrap();
                self.state.get_mut(name).unwrap().remove(&key);
            }
            25..=27 => {
                let from = self.next(150);
                let (from, to) = (key(from), key(from + self.next(30)));
                keyspace.remove_range(&from[..]..&to[..]).unwrap();
                self.state.get_mut(name).unwrap().retain(|key, _| *key < from || to <= *key);
            }
            28 => {
                keyspace.clear().unwrap();
                self.state.get_mut(name).unwrap().clear();
            }
            29 => {
                drop(keyspace);
                self.db.drop_keyspace(name).unwrap();
                self.state.remove(name);
            }
            30..=34 => drop(self.db.checkpoint().unwrap()),
            35 | 36 => keyspace.compact().unwrap(),
            37 => drop(self.db.compact().unwrap()),
            _ => self.db.tick().unwrap(),
        }
    }
}

/// Compares what a reader sees, and what its snapshots go on seeing.
fn compare(reader: &Database, kept: &[Kept], state: &BTreeMap<&'static str, State>, what: &str) {
    let listed: Vec<String> = reader.keyspaces().into_iter().map(|info| info.name).collect();
    assert!(listed.iter().eq(state.keys()), "{what}: {listed:?}");
    for (name, expected) in state {
        assert_eq!(&seen(reader, name), expected, "{what}: {name}");
    }
    for (snapshot, state) in kept {
        for (name, expected) in state {
            assert_eq!(&seen_by(snapshot, name), expected, "{what}: {name} at {}", snapshot.seq());
        }
    }
}

type Kept = (Snapshot, BTreeMap<&'static str, State>);

#[test]
fn readers_see_every_commit_and_their_snapshots_stay() {
    for seed in 0..12 {
        let disk = machine(seed);
        let memory_bytes = if seed % 2 == 0 { 128 << 10 } else { 96 << 20 };
        let db = builder(&disk).memory_bytes(memory_bytes).open("db").unwrap();
        let mut writer = Writer { db, state: BTreeMap::new(), number: seed };
        let mut reader = builder(&disk).memory_bytes(128 << 10).read_only(true).open("db").unwrap();
        let mut kept: Vec<Kept> = Vec::new();
        for round in 0..300 {
            let what = format!("seed {seed}, round {round}");
            writer.step();
            if writer.next(3) > 0 {
                continue;
            }
            let before = bytes(&disk);
            compare(&reader, &kept, &writer.state, &what);
            if writer.next(4) == 0 {
                kept.push((reader.snapshot(), writer.state.clone()));
                kept.drain(..kept.len().saturating_sub(3));
            }
            if writer.next(15) == 0 {
                reader = read(&disk);
                compare(&reader, &kept, &writer.state, &what);
            }
            assert!(bytes(&disk) == before, "{what}: a reader changed something");
        }
        // The writer dies; who opens then, for reading only, sees the same.
        let Writer { db, state, .. } = writer;
        let disk = disk.restart_clean();
        std::mem::forget(db);
        let before = bytes(&disk);
        compare(&read(&disk), &[], &state, "after a kill");
        assert!(bytes(&disk) == before);
        drop(open(&disk));
        compare(&read(&disk), &[], &state, "after a close");
    }
}

#[test]
fn a_reader_goes_on_over_new_manifests() {
    let disk = machine(2);
    let db = open(&disk);
    let sorted = db.keyspace("s").unwrap();
    let reader = read(&disk);
    let mine = reader.keyspace("s").unwrap();
    let snapshot = reader.snapshot();
    let first = names(&disk, ".man");
    for round in 0..600_u32 {
        sorted.insert((round % 7).to_be_bytes(), round.to_be_bytes()).unwrap();
        db.checkpoint().unwrap();
        db.tick().unwrap();
        if round % 50 == 1 {
            let value = mine.get((round % 7).to_be_bytes()).unwrap();
            assert_eq!(value.as_deref(), Some(&round.to_be_bytes()[..]));
            assert!(reader.verify(&mut |_| {}).unwrap().is_intact());
        }
    }
    assert_ne!(names(&disk, ".man"), first, "the manifest was replaced");
    assert_eq!(mine.len().unwrap(), 7);
    assert!(snapshot.ordered("s").unwrap().first().unwrap().is_none());
    let tree = reader.stats().keyspaces[0].tree.clone().unwrap();
    let writers = db.stats().keyspaces[0].tree.clone().unwrap();
    let tables = |tree: &annals_engine::TreeStats| {
        tree.levels.iter().map(|level| level.tables).collect::<Vec<_>>()
    };
    assert_eq!((tables(&tree), tree.sealed_memtables), (tables(&writers), 0));
}

#[test]
fn the_first_ordered_keyspace_may_come_after_the_reader() {
    let disk = machine(3);
    let db = open(&disk);
    db.hash_keyspace("h").unwrap().insert("a", "1").unwrap();
    let reader = read(&disk);
    assert_eq!(reader.keyspaces().len(), 1);
    let sorted = db.keyspace("s").unwrap();
    for round in 0..200_u32 {
        sorted.insert(round.to_be_bytes(), [1; 100]).unwrap();
    }
    db.checkpoint().unwrap();
    sorted.remove_range(..100_u32.to_be_bytes()).unwrap();
    sorted.compact().unwrap();
    assert_eq!(reader.keyspace("s").unwrap().len().unwrap(), 100);
    assert_eq!(reader.snapshot().ordered("s").unwrap().iter().unwrap().count(), 100);
}

#[test]
fn a_reader_that_fell_far_behind_does_not_take_all_of_it_to_memory() {
    let disk = machine(4);
    let db = builder(&disk).memory_bytes(512 << 10).open("db").unwrap();
    let sorted = db.keyspace("s").unwrap();
    let reader = builder(&disk).memory_bytes(512 << 10).read_only(true).open("db").unwrap();
    let mine = reader.keyspace("s").unwrap();
    assert!(mine.is_empty().unwrap());
    let before = reader.snapshot();
    let mut most = 0;
    for round in 0..20_u32 {
        for number in 0..400_u32 {
            sorted.insert((round * 400 + number).to_be_bytes(), [7; 1_000]).unwrap();
            if round < 10 && number % 16 == 0 {
                mine.last().unwrap().unwrap();
                most = most.max(reader.stats().tables.unwrap().memtable_bytes);
            }
        }
        db.tick().unwrap();
        db.checkpoint().unwrap();
    }
    assert_eq!(mine.len().unwrap(), 8_000);
    let stats = reader.stats();
    most = most.max(stats.tables.unwrap().memtable_bytes);
    assert!(most < 1 << 20, "memtables took {most} bytes");
    assert!(before.ordered("s").unwrap().first().unwrap().is_none());
    assert!(reader.verify(&mut |_| {}).unwrap().is_intact());
}

#[test]
fn what_is_over_is_over_for_readers_and_snapshots_go_by_their_time() {
    let disk = machine(5);
    let start_ms = disk.options().start_ms;
    let db = open(&disk);
    let sorted = db.keyspace("s").unwrap();
    let ttl = |ms| WriteOptions::default().ttl(Duration::from_millis(ms));
    sorted.insert_with("short", "1", ttl(1_000)).unwrap();
    sorted.insert_with("long", "1", ttl(60_000)).unwrap();
    let reader = read(&disk);
    let mine = reader.keyspace("s").unwrap();
    let snapshot = reader.snapshot();
    assert_eq!(mine.len().unwrap(), 2);
    disk.advance_ms(2_000);
    assert!(!sorted.contains("short").unwrap());
    db.checkpoint().unwrap();
    sorted.compact().unwrap();
    disk.set_now_ms(start_ms);
    assert!(!mine.contains("short").unwrap(), "the writer has told so");
    assert_eq!(mine.len().unwrap(), 1);
    assert_eq!(snapshot.ordered("s").unwrap().iter().unwrap().count(), 2);
    assert!(!read(&disk).keyspace("s").unwrap().contains("short").unwrap());
}

#[test]
fn damage_is_named_to_readers() {
    let disk = machine(6);
    let db = open(&disk);
    let sorted = db.keyspace("s").unwrap();
    for number in 0..2_000_u32 {
        sorted.insert(number.to_be_bytes(), [number as u8; 40]).unwrap();
    }
    let hashed = db.hash_keyspace("h").unwrap();
    hashed.insert("a", "1").unwrap();
    let reader = read(&disk);
    let mine = reader.keyspace("s").unwrap();
    db.checkpoint().unwrap();
    db.tick().unwrap();
    assert_eq!(mine.len().unwrap(), 2_000);
    let (table, manifest) = (names(&disk, ".tbl")[0].clone(), names(&disk, ".man")[0].clone());
    let is_named = |error: &annals_engine::Error, name: &str| {
        let text = error.to_string();
        assert!(error.kind() == ErrorKind::Corrupt && text.contains(name), "{text}");
    };
    let path = |name: &str| PathBuf::from("db").join(name);

    // A block in the middle of a table: what lies elsewhere stays readable.
    let original = disk.file_bytes(path(&table)).unwrap();
    disk.flip_bit(path(&table), original.len() as u64 / 2, 1).unwrap();
    let reader = read(&disk);
    let mine = reader.keyspace("s").unwrap();
    is_named(&mine.len().unwrap_err(), &table);
    assert!(mine.first().unwrap().is_some() && mine.last().unwrap().is_some());
    assert!(!reader.verify(&mut |_| {}).unwrap().is_intact());
    disk.set_file_bytes(path(&table), &original).unwrap();

    // Tables that cannot be opened, or are not there.
    for bytes in [Some(&original[..original.len() - 8]), None] {
        match bytes {
            Some(bytes) => disk.set_file_bytes(path(&table), bytes).unwrap(),
            None => disk.remove(&path(&table)).unwrap(),
        }
        let reader = read(&disk);
        is_named(&reader.keyspace("s").unwrap().len().unwrap_err(), &table);
        assert!(reader.hash_keyspace("h").unwrap().contains("a").unwrap());
        disk.set_file_bytes(path(&table), &original).unwrap();
    }

    // The manifest.
    let mut damaged = disk.file_bytes(path(&manifest)).unwrap();
    damaged[100] ^= 1;
    disk.set_file_bytes(path(&manifest), &damaged).unwrap();
    for _ in 0..2 {
        let reader = read(&disk);
        is_named(&reader.keyspace("s").unwrap().len().unwrap_err(), &manifest);
        assert!(reader.hash_keyspace("h").unwrap().contains("a").unwrap());
        if disk.file_bytes(path(&manifest)).is_some() {
            disk.remove(&path(&manifest)).unwrap();
        }
    }
    let before = bytes(&disk);
    drop(builder(&disk).read_only(true).open("db"));
    assert!(bytes(&disk) == before);
}

/// Many threads of one reader, beside a writer with all its threads.
#[test]
fn readers_see_whole_commits_and_never_go_back_whatever_goes_on() {
    const KEYS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let builder = || {
        Database::builder()
            .memory_bytes(1 << 20)
            .segment_bytes(1 << 20)
            .checkpoint_every_bytes(2 << 20)
    };
    let db = builder().open(folder.path()).unwrap();
    let (sorted, hashed) = (db.keyspace("s").unwrap(), db.hash_keyspace("h").unwrap());
    let write = |round: u64| {
        let mut batch = db.batch();
        let value = [&round.to_be_bytes()[..], &[0; 100]].concat();
        for key in 0..KEYS {
            batch.insert(&sorted, key.to_be_bytes(), &value).unwrap();
        }
        batch.insert(&hashed, "round", round.to_be_bytes()).unwrap();
        batch.commit().unwrap();
    };
    let round_of = |value: &[u8]| u64::from_be_bytes(value[..8].try_into().unwrap());
    write(0);
    let reader = builder().read_only(true).open(folder.path()).unwrap();
    let (stop, told, walks) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for kind in 0..4 {
            let (reader, stop, told, walks) = (&reader, &stop, &told, &walks);
            scope.spawn(move || {
                let mine = reader.keyspace("s").unwrap();
                let mut kept: Option<(Snapshot, u64)> = None;
                let mut least = 0;
                while !stop.load(Ordering::Relaxed) {
                    least = least.max(told.load(Ordering::Acquire));
                    let rounds: Vec<u64> = match kind {
                        0 => {
                            mine.iter().unwrap().map(|one| round_of(one.unwrap().value())).collect()
                        }
                        1 => {
                            let walk = mine.iter().unwrap().rev();
                            walk.map(|one| round_of(one.unwrap().value())).collect()
                        }
                        2 => {
                            let keys: Vec<_> = (0..KEYS).map(u64::to_be_bytes).collect();
                            let found = mine.get_many(&keys).unwrap();
                            found.iter().map(|value| round_of(value.as_ref().unwrap())).collect()
                        }
                        _ => {
                            let snapshot = reader.snapshot();
                            let round = snapshot.get("h", "round").unwrap().unwrap().to_vec();
                            let round = u64::from_be_bytes(round.try_into().unwrap());
                            for (snapshot, round) in [(&snapshot, round)]
                                .into_iter()
                                .chain(kept.as_ref().map(|(one, round)| (one, *round)))
                            {
                                let seen = snapshot.ordered("s").unwrap();
                                let mut walk = seen.iter().unwrap();
                                assert!(walk.all(|one| round_of(one.unwrap().value()) == round));
                            }
                            if kept.is_none() || round % 16 == 0 {
                                kept = Some((snapshot, round));
                            }
                            vec![round; KEYS as usize]
                        }
                    };
                    assert_eq!(rounds.len() as u64, KEYS);
                    assert!(rounds.iter().all(|round| *round == rounds[0]), "half a commit");
                    assert!(rounds[0] >= least, "{} after {least}", rounds[0]);
                    least = rounds[0];
                    walks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..300 {
            write(round);
            told.store(round, Ordering::Release);
            if round % 40 == 0 {
                sorted.compact().unwrap();
                db.compact().unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(walks.load(Ordering::Relaxed) > 3);
    assert!(reader.verify(&mut |_| {}).unwrap().is_intact());
    db.close().unwrap();
    assert_eq!(reader.keyspace("s").unwrap().len().unwrap(), KEYS);
}

/// The handle goes on to newer states meanwhile; a walk that began before reads what it began with.
#[test]
fn a_walk_of_a_reader_keeps_its_values_in_the_log() {
    let disk = machine(77);
    let db = open(&disk);
    let options = TreeOptions { separate_over_bytes: Some(100), ..TreeOptions::default() };
    let sorted = db.create_keyspace("sorted", KeyspaceOptions::default(), options).unwrap();
    for number in 0..100u32 {
        sorted.insert(number.to_be_bytes(), [0; 1_000]).unwrap();
    }
    db.checkpoint().unwrap();
    let reader = read(&disk);
    let seen = reader.open_keyspace("sorted").unwrap();
    let mut walk = seen.iter().unwrap();
    assert_eq!(walk.next_entry().unwrap().map(|(_, value)| value.to_vec()), Some(vec![0; 1_000]));
    for round in 1..6u8 {
        for number in 0..100u32 {
            sorted.insert(number.to_be_bytes(), [round; 1_000]).unwrap();
        }
        sorted.compact().unwrap();
        db.compact().unwrap();
        let got = seen.get(50u32.to_be_bytes()).unwrap();
        assert_eq!(got.as_deref(), Some(&[round; 1_000][..]));
    }
    for number in 1..100u32 {
        let (key, value) = walk.next_entry().unwrap().expect("it was there");
        assert_eq!((key, value), (&number.to_be_bytes()[..], &[0; 1_000][..]));
    }
}

/// The writer knows nothing of it, and takes away what it sees.
#[test]
fn a_snapshot_of_a_reader_has_keys_that_were_removed_since() {
    let disk = machine(78);
    let db = open(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    sorted.insert("gone", "1").unwrap();
    db.checkpoint().unwrap();
    let reader = read(&disk);
    let before = reader.snapshot().ordered("sorted").unwrap();
    for round in 0..3u8 {
        sorted.remove("gone").unwrap();
        sorted.insert("more", [round]).unwrap();
        sorted.compact().unwrap();
        let now = reader.open_keyspace("sorted").unwrap();
        assert!(!now.contains("gone").unwrap() && now.contains("more").unwrap());
        assert_eq!(before.get("gone").unwrap().as_deref(), Some(&b"1"[..]));
        assert!(before.contains("gone").unwrap(), "round {round}");
        assert!(!before.contains("more").unwrap());
    }
}
