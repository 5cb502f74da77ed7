//! Bad files, bad worlds and bad calls: each is its own typed error with path and remedy, or is
//! repaired with a warning that says what was dropped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sample;

use annals_disk::{Disk, Fault, MemoryDisk, SimDisk, SimOptions};
use annals_engine::{
    Background, Database, Durability, Error, ErrorKind, KeyspaceOptions, WriteOptions,
};
use sample::{DIR, Image, builder};
use std::{path::Path, sync::Arc, time::Duration};

const RESTORE: &str = "restore";

/// Opens `image`, which must fail with `kind` and a text that has all `parts`, and change nothing.
#[track_caller]
fn refused(image: &Image, kind: ErrorKind, parts: &[&str]) {
    let disk = Arc::new(image.memory());
    let error = builder().disk(disk.clone()).open(DIR).unwrap_err();
    told(&error, kind, parts);
    let after = Image::read(&*disk, Path::new(DIR));
    let unchanged = |image: &Image| {
        let mut image = image.clone();
        image.0.remove(&Path::new(DIR).join("annals.lock"));
        image
    };
    assert!(unchanged(image) == unchanged(&after), "a failed opening has changed files");
    let read_only = builder().read_only(true).disk(disk).open(DIR).unwrap_err();
    assert_eq!(read_only.kind(), kind, "{read_only}");
}

#[track_caller]
fn told(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
}

/// Opens `image`, which must be repaired with a warning that names `part`, and lose nothing.
#[track_caller]
fn repaired(image: &Image, part: &str) {
    let db = image.open().unwrap();
    let warnings = &db.recovery().warnings;
    assert!(warnings.iter().any(|warning| warning.contains(part)), "{warnings:?}");
    assert_eq!(&sample::contents(&db), sample::closed().last());
}

fn closed() -> Image {
    sample::closed().image
}

fn first_segment(image: &Image) -> String {
    image.names_with(".seg").remove(0)
}

fn checkpoint(image: &Image) -> String {
    image.names_with(".ckp").remove(0)
}

/// Changes the head of a file and makes its checksum right again.
fn forge(bytes: &mut [u8], name: &str, change: impl FnOnce(&mut [u8])) {
    change(bytes);
    let (covered, at) = match name.rsplit('.').next() {
        Some("seg") => (60, 60),
        Some("ckp") => (36, 36),
        _ => (bytes.len() - 4, bytes.len() - 4),
    };
    let checksum = crc32c::crc32c(&bytes[..covered]);
    bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn wrong_magic() {
    let mut image = closed();
    image.file("annals.root")[0] = b'X';
    refused(&image, ErrorKind::Corrupt, &["annals.root", "magic", RESTORE]);
    let mut image = closed();
    let name = first_segment(&image);
    image.file(&name)[0] = b'X';
    refused(&image, ErrorKind::Corrupt, &[&name, "magic", RESTORE]);
    let mut image = closed();
    let name = checkpoint(&image);
    image.file(&name)[0] = b'X';
    repaired(&image, &name);
}

#[test]
fn another_version() {
    let other = |bytes: &mut [u8]| bytes[8..10].copy_from_slice(&9u16.to_le_bytes());
    for name in ["annals.root".to_owned(), first_segment(&closed())] {
        let mut image = closed();
        forge(image.file(&name), &name, other);
        refused(&image, ErrorKind::Version, &[&name, "version 9", "open it with the build"]);
    }
    let mut image = closed();
    let name = checkpoint(&image);
    forge(image.file(&name), &name, other);
    repaired(&image, &name);
}

#[test]
fn another_byte_order() {
    let other = |bytes: &mut [u8]| bytes[10..12].reverse();
    for name in ["annals.root".to_owned(), first_segment(&closed())] {
        let mut image = closed();
        forge(image.file(&name), &name, other);
        refused(&image, ErrorKind::Version, &[&name, "byte order", "machine"]);
    }
    let mut image = closed();
    let name = checkpoint(&image);
    forge(image.file(&name), &name, other);
    repaired(&image, &name);
}

#[test]
fn empty_files() {
    let mut image = closed();
    image.file("annals.root").clear();
    refused(&image, ErrorKind::Corrupt, &["annals.root", "cut off", RESTORE]);
    let mut image = closed();
    let name = first_segment(&image);
    image.file(&name).clear();
    refused(&image, ErrorKind::Corrupt, &[&name, "empty", RESTORE]);
    let mut image = closed();
    let name = checkpoint(&image);
    image.file(&name).clear();
    repaired(&image, &name);
}

#[test]
fn missing_files() {
    let mut image = closed();
    image.remove("annals.root");
    for name in image.names_with(".seg") {
        let disk = Arc::new(image.memory());
        let error = builder().disk(disk.clone()).open(DIR).unwrap_err();
        told(&error, error.kind(), &["annals.root", RESTORE]);
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotADatabase), "{error}");
        assert!(disk.len(&Path::new(DIR).join(name)).unwrap().is_some());
    }
    for name in closed().names_with(".seg") {
        let mut image = closed();
        image.remove(&name);
        refused(&image, ErrorKind::Corrupt, &[&name, "missing", RESTORE]);
    }
    let mut image = closed();
    let name = checkpoint(&image);
    image.remove(&name);
    repaired(&image, &name);
}

