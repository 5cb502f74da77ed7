//! Read-only handles beside the writer that loads, and what changes tell.

use crate::support::{State, machine, made, open, read, records, seen, seen_by};
use annals_engine::{ChangeKind, Database};
use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

/// However far the writer has gone on since: a reader that looks sees the same.
#[test]
fn a_reader_sees_what_was_loaded_and_keeps_what_it_saw() {
    let disk = machine(1);
    let db = open(&disk);
    let keyspace = made(&db, "k");
    keyspace.insert_many(&records(30, 1)).unwrap();
    let reader = read(&disk);
    let mine = reader.keyspace("k").unwrap();
    assert_eq!(seen(&mine), records(30, 1));
    // What the writer does before the reader looks again.
    let goes_on: [&dyn Fn(u8); 7] = [
        &|_| {},
        &|_| keyspace.compact_range::<&[u8]>(..).unwrap(),
        &|value| keyspace.insert("00001", [value; 3]).unwrap(),
        &|value| {
            keyspace.insert("00001", [value; 3]).unwrap();
            // The tables have more than was loaded from now on.
            db.checkpoint().unwrap();
        },
        &|value| {
            keyspace.insert("00001", [value; 3]).unwrap();
            keyspace.compact_range::<&[u8]>(..).unwrap();
            keyspace.remove("00002").unwrap();
        },
        &|value| {
            keyspace.replace_all(records(90, value + 100)).unwrap();
        },
        &|_| {
            keyspace.clear().unwrap();
            db.compact().unwrap();
        },
    ];
    let mut kept = Vec::new();
    for value in 2..60u8 {
        let before = seen(&mine);
        kept.push((reader.snapshot(), mine.iter().unwrap(), before));
        keyspace.replace_all(records(20 + u32::from(value) * 3, value)).unwrap();
        goes_on[usize::from(value) % goes_on.len()](value);
        assert_eq!(seen(&mine), seen(&keyspace), "value {value}");
        assert_eq!(reader.keyspaces()[0].len > 0, !keyspace.is_empty().unwrap());
        for (snapshot, _, state) in &kept {
            let before = snapshot.ordered("k").unwrap();
            assert_eq!(seen_by(before.iter().unwrap()), *state, "value {value}");
        }
        if value.is_multiple_of(9) {
            for (_, walk, state) in kept.drain(..) {
                assert_eq!(seen_by(walk), state, "value {value}: a walk from before");
            }
        }
        if value.is_multiple_of(20) {
            assert_eq!(seen(&read(&disk).keyspace("k").unwrap()), seen(&keyspace), "opened anew");
        }
    }
}

/// A reader never sees half of a load, nothing instead of it, or an older one behind a newer.
#[test]
fn a_reader_sees_each_load_as_one_step() {
    const COUNT: u32 = 300;
    let folder = tempfile::tempdir().unwrap();
    let db = Database::open(folder.path().join("db")).unwrap();
    let keyspace = made(&db, "k");
    keyspace.replace_all(records(COUNT, 0)).unwrap();
    let reader = Database::open_read_only(folder.path().join("db")).unwrap();
    let (is_over, looks_count) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let mut readers = Vec::new();
        for _ in 0..2 {
            readers.push(scope.spawn(|| {
                let mut last = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let snapshot = reader.snapshot();
                    let found = seen_by(snapshot.ordered("k").unwrap().iter().unwrap());
                    let value = found[&b"00000"[..]][0];
                    // Each load is followed by one more record.
                    let whole = records(COUNT, value);
                    let more = found.len() - whole.len();
                    assert!(more <= 1, "{more} more");
                    let loaded: State =
                        found.into_iter().filter(|(key, _)| key.len() == 5).collect();
                    assert_eq!(loaded, whole);
                    assert!(value >= last, "{value} after {last}");
                    last = value;
                    looks_count.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        let mut value = 0;
        // Each load is looked at a few times at least.
        while value < 120 {
            value += 1;
            let looks = looks_count.load(Ordering::Relaxed);
            keyspace.replace_all(records(COUNT, value)).unwrap();
            keyspace.insert("more than that", [value]).unwrap();
            if value.is_multiple_of(3) {
                db.checkpoint().unwrap();
            }
            while looks_count.load(Ordering::Relaxed) < looks + 2
                && readers.iter().all(|reader| !reader.is_finished())
            {
                thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(seen(&reader.keyspace("k").unwrap()).len() as u32, COUNT + 1);
}

#[test]
fn changes_tell_of_a_load_and_not_of_its_records() {
    let disk = machine(1);
    let db = open(&disk);
    let keyspace = made(&db, "k");
    let reader = read(&disk);
    let mut feeds =
        [db.changes(db.oldest_seq()).unwrap(), reader.changes(reader.oldest_seq()).unwrap()];
    keyspace.insert("a", "1").unwrap();
    let replaced = keyspace.replace_all(records(70, 1)).unwrap();
    keyspace.insert("b", "2").unwrap();
    let nothing = keyspace.replace_all(State::new()).unwrap();
    for feed in &mut feeds {
        let mut told = Vec::new();
        while let Some(change) = feed.try_next().unwrap() {
            assert_eq!(change.keyspace.as_deref(), Some("k"));
            assert!(change.ends_commit);
            told.push((change.seq, change.kind, change.key, change.value));
        }
        let kinds: Vec<_> = told.iter().map(|(_, kind, ..)| *kind).collect();
        let of = |records_count| ChangeKind::ReplaceKeyspace { records_count };
        assert_eq!(
            kinds,
            [ChangeKind::CreateKeyspace, ChangeKind::Insert, of(70), ChangeKind::Insert, of(0)]
        );
        assert_eq!(told[2], (replaced.seq, of(70), vec![], None));
        assert_eq!(told[4].0, nothing.seq);
        assert_eq!(of(70).to_string(), "replace keyspace");
    }
    assert_eq!(db.last_seq(), nothing.seq);
}
