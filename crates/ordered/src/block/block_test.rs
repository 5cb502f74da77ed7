//! Blocks against the plain list of their entries.

use super::{search::Place, *};
use crate::{Entry, EntryKind};
use proptest::prelude::*;

/// An entry that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    key: Vec<u8>,
    seq: u64,
    kind: EntryKind,
    expires_ms: Option<u64>,
    value: Vec<u8>,
}

impl Owned {
    fn entry(&self) -> Entry<'_> {
        Entry {
            key: &self.key,
            seq: self.seq,
            kind: self.kind,
            expires_ms: self.expires_ms,
            value: &self.value,
        }
    }
}

fn put(key: &[u8], seq: u64, value: &[u8]) -> Owned {
    Owned { key: key.into(), seq, kind: EntryKind::Put, expires_ms: None, value: value.into() }
}

fn encode(entries: &[Owned]) -> Vec<u8> {
    let mut builder = BlockBuilder::default();
    entries.iter().for_each(|entry| builder.add(&entry.entry()));
    let mut out = Vec::new();
    builder.finish(&mut out);
    assert!(builder.is_empty());
    out
}

fn read(block: &[u8], layout: &Layout, at: usize) -> Option<Owned> {
    let mut key = layout.prefix(block).to_vec();
    let row = layout.read(block, at, &mut key)?;
    assert_eq!(layout.row(block, at).as_ref(), Some(&row));
    assert_eq!(layout.value(block, at), block.get(row.value.clone()));
    let value = block[row.value].to_vec();
    Some(Owned { key, seq: row.seq, kind: row.kind, expires_ms: row.expires_ms, value })
}

/// What `search` says, by going through the list.
fn expected(entries: &[Owned], key: &[u8], seq: u64) -> Place {
    let sought = Entry { key, seq, kind: EntryKind::Put, expires_ms: None, value: b"" };
    let at = entries.partition_point(|entry| entry.entry().order(&sought).is_lt());
    let found = entries.get(at);
    Place {
        at,
        same_key: found.is_some_and(|found| found.key == key),
        exact: found.is_some_and(|found| found.key == key && found.seq == seq),
    }
}

fn check(entries: &[Owned]) {
    let block = encode(entries);
    let layout = Layout::of(&block).expect("a block");
    assert!(layout.is_sound(&block));
    assert_eq!(layout.count(), entries.len());
    let found: Vec<_> = (0..entries.len()).map(|at| read(&block, &layout, at).unwrap()).collect();
    assert_eq!(found, entries);
    assert_eq!(read(&block, &layout, entries.len()), None);
    for entry in entries {
        let key = &entry.key;
        let longer = [key, &[0][..]].concat();
        let mut near = vec![key.clone(), longer, vec![]];
        if let Some((last, start)) = key.split_last() {
            near.push(start.to_vec());
            near.push([start, &[last.wrapping_add(1)]].concat());
            near.push([start, &[last.wrapping_sub(1)]].concat());
        }
        for key in near {
            for seq in
                [0, entry.seq.saturating_sub(1), entry.seq, entry.seq.saturating_add(1), u64::MAX]
            {
                let place = layout.search(&block, &key, seq);
                assert_eq!(place, Some(expected(entries, &key, seq)), "{key:?} {seq}");
            }
            let ends = entries.last().is_some_and(|last| last.key == key);
            assert_eq!(layout.ends_with_key(&block, &key), Some(ends));
        }
    }
}

/// What `stretch` says, by going through the list.
fn expected_stretch(entries: &[Owned], at: usize, wanted: Wanted<'_>) -> usize {
    let is_plain = |one: &&Owned| {
        one.kind != EntryKind::Remove
            && one.expires_ms.is_none()
            && wanted.seq.is_none_or(|seq| one.seq <= seq)
            && wanted.end.is_none_or(|end| *one.key < *end)
    };
    entries[at + 1..].iter().take_while(is_plain).count()
}

fn check_stretches(entries: &[Owned], seq: u64) {
    let block = encode(entries);
    let layout = Layout::of(&block).expect("a block");
    for (at, pair) in entries.windows(2).enumerate() {
        let is_new = layout.has_new_key(&block, at + 1, &pair[0].key);
        assert_eq!(is_new, Some(pair[0].key != pair[1].key), "{}", at + 1);
    }
    let ends = entries.iter().step_by(1 + entries.len() / 4).map(|entry| Some(&*entry.key));
    for end in ends.chain([None, Some(&b"the"[..])]) {
        for seq in [None, Some(seq)] {
            let wanted = Wanted { seq, end };
            for at in 0..entries.len() {
                let expected = expected_stretch(entries, at, wanted);
                assert_eq!(layout.stretch(&block, at, wanted), expected, "{at} {wanted:?}");
            }
        }
    }
}