/// A reader rebuilds its views from the log and says nothing; who asks what is damaged is told.
#[test]
fn verifying_names_a_missing_checkpoint() {
    let mut image = closed();
    let name = checkpoint(&image);
    image.remove(&name);
    let db = builder().read_only(true).disk(Arc::new(image.memory())).open(DIR).unwrap();
    let damages = db.verify(&mut |_| {}).unwrap().damages;
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert!(damages[0].path.ends_with(&name), "{damages:?}");
}

#[test]
fn a_small_database_without_its_root_is_not_made_anew() {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let open = |disk: &SimDisk| builder().disk(Arc::new(disk.clone())).open(DIR);
    let db = open(&disk).unwrap();
    db.hash_keyspace("k").unwrap().insert("a", "1").unwrap();
    let killed = disk.restart_clean();
    drop(db);
    let mut image = Image::of(&killed);
    let root = image.remove("annals.root");
    let segments = image.names_with(".seg").len();
    let disk = image.sim();
    let error = open(&disk).unwrap_err();
    told(&error, error.kind(), &["annals.root", RESTORE]);
    assert_eq!(Image::of(&disk).names_with(".seg").len(), segments);
    disk.set_file_bytes(Path::new(DIR).join("annals.root"), &root).unwrap();
    let db = open(&disk).unwrap();
    assert_eq!(db.open_hash_keyspace("k").unwrap().get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_catalog_record_of_a_later_build() {
    use annals_journal::{Config, Draft, FrameBuilder, Journal, Kind};
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let config = Config { segment_bytes: 64 << 10, ..Config::default() };
    let journal = Journal::create(Arc::clone(&disk), Path::new(DIR), config).unwrap();
    let mut frame = FrameBuilder::new();
    let (kind, key, value) = (Kind::Catalog, &[9, 0, 0, 0][..], &[99, 9, 0, 0, 0, 1][..]);
    let draft = Draft { kind, space: 0, key, value, expires_ms: None, aligned: false };
    frame.push(&draft).unwrap();
    let mut writer = journal.writer(frame.len_bytes(), 1).unwrap();
    writer.append(&mut frame).unwrap();
    writer.publish();
    drop(writer);
    journal.close().unwrap();
    drop(journal);
    let image = Image::read(&*disk, Path::new(DIR));
    refused(&image, ErrorKind::Version, &["00000001.seg", "catalog", "open it with the build"]);
}

#[test]
fn exchanged_segments() {
    let mut image = closed();
    let names = image.names_with(".seg");
    let (one, two) = (image.remove(&names[0]), image.remove(&names[1]));
    image.put(&names[0], two);
    image.put(&names[1], one);
    refused(&image, ErrorKind::Corrupt, &[&names[0], "another segment", RESTORE]);
}

#[test]
fn a_spare_that_is_another_segment() {
    let mut image = sample::killed().image;
    let names = image.names_with(".seg");
    let log = image.file(&names[0]).clone();
    image.put(names.last().unwrap(), log);
    let error = image.open().unwrap_err();
    told(&error, ErrorKind::Corrupt, &[names.last().unwrap(), RESTORE]);
}

/// A database with the same file names and another id.
fn stranger() -> Image {
    let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(77) });
    let db = builder().disk(Arc::new(disk.clone())).open(DIR).unwrap();
    let mut recorder = sample::Recorder::new(db);
    sample::fill(&mut recorder);
    recorder.db.close().unwrap();
    Image::of(&disk)
}

