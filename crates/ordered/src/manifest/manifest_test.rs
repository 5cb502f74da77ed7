use super::{format::*, *};
use crate::{
    Error, FileName, KeyRange, ShapeError, TreeOptions, TreeTraffic, table_info::tests::table,
};
use annals_disk::{Disk, Fault, MemoryDisk, SimDisk, SimOptions};
use std::{path::Path, sync::Arc};

const ID: u64 = 0x0123_4567_89ab_cdef;
const DIR: &str = "db";

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn path(number: u64) -> std::path::PathBuf {
    FileName::Manifest(number).path(dir())
}

fn begun() -> State {
    let edit = Edit {
        trees_added: vec![TreeAdded { tree: 1, options: TreeOptions::default() }],
        next_number: Some(100),
        ..Edit::default()
    };
    State::default().changed(&edit).unwrap()
}

/// The edit that flushes the `nth` memtable; the keys are so long that one of the first three lies in two
/// sectors and can be torn.
fn flush(nth: u64) -> Edit {
    let first = format!("k{nth}");
    let table = table(nth, first.as_bytes(), &[b'z'; 24], (nth * 10, nth * 10 + 9));
    Edit {
        tables_added: vec![TableAdded { tree: 1, level: 0, table: Arc::new(table) }],
        flushed_through: vec![(1, nth * 10 + 9)],
        traffic: vec![(1, TreeTraffic::from_numbers([nth * 4096; 4]))],
        ..Edit::default()
    }
}

fn states(edits: u64) -> Vec<State> {
    let mut states = vec![begun()];
    for nth in 1..=edits {
        states.push(states[nth as usize - 1].changed(&flush(nth)).unwrap());
    }
    states
}

/// A small manifest's bytes after `edits` flushes, cut to what is used.
fn sample(edits: u64) -> Vec<u8> {
    let disk = MemoryDisk::new();
    disk.create_dir_all(dir()).unwrap();
    let mut manifest = Manifest::create(&disk, dir(), ID, 1, &begun()).unwrap();
    for nth in 1..=edits {
        assert!(manifest.append(&flush(nth)).unwrap());
    }
    let end = manifest.place().synced_bytes as usize;
    let mut bytes = disk.read(&path(1), 1 << 20).unwrap();
    assert!(bytes[end..].iter().all(|byte| *byte == 0));
    bytes.truncate((end + 64).next_multiple_of(8));
    let header = encode_header(ID, 1, bytes.len() as u64);
    bytes[..HEADER_BYTES].copy_from_slice(&header);
    bytes
}

fn place(synced_bytes: u64) -> ManifestPlace {
    ManifestPlace { number: 1, synced_bytes }
}

fn scan_of(bytes: &[u8], synced_bytes: u64) -> crate::Result<scan::Scan> {
    scan(bytes, Path::new("m"), ID, place(synced_bytes))
}

#[test]
fn manifests_are_reopened_with_all_their_edits() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(dir()).unwrap();
    let mut manifest = Manifest::create(&disk, dir(), ID, 1, &begun()).unwrap();
    let states = states(20);
    for nth in 1..=20 {
        assert!(manifest.append(&flush(nth)).unwrap());
        let place = manifest.place();
        drop(manifest);
        let state;
        (manifest, state) = Manifest::open(&disk, dir(), ID, place).unwrap();
        assert_eq!(state, states[nth as usize]);
        assert_eq!(manifest.place(), place);
    }
    let read = read_manifest(&disk, dir(), ID, manifest.place()).unwrap();
    assert_eq!((read.state, read.edits, read.torn_bytes), (states[20].clone(), 21, 0));
}