/// Goes through the block with strips from every entry on.
fn check_strips(entries: &[Owned]) {
    let block = encode(entries);
    let layout = Layout::of(&block).expect("a block");
    let first = &entries[0];
    let is_even = entries.iter().all(|one| {
        one.key.len() == first.key.len() && one.kind == first.kind && one.expires_ms.is_none()
    });
    // Numbers that are so far apart may not fit, for all that is known beforehand.
    let is_wide = entries.iter().any(|one| one.seq >= 1 << 56);
    let mut strip = Strip::default();
    for at in 0..entries.len() {
        let left = layout.stretch(&block, at, Wanted { seq: None, end: None });
        let mut key = layout.prefix(&block).to_vec();
        let row = layout.read(&block, at, &mut key).expect("an entry");
        if !strip.place(&layout, at, &row, &mut key, left) {
            assert!(!strip.step(&block) && (!is_even || is_wide), "{at}");
            continue;
        }
        assert!(is_even);
        let mut here = at;
        assert_eq!(strip.entry(&block), Some(entries[here].entry()));
        while strip.step(&block) {
            here += 1;
            let entry = &entries[here];
            assert_eq!((strip.at(), strip.entry(&block)), (here, Some(entry.entry())));
            assert_eq!(strip.put(&block), (&*entry.key, &*entry.value));
            assert_eq!(strip.has_puts(), entry.kind == EntryKind::Put);
        }
        // It ends in front of another version of the same key.
        let is_new = |at: &usize| entries[at + 1].key != entries[*at].key;
        let expected = (at..at + left).take_while(is_new).count();
        assert_eq!(here, at + expected, "from {at} with {left} ahead");
        assert!(!strip.step(&block));
        assert_eq!((strip.at(), strip.entry(&block)), (here, Some(entries[here].entry())));
    }
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        prop::collection::vec(0u8..3, 0..9),
        prop::collection::vec(0u8..2, 0..9)
            .prop_map(|rest| [&b"the same start "[..], &rest].concat()),
        prop::collection::vec(0u8..2, 250..300),
    ]
}

fn kinds() -> impl Strategy<Value = EntryKind> {
    prop_oneof![Just(EntryKind::Put), Just(EntryKind::Pointer), Just(EntryKind::Remove)]
}

prop_compose! {
    fn entry()(
        key in keys(),
        seq in prop_oneof![Just(0u64), 0u64..5, any::<u64>().prop_map(|seq| seq >> 1)],
        kind in prop_oneof![3 => Just(EntryKind::Put), 1 => kinds()],
        expires_ms in prop_oneof![3 => Just(None), 1 => prop_oneof![Just(0), 1000u64..1300, any::<u64>()].prop_map(Some)],
        value in prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..20),
            1 => Just(vec![7; 70_000]),
        ],
    ) -> Owned {
        let value = if kind == EntryKind::Remove { vec![] } else { value };
        Owned { key, seq, kind, expires_ms, value }
    }
}

fn sorted(mut entries: Vec<Owned>) -> Vec<Owned> {
    entries.sort_by(|one, other| one.entry().order(&other.entry()));
    entries.dedup_by(|one, other| one.entry().order(&other.entry()).is_eq());
    entries
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_hold_what_they_were_given(entries in prop::collection::vec(entry(), 1..60)) {
        let entries = sorted(entries);
        check(&entries);
        check_stretches(&entries, entries[entries.len() / 2].seq);
        check_strips(&entries);
    }

    #[test]
    fn blocks_of_entries_that_look_alike_are_as_others(
        len in prop::sample::select(vec![0, 1, 3, 4, 5, 8, 16, 17]),
        value_len in prop::sample::select(vec![0, 1, 100]),
        places in prop::collection::vec((0usize..40, any::<u8>(), any::<u32>(), 0..30_u32), 1..60),
        kind in kinds(),
        expires_ms in prop::option::weighted(0.2, any::<u64>()),
        odd in prop::option::weighted(0.3, 0..60_usize),
    ) {
        let mut entries: Vec<_> = places.into_iter().map(|(place, byte, seq, shift)| {
            let mut key = vec![7; len];
            if let Some(place) = place.checked_rem(len) {
                key[place] = byte;
            }
            Owned { kind, expires_ms, ..put(&key, u64::from(seq) << shift, &vec![byte; value_len]) }
        }).collect();
        if let Some(odd) = odd.and_then(|at| entries.get_mut(at)) {
            odd.value.push(1);
        }
        let entries = sorted(entries);
        check(&entries);
        let mut usual = Vec::new();
        super::builder::encode(entries.len(), |at| entries[at].entry(), &mut usual);
        prop_assert_eq!(encode(&entries), usual);
    }

    #[test]
    fn strips_of_keys_that_are_equally_long(
        len in prop::sample::select(vec![0, 3, 4, 7, 8, 11, 12, 13, 19, 20, 21, 40]),
        places in prop::collection::vec((0usize..40, 0u8..3, 0u64..3, 0usize..3), 1..60),
        kind in prop_oneof![4 => Just(EntryKind::Put), 1 => kinds()],
        is_even in any::<bool>(),
    ) {
        let entries = places.into_iter().map(|(place, byte, seq, value)| {
            let mut key = vec![7; len];
            if let Some(place) = place.checked_rem(len) {
                key[place] = byte;
            }
            Owned { kind, ..put(&key, seq, &[byte; 9][..if is_even { 9 } else { value }]) }
        });
        check_strips(&sorted(entries.collect()));
    }

    #[test]
    fn stretches_of_blocks_without_a_column_of_kinds(
        keys in prop::collection::vec(keys(), 1..60),
        kind in kinds(),
        expires_ms in prop::option::weighted(0.2, any::<u64>()),
    ) {
        let entries = keys.into_iter().zip(0..).map(|(key, n)| Owned {
            kind,
            expires_ms,
            ..put(&key, n / 2, b"")
        });
        check_stretches(&sorted(entries.collect()), 9);
    }

    #[test]
    fn blocks_of_equal_rows_hold_what_they_were_given(
        keys in prop::collection::btree_set(any::<[u8; 6]>(), 1..300),
        seq in prop_oneof![Just(0u64), Just(77)],
    ) {
        let entries: Vec<_> = keys.iter().map(|key| put(key, seq, &key[..2])).collect();
        check(&entries);
    }
}

