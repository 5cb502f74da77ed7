//! Tables that are missing or damaged: their keys are errors that name file, offset and keys, all else goes
//! on, and nothing that was done meanwhile is wrong when the file is put back.

use crate::support::*;
use annals_disk::{Disk, SimDisk};
use annals_ordered::{
    AsOf, Error, FileName, KeyRange, Store, Style, Tree, TreeOptions, View, read_manifest,
};
use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
    sync::Arc,
};

fn begun(seed: u64, options: TreeOptions) -> (SimDisk, Store, Tree) {
    let disk = disk(seed);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options).unwrap();
    (disk, store, tree)
}

fn reopened(disk: &SimDisk) -> (SimDisk, Store, Tree) {
    let disk = disk.restart_clean();
    let store = open(&disk).unwrap();
    let tree = store.tree(TREE).unwrap();
    (disk, store, tree)
}

fn key(number: u64) -> Vec<u8> {
    format!("{number:05}").into_bytes()
}

fn put(number: u64, value: &[u8]) -> Change {
    Change::put(&key(number), value)
}

/// The tables of the tree: their level, their path and their keys.
fn tables(disk: &SimDisk) -> Vec<(usize, PathBuf, KeyRange)> {
    let state = read_manifest(disk, &dir(), ID, Root::place(disk).unwrap()).unwrap().state;
    let tables = state.trees[&TREE].levels.tables();
    let path = |number| FileName::Table(number).path(&dir());
    tables.map(|(level, table)| (level, path(table.number), table.range.clone())).collect()
}

/// Keys with their values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What is told of a tree around damage, and the damage.
fn salvaged(view: &Arc<View>) -> (Pairs, Vec<Error>) {
    let (mut found, mut damages) = (Vec::new(), Vec::new());
    let mut salvage = view.salvage(b"", None, newest(0));
    while let Some(next) = salvage.next_entry() {
        match next {
            Ok(entry) => found.push((entry.key.to_vec(), entry.value.to_vec())),
            Err(error) => damages.push(error),
        }
    }
    (found, damages)
}

/// A tree with several levels, all on disk.
fn with_tables(seed: u64) -> (SimDisk, Log) {
    let (disk, store, tree) = begun(seed, options());
    let mut log = Log::default();
    let mut numbers = Numbers::new(seed);
    for round in 0..12u8 {
        let changes: Vec<_> = (0..60).map(|_| put(numbers.below(900), &[round; 20])).collect();
        log.write(&tree, &changes, 0).unwrap();
        tree.seal();
        work(&store, 0).unwrap();
    }
    (disk, log)
}

/// What may happen to a file.
fn damages(disk: &SimDisk, path: &PathBuf) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let whole = disk.file_bytes(path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        Some(bytes)
    };
    vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("cut off", Some(whole[..whole.len() - 100].to_vec())),
        ("of another kind", flipped(1)),
        ("with another header", flipped(30)),
        ("with another footer", flipped(whole.len() - 40)),
        ("with other properties", flipped(whole.len() - 90)),
        ("of another version", Some(of_another_version(&whole))),
        ("of the other byte order", Some(of_other_byte_order(&whole))),
    ]
}

