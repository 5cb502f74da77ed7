//! Files of tables that are missing or damaged: what they had is an error that names them, all else goes on.

use crate::support::{builder, open, read};
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_engine::{Error, ErrorKind, KeyspaceOptions, OrderedKeyspace, TreeOptions};
use std::path::{Path, PathBuf};

/// The files with this ending, the first made first.
fn files(disk: &SimDisk, ending: &str) -> Vec<PathBuf> {
    let entries = disk.list("db".as_ref()).unwrap().into_iter().map(|entry| entry.name);
    let ours = entries.filter(|name| name.ends_with(ending));
    ours.map(|name| Path::new("db").join(name)).collect()
}

fn key(number: u32) -> String {
    format!("{number:05}")
}

/// Two ordered keyspaces and a hash one, all records of the ordered ones in tables, some values in the log.
fn filled(seed: u64) -> SimDisk {
    let disk = SimDisk::new(SimOptions::seeded(seed));
    let db = open(&disk);
    let tables = TreeOptions { separate_over_bytes: Some(1_000), ..TreeOptions::default() };
    let sorted = db.create_keyspace("sorted", KeyspaceOptions::default(), tables).unwrap();
    for number in 0..500 {
        sorted.insert(key(number), [number as u8; 30]).unwrap();
    }
    for number in 500..504 {
        sorted.insert(key(number), [number as u8; 3_000]).unwrap();
    }
    db.checkpoint().unwrap();
    db.keyspace("other").unwrap().insert("other", "1").unwrap();
    db.hash_keyspace("users").unwrap().insert("ada", "1815").unwrap();
    db.checkpoint().unwrap();
    drop(sorted);
    db.close().unwrap();
    disk
}

fn named(error: &Error, path: &Path) {
    let text = error.to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(error.kind() == ErrorKind::Corrupt && text.contains(name), "{text}");
}

fn walked(sorted: &OrderedKeyspace) -> (Vec<String>, Vec<Error>) {
    let (mut keys, mut errors) = (Vec::new(), Vec::new());
    for found in sorted.salvage::<&str>(..).unwrap() {
        match found {
            Ok(entry) => keys.push(String::from_utf8(entry.key().to_vec()).unwrap()),
            Err(error) => errors.push(error),
        }
    }
    (keys, errors)
}

#[test]
fn a_lost_table_leaves_all_else_to_be_read_and_written() {
    for is_missing in [false, true] {
        let disk = filled(1);
        let table = files(&disk, ".tbl").remove(0);
        let whole = disk.file_bytes(&table).unwrap();
        if is_missing {
            disk.remove(&table).unwrap();
        } else {
            disk.flip_bit(&table, whole.len() as u64 - 30, 2).unwrap();
        }
        for read_only in [true, false] {
            let db = builder(&disk).read_only(read_only).open("db").unwrap();
            let warning = &db.recovery().warnings.concat();
            assert!(warning.contains("\"00000\" to \"00503\""), "{warning}");
            let sorted = db.keyspace("sorted").unwrap();
            named(&sorted.get(key(7)).unwrap_err(), &table);
            named(&sorted.iter().unwrap().next().unwrap().unwrap_err(), &table);
            assert!(sorted.get("zebra").unwrap().is_none(), "no table has such keys");
            assert!(db.keyspace("other").unwrap().contains("other").unwrap());
            assert!(db.hash_keyspace("users").unwrap().contains("ada").unwrap());
            let report = db.verify(&mut |_| {}).unwrap();
            let [damage] = &report.damages[..] else { panic!("{:?}", report.damages) };
            assert_eq!(damage.path, table);
            let said = ["\"00000\" to \"00503\"", "the keyspace `sorted`"];
            assert!(said.iter().all(|part| damage.what.contains(part)), "{}", damage.what);
        }
        let db = open(&disk);
        let sorted = db.keyspace("sorted").unwrap();
        sorted.insert(key(7), "new").unwrap();
        sorted.insert("zebra", "new").unwrap();
        db.checkpoint().unwrap();
        named(&sorted.compact().unwrap_err(), &table);
        db.compact().unwrap();
        assert_eq!(sorted.get(key(7)).unwrap().as_deref(), Some(&b"new"[..]));
        let (keys, errors) = walked(&sorted);
        assert_eq!(keys, [key(7), "zebra".to_owned()]);
        named(&errors[0], &table);
        assert_eq!(errors.len(), 1);
        let refused = db.backup_to("copy").unwrap_err();
        named(&refused, &table);
        assert!(
            disk.list("copy".as_ref()).is_err(),
            "nothing is left of a backup that was refused"
        );
        drop(sorted);
        db.close().unwrap();
        // The file is found again: nothing that it needs was let go of.
        disk.set_file_bytes(&table, &whole).unwrap();
        let db = open(&disk);
        let sorted = db.keyspace("sorted").unwrap();
        assert_eq!(sorted.len().unwrap(), 505);
        assert_eq!(sorted.get(key(502)).unwrap().as_deref(), Some(&[502_u32 as u8; 3_000][..]));
        sorted.compact().unwrap();
        assert!(db.verify(&mut |_| {}).unwrap().is_intact());
    }
}

