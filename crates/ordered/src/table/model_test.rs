//! Tables against the plain list of their entries.

use super::{testing::*, *};
use crate::{Compression, Cursor, EntryKind};
use proptest::{prelude::*, sample::Index};
use std::collections::BTreeSet;

fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(0u8..4, 0..7),
        3 => prop::collection::vec(any::<u8>(), 0..12),
        2 => (0u32..3000).prop_map(|n| format!("user/{n:06}/name").into_bytes()),
        1 => (0u8..3, 200usize..900).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

prop_compose! {
    fn entry()(
        key in keys(),
        seq in prop_oneof![3 => Just(0u64), 3 => 1u64..6, 1 => 1u64..1 << 40],
        kind in prop_oneof![4 => Just(EntryKind::Put), 1 => Just(EntryKind::Pointer), 1 => Just(EntryKind::Remove)],
        expires_ms in prop_oneof![4 => Just(None), 1 => (1000u64..100_000).prop_map(Some)],
        value in prop_oneof![
            6 => prop::collection::vec(any::<u8>(), 0..30),
            1 => (any::<u8>(), 200usize..3000).prop_map(|(byte, len)| vec![byte; len]),
        ],
    ) -> Owned {
        let value = if kind == EntryKind::Remove { vec![] } else { value };
        Owned { key, seq, kind, expires_ms, value }
    }
}

fn runs() -> impl Strategy<Value = Vec<Owned>> {
    prop::collection::vec(entry(), 1..250).prop_map(|mut entries| {
        entries.sort_by(|one, other| one.entry().order(&other.entry()));
        entries.dedup_by(|one, other| one.entry().order(&other.entry()).is_eq());
        entries
    })
}

prop_compose! {
    fn options()(
        block_bytes in prop_oneof![Just(256u32), Just(300), Just(4096), Just(1 << 20)],
        which in 0usize..3,
        filter_bits_per_key in prop_oneof![Just(0u8), Just(1), Just(10)],
        prefix in prop_oneof![Just(None), Just(Some(1u16)), Just(Some(3))],
    ) -> TableOptions {
        let filter_prefix_bytes = prefix.filter(|_| filter_bits_per_key > 0);
        TableOptions { block_bytes, compression: COMPRESSIONS[which], filter_bits_per_key, filter_prefix_bytes }
    }
}

/// A step of a cursor.
#[derive(Clone, Debug)]
enum Step {
    First,
    Last,
    Seek(Index, u64),
    SeekBack(Index, u64),
    SeekKey(Vec<u8>, u64),
    SeekBackKey(Vec<u8>, u64),
    Advance,
    Retreat,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seqs = || prop_oneof![Just(0u64), 0u64..7, Just(u64::MAX)];
    prop::collection::vec(
        prop_oneof![
            1 => Just(Step::First),
            1 => Just(Step::Last),
            3 => (any::<Index>(), seqs()).prop_map(|(at, seq)| Step::Seek(at, seq)),
            3 => (any::<Index>(), seqs()).prop_map(|(at, seq)| Step::SeekBack(at, seq)),
            2 => (keys(), seqs()).prop_map(|(key, seq)| Step::SeekKey(key, seq)),
            2 => (keys(), seqs()).prop_map(|(key, seq)| Step::SeekBackKey(key, seq)),
            8 => Just(Step::Advance),
            8 => Just(Step::Retreat),
        ],
        0..80,
    )
}

/// The first entry that is not before a version of a key.
fn lower(entries: &[Owned], key: &[u8], seq: u64) -> usize {
    let sought = Owned::put(key, seq, []);
    entries.partition_point(|entry| entry.entry().order(&sought.entry()).is_lt())
}

/// The last entry that is not behind a version of a key.
fn upper(entries: &[Owned], key: &[u8], seq: u64) -> Option<usize> {
    let sought = Owned::put(key, seq, []);
    entries.partition_point(|entry| entry.entry().order(&sought.entry()).is_le()).checked_sub(1)
}

fn walk(entries: &[Owned], cursor: &mut impl Cursor, steps: &[Step]) {
    let mut at: Option<usize> = None;
    let inside = |at: usize| Some(at).filter(|at| *at < entries.len());
    for step in steps {
        match step {
            Step::First => {
                cursor.to_first().unwrap();
                at = inside(0);
            }
            Step::Last => {
                cursor.to_last().unwrap();
                at = inside(entries.len() - 1);
            }
            Step::Seek(index, seq) => {
                let key = &entries[index.index(entries.len())].key;
                cursor.seek(key, *seq).unwrap();
                at = inside(lower(entries, key, *seq));
            }
            Step::SeekBack(index, seq) => {
                let key = &entries[index.index(entries.len())].key;
                cursor.seek_back(key, *seq).unwrap();
                at = upper(entries, key, *seq);
            }
            Step::SeekKey(key, seq) => {
                cursor.seek(key, *seq).unwrap();
                at = inside(lower(entries, key, *seq));
            }
            Step::SeekBackKey(key, seq) => {
                cursor.seek_back(key, *seq).unwrap();
                at = upper(entries, key, *seq);
            }
            Step::Advance => {
                cursor.advance().unwrap();
                at = at.and_then(|at| inside(at + 1));
            }
            Step::Retreat => {
                cursor.retreat().unwrap();
                at = at.and_then(|at| at.checked_sub(1));
            }
        }
        let expected = at.map(|at| entries[at].entry());
        assert_eq!(cursor.entry(), expected, "{step:?}");
    }
}

