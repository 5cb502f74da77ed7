//! The traps that such engines fall into, one by one.

use crate::support::*;
use annals_disk::{Disk, Fault};
use annals_ordered::{AsOf, Error, FileName, LEVELS, Record, Store, Tree, TreeOptions};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

fn begun(seed: u64) -> (annals_disk::SimDisk, Store, Tree) {
    let disk = disk(seed);
    let store = create(&disk).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    (disk, store, tree)
}

/// Writes a change and flushes it.
fn flushed(log: &mut Log, store: &Store, tree: &Tree, change: Change) {
    log.write(tree, &[change], 0).unwrap();
    tree.seal();
    store.next_flush(0).unwrap().run().unwrap();
}

fn reopened(disk: &annals_disk::SimDisk) -> (annals_disk::SimDisk, Store, Tree) {
    let disk = disk.restart_clean();
    let store = open(&disk).unwrap();
    let tree = store.tree(TREE).unwrap();
    (disk, store, tree)
}

#[test]
fn a_deleted_key_stays_deleted_whatever_older_tables_hold() {
    for range in [false, true] {
        let (disk, store, tree) = begun(1);
        let mut log = Log::default();
        flushed(&mut log, &store, &tree, Change::put(b"key", b"old"));
        tree.compact_range(None, 0).unwrap();
        assert_eq!(tree.stats().levels[LEVELS - 1].tables, 1, "the value is as deep as can be");
        let removal = if range {
            Change::RemoveRange { from: b"a".into(), to: b"z".into() }
        } else {
            Change::Remove { key: b"key".into() }
        };
        flushed(&mut log, &store, &tree, removal);
        for round in 0..3 {
            flushed(&mut log, &store, &tree, Change::put(format!("a{round}").as_bytes(), b""));
            assert_eq!(tree.get(b"key", newest(0)).unwrap(), None);
        }
        work(&store, 0).unwrap();
        check(&tree, &log.state, newest(0), "compacted");
        let (disk, store, tree) = reopened(&disk);
        check(&tree, &log.state, newest(0), "reopened");
        tree.compact_range(None, 0).unwrap();
        check(&tree, &log.state, newest(0), "compacted again");
        let (_, _, tree) = {
            drop((tree, store));
            reopened(&disk)
        };
        check(&tree, &log.state, newest(0), "reopened again");
        let entries: u64 = tree.stats().levels.iter().map(|level| level.entries).sum();
        assert_eq!(entries, 3, "neither the key nor its removal is left");
    }
}

#[test]
fn an_empty_value_is_a_value_and_an_empty_key_a_key() {
    let (disk, store, tree) = begun(2);
    let mut log = Log::default();
    let changes = [Change::put(b"", b""), Change::put(b"key", b"")];
    log.write(&tree, &changes, 0).unwrap();
    for _ in 0..2 {
        assert_eq!(tree.get(b"key", newest(0)).unwrap(), Some(Vec::new()));
        assert_eq!(tree.get(b"", newest(0)).unwrap(), Some(Vec::new()));
        check(&tree, &log.state, newest(0), "");
        tree.seal();
        work(&store, 0).unwrap();
        tree.compact_range(None, 0).unwrap();
    }
    let (_, _, tree) = reopened(&disk);
    check(&tree, &log.state, newest(0), "reopened");
    let many: [&[u8]; 3] = [b"key", b"none", b""];
    let found = tree.get_many(many, newest(0)).unwrap();
    assert_eq!(found, [Some(Vec::new()), None, Some(Vec::new())]);
    assert_eq!(tree.first(newest(0)).unwrap(), Some((Vec::new(), Vec::new())));
    assert_eq!(tree.last(newest(0)).unwrap(), Some((b"key".to_vec(), Vec::new())));
}

#[test]
fn tables_of_one_key_and_of_keys_larger_than_a_block() {
    let (disk, store, tree) = begun(3);
    let mut log = Log::default();
    flushed(&mut log, &store, &tree, Change::put(b"one", b"value"));
    for size in [255, 256, 257, 4096, 60_000] {
        let key = vec![b'k'; size];
        flushed(&mut log, &store, &tree, Change::put(&key, &vec![1; size / 3]));
        check(&tree, &log.state, newest(0), "flushed");
    }
    work(&store, 0).unwrap();
    tree.compact_range(None, 0).unwrap();
    check(&tree, &log.state, newest(0), "compacted");
    let (_, _, tree) = reopened(&disk);
    check(&tree, &log.state, newest(0), "reopened");
}

