//! What cannot be loaded, loads that are given up, and what others do in the middle of one.

use crate::support::{
    State, check_files, files, machine, made, open, read, records, seen, seen_by,
};
use annals_engine::{Database, Error, ErrorKind, KEY_BYTES_MAX, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Records = Vec<(Vec<u8>, Vec<u8>)>;

#[test]
fn what_is_wrong_is_told_and_nothing_is_changed() {
    let disk = machine(1);
    let db = open(&disk);
    let keyspace = made(&db, "k");
    let old = records(10, 1);
    keyspace.replace_all(&old).unwrap();
    db.tick().unwrap();
    let (files_before, seq_before) = (files(&disk), db.last_seq());
    let with = |more: &[&[u8]]| -> Records {
        let more = more.iter().map(|key| (key.to_vec(), Vec::new()));
        records(400, 2).into_iter().chain(more).collect()
    };
    let too_long = vec![b'x'; KEY_BYTES_MAX + 1];
    let cases: [(Records, &str); 4] = [
        (with(&[b"00399"]), "record 401 has the same key as the one before it; sort the records"),
        (with(&[b"1", b"00400"]), "record 402 has a lower key than the one before it; sort"),
        (with(&[&too_long]), "a key of 65537 bytes is too long"),
        (vec![(b"b".to_vec(), vec![]), (vec![], vec![])], "record 2 has a lower key"),
    ];
    for (wrong, told) in cases {
        let refused = keyspace.replace_all(wrong).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
        assert!(refused.to_string().starts_with(told), "{refused}");
        assert!(!refused.is_retryable());
    }
    let broken = |at: u32| {
        (0..1000u32).map(move |n| {
            if n == at {
                Err(Error::Refused("no more".into()))
            } else {
                Ok((n.to_be_bytes(), [n as u8]))
            }
        })
    };
    for at in [0, 1, 500, 999] {
        let refused = keyspace.try_replace_all(broken(at)).unwrap_err();
        assert_eq!(refused.to_string(), "no more");
        let panics = broken(at).map(Result::unwrap);
        assert!(catch_unwind(AssertUnwindSafe(|| keyspace.replace_all(panics))).is_err());
    }
    assert_eq!((seen(&keyspace), db.last_seq()), (old, seq_before));
    assert_eq!(files(&disk), files_before);

    let reader = read(&disk);
    let refused = reader.keyspace("k").unwrap().replace_all(records(1, 1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    keyspace.replace_all(records(1000, 3)).unwrap();
    assert_eq!(keyspace.len().unwrap(), 1000);
}

/// Keys of every length, in tables of one record each.
#[test]
fn the_longest_key_and_the_empty_one_are_loaded() {
    let disk = machine(1);
    let db = open(&disk);
    let keyspace = made(&db, "k");
    let mut state = State::from([(vec![], b"of the empty key".to_vec())]);
    state.insert(vec![b'x'; KEY_BYTES_MAX], vec![]);
    state.insert(vec![b'y'; KEY_BYTES_MAX], vec![7; 100_000]);
    state.insert(vec![0xff; 10], b"last".to_vec());
    assert_eq!(keyspace.replace_all(&state).unwrap().records_count, 4);
    assert_eq!(seen(&keyspace), state);
    drop(keyspace);
    db.close().unwrap();
    assert_eq!(seen(&open(&disk).keyspace("k").unwrap()), state);
}

/// Calls `act` in the middle of a load.
fn interrupted(
    db: &Database,
    fresh: &State,
    act: impl FnOnce(),
) -> Result<annals_engine::Replaced> {
    let mut act = Some(act);
    let half = fresh.len() / 2;
    let records = fresh.iter().enumerate().map(|(at, record)| {
        if at == half {
            act.take().expect("once")();
        }
        record
    });
    db.open_keyspace("k").unwrap().replace_all(records)
}

#[test]
fn a_keyspace_that_is_dropped_meanwhile_takes_no_load() {
    let disk = machine(1);
    let db = open(&disk);
    made(&db, "k").insert("a", "1").unwrap();
    let refused = interrupted(&db, &records(600, 1), || db.drop_keyspace("k").unwrap());
    assert!(matches!(refused, Err(Error::KeyspaceDropped { .. })), "{refused:?}");
    check_files(&disk, &db, "dropped");
    // One of the same name is another one.
    made(&db, "k").insert("a", "1").unwrap();
    let refused = interrupted(&db, &records(600, 1), || {
        db.drop_keyspace("k").unwrap();
        made(&db, "k").insert("b", "2").unwrap();
    });
    assert!(matches!(refused, Err(Error::KeyspaceDropped { .. })), "{refused:?}");
    assert_eq!(seen(&db.open_keyspace("k").unwrap()).len(), 1);
    check_files(&disk, &db, "dropped and made anew");
}

#[test]
fn what_is_done_to_the_keyspace_meanwhile_is_replaced() {
    let disk = machine(1);
    let db = open(&disk);
    let keyspace = made(&db, "k");
    let (fresh, other) = (records(600, 1), records(300, 2));
    let acts: [&dyn Fn(); 4] = [
        &|| keyspace.insert("zz", "meanwhile").unwrap(),
        &|| keyspace.clear().unwrap(),
        &|| {
            keyspace.replace_all(&other).unwrap();
        },
        &|| {
            keyspace.insert("zz", "meanwhile").unwrap();
            db.checkpoint().unwrap();
            db.compact().unwrap();
            made(&db, &format!("made at {}", db.last_seq()));
        },
    ];
    for act in acts {
        let mut before = None;
        let done = interrupted(&db, &fresh, || {
            act();
            before = Some((db.snapshot(), seen(&keyspace)));
        });
        assert_eq!(done.unwrap().records_count, 600);
        assert_eq!(seen(&keyspace), fresh);
        let (snapshot, state) = before.unwrap();
        assert_ne!(state, fresh);
        assert_eq!(seen_by(snapshot.ordered("k").unwrap().iter().unwrap()), state);
        keyspace.clear().unwrap();
    }
    check_files(&disk, &db, "the end");
}

/// Closing does not wait for who gives the records, and no file is written behind it.
#[test]
fn closing_ends_a_load() {
    let disk = machine(1);
    let db = open(&disk);
    let keyspace = made(&db, "k");
    let old = records(20, 1);
    keyspace.insert_many(&old).unwrap();
    let mut closing = Some(db);
    let mut opened = None;
    let slow = (0..2_000u32).map(|n| {
        if n == 1_000 {
            closing.take().unwrap().close().unwrap();
            opened = Some((open(&disk), files(&disk)));
        }
        (n.to_be_bytes(), [7; 100])
    });
    let refused = keyspace.replace_all(slow).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
    let (db, files_then) = opened.unwrap();
    assert_eq!(files(&disk), files_then, "neither written nor removed by who has closed");
    assert_eq!(seen(&db.keyspace("k").unwrap()), old);
    check_files(&disk, &db, "opened again");
    let refused = keyspace.replace_all(records(1, 1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
}
