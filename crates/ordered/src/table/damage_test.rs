//! Damaged tables: every flipped bit and every cut is found, or does no harm.

use super::{testing::*, *};
use crate::RangeRemoval;
use crate::{Cursor, EntryKind, Error, Result};
use std::path::Path;

/// A table with something of everything, in a few blocks.
fn sample(options: &TableOptions) -> (Vec<u8>, Vec<Owned>) {
    let mut entries = Vec::new();
    for n in 0..24u32 {
        let key = format!("key {n:03}");
        let value = vec![b'v'; 20 + n as usize];
        let mut entry = Owned::put(key.as_str(), u64::from(n % 3) * 100, value);
        match n % 8 {
            3 => (entry.kind, entry.value) = (EntryKind::Remove, vec![]),
            5 => entry.expires_ms = Some(1000 + u64::from(n)),
            _ => {}
        }
        entries.push(entry);
    }
    let disk = annals_disk::MemoryDisk::new();
    let mut writer = TableWriter::create(&disk, Path::new(NAME), ID, options.clone()).unwrap();
    entries.iter().for_each(|entry| writer.add(&entry.entry()).unwrap());
    writer.remove_range(RangeRemoval::new(b"a", b"b", 5)).unwrap();
    writer.finish(TableNotes { references: vec![(1, 2)], ..TableNotes::default() }).unwrap();
    (bytes_of(&disk), entries)
}

/// Reads everything there is in every way: what comes out is right, or an error that names the file.
fn read_all(bytes: &[u8], entries: &[Owned]) -> Result<()> {
    let table = open(&disk_with(bytes))?;
    let mut first = Ok(());
    let mut note = |result: Result<()>| {
        if let Err(error) = result {
            match &error {
                Error::Damaged { path, offset, .. } => {
                    assert!(path == Path::new(NAME) && *offset < bytes.len() as u64);
                }
                other => panic!("{other}"),
            }
            if first.is_ok() {
                first = Err(error);
            }
        }
    };
    for entry in entries {
        note(
            get(&table, &entry.key, u64::MAX).map(|found| assert_eq!(found.as_ref(), Some(entry))),
        );
        note(
            get(&table, &[&entry.key, &b"+"[..]].concat(), 0).map(|found| assert_eq!(found, None)),
        );
    }
    note(forward(&table, entries));
    note(backward(&table, entries));
    note(table.range_removals().map(|ranges| {
        assert_eq!(ranges, [RangeRemoval::new(b"a", b"b", 5)]);
    }));
    let mut damages = Vec::new();
    let verified = table.verify(&mut |damage| damages.push(damage));
    assert_eq!(verified.damages_count, damages.len() as u64);
    assert!(first.is_ok() || !damages.is_empty(), "what a reader met {first:?} is found");
    for damage in &damages {
        assert!(damage.path == Path::new(NAME) && damage.offset < bytes.len() as u64);
    }
    if let Some(damage) = damages.first() {
        let (path, offset, what) = (damage.path.clone(), damage.offset, damage.what);
        return Err(Error::Damaged { path, offset, what });
    }
    first
}

fn forward(table: &Table, entries: &[Owned]) -> Result<()> {
    let mut cursor = TableCursor::new(table, Reading::Usual);
    cursor.to_first()?;
    for entry in entries {
        assert_eq!(cursor.entry(), Some(entry.entry()));
        step(&mut cursor, |cursor| cursor.advance())?;
    }
    assert_eq!(cursor.entry(), None);
    Ok(())
}

fn backward(table: &Table, entries: &[Owned]) -> Result<()> {
    let mut cursor = TableCursor::new(table, Reading::Usual);
    cursor.to_last()?;
    for entry in entries.iter().rev() {
        assert_eq!(cursor.entry(), Some(entry.entry()));
        step(&mut cursor, |cursor| cursor.retreat())?;
    }
    assert_eq!(cursor.entry(), None);
    Ok(())
}

/// After an error a cursor stands outside.
fn step<C: Cursor>(cursor: &mut C, act: impl FnOnce(&mut C) -> Result<()>) -> Result<()> {
    act(cursor).inspect_err(|_| assert_eq!(cursor.entry(), None))
}

#[test]
fn every_flipped_bit_is_found() {
    for compression in COMPRESSIONS {
        let options = TableOptions { compression, ..small_blocks() };
        let (right, entries) = sample(&options);
        read_all(&right, &entries).unwrap();
        for at in 0..right.len() {
            for bit in [0, 3, 7] {
                let mut bytes = right.clone();
                bytes[at] ^= 1 << bit;
                let found = read_all(&bytes, &entries);
                assert!(found.is_err(), "byte {at} bit {bit} with {compression:?}");
            }
        }
    }
}

#[test]
fn every_cut_is_found() {
    for compression in COMPRESSIONS {
        let (right, entries) = sample(&TableOptions { compression, ..small_blocks() });
        for len in 0..right.len() {
            let error = read_all(&right[..len], &entries).expect_err("cut off");
            let is_named = matches!(error, Error::Damaged { .. } | Error::NotATable { .. });
            assert!(is_named, "{len}: {error}");
        }
        let mut longer = right;
        longer.push(0);
        assert!(open(&disk_with(&longer)).is_err(), "bytes behind the end");
    }
}