#[test]
fn a_table_without_a_record_is_removed_and_its_number_never_given_again() {
    let (disk, store, tree) = begun(4);
    let mut log = Log::default();
    flushed(&mut log, &store, &tree, Change::put(b"key", b"value"));
    drop((tree, store));
    let orphan = FileName::Table(0x77);
    disk.set_file_bytes(orphan.path(&dir()), b"half a table").unwrap();
    disk.set_file_bytes(FileName::Manifest(0x78).path(&dir()), b"").unwrap();
    disk.set_file_bytes(dir().join("t0077.tbl"), b"not ours").unwrap();
    let disk = disk.restart_clean();
    drop(open(&disk).unwrap());
    let names = files(&disk);
    assert!(!names.contains(&orphan.name()), "{names:?}");
    assert!(names.contains(&"t0077.tbl".to_owned()), "other files are left alone: {names:?}");
    // Also the next opening but one knows it, though nothing is left of the file.
    let (disk, store, tree) = reopened(&disk);
    flushed(&mut log, &store, &tree, Change::put(b"more", b""));
    assert!(files(&disk).contains(&FileName::Table(0x79).name()), "{:?}", files(&disk));
}

#[test]
fn a_failing_flush_stops_writers_with_its_cause_and_loses_nothing() {
    for fault in [Fault::FailCreate, Fault::FailWrite, Fault::FailSync] {
        for file in [".tbl", ".man"] {
            if fault == Fault::FailCreate && file == ".man" {
                continue;
            }
            let (disk, store, tree) = begun(5);
            let mut log = Log::default();
            flushed(&mut log, &store, &tree, Change::put(b"a", b"in a table"));
            log.write(&tree, &[Change::put(b"b", b"in memory")], 0).unwrap();
            tree.seal();
            disk.fail_nth_at(fault, file, 1);
            let work = store.next_work(0).unwrap();
            assert!(work.is_flush());
            work.run().unwrap_err();
            let error = tree.apply([Change::put(b"c", b"").record(3)], 0).unwrap_err();
            assert!(matches!(&error, Error::Stopped { .. }), "{fault:?} {file}: {error}");
            assert!(error.to_string().contains("db/"), "the cause is named: {error}");
            assert!(store.check().is_err() && store.next_work(0).is_none());
            check(&tree, &log.state, newest(0), "reads go on");
            assert_eq!(tree.flushed_through(), 1);
            drop((tree, store));
            let (disk, _store, tree) = reopened(&disk);
            log.replay(&tree, 1, 0).unwrap();
            check(&tree, &log.state, newest(0), "reopened");
            let disk = disk.restart();
            let (_, _store, tree) = reopened(&disk);
            log.replay(&tree, 1, 0).unwrap();
            check(&tree, &log.state, newest(0), "after a power cut");
        }
    }
}

#[test]
fn after_ten_flushes_only_the_tail_is_replayed() {
    let (disk, store, tree) = begun(6);
    let mut log = Log::default();
    for round in 0..10 {
        flushed(&mut log, &store, &tree, Change::put(format!("{round}").as_bytes(), b"value"));
        work(&store, 0).unwrap();
    }
    assert_eq!(tree.unflushed_from(), None);
    log.write(&tree, &[Change::put(b"tail", b"")], 0).unwrap();
    assert_eq!(tree.unflushed_from(), Some(11));
    drop((tree, store));
    let (_, _store, tree) = reopened(&disk);
    assert_eq!(tree.flushed_through(), 10);
    // Who brings all again brings the ten in vain.
    log.replay(&tree, 0, 0).unwrap();
    assert_eq!(tree.unflushed_from(), Some(11));
    check(&tree, &log.state, newest(0), "");
}

