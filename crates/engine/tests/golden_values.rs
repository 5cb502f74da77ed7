//! A database with values in the log, some of them moved, as an earlier build wrote it, must open with
//! exactly the contents it had.
//!
//! `golden/v1/values` is of format version 1 of segments, checkpoints, manifests and tables. It is never
//! written again; a later format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod golden_files;

use annals_disk::RealDisk;
use annals_engine::{Background, Database, TreeOptions};
use golden_files::copy_files;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

const SEGMENT_BYTES: u64 = 64 << 10;

fn golden() -> PathBuf {
    golden_files::golden("values")
}

fn open(path: &Path) -> Database {
    let builder = Database::builder().disk(Arc::new(RealDisk::new()));
    builder.background(Background::Manual).segment_bytes(SEGMENT_BYTES).open(path).unwrap()
}

fn value(number: u32, round: u32) -> Vec<u8> {
    format!("value {number} of round {round}, ").repeat(400).into_bytes()
}

/// What the database holds, long values by their beginning and their length.
fn text(db: &Database) -> String {
    let mut out = String::new();
    for entry in db.open_keyspace("sorted").unwrap().iter().unwrap() {
        let entry = entry.unwrap();
        let (key, value) = (entry.key().escape_ascii(), entry.value());
        let start = value[..value.len().min(40)].escape_ascii();
        writeln!(out, "{key}\t{}\t{:08x}\t{start}", value.len(), crc32c::crc32c(value)).unwrap();
    }
    out
}

fn expected() -> String {
    golden_files::expected("values")
}

#[test]
fn a_database_with_values_in_the_log_opens() {
    let dir = tempfile::tempdir().unwrap();
    copy_files(&golden(), dir.path());
    for _ in 0..2 {
        let db = open(dir.path());
        assert_eq!(text(&db), expected());
        assert!(db.recovery().clean && db.recovery().warnings.is_empty(), "{:?}", db.recovery());
        let report = db.verify(&mut |_| {}).unwrap();
        assert!(report.is_intact(), "{:?}", report.damages);
        assert!(db.stats().keyspaces[0].live_bytes > 0, "tables refer to the log");
        db.open_keyspace("sorted").unwrap().compact().unwrap();
        db.compact().unwrap();
        assert_eq!(text(&db), expected());
        db.close().unwrap();
    }
}

/// The golden database has what it is for.
#[test]
fn some_of_its_values_were_moved() {
    let files = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let segments: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).collect();
    let kinds: Vec<u8> = segments.iter().map(|path| std::fs::read(path).unwrap()[12]).collect();
    assert!(kinds.contains(&1) && kinds.contains(&2), "{kinds:?}");
}

/// Makes the golden files of the current format. Never writes over any.
#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    let target = golden();
    assert!(!target.exists(), "golden files are never written again");
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let tables = TreeOptions { separate_over_bytes: Some(100), ..TreeOptions::default() };
    let sorted = db.create_keyspace("sorted", Default::default(), tables).unwrap();
    for number in 0..12u32 {
        sorted.insert(format!("key {number:02}"), value(number, 1)).unwrap();
        sorted.insert(format!("short {number:02}"), "short").unwrap();
    }
    db.checkpoint().unwrap();
    for number in (0..12u32).filter(|number| number % 3 != 0) {
        sorted.insert(format!("key {number:02}"), value(number, 2)).unwrap();
    }
    db.checkpoint().unwrap();
    sorted.compact().unwrap();
    db.compact().unwrap();
    let text = text(&db);
    drop(sorted);
    db.close().unwrap();
    std::fs::create_dir_all(&target).unwrap();
    copy_files(dir.path(), &target);
    std::fs::write(target.with_extension("txt"), text).unwrap();
}
