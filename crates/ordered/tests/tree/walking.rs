//! Long walks: what a cursor shows is of one moment, whatever is written, flushed and compacted between
//! its steps, and whether it looks for the next key or knows it already.

use crate::support::*;
use annals_ordered::{AsOf, Store, Tree};

const KEYS: u64 = 600;

fn key(number: u64) -> Vec<u8> {
    // Groups that begin alike, with ends of different lengths.
    let mut key = format!("group {:04} ", number / 16).into_bytes();
    key.extend_from_slice(&number.to_be_bytes()[8 - (number % 3) as usize..]);
    key.push(b'a' + (number % 16) as u8);
    key
}

fn change(numbers: &mut Numbers, now_ms: u64, plain_share: u64) -> Change {
    let key = key(numbers.below(KEYS));
    let value = vec![numbers.below(256) as u8; numbers.below(40) as usize];
    if numbers.below(100) < plain_share {
        return Change::Put { key, value, expires_ms: None };
    }
    match numbers.below(5) {
        0 => {
            let from = numbers.below(KEYS);
            let to = from + numbers.below(KEYS / 20);
            Change::RemoveRange { from: self::key(from), to: self::key(to) }
        }
        1 | 2 => Change::Remove { key },
        _ => Change::Put { key, value, expires_ms: Some(now_ms + numbers.below(40)) },
    }
}

fn write(log: &mut Log, tree: &Tree, numbers: &mut Numbers, now_ms: u64, plain_share: u64) {
    let count = 1 + numbers.below(40);
    let changes: Vec<_> = (0..count).map(|_| change(numbers, now_ms, plain_share)).collect();
    log.write(tree, &changes, now_ms).unwrap();
}

/// One of the things that happen to a tree meanwhile.
fn disturb(
    log: &mut Log,
    store: &Store,
    tree: &Tree,
    numbers: &mut Numbers,
    (now_ms, plain_share): (u64, u64),
) {
    match numbers.below(8) {
        0..=2 => write(log, tree, numbers, now_ms, plain_share),
        3 => drop(tree.seal()),
        4 | 5 => {
            if let Some(work) = store.next_work(now_ms) {
                work.run().unwrap();
            }
        }
        6 => work(store, now_ms).unwrap(),
        _ => {
            tree.seal();
            tree.compact_range(None, now_ms).unwrap();
        }
    }
}

/// Walks through what a snapshot sees, in steps of all kinds. Returns how many steps needed no look.
fn walk(seed: u64, plain_share: u64) -> u64 {
    let mut numbers = Numbers::new(seed);
    let store = create(&disk(seed)).unwrap();
    let tree = store.create_tree(TREE, options()).unwrap();
    let (mut log, now_ms) = (Log::default(), 1000);
    let around = (now_ms, plain_share);
    for _ in 0..60 {
        disturb(&mut log, &store, &tree, &mut numbers, around);
    }
    let mut followed = 0;
    for round in 0..6 {
        let hold = store.hold(log.seq(), now_ms);
        let as_of = AsOf { seq: hold.seq(), now_ms };
        let (from, to) = (numbers.below(KEYS / 2), KEYS / 2 + numbers.below(KEYS));
        let (from, to) = (key(from), (to < KEYS).then(|| key(to)));
        let mut all = seen(&log.state, now_ms);
        all.retain(|(key, _)| from <= *key && to.as_ref().is_none_or(|to| key < to));
        let mut cursor = tree.cursor(&from, to.as_deref(), as_of);
        cursor.to_first().unwrap();
        let mut at = 0;
        for step in 0..400 {
            let context = format!("seed {seed}, round {round}, step {step}");
            let shown = cursor.entry().map(|entry| (entry.key.to_vec(), entry.value.to_vec()));
            assert_eq!(shown.as_ref(), all.get(at), "{context}");
            match numbers.below(40) {
                0 | 1 => disturb(&mut log, &store, &tree, &mut numbers, around),
                2 => {
                    let sought = key(numbers.below(KEYS));
                    cursor.seek(&sought).unwrap();
                    at = all.partition_point(|(key, _)| *key < sought);
                }
                3 if at > 0 && shown.is_some() => {
                    cursor.retreat().unwrap();
                    at -= 1;
                }
                4..=20 if cursor.follow() => {
                    followed += 1;
                    at += 1;
                }
                _ if shown.is_some() => {
                    cursor.advance().unwrap();
                    at += 1;
                }
                _ => {
                    cursor.to_first().unwrap();
                    at = 0;
                }
            }
        }
    }
    followed
}

#[test]
fn walks_show_one_moment_whatever_goes_on() {
    let mut followed = [0; 3];
    for seed in 0..24 {
        for (plain_share, followed) in [100, 95, 60].into_iter().zip(&mut followed) {
            *followed += walk(seed, plain_share);
        }
    }
    // Both ways of going on were gone.
    assert!(followed[0] > 1000 && followed[1] > 0, "{followed:?}");
}
