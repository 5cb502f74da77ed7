//! A database with an event table as an earlier build wrote it must open with exactly the events it had, and its parts
//! must go on to be merged, deleted of and dropped.
//!
//! `golden/v1/tables` is of format version 1 of segments, checkpoints, schemas, batches and parts. It is never written
//! again; a later format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod golden_files;
mod table_sample;

use annals_disk::RealDisk;
use annals_engine::{Background, Database};
use golden_files::copy_files;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use table_sample::{Call, LongerCall, NAME, call, fill, lines};

const SEGMENT_BYTES: u64 = 64 << 10;

fn golden() -> PathBuf {
    golden_files::golden("tables")
}

fn open(path: &Path) -> Database {
    let builder = Database::builder().disk(Arc::new(RealDisk::new()));
    builder.background(Background::Manual).segment_bytes(SEGMENT_BYTES).open(path).unwrap()
}

fn expected() -> Vec<String> {
    golden_files::expected("tables").lines().map(str::to_owned).collect()
}

#[test]
fn a_database_with_an_event_table_opens() {
    let dir = tempfile::tempdir().unwrap();
    copy_files(&golden(), dir.path());
    for _ in 0..2 {
        let db = open(dir.path());
        assert!(db.recovery().clean && db.recovery().warnings.is_empty(), "{:?}", db.recovery());
        assert_eq!(lines(&db).unwrap(), expected());
        assert!(db.verify(&mut |_| {}).unwrap().is_intact());
        db.compact().unwrap();
        assert_eq!(lines(&db).unwrap(), expected());
        db.close().unwrap();
    }
    let db = open(dir.path());
    let table = db.table_of::<Call>(NAME).unwrap();
    let stats = table.stats().unwrap();
    assert!(stats.parts_count >= 2 && stats.batches_count >= 4 && stats.deleted_count >= 3);
    table.flush().unwrap();
    assert_eq!(lines(&db).unwrap(), expected(), "all is in parts");
    table.append(&call(200)).unwrap();
    assert_eq!(table.delete_events([call(200).id]).unwrap(), 2);
    let left = lines(&db).unwrap();
    table.flush().unwrap();
    table.merge_parts().unwrap();
    assert_eq!(lines(&db).unwrap(), left);
    table.gc(i64::MAX).unwrap();
    assert!(table.view().unwrap().is_empty());
}

/// Without its checkpoint the log says the same.
#[test]
fn its_events_are_in_the_log_whole() {
    let dir = tempfile::tempdir().unwrap();
    copy_files(&golden(), dir.path());
    let is_one = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "ckp");
    let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let checkpoints: Vec<_> = files.filter(is_one).collect();
    assert_eq!(checkpoints.len(), 1);
    std::fs::remove_file(&checkpoints[0]).unwrap();
    let db = open(dir.path());
    assert_eq!(lines(&db).unwrap(), expected());
    let longer = db.table_of::<LongerCall>(NAME).unwrap();
    assert_eq!(longer.schema().unwrap().fields().len(), 11);
}

/// Makes the golden files of the current format. Never writes over any.
#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    let target = golden();
    assert!(!target.exists(), "golden files are never written again");
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let text = fill(&db).pop().unwrap().join("\n");
    db.close().unwrap();
    std::fs::create_dir_all(&target).unwrap();
    copy_files(dir.path(), &target);
    std::fs::write(target.with_extension("txt"), text + "\n").unwrap();
}
