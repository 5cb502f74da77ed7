//! Walks that leave keys out, against a sorted map.

use annals_disk::MemoryDisk;
use annals_engine::{Background, Database, OrderedKeyspace, Range};
use proptest::prelude::*;
use std::{
    collections::{BTreeSet, VecDeque},
    ops::Bound,
    sync::Arc,
};

const KEYS: u16 = 700;

#[derive(Clone, Debug)]
enum Step {
    Next(u8),
    Back(u8),
    Seek(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..20_u8).prop_map(Step::Next),
        (1..20_u8).prop_map(Step::Back),
        (0..KEYS + 9).prop_map(Step::Seek),
    ];
    prop::collection::vec(step, 1..20)
}

fn bound() -> impl Strategy<Value = Bound<u16>> {
    prop_oneof![
        (0..KEYS).prop_map(Bound::Included),
        (0..KEYS).prop_map(Bound::Excluded),
        Just(Bound::Unbounded),
    ]
}

/// Keys in several levels and in memory, many of them removed again, some of a range.
fn filled() -> (Database, OrderedKeyspace, BTreeSet<u16>) {
    let disk = Arc::new(MemoryDisk::new());
    let builder = Database::builder().disk(disk).background(Background::Manual);
    let db = builder.open("db").unwrap();
    let (sorted, mut there) = (db.keyspace("sorted").unwrap(), BTreeSet::new());
    for round in 0..4_u16 {
        for key in (0..KEYS).filter(|key| (key * 7 + round) % 5 < 2) {
            sorted.insert(key.to_be_bytes(), key.to_string()).unwrap();
            there.insert(key);
        }
        for key in (0..KEYS).filter(|key| (key + round) % 4 == 0) {
            sorted.remove(key.to_be_bytes()).unwrap();
            there.remove(&key);
        }
        let gone = round * 100..round * 100 + 30;
        sorted.remove_range(gone.start.to_be_bytes()..gone.end.to_be_bytes()).unwrap();
        there.retain(|key| !gone.contains(key));
        match round {
            0 => sorted.compact().unwrap(),
            1 | 2 => drop(db.checkpoint().unwrap()),
            _ => {}
        }
    }
    (db, sorted, there)
}

/// Whatever is left out goes from both ends alike, and what was given is never given again.
fn check(mut walk: Range, mut left: VecDeque<u16>, steps: &[Step]) {
    let shown = |key: u16| (key.to_be_bytes().to_vec(), key.to_string().into_bytes());
    for step in steps {
        match *step {
            Step::Next(count) => {
                for _ in 0..count {
                    let next = walk.next_entry().unwrap();
                    let next = next.map(|(key, value)| (key.to_vec(), value.to_vec()));
                    assert_eq!(next, left.pop_front().map(shown), "{steps:?}");
                }
            }
            Step::Back(count) => {
                for _ in 0..count {
                    let next = walk.next_entry_back().unwrap();
                    let next = next.map(|(key, value)| (key.to_vec(), value.to_vec()));
                    assert_eq!(next, left.pop_back().map(shown), "{steps:?}");
                }
            }
            Step::Seek(key) => {
                walk.seek(key.to_be_bytes());
                left.retain(|there| *there >= key);
            }
        }
    }
    let rest: Vec<_> = walk.map(|entry| entry.unwrap().to_vecs()).collect();
    assert_eq!(rest, left.into_iter().map(shown).collect::<Vec<_>>(), "{steps:?}");
}

#[test]
fn seeking_leaves_out_what_lies_before() {
    let (_db, sorted, there) = filled();
    let cases = (bound(), bound(), steps());
    let mut runner = proptest::test_runner::TestRunner::default();
    let done = runner.run(&cases, |(from, to, steps)| {
        let as_key = |bound: Bound<u16>| bound.map(|key| key.to_be_bytes());
        let walk = sorted.range((as_key(from), as_key(to))).unwrap();
        let inside = |key: &&u16| std::ops::RangeBounds::<u16>::contains(&(from, to), *key);
        check(walk, there.iter().filter(inside).copied().collect(), &steps);
        let prefix = [1_u8];
        let walk = sorted.prefix(prefix).unwrap();
        check(walk, there.range(256..512).copied().collect(), &steps);
        Ok(())
    });
    done.unwrap();
}