#[test]
fn a_full_manifest_takes_no_edit_and_a_new_one_goes_on() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(dir()).unwrap();
    let mut manifest = Manifest::create(&disk, dir(), ID, 1, &begun()).unwrap();
    let mut state = begun();
    let mut edits = 0;
    let edit = Edit { flushed_through: vec![(1, 5)], ..Edit::default() };
    while manifest.append(&edit).unwrap() {
        state = state.changed(&edit).unwrap();
        edits += 1;
    }
    assert!(edits > 1000, "{edits}");
    let full = manifest.place();
    assert!(!manifest.append(&edit).unwrap());
    assert_eq!(manifest.place(), full);
    let manifest = Manifest::create(&disk, dir(), ID, 2, &state).unwrap();
    drop(manifest);
    let place = ManifestPlace { number: 2, synced_bytes: 0 };
    assert_eq!(Manifest::open(&disk, dir(), ID, place).unwrap().1, state);
    assert_eq!(Manifest::open(&disk, dir(), ID, full).unwrap().1, state);
}

#[test]
fn every_flipped_bit_is_found() {
    let right = sample(3);
    let end = right.len() - 64;
    for at in 0..end {
        for bit in 0..8 {
            let mut bad = right.clone();
            bad[at] ^= 1 << bit;
            let found = scan_of(&bad, 0);
            // Nothing notes any more that the very last edit was synced, if it is the note itself
            // that goes with it; the caller's root does.
            assert!(found.is_err(), "byte {at} bit {bit}: {found:?}");
            assert!(scan_of(&bad, end as u64).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn every_truncation_is_found() {
    let right = sample(3);
    for cut in 0..right.len() {
        assert!(scan_of(&right[..cut], 0).is_err(), "cut at {cut}");
        // Cut, and lengthened with zeroes again.
        let mut bad = right[..cut].to_vec();
        bad.resize(right.len(), 0);
        let end = right.len() - 64;
        let found = scan_of(&bad, end as u64);
        let word = u64_at(&bad, end - WORD_BYTES);
        let whole = bad[..end - WORD_BYTES] == right[..end - WORD_BYTES];
        let noted = word == 0 || bad == right;
        assert_eq!(found.is_ok(), whole && noted, "cut at {cut}");
    }
}

#[test]
fn a_last_edit_is_torn_unless_something_says_that_it_was_synced() {
    let (before, after) = (sample(2), sample(3));
    let (start, end) = (before.len() - 64, after.len() - 64);
    let states = states(3);
    for kept in start..end - WORD_BYTES {
        let mut torn = after.clone();
        torn[kept..end].fill(0);
        // An edit whose last bytes are zeroes is whole without them.
        let whole = torn[..end - WORD_BYTES] == after[..end - WORD_BYTES];
        let found = scan_of(&torn, start as u64).unwrap();
        assert_eq!(found.state, states[if whole { 3 } else { 2 }], "kept up to {kept}");
        assert_eq!(found.end, if whole { end } else { start });
        assert_eq!(scan_of(&torn, end as u64).is_err(), !whole, "the root knows it to be synced");
        torn[end - WORD_BYTES..].copy_from_slice(&after[end - WORD_BYTES..]);
        assert_eq!(scan_of(&torn, 0).is_err(), !whole, "the word says so");
    }
    // The edit before, however little of it is left, is damage: a later one was begun.
    let middle = sample(1).len() - 64;
    let mut bad = after;
    bad[middle..start].fill(0);
    bad[end - WORD_BYTES..].fill(0);
    assert!(
        matches!(scan_of(&bad, 0), Err(Error::Damaged { offset, .. }) if offset == middle as u64)
    );
}

#[test]
fn manifests_of_others_are_told_apart() {
    let right = sample(1);
    let open = |bytes: &[u8], id, number| {
        let place = ManifestPlace { number, synced_bytes: 0 };
        scan(bytes, Path::new("m"), id, place).unwrap_err()
    };
    assert!(matches!(open(&right, 7, 1), Error::Foreign { found: ID, expected: 7, .. }));
    assert!(matches!(open(&right, ID, 2), Error::Damaged { offset: 24, .. }));
    let changed = |at: usize, value: [u8; 2], sum: bool| {
        let mut bytes = right.clone();
        bytes[at..at + 2].copy_from_slice(&value);
        if sum {
            let checksum = crc32c::crc32c(&bytes[..60]);
            bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
        }
        open(&bytes, ID, 1)
    };
    assert!(matches!(changed(8, [2, 0], true), Error::Version { found: 2, expected: 1, .. }));
    assert!(matches!(changed(8, [2, 0], false), Error::Damaged { .. }));
    assert!(matches!(changed(10, [0x12, 0x34], true), Error::ByteOrder { .. }));
    assert!(matches!(changed(12, [1, 0], true), Error::Damaged { .. }));
}

#[test]
fn edits_that_contradict_are_named_with_their_place() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(dir()).unwrap();
    let mut manifest = Manifest::create(&disk, dir(), ID, 1, &begun()).unwrap();
    let offset = manifest.place().synced_bytes;
    let tables = [table(1, b"a", b"m", (1, 2)), table(2, b"c", b"z", (1, 2))];
    let add =
        |table: &crate::TableInfo| TableAdded { tree: 1, level: 3, table: Arc::new(table.clone()) };
    let edit = Edit { tables_added: tables.iter().map(add).collect(), ..Edit::default() };
    assert!(manifest.append(&edit).unwrap());
    let error = read_manifest(&disk, dir(), ID, manifest.place()).unwrap_err();
    let overlap = ShapeError::Overlap { level: 3, first: 1, second: 2 };
    assert!(
        matches!(&error, Error::Contradiction { offset: at, source, .. }
            if *at == offset && *source == overlap),
        "{error}"
    );
}

#[test]
fn a_missing_manifest_says_what_it_held() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(dir()).unwrap();
    let error = read_manifest(&disk, dir(), ID, place(0)).unwrap_err();
    assert!(matches!(&error, Error::Missing { .. }), "{error}");
    assert!(error.to_string().contains("m0000000000000001.man is missing"), "{error}");
}

/// A file of no bytes cannot be mapped, which is no failure of the disk: it is damage, as any shorter manifest is.
#[test]
fn an_empty_manifest_is_damage() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(dir()).unwrap();
    disk.create(&path(1)).unwrap();
    let error = read_manifest(&disk, dir(), ID, place(0)).unwrap_err();
    assert!(matches!(&error, Error::Damaged { offset: 0, .. }), "{error}");
}

/// Makes a manifest, appends to it and makes its successor; tells how many edits were acknowledged.
fn script(disk: &SimDisk, acknowledged: &mut u64, second: &mut bool) -> crate::Result<()> {
    let mut manifest = Manifest::create(disk, dir(), ID, 1, &begun())?;
    for nth in 1..=3 {
        *acknowledged = nth;
        assert!(manifest.append(&flush(nth))?);
    }
    *acknowledged = 4;
    let states = states(3);
    Manifest::create(disk, dir(), ID, 2, &states[3])?;
    *second = true;
    Ok(())
}

#[test]
fn power_cuts_leave_what_was_acknowledged_and_at_most_one_edit_more() {
    let states = states(3);
    let count = {
        let disk = SimDisk::new(SimOptions::seeded(1));
        disk.create_dir_all(dir()).unwrap();
        let from = disk.operations();
        script(&disk, &mut 0, &mut false).unwrap();
        from..disk.operations()
    };
    let mut cut_off = 0;
    for operation in count {
        for seed in 0..20 {
            let disk = SimDisk::new(SimOptions::seeded(seed));
            disk.create_dir_all(dir()).unwrap();
            disk.cut_power_at(operation);
            let (mut begun, mut second) = (0, false);
            let _ = script(&disk, &mut begun, &mut second);
            if begun == 0 {
                continue;
            }
            let mut disk = disk.restart();
            cut_off += u64::from(read_manifest(&disk, dir(), ID, place(0)).unwrap().torn_bytes > 0);
            // Recovery is cut as well, at each of its operations, and then done again.
            for cut in 0.. {
                let from = disk.operations();
                disk.cut_power_at(from + cut);
                let opened = Manifest::open(&disk, dir(), ID, place(0));
                let opened = opened.and_then(|(mut manifest, state)| {
                    manifest.mend()?;
                    Ok((manifest, state))
                });
                let done = !disk.is_power_cut();
                if let Ok((_, state)) = opened {
                    let least = &states[begun as usize - 1];
                    let most = &states[3.min(begun as usize)];
                    assert!(state == *least || state == *most, "at {operation}, seed {seed}");
                }
                disk = disk.restart();
                if done {
                    break;
                }
            }
            let (mut manifest, state) = Manifest::open(&disk, dir(), ID, place(0)).unwrap();
            let again = Edit { next_number: Some(200), ..Edit::default() };
            assert!(manifest.append(&again).unwrap());
            let read = read_manifest(&disk, dir(), ID, manifest.place()).unwrap();
            assert_eq!(read.state, state.changed(&again).unwrap());
            if second {
                let second = ManifestPlace { number: 2, synced_bytes: 0 };
                assert_eq!(read_manifest(&disk, dir(), ID, second).unwrap().state, states[3]);
            }
        }
    }
    assert!(cut_off > 0, "no cut tore an edit");
}

#[test]
fn after_a_failed_sync_no_edit_is_taken_and_reopening_writes_the_last_one_again() {
    let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(3) });
    disk.create_dir_all(dir()).unwrap();
    let mut manifest = Manifest::create(&disk, dir(), ID, 1, &begun()).unwrap();
    disk.fail_nth(Fault::FailSync, 1);
    assert!(manifest.append(&flush(1)).is_err());
    let error = manifest.append(&flush(2)).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
    assert!(manifest.has_failed());
    let place = manifest.place();
    drop(manifest);
    // The process goes on or is killed: what it wrote is still readable, though not durable.
    let (mut manifest, state) = Manifest::open(&disk, dir(), ID, place).unwrap();
    manifest.mend().unwrap();
    assert_eq!(state, states(1)[1]);
    let place = manifest.place();
    let disk = disk.restart();
    assert_eq!(read_manifest(&disk, dir(), ID, place).unwrap().state, state);
}