#[test]
fn the_smallest_blocks() {
    check(&[put(b"", 0, b"")]);
    check(&[put(b"", 0, b""), put(b"\0", 0, b""), put(b"\0\0", 0, b"")]);
    check(&[put(b"k", 9, b"new"), put(b"k", 3, b"old"), put(b"k", 0, b"oldest")]);
    check(&[put(&[1; 1 << 16], 1, b""), put(&[2; 1 << 16], 1, b"")]);
    check(&[put(&[1; 1 << 16], 2, b"a"), put(&[1; 1 << 16], 1, b"b")]);
    check(&[put(b"a", u64::MAX, b""), put(b"b", 0, b"")]);
    let all = Owned { expires_ms: Some(u64::MAX), ..put(b"a", 0, b"") };
    check(&[all, Owned { expires_ms: Some(0), ..put(b"b", 0, b"") }]);
}

#[test]
fn a_block_of_as_many_entries_as_it_can_count() {
    let entries: Vec<_> = (0..COUNT_MAX as u32).map(|n| put(&n.to_be_bytes(), 0, b"")).collect();
    let block = encode(&entries);
    assert_eq!(
        block.len(),
        HEAD_BYTES + 2 + entries.len() * DIGEST_BYTES,
        "the prefix and digests alone"
    );
    let layout = Layout::of(&block).unwrap();
    assert!(layout.is_sound(&block));
    for at in (0..COUNT_MAX).step_by(97) {
        let place = layout.search(&block, &(at as u32).to_be_bytes(), 0).unwrap();
        assert_eq!((place.at, place.exact), (at, true));
    }
}

#[test]
fn what_all_entries_share_takes_no_bytes() {
    let entries: Vec<_> = (0..30u32)
        .map(|n| put(&[&b"user "[..], &n.to_be_bytes(), b"rest"].concat(), 0, &[1; 100]))
        .collect();
    // Prefix once; of each key the four bytes of the digest and what is behind them; the value.
    assert_eq!(encode(&entries).len(), HEAD_BYTES + 8 + 30 * (5 + 100));
}

#[test]
fn an_entry_alone_is_the_same_from_both_builders() {
    let entry = put(b"some key", 5, b"some value");
    let mut out = Vec::new();
    encode_one(&entry.entry(), &mut out);
    assert_eq!(out, encode(&[entry]));
}

#[test]
fn any_bytes_are_an_answer_and_no_panic() {
    let entries: Vec<_> = (0..20u8)
        .map(|n| Owned {
            expires_ms: (n % 3 == 0).then_some(1000 + u64::from(n)),
            ..put(
                &[b'k', n, n, n, n, n][..3 + usize::from(n % 4)],
                u64::from(n),
                &[n; 5][..usize::from(n % 5)],
            )
        })
        .collect();
    let right = encode(&entries);
    for at in 0..right.len() {
        for bit in 0..8 {
            let mut block = right.clone();
            block[at] ^= 1 << bit;
            look_at_all(&block);
        }
        look_at_all(&right[..at]);
    }
}

fn look_at_all(block: &[u8]) {
    let Some(layout) = Layout::of(block) else { return };
    let _ = layout.is_sound(block);
    for at in 0..layout.count() + 2 {
        let mut key = layout.prefix(block).to_vec();
        if let Some(row) = layout.read(block, at, &mut key) {
            assert!(block.get(row.value.clone()).is_some());
            let _ = layout.search(block, &key, row.seq);
            let _ = layout.stretch(block, at, Wanted { seq: Some(9), end: Some(&key) });
            let _ = layout.stretch(block, at, Wanted { seq: None, end: None });
            let _ = layout.has_new_key(block, at, &key);
            let mut strip = Strip::default();
            if strip.place(&layout, at, &row, &mut key, 9) {
                while strip.step(block) && strip.entry(block).is_some() {}
                strip.leave(&mut key);
            }
            let _ = layout.ends_with_key(block, &key);
        }
    }
}
