//! Records that are committed alone and are short, or a little longer than that: each length at which
//! their encoding changes, and others who clear, drop and look at the keyspace meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_engine::{
    Background, CasOutcome, Database, ErrorKind, HashKeyspace, Result, WriteOptions,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Where a length takes another byte, and around the longest record that is put together on the stack.
const LENGTHS: [usize; 15] =
    [0, 1, 8, 126, 127, 128, 129, 272, 273, 398, 399, 400, 401, 16_383, 16_384];

fn contents(keyspace: &HashKeyspace) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let entries = keyspace.iter().unwrap();
    entries.map(|entry| entry.map(|e| (e.key().to_vec(), e.value().to_vec())).unwrap()).collect()
}

#[test]
fn records_of_every_length_come_back() -> Result<()> {
    let disk: Arc<dyn annals_disk::Disk> = Arc::new(annals_disk::MemoryDisk::new());
    let open = || {
        let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::clone(&disk));
        builder.background(Background::Manual).open("db")
    };
    let db = open()?;
    let spaces: Vec<_> = (1..=130).map(|n| db.hash_keyspace(&format!("{n}")).unwrap()).collect();
    let mut expected: Vec<_> = spaces.iter().map(|_| BTreeMap::new()).collect();
    let mut snapshots = Vec::new();
    let mut number = 0u8;
    for index in [0, 125, 126, 127, 128] {
        let (space, expected) = (&spaces[index], &mut expected[index]);
        for key_len in LENGTHS {
            for value_len in LENGTHS {
                number = number.wrapping_add(1);
                let key: Vec<u8> = (0..key_len)
                    .map(|at| (at + value_len * 7) as u8 ^ (value_len >> 8) as u8)
                    .collect();
                let value = vec![number; value_len];
                match number % 4 {
                    0 => space.insert(&key, &value)?,
                    1 => {
                        let options = WriteOptions::default().ttl(Duration::from_secs(1 << 30));
                        space.insert_with(&key, &value, options).map(drop)?;
                    }
                    2 => {
                        let before = expected.get(&key).cloned();
                        let outcome =
                            space.compare_and_swap(&key, before.as_deref(), Some(&value))?;
                        assert!(matches!(outcome, CasOutcome::Swapped(Some(_))));
                    }
                    _ => assert_eq!(
                        space.fetch_update(&key, |_| Some(value.clone()))?,
                        expected.get(&key).cloned()
                    ),
                }
                expected.insert(key.clone(), value.clone());
                assert_eq!(space.get(&key)?.as_deref(), Some(&value[..]));
                match number % 13 {
                    0 => snapshots.push(db.snapshot()),
                    5 => drop(snapshots.pop()),
                    7 => {
                        assert!(space.remove(&key)?);
                        assert!(!space.remove(&key)?);
                        assert!(space.get(&key)?.is_none());
                        expected.remove(&key);
                    }
                    _ => {}
                }
            }
        }
    }
    drop((snapshots, spaces));
    assert!(db.verify(&mut |_| {})?.is_intact());
    drop(db);
    let db = open()?;
    for (index, expected) in expected.iter().enumerate() {
        assert!(contents(&db.hash_keyspace(&format!("{}", index + 1))?) == *expected);
    }
    assert!(db.verify(&mut |_| {})?.is_intact());
    Ok(())
}

#[test]
fn what_is_written_while_others_clear_and_look_is_what_comes_back() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let builder = || {
        let builder = Database::builder().segment_bytes(64 << 10).checkpoint_every_bytes(100 << 10);
        builder.compact_below(0.8)
    };
    let db = builder().open(dir.path().join("db"))?;
    let space = db.hash_keyspace("a")?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3u32)
            .map(|of| {
                let (db, space) = (&db, &space);
                scope.spawn(move || {
                    let passing = db.hash_keyspace(&format!("passing {of}")).unwrap();
                    for round in 0..8_000u32 {
                        let key = [(round.wrapping_mul(2_654_435_761) >> 24) as u8];
                        let value = vec![of as u8; (round as usize * 37) % 500];
                        match round % 5 {
                            0 => space.remove(key).map(drop).unwrap(),
                            1 => {
                                space.fetch_update(key, |_| Some(value.clone())).map(drop).unwrap();
                            }
                            _ => space.insert(key, &value).unwrap(),
                        }
                        if round == 4_000 {
                            db.drop_keyspace(passing.name()).unwrap();
                        }
                        match passing.insert(key, &value) {
                            Ok(()) => assert!(round < 4_000),
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                                assert!(round >= 4_000);
                            }
                        }
                    }
                })
            })
            .collect();
        for other in 0..2 {
            let (db, space, stop) = (&db, &space, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if other == 0 {
                        space.clear().unwrap();
                        std::thread::sleep(Duration::from_millis(3));
                    } else {
                        let snapshot = db.snapshot();
                        for entry in snapshot.iter("a").unwrap() {
                            let entry = entry.unwrap();
                            let first = entry.value().first();
                            assert!(entry.value().iter().all(|byte| Some(byte) == first));
                        }
                        drop(snapshot);
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
        let outcomes: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(outcomes.iter().all(|outcome| outcome.is_ok()));
    });
    let left = contents(&space);
    assert_eq!(space.len(), left.len() as u64);
    assert!(db.verify(&mut |_| {})?.is_intact());
    drop(space);
    db.close()?;
    let db = builder().open(dir.path().join("db"))?;
    assert!(contents(&db.hash_keyspace("a")?) == left);
    Ok(())
}

#[test]
fn a_damaged_record_is_not_removed_unseen() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open(&path)?;
    let space = db.hash_keyspace("a")?;
    space.insert("key", "a value that is easily found")?;
    space.insert("other", "b")?;
    drop(space);
    db.close()?;
    let segment = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(10).any(|window| window == b"easily fou")
        })
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(10).position(|window| window == b"easily fou").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();

    let db = Database::open(&path)?;
    let space = db.hash_keyspace("a")?;
    assert!(space.get("key").is_err());
    assert!(space.remove("key").is_err());
    assert!(space.remove("other")?);
    space.insert("key", "whole")?;
    assert!(space.remove("key")?, "what was written over it");
    Ok(())
}
