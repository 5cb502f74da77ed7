//! Memtables against a plain sorted map, and under readers that look while it is written to.

#![allow(clippy::unwrap_used, reason = "a test")]

use annals_ordered::{Cursor, Entry, EntryKind, MemtableCursor, MemtableWriter, RangeRemoval};
use proptest::prelude::*;
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

type Place = (Vec<u8>, Reverse<u64>);
type Model = BTreeMap<Place, (EntryKind, Option<u64>, Vec<u8>)>;

/// Keys that share much, little and nothing, some as short as can be.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(0..3_u8, 0..6),
        (0..400_u16).prop_map(|n| n.to_be_bytes().to_vec()),
        (0..400_u16).prop_map(|n| format!("a rather long common beginning {n:05}").into_bytes()),
        (0..9_u8).prop_map(|n| [b"zeroes behind: ".to_vec(), vec![0; n.into()]].concat()),
        (0..3_u8, 0..300_u16).prop_map(|(a, n)| [vec![a; 40], n.to_be_bytes().to_vec()].concat()),
    ]
}

fn kind() -> impl Strategy<Value = EntryKind> {
    prop::sample::select(vec![EntryKind::Put, EntryKind::Pointer, EntryKind::Remove])
}

#[derive(Clone, Debug)]
enum Step {
    First,
    Last,
    Seek(Vec<u8>, u64),
    SeekBack(Vec<u8>, u64),
    On(u8),
    Back(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let seq = || prop_oneof![0..700_u64, Just(u64::MAX)];
    prop_oneof![
        Just(Step::First),
        Just(Step::Last),
        (key(), seq()).prop_map(|(key, seq)| Step::Seek(key, seq)),
        (key(), seq()).prop_map(|(key, seq)| Step::SeekBack(key, seq)),
        (1..40_u8).prop_map(Step::On),
        (1..40_u8).prop_map(Step::Back),
    ]
}

fn expected<'m>(model: &'m Model, at: Option<&'m Place>) -> Option<Entry<'m>> {
    let at = at?;
    let (kind, expires_ms, value) = &model[at];
    Some(Entry { key: &at.0, seq: at.1.0, kind: *kind, expires_ms: *expires_ms, value })
}

fn check(model: &Model, cursor: &mut MemtableCursor, steps: &[Step]) {
    let mut at: Option<&Place> = None;
    for step in steps {
        let first = |from: Place| model.range(from..).next().map(|(place, _)| place);
        let last = |to: Place| model.range(..=to).next_back().map(|(place, _)| place);
        match step {
            Step::First => {
                cursor.to_first().unwrap();
                at = model.first_key_value().map(|(place, _)| place);
            }
            Step::Last => {
                cursor.to_last().unwrap();
                at = model.last_key_value().map(|(place, _)| place);
            }
            Step::Seek(key, seq) => {
                cursor.seek(key, *seq).unwrap();
                at = first((key.clone(), Reverse(*seq)));
            }
            Step::SeekBack(key, seq) => {
                cursor.seek_back(key, *seq).unwrap();
                at = last((key.clone(), Reverse(*seq)));
            }
            Step::On(times) => {
                for _ in 0..*times {
                    assert_eq!(cursor.entry(), expected(model, at));
                    cursor.advance().unwrap();
                    at = at.and_then(|at| {
                        use std::ops::Bound::{Excluded, Unbounded};
                        let behind = model.range::<Place, _>((Excluded(at), Unbounded)).next();
                        behind.map(|(place, _)| place)
                    });
                }
            }
            Step::Back(times) => {
                for _ in 0..*times {
                    assert_eq!(cursor.entry(), expected(model, at));
                    cursor.retreat().unwrap();
                    at = at.and_then(|at| {
                        model.range::<Place, _>(..at).next_back().map(|(place, _)| place)
                    });
                }
            }
        }
        assert_eq!(cursor.entry(), expected(model, at), "after {step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_memtable_is_a_sorted_map_of_versions(
        puts in prop::collection::vec(
            (key(), 0..600_u64, kind(), prop::option::of(any::<u64>()), 0..300_usize),
            0..900,
        ),
        sorted_from in 0..900_usize,
        steps in prop::collection::vec(step(), 1..40),
        looks in prop::collection::vec((key(), 0..700_u64), 0..50),
    ) {
        let mut puts = puts;
        // The last ones come as a sorted batch does.
        let from = sorted_from.min(puts.len());
        puts[from..].sort_by(|one, other| (&one.0, Reverse(one.1)).cmp(&(&other.0, Reverse(other.1))));
        let mut model = Model::new();
        let mut writer = MemtableWriter::new();
        for (key, seq, kind, expires_ms, len) in &puts {
            let value = vec![*len as u8; if *kind == EntryKind::Remove { 0 } else { *len }];
            let (kind, expires_ms) = (*kind, *expires_ms);
            writer.put(&Entry { key, seq: *seq, kind, expires_ms, value: &value });
            model.entry((key.clone(), Reverse(*seq))).or_insert((kind, expires_ms, value));
        }
        let memtable = writer.memtable();
        prop_assert_eq!(memtable.versions(), model.len() as u64);
        let payload = model.iter().map(|(place, (_, _, value))| place.0.len() + value.len());
        prop_assert_eq!(memtable.payload_bytes(), payload.sum::<usize>() as u64);
        let seqs = || model.keys().map(|place| place.1.0);
        prop_assert_eq!(memtable.seqs(), seqs().min().zip(seqs().max()));
        check(&model, &mut memtable.cursor(), &steps);
        for (key, seq) in &looks {
            let newest = model.range((key.clone(), Reverse(*seq))..).next();
            let newest = newest.filter(|(place, _)| place.0 == *key).map(|(place, _)| place);
            prop_assert_eq!(memtable.find(key, *seq), expected(&model, newest));
        }
        for put in &puts {
            let found = memtable.find(&put.0, put.1).unwrap();
            prop_assert_eq!((found.key, found.seq), (&put.0[..], put.1));
        }
    }
}

fn put<'a>(key: &'a [u8], seq: u64, value: &'a [u8]) -> Entry<'a> {
    Entry { key, seq, kind: EntryKind::Put, expires_ms: None, value }
}

fn scrambled(n: u64) -> u64 {
    let x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[test]
fn many_in_any_order_come_out_sorted_both_ways() {
    let orders: [fn(u64) -> u64; 5] =
        [|n| n, |n| !n, scrambled, |n| n / 2 + n % 2 * 50_000, |n| n % 7];
    for order in orders {
        let mut writer = MemtableWriter::new();
        let mut expected = Vec::new();
        for n in 0..40_000 {
            let key = format!("tenant/{:020}", order(n));
            writer.put(&put(key.as_bytes(), n, &n.to_be_bytes()));
            expected.push((key.into_bytes(), Reverse(n)));
        }
        expected.sort();
        let mut cursor = writer.memtable().cursor();
        cursor.to_first().unwrap();
        for (key, seq) in &expected {
            assert_eq!(cursor.entry(), Some(put(key, seq.0, &seq.0.to_be_bytes())));
            cursor.advance().unwrap();
        }
        assert_eq!(cursor.entry(), None);
        cursor.to_last().unwrap();
        for (key, seq) in expected.iter().rev() {
            assert_eq!(cursor.entry(), Some(put(key, seq.0, &seq.0.to_be_bytes())));
            cursor.retreat().unwrap();
        }
        assert_eq!(cursor.entry(), None);
    }
}

/// A cursor goes from leaf to leaf by what it knows of the node above; what is added meanwhile splits leaves and
/// nodes in front of it and behind it.
#[test]
fn a_cursor_misses_nothing_when_leaves_are_split_around_it() {
    const KEYS: u64 = 4_000;
    /// Goes to the next version that was there from the start, on or back.
    fn step(cursor: &mut MemtableCursor, is_on: bool) -> Option<Vec<u8>> {
        loop {
            if is_on { cursor.advance() } else { cursor.retreat() }.unwrap();
            let entry = cursor.entry()?;
            if entry.seq == 1 {
                return Some(entry.key.to_vec());
            }
        }
    }
    let key = |n: u64| (8 * n).to_be_bytes();
    let between = |n: u64, place: u64| (8 * n + 1 + place % 7).to_be_bytes();
    for added in [0, 1, 10, 100, 400] {
        let mut writer = MemtableWriter::new();
        for n in 0..KEYS {
            writer.put(&put(&key(n * 1_103 % KEYS), 1, b""));
        }
        let mut seq = 1;
        let mut cursor = writer.memtable().cursor();
        for start in (0..KEYS).step_by(97) {
            cursor.seek(&key(start), 1).unwrap();
            assert_eq!(cursor.entry(), Some(put(&key(start), 1, b"")));
            for n in 0..added {
                seq += 1;
                // Where the cursor goes next, and everywhere.
                let at = if n % 2 == 0 { start + n % 60 } else { scrambled(seq) % KEYS };
                writer.put(&put(&between(at, n), seq, b""));
            }
            let end = (start + 300).min(KEYS - 1);
            for n in start + 1..=end {
                assert_eq!(
                    step(&mut cursor, true).as_deref(),
                    Some(&key(n)[..]),
                    "{added}, {start}"
                );
            }
            for n in (start..end).rev() {
                assert_eq!(
                    step(&mut cursor, false).as_deref(),
                    Some(&key(n)[..]),
                    "{added}, {start}"
                );
            }
        }
        cursor.seek_back(&key(KEYS - 1), 1).unwrap();
        assert_eq!(cursor.entry(), Some(put(&key(KEYS - 1), 1, b"")));
        assert_eq!(step(&mut cursor, true), None);
    }
}

#[test]
fn long_keys_and_values_and_none_at_all() {
    let mut writer = MemtableWriter::new();
    let key = |n: u8| [vec![b'k'; 1 << 16], vec![n]].concat();
    writer.put(&put(b"", 1, b""));
    for n in 0..60_u8 {
        let n = (u16::from(n) * 37 % 60) as u8;
        writer.put(&put(&key(n), 2 + u64::from(n), &vec![n; 10_000 * usize::from(n)]));
    }
    writer.put(&put(b"", 100, &vec![1; 20 << 20]));
    let memtable = writer.memtable();
    assert_eq!(memtable.find(b"", 99), Some(put(b"", 1, b"")));
    assert_eq!(memtable.find(b"", 100).map(|entry| entry.value.len()), Some(20 << 20));
    for n in 0..60 {
        let entry = memtable.find(&key(n), u64::MAX).unwrap();
        assert_eq!(entry.value, vec![n; 10_000 * usize::from(n)]);
    }
    assert_eq!(memtable.find(&key(60), u64::MAX), None);
    let payload = memtable.payload_bytes() as usize;
    let taken = memtable.memory_bytes();
    assert!(taken > payload && taken < payload + (6 << 20), "{taken} for {payload}");
}

#[test]
fn memory_is_counted_as_it_is_taken() {
    let empty = MemtableWriter::new();
    assert!(empty.memtable().memory_bytes() < 16 << 10, "{:?}", empty.memtable());
    assert!(empty.memtable().is_empty());
    let mut writer = MemtableWriter::new();
    let mut before = writer.memtable().memory_bytes();
    for n in 0..100_000_u64 {
        writer.put(&put(&scrambled(n).to_be_bytes(), n, &[7; 100]));
        let now = writer.memtable().memory_bytes();
        assert!(now >= before && now - before <= 4 << 20);
        before = now;
    }
    let each = before / 100_000;
    assert!((130..230).contains(&each), "{each} bytes for each version of 108 bytes");
}

#[test]
fn range_removals_are_seen_from_their_sequence_number_on() {
    let mut writer = MemtableWriter::new();
    let memtable = Arc::clone(writer.memtable());
    assert_eq!(memtable.removed_at(b"b", u64::MAX), None);
    assert!(memtable.removals().is_empty());
    writer.remove_range(RangeRemoval::new(b"b", b"d", 5));
    assert!(!memtable.is_empty());
    assert_eq!(memtable.seqs(), Some((5, 5)));
    assert_eq!(memtable.removed_at(b"b", 5), Some(5));
    assert_eq!(memtable.removed_at(b"b", 4), None);
    assert_eq!(memtable.removed_at(b"d", 9), None);
    let held = memtable.removals();
    writer.remove_range(RangeRemoval::new(b"a", b"z", 6));
    assert_eq!(memtable.removed_at(b"d", 9), Some(6));
    assert_eq!(held.newest_over(b"d", 9), None);
    assert_eq!(memtable.removals().newest_over(b"d", 9), Some(6));
}

/// Readers look while a writer writes; each must see exactly what was put up to the number that it read
/// beforehand, and perhaps more.
#[test]
fn readers_see_a_prefix_while_the_writer_writes() {
    const VERSIONS: u64 = 150_000;
    const KEYS: u64 = 20_000;
    // Every key's version `n` is put in rising order of `n`, by these numbers.
    fn key(order: u64, n: u64) -> [u8; 12] {
        let n = match order {
            0 => scrambled(n) % KEYS,
            1 => n % KEYS,
            _ => KEYS - 1 - n % KEYS,
        };
        let mut key = *b"pre/00000000";
        key[4..].copy_from_slice(&n.to_be_bytes());
        key
    }
    for order in 0..3 {
        let mut writer = MemtableWriter::new();
        let published = AtomicU64::new(0);
        let memtable = Arc::clone(writer.memtable());
        thread::scope(|scope| {
            for reader in 0..2 {
                let (published, memtable) = (&published, &memtable);
                scope.spawn(move || {
                    let mut cursor = memtable.cursor();
                    let mut round = reader;
                    loop {
                        let seen = published.load(Ordering::Acquire);
                        round += 1;
                        for n in 0..100 {
                            let n = scrambled(round * 100 + n) % seen.max(1);
                            if n < seen {
                                let key = key(order, n);
                                let found = memtable.find(&key, n + 1).expect("it was put");
                                assert_eq!((found.key, found.seq), (&key[..], n + 1));
                                assert_eq!(found.value, (n + 1).to_be_bytes());
                            }
                        }
                        if round % 16 == reader {
                            // Count what is as old as what was published: nothing is missing or twice.
                            let forward = round % 32 < 16;
                            if forward { cursor.to_first() } else { cursor.to_last() }.unwrap();
                            let mut count = 0;
                            let mut last: Option<(Vec<u8>, Reverse<u64>)> = None;
                            while let Some(entry) = cursor.entry() {
                                let place = (entry.key.to_vec(), Reverse(entry.seq));
                                assert_eq!(entry.value, entry.seq.to_be_bytes());
                                if let Some(last) = last {
                                    assert!((last < place) == forward && last != place);
                                }
                                last = Some(place);
                                count += u64::from(entry.seq <= seen);
                                if forward { cursor.advance() } else { cursor.retreat() }.unwrap();
                            }
                            assert_eq!(count, seen);
                        }
                        if seen == VERSIONS {
                            break;
                        }
                    }
                });
            }
            for n in 0..VERSIONS {
                writer.put(&put(&key(order, n), n + 1, &(n + 1).to_be_bytes()));
                published.store(n + 1, Ordering::Release);
            }
        });
    }
}
