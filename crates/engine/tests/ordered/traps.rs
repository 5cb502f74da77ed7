//! What such engines get wrong, one by one.

use crate::support::{builder, open, tables};
use annals_disk::{Fault, SimDisk, SimOptions};
use annals_engine::{
    ChangeKind, Database, Durability, Error, ErrorKind, KeyspaceKind, KeyspaceOptions, WriteOptions,
};
use std::time::Duration;

fn machine() -> SimDisk {
    SimDisk::new(SimOptions::seeded(1))
}

#[test]
fn after_ten_flushes_a_reopen_replays_only_the_tail() {
    let disk = machine();
    let db = open(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    for round in 0..10_u32 {
        for number in 0..100_u32 {
            sorted.insert((round * 1_000 + number).to_be_bytes(), [7; 300]).unwrap();
        }
        db.checkpoint().unwrap();
    }
    db.compact().unwrap();
    let log_bytes = db.stats().log.content_bytes;
    assert!(log_bytes < 100_000, "the log has {log_bytes} bytes of what tables have");
    sorted.insert("tail", "1").unwrap();
    sorted.insert("tail", "2").unwrap();
    let disk = disk.restart_clean();
    drop((sorted, db));
    let db = open(&disk);
    assert_eq!(db.recovery().records_count, 2);
    let sorted = db.keyspace("sorted").unwrap();
    assert_eq!(sorted.len().unwrap(), 1_001);
    assert_eq!(sorted.get("tail").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn log_that_no_table_has_is_never_given_up() {
    let disk = machine();
    let db = open(&disk);
    let (sorted, hashed) = (db.keyspace("a").unwrap(), db.hash_keyspace("b").unwrap());
    sorted.insert("first", "1").unwrap();
    for round in 0..40_u8 {
        hashed.insert("same", vec![round; 20_000]).unwrap();
        sorted.insert([round], [round; 100]).unwrap();
        if round % 8 == 0 {
            db.compact().unwrap();
        }
    }
    let disk = disk.restart_clean();
    drop((sorted, hashed, db));
    let db = open(&disk);
    assert_eq!(db.keyspace("a").unwrap().len().unwrap(), 41);
    assert_eq!(db.hash_keyspace("b").unwrap().len(), 1);
}

#[test]
fn a_deleted_key_stays_deleted() {
    let disk = machine();
    let mut db = open(&disk);
    for round in 0..4 {
        let sorted = db.keyspace("sorted").unwrap();
        sorted.insert("key", "value").unwrap();
        sorted.insert("empty", "").unwrap();
        db.checkpoint().unwrap();
        assert!(sorted.remove("key").unwrap());
        if round % 2 == 0 {
            db.checkpoint().unwrap();
            sorted.compact().unwrap();
        }
        drop(sorted);
        db.close().unwrap();
        db = open(&disk);
        let sorted = db.keyspace("sorted").unwrap();
        assert!(!sorted.contains("key").unwrap());
        assert_eq!(sorted.get("empty").unwrap().as_deref(), Some(&b""[..]));
    }
}

#[test]
fn a_failing_flush_stops_writes_with_its_cause_and_loses_nothing() {
    let disk = machine();
    let db = open(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    let sync = WriteOptions::default().durability(Durability::Sync);
    for number in 0..20_u8 {
        sorted.insert_with([number], [number; 50], sync).unwrap();
    }
    disk.fail_nth_at(Fault::FailWrite, ".tbl", 1);
    let failed = db.checkpoint();
    assert!(failed.is_err());
    let refused = sorted.insert("more", "1").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Poisoned);
    assert_eq!(sorted.len().unwrap(), 20, "reads go on");
    let disk = disk.restart();
    drop((sorted, db));
    let db = open(&disk);
    assert_eq!(db.keyspace("sorted").unwrap().len().unwrap(), 20);
}

#[test]
fn a_full_disk_refuses_a_flush_and_nothing_else() {
    let disk = machine();
    let db = open(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    sorted.insert("a", [1; 5_000]).unwrap();
    // The log has its space already.
    disk.set_capacity(0);
    assert_eq!(db.checkpoint().unwrap_err().kind(), ErrorKind::Full);
    sorted.insert("b", [2; 5_000]).unwrap();
    disk.clear_capacity();
    db.checkpoint().unwrap();
    sorted.compact().unwrap();
    assert_eq!(sorted.len().unwrap(), 2);
    drop(sorted);
    db.close().unwrap();
    assert_eq!(open(&disk).keyspace("sorted").unwrap().len().unwrap(), 2);
}

/// Dropping takes a new manifest at times, and the disk may have no space for it.
#[test]
fn a_tree_that_a_full_disk_kept_goes_when_there_is_space() {
    let disk = machine();
    let db = builder(&disk).segment_bytes(1 << 20).open("db").unwrap();
    let mut dropped: Vec<String> = (0..40).map(|n| format!("dropped {n}")).collect();
    for name in &dropped {
        db.keyspace(name).unwrap().insert("key", "value").unwrap();
    }
    // Tables of such keys take most of the manifest's room.
    for (key, bytes) in [(1, 20_000), (2, 6_000)] {
        db.keyspace("long").unwrap().insert(vec![key; bytes], "").unwrap();
        db.checkpoint().unwrap();
    }
    let cleared = db.keyspace("cleared").unwrap();
    disk.set_capacity(0);
    let refused = (0..2_000).find_map(|_| cleared.clear().err()).expect("the manifest is full");
    assert!(matches!(refused, Error::Tables(_)) && refused.kind() == ErrorKind::Full, "{refused}");
    // To drop one takes less room than to make one: a few fit still. Files go once nobody reads, in other tests of
    // this process neither.
    let is_left = |names: usize| {
        let is_it = |_| {
            std::thread::yield_now();
            db.tick().is_ok() && tables(&disk) == names
        };
        (0..500).any(is_it)
    };
    let mut names = 2 + dropped.len();
    while is_left(names) {
        db.drop_keyspace(&dropped.pop().expect("the manifest is full")).unwrap();
        names -= 1;
    }
    assert!(tables(&disk) > names);
    disk.clear_capacity();
    assert!(is_left(names), "{} trees stayed", tables(&disk) - names);
    let found = db.keyspaces().len();
    drop((cleared, db));
    assert_eq!(open(&disk).keyspaces().len(), found);
}

#[test]
fn a_database_without_ordered_keyspaces_has_no_tables() {
    use annals_disk::Disk;
    let disk = machine();
    let db = open(&disk);
    db.hash_keyspace("users").unwrap().insert("ada", "1815").unwrap();
    db.close().unwrap();
    let names = disk.list("db".as_ref()).unwrap();
    assert!(names.iter().all(|entry| !entry.name.ends_with(".man")), "{names:?}");
    let root = disk.read("db/annals.root".as_ref(), 1 << 20).unwrap();
    assert_eq!(root[8], 1, "older builds read it");
}

#[test]
fn dropping_and_clearing_give_space_back_and_snapshots_still_see() {
    let disk = machine();
    let db = open(&disk);
    let (one, two) = (db.keyspace("one").unwrap(), db.keyspace("two").unwrap());
    for number in 0..50_u8 {
        one.insert([number], [1; 100]).unwrap();
        two.insert([number], [2; 100]).unwrap();
    }
    db.checkpoint().unwrap();
    assert_eq!(tables(&disk), 2);
    let before = db.snapshot();
    let walk = two.iter().unwrap();
    one.clear().unwrap();
    one.insert("new", "1").unwrap();
    db.drop_keyspace("two").unwrap();
    db.checkpoint().unwrap();
    assert!(matches!(two.get("x"), Err(Error::KeyspaceDropped { .. })));
    assert_eq!(walk.count(), 50);
    assert_eq!(before.ordered("one").unwrap().iter().unwrap().count(), 50);
    assert_eq!(before.ordered("two").unwrap().iter().unwrap().count(), 50);
    assert_eq!(one.len().unwrap(), 1);
    drop(before);
    // A reader of another test may still stand where it could have seen the former tables.
    for _ in 0..1_000 {
        db.tick().unwrap();
        if tables(&disk) == 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(tables(&disk), 1);
    drop((one, two));
    db.close().unwrap();
    let db = open(&disk);
    assert_eq!(db.keyspace("one").unwrap().len().unwrap(), 1);
    assert_eq!(db.keyspaces().len(), 1);
}

#[test]
fn dropping_gives_space_back_also_where_somebody_was_reading() {
    let disk = machine();
    let db = open(&disk);
    let dropped = db.keyspace("dropped").unwrap();
    dropped.insert("key", "value").unwrap();
    db.checkpoint().unwrap();
    assert_eq!(tables(&disk), 1);
    let reading = annals_journal::pin();
    db.drop_keyspace("dropped").unwrap();
    drop(reading);
    // A reader of another test may still stand where it could have seen the tree.
    for _ in 0..1_000 {
        db.tick().unwrap();
        if tables(&disk) == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(tables(&disk), 0, "the handle is there still");
    drop(dropped);
}

#[test]
fn kinds_are_told_apart() {
    let db = Database::open_in_memory().unwrap();
    db.hash_keyspace("hash").unwrap();
    db.keyspace("ordered").unwrap();
    let error = db.keyspace("hash").unwrap_err();
    assert!(matches!(error, Error::WrongKind { found: KeyspaceKind::Hash, .. }), "{error}");
    let error = db.open_hash_keyspace("ordered").unwrap_err();
    assert!(matches!(error, Error::WrongKind { found: KeyspaceKind::Ordered, .. }), "{error}");
    assert_eq!(KeyspaceKind::default(), KeyspaceKind::Ordered);
    assert!(matches!(db.snapshot().get("ordered", "k"), Err(Error::WrongKind { .. })));
    assert!(matches!(db.snapshot().ordered("hash"), Err(Error::WrongKind { .. })));
}

#[test]
fn records_expire_in_every_place() {
    let disk = machine();
    let db = open(&disk);
    let options = KeyspaceOptions::default().ttl(Duration::from_millis(50));
    let sorted = db.create_keyspace("s", options, Default::default()).unwrap();
    sorted.insert("short", "1").unwrap();
    let long = WriteOptions::default().ttl(Duration::from_secs(3600));
    sorted.insert_with("long", "2", long).unwrap();
    let before = db.snapshot();
    disk.advance_ms(60);
    assert!(sorted.get("short").unwrap().is_none());
    assert_eq!(sorted.len().unwrap(), 1);
    assert!(!sorted.remove("short").unwrap());
    assert_eq!(before.ordered("s").unwrap().iter().unwrap().count(), 2);
    drop(before);
    db.checkpoint().unwrap();
    sorted.compact().unwrap();
    assert_eq!(sorted.iter().unwrap().count(), 1);
    disk.set_now_ms(1);
    drop(sorted);
    db.close().unwrap();
    let db = open(&disk);
    assert_eq!(db.keyspace("s").unwrap().len().unwrap(), 1);
}

#[test]
fn the_feed_tells_removed_ranges_and_clears() {
    let db = Database::open_in_memory().unwrap();
    let sorted = db.keyspace("s").unwrap();
    sorted.insert("b", "1").unwrap();
    sorted.remove_range("a".."c").unwrap();
    sorted.clear().unwrap();
    let mut feed = db.changes(db.oldest_seq()).unwrap();
    let mut next = || feed.try_next().unwrap().unwrap();
    assert_eq!(next().kind, ChangeKind::CreateKeyspace);
    assert_eq!(next().kind, ChangeKind::Insert);
    let range = next();
    assert_eq!((range.kind, &range.key[..]), (ChangeKind::RemoveRange, &b"a"[..]));
    assert_eq!((range.keyspace.as_deref(), range.value.as_deref()), (Some("s"), Some(&b"c"[..])));
    assert_eq!(next().kind, ChangeKind::ClearKeyspace);
}

#[test]
fn a_backup_has_the_tables_and_copies_only_what_is_new() {
    let disk = machine();
    let db = open(&disk);
    let sorted = db.keyspace("s").unwrap();
    for number in 0..200_u32 {
        sorted.insert(number.to_be_bytes(), [5; 500]).unwrap();
    }
    let first = db.backup_to("copy").unwrap();
    sorted.insert("late", "1").unwrap();
    let second = db.backup_to("copy").unwrap();
    assert!(second.reused_bytes > 100_000, "{second:?}");
    assert!(second.copied_bytes < first.copied_bytes, "{first:?} {second:?}");
    sorted.insert("later", "1").unwrap();
    builder(&disk).restore("copy", "restored").unwrap();
    for place in ["copy", "restored"] {
        let copy = builder(&disk).open(place).unwrap();
        assert_eq!(copy.keyspace("s").unwrap().len().unwrap(), 201, "{place}");
        assert!(copy.verify(&mut |_| {}).unwrap().is_intact());
    }
}

#[test]
fn figures_tell_of_tables() {
    let disk = machine();
    let db = open(&disk);
    assert!(db.stats().tables.is_none());
    let sorted = db.keyspace("s").unwrap();
    sorted.insert("a", [1; 1000]).unwrap();
    assert!(db.stats().tables.unwrap().memtable_bytes >= 1000);
    db.checkpoint().unwrap();
    let stats = db.stats();
    let tree = stats.keyspaces[0].tree.as_ref().unwrap();
    assert_eq!((tree.levels[0].tables, tree.levels[0].entries, tree.flushes), (1, 1, 1));
    assert_eq!(stats.keyspaces[0].len, 1);
}

#[test]
fn what_was_written_is_told_of_a_keyspaces_life_until_it_is_cleared() {
    let disk = machine();
    let db = open(&disk);
    let sorted = db.keyspace("s").unwrap();
    sorted.insert("a", [1; 1000]).unwrap();
    db.checkpoint().unwrap();
    let written = |db: &Database| {
        let tree = db.stats().keyspaces.remove(0).tree.unwrap();
        (tree.life, tree.since_opening)
    };
    let (life, since_opening) = written(&db);
    assert_eq!((life, life.write_amplification()), (since_opening, Some(1.0)));
    drop(sorted);
    db.close().unwrap();
    let db = open(&disk);
    assert_eq!(written(&db), (life, Default::default()));
    db.keyspace("s").unwrap().clear().unwrap();
    assert_eq!(written(&db), Default::default());
}
