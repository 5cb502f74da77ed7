//! A store that is only read, beside the one that writes: it moves on with the manifest and the log, keeps
//! what its readers began with, and changes nothing.

use crate::support::{
    Change, Log, Numbers, State, TREE, backward, config, create, dir, disk, dropped_bytes, files,
    forward, loaded, newest, open, options, place, read_only, seen, work,
};
use annals_disk::{Disk, SimDisk};
use annals_ordered::{AsOf, Error, FileName, Follower, Result, Store, StoreConfig, View};
use std::{path::PathBuf, sync::Arc};

/// A reader in another process.
struct Reader {
    store: Store,
    follower: Follower,
    disk: SimDisk,
    /// How much of the log it has read.
    seq: u64,
    /// Views of earlier states, with what they must show for ever.
    kept: Vec<(Arc<View>, AsOf, State)>,
}

impl Reader {
    fn open(disk: &SimDisk, log: &Log) -> Self {
        let (store, mut follower) = read_only(disk, config()).unwrap();
        follower.show(u64::MAX);
        let seq = store.tree(TREE).unwrap().flushed_through();
        let mut reader = Self { store, follower, disk: disk.clone(), seq, kept: Vec::new() };
        reader.read_log(log);
        reader
    }

    fn look(&mut self) {
        self.follower.look(|| place(&self.disk)).unwrap();
    }

    fn read_log(&mut self, log: &Log) {
        let tree = self.store.tree(TREE).unwrap();
        for (seq, change) in (1..).zip(&log.changes).skip(self.seq as usize) {
            tree.apply([change.record(seq)], 0).unwrap();
        }
        self.seq = log.seq();
    }

    fn check(&self, log: &Log, now_ms: u64, context: &str) {
        let as_of = AsOf { seq: self.seq, now_ms };
        let view = self.store.tree(TREE).unwrap().view();
        check(&view, &log.state, as_of, context);
        for (view, as_of, state) in &self.kept {
            check(view, state, *as_of, &format!("{context}, kept since {}", as_of.seq));
        }
    }

    fn keep(&mut self, log: &Log, now_ms: u64) {
        let view = self.store.tree(TREE).unwrap().view();
        self.kept.push((view, AsOf { seq: self.seq, now_ms }, log.state.clone()));
    }
}

fn check(view: &View, state: &State, as_of: AsOf, context: &str) {
    let expected = seen(state, as_of.now_ms);
    assert_eq!(forward(&mut view.cursor(&[], None, as_of)), expected, "{context}: forward");
    assert_eq!(backward(&mut view.cursor(&[], None, as_of)), expected, "{context}: backward");
    for (key, value) in &expected {
        let found = view.get_with(key, as_of, |entry| entry.value.to_vec()).unwrap();
        assert_eq!(found.as_ref(), Some(value), "{context}: {}", key.escape_ascii());
    }
}

fn changes(numbers: &mut Numbers, now_ms: u64) -> Vec<Change> {
    let key = |numbers: &mut Numbers| vec![b'a' + numbers.below(20) as u8, numbers.below(6) as u8];
    let some = (0..1 + numbers.below(12)).map(|_| match numbers.below(12) {
        0 => {
            let (one, other) = (key(numbers), key(numbers));
            Change::RemoveRange { from: one.clone().min(other.clone()), to: one.max(other) }
        }
        1 | 2 => Change::Remove { key: key(numbers) },
        3 => Change::Put {
            key: key(numbers),
            value: vec![1; 30],
            expires_ms: Some(now_ms + numbers.below(40)),
        },
        _ => Change::put(&key(numbers), &[numbers.below(256) as u8; 60]),
    });
    some.collect()
}

/// All files of the directory with their bytes.
fn bytes(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = disk.paths().into_iter().filter(|path| path.starts_with("db"));
    paths.map(|path| (path.clone(), disk.file_bytes(&path).unwrap_or_default())).collect()
}