#[test]
fn files_of_another_database() {
    let mut stranger = stranger();
    for name in closed().names_with(".seg") {
        let mut image = closed();
        let foreign = stranger.clone().remove(&name);
        image.put(&name, foreign);
        refused(&image, ErrorKind::Corrupt, &[&name, "belongs to the database", RESTORE]);
    }
    let mut image = closed();
    image.put("annals.root", stranger.clone().remove("annals.root"));
    refused(&image, ErrorKind::Corrupt, &[".seg", "belongs to the database", RESTORE]);
    let mut image = closed();
    let name = checkpoint(&image);
    image.put(&name, stranger.remove(&name));
    repaired(&image, &name);
}

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
fn no_space_at_open() {
    let disk = SimDisk::new(SimOptions { capacity_bytes: Some(10_000), ..SimOptions::seeded(1) });
    let error = builder().disk(Arc::new(disk.clone())).open(DIR).unwrap_err();
    told(&error, ErrorKind::Full, &[".seg", "free space"]);
    disk.clear_capacity();
    let db = builder().disk(Arc::new(disk)).open(DIR).unwrap();
    db.hash_keyspace("k").unwrap().insert("a", "1").unwrap();
}

#[test]
fn no_space_at_a_commit() {
    for background in [Background::Manual, Background::Threads] {
        let disk = SimDisk::new(SimOptions::seeded(1));
        disk.set_capacity(300_000);
        let db = builder().background(background).disk(Arc::new(disk.clone())).open(DIR).unwrap();
        let keyspace = db.hash_keyspace("k").unwrap();
        let mut written = 0u32;
        let error = loop {
            match keyspace.insert(written.to_be_bytes(), [7; 1000]) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 1_000, "the disk never filled");
        };
        told(&error, ErrorKind::Full, &["this was not written", "free space", "segment_bytes"]);
        assert!(error.is_retryable());
        assert_eq!(keyspace.len(), u64::from(written));
        assert!(keyspace.get(written.to_be_bytes()).unwrap().is_none());
        disk.clear_capacity();
        // The background may hand out one more refusal that it had ready.
        if keyspace.insert(written.to_be_bytes(), [7; 1000]).is_err() {
            keyspace.insert(written.to_be_bytes(), [7; 1000]).unwrap();
        }
        drop(keyspace);
        db.close().unwrap();
        let db = builder().disk(Arc::new(disk)).open(DIR).unwrap();
        assert_eq!(db.open_hash_keyspace("k").unwrap().len(), u64::from(written) + 1);
    }
}

/// The log has what was committed: nobody must be told that it was not written.
#[test]
fn closing_takes_no_space_that_is_not_there() {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let open = || builder().durability(Durability::Buffered).disk(Arc::new(disk.clone())).open(DIR);
    let db = open().unwrap();
    let keyspace = db.hash_keyspace("k").unwrap();
    for n in 0..500u32 {
        keyspace.insert(n.to_be_bytes(), [7; 10]).unwrap();
    }
    drop(keyspace);
    // Enough for the root, not for a checkpoint of so many keys.
    disk.set_capacity(
        Image::of(&disk).0.values().map(|bytes| bytes.len() as u64).sum::<u64>() + 1_000,
    );
    db.close().unwrap();
    let db = open().unwrap();
    assert!(db.recovery().clean, "{:?}", db.recovery());
    assert_eq!(db.open_hash_keyspace("k").unwrap().len(), 500);
}

