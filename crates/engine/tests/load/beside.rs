//! Loads beside writers, other loads and backups.

use crate::support::{State, builder, machine, made, open, records, seen};
use annals_engine::{Database, Seq, WriteOptions};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

/// What is there is what was loaded last, and every write that has a higher number.
#[test]
fn writers_go_on_beside_a_load() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::builder().memory_bytes(8 << 20).open(folder.path().join("db")).unwrap();
    let keyspace = made(&db, "k");
    let (is_over, writes_count) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut writes, last) = thread::scope(|scope| {
        let mut writers = Vec::new();
        for writer in 0..2u32 {
            let (keyspace, is_over, writes_count) = (&keyspace, &is_over, &writes_count);
            writers.push(scope.spawn(move || {
                let mut done: Vec<(Seq, Vec<u8>, Vec<u8>)> = Vec::new();
                for n in 0u32.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    // Between those that are loaded, and over them.
                    let key = format!("{:05}", (n * 7 + writer) % 4_000).into_bytes();
                    let key = if n.is_multiple_of(2) { [&key[..], b"w"].concat() } else { key };
                    let value = format!("{writer} {n}").into_bytes();
                    let commit = keyspace.insert_with(&key, &value, WriteOptions::default());
                    done.push((commit.unwrap().last_seq, key, value));
                    writes_count.fetch_add(1, Ordering::Relaxed);
                }
                done
            }));
        }
        let wait_for_writes = || {
            let enough = writes_count.load(Ordering::Relaxed) + 50;
            while writes_count.load(Ordering::Relaxed) < enough {
                thread::yield_now();
            }
        };
        let mut last = None;
        for value in 1..6 {
            let fresh = records(3_000, value);
            let slow = fresh.iter().enumerate().inspect(|(at, _)| {
                if at % 1_000 == 500 {
                    wait_for_writes();
                }
            });
            let replaced = keyspace.replace_all(slow.map(|(_, record)| record)).unwrap();
            wait_for_writes();
            last = Some((replaced.seq, fresh));
        }
        is_over.store(true, Ordering::Relaxed);
        let mut writes: Vec<_> =
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        writes.sort();
        (writes, last.unwrap())
    });
    let (seq, mut state) = last;
    let before = writes.partition_point(|(of, ..)| *of < seq);
    assert!(before > 100 && writes.len() - before > 40, "{before} of {}", writes.len());
    for (_, key, value) in writes.drain(before..) {
        state.insert(key, value);
    }
    assert_eq!(seen(&keyspace), state);
    drop(keyspace);
    db.close().unwrap();
    let db = Database::open(folder.path().join("db")).unwrap();
    assert_eq!(seen(&db.keyspace("k").unwrap()), state);
}

#[test]
fn of_two_loads_at_once_one_counts() {
    let db = Database::open_in_memory().unwrap();
    let keyspace = made(&db, "k");
    for round in 0..10 {
        let mut done = Vec::new();
        thread::scope(|scope| {
            let load = |value: u8| {
                let keyspace = &keyspace;
                scope.spawn(move || (keyspace.replace_all(records(500, value)).unwrap().seq, value))
            };
            let loads: Vec<_> = (0..4).map(|n| load(round * 4 + n)).collect();
            done = loads.into_iter().map(|load| load.join().unwrap()).collect();
        });
        let (_, value) = done.into_iter().max().unwrap();
        assert_eq!(seen(&keyspace), records(500, value));
    }
}

#[test]
fn a_backup_has_what_was_loaded() {
    let disk = machine(1);
    let db = open(&disk);
    let keyspace = made(&db, "k");
    let mut states: Vec<State> = Vec::new();
    for value in 1..4 {
        keyspace.replace_all(records(200, value)).unwrap();
        if value == 2 {
            keyspace.insert("more", "1").unwrap();
        }
        // The first is whole, the others take over what it has.
        db.backup_to("copy").unwrap();
        states.push(seen(&keyspace));
        let copied = builder(&disk).read_only(true).open("copy").unwrap();
        assert_eq!(seen(&copied.open_keyspace("k").unwrap()), *states.last().unwrap());
        assert!(copied.verify(&mut |_| {}).unwrap().damages.is_empty());
        copied.close().unwrap();
    }
}

/// A copy that has the log's word of a tree has the tree.
#[test]
fn backups_beside_loads_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::open(folder.path().join("db")).unwrap();
    let keyspace = made(&db, "k");
    keyspace.replace_all(records(100, 0)).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let loader = scope.spawn(|| {
            for value in 0u32.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                keyspace.replace_all(records(100, value as u8)).unwrap();
                let name = format!("made {value}");
                made(&db, &name);
                db.drop_keyspace(&name).unwrap();
            }
        });
        for n in 0..20 {
            let copy = folder.path().join(format!("copy {n}"));
            db.backup_to(&copy).unwrap();
            let copied = Database::open(&copy).unwrap();
            let found = seen(&copied.open_keyspace("k").unwrap());
            assert_eq!(found, records(100, found[&b"00000"[..]][0]));
        }
        is_over.store(true, Ordering::Relaxed);
        loader.join().unwrap();
    });
}