#[test]
fn swapped_blocks_and_blocks_of_other_tables_are_found() {
    let entries: Vec<_> = (0..8u8).map(|n| Owned::put([n], 0, vec![n; 250])).collect();
    let (disk, written) = write(&small_blocks(), &entries);
    let right = bytes_of(&*disk);
    let block = (written.properties.data_bytes / 8) as usize;
    let mut bytes = right.clone();
    let (one, other) = (64, 64 + 3 * block);
    bytes.copy_within(other..other + block, one);
    bytes[other..other + block].copy_from_slice(&right[one..one + block]);
    let table = open(&disk_with(&bytes)).unwrap();
    for n in [0, 3] {
        assert!(matches!(get(&table, &[n], 0), Err(Error::Damaged { .. })));
    }
    assert_eq!(get(&table, &[1], 0).unwrap().as_ref(), Some(&entries[1]));

    let other_disk = annals_disk::MemoryDisk::new();
    let id = TableIdentity { number: ID.number + 1, ..ID };
    let mut writer = TableWriter::create(&other_disk, Path::new(NAME), id, small_blocks()).unwrap();
    entries.iter().for_each(|entry| writer.add(&entry.entry()).unwrap());
    writer.finish(TableNotes::default()).unwrap();
    let mut bytes = right;
    bytes[one..one + block].copy_from_slice(&bytes_of(&other_disk)[one..one + block]);
    let table = open(&disk_with(&bytes)).unwrap();
    assert!(matches!(get(&table, &[0], 0), Err(Error::Damaged { offset: 64, .. })));
}

#[test]
fn the_rest_of_a_damaged_table_is_readable_and_the_keys_concerned_are_named() {
    for compression in COMPRESSIONS {
        let entries: Vec<_> = (0..500u32)
            .map(|n| Owned::put(format!("key {n:05}"), 0, format!("{n:0150}")))
            .collect();
        let (disk, written) = write(&TableOptions { compression, ..small_blocks() }, &entries);
        let right = bytes_of(&*disk);
        let (mut seen, step) = (0, right.len() / 60);
        for at in (64..right.len() - 200).step_by(step) {
            let mut bytes = right.clone();
            bytes[at] ^= 0x10;
            // A length that is damaged leads nowhere: the way on comes from the index.
            bytes[at + 1] ^= 0xff;
            let Ok(table) = open(&disk_with(&bytes)) else { continue };
            let mut damages = Vec::new();
            let verified = table.verify(&mut |damage| damages.push(damage));
            assert!((1..=2).contains(&damages.len()), "{at}: {damages:?}");
            let mut lost = 0;
            for entry in &entries {
                let is_concerned = damages.iter().any(|damage| {
                    damage.from.as_ref().is_none_or(|from| *from <= entry.key)
                        && damage.to.as_ref().is_none_or(|to| entry.key < *to)
                        && (damage.from.is_some() || damage.to.is_some())
                });
                match get(&table, &entry.key, 0) {
                    Ok(found) => assert_eq!(found.as_ref(), Some(entry)),
                    Err(Error::Damaged { offset, .. }) => {
                        assert!(is_concerned, "{:?} {damages:?}", entry.key);
                        assert!(damages.iter().any(|damage| damage.offset == offset));
                        lost += 1;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            let readable = verified.entries_count as usize;
            assert!(readable + lost >= entries.len() || lost > 10, "{at}: {readable} {lost}");
            seen += usize::from(lost > 0);
        }
        assert!(seen > 30, "{seen} {}", written.file_bytes);
    }
}

#[test]
fn a_damaged_filter_hides_no_key() {
    let entries: Vec<_> = (0..50u8).map(|n| Owned::put([n], 0, [n])).collect();
    let (disk, written) = write(&TableOptions::default(), &entries);
    let mut bytes = bytes_of(&*disk);
    let filter = 64 + written.properties.data_bytes as usize;
    for byte in &mut bytes[filter + 12..][..64] {
        *byte = 0;
    }
    let table = open(&disk_with(&bytes)).unwrap();
    for entry in &entries {
        assert_eq!(get(&table, &entry.key, 0).unwrap().as_ref(), Some(entry));
    }
    let mut damages = Vec::new();
    table.verify(&mut |damage| damages.push(damage));
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].offset, filter as u64);
    assert_eq!((&damages[0].from, &damages[0].to), (&None, &None));
}

#[test]
fn a_file_that_is_something_else_or_missing_is_named() {
    let (right, _) = sample(&small_blocks());
    let mut other = right;
    other[..8].copy_from_slice(b"ANNALSEG");
    assert!(matches!(open(&disk_with(&other)), Err(Error::NotATable { .. })));
    assert!(matches!(open(&disk_with(b"")), Err(Error::Damaged { offset: 0, .. })));
    let missing = open(&annals_disk::MemoryDisk::new()).expect_err("missing");
    assert!(matches!(&missing, Error::Disk(error) if error.is_not_found()), "{missing}");
}
