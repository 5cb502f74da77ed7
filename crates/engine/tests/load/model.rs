//! Random operations on what was loaded, against a `BTreeMap`.

use crate::support::{check_files, machine, open, seen, seen_by, small};
use annals_engine::{KeyspaceOptions, Style, TreeOptions};
use std::collections::BTreeMap;

/// Numbers that look random, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end
    }

    fn key(&mut self) -> Vec<u8> {
        let mut key = format!("{:03}", self.below(160)).into_bytes();
        key.truncate(1 + self.below(6) as usize);
        key
    }

    /// Some are so long that writing leaves them in the log.
    fn value(&mut self) -> Vec<u8> {
        let len = if self.below(12) == 0 { 700 } else { self.below(50) };
        vec![self.below(256) as u8; len as usize]
    }
}

fn run(seed: u64, style: Style) {
    let disk = machine(seed);
    let mut db = open(&disk);
    let options = TreeOptions { style, ..small() };
    let mut keyspace = db.create_keyspace("k", KeyspaceOptions::default(), options).unwrap();
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut state = BTreeMap::new();
    let mut kept = Vec::new();
    for step in 0..250 {
        let context = format!("{style:?}, seed {seed}, step {step}");
        match numbers.below(40) {
            0..=15 => {
                let (key, value) = (numbers.key(), numbers.value());
                keyspace.insert(&key, &value).unwrap();
                state.insert(key, value);
            }
            16..=19 => {
                let key = numbers.key();
                let was_there = keyspace.remove(&key).unwrap();
                assert_eq!(was_there, state.remove(&key).is_some(), "{context}");
            }
            20 | 21 => {
                let (one, other) = (numbers.key(), numbers.key());
                let (from, to) = (one.clone().min(other.clone()), one.max(other));
                keyspace.remove_range(from.clone()..to.clone()).unwrap();
                state.retain(|key, _| *key < from || to <= *key);
            }
            22..=24 => {
                let count = numbers.below(3) * numbers.below(200);
                let fresh: BTreeMap<_, _> =
                    (0..count).map(|_| (numbers.key(), numbers.value())).collect();
                let replaced = keyspace.replace_all(&fresh).unwrap();
                assert_eq!(replaced.records_count, fresh.len() as u64, "{context}");
                assert_eq!(replaced.seq, db.last_seq(), "{context}");
                state = fresh;
            }
            25 => {
                keyspace.clear().unwrap();
                state.clear();
            }
            26 | 27 => {
                let snapshot = db.snapshot();
                let walk = keyspace.iter().unwrap();
                kept.push((snapshot, walk, state.clone()));
            }
            28 if !kept.is_empty() => {
                let (_, walk, state) = kept.swap_remove(numbers.below(kept.len() as u64) as usize);
                assert_eq!(seen_by(walk), state, "{context}: a walk from before");
            }
            29 | 30 => drop(db.checkpoint().unwrap()),
            31 => drop(db.compact().unwrap()),
            32 => keyspace.compact_range::<&[u8]>(..).unwrap(),
            33 | 34 => db.tick().unwrap(),
            35 => {
                kept.clear();
                db.close().unwrap();
                db = open(&disk);
                keyspace = db.keyspace("k").unwrap();
            }
            _ => {
                assert_eq!(seen(&keyspace), state, "{context}");
                for (snapshot, _, state) in &kept {
                    let before = snapshot.ordered("k").unwrap();
                    assert_eq!(seen_by(before.iter().unwrap()), *state, "{context}: a snapshot");
                    for (key, value) in state {
                        let found = before.get(key).unwrap();
                        assert_eq!(found.as_deref(), Some(&value[..]), "{context}: a snapshot");
                    }
                }
            }
        }
    }
    kept.clear();
    let report = db.verify(&mut |_| {}).unwrap();
    assert!(report.damages.is_empty(), "{:?}", report.damages);
    assert_eq!(seen(&keyspace), state, "the end");
    db.compact().unwrap();
    check_files(&disk, &db, "the end");
    // Also where the views are made anew from the log.
    drop(keyspace);
    drop(db);
    let db = open(&disk.restart_clean());
    assert_eq!(seen(&db.keyspace("k").unwrap()), state, "opened anew");
}

#[test]
fn what_was_loaded_is_like_what_was_written() {
    for seed in 0..12 {
        run(seed, Style::Leveled);
        run(seed, Style::Tiered);
        run(seed, Style::Fifo { keep_ms: 0, bytes_max: 0 });
    }
}

/// Values that writing would leave in the log need none of it.
#[test]
fn long_values_are_in_the_tables() {
    let disk = machine(1);
    let db = open(&disk);
    let keyspace = crate::support::made(&db, "k");
    let records: Vec<_> = (0..50u32).map(|n| (n.to_be_bytes(), vec![n as u8; 5_000])).collect();
    let log_bytes = |db: &annals_engine::Database| db.stats().log.appended_bytes;
    let before = log_bytes(&db);
    keyspace.replace_all(records.iter().map(|(key, value)| (key, value))).unwrap();
    assert!(log_bytes(&db) - before < 1_000, "only that it was done is in the log");
    let options = db.keyspace("k").unwrap().table_options().unwrap();
    assert_eq!(options, small(), "the tree is like the one before");
    keyspace.compact_range::<&[u8]>(..).unwrap();
    for (key, value) in &records {
        assert_eq!(keyspace.get(key).unwrap().as_deref(), Some(&value[..]));
        assert_eq!(keyspace.get_with(key, <[u8]>::len).unwrap(), Some(5_000));
    }
}

#[test]
fn records_live_as_long_as_the_keyspace_says() {
    let disk = machine(1);
    let db = open(&disk);
    let a_minute = KeyspaceOptions::default().ttl(std::time::Duration::from_secs(60));
    let keyspace = db.create_keyspace("k", a_minute, small()).unwrap();
    // Some are taken half a minute later.
    let slow = (0..100u32).map(|n| {
        if n == 50 {
            disk.advance_ms(30_000);
        }
        (n.to_be_bytes(), "v")
    });
    assert_eq!(keyspace.replace_all(slow).unwrap().records_count, 100);
    assert_eq!(keyspace.len().unwrap(), 100);
    disk.advance_ms(30_000);
    assert_eq!(keyspace.len().unwrap(), 50);
    assert_eq!(keyspace.first().unwrap().unwrap().key(), 50u32.to_be_bytes());
    disk.advance_ms(30_000);
    assert!(keyspace.is_empty().unwrap());
    keyspace.compact_range::<&[u8]>(..).unwrap();
    assert_eq!(crate::support::tables(&db), 0, "what is over goes with its tables");
}