fn check_gets(table: &Table, entries: &[Owned]) {
    for entry in entries {
        for seq in [0, entry.seq, entry.seq.saturating_sub(1), entry.seq + 1, u64::MAX] {
            let at = lower(entries, &entry.key, seq);
            let expected = entries.get(at).filter(|found| found.key == entry.key);
            assert_eq!(get(table, &entry.key, seq).unwrap().as_ref(), expected, "{:?}", entry.key);
        }
        let longer = [&entry.key, &b"\0"[..]].concat();
        let there = entries.iter().find(|entry| entry.key == longer);
        assert_eq!(get(table, &longer, u64::MAX).unwrap().as_ref(), there);
    }
}

fn check_properties(table: &Table, entries: &[Owned], options: &TableOptions) {
    let p = table.properties();
    let count =
        |is: &dyn Fn(&Owned) -> bool| entries.iter().filter(|entry| is(entry)).count() as u64;
    assert_eq!(p.entries_count, entries.len() as u64);
    assert_eq!(p.removals_count, count(&|entry| entry.kind == EntryKind::Remove));
    assert_eq!(p.pointers_count, count(&|entry| entry.kind == EntryKind::Pointer));
    assert_eq!(p.expiring_count, count(&|entry| entry.expires_ms.is_some()));
    let expiries = || entries.iter().filter_map(|entry| entry.expires_ms);
    assert_eq!(p.expires_min_ms, expiries().min().unwrap_or(0));
    assert_eq!(p.expires_max_ms, expiries().max().unwrap_or(0));
    assert_eq!(p.key_bytes, entries.iter().map(|entry| entry.key.len() as u64).sum());
    assert_eq!(p.value_bytes, entries.iter().map(|entry| entry.value.len() as u64).sum());
    assert_eq!(p.smallest_key, entries[0].key);
    assert_eq!(p.largest_key, entries[entries.len() - 1].key);
    assert_eq!(Some(p.smallest_seq), entries.iter().map(|entry| entry.seq).min());
    assert_eq!(Some(p.largest_seq), entries.iter().map(|entry| entry.seq).max());
    assert_eq!(p.compression, options.compression);
    assert!(p.data_bytes <= p.data_raw_bytes);
    assert_eq!(p.filter_bytes > 0, options.filter_bits_per_key > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_hold_what_they_were_given(
        entries in runs(), options in options(), steps in prop::collection::vec(steps(), 3),
    ) {
        let (disk, written) = write(&options, &entries);
        let table = open(&*disk).unwrap();
        prop_assert_eq!(written.file_bytes, table.file_bytes());
        prop_assert_eq!(&written.properties, table.properties());
        check_properties(&table, &entries, &options);
        prop_assert_eq!(&all(&table).unwrap(), &entries);
        check_gets(&table, &entries);
        for (steps, reading) in steps.iter().zip([Reading::Usual, Reading::Light, Reading::Usual]) {
            walk(&entries, &mut TableCursor::new(std::sync::Arc::clone(&table), reading), steps);
        }
        let mut damages = Vec::new();
        let verified = table.verify(&mut |damage| damages.push(damage));
        prop_assert!(damages.is_empty(), "{:?}", damages);
        prop_assert_eq!(verified.entries_count, entries.len() as u64);
    }

    #[test]
    fn keys_that_begin_so_are_never_said_not_to_be_there(
        entries in runs(), block_bytes in prop_oneof![Just(256u32), Just(4096)], len in 1u16..5,
        others in prop::collection::vec(keys(), 0..40),
    ) {
        let options = TableOptions {
            block_bytes, filter_prefix_bytes: Some(len), ..TableOptions::default()
        };
        let (disk, _) = write(&options, &entries);
        let table = open(&*disk).unwrap();
        let prefixes: BTreeSet<Vec<u8>> = entries
            .iter()
            .flat_map(|entry| (0..=entry.key.len().min(8)).map(|len| entry.key[..len].to_vec()))
            .chain(others)
            .collect();
        for prefix in prefixes {
            let is_there = entries.iter().any(|entry| entry.key.starts_with(&prefix));
            prop_assert!(table.may_have_prefix(&prefix).unwrap() || !is_there, "{:?}", prefix);
        }
    }
}

#[test]
fn compressed_blocks_come_from_the_cache_and_light_cursors_do_not_fill_it() {
    let entries: Vec<_> =
        (0..2000u32).map(|n| Owned::put(n.to_be_bytes(), 0, vec![b'v'; 50])).collect();
    let options = TableOptions { compression: Compression::Lz4, ..TableOptions::default() };
    let (disk, written) = write(&options, &entries);
    assert!(written.properties.data_bytes * 2 < written.properties.data_raw_bytes);
    let cache = std::sync::Arc::new(crate::BlockCache::new(1 << 20));
    let path = std::path::Path::new(NAME);
    let table = Table::open(&*disk, path, ID, std::sync::Arc::clone(&cache)).unwrap();
    assert_eq!(all(&table).unwrap(), entries);
    assert_eq!(cache.stats().used_bytes, 0);
    for round in 0..2 {
        for entry in &entries {
            assert_eq!(get(&table, &entry.key, 0).unwrap().as_ref(), Some(entry), "{round}");
        }
    }
    let stats = cache.stats();
    assert!(stats.hits > 3900 && stats.used_bytes > written.properties.data_raw_bytes, "{stats:?}");
    drop(table);
    assert_eq!(cache.stats().used_bytes, 0);
}