#[test]
fn a_missing_table_or_manifest_is_named_with_the_keys_concerned() {
    let (disk, store, tree) = begun(7);
    let mut log = Log::default();
    flushed(&mut log, &store, &tree, Change::put(b"apple", b""));
    flushed(&mut log, &store, &tree, Change::put(b"pear", b""));
    let (manifest, names) = (store.manifest_place(), files(&disk));
    drop((tree, store));
    let last = names.iter().rfind(|name| name.ends_with(".tbl")).unwrap();
    disk.remove(&dir().join(last)).unwrap();
    let (disk, store, tree) = reopened(&disk);
    let error = tree.get(b"pear", newest(0)).unwrap_err().to_string();
    assert!(
        error.contains(last) && error.contains("\"pear\"") && error.contains("missing"),
        "{error}"
    );
    assert_eq!(tree.get(b"apple", newest(0)).unwrap(), Some(vec![]));
    drop((tree, store));
    let before = files(&disk);
    disk.remove(&FileName::Manifest(manifest.number).path(&dir())).unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(&error, Error::Missing { .. }), "{error}");
    assert!(error.to_string().contains("all ordered keyspaces"), "{error}");
    assert_eq!(files(&disk).len() + 1, before.len(), "an opening that fails changes nothing");
}

#[test]
fn a_flipped_bit_is_found_and_named_and_the_rest_stays_readable() {
    let (disk, store, tree) = begun(8);
    let mut log = Log::default();
    let changes: Vec<_> = (0..40)
        .map(|number| Change::put(format!("key {number:02}").as_bytes(), &[number; 60]))
        .collect();
    log.write(&tree, &changes, 0).unwrap();
    tree.seal();
    work(&store, 0).unwrap();
    drop((tree, store));
    let name = files(&disk).into_iter().find(|name| name.ends_with(".tbl")).unwrap();
    disk.flip_bit(dir().join(&name), 1500, 3).unwrap();
    let (_, store, tree) = reopened(&disk);
    let mut damages = Vec::new();
    store.verify(&mut |tree, damage| damages.push((tree, damage))).unwrap();
    let [(TREE, damage)] = &damages[..] else { panic!("{damages:?}") };
    assert!(damage.path.ends_with(&name) && damage.offset <= 1500, "{damage:?}");
    let (from, to) = (damage.from.clone().unwrap(), damage.to.clone().unwrap());
    let mut readable = 0;
    for (key, (value, _)) in &log.state {
        match tree.get(key, newest(0)) {
            Ok(found) => {
                assert_eq!(found.as_ref(), Some(value));
                readable += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains(&name), "{error}");
                assert!(from <= *key && *key <= to, "{} is not in the report", key.escape_ascii());
            }
        }
    }
    assert!((25..40).contains(&readable), "{readable}");
}

#[test]
fn work_that_is_stopped_leaves_nothing_but_orphans() {
    let (disk, store, tree) = begun(9);
    let mut log = Log::default();
    for round in 0..4u64 {
        let key = |number: u64| format!("{:05}", number * 4 + round).into_bytes();
        let changes: Vec<_> = (0..600).map(|number| Change::put(&key(number), b"value")).collect();
        log.write(&tree, &changes, 0).unwrap();
        tree.seal();
        store.next_flush(0).unwrap().run().unwrap();
    }
    let before = files(&disk);
    let compaction = store.next_compaction(0).unwrap();
    assert!(compaction.is_compaction());
    store.stop();
    let error = compaction.run().unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(store.next_work(0).is_none());
    assert_eq!(files(&disk), before);
    store.check().unwrap();
    log.write(&tree, &[Change::put(b"more", b"")], 0).unwrap();
    check(&tree, &log.state, newest(0), "stopped");
    drop((tree, store));
    let (_, _store, tree) = reopened(&disk);
    log.replay(&tree, tree.flushed_through(), 0).unwrap();
    check(&tree, &log.state, newest(0), "reopened");
}

