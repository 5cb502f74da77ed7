//! Any bytes as a manifest.
//!
//! Random bytes hardly ever have a right checksum, so the bytes are also taken for the items of
//! edits in a file whose checksums are right.

use super::{
    Edit, Manifest, ManifestPlace, State, TableAdded, TableRemoved, TreeAdded,
    format::{HEADER_BYTES, encode_frame, encode_header, seed_of},
    read_manifest,
    scan::{Scan, scan},
};
use crate::{FileName, KeyRange, TableInfo, TreeOptions, TreeTraffic};
use annals_disk::{Disk, MemoryDisk};
use std::{path::Path, sync::Arc};

const ID: u64 = 7;
const NUMBER: u64 = 1;

/// A manifest's file.
pub fn manifest(bytes: &[u8]) {
    if let Some(found) = scanned(bytes) {
        check(bytes, &found);
    }
    // The rest is taken for edits, each a length of two bytes, a number of items and the items.
    let seed = seed_of(ID, NUMBER);
    let mut file = vec![0; HEADER_BYTES];
    let (mut rest, mut ordinal) = (bytes, 0);
    while let [low, high, items, more @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let frame = encode_frame(seed, file.len(), ordinal, u32::from(*items), &more[..len]);
        file.extend_from_slice(&frame);
        (rest, ordinal) = (&more[len..], ordinal + 1);
    }
    file.extend_from_slice(&[0; 64]);
    let header = encode_header(ID, NUMBER, file.len() as u64);
    file[..HEADER_BYTES].copy_from_slice(&header);
    if let Some(found) = scanned(&file) {
        check(&file, &found);
    }
}

fn scanned(file: &[u8]) -> Option<Scan> {
    let place = ManifestPlace { number: NUMBER, synced_bytes: 0 };
    scan(file, Path::new("manifest"), ID, place).ok()
}

/// What must hold of a manifest that was read: it can be written anew, and opened and gone on with.
fn check(file: &[u8], found: &Scan) {
    assert!(found.end + found.torn_bytes <= file.len());
    found.state.validate().expect("what was read holds");
    let again = State::default().changed(&found.state.as_edit());
    assert_eq!(again.as_ref(), Ok(&found.state));
    let disk = MemoryDisk::new();
    let dir = Path::new("");
    let mut out = disk.create(&FileName::Manifest(NUMBER).path(dir)).expect("memory");
    out.append(file).and_then(|()| out.sync()).expect("memory");
    drop(out);
    let place = ManifestPlace { number: NUMBER, synced_bytes: 0 };
    let (mut manifest, state) = Manifest::open(&disk, dir, ID, place).expect("it was read");
    assert_eq!(state, found.state);
    let edit = Edit { next_number: Some(u64::MAX), ..Edit::default() };
    if manifest.append(&edit).expect("memory does not fail") {
        let read = read_manifest(&disk, dir, ID, manifest.place()).expect("it was written");
        assert_eq!(Ok(read.state), state.changed(&edit));
    }
}

/// The edits of a small manifest.
fn sample_edits() -> [Edit; 3] {
    let table = |number: u64, first: &[u8], last: &[u8]| {
        Arc::new(TableInfo {
            number,
            bytes: 4096,
            range: KeyRange::closed(first, last),
            lowest_seq: number * 10,
            highest_seq: number * 10 + 9,
            entries: 10,
            removals: 1,
            range_removals: 0,
            expiring: 2,
            first_expiry_ms: 1000,
            last_expiry_ms: 2000,
            oldest_ms: 500,
            newest_ms: 600,
            references: vec![(7, 100), (8, number)],
        })
    };
    [
        Edit {
            trees_added: vec![TreeAdded { tree: 1, options: TreeOptions::default() }],
            next_number: Some(9),
            ..Edit::default()
        },
        Edit {
            tables_added: vec![
                TableAdded { tree: 1, level: 0, table: table(2, b"a", b"m") },
                TableAdded { tree: 1, level: 6, table: table(3, b"b", b"c") },
            ],
            flushed_through: vec![(1, 39)],
            traffic: vec![(1, TreeTraffic { flushed_bytes: 8192, ..TreeTraffic::default() })],
            ..Edit::default()
        },
        Edit {
            tables_removed: vec![TableRemoved { tree: 1, level: 0, number: 2 }],
            tables_added: vec![TableAdded { tree: 1, level: 5, table: table(4, b"a", b"m") }],
            traffic: vec![(1, TreeTraffic::from_numbers([8192, 512, 4096, 4096]))],
            ..Edit::default()
        },
    ]
}

/// A small manifest, for mutations and as a seed.
#[must_use]
pub fn sample_manifest() -> Vec<u8> {
    let seed = seed_of(ID, NUMBER);
    let mut file = vec![0; HEADER_BYTES];
    for (ordinal, edit) in (0..).zip(&sample_edits()) {
        let items = edit.items() as u32;
        let frame = encode_frame(seed, file.len(), ordinal, items, &edit.encode());
        file.extend_from_slice(&frame);
    }
    file.resize((file.len() + 512).next_multiple_of(8), 0);
    let header = encode_header(ID, NUMBER, file.len() as u64);
    file[..HEADER_BYTES].copy_from_slice(&header);
    file
}

/// The items of its edits, as [`manifest`] takes them beside whole files.
#[must_use]
pub fn sample_items() -> Vec<u8> {
    let mut out = Vec::new();
    for edit in sample_edits() {
        let items = edit.encode();
        out.extend_from_slice(&(items.len() as u16).to_le_bytes());
        out.push(edit.items() as u8);
        out.extend_from_slice(&items);
    }
    out
}
