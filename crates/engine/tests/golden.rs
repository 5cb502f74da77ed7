//! Databases written by earlier builds must open, with exactly the contents they had.
//!
//! `golden/v1` holds databases of format version 1: see the README there. They are never written
//! again; a later format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sample;

use annals_engine::{Database, ErrorKind};
use sample::{Image, builder};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// A copy of a golden database, as opening changes it.
fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(golden().join(name)).unwrap() {
        let path = entry.unwrap().path();
        let name = Path::new(sample::DIR).join(path.file_name().unwrap());
        files.insert(name, std::fs::read(&path).unwrap());
    }
    Image(files).save(dir.path());
    let path = dir.path().join(sample::DIR);
    (dir, path)
}

fn open(path: &Path) -> annals_engine::Result<Database> {
    builder().open(path)
}

/// What the golden databases hold, as text.
fn text(db: &Database) -> String {
    let mut out = String::new();
    for (name, records) in sample::contents(db) {
        for (key, value) in records {
            writeln!(out, "{name}\t{}\t{}", key.escape_ascii(), value.escape_ascii()).unwrap();
        }
    }
    out
}

fn expected() -> String {
    std::fs::read_to_string(golden().join("contents.txt")).unwrap()
}

#[test]
fn a_closed_database_of_version_1_opens() {
    let (_dir, path) = copy("clean");
    for round in 0..2 {
        let db = open(&path).unwrap();
        assert_eq!(text(&db), expected());
        assert!(db.recovery().clean && db.recovery().warnings.is_empty(), "{:?}", db.recovery());
        assert!(db.verify(&mut |_| {}).unwrap().is_intact());
        assert_eq!(db.changes(db.oldest_seq()).unwrap().try_next().unwrap().is_some(), round < 2);
        db.close().unwrap();
    }
    let (_dir, path) = copy("clean");
    let db = open(&path).unwrap();
    db.open_hash_keyspace("users").unwrap().insert("more", "1").unwrap();
    db.compact().unwrap();
    db.close().unwrap();
    let db = open(&path).unwrap();
    db.open_hash_keyspace("users").unwrap().remove("more").unwrap();
    assert_eq!(text(&db), expected());
}

#[test]
fn a_torn_database_of_version_1_opens_at_its_last_whole_commit() {
    let (_dir, path) = copy("torn");
    let db = open(&path).unwrap();
    assert_eq!(text(&db), expected());
    let recovery = db.recovery();
    assert!(!recovery.clean && recovery.torn_bytes > 0, "{recovery:?}");
    assert_eq!(recovery.torn_files.len(), 1, "{recovery:?}");
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
}

#[test]
fn a_damaged_database_of_version_1_opens_and_names_the_damage() {
    let (_dir, path) = copy("damaged");
    let db = open(&path).unwrap();
    let error = db.open_hash_keyspace("users").unwrap().get("key 001").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let damages = db.verify(&mut |_| {}).unwrap().damages;
    assert_eq!(damages.len(), 1, "{damages:?}");
    let (file, at) = (damages[0].path.file_name().unwrap().to_str().unwrap(), damages[0].offset);
    assert!(error.to_string().contains(&format!("{file} is damaged at byte {at}")), "{error}");
    let readable =
        db.open_hash_keyspace("users").unwrap().iter().unwrap().filter(Result::is_ok).count();
    let all = expected().lines().filter(|line| line.starts_with("users\t")).count();
    assert_eq!(readable + 1, all);
}

