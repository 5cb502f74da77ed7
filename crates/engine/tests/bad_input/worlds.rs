//! Directories, file systems, other openers and clocks that are not as they should be.

use crate::sample;
use crate::sample::{DIR, Image, builder};
use crate::support::{RESTORE, checkpoint, closed, first_segment, told};
use annals_disk::{Fault, MemoryDisk, SimDisk, SimOptions};
use annals_engine::{Database, ErrorKind, WriteOptions};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_directory_that_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for path in [file.clone(), file.join("below")] {
        for read_only in [false, true] {
            let error = Database::builder().read_only(read_only).open(&path).unwrap_err();
            let name = path.file_name().unwrap().to_str().unwrap();
            told(&error, ErrorKind::NotADatabase, &[name, "name a directory"]);
        }
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"text");
}

#[test]
fn a_file_that_is_a_directory() {
    let names = [
        "annals.root".to_owned(),
        first_segment(&closed()),
        closed().names_with(".seg").pop().unwrap(),
    ];
    for name in names {
        let (dir, mut image) = (tempfile::tempdir().unwrap(), closed());
        image.remove(&name);
        image.save(dir.path());
        let path = dir.path().join(DIR);
        std::fs::create_dir(path.join(&name)).unwrap();
        let error = builder().open(&path).unwrap_err();
        told(&error, ErrorKind::Corrupt, &[&name, "directory", RESTORE]);
    }
    let (dir, mut image) = (tempfile::tempdir().unwrap(), closed());
    let name = checkpoint(&image);
    image.remove(&name);
    image.save(dir.path());
    let path = dir.path().join(DIR);
    std::fs::create_dir(path.join(&name)).unwrap();
    let db = builder().open(&path).unwrap();
    assert!(db.recovery().warnings.iter().any(|warning| warning.contains(&name)));
    assert_eq!(&sample::contents(&db), sample::closed().last());
}

/// Opening a pipe waits for its other end unless it is asked not to.
#[test]
fn a_file_that_is_a_pipe() {
    let in_place_of = |name: &str| {
        let (dir, mut image) = (tempfile::tempdir().unwrap(), closed());
        image.remove(name);
        image.save(dir.path());
        let path = dir.path().join(DIR);
        let made = std::process::Command::new("mkfifo").arg(path.join(name)).status().unwrap();
        assert!(made.success());
        (dir, path)
    };
    let names = ["annals.root".to_owned(), first_segment(&closed())];
    for name in names {
        let (_dir, path) = in_place_of(&name);
        for read_only in [false, true] {
            let error = builder().read_only(read_only).open(&path).unwrap_err();
            told(&error, ErrorKind::Corrupt, &[&name, "pipe", RESTORE]);
        }
    }
    let name = checkpoint(&closed());
    let (_dir, path) = in_place_of(&name);
    let db = builder().open(&path).unwrap();
    assert!(db.recovery().warnings.iter().any(|warning| warning.contains(&name)));
    assert_eq!(&sample::contents(&db), sample::closed().last());
}

#[test]
fn a_file_system_that_refuses() {
    for fault in [Fault::FailLock, Fault::FailOpen, Fault::FailRead, Fault::FailCreate] {
        let disk = closed().sim();
        let before = Image::of(&disk);
        disk.fail_always_at(fault, "");
        let error = builder().disk(Arc::new(disk.clone())).open(DIR).unwrap_err();
        told(&error, ErrorKind::Io, &["could not", DIR]);
        disk.clear_faults();
        let mut after = Image::of(&disk);
        if fault != Fault::FailCreate {
            // The lock's text is for people.
            after.put("annals.lock", before.clone().remove("annals.lock"));
            assert!(before == after, "{fault:?}");
        }
        let db = builder().disk(Arc::new(disk)).open(DIR).unwrap();
        assert_eq!(&sample::contents(&db), sample::closed().last());
    }
}

/// Nobody may make a directory there, root neither.
#[cfg(target_os = "linux")]
#[test]
fn a_place_where_nobody_may_write() {
    let error = Database::open("/sys/annals-database").unwrap_err();
    told(&error, ErrorKind::Forbidden, &["could not", "/sys/annals-database"]);
    let remedy = ["mount the file system for writing", "give this user the right"];
    assert!(remedy.iter().any(|remedy| error.to_string().contains(remedy)), "{error}");
}