/// On a full disk compaction is what gives space back: it must not ask for much itself.
#[test]
fn a_full_disk_can_be_compacted() {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let open = || builder().segment_bytes(1 << 20).disk(Arc::new(disk.clone())).open(DIR);
    let db = open().unwrap();
    let keyspace = db.hash_keyspace("k").unwrap();
    for n in 0..500u32 {
        keyspace.insert(n.to_be_bytes(), [7; 20_000]).unwrap();
    }
    let used = || Image::of(&disk).0.values().map(|bytes| bytes.len() as u64).sum::<u64>();
    // Room for a few pages, and for no segment.
    disk.set_capacity(used() + (64 << 10));
    drop(keyspace);
    db.drop_keyspace("k").unwrap();
    let before = used();
    let report = db.compact().unwrap();
    assert!(report.segments_count > 5, "{report:?}");
    // Some of it serves the log again at once, the rest goes.
    let keyspace = db.hash_keyspace("k").unwrap();
    for n in 0..100u32 {
        keyspace.insert(n.to_be_bytes(), [7; 20_000]).unwrap();
    }
    drop(keyspace);
    db.close().unwrap();
    assert!(used() < before / 2, "{} of {before} bytes are left", used());
    assert_eq!(open().unwrap().open_hash_keyspace("k").unwrap().len(), 100);
}

#[test]
fn keys_and_values_that_are_too_long() {
    let db = Database::open_in_memory().unwrap();
    let keyspace = db.hash_keyspace("k").unwrap();
    let key = vec![0; annals_engine::KEY_BYTES_MAX + 1];
    told(&keyspace.insert(&key, "").unwrap_err(), ErrorKind::InvalidInput, &["65537", "65536"]);
    told(&keyspace.remove(&key).unwrap_err(), ErrorKind::InvalidInput, &["65537"]);
    assert!(keyspace.get(&key).unwrap().is_none(), "such a key is nowhere");
    let value = vec![0; annals_engine::VALUE_BYTES_MAX + 1];
    told(&keyspace.insert("k", &value).unwrap_err(), ErrorKind::InvalidInput, &["1073741824"]);
    let mut batch = db.batch();
    batch.insert(&keyspace, "a", "1").unwrap();
    assert!(batch.insert(&keyspace, &key, "").is_err());
    assert_eq!(batch.len(), 1, "the batch is as it was");
    batch.commit().unwrap();
    assert_eq!(keyspace.len(), 1);
}

#[test]
fn keyspaces_that_are_not_there() {
    let db = Database::open_in_memory().unwrap();
    told(
        &db.open_hash_keyspace("k").unwrap_err(),
        ErrorKind::NotFound,
        &["`k`", "lists those there are"],
    );
    told(&db.drop_keyspace("k").unwrap_err(), ErrorKind::NotFound, &["`k`"]);
    let keyspace = db.hash_keyspace("k").unwrap();
    let again = db.create_hash_keyspace("k", KeyspaceOptions::default()).unwrap_err();
    told(&again, ErrorKind::AlreadyExists, &["`k`"]);
    let mut batch = db.batch();
    batch.insert(&keyspace, "a", "1").unwrap();
    db.drop_keyspace("k").unwrap();
    for error in [
        keyspace.insert("a", "1").unwrap_err(),
        keyspace.get("a").map(drop).unwrap_err(),
        keyspace.remove("a").unwrap_err(),
        keyspace.clear().unwrap_err(),
        batch.commit().unwrap_err(),
    ] {
        told(&error, ErrorKind::NotFound, &["`k`", "dropped"]);
    }
    let anew = db.hash_keyspace("k").unwrap();
    assert!(anew.is_empty());
    assert!(keyspace.get("a").is_err(), "an old handle does not come back to life");
}

#[test]
fn bad_names() {
    let db = Database::open_in_memory().unwrap();
    for name in ["", " a", "a ", "a\nb", "a\0", "\u{7f}", &"x".repeat(256)] {
        for error in [
            db.hash_keyspace(name).unwrap_err(),
            db.create_hash_keyspace(name, KeyspaceOptions::default()).unwrap_err(),
            db.open_hash_keyspace(name).unwrap_err(),
            db.drop_keyspace(name).unwrap_err(),
        ] {
            told(&error, ErrorKind::InvalidInput, &["cannot be a keyspace's name"]);
        }
    }
    assert!(db.keyspaces().is_empty());
    db.hash_keyspace(&"ß".repeat(127)).unwrap();
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
    keyspace.insert("b", "2").unwrap();
    let reader = builder().read_only(true).open(&path).unwrap();
    assert_eq!(reader.open_hash_keyspace("k").unwrap().len(), 2);
    drop((reader, keyspace));
    db.close().unwrap();
    let db = builder().open(&path).unwrap();
    assert_eq!(db.open_hash_keyspace("k").unwrap().len(), 2);
}

