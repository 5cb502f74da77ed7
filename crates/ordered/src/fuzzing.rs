//! Entry points for fuzz targets and property tests: each takes any bytes, decodes them, and asserts
//! what must hold of whatever comes out. None of it is for users.
//!
//! Random bytes hardly ever have a right checksum, so a table is also given with its checksums made
//! right: what a checksum cannot keep out must not do harm either.

pub use crate::manifest::fuzzing::{manifest, sample_items, sample_manifest};

use crate::{
    BlockCache, Compression, Cursor, Entry, EntryKind, RangeRemoval, Reading, Sought, Table,
    TableCursor, TableIdentity, TableNotes, TableOptions, TableWriter,
    block::Layout,
    compress::{self, Codec},
    filter, table,
};
use annals_disk::{Disk, MemoryDisk};
use std::{path::Path, sync::Arc};

const ID: TableIdentity = TableIdentity { database_id: 7, number: 3 };
const NAME: &str = "3.sst";
/// Damaged indexes can lead round in a circle; nothing is followed further than this.
const STEPS_MAX: usize = 5_000;

/// A block of entries.
pub fn table_block(bytes: &[u8]) {
    let Some(layout) = Layout::of(bytes) else { return };
    let is_sound = layout.is_sound(bytes);
    for at in 0..layout.count().min(STEPS_MAX) {
        let mut key = layout.prefix(bytes).to_vec();
        let Some(row) = layout.read(bytes, at, &mut key) else {
            assert!(!is_sound, "entry {at} of a sound block");
            continue;
        };
        assert!(bytes.get(row.value).is_some());
        let place = layout.search(bytes, &key, row.seq);
        if is_sound {
            let place = place.expect("a sound block");
            assert_eq!((place.at, place.exact), (at, true), "sound blocks are in order");
        }
    }
}

/// A filter.
pub fn table_filter(bytes: &[u8]) {
    for hash in [0, 1, u64::MAX, 0x9e37_79b9_7f4a_7c15] {
        let _ = filter::may_have(bytes, hash);
    }
    let hashes: Vec<u64> =
        bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let mut built = Vec::new();
    filter::build(&hashes, bytes.first().map_or(1, |first| first % 32 + 1), &mut built);
    for hash in hashes {
        assert_eq!(filter::may_have(&built, hash), Some(true));
    }
}

/// A compressed block.
pub fn table_unpack(bytes: &[u8]) {
    for codec in [Codec::Plain, Codec::Lz4, Codec::Zstd] {
        let mut raw = Vec::new();
        if compress::unpack(codec, bytes, &mut raw).is_ok() {
            assert!(raw.len() <= 255 * bytes.len());
        }
    }
    for compression in [Compression::Lz4, Compression::Zstd { level: 1 }] {
        let mut packed = Vec::new();
        let codec = compress::pack(compression, bytes, &mut packed);
        if codec != Codec::Plain {
            let mut raw = Vec::new();
            assert_eq!(compress::unpack(codec, &packed, &mut raw), Ok(()));
            assert_eq!(raw, bytes);
        }
    }
}

/// A whole table: opening it is an error, or a table that can be read in every way and answers with
/// entries or errors.
pub fn table(bytes: &[u8]) {
    read(bytes);
    let mut mended = bytes.to_vec();
    table::mend(&mut mended, ID);
    read(&mended);
}

fn read(bytes: &[u8]) {
    let disk = MemoryDisk::new();
    disk.create(Path::new(NAME)).expect("memory").append(bytes).expect("memory");
    let cache = Arc::new(BlockCache::new(1 << 20));
    let Ok(table) = Table::open(&disk, Path::new(NAME), ID, cache) else { return };
    let _ = table.range_removals();
    let mut damages_count = 0;
    let verified = table.verify(&mut |damage| {
        assert!(damage.offset <= bytes.len() as u64);
        damages_count += 1;
    });
    assert_eq!(verified.damages_count, damages_count);
    let mut cursor = TableCursor::new(&table, Reading::Usual);
    let mut keys = vec![Vec::new(), b"key 010".to_vec()];
    let mut went = cursor.to_first();
    for _ in 0..STEPS_MAX {
        let Some(entry) = cursor.entry() else { break };
        keys.push(entry.key.to_vec());
        went = cursor.advance();
    }
    assert!(went.is_ok() || cursor.entry().is_none(), "after an error a cursor stands outside");
    let _ = cursor.to_last();
    for _ in 0..STEPS_MAX {
        if cursor.entry().is_none() {
            break;
        }
        let _ = cursor.retreat();
    }
    for key in keys.iter().take(200) {
        for seq in [0, u64::MAX] {
            if let Ok(Some(found)) = table.get(&Sought::new(ID.database_id, key, seq)) {
                let _ = table.value(&found);
            }
            let _ = cursor.seek(key, seq);
            let _ = cursor.seek_back(key, seq);
        }
        let _ = (table.may_have_prefix(key), table.offset_of(key));
    }
}

/// A table that is right, for mutations to start from: of a few small blocks, with something of
/// everything.
///
/// # Panics
/// Never: it is written to memory.
#[must_use]
pub fn sample_table(compression: Compression) -> Vec<u8> {
    let disk = MemoryDisk::new();
    let path = Path::new(NAME);
    let options = TableOptions {
        block_bytes: 256,
        compression,
        filter_prefix_bytes: Some(4),
        ..TableOptions::default()
    };
    let mut writer = TableWriter::create(&disk, path, ID, options).expect("memory");
    for n in 0..40u64 {
        let key = format!("key {:03}", n / 2);
        let value = vec![b'a' + (n % 26) as u8; 5 + n as usize];
        let kind = match n % 7 {
            3 => EntryKind::Remove,
            5 => EntryKind::Pointer,
            _ => EntryKind::Put,
        };
        let entry = Entry {
            key: key.as_bytes(),
            seq: 1000 - n,
            kind,
            expires_ms: (n % 9 == 4).then_some(5000 + n),
            value: if kind == EntryKind::Remove { b"" } else { &value },
        };
        writer.add(&entry).expect("in order");
    }
    let range = RangeRemoval::new(b"key 005", b"key 007", 990);
    writer.remove_range(range).expect("short keys");
    let notes = TableNotes { level: 1, created_ms: 1_795_000_000_000, references: vec![(4, 300)] };
    writer.finish(notes).expect("memory");
    disk.read(path, 1 << 20).expect("memory")
}