#[test]
fn without_a_manifest_the_rest_can_be_read_and_nothing_is_written() {
    for is_missing in [false, true] {
        let disk = filled(2);
        let manifest = files(&disk, ".man").remove(0);
        if is_missing {
            disk.remove(&manifest).unwrap();
        } else {
            disk.flip_bit(&manifest, 100, 2).unwrap();
        }
        let tables = files(&disk, ".tbl");
        named(&builder(&disk).open("db").unwrap_err(), &manifest);
        assert_eq!(files(&disk, ".tbl"), tables, "an opening that fails removes nothing");
        let db = read(&disk);
        assert!(db.recovery().warnings.concat().contains("no ordered keyspace can be read"));
        let users = db.hash_keyspace("users").unwrap();
        assert_eq!(users.get("ada").unwrap().as_deref(), Some(&b"1815"[..]));
        for name in ["sorted", "other"] {
            let keyspace = db.keyspace(name).unwrap();
            named(&keyspace.get("other").unwrap_err(), &manifest);
            named(&keyspace.iter().map(drop).unwrap_err(), &manifest);
            named(&db.snapshot().ordered(name).map(drop).unwrap_err(), &manifest);
        }
        assert_eq!(db.keyspaces().len(), 3);
        assert!(db.stats().tables.is_none());
        // All damage is named, also elsewhere.
        let segment = files(&disk, ".seg").remove(0);
        let bytes = disk.file_bytes(&segment).unwrap();
        let at = bytes.windows(4).position(|found| found == b"1815").expect("it is in the log");
        disk.flip_bit(&segment, at as u64, 0).unwrap();
        let report = read(&disk).verify(&mut |_| {}).unwrap();
        let about = |path: &Path| report.damages.iter().find(|damage| damage.path == path);
        assert!(about(&segment).is_some(), "{:?}", report.damages);
        let what = &about(&manifest).unwrap().what;
        assert!(what.contains("all keys of the keyspaces") && what.contains("`sorted`"), "{what}");
    }
}