#[test]
fn work_that_is_dropped_is_handed_out_again() {
    let (_, store, tree) = begun(10);
    let mut log = Log::default();
    for round in 0..4u8 {
        flushed(&mut log, &store, &tree, Change::put(b"key", &[round]));
    }
    let compaction = store.next_work(0).unwrap();
    assert!(store.next_work(0).is_none() && !store.has_work(0));
    drop(compaction);
    assert!(store.has_work(0));
    let compaction = store.next_work(0).unwrap();
    // What is flushed meanwhile stays in level 0.
    flushed(&mut log, &store, &tree, Change::put(b"key", b"newest"));
    compaction.run().unwrap();
    check(&tree, &log.state, newest(0), "");
    assert_eq!(tree.stats().levels[0].tables, 1);
}

#[test]
fn readers_keep_what_they_read_and_files_go_after_them() {
    let (disk, store, tree) = begun(11);
    let mut log = Log::default();
    for round in 0..3u8 {
        for key in [b"a", b"b", b"c"] {
            flushed(&mut log, &store, &tree, Change::put(key, &[round]));
        }
    }
    let expected = seen(&log.state, 0);
    let as_of = AsOf { seq: log.seq(), now_ms: 0 };
    let mut cursor = tree.cursor(&[], None, as_of);
    cursor.to_first().unwrap();
    let view = tree.view();
    log.write(&tree, &[Change::RemoveRange { from: b"a".into(), to: b"z".into() }], 0).unwrap();
    tree.seal();
    tree.compact_range(None, 0).unwrap();
    work(&store, 0).unwrap();
    assert_eq!(tree.stats().levels.iter().map(|level| level.tables).sum::<u64>(), 0);
    assert!(files(&disk).len() > 1, "they are in use");
    assert_eq!(view.get_with(b"a", as_of, |_| ()).unwrap(), Some(()));
    let mut found = Vec::new();
    while let Some(entry) = cursor.entry() {
        found.push((entry.key.to_vec(), entry.value.to_vec()));
        cursor.advance().unwrap();
    }
    assert_eq!(found, expected);
    drop((cursor, view));
    work(&store, 0).unwrap();
    assert_eq!(files(&disk).len(), 1, "{:?}", files(&disk));
}

#[test]
fn trees_are_dropped_with_their_files_and_begun_anew() {
    let (disk, store, tree) = begun(12);
    let mut log = Log::default();
    flushed(&mut log, &store, &tree, Change::put(b"key", b"value"));
    let other = store.create_tree(6, options()).unwrap();
    other.apply([Change::put(b"other", b"").record(2)], 0).unwrap();
    assert!(store.create_tree(6, options()).is_err());
    store.drop_tree(TREE).unwrap();
    let cleared = store.create_tree(TREE, options()).unwrap();
    assert_eq!(cleared.get(b"key", newest(0)).unwrap(), None);
    assert_eq!(tree.get(b"key", newest(0)).unwrap(), Some(b"value".to_vec()), "the former one");
    cleared.apply([Change::put(b"new", b"").record(3)], 0).unwrap();
    assert_eq!(cleared.get(b"new", newest(0)).unwrap(), Some(vec![]));
    // A flush of what is dropped meanwhile does nothing.
    other.seal();
    let flush = store.next_flush(0).unwrap();
    store.drop_tree(6).unwrap();
    flush.run().unwrap();
    assert!(store.tree(6).is_none() && store.check().is_ok());
    drop((tree, other, cleared));
    work(&store, 0).unwrap();
    assert_eq!(files(&disk).len(), 1, "{:?}", files(&disk));
    drop(store);
    let (_, store, tree) = reopened(&disk);
    assert_eq!(store.trees().len(), 1);
    assert_eq!(tree.flushed_through(), 0);
}

#[test]
fn what_has_expired_goes_without_being_asked_for() {
    let (_, store, tree) = begun(13);
    let mut log = Log::default();
    let put = |number: u64, expires_ms| Change::Put {
        key: format!("{number:03}").into_bytes(),
        value: vec![1; 30],
        expires_ms: Some(expires_ms),
    };
    let changes: Vec<_> = (0..100).map(|number| put(number, 1000)).collect();
    log.write(&tree, &changes, 0).unwrap();
    tree.seal();
    work(&store, 0).unwrap();
    tree.compact_range(None, 0).unwrap();
    let bytes = |tree: &Tree| tree.stats().levels.iter().map(|level| level.bytes).sum::<u64>();
    assert!(bytes(&tree) > 2000);
    work(&store, 999).unwrap();
    assert!(bytes(&tree) > 2000);
    // A snapshot of an earlier time still sees them.
    let hold = store.hold(log.seq(), 999);
    work(&store, 1000).unwrap();
    check(&tree, &log.state, AsOf { seq: hold.seq(), now_ms: hold.now_ms() }, "held");
    drop(hold);
    work(&store, 1000).unwrap();
    assert_eq!(bytes(&tree), 0);
}

