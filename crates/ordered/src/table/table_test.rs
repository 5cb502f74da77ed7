//! Tables of unusual shapes.

use super::{testing::*, *};
use crate::RangeRemoval;
use crate::{Compression, Cursor, EntryKind, Error};
use annals_disk::{Disk, MemoryDisk};
use std::path::Path;

fn round_trip(options: &TableOptions, entries: &[Owned]) -> std::sync::Arc<Table> {
    let (disk, written) = write(options, entries);
    let table = open(&*disk).unwrap();
    assert_eq!(table.file_bytes(), written.file_bytes);
    assert_eq!(all(&table).unwrap(), entries);
    for entry in entries {
        assert_eq!(get(&table, &entry.key, entry.seq).unwrap().as_ref(), Some(entry));
    }
    assert_eq!(table.verify(&mut |damage| panic!("{damage:?}")).damages_count, 0);
    table
}

#[test]
fn a_table_of_nothing() {
    let table = round_trip(&TableOptions::default(), &[]);
    assert_eq!(get(&table, b"", u64::MAX).unwrap(), None);
    assert!(!table.may_have_prefix(b"").unwrap());
    assert_eq!(table.offset_of(b"k").unwrap(), 0);
    let mut cursor = TableCursor::new(&*table, Reading::Usual);
    for round in 0..2 {
        cursor.to_first().unwrap();
        cursor.to_last().unwrap();
        cursor.seek(b"", 0).unwrap();
        cursor.seek_back(b"x", 0).unwrap();
        cursor.advance().unwrap();
        cursor.retreat().unwrap();
        assert_eq!(cursor.entry(), None, "{round}");
    }
}

#[test]
fn tables_of_one_key() {
    for key in [&b""[..], b"k", &[0xff; 1 << 16]] {
        for value in [&b""[..], b"v", &[1; 70_000]] {
            for options in [TableOptions::default(), small_blocks()] {
                let entry = Owned::put(key, 5, value);
                let table = round_trip(&options, std::slice::from_ref(&entry));
                assert_eq!(get(&table, key, 4).unwrap(), None);
                assert_eq!(get(&table, key, u64::MAX).unwrap(), Some(entry));
                assert_eq!(get(&table, &[key, b"x"].concat(), u64::MAX).unwrap(), None);
            }
        }
    }
}

#[test]
fn an_empty_value_is_a_value_and_a_removal_is_none() {
    let removal = Owned { kind: EntryKind::Remove, ..Owned::put("b", 7, "") };
    let entries = [Owned::put("a", 7, ""), removal, Owned::put("b", 6, "before")];
    let table = round_trip(&TableOptions::default(), &entries);
    assert_eq!(get(&table, b"a", 9).unwrap().unwrap().kind, EntryKind::Put);
    assert_eq!(get(&table, b"b", 9).unwrap().unwrap().kind, EntryKind::Remove);
    assert_eq!(get(&table, b"b", 6).unwrap().unwrap().value, b"before");
}

/// Blocks close to their limit: of one entry less, exactly full, and of one more.
#[test]
fn a_block_filled_to_the_byte() {
    let entry = |n: u8, len| Owned::put([n], 0, vec![n; len]);
    // What a builder counts of a block: its head, then of each entry three bytes, key and value.
    let room = 256 - 16 - 2 * (3 + 1);
    let blocks = |first: usize, second: usize| {
        let entries = [entry(1, first), entry(2, second)];
        let table = round_trip(&small_blocks(), &entries);
        table.properties().data_blocks_count
    };
    assert_eq!(blocks(100, room - 100 - 1), 1);
    assert_eq!(blocks(100, room - 100), 1);
    assert_eq!(blocks(100, room - 100 + 1), 2);
}

#[test]
fn entries_larger_than_a_block_stand_alone_among_small_ones() {
    for compression in COMPRESSIONS {
        let entries: Vec<_> = (0..40u8)
            .map(|n| Owned::put([n, n], 0, vec![n; if n % 4 == 0 { 5000 } else { 10 }]))
            .collect();
        let options = TableOptions { compression, ..small_blocks() };
        let table = round_trip(&options, &entries);
        assert_eq!(table.properties().data_blocks_count, 20);
        let mut cursor = TableCursor::new(&*table, Reading::Usual);
        cursor.to_last().unwrap();
        for entry in entries.iter().rev() {
            assert_eq!(cursor.entry(), Some(entry.entry()));
            cursor.retreat().unwrap();
        }
    }
}

#[test]
fn a_value_larger_than_the_buffer_of_the_writer() {
    let value: Vec<u8> = (0..5 << 20).map(|at: u32| (at ^ at >> 8) as u8).collect();
    let entries = [Owned::put("a", 1, "1"), Owned::put("b", 1, value), Owned::put("c", 1, "3")];
    for compression in COMPRESSIONS {
        round_trip(&TableOptions { compression, ..TableOptions::default() }, &entries);
    }
}