#[test]
fn key_ranges_that_end_before_a_key_are_kept() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(dir()).unwrap();
    let mut manifest = Manifest::create(&disk, dir(), ID, 1, &begun()).unwrap();
    let mut edit = flush(1);
    let range = KeyRange::until(b"", &[0xff; 300]);
    let table = crate::TableInfo { range: range.clone(), ..(*edit.tables_added[0].table).clone() };
    edit.tables_added[0].table = Arc::new(table);
    assert!(manifest.append(&edit).unwrap());
    let read = read_manifest(&disk, dir(), ID, manifest.place()).unwrap();
    assert_eq!(read.state.trees[&1].levels.level(0)[0].range, range);
}

#[test]
fn opening_changes_nothing_before_it_is_mended() {
    let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(3) });
    disk.create_dir_all(dir()).unwrap();
    let mut manifest = Manifest::create(&disk, dir(), ID, 1, &begun()).unwrap();
    let place = manifest.place();
    assert!(manifest.append(&flush(1)).unwrap());
    drop(manifest);
    let path = crate::FileName::Manifest(1).path(dir());
    let whole = disk.read(&path, 1 << 20).unwrap();
    // The last edit is torn: a page of it never came to the device.
    disk.flip_bit(&path, place.synced_bytes + 20, 1).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for (at, byte) in whole.iter().enumerate().take(end).skip(end - WORD_BYTES) {
        for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
            disk.flip_bit(&path, at as u64, bit).unwrap();
        }
    }
    let torn = disk.read(&path, 1 << 20).unwrap();
    let (mut manifest, state) = Manifest::open(&disk, dir(), ID, place).unwrap();
    assert_eq!(state, begun());
    assert_eq!(disk.read(&path, 1 << 20).unwrap(), torn);
    manifest.mend().unwrap();
    let mended = disk.read(&path, 1 << 20).unwrap();
    assert!(mended[place.synced_bytes as usize..].iter().all(|byte| *byte == 0));
    assert!(manifest.append(&flush(1)).unwrap());
}