#[test]
fn a_reader_follows_flushes_and_compactions_and_keeps_what_it_has() {
    let mut shown = 0;
    for seed in 0..30 {
        let disk = disk(seed);
        let store = create(&disk).unwrap();
        let tree = store.create_tree(TREE, options()).unwrap();
        let (mut numbers, mut log) = (Numbers::new(seed + 1), Log::default());
        let mut now_ms = 1000;
        let mut reader = Reader::open(&disk, &log);
        for round in 0..80 {
            let context = format!("seed {seed}, round {round}");
            now_ms += numbers.below(8);
            log.write(&tree, &changes(&mut numbers, now_ms), now_ms).unwrap();
            if numbers.below(3) == 0 {
                tree.seal();
            }
            if numbers.below(3) == 0 {
                work(&store, now_ms).unwrap();
            }
            // The reader looks, is slow, and the writer goes on before it has read the log.
            let looks = numbers.below(4) > 0;
            if looks {
                reader.look();
            }
            if numbers.below(2) == 0 {
                log.write(&tree, &changes(&mut numbers, now_ms), now_ms).unwrap();
                tree.seal();
                work(&store, now_ms).unwrap();
            }
            let before = bytes(&disk);
            if looks {
                let flushed = reader.store.tree(TREE).unwrap().flushed_through();
                reader.follower.show(reader.seq);
                reader.read_log(&log);
                reader.check(&log, now_ms, &context);
                reader.follower.show(reader.seq);
                shown += u64::from(reader.store.tree(TREE).unwrap().flushed_through() > flushed);
                assert!(reader.store.tree(TREE).unwrap().flushed_through() <= reader.seq);
                reader.check(&log, now_ms, &context);
            }
            if looks && numbers.below(6) == 0 {
                reader.keep(&log, now_ms);
            }
            if reader.kept.len() > 3 {
                reader.kept.remove(0);
            }
            if numbers.below(30) == 0 {
                reader = Reader::open(&disk, &log);
                reader.check(&log, now_ms, &context);
            }
            assert!(bytes(&disk) == before, "{context}: a reader changed something");
        }
    }
    assert!(shown > 300, "{shown} times");
}

/// Tables lack what was replaced: shown before the log is read, they would hide what the reader sees.
#[test]
fn tables_are_not_shown_before_their_log_was_read() {
    let disk = disk(1);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let mut log = Log::default();
    log.write(&tree, &[Change::put(b"key", b"old")], 0).unwrap();
    tree.seal();
    work(&store, 0).unwrap();
    let mut reader = Reader::open(&disk, &log);
    let before = log.clone();
    log.write(&tree, &[Change::put(b"key", b"new")], 0).unwrap();
    tree.seal();
    work(&store, 0).unwrap();
    tree.compact_range(None, 0).unwrap();
    assert!(reader.store.may_have_more());
    reader.look();
    assert!(!reader.store.may_have_more());
    reader.follower.show(reader.seq);
    reader.check(&before, 0, "before the log is read");
    reader.read_log(&log);
    reader.follower.show(reader.seq);
    reader.check(&log, 0, "after it");
    // Else it would not see what was there: the new version stands as the oldest one, or hides it.
    let (hasty, mut follower) = read_only(&disk, config()).unwrap();
    follower.show(u64::MAX);
    let then = AsOf { seq: before.seq(), now_ms: 0 };
    let seen = hasty.tree(TREE).unwrap().get(b"key", then).unwrap();
    assert_ne!(seen.as_deref(), Some(&b"old"[..]));
    assert_eq!(reader.store.tree(TREE).unwrap().unflushed_from(), None);
}

#[test]
fn a_reader_goes_over_to_the_next_manifest() {
    let disk = disk(2);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let mut log = Log::default();
    let mut readers = [Reader::open(&disk, &log), Reader::open(&disk, &log)];
    let first = store.manifest_place().number;
    let mut rolled = 0;
    for round in 0..2_000_u64 {
        let key = (round % 50).to_be_bytes();
        log.write(&tree, &[Change::put(&key, &[round as u8; 40])], 0).unwrap();
        tree.seal();
        let number = store.manifest_place().number;
        work(&store, 0).unwrap();
        let is_rolled = store.manifest_place().number != number;
        rolled += u64::from(is_rolled);
        // One is quick, the other one has to pass over several.
        let quick = if is_rolled { 2 } else { usize::from(round % 97 == 0) };
        for reader in readers.iter_mut().take(quick.max(1)) {
            reader.look();
            reader.read_log(&log);
            reader.follower.show(reader.seq);
        }
        if is_rolled {
            assert_eq!(readers[0].store.manifest_place(), store.manifest_place());
            readers[0].check(&log, 0, &format!("round {round}"));
        }
        if rolled == 3 {
            break;
        }
    }
    assert!(rolled == 3 && store.manifest_place().number != first, "{rolled}");
    assert_eq!(dropped_bytes(&tree, "at the end"), 0, "the next manifest goes on counting");
    for reader in &readers {
        reader.check(&log, 0, "at the end");
        assert_eq!(reader.store.tree(TREE).unwrap().stats().life, tree.stats().life);
    }
    assert_eq!(readers[0].store.tree(TREE).unwrap().stats().memtable_bytes, memtable_of_nothing());
}

fn memtable_of_nothing() -> u64 {
    let disk = disk(3);
    let tree = create(&disk).unwrap().create_tree(TREE, options()).unwrap();
    tree.stats().memtable_bytes
}