#[test]
fn keys_of_the_largest_size_make_an_index_of_several_levels() {
    let key = |n: u8| [vec![7; (1 << 16) - 2], vec![n / 100, n % 100]].concat();
    let entries: Vec<_> = (0..200u8).map(|n| Owned::put(key(n), 3, [n])).collect();
    let table = round_trip(&small_blocks(), &entries);
    assert_eq!(table.footer.depth, 3);
    assert!(table.properties().index_bytes > 25 << 16);
}

#[test]
fn many_versions_of_one_key_across_blocks_and_leaves() {
    let mut entries: Vec<_> = (1..3000u64)
        .rev()
        .map(|seq| Owned::put("key", 2 * seq, "a value of some length"))
        .collect();
    entries.insert(0, Owned::put("before", 4, "v"));
    entries.push(Owned::put("key ", 1, "behind"));
    let table = round_trip(&small_blocks(), &entries);
    assert!(table.footer.depth > 1 && table.properties().data_blocks_count > 250);
    for seq in 2..6003 {
        let found = get(&table, b"key", seq).unwrap().unwrap();
        assert_eq!(found.seq, (seq / 2 * 2).min(5998), "{seq}");
    }
    for (key, seq) in [(&b"key"[..], 1), (b"kez", 9), (b"ke", 9), (b"before", 3)] {
        assert_eq!(get(&table, key, seq).unwrap(), None);
    }
    // Wherever a block begins, the version before it is found from there.
    let mut cursor = TableCursor::new(&*table, Reading::Usual);
    for seq in (1..6000).rev() {
        cursor.seek_back(b"key", seq).unwrap();
        let expected = if seq > 5998 { ("before", 4) } else { ("key", seq.div_ceil(2) * 2) };
        let found = cursor.entry().map(|entry| (entry.key.to_vec(), entry.seq));
        assert_eq!(found, Some((expected.0.into(), expected.1)), "{seq}");
    }
}

#[test]
fn every_seek_from_every_position() {
    let entries: Vec<_> =
        (0..60u8).flat_map(|n| [2, 1].map(|seq| Owned::put([b'k', n], seq, vec![n; 30]))).collect();
    let table = round_trip(&small_blocks(), &entries);
    assert!(table.properties().data_blocks_count > 10);
    let mut cursor = TableCursor::new(&*table, Reading::Usual);
    for from in &entries {
        for (at, to) in entries.iter().enumerate() {
            cursor.seek(&from.key, from.seq).unwrap();
            cursor.seek(&to.key, to.seq).unwrap();
            assert_eq!(cursor.entry(), Some(to.entry()));
            cursor.retreat().unwrap();
            assert_eq!(cursor.entry(), at.checked_sub(1).map(|at| entries[at].entry()));
            cursor.seek(&from.key, from.seq).unwrap();
            cursor.seek_back(&to.key, to.seq).unwrap();
            assert_eq!(cursor.entry(), Some(to.entry()));
            cursor.advance().unwrap();
            assert_eq!(cursor.entry(), entries.get(at + 1).map(Owned::entry));
        }
    }
}

#[test]
fn a_large_table_has_a_partitioned_index_and_its_filters_work() {
    let key = |n: u32| n.wrapping_mul(0x9e37_79b9).to_be_bytes();
    let mut entries: Vec<_> = (0..100_000).map(|n| Owned::put(key(n), 0, [0; 20])).collect();
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    let table = round_trip(&small_blocks(), &entries);
    assert_eq!(table.footer.depth, 3);
    let mut cursor = TableCursor::new(&*table, Reading::Usual);
    for entry in entries.iter().step_by(331) {
        cursor.seek(&entry.key, 0).unwrap();
        assert_eq!(cursor.entry(), Some(entry.entry()));
    }
    let passing = (100_000..200_000)
        .filter(|n| {
            let key = key(*n);
            let sought = Sought::new(ID.database_id, &key, 0);
            assert!(table.get(&sought).unwrap().is_none());
            table.excludes(&sought).is_ok_and(|excludes| !excludes)
        })
        .count();
    assert!(passing < 2_000, "{passing}");
    let middle = table.offset_of(&[0x80]).unwrap() as f64 / table.file_bytes() as f64;
    assert!((0.45..0.55).contains(&middle), "{middle}");
    let none = TableOptions { filter_bits_per_key: 0, ..small_blocks() };
    assert_eq!(round_trip(&none, &entries[..1000]).properties().filter_bytes, 0);
}