#[test]
fn compactions_keep_to_their_rate_and_flushes_do_not_wait() {
    let disk = disk(14);
    let paused = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&paused);
    let pause = Arc::new(move |ns| {
        sum.fetch_add(ns, Ordering::Relaxed);
    });
    let config = annals_ordered::StoreConfig { compaction_bytes_per_s: 10_000, pause, ..config() };
    let root = Arc::new(Root { disk: disk.clone() });
    let store = Store::create(Arc::new(disk), &dir(), ID, config, root).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let value = [7; 100];
    let keys: Vec<_> = (0..1000u64).map(|number| number.to_be_bytes()).collect();
    let changes: Vec<_> = keys.iter().map(|key| Change::put(key, &value)).collect();
    let mut log = Log::default();
    for _ in 0..2 {
        log.write(&tree, &changes, 0).unwrap();
        tree.seal();
        store.next_flush(0).unwrap().run().unwrap();
    }
    assert_eq!(paused.load(Ordering::Relaxed), 0, "flushes give writers their memory back");
    tree.compact_range(None, 0).unwrap();
    // The simulated clock stands still, so each pause counts from the start.
    let bytes = tree.stats().since_opening.compaction_written_bytes;
    let least = bytes * 1_000_000_000 / 10_000 / 2;
    assert!(bytes > 0 && paused.load(Ordering::Relaxed) > least, "{bytes} bytes, {paused:?}");
    assert_eq!(store.stats().compaction_paused_ns, paused.load(Ordering::Relaxed));
}

#[test]
fn records_that_tables_have_are_passed_over() {
    let (_, store, tree) = begun(15);
    let mut log = Log::default();
    flushed(&mut log, &store, &tree, Change::put(b"key", b"value"));
    tree.apply([Record::RemoveRange { from: b"a", to: b"z", seq: 1 }], 0).unwrap();
    tree.apply([Change::Remove { key: b"key".into() }.record(1)], 0).unwrap();
    check(&tree, &log.state, newest(0), "");
    assert!(!tree.seal(), "nothing was taken");
}

#[test]
fn memory_that_runs_short_has_memtables_sealed() {
    let disk = disk(16);
    let root = Arc::new(Root { disk: disk.clone() });
    let config =
        annals_ordered::StoreConfig { memory_bytes: 4 << 20, memtable_bytes: 4 << 20, ..config() };
    let store = Store::create(Arc::new(disk), &dir(), ID, config, root).unwrap();
    let tree = store.create_tree(TREE, TreeOptions::default()).unwrap();
    let value = vec![7; 1000];
    let mut seq = 0;
    let mut most = 0;
    for _ in 0..8000 {
        seq += 1;
        match store.admit(1000) {
            annals_ordered::Admission::After { .. } => {}
            annals_ordered::Admission::Full => {
                // What a writer that waits has done for it.
                for tree in store.seal_wanted() {
                    tree.seal();
                }
                work(&store, 0).unwrap();
            }
        }
        let key: [u8; 8] = u64::to_be_bytes(seq);
        tree.apply([Change::put(&key, &value).record(seq)], 0).unwrap();
        most = most.max(store.stats().memtable_bytes);
        if seq % 1000 == 0 {
            work(&store, 0).unwrap();
        }
    }
    assert!(most <= 5 << 20, "{most} bytes in memory");
    let stats = store.stats();
    assert!(stats.delays + stats.refusals > 0, "{stats:?}");
    assert!(tree.stats().flushes >= 1);
}