#[test]
fn trees_come_and_go_and_what_is_unknown_gets_no_tables() {
    let disk = disk(4);
    let store = create(&disk).unwrap();
    store.create_tree(TREE, options()).unwrap();
    let log = Log::default();
    let mut reader = Reader::open(&disk, &log);
    let more = store.create_tree(TREE + 1, options()).unwrap();
    let put = Change::put(b"key", b"value");
    more.apply([put.record(1)], 0).unwrap();
    more.seal();
    work(&store, 0).unwrap();
    assert!(reader.store.tree(TREE + 1).is_none());
    reader.look();
    let seen = reader.store.tree(TREE + 1).unwrap();
    assert_eq!(seen.options(), &options());
    assert_eq!(seen.get(b"key", newest(0)).unwrap(), None, "not before its record was read");
    seen.apply([put.record(1)], 0).unwrap();
    reader.follower.show(1);
    assert_eq!(seen.stats().levels[0].tables, 1);
    assert_eq!(seen.get(b"key", newest(0)).unwrap(), Some(b"value".to_vec()));
    let kept = seen.view();
    store.drop_tree(TREE + 1).unwrap();
    work(&store, 0).unwrap();
    reader.look();
    reader.follower.show(1);
    assert!(reader.store.tree(TREE + 1).is_none());
    let found = kept.get_with(b"key", newest(0), |entry| entry.value.to_vec()).unwrap();
    assert_eq!(found, Some(b"value".to_vec()), "its file lives on for who has it open");
    let passing = reader.follower.passing_tree(TREE + 2);
    passing.apply([put.record(2)], 0).unwrap();
    assert_eq!(passing.get(b"key", newest(0)).unwrap(), Some(b"value".to_vec()));
}

#[test]
fn memtables_that_the_tables_cover_are_known_before_they_go() {
    let disk = disk(5);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let mut log = Log::default();
    let small =
        StoreConfig { memory_bytes: 8 << 10, memtable_bytes: 4 << 10, cache_bytes: 0, ..config() };
    let (reading, mut follower) = read_only(&disk, small).unwrap();
    let seen = reading.tree(TREE).unwrap();
    let mut flushed = 0;
    for round in 0..200_u64 {
        log.write(&tree, &[Change::put(&round.to_be_bytes(), &[1; 300])], 0).unwrap();
        seen.apply([log.changes.last().unwrap().record(log.seq())], 0).unwrap();
        if round == 150 {
            tree.seal();
            work(&store, 0).unwrap();
            flushed = log.seq();
        }
    }
    assert!(seen.stats().sealed_memtables > 5 && follower.is_short());
    assert!(!follower.would_let_go(), "nothing was looked at");
    let before = seen.stats();
    follower.look(|| place(&disk)).unwrap();
    assert!(follower.would_let_go());
    follower.show(log.seq());
    let after = seen.stats();
    assert!(after.sealed_bytes < before.sealed_bytes / 2, "{before:?} {after:?}");
    let lowest = seen.unflushed_from().unwrap();
    assert!(lowest <= flushed + 1, "{lowest} is in memory, tables have all up to {flushed}");
    check(&seen.view(), &log.state, newest(0), "with some records in both");
    assert!(reading.next_work(0).is_none() && !reading.has_work(0));
}

#[test]
fn a_store_that_is_read_takes_no_change() {
    let disk = disk(6);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let mut log = Log::default();
    log.write(&tree, &[Change::put(b"a", b"1")], 0).unwrap();
    tree.seal();
    work(&store, 0).unwrap();
    drop((tree, store));
    // What a crash has left without an owner stays too.
    let stray = FileName::Table(900).path(&dir());
    disk.create(&stray).unwrap().append(b"stray").unwrap();
    let before = bytes(&disk);
    let (reading, mut follower) = read_only(&disk, config()).unwrap();
    follower.show(u64::MAX);
    let tree = reading.tree(TREE).unwrap();
    let refused = |outcome: Result<()>| assert!(matches!(outcome, Err(Error::ReadOnly)));
    refused(reading.create_tree(9, options()).map(drop));
    refused(reading.drop_tree(TREE));
    refused(tree.compact_range(None, 0));
    refused(reading.load(options(), 0).map(drop));
    tree.apply([Change::put(b"b", b"2").record(2)], 0).unwrap();
    tree.seal();
    assert!(reading.next_work(0).is_none());
    let mut damages = 0;
    reading.verify(&mut |_, _| damages += 1).unwrap();
    assert_eq!(damages, 0);
    drop((tree, reading, follower));
    assert!(bytes(&disk) == before);
    assert!(files(&disk).len() == 3, "the stray is left to who opens it for writing");
    drop(open(&disk).unwrap());
    assert_eq!(files(&disk).len(), 2);
}