#[test]
fn a_value_that_is_damaged_in_the_log_hides_no_other() {
    let disk = filled(3);
    for number in [501_u32, 503] {
        let is_in = |path: &&PathBuf| {
            let bytes = disk.file_bytes(path).unwrap();
            bytes.windows(3_000).any(|found| found == [number as u8; 3_000])
        };
        let segments = files(&disk, ".seg");
        let segment = segments.iter().find(is_in).unwrap();
        let bytes = disk.file_bytes(segment).unwrap();
        let at = bytes.windows(3_000).position(|found| found == [number as u8; 3_000]).unwrap();
        disk.flip_bit(segment, at as u64 + 1_000, 3).unwrap();
    }
    let db = read(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    assert_eq!(sorted.iter().unwrap().keys().filter(Result::is_ok).count(), 504);
    let (keys, errors) = walked(&sorted);
    let missing: Vec<String> = (0..504).map(key).filter(|key| !keys.contains(key)).collect();
    assert_eq!(missing, [key(501), key(503)]);
    assert_eq!(errors.len(), 2);
}

#[test]
fn a_missing_checkpoint_is_named_by_who_verifies() {
    let disk = filled(4);
    let db = read(&disk);
    let checkpoint = files(&disk, ".ckp").remove(0);
    disk.remove(&checkpoint).unwrap();
    let report = db.verify(&mut |_| {}).unwrap();
    let [damage] = &report.damages[..] else { panic!("{:?}", report.damages) };
    assert!(damage.path == checkpoint && damage.what.contains("missing"), "{damage:?}");
}

#[test]
fn a_backup_that_lacks_a_file_is_not_restored_and_nothing_is_left() {
    let disk = filled(5);
    open(&disk).backup_to("copy").unwrap();
    let names: Vec<String> =
        disk.list("copy".as_ref()).unwrap().into_iter().map(|entry| entry.name).collect();
    let needed = [".seg", ".tbl", ".man", ".ckp"];
    for name in names.iter().filter(|name| needed.iter().any(|end| name.ends_with(end))) {
        let path = Path::new("copy").join(name);
        let whole = disk.file_bytes(&path).unwrap();
        disk.remove(&path).unwrap();
        let refused = builder(&disk).restore("copy", "fresh").unwrap_err();
        named(&refused, &path);
        assert!(disk.list("fresh".as_ref()).is_err(), "{name}");
        disk.set_file_bytes(&path, &whole).unwrap();
    }
    // What fails on the way leaves no file either.
    disk.fail_nth_at(annals_disk::Fault::FailSync, "fresh", 3);
    assert!(builder(&disk).restore("copy", "fresh").is_err());
    assert!(disk.list("fresh".as_ref()).unwrap().is_empty());
    disk.clear_faults();
    builder(&disk).restore("copy", "fresh").unwrap();
    assert!(builder(&disk).open("fresh").unwrap().verify(&mut |_| {}).unwrap().is_intact());
}

/// Nobody can tell which values a lost table needs, so all that it may need stay; but it would not do to move
/// them again and again as what seems dead.
#[test]
fn values_that_a_lost_table_may_need_are_moved_once_and_are_there_when_it_is() {
    let disk = filled(6);
    let db = open(&disk);
    let users = db.hash_keyspace("users").unwrap();
    for round in 0..20u8 {
        users.insert("same", vec![round; 20_000]).unwrap();
    }
    db.checkpoint().unwrap();
    drop(users);
    db.close().unwrap();
    let table = files(&disk, ".tbl").remove(0);
    let whole = disk.file_bytes(&table).unwrap();
    disk.remove(&table).unwrap();
    for opened in 0..2 {
        let db = open(&disk);
        let moved = db.compact().unwrap().moved_count;
        assert!(if opened == 0 { moved >= 4 } else { moved == 0 }, "{moved} at opening {opened}");
        for _ in 0..3 {
            let again = db.compact().unwrap();
            assert_eq!((again.moved_count, again.segments_count), (0, 0), "{again:?}");
        }
        db.close().unwrap();
    }
    disk.set_file_bytes(&table, &whole).unwrap();
    let db = open(&disk);
    db.compact().unwrap();
    let sorted = db.keyspace("sorted").unwrap();
    for number in 500..504_u32 {
        let value = sorted.get(key(number)).unwrap();
        assert_eq!(value.as_deref(), Some(&[number as u8; 3_000][..]));
        // Now that the table tells, what it does not need goes.
        sorted.insert(key(number), "short").unwrap();
    }
    sorted.compact().unwrap();
    db.compact().unwrap();
    assert!(db.stats().log.content_bytes < 40_000, "{:?}", db.stats().log);
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
}
