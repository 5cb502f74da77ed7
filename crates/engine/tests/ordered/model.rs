//! Random operations on an ordered and a hash keyspace against `BTreeMap`s.

use annals_disk::MemoryDisk;
use annals_engine::{
    Background, CasOutcome, Database, OrderedSnapshot, Range, Result, TreeOptions,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, u16),
    Remove(u8),
    RemoveBlindly(u8),
    RemoveRange(Bound<u8>, Bound<u8>),
    RemovePrefix(u8),
    PopFirst,
    Swap(u8, bool),
    Batch(Vec<(u8, Option<u16>)>, Option<(Bound<u8>, Bound<u8>)>),
    Clear,
    Checkpoint,
    CompactLog,
    CompactRange(u8, u8),
    Tick,
    Snapshot,
    /// A walk is begun, and goes on at the next looks.
    Walk,
    Look(Bound<u8>, Bound<u8>),
    Reopen,
}

fn bound() -> impl Strategy<Value = Bound<u8>> {
    prop_oneof![
        any::<u8>().prop_map(Bound::Included),
        any::<u8>().prop_map(Bound::Excluded),
        Just(Bound::Unbounded),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let write = || (any::<u8>(), prop::option::weighted(0.7, 0..600_u16));
    prop_oneof![
        8 => (any::<u8>(), 0..3_000_u16).prop_map(|(key, len)| Step::Insert(key, len)),
        3 => any::<u8>().prop_map(Step::Remove),
        2 => any::<u8>().prop_map(Step::RemoveBlindly),
        1 => (bound(), bound()).prop_map(|(from, to)| Step::RemoveRange(from, to)),
        1 => any::<u8>().prop_map(Step::RemovePrefix),
        2 => Just(Step::PopFirst),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(key, fits)| Step::Swap(key, fits)),
        4 => (prop::collection::vec(write(), 1..30), prop::option::weighted(0.2, (bound(), bound())))
            .prop_map(|(writes, range)| Step::Batch(writes, range)),
        1 => Just(Step::Clear),
        3 => Just(Step::Checkpoint),
        1 => Just(Step::CompactLog),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(from, to)| Step::CompactRange(from, to)),
        2 => Just(Step::Tick),
        2 => Just(Step::Snapshot),
        2 => Just(Step::Walk),
        5 => (bound(), bound()).prop_map(|(from, to)| Step::Look(from, to)),
        2 => Just(Step::Reopen),
    ]
}

/// Keys that share beginnings, some a beginning of others.
fn key(key: u8) -> Vec<u8> {
    match key % 4 {
        0 => vec![key / 64],
        1 => vec![key / 64, key],
        2 => format!("a long common beginning {key}").into_bytes(),
        _ => vec![0xff; usize::from(key / 16)],
    }
}