/// A load is shown where the log comes to it, and only if it is all that the tables have by then.
#[test]
fn what_a_tree_was_loaded_with_is_shown_before_the_end_of_the_log() {
    const OTHER: u32 = TREE + 1;
    let disk = disk(8);
    let store = create(&disk).unwrap();
    let mut log = Log::default();
    let records = (0..200u8).map(|n| (vec![n], vec![n; 40]));
    store.create_tree(OTHER, options()).unwrap();
    let (reading, mut follower) = read_only(&disk, config()).unwrap();
    follower.show(u64::MAX);
    let tree = loaded(&store, &mut log, options(), records).unwrap();
    assert!(!follower.show_loaded(TREE), "nobody has looked");
    follower.look(|| place(&disk)).unwrap();
    assert!(reading.tree(TREE).unwrap().first(newest(0)).unwrap().is_none(), "not shown yet");
    tree.compact_range(None, 0).unwrap();
    assert!(follower.show_loaded(TREE));
    check(&reading.tree(TREE).unwrap().view(), &log.state, newest(0), "loaded");
    follower.look(|| place(&disk)).unwrap();
    assert!(follower.show_loaded(TREE), "it was written anew, and nothing was added");
    check(&reading.tree(TREE).unwrap().view(), &log.state, newest(0), "compacted");
    follower.show(0);
    check(&reading.tree(TREE).unwrap().view(), &log.state, newest(0), "shown");

    // One that its maker gave up, and another one of its number that is empty or is loaded with less.
    store.drop_tree(TREE).unwrap();
    let few = |count: u8| (0..count).map(|n| (vec![n], vec![]));
    for count in [0, 3] {
        let mut log = Log::default();
        let tree = loaded(&store, &mut log, options(), few(count)).unwrap();
        follower.look(|| place(&disk)).unwrap();
        if count > 0 {
            assert!(follower.show_loaded(TREE));
        }
        let seen = reading.tree(TREE).unwrap();
        check(&seen.view(), &log.state, newest(0), "another one");
        // From its first flush on the tables have what the log has to tell first.
        log.write(&tree, &[Change::put(b"a", b"1")], 0).unwrap();
        tree.seal();
        work(&store, 0).unwrap();
        follower.look(|| place(&disk)).unwrap();
        assert!(!follower.show_loaded(TREE));
        store.drop_tree(TREE).unwrap();
    }
    follower.look(|| place(&disk)).unwrap();
    assert!(!follower.show_loaded(TREE), "it is gone");
}

#[test]
fn what_is_damaged_or_missing_is_named_to_readers() {
    let disk = disk(7);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let mut log = Log::default();
    let mut reader = Reader::open(&disk, &log);
    let mut flush = |count: u64| {
        for _ in 0..count {
            log.write(&tree, &[Change::put(b"a", b"1")], 0).unwrap();
            tree.seal();
            store.next_flush(0).unwrap().run().unwrap();
        }
        log.clone()
    };
    let here = reader.store.manifest_place().synced_bytes;
    let log = flush(2);
    let manifest = FileName::Manifest(store.manifest_place().number).path(&dir());
    disk.flip_bit(&manifest, here + 40, 2).unwrap();
    assert!(reader.store.may_have_more());
    for _ in 0..2 {
        let error = reader.follower.look(|| place(&disk)).unwrap_err();
        let Error::Damaged { path, offset, .. } = error else { panic!("{error}") };
        assert_eq!((path, offset), (manifest.clone(), here));
    }
    assert!(matches!(read_only(&disk, config()), Err(Error::Damaged { .. })));
    let verified = reader.follower.verify_manifest(|| place(&disk));
    assert!(matches!(verified, Err(Error::Damaged { .. })), "{verified:?}");
    // It goes on with what it has.
    reader.read_log(&log);
    reader.check(&log, 0, "with a damaged manifest");
    disk.flip_bit(&manifest, here + 40, 2).unwrap();

    let table = files(&disk).into_iter().find(|name| name.ends_with(".tbl")).unwrap();
    let table = dir().join(table);
    let original = disk.file_bytes(&table).unwrap();
    disk.remove(&table).unwrap();
    reader.look();
    reader.follower.show(reader.seq);
    let lost = reader.store.lost_tables();
    assert_eq!(lost[0].damaged_path(), Some(&*table), "{lost:?}");
    disk.set_file_bytes(&table, &original).unwrap();
    let mut reader = Reader::open(&disk, &log);
    reader.look();
    reader.follower.show(reader.seq);
    reader.check(&log, 0, "once all is there again");
    assert_eq!(reader.store.manifest_place(), store.manifest_place());
}