/// The table `whole` as a build to come might have begun it: its header is intact.
fn of_another_version(whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn of_other_byte_order(whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    bytes.swap(10, 11);
    bytes
}

/// Why a table is lost can be told apart: one that another build wrote is to be opened with that build.
#[test]
fn a_table_of_another_format_is_lost_with_that_for_its_cause() {
    let (before, _) = with_tables(6);
    let (_, path, _) = tables(&before).pop().unwrap();
    let whole = before.file_bytes(&path).unwrap();
    for bytes in [of_another_version(&whole), of_other_byte_order(&whole)] {
        let disk = before.restart_clean();
        disk.set_file_bytes(&path, &bytes).unwrap();
        let (_disk, store, _) = reopened(&disk);
        let [lost] = &store.lost_tables()[..] else { panic!("{:?}", store.lost_tables()) };
        assert!(lost.is_other_format(), "{lost}");
        let Error::KeysLost { cause, .. } = lost else { panic!("{lost}") };
        match &**cause {
            Error::Version { found: 2, expected: 1, .. } => assert_eq!(bytes[8], 2),
            Error::ByteOrder { .. } => assert_eq!(bytes[8], 1),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_lost_table_is_an_error_of_its_keys_and_all_else_goes_on() {
    let (before, log) = with_tables(1);
    let all = tables(&before);
    let levels: std::collections::BTreeSet<usize> = all.iter().map(|(level, ..)| *level).collect();
    assert!(levels.len() > 1 && all.len() > 5, "{all:?}");
    for (level, path, range) in [&all[0], &all[all.len() / 2], &all[all.len() - 1]] {
        let whole = before.file_bytes(path).unwrap();
        for (what, bytes) in damages(&before, path) {
            let context = format!("a table of level {level} that is {what}");
            let disk = before.restart_clean();
            match &bytes {
                Some(bytes) => disk.set_file_bytes(path, bytes).unwrap(),
                None => disk.remove(path).unwrap(),
            }
            let log = go_on_without(&disk, log.clone(), path, range, &context);
            // The file is found again: nothing else was lost by what was done without it.
            disk.set_file_bytes(path, &whole).unwrap();
            let (_, store, tree) = reopened(&disk);
            log.replay(&tree, tree.flushed_through(), 0).unwrap();
            check(&tree, &log.state, newest(0), &context);
            tree.seal();
            work(&store, 0).unwrap();
            tree.compact_range(None, 0).unwrap();
            check(&tree, &log.state, newest(0), &context);
        }
    }
}

/// Reads and writes where the table at `path` is lost.
fn go_on_without(
    disk: &SimDisk,
    mut log: Log,
    path: &PathBuf,
    range: &KeyRange,
    context: &str,
) -> Log {
    let store = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let tree = store.tree(TREE).unwrap();
    let told = |error: &Error| {
        let text = error.to_string();
        let named = text.contains(&*path.file_name().unwrap().to_string_lossy());
        assert!(error.is_damage() && named, "{context}: {text}");
        assert!(text.contains(&range.to_string()), "{context}: {text}");
    };
    let [lost] = &store.lost_tables()[..] else { panic!("{context}") };
    told(lost);
    let mut damaged = 0;
    for (key, (value, _)) in &log.state {
        match tree.get(key, newest(0)) {
            Ok(found) => assert_eq!(found.as_ref(), Some(value), "{context}"),
            Err(error) => {
                told(&error);
                assert!(range.contains(key), "{context}: {}", key.escape_ascii());
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "{context}");
    let mut named = Vec::new();
    store.verify(&mut |_, damage| named.push(damage)).unwrap();
    let [damage] = &named[..] else { panic!("{context}: {named:?}") };
    assert_eq!(damage.path, *path, "{context}");
    assert_eq!(damage.from.as_deref(), Some(&*range.first), "{context}");
    // A walk up to there sees all, one that comes there is told.
    let walked = forward(&mut tree.cursor(b"", Some(&range.first), newest(0)));
    let expected = seen(&log.state, 0);
    let until = expected.partition_point(|(key, _)| **key < *range.first);
    assert_eq!(walked, expected[..until], "{context}");
    let mut cursor = tree.cursor(b"", None, newest(0));
    let mut moved = cursor.to_last();
    while moved.is_ok() && cursor.entry().is_some() {
        moved = cursor.retreat();
    }
    told(&moved.unwrap_err());

    // Writes go on, and what is newer is told also of the keys of the lost table.
    let inside: Vec<Vec<u8>> =
        log.state.keys().filter(|key| range.contains(key)).step_by(3).cloned().collect();
    let changes: Vec<_> = inside.iter().map(|key| Change::put(key, b"anew")).collect();
    log.write(&tree, &changes, 0).unwrap();
    let more: Vec<_> = (0..50).map(|number| put(number * 31 % 900, b"more")).collect();
    for change in more.chunks(10) {
        log.write(&tree, change, 0).unwrap();
        tree.seal();
        work(&store, 0).unwrap_or_else(|error| panic!("{context}: {error}"));
    }
    for (key, value) in seen(&log.state, 0) {
        let is_new = *value == *b"anew" || *value == *b"more";
        match tree.get(&key, newest(0)) {
            Ok(found) => assert_eq!(found, Some(value), "{context}"),
            Err(error) => assert!(!is_new && range.contains(&key), "{context}: {error}"),
        }
    }
    let (found, damages) = salvaged(&tree.view());
    let is_known = |(key, value): &&(Vec<u8>, Vec<u8>)| {
        found.iter().any(|(known, _)| known == key)
            || range.contains(key) && **value != *b"anew" && **value != *b"more"
    };
    assert!(seen(&log.state, 0).iter().all(|one| is_known(&one)), "{context}");
    let is_right = |(key, value): &(Vec<u8>, Vec<u8>)| log.state[key].0 == *value;
    assert!(found.iter().all(is_right), "{context}");
    let [damage] = &damages[..] else { panic!("{context}: {damages:?}") };
    told(damage);
    told(&tree.compact_range(None, 0).unwrap_err());
    store.check().unwrap();
    log
}

#[test]
fn a_compaction_that_meets_damage_leaves_the_table_alone_and_writing_goes_on() {
    let (disk, mut log) = with_tables(2);
    let (_, path, range) = tables(&disk).pop().unwrap();
    disk.flip_bit(&path, 700, 3).unwrap();
    let (disk, store, tree) = reopened(&disk);
    let mut damages = 0;
    for round in 0..30u64 {
        let changes: Vec<_> = (0..60).map(|n| put((n * 17 + round * 7) % 900, b"new")).collect();
        log.write(&tree, &changes, 0).unwrap();
        tree.seal();
        while let Some(work) = store.next_work(0) {
            if let Err(error) = work.run() {
                assert_eq!(error.damaged_path(), Some(&*path), "{error}");
                damages += 1;
            }
        }
        store.check().unwrap();
    }
    let asked = tree.compact_range(Some(&range), 0).unwrap_err();
    assert_eq!(asked.damaged_path(), Some(&*path), "{asked}");
    assert!(damages <= 1, "it is tried once: {damages}");
    assert_eq!(store.strain(), 0.0, "nobody waits for what cannot be done");
    drop((tree, store));
    disk.flip_bit(&path, 700, 3).unwrap();
    let (_, _store, tree) = reopened(&disk);
    check(&tree, &log.state, newest(0), "the bit is as it was");
}

#[test]
fn what_is_newer_than_a_damaged_block_is_told_and_what_is_older_is_not() {
    let (disk, store, tree) = begun(3, options());
    let mut log = Log::default();
    let write = |log: &mut Log, changes: &[Change]| {
        log.write(&tree, changes, 0).unwrap();
        tree.seal();
        store.next_flush(0).unwrap().run().unwrap();
    };
    write(&mut log, &(0..60).map(|n| put(n, b"oldest")).collect::<Vec<_>>());
    write(&mut log, &(0..60).map(|n| put(n, &[7; 40])).collect::<Vec<_>>());
    write(&mut log, &[put(16, b"newer"), Change::Remove { key: key(17) }, put(18, b"newer")]);
    log.write(&tree, &[put(19, b"newest"), put(18, b"newest")], 0).unwrap();
    drop((tree, store));
    let middle = tables(&disk)[1].1.clone();
    disk.flip_bit(&middle, 1100, 5).unwrap();
    let (_, store, tree) = reopened(&disk);
    log.replay(&tree, tree.flushed_through(), 0).unwrap();
    let (found, damages) = salvaged(&tree.view());
    let [Error::KeysLost { cause, range }] = &damages[..] else { panic!("{damages:?}") };
    assert!(matches!(**cause, Error::Damaged { .. }), "{cause}");
    assert!((16..20).all(|number| range.contains(&key(number))), "{range}");
    let expected: Vec<_> = seen(&log.state, 0)
        .into_iter()
        .filter(|(known, _)| !range.contains(known) || (16..20).any(|number| *known == key(number)))
        .collect();
    assert_eq!(found, expected);
    assert!(expected.len() < 59 && expected.len() > 50, "{}", expected.len());
    drop(store);
}

#[test]
fn versions_of_one_key_across_a_damaged_block_are_not_mixed_up() {
    let (disk, store, tree) = begun(4, options());
    let mut log = Log::default();
    log.write(&tree, &[put(1, b"before")], 0).unwrap();
    let mut holds = Vec::new();
    for round in 0..40u8 {
        log.write(&tree, &[put(2, &[round; 60])], 0).unwrap();
        holds.push(store.hold(log.seq(), 0));
    }
    log.write(&tree, &[put(3, b"behind")], 0).unwrap();
    tree.seal();
    store.next_flush(0).unwrap().run().unwrap();
    drop((tree, store));
    let path = tables(&disk).pop().unwrap().1;
    let whole = disk.file_bytes(&path).unwrap().len() as u64;
    let mut told = 0;
    for offset in (64..whole - 80).step_by(97) {
        let disk = disk.restart_clean();
        disk.flip_bit(&path, offset, 1).unwrap();
        let (_, _store, tree) = reopened(&disk);
        for seq in [10, 25, 42] {
            let as_of = annals_ordered::AsOf { seq, now_ms: 0 };
            let view = tree.view();
            let mut salvage = view.salvage(b"", None, as_of);
            while let Some(next) = salvage.next_entry() {
                let Ok(entry) = next else {
                    told += 1;
                    continue;
                };
                // The record `seq` is the one that gave the key 2 the value `seq - 2`.
                let expected: &[u8] = match entry.key {
                    b"00001" => b"before",
                    b"00002" => &[seq.min(41) as u8 - 2; 60],
                    _ => b"behind",
                };
                assert_eq!(entry.value, expected, "byte {offset}, as of {seq}");
            }
        }
    }
    assert!(told > 20, "{told}");
}

#[test]
fn what_is_held_stays_where_the_oldest_go_first() {
    let style = Style::Fifo { keep_ms: 1000, bytes_max: 0 };
    let (disk, store, tree) = begun(6, TreeOptions { style, ..options() });
    let mut log = Log::default();
    let mut hold = None;
    for round in 0..12u64 {
        let now_ms = round * 300;
        // Too large to be merged with others.
        let changes = [put(round, &[round as u8; 1900]), put(99, &[round as u8])];
        log.write(&tree, &changes, now_ms).unwrap();
        tree.seal();
        work(&store, now_ms).unwrap();
        if round == 3 {
            hold = Some((store.hold(log.seq(), now_ms), log.clone()));
        }
        if let Some((_, held)) = &hold {
            let as_of = AsOf { seq: held.seq(), now_ms };
            let seen_then = forward(&mut tree.cursor(b"", None, as_of));
            assert_eq!(seen_then, seen(&held.state, now_ms), "round {round}");
        }
        assert_eq!(tree.get(&key(99), newest(now_ms)).unwrap(), Some(vec![round as u8]));
    }
    let held_tables = tree.stats().levels[0].tables;
    drop(hold);
    work(&store, 12 * 300).unwrap();
    let tables = tree.stats().levels[0].tables;
    assert!(tables < held_tables && tables <= 4, "{tables} of {held_tables} tables stay");
    assert_eq!(tree.get(&key(0), newest(12 * 300)).unwrap(), None, "dropped by its age");
    work(&store, 12 * 300).unwrap();
    let files = disk.list(&dir()).unwrap().into_iter().filter(|file| file.name.ends_with(".tbl"));
    assert_eq!(files.count() as u64, tables, "their files are gone");
}

#[test]
fn a_lost_table_goes_where_the_oldest_go_first() {
    let style = Style::Fifo { keep_ms: 1000, bytes_max: 0 };
    let (disk, store, tree) = begun(5, TreeOptions { style, ..options() });
    let mut log = Log::default();
    for round in 0..3u64 {
        log.write(&tree, &[put(round, &[1; 1900])], round * 400).unwrap();
        tree.seal();
        store.next_flush(round * 400).unwrap().run().unwrap();
    }
    drop((tree, store));
    let (_, oldest, _) = tables(&disk).pop().unwrap();
    disk.remove(&oldest).unwrap();
    let (_, store, tree) = reopened(&disk);
    assert!(tree.get(&key(0), newest(1000)).is_err());
    work(&store, 1000).unwrap();
    assert_eq!(tree.get(&key(0), newest(1000)).unwrap(), None);
    assert!(tree.get(&key(1), newest(1000)).unwrap().is_some());
    assert!(store.lost_tables().is_empty());
}

#[test]
fn a_directory_in_the_place_of_a_table_is_a_table_that_is_lost() {
    let (disk, log) = with_tables(7);
    let (_, path, range) = tables(&disk).pop().unwrap();
    disk.remove(&path).unwrap();
    disk.create_dir_all(&path).unwrap();
    let (_, store, tree) = reopened(&disk);
    let [lost] = &store.lost_tables()[..] else { panic!("{:?}", store.lost_tables()) };
    assert_eq!(lost.damaged_path(), Some(&*path), "{lost}");
    assert!(lost.to_string().contains("directory"), "{lost}");
    for (key, value) in seen(&log.state, 0) {
        match tree.get(&key, newest(0)) {
            Ok(found) => assert_eq!(found, Some(value)),
            Err(error) => assert!(error.is_damage() && range.contains(&key), "{error}"),
        }
    }
}

#[test]
fn who_writes_is_slowed_again_once_no_table_is_lost_any_more() {
    let (disk, store, tree) = begun(8, options());
    let mut log = Log::default();
    let expiring = |number| Change::Put { key: key(number), value: vec![1], expires_ms: Some(100) };
    log.write(&tree, &(0..20).map(expiring).collect::<Vec<_>>(), 0).unwrap();
    tree.seal();
    work(&store, 0).unwrap();
    tree.compact_range(None, 0).unwrap();
    drop((tree, store));
    let (level, path, _) = tables(&disk).pop().unwrap();
    assert!(level > 0);
    disk.remove(&path).unwrap();
    let (_, store, tree) = reopened(&disk);
    // More tables of level 0 than are good for readers.
    let flushes = |log: &mut Log, now_ms| {
        for round in 0..30 {
            log.write(&tree, &[put(round % 20, b"new")], now_ms).unwrap();
            tree.seal();
            store.next_flush(now_ms).unwrap().run().unwrap();
        }
    };
    flushes(&mut log, 0);
    assert_eq!(store.strain(), 0.0, "compactions cannot get past the lost table");
    work(&store, 0).unwrap();
    assert_eq!(store.lost_tables().len(), 1);
    work(&store, 200).unwrap();
    assert!(store.lost_tables().is_empty(), "all that it had has expired");
    flushes(&mut log, 200);
    assert!(store.strain() > 0.0, "compactions get on again");
}

/// What a reader finds missing while it opens tables is lost, or was replaced: the manifest tells.
#[test]
fn a_table_that_is_replaced_while_another_is_lost_is_not_taken_for_lost() {
    let (disk, store, tree) = begun(9, options());
    Log::default().write(&tree, &[put(1, b"lost")], 0).unwrap();
    tree.seal();
    work(&store, 0).unwrap();
    drop((tree, store));
    let lost = tables(&disk).pop().unwrap().1;
    disk.remove(&lost).unwrap();
    let (disk, writer, _) = reopened(&disk);
    let other = writer.create_tree(TREE + 1, options()).unwrap();
    let log = RefCell::new(Log::default());
    let rewrite = |value: &[u8]| {
        log.borrow_mut().write(&other, &[put(1, value)], 0).unwrap();
        other.seal();
        other.compact_range(None, 0).unwrap();
        while let Some(work) = writer.next_flush(0) {
            work.run().unwrap();
        }
    };
    rewrite(b"one");
    let asked = Cell::new(0);
    // Asked for the second time when the table was found missing: the writer replaces the other one now.
    let place = || {
        asked.set(asked.get() + 1);
        if asked.get() == 2 {
            rewrite(b"two");
        }
        Ok::<_, Error>(Root::place(&disk).unwrap())
    };
    let (reader, mut follower) =
        Store::open_read_only(Arc::new(disk.clone()), &dir(), ID, config(), place).unwrap();
    follower.show(u64::MAX);
    assert!(asked.get() >= 2, "the reader has asked whether the table was replaced");
    let named: Vec<_> = reader.lost_tables().iter().map(ToString::to_string).collect();
    assert!(
        named.len() == 1 && reader.lost_tables()[0].damaged_path() == Some(&*lost),
        "{named:?}"
    );
    let seen_there = reader.tree(TREE + 1).unwrap().get(&key(1), newest(0)).unwrap();
    assert_eq!(seen_there.as_deref(), Some(&b"two"[..]));
}
