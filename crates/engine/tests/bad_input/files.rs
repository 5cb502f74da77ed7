//! Files that are damaged, missing, or another's.

use crate::sample;
use crate::sample::{DIR, Image, builder};
use crate::support::{
    RESTORE, checkpoint, closed, first_segment, forge, refused, repaired, stranger, told,
};
use annals_disk::{Disk, MemoryDisk, SimDisk, SimOptions};
use annals_engine::{Database, ErrorKind};
use std::path::Path;
use std::sync::Arc;

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
    let report = db.verify(&mut |_| {}).unwrap();
    let [damage] = &report.damages[..] else { panic!("{report:?}") };
    assert!(damage.path.ends_with(&name), "{damage:?}");
    assert_eq!(report.rebuilt_count, 1, "what is lost can be made anew: {damage:?}");
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