fn as_key(bound: Bound<u8>) -> Bound<Vec<u8>> {
    bound.map(key)
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

fn inside(range: &(Bound<Vec<u8>>, Bound<Vec<u8>>), key: &[u8]) -> bool {
    use std::ops::RangeBounds;
    RangeBounds::<[u8]>::contains(&(borrowed(&range.0), borrowed(&range.1)), key)
}

fn pairs(walk: Range) -> Pairs {
    walk.map(|entry| entry.map(|entry| entry.to_vecs())).collect::<Result<_>>().unwrap()
}

fn in_model(map: &Map, range: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Pairs {
    let inside = map.iter().filter(|(key, _)| inside(range, key));
    inside.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn check_snapshot(seen: &OrderedSnapshot, map: &Map) {
    assert_eq!(pairs(seen.iter().unwrap()), map.clone().into_iter().collect::<Pairs>());
    for number in (0..=255).step_by(17) {
        let got = seen.get(key(number)).unwrap();
        assert_eq!(got.as_deref(), map.get(&key(number)).map(Vec::as_slice));
    }
    let prefix = pairs(seen.prefix(b"a long").unwrap());
    assert!(
        prefix.iter().eq(in_model(map, &(Bound::Unbounded, Bound::Unbounded))
            .iter()
            .filter(|(key, _)| key.starts_with(b"a long")))
    );
}

fn open(disk: &Arc<MemoryDisk>, memory_bytes: u64) -> Database {
    Database::builder()
        .disk(Arc::clone(disk) as _)
        .background(Background::Manual)
        .segment_bytes(64 << 10)
        .checkpoint_every_bytes(40 << 10)
        .memory_bytes(memory_bytes)
        .open("db")
        .unwrap()
}

fn run(steps: &[Step], memory_bytes: u64, table_bytes: u64, separate_over_bytes: Option<u32>) {
    let disk = Arc::new(MemoryDisk::new());
    let mut db = open(&disk, memory_bytes);
    let tables = TreeOptions {
        level0_tables: 2,
        block_bytes: 512,
        table_bytes,
        base_bytes: 8 << 10,
        ratio: 2,
        separate_over_bytes,
        ..TreeOptions::default()
    };
    let mut sorted = db.create_keyspace("sorted", Default::default(), tables).unwrap();
    let mut hashed = db.hash_keyspace("hashed").unwrap();
    let (mut map, mut other) = (Map::new(), Map::new());
    let mut snapshots: Vec<(OrderedSnapshot, Map)> = Vec::new();
    // Walks, what is left to them, and a value that one has shown with what it was.
    let mut walks: Vec<(Range, Map)> = Vec::new();
    let mut kept: Vec<(annals_engine::Value, Vec<u8>)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let value = |len: u16| vec![number as u8; len.into()];
        match step {
            Step::Insert(at, len) => {
                sorted.insert(key(*at), value(*len)).unwrap();
                map.insert(key(*at), value(*len));
            }
            Step::Remove(at) => {
                let there = map.remove(&key(*at)).is_some();
                assert_eq!(sorted.remove(key(*at)).unwrap(), there);
            }
            Step::RemoveBlindly(at) => {
                sorted.remove_blindly(key(*at)).unwrap();
                map.remove(&key(*at));
            }
            Step::RemoveRange(from, to) => {
                let range = (as_key(*from), as_key(*to));
                sorted.remove_range::<&[u8]>((borrowed(&range.0), borrowed(&range.1))).unwrap();
                map.retain(|key, _| !inside(&range, key));
            }
            Step::RemovePrefix(at) => {
                sorted.remove_prefix(key(*at)).unwrap();
                map.retain(|one, _| !one.starts_with(&key(*at)));
            }
            Step::PopFirst => {
                let popped = sorted.pop_first().unwrap().map(|entry| entry.to_vecs());
                assert_eq!(popped, map.pop_first());
            }
            Step::Swap(at, fits) => {
                let now = map.get(&key(*at)).cloned();
                let expected = if *fits { now.as_deref() } else { Some(&b"never"[..]) };
                let done = sorted.compare_and_swap(key(*at), expected, Some(b"new")).unwrap();
                if *fits {
                    assert!(matches!(done, CasOutcome::Swapped(Some(_))));
                    map.insert(key(*at), b"new".to_vec());
                } else {
                    assert_eq!(done, CasOutcome::Different(now));
                }
            }
            Step::Batch(writes, range) => {
                let mut batch = db.batch();
                if let Some((from, to)) = range {
                    let range = (as_key(*from), as_key(*to));
                    let bounds = (borrowed(&range.0), borrowed(&range.1));
                    batch.remove_range::<&[u8]>(&sorted, bounds).unwrap();
                    map.retain(|key, _| !inside(&range, key));
                }
                for (index, (at, len)) in writes.iter().enumerate() {
                    let map = if index % 3 == 0 { &mut other } else { &mut map };
                    match len {
                        Some(len) => drop(map.insert(key(*at), value(*len))),
                        None => drop(map.remove(&key(*at))),
                    }
                    match (index % 3 == 0, len) {
                        (true, Some(len)) => batch.insert(&hashed, key(*at), value(*len)),
                        (true, None) => batch.remove(&hashed, key(*at)),
                        (false, Some(len)) => batch.insert(&sorted, key(*at), value(*len)),
                        (false, None) => batch.remove(&sorted, key(*at)),
                    }
                    .unwrap();
                }
                batch.commit().unwrap();
            }
            Step::Clear => {
                sorted.clear().unwrap();
                map.clear();
            }
            Step::Checkpoint => drop(db.checkpoint().unwrap()),
            Step::CompactLog => drop(db.compact().unwrap()),
            Step::CompactRange(from, to) => sorted.compact_range(key(*from)..key(*to)).unwrap(),
            Step::Tick => db.tick().unwrap(),
            Step::Snapshot => {
                snapshots.push((db.snapshot().ordered("sorted").unwrap(), map.clone()));
                if snapshots.len() > 3 {
                    snapshots.remove(0);
                }
            }
            Step::Walk => {
                walks.push((sorted.iter().unwrap(), map.clone()));
                if walks.len() > 3 {
                    let (walk, left) = walks.remove(0);
                    assert_eq!(pairs(walk), left.into_iter().collect::<Pairs>());
                }
                if let Some((key, value)) = map.iter().nth(number % map.len().max(1)) {
                    kept.push((sorted.get(key).unwrap().unwrap(), value.clone()));
                }
                if kept.len() > 5 {
                    kept.remove(0);
                }
            }
            Step::Look(from, to) => {
                let range = (as_key(*from), as_key(*to));
                let walk =
                    || sorted.range::<&[u8]>((borrowed(&range.0), borrowed(&range.1))).unwrap();
                let expected = in_model(&map, &range);
                assert_eq!(pairs(walk()), expected);
                let mut back: Vec<_> = walk().rev().map(|entry| entry.unwrap().to_vecs()).collect();
                back.reverse();
                assert_eq!(back, expected);
                // From both ends, in turns.
                let (mut both, mut seen) = (walk(), 0);
                while let Some(entry) = if seen % 3 == 0 { both.next_back() } else { both.next() } {
                    entry.unwrap();
                    seen += 1;
                }
                assert_eq!(seen, expected.len());
                assert_eq!(sorted.len().unwrap(), map.len() as u64);
                assert_eq!(sorted.is_empty().unwrap(), map.is_empty());
                let ends = (sorted.first().unwrap(), sorted.last().unwrap());
                assert_eq!(ends.0.map(|e| e.to_vecs().0), map.keys().next().cloned());
                assert_eq!(ends.1.map(|e| e.to_vecs().0), map.keys().next_back().cloned());
                let keys: Vec<_> = (0..=255).step_by(5).map(key).collect();
                for (key, got) in keys.iter().zip(sorted.get_many(&keys).unwrap()) {
                    assert_eq!(got.as_deref(), map.get(key).map(Vec::as_slice));
                }
                for (seen, map) in &snapshots {
                    check_snapshot(seen, map);
                }
                for (walk, left) in &mut walks {
                    let next = walk
                        .next_entry()
                        .unwrap()
                        .map(|(key, value)| (key.to_vec(), value.to_vec()));
                    assert_eq!(next, left.pop_first());
                    let back = walk.next_back().map(|entry| entry.unwrap().to_vecs());
                    assert_eq!(back, left.pop_last());
                }
                for (value, was) in &kept {
                    assert_eq!(**value, **was);
                }
            }
            Step::Reopen => {
                snapshots.clear();
                walks.clear();
                drop((sorted, hashed));
                db.close().unwrap();
                db = open(&disk, memory_bytes);
                sorted = db.keyspace("sorted").unwrap();
                hashed = db.hash_keyspace("hashed").unwrap();
            }
        }
        assert_eq!(hashed.len(), other.len() as u64);
    }
    assert_eq!(pairs(sorted.iter().unwrap()), map.into_iter().collect::<Pairs>());
    let report = db.verify(&mut |_| {}).unwrap();
    assert!(report.is_intact(), "{:?}", report.damages);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_ordered_keyspace_is_a_sorted_map(
        steps in prop::collection::vec(step(), 1..120),
        memory_bytes in prop::sample::select(vec![64_u64 << 10, 96 << 20]),
        // Of the larger ones all are small, and are merged side by side.
        table_bytes in prop::sample::select(vec![4_u64 << 10, 64 << 10, 2 << 20]),
        separate in prop::sample::select(vec![Some(0), Some(400), Some(400), Some(2_000), None]),
    ) {
        run(&steps, memory_bytes, table_bytes, separate);
    }
}