#[test]
fn sorted_input_becomes_a_tree_and_nothing_else_does() {
    let disk = disk(17);
    let store = create(&disk).unwrap();
    let records = || {
        let key = |number: u64| format!("{number:05}").into_bytes();
        (0..1000).map(move |number| (key(number), b"first".to_vec()))
    };
    let files_before = files(&disk);
    // What is given up, at any step, is gone.
    for fault in 0..5 {
        let mut load = store.load(options(), 0).unwrap();
        for (key, value) in records() {
            load.add(&key, &value, None).unwrap();
        }
        assert!(files(&disk).len() > files_before.len() + 3);
        let too_long = vec![b'9'; annals_ordered::KEY_BYTES_MAX + 1];
        let wrong: [&[u8]; 3] = [b"00999", b"00500", &too_long];
        let refused = match fault {
            0..=2 => {
                let refused = load.add(wrong[fault], b"", None);
                drop(load);
                refused
            }
            3 => {
                drop(load);
                Ok(())
            }
            _ => load.finish(0).map(drop),
        };
        match fault {
            0 | 1 => assert!(
                matches!(refused, Err(Error::Unsorted { entry: 1000, is_repeated }) if is_repeated == (fault == 0)),
                "{refused:?}"
            ),
            2 => assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}"),
            _ => refused.unwrap(),
        }
        assert_eq!(files(&disk), files_before, "fault {fault}");
        assert!(store.tree(TREE).is_none());
    }
    // Where a table has ended too a lower key is seen.
    let mut load = store.load(TreeOptions { table_bytes: 1 << 10, ..options() }, 0).unwrap();
    for (key, value) in records() {
        load.add(&key, &value, None).unwrap();
        let lower = load.add(b"", &[], None);
        assert!(matches!(lower, Err(Error::Unsorted { .. })), "{lower:?}");
    }
    drop(load);

    let mut log = Log::default();
    let tree = loaded(&store, &mut log, options(), records()).unwrap();
    let stats = tree.stats();
    assert!(stats.levels[LEVELS - 1].tables > 3 && stats.levels[0].tables == 0, "{stats:?}");
    check(&tree, &log.state, newest(0), "loaded");
    assert_eq!(tree.flushed_through(), 0, "every record of the log is newer");
    let hold = store.hold(log.seq(), 0);
    let before = log.state.clone();
    let changes = [Change::put(b"00500", b"newer"), Change::Remove { key: b"00501".to_vec() }];
    log.write(&tree, &changes, 0).unwrap();
    for state in ["in memory", "flushed"] {
        check(&tree, &log.state, newest(0), state);
        check(&tree, &before, AsOf { seq: hold.seq(), now_ms: 0 }, state);
        tree.seal();
        work(&store, 0).unwrap();
    }
    drop(hold);
    tree.compact_range(None, 0).unwrap();
    check(&tree, &log.state, newest(0), "compacted");
    let mut again = store.load(options(), 0).unwrap();
    again.add(b"a", b"b", None).unwrap();
    let refused = again.finish(0).unwrap().begin_tree(TREE).unwrap_err();
    assert!(matches!(refused, Error::Shape(_)), "{refused}");
    work(&store, 0).unwrap();
    let tables: u64 = tree.stats().levels.iter().map(|level| level.tables).sum();
    assert_eq!(files(&disk).len() as u64, tables + 1, "files without an owner");
    let disk = disk.restart();
    let (_, _, tree) = reopened(&disk);
    check(&tree, &log.state, newest(0), "after a power cut");
}

#[test]
fn a_load_ends_when_its_store_is_stopped() {
    let disk = disk(18);
    let store = create(&disk).unwrap();
    let mut load = store.load(options(), 0).unwrap();
    load.add(b"a", b"1", None).unwrap();
    let finished = {
        let mut load = store.load(options(), 0).unwrap();
        load.add(b"a", b"1", None).unwrap();
        load.finish(0).unwrap()
    };
    store.stop();
    let ended = (1..10_000u32)
        .find_map(|n| load.add(&[b"b", &n.to_be_bytes()[..]].concat(), b"", None).err());
    assert!(matches!(ended, Some(Error::Cancelled)), "{ended:?}");
    assert!(matches!(load.finish(0), Err(Error::Cancelled)));
    assert!(matches!(finished.begin_tree(TREE), Err(Error::Cancelled)));
    assert_eq!(files(&disk).len(), 1, "the manifest");
}