#[test]
fn settings_out_of_range() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let fresh = || builder().disk(Arc::clone(&disk));
    for (field, bad) in [
        ("segment_bytes", fresh().segment_bytes(0)),
        ("segment_bytes", fresh().segment_bytes(65_537)),
        ("segment_bytes", fresh().segment_bytes(1 << 40)),
        ("durability.every", fresh().durability(Durability::interval(Duration::ZERO))),
        (
            "durability.events",
            fresh().durability(Durability::Interval {
                every: Duration::from_millis(1),
                events: Some(0),
                bytes: None,
            }),
        ),
    ] {
        told(&bad.open(DIR).unwrap_err(), ErrorKind::InvalidInput, &[field, "allowed"]);
        assert!(disk.list(Path::new(DIR)).is_err(), "nothing was made");
    }
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

#[test]
fn leftover_files() {
    let mut image = closed();
    image.put("annals.root.tmp", b"half a root".to_vec());
    image.put("copy.tmp", vec![1; 5000]);
    image.put("00000099.ckp", b"no owner".to_vec());
    image.put("notes.txt", b"a user's".to_vec());
    let disk = Arc::new(image.memory());
    let db = builder().disk(disk.clone()).open(DIR).unwrap();
    assert_eq!(&sample::contents(&db), sample::closed().last());
    let after = Image::read(&*disk, Path::new(DIR));
    assert!(!after.names().iter().any(|name| name.ends_with(".tmp") || name == "00000099.ckp"));
    assert!(after.names().contains(&"notes.txt".to_owned()));
}

#[test]
fn a_segment_that_nobody_names_is_kept_aside() {
    let mut image = closed();
    let name = first_segment(&image);
    let foreign = stranger().remove(&name);
    image.put("00000099.seg", foreign.clone());
    let disk = Arc::new(image.memory());
    let db = builder().disk(disk.clone()).open(DIR).unwrap();
    assert_eq!(&sample::contents(&db), sample::closed().last());
    let put_away = db.recovery().orphans.iter().find(|path| path.ends_with("00000099.seg"));
    assert_eq!(disk.read(put_away.unwrap(), u64::MAX).unwrap(), foreign);
}

#[test]
fn backups_to_the_wrong_place() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let open = |dir: &str| builder().disk(Arc::clone(&disk)).open(dir);
    let (db, other) = (open("db").unwrap(), open("other").unwrap());
    db.hash_keyspace("k").unwrap().insert("a", "1").unwrap();
    told(&db.backup_to("other").unwrap_err(), ErrorKind::InvalidInput, &["other", "name another"]);
    other.close().unwrap();
    told(&db.backup_to("other").unwrap_err(), ErrorKind::InvalidInput, &["other", "name another"]);
    assert!(db.backup_to("db").is_err(), "onto itself");
    disk.create_dir_all(Path::new("full")).unwrap();
    disk.create(Path::new("full/letter.txt")).unwrap().append(b"dear").unwrap();
    let error = db.backup_to("full").unwrap_err();
    told(&error, ErrorKind::InvalidInput, &["full", "letter.txt"]);

    db.backup_to("copy").unwrap();
    let copy = open("copy").unwrap();
    let error = db.backup_to("copy").unwrap_err();
    told(&error, ErrorKind::InvalidInput, &["copy"]);
    copy.hash_keyspace("k").unwrap().insert("a", "2").unwrap();
    copy.close().unwrap();
    db.open_hash_keyspace("k").unwrap().insert("b", "1").unwrap();
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
    // A failed backup leaves no lock behind.
    open("other").unwrap();
}

#[test]
fn restores_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("empty")).unwrap();
    let error = Database::restore(at("empty"), at("target")).unwrap_err();
    told(&error, ErrorKind::NotADatabase, &["empty"]);
    let error = Database::restore(at("missing"), at("target")).unwrap_err();
    told(&error, ErrorKind::NotADatabase, &["missing"]);
    assert!(!at("target").exists(), "nothing was made");

    closed().save(&at("source"));
    let source = at("source").join(DIR);
    std::fs::create_dir(at("full")).unwrap();
    std::fs::write(at("full").join("letter.txt"), "dear").unwrap();
    let error = Database::restore(&source, at("full")).unwrap_err();
    told(&error, ErrorKind::InvalidInput, &["full", "letter.txt"]);
    let error = Database::restore(&source, &source).unwrap_err();
    told(&error, ErrorKind::InvalidInput, &["name an empty directory"]);

    sample::killed().image.save(&at("killed"));
    let error = Database::restore(at("killed").join(DIR), at("target")).unwrap_err();
    told(&error, ErrorKind::InvalidInput, &["killed", "not closed"]);

    Database::restore(&source, at("target")).unwrap();
    let db = builder().open(at("target")).unwrap();
    assert_eq!(&sample::contents(&db), sample::closed().last());
}

