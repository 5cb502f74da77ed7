//! Tables written by earlier builds must open, with exactly the entries they had.
//!
//! `golden/sstable/v1` holds tables of format version 1: see the README there. They are never written
//! again; a later format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_disk::RealDisk;
use annals_ordered::{
    BlockCache, Compression, Cursor, Error, Reading, Result, Sought, Table, TableCursor,
    TableIdentity, fuzzing,
};
use std::{fmt::Write as _, path::PathBuf, sync::Arc};

const ID: TableIdentity = TableIdentity { database_id: 7, number: 3 };

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sstable/v1").join(name)
}

fn open(name: &str) -> Result<Table> {
    Table::open(&RealDisk::new(), &golden(name), ID, Arc::new(BlockCache::new(1 << 20)))
}

/// What a table holds, as text.
fn text(table: &Table) -> Result<String> {
    let mut out = String::new();
    let mut cursor = TableCursor::new(table, Reading::Light);
    cursor.to_first()?;
    while let Some(entry) = cursor.entry() {
        let (key, value) = (entry.key.escape_ascii(), entry.value.escape_ascii());
        let (seq, kind, expires_ms) = (entry.seq, entry.kind, entry.expires_ms);
        writeln!(out, "{key}\t{seq}\t{kind:?}\t{expires_ms:?}\t{value}").unwrap();
        cursor.advance()?;
    }
    for range in table.range_removals()? {
        let (from, to) = (range.from.escape_ascii(), range.to.escape_ascii());
        writeln!(out, "{from}..{to}\t{}\tRemoveRange", range.seq).unwrap();
    }
    Ok(out)
}

fn expected() -> String {
    std::fs::read_to_string(golden("contents.txt")).unwrap()
}

const SAMPLES: [(&str, Compression); 3] = [
    ("plain.sst", Compression::None),
    ("lz4.sst", Compression::Lz4),
    ("zstd.sst", Compression::Zstd { level: 1 }),
];

#[test]
fn tables_of_version_1_open() {
    for (name, compression) in SAMPLES {
        let table = open(name).unwrap();
        assert_eq!(text(&table).unwrap(), expected(), "{name}");
        assert_eq!(table.verify(&mut |damage| panic!("{damage:?}")).entries_count, 40);
        let properties = table.properties();
        assert_eq!(properties.compression, compression);
        assert_eq!(properties.notes.references, [(4, 300)]);
        assert_eq!((properties.smallest_seq, properties.largest_seq), (961, 1000));
        let found = table.get(&Sought::new(ID.database_id, b"key 000", 1000)).unwrap().unwrap();
        assert_eq!((found.seq, table.value(&found)), (1000, &b"aaaaa"[..]));
        assert!(table.get(&Sought::new(ID.database_id, b"key 0000", 1000)).unwrap().is_none());
    }
}

#[test]
fn a_plain_table_is_written_as_in_version_1() {
    // Compressors may find other bytes for the same; what is plain may not change unnoticed.
    let golden = std::fs::read(golden("plain.sst")).unwrap();
    assert_eq!(fuzzing::sample_table(Compression::None), golden);
}

#[test]
fn a_torn_table_of_version_1_is_refused_and_a_damaged_one_names_the_damage() {
    assert!(matches!(open("torn.sst"), Err(Error::Damaged { .. })));
    let table = open("damaged.sst").unwrap();
    let mut damages = Vec::new();
    table.verify(&mut |damage| damages.push(damage));
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert_eq!(damages[0].offset, 64);
    assert!(damages[0].to.as_ref().is_some_and(|to| b"key 000".as_slice() < to.as_slice()));
    let error = table.get(&Sought::new(ID.database_id, b"key 000", 1000)).unwrap_err();
    assert!(error.to_string().contains("damaged.sst is damaged at byte 64"), "{error}");
    assert!(table.get(&Sought::new(ID.database_id, b"key 019", 1000)).unwrap().is_some());
}

/// Makes the golden files. Refuses to write over anything.
#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    let put = |name: &str, bytes: &[u8]| {
        assert!(!golden(name).exists(), "{name} is there");
        std::fs::write(golden(name), bytes).unwrap();
    };
    for (name, compression) in SAMPLES {
        put(name, &fuzzing::sample_table(compression));
    }
    let plain = fuzzing::sample_table(Compression::None);
    put("torn.sst", &plain[..plain.len() * 2 / 3]);
    let mut damaged = plain;
    damaged[64 + 100] ^= 4;
    put("damaged.sst", &damaged);
    put("contents.txt", text(&open("plain.sst").unwrap()).unwrap().as_bytes());
}
