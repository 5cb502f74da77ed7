//! Calls that cannot be right.

use crate::sample;
use crate::sample::{DIR, builder};
use crate::support::{closed, told};
use annals_disk::{Disk, MemoryDisk};
use annals_engine::{Database, Durability, ErrorKind, KeyspaceOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