#[test]
fn lengths_that_cannot_be_are_not_believed() {
    // Each length field of the root and of the checkpoint's first block, at its largest, with the
    // checksums made right: nothing is allocated by them, and the answer comes at once.
    for at in [64, 104] {
        let mut image = closed();
        forge(image.file("annals.root"), "annals.root", |bytes| bytes[at..at + 8].fill(0xfe));
        refused(&image, ErrorKind::Corrupt, &["annals.root", RESTORE]);
    }
    for (at, what) in [(116, "slot"), (120, "ordinal"), (124, "end")] {
        let mut image = closed();
        forge(image.file("annals.root"), "annals.root", |bytes| bytes[at..at + 4].fill(0xfe));
        let error = image.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    }
    let mut image = closed();
    let name = checkpoint(&image);
    image.file(&name)[48..56].fill(0x7f);
    repaired(&image, &name);
    let mut image = closed();
    image.put("annals.root", vec![0; 40 << 20]);
    refused(&image, ErrorKind::Corrupt, &["annals.root", "longer", RESTORE]);
}

#[test]
fn a_damaged_segment_keeps_nobody_from_compacting_the_others() {
    let mut image = closed();
    let names = image.names_with(".seg");
    let damaged = &names[1];
    let at = sample::content_end(image.file(damaged)) - 200;
    image.file(damaged)[at] ^= 1;
    let disk = Arc::new(image.memory());
    let db = builder().disk(disk.clone()).open(DIR).unwrap();
    let keyspace = db.open_hash_keyspace("users").unwrap();
    for n in 200..230 {
        // Keys whose records cannot be read cannot be removed.
        let _ = keyspace.remove(format!("key {n:03}"));
    }
    for _ in 0..3 {
        db.compact().unwrap();
    }
    let state = |db: &Database| -> Vec<_> {
        let ever = sample::closed().ever;
        let keyspace = db.open_hash_keyspace("users").unwrap();
        let look = |key| keyspace.get(key).map(|v| v.map(|v| v.to_vec())).map_err(|e| e.kind());
        ever["users"].iter().map(look).collect()
    };
    let before = state(&db);
    drop(keyspace);
    db.close().unwrap();
    let db = builder().disk(disk).open(DIR).unwrap();
    assert_eq!(state(&db), before);
    assert!(!db.verify(&mut |_| {}).unwrap().is_intact());
}

#[test]
fn an_interrupted_compaction_loses_nothing() {
    for fault in [Fault::FailSync, Fault::FailTruncate, Fault::FailWrite, Fault::FailCreate] {
        for nth in 1..12 {
            let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(9) });
            let open = |disk: &SimDisk| builder().disk(Arc::new(disk.clone())).open(DIR);
            let db = open(&disk).unwrap();
            let mut recorder = sample::Recorder::new(db);
            sample::fill(&mut recorder);
            let sample::Recorder { db, history } = recorder;
            for n in 200..220 {
                db.open_hash_keyspace("users").unwrap().remove(format!("key {n}")).unwrap();
            }
            let mut expected = history.last().unwrap().clone();
            expected
                .get_mut("users")
                .unwrap()
                .retain(|key, _| !(200..220).any(|n| *key == format!("key {n}").into_bytes()));
            disk.fail_nth_at(fault, "", nth);
            drop(db.compact());
            disk.clear_faults();
            assert_eq!(sample::contents(&db), expected, "{fault:?} {nth}");
            drop(db.compact());
            drop(db.checkpoint());
            let killed = disk.restart_clean();
            drop(db);
            let db = open(&killed).unwrap();
            assert_eq!(sample::contents(&db), expected, "{fault:?} {nth}, reopened");
        }
    }
}