/// Where the parts of the files lie, read off real files: the layout that `docs/formats` fixes.
#[test]
fn the_layout_is_that_of_version_1() {
    let read = |name: &str| std::fs::read(golden().join("clean").join(name)).unwrap();
    let names: Vec<String> = std::fs::read_dir(golden().join("clean"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let find = |ending: &str| {
        // The last segment of the log, not one that compaction wrote.
        let is_packed = |name: &str| ending == ".seg" && read(name)[12] != 1;
        let fitting = names.iter().filter(|name| name.ends_with(ending) && !is_packed(name));
        read(fitting.max().unwrap())
    };
    let (root, segment, checkpoint) = (find(".root"), find(".seg"), find(".ckp"));
    let u16_at =
        |bytes: &[u8], at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let u32_at =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let u64_at =
        |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let id = u64_at(&root, 16);
    let count = u64_at(&root, 104) as usize;
    let seed = {
        let mut both = [0; 12];
        both[..8].copy_from_slice(&id.to_le_bytes());
        both[8..].copy_from_slice(&segment[24..28]);
        crc32c::crc32c(&both)
    };
    // The first frame of the last segment: header, then its records.
    let frame = &segment[64..];
    let len = u32_at(frame, 4) as usize;
    let head = crc32c::crc32c_append(seed, &frame[4..48]);
    let lines = [
        format!("root magic 0..8 {}", root[0..8].escape_ascii()),
        format!("root version 8..10 {}", u16_at(&root, 8)),
        format!("root byte order 10..12 {:#06x}", u16_at(&root, 10)),
        format!("root length is 112 + 24 x segments + 4: {}", root.len() == 116 + 24 * count),
        format!(
            "root checksum in the last 4: {}",
            crc32c::crc32c(&root[..root.len() - 4]) == u32_at(&root, root.len() - 4)
        ),
        format!("segment magic 0..8 {}", segment[0..8].escape_ascii()),
        format!("segment version 8..10 {}", u16_at(&segment, 8)),
        format!("segment byte order 10..12 {:#06x}", u16_at(&segment, 10)),
        format!("segment id 16..24 is the root's: {}", u64_at(&segment, 16) == id),
        format!(
            "segment checksum 60..64 covers 0..60: {}",
            crc32c::crc32c(&segment[..60]) == u32_at(&segment, 60)
        ),
        format!("frame at 64, header of 48, length a multiple of 16: {}", len.is_multiple_of(16)),
        format!("frame kind at 46: {}", frame[46]),
        format!("frame count 32..36: {}", u32_at(frame, 32)),
        format!(
            "frame checksum 0..4 covers 4..48 and its record's checksum: {}",
            crc32c::crc32c_append(head, &frame[48..52]) == u32_at(frame, 0)
        ),
        format!("checkpoint magic 0..8 {}", checkpoint[0..8].escape_ascii()),
        format!("checkpoint version 8..10 {}", u16_at(&checkpoint, 8)),
        format!("checkpoint byte order 10..12 {:#06x}", u16_at(&checkpoint, 10)),
        format!("checkpoint id 16..24 is the root's: {}", u64_at(&checkpoint, 16) == id),
        format!(
            "checkpoint checksum 36..40 covers 0..36: {}",
            crc32c::crc32c(&checkpoint[..36]) == u32_at(&checkpoint, 36)
        ),
        format!("checkpoint first block at 40, of 16, kind at its start: {}", checkpoint[40]),
    ];
    assert_eq!(lines.join("\n") + "\n", LAYOUT);
}

const LAYOUT: &str = "\
root magic 0..8 ANNALSRT
root version 8..10 1
root byte order 10..12 0x1234
root length is 112 + 24 x segments + 4: true
root checksum in the last 4: true
segment magic 0..8 ANNALSEG
segment version 8..10 1
segment byte order 10..12 0x1234
segment id 16..24 is the root's: true
segment checksum 60..64 covers 0..60: true
frame at 64, header of 48, length a multiple of 16: true
frame kind at 46: 1
frame count 32..36: 1
frame checksum 0..4 covers 4..48 and its record's checksum: true
checkpoint magic 0..8 ANNALSCK
checkpoint version 8..10 1
checkpoint byte order 10..12 0x1234
checkpoint id 16..24 is the root's: true
checkpoint checksum 36..40 covers 0..36: true
checkpoint first block at 40, of 16, kind at its start: 1
";

/// Makes the golden files of the current format. Never writes over any.
#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    let target = golden();
    assert!(!target.join("contents.txt").exists(), "golden files are never written again");
    let save = |name: &str, image: &Image| {
        let folder = target.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (path, bytes) in &image.0 {
            let file = folder.join(path.file_name().unwrap());
            assert!(!file.exists(), "{} is there already", file.display());
            std::fs::write(file, bytes).unwrap();
        }
    };
    let clean = sample::closed();
    save("clean", &clean.image);

    // Half of another commit behind the last one, as a power cut leaves it.
    let mut torn = sample::killed();
    let tail = torn
        .image
        .names_with(".seg")
        .into_iter()
        .rfind(|name| {
            let bytes = torn.image.file(name);
            // A segment of the log, with content.
            bytes[12] == 1 && sample::content_end(bytes) > 64
        })
        .unwrap();
    let bytes = torn.image.file(&tail);
    let end = sample::content_end(bytes);
    let half = bytes[64..64 + 48].to_vec();
    bytes[end..end + half.len()].copy_from_slice(&half);
    save("torn", &torn.image);

    // One bit of the value of `key 001` in `users`.
    let mut damaged = clean.image.clone();
    let (name, at) = damaged
        .names_with(".seg")
        .into_iter()
        .find_map(|name| {
            let bytes = damaged.file(&name);
            let found = bytes.windows(11).position(|window| window == b"overwritten");
            found.map(|at| (name, at))
        })
        .unwrap();
    damaged.file(&name)[at] ^= 1;
    save("damaged", &damaged);
    std::fs::write(target.join("contents.txt"), text(&clean.image.open().unwrap())).unwrap();
}
