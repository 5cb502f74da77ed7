//! Several threads that flush and compact: that they work at the same time, that one of each kind does not, and
//! that nothing is lost whatever they do beside writers, snapshots and closing.

use crate::meeting::{MeetingDisk, Watch};
use annals_engine::{
    Background, Builder, Database, Durability, ErrorKind, KeyspaceOptions, OrderedKeyspace,
    Snapshot, TreeOptions,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

const FLUSH: &str = "annals-flush";
const COMPACT: &str = "annals-compact";

fn builder(disk: &Arc<MeetingDisk>, threads: usize) -> Builder {
    Database::builder()
        .disk(disk.disk())
        .durability(Durability::Buffered)
        .memory_bytes(3 << 20)
        .segment_bytes(4 << 20)
        .ordered_threads(threads)
}

/// Keyspaces of which two tables call for a compaction.
fn keyspaces(db: &Database, count: usize) -> Vec<OrderedKeyspace> {
    let tables = TreeOptions { level0_tables: 2, ..TreeOptions::default() };
    let make = |number| {
        db.create_keyspace(&format!("sorted {number}"), KeyspaceOptions::default(), tables).unwrap()
    };
    (0..count).map(make).collect()
}

/// Writes a table for each of them again and again, as long as that is not so.
fn write_until(db: &Database, sorted: &[OrderedKeyspace], is_so: impl Fn() -> bool) {
    let watch = Watch::begin();
    for round in 0_u32.. {
        for sorted in sorted {
            let records = (0..100_u32).map(|n| (n.to_be_bytes(), [round as u8; 50]));
            sorted.insert_many(records).unwrap();
        }
        db.checkpoint().unwrap();
        if is_so() {
            return;
        }
        assert!(!watch.is_over(), "{:?}", db.stats().tables);
        // They make way for each other; more tables are not what it takes.
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn two_threads_compact_two_keyspaces_at_once() {
    let disk = MeetingDisk::new();
    let db = builder(&disk, 2).open("db").unwrap();
    let sorted = keyspaces(&db, 2);
    disk.expect(COMPACT, 2);
    write_until(&db, &sorted, || disk.have_met());
    for sorted in &sorted {
        assert_eq!(sorted.len().unwrap(), 100);
    }
    drop(sorted);
    db.close().unwrap();
}

#[test]
fn two_threads_flush_two_keyspaces_at_once() {
    let disk = MeetingDisk::new();
    let db = builder(&disk, 2).open("db").unwrap();
    let sorted = keyspaces(&db, 2);
    disk.expect(FLUSH, 2);
    let watch = Watch::begin();
    // More than a memtable for each, and less than there is memory for: nobody but the threads flushes.
    for sorted in &sorted {
        for number in 0..400_u32 {
            sorted.insert(number.to_be_bytes(), [7; 1_500]).unwrap();
        }
    }
    while !disk.have_met() {
        assert!(!watch.is_over(), "{:?}, {:?}", disk.began(FLUSH), db.stats().tables);
        thread::sleep(Duration::from_millis(5));
    }
    for sorted in &sorted {
        assert_eq!(sorted.len().unwrap(), 400);
    }
    drop(sorted);
    db.close().unwrap();
}

/// Of each kind there is one thread, so nothing of a kind is ever done beside another.
#[test]
fn one_thread_does_one_thing_after_the_other() {
    let disk = MeetingDisk::new();
    let db = builder(&disk, 1).open("db").unwrap();
    let sorted = keyspaces(&db, 3);
    let value = [7; 1_500];
    let watch = Watch::begin();
    let mut number = 0_u32;
    while disk.began(FLUSH).1 < 6 || disk.began(COMPACT).1 < 4 {
        for sorted in &sorted {
            sorted.insert((number % 700).to_be_bytes(), value).unwrap();
        }
        number += 1;
        assert!(!watch.is_over(), "{:?} {:?}", disk.began(FLUSH), disk.began(COMPACT));
    }
    assert_eq!((disk.began(FLUSH).0, disk.began(COMPACT).0), (1, 1));
    drop(sorted);
    db.close().unwrap();
    assert_eq!((disk.began(FLUSH).0, disk.began(COMPACT).0), (1, 1));
}

#[test]
fn closing_ends_all_that_compact() {
    let disk = MeetingDisk::new();
    // None of them would end by itself.
    let db = builder(&disk, 3).compaction_bytes_per_s(1).open("db").unwrap();
    let sorted = keyspaces(&db, 3);
    disk.expect(COMPACT, 3);
    write_until(&db, &sorted, || disk.have_met());
    drop(sorted);
    db.close().unwrap();
    let db = builder(&disk, 3).open("db").unwrap();
    for number in 0..3 {
        let sorted = db.open_keyspace(&format!("sorted {number}")).unwrap();
        assert_eq!(sorted.len().unwrap(), 100);
    }
}

fn fill(sorted: &OrderedKeyspace, count: u32) {
    for number in 0..count {
        sorted.insert(number.to_be_bytes(), [number as u8; 700]).unwrap();
    }
}

#[test]
fn closing_at_any_moment_loses_nothing() {
    for round in 1..9_u32 {
        let disk = MeetingDisk::new();
        let threads = 1 + round as usize % 4;
        let db = builder(&disk, threads).memory_bytes(256 << 10).open("db").unwrap();
        let sorted = keyspaces(&db, 4);
        thread::scope(|scope| {
            for sorted in &sorted {
                scope.spawn(move || fill(sorted, 150 * round));
            }
        });
        drop(sorted);
        db.close().unwrap();
        let db = builder(&disk, threads).open("db").unwrap();
        assert!(db.recovery().clean, "{:?}", db.recovery());
        for number in 0..4 {
            let sorted = db.open_keyspace(&format!("sorted {number}")).unwrap();
            assert_eq!(sorted.len().unwrap(), u64::from(150 * round));
            for number in 0..150 * round {
                let found = sorted.get(number.to_be_bytes()).unwrap();
                assert_eq!(found.as_deref(), Some(&[number as u8; 700][..]));
            }
        }
    }
}

#[test]
fn a_thread_that_panics_stops_writes_and_the_others() {
    let disk = MeetingDisk::new();
    let db = builder(&disk, 3).open("db").unwrap();
    let sorted = keyspaces(&db, 3);
    disk.panics.store(true, Ordering::SeqCst);
    let watch = Watch::begin();
    let refused = 'writing: loop {
        for sorted in &sorted {
            if let Err(error) = sorted.insert_many((0..100_u32).map(|n| (n.to_be_bytes(), "x"))) {
                break 'writing error;
            }
        }
        if let Err(error) = db.checkpoint() {
            break error;
        }
        assert!(!watch.is_over(), "{:?}", disk.began(COMPACT));
    };
    assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused}");
    assert!(db.stats().poisoned.unwrap().contains("panicked"));
    assert_eq!(sorted[0].len().unwrap(), 100, "reads go on");
    drop(sorted);
    // The other threads end.
    drop(db.close());
    let db = builder(&disk, 3).open("db").unwrap();
    for number in 0..3 {
        let sorted = db.open_keyspace(&format!("sorted {number}")).unwrap();
        assert_eq!(sorted.len().unwrap(), 100);
    }
}

/// A disk that is full refuses the same table again and again: it is tried once a round, until there is space.
#[test]
fn what_a_full_disk_refuses_is_tried_again_but_not_all_the_time() {
    for threads in [1, 3] {
        let disk = MeetingDisk::new();
        let db = builder(&disk, threads).memory_bytes(128 << 10).open("db").unwrap();
        let sorted = keyspaces(&db, 3);
        disk.sim.set_capacity(0);
        disk.expect(FLUSH, 0);
        let watch = Watch::begin();
        let write = |number: u32| {
            let write = |sorted: &OrderedKeyspace| {
                sorted.insert(number.to_be_bytes(), [7; 1_000]).map(drop)
            };
            sorted.iter().try_for_each(write)
        };
        let (written, refused) =
            (0..).find_map(|number| Some((number, write(number).err()?))).unwrap();
        assert_eq!(refused.kind(), ErrorKind::Full, "{refused}");
        while disk.began(FLUSH).1 < 4 * threads {
            assert!(!watch.is_over(), "{:?}", disk.began(FLUSH));
            thread::sleep(Duration::from_millis(5));
        }
        let (tried, rounds) = (disk.began(FLUSH).1, watch.elapsed().as_millis() as usize / 500);
        assert!(tried <= threads * (rounds + 2), "{tried} times in {rounds} rounds");
        disk.sim.clear_capacity();
        let watch = Watch::begin();
        while let Err(error) = write(written) {
            assert!(!watch.is_over(), "{error}");
            thread::sleep(Duration::from_millis(5));
        }
        for sorted in &sorted {
            assert_eq!(sorted.len().unwrap(), u64::from(written) + 1);
        }
        drop(sorted);
        db.close().unwrap();
    }
}

#[test]
fn more_threads_than_make_sense_are_refused() {
    let disk = MeetingDisk::new();
    let refused = builder(&disk, 65).open("db").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let what = "setting `ordered_threads` is 65, allowed is 0 to 64";
    assert!(refused.to_string().contains(what), "{refused}");
    assert!(disk.sim.paths().is_empty(), "nothing was made");
    for threads in [0, 64] {
        let db = builder(&disk, threads).background(Background::Threads).open("db").unwrap();
        db.keyspace("sorted").unwrap().insert("ada", "12").unwrap();
        db.close().unwrap();
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// The part of the keys that one writer has to itself, in each of the keyspaces.
struct Writer {
    number: u64,
    state: u64,
    models: Vec<Model>,
    kept: Vec<(Snapshot, Vec<Model>)>,
}

impl Writer {
    fn below(&mut self, end: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end
    }

    fn key(&self, at: u64) -> Vec<u8> {
        format!("{}/{at:04}", self.number).into_bytes()
    }

    fn step(&mut self, sorted: &[OrderedKeyspace]) {
        let which = self.below(sorted.len() as u64) as usize;
        let (sorted, at) = (&sorted[which], self.below(400));
        let key = self.key(at);
        match self.below(20) {
            0..=2 => {
                sorted.remove(&key).unwrap();
                self.models[which].remove(&key);
            }
            3 => {
                let end = at + self.below(30);
                let to = self.key(end);
                sorted.remove_range(&key[..]..&to[..]).unwrap();
                self.models[which].retain(|known, _| *known < key || to <= *known);
            }
            _ => {
                let value = vec![self.below(256) as u8; self.below(600) as usize];
                sorted.insert(&key, &value).unwrap();
                self.models[which].insert(key, value);
            }
        }
    }

    /// Whether a walk over the writer's keys finds what the model has.
    fn check(&self, found: impl Iterator<Item = (Vec<u8>, Vec<u8>)>, model: &Model, context: &str) {
        let expected = model.iter().map(|(key, value)| (key.clone(), value.clone()));
        assert!(found.eq(expected), "writer {}, {context}", self.number);
    }

    fn check_all(&self, sorted: &[OrderedKeyspace]) {
        let prefix = format!("{}/", self.number);
        for (sorted, model) in sorted.iter().zip(&self.models) {
            let walk = sorted.prefix(&prefix).unwrap();
            self.check(walk.map(|entry| entry.unwrap().to_vecs()), model, "now");
        }
        for (snapshot, models) in &self.kept {
            for (sorted, model) in sorted.iter().zip(models) {
                let seen = snapshot.ordered(sorted.name()).unwrap();
                let walk = seen.prefix(&prefix).unwrap();
                let context = format!("at {:?}", snapshot.seq());
                self.check(walk.map(|entry| entry.unwrap().to_vecs()), model, &context);
            }
        }
    }
}

#[test]
fn writers_and_snapshots_beside_several_threads_agree_with_the_model() {
    const KEYSPACES: usize = 3;
    let folder = tempfile::tempdir().unwrap();
    let builder = Database::builder()
        .durability(Durability::Buffered)
        .memory_bytes(192 << 10)
        .segment_bytes(1 << 20)
        .checkpoint_every_bytes(1 << 20)
        .ordered_threads(3);
    let db = builder.clone().open(folder.path()).unwrap();
    // Small tables, so that there are several levels.
    let tables = TreeOptions {
        level0_tables: 2,
        table_bytes: 16 << 10,
        base_bytes: 32 << 10,
        ratio: 4,
        ..TreeOptions::default()
    };
    let make = |number: usize| {
        let name = format!("sorted {number}");
        db.create_keyspace(&name, KeyspaceOptions::default(), tables).unwrap()
    };
    let sorted: Vec<_> = (0..KEYSPACES).map(make).collect();
    let write = |number: u64| {
        let mut writer = Writer {
            number,
            state: number + 1,
            models: vec![Model::new(); KEYSPACES],
            kept: Vec::new(),
        };
        for step in 0..6_000 {
            writer.step(&sorted);
            match step % 500 {
                99 => writer.kept.push((db.snapshot(), writer.models.clone())),
                299 => writer.check_all(&sorted),
                499 if writer.kept.len() > 2 => drop(writer.kept.remove(0)),
                _ => {}
            }
            if number == 0 && step % 2_000 == 1_999 {
                sorted[0].compact().unwrap();
            }
        }
        writer.check_all(&sorted);
        writer.kept.clear();
        writer
    };
    let writers: Vec<Writer> = thread::scope(|scope| {
        let write = &write;
        let all: Vec<_> = (0..3).map(|number| scope.spawn(move || write(number))).collect();
        all.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let trees: Vec<_> = db.stats().keyspaces.into_iter().filter_map(|one| one.tree).collect();
    assert!(trees.iter().all(|tree| tree.flushes > 3 && tree.compactions > 1), "{trees:?}");
    drop(sorted);
    db.close().unwrap();
    let db = builder.open(folder.path()).unwrap();
    let sorted: Vec<_> =
        (0..KEYSPACES).map(|n| db.open_keyspace(&format!("sorted {n}")).unwrap()).collect();
    writers.iter().for_each(|writer| writer.check_all(&sorted));
    let report = db.verify(&mut |_| {}).unwrap();
    assert!(report.is_intact(), "{report:?}");
}