#[test]
fn what_is_out_of_order_or_too_large_is_refused() {
    let disk = MemoryDisk::new();
    let create =
        || TableWriter::create(&disk, Path::new(NAME), ID, TableOptions::default()).unwrap();
    let mut writer = create();
    assert_eq!(writer.last_key(), None);
    writer.add(&Owned::put("b", 5, "").entry()).unwrap();
    for (key, seq) in [("b", 5), ("b", 6), ("a", 1), ("", 1)] {
        let refused = writer.add(&Owned::put(key, seq, "").entry());
        assert!(matches!(refused, Err(Error::OutOfOrder { .. })), "{key} {seq}");
    }
    let key = vec![b'x'; KEY_BYTES_MAX + 1];
    let refused = writer.add(&Owned::put(key.clone(), 5, "").entry());
    assert!(matches!(refused, Err(Error::TooLarge { what: "key", bytes: 65_537, .. })));
    let value = vec![0; VALUE_BYTES_MAX + 1];
    let refused = writer.add(&Owned::put("c", 5, value).entry());
    assert!(matches!(refused, Err(Error::TooLarge { what: "value", .. })));
    let range = RangeRemoval::new(b"a", &key, 1);
    assert!(matches!(writer.remove_range(range), Err(Error::TooLarge { .. })));
    writer.add(&Owned::put("b", 4, "").entry()).unwrap();
    assert_eq!((writer.entries_count(), writer.last_key()), (2, Some(&b"b"[..])));
    assert_eq!(writer.finish(TableNotes::default()).unwrap().properties.entries_count, 2);
}

#[test]
fn range_removals_are_kept_sorted_and_count_among_the_numbers() {
    let range = |from: &str, to: &str, seq| RangeRemoval::new(from.as_bytes(), to.as_bytes(), seq);
    for (entries, smallest) in [(vec![], 3), (vec![Owned::put("x", 1, "")], 1)] {
        let disk = MemoryDisk::new();
        let mut writer =
            TableWriter::create(&disk, Path::new(NAME), ID, TableOptions::default()).unwrap();
        entries.iter().for_each(|entry| writer.add(&entry.entry()).unwrap());
        for range in [
            range("m", "p", 9),
            range("b", "z", 3),
            range("c", "c", 99),
            range("d", "c", 99),
            range("b", "c", 4),
            range("m", "p", 9),
        ] {
            writer.remove_range(range).unwrap();
        }
        let notes = TableNotes { level: 2, created_ms: 77, references: vec![(1, 10), (4, 20)] };
        let written = writer.finish(notes.clone()).unwrap();
        let table = open(&disk).unwrap();
        let sorted = [range("b", "c", 4), range("b", "z", 3), range("m", "p", 9)];
        assert_eq!(table.range_removals().unwrap(), sorted);
        let p = table.properties();
        assert_eq!(p, &written.properties);
        assert_eq!((p.smallest_seq, p.largest_seq), (smallest, 9));
        assert_eq!((&p.range_removals_from[..], &p.range_removals_to[..]), (&b"b"[..], &b"z"[..]));
        assert_eq!((p.range_removals_count, &p.notes), (3, &notes));
        assert_eq!(table.verify(&mut |damage| panic!("{damage:?}")).damages_count, 0);
    }
}

#[test]
fn the_size_so_far_is_near_the_size_of_the_file() {
    for compression in [Compression::None, Compression::Lz4] {
        let disk = MemoryDisk::new();
        let options = TableOptions { compression, ..TableOptions::default() };
        let mut writer = TableWriter::create(&disk, Path::new(NAME), ID, options).unwrap();
        for n in 0..20_000u32 {
            let entry = Owned::put(n.to_be_bytes(), 0, format!("{:032}", n.wrapping_mul(77_777)));
            writer.add(&entry.entry()).unwrap();
        }
        let size = writer.size_bytes() as f64;
        let file = writer.finish(TableNotes::default()).unwrap().file_bytes as f64;
        assert!((0.95..1.05).contains(&(size / file)), "{size} {file}");
    }
}

#[test]
fn a_file_under_another_name_is_refused() {
    let (disk, _) = write(&TableOptions::default(), &[Owned::put("a", 0, "")]);
    let open = |id| {
        let cache = std::sync::Arc::new(crate::BlockCache::new(0));
        Table::open(&*disk, Path::new(NAME), id, cache).map(|_| ())
    };
    open(ID).unwrap();
    let foreign = open(TableIdentity { database_id: 8, ..ID });
    assert!(matches!(foreign, Err(Error::Foreign { found: 7, expected: 8, .. })));
    let other = open(TableIdentity { number: 9, ..ID });
    assert!(matches!(other, Err(Error::OtherTable { found: 3, expected: 9, .. })));
    assert!(disk.len(Path::new(NAME)).unwrap().is_some());
}