#[test]
fn a_read_only_handle_needs_no_writing() {
    let disk = closed().sim();
    let open = || builder().read_only(true).disk(Arc::new(disk.clone())).open(DIR);
    // Without the lock that readers share it would not be safe beside a writer.
    disk.fail_nth(Fault::FailLock, 1);
    told(&open().unwrap_err(), ErrorKind::Io, &["could not", "annals.readers"]);
    for fault in [Fault::FailCreate, Fault::FailWrite, Fault::FailRemove] {
        disk.fail_always_at(fault, "");
    }
    let db = open().unwrap();
    assert_eq!(&sample::contents(&db), sample::closed().last());
    let error = db.open_hash_keyspace("users").unwrap().insert("a", "1").unwrap_err();
    told(&error, ErrorKind::ReadOnly, &["read-only"]);
    told(&db.backup_to("copy").unwrap_err(), ErrorKind::ReadOnly, &["read-only"]);
}

#[test]
fn a_second_opener() {
    let disk = Arc::new(MemoryDisk::new());
    let db = builder().disk(disk.clone()).open(DIR).unwrap();
    let error = builder().disk(disk.clone()).open(DIR).unwrap_err();
    let pid = std::process::id().to_string();
    told(&error, ErrorKind::Locked, &[DIR, &pid, "read-only"]);
    assert!(error.is_retryable());
    drop(db);
    builder().disk(disk).open(DIR).unwrap();
}

/// People remove what they take for a stale lock. Two writers would destroy the log.
#[test]
fn a_second_opener_that_finds_no_lock_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DIR);
    let db = builder().open(&path).unwrap();
    let keyspace = db.hash_keyspace("k").unwrap();
    keyspace.insert("a", "1").unwrap();
    std::fs::remove_file(path.join("annals.lock")).unwrap();
    let error = builder().open(&path).unwrap_err();
    told(&error, ErrorKind::Locked, &[DIR, "does not say who it is", "read-only"]);
    // Whoever asks is told the same, with the file that the second opener left and without it.
    for is_there in [true, false] {
        if !is_there {
            std::fs::remove_file(path.join("annals.lock")).unwrap();
        }
        assert_eq!(Database::lock_holder(&path).unwrap().unwrap().pid, 0);
        let error = Database::break_lock(&path).unwrap_err();
        told(&error, ErrorKind::Locked, &["does not say who it is"]);
    }
    keyspace.insert("b", "2").unwrap();
    let reader = builder().read_only(true).open(&path).unwrap();
    assert_eq!(reader.open_hash_keyspace("k").unwrap().len(), 2);
    drop((reader, keyspace));
    db.close().unwrap();
    assert_eq!(Database::lock_holder(&path).unwrap(), None);
    assert!(!Database::break_lock(&path).unwrap());
    let db = builder().open(&path).unwrap();
    assert_eq!(db.open_hash_keyspace("k").unwrap().len(), 2);
}

#[test]
fn a_clock_that_was_set_back() {
    let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(5) });
    let start = disk.options().start_ms;
    let open = |disk: &SimDisk| builder().disk(Arc::new(disk.clone())).open(DIR).unwrap();
    let db = open(&disk);
    let keyspace = db.hash_keyspace("k").unwrap();
    let ttl = WriteOptions::default().ttl(Duration::from_secs(10));
    keyspace.insert_with("short", "1", ttl).unwrap();
    assert!(keyspace.get("short").unwrap().is_some());
    disk.advance_ms(20_000);
    assert!(keyspace.get("short").unwrap().is_none());
    disk.set_now_ms(start - 1_000_000);
    assert!(keyspace.get("short").unwrap().is_none(), "the clock does not run backwards");

    let killed = disk.restart_clean();
    drop((keyspace, db));
    killed.set_now_ms(start - 1_000_000);
    let db = open(&killed);
    let keyspace = db.open_hash_keyspace("k").unwrap();
    assert!(keyspace.get("short").unwrap().is_none(), "after a kill");
    keyspace.insert_with("later", "2", ttl).unwrap();
    assert!(keyspace.get("later").unwrap().is_some(), "counted from where the clock had been");
    drop(keyspace);
    db.close().unwrap();

    killed.set_now_ms(start - 2_000_000);
    let db = open(&killed);
    assert!(db.open_hash_keyspace("k").unwrap().get("short").unwrap().is_none(), "after closing");
}
