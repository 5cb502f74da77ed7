//! Values that stay in the log: they are found wherever log compaction moves them, for everybody who may
//! still see them, and their space comes back when nobody may.

use crate::support::{builder, open};
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_engine::{Database, ErrorKind, OrderedKeyspace, TreeOptions, Value, WriteOptions};
use std::{path::Path, time::Duration};

const OVER: u32 = 1_000;
/// The length of a value that stays in the log; three fit a segment.
const LONG: usize = 20_000;

fn machine() -> SimDisk {
    SimDisk::new(SimOptions::seeded(1))
}

fn keyspace(db: &Database, name: &str) -> OrderedKeyspace {
    if let Ok(there) = db.open_keyspace(name) {
        return there;
    }
    let tables = TreeOptions { separate_over_bytes: Some(OVER), ..TreeOptions::default() };
    db.create_keyspace(name, Default::default(), tables).unwrap()
}

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn long(number: u32, round: u8) -> Vec<u8> {
    let mut value = vec![round; LONG];
    value[..4].copy_from_slice(&number.to_be_bytes());
    value
}

fn fill(sorted: &OrderedKeyspace, numbers: impl IntoIterator<Item = u32>, round: u8) {
    for number in numbers {
        sorted.insert(key(number), long(number, round)).unwrap();
    }
}

fn has(sorted: &OrderedKeyspace, number: u32, round: u8) -> bool {
    sorted.get(key(number)).unwrap().is_some_and(|value| value[..] == long(number, round))
}

/// Brings everything to tables, drops what is replaced there, and then from the log.
fn settle(db: &Database, sorted: &OrderedKeyspace) {
    db.checkpoint().unwrap();
    sorted.compact().unwrap();
    db.compact().unwrap();
    db.tick().unwrap();
    db.tick().unwrap();
}

fn content(db: &Database) -> u64 {
    db.stats().log.content_bytes
}

/// Segments and files are let go of once nobody reads, in other tests of this process neither.
fn wait_until(db: &Database, is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        db.tick().unwrap();
        std::thread::yield_now();
    }
    assert!(is_so(), "{:?}", db.stats());
}

/// The bytes of all files with this ending.
fn file_bytes(disk: &SimDisk, ending: &str) -> u64 {
    let entries = disk.list("db".as_ref()).unwrap();
    let ours = entries.iter().filter(|entry| entry.name.ends_with(ending));
    ours.map(|entry| disk.len(&Path::new("db").join(&entry.name)).unwrap().unwrap()).sum()
}

#[test]
fn long_values_are_in_no_table_and_their_space_comes_back() {
    let disk = machine();
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    fill(&sorted, 0..30, 1);
    sorted.insert("short", vec![9; OVER as usize]).unwrap();
    settle(&db, &sorted);
    assert!(file_bytes(&disk, ".tbl") < 10_000, "tables have the values");
    let all = 30 * LONG as u64;
    let referenced = db.stats().keyspaces[0].live_bytes;
    assert!((all..all + 30 * 100).contains(&referenced), "{referenced} of {all}");
    assert!(content(&db) >= all);

    // Two of three values of each segment die: the third ones are moved.
    fill(&sorted, (0..30).filter(|number| number % 3 != 0), 2);
    for number in (0..30).filter(|number| number % 3 != 0) {
        sorted.remove(key(number)).unwrap();
    }
    settle(&db, &sorted);
    let left = 10 * LONG as u64;
    assert!(content(&db) < left + left / 2, "{} bytes for {left}", content(&db));
    let most = || left * 2 + ((db.stats().log.spares_count + 2) << 16);
    wait_until(&db, || file_bytes(&disk, ".seg") < most());
    let report = db.verify(&mut |_| {}).unwrap();
    assert!(report.is_intact(), "{:?}", report.damages);
    let check = |sorted: &OrderedKeyspace| {
        assert_eq!(sorted.len().unwrap(), 11);
        assert!((0..30).step_by(3).all(|number| has(sorted, number, 1)));
        assert_eq!(sorted.get("short").unwrap().unwrap().len(), OVER as usize);
    };
    check(&sorted);
    drop(sorted);
    db.close().unwrap();

    // Moved once more, by another opening.
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    check(&sorted);
    for number in (3..30).step_by(3) {
        sorted.remove(key(number)).unwrap();
    }
    settle(&db, &sorted);
    assert!(content(&db) < 2 * LONG as u64, "{} bytes for one value", content(&db));
    assert!(has(&sorted, 0, 1));
    sorted.remove(key(0)).unwrap();
    settle(&db, &sorted);
    assert!(content(&db) < LONG as u64 / 2, "{} bytes for none", content(&db));
    assert_eq!(db.stats().keyspaces[0].live_bytes, 0);
}

#[test]
fn a_threshold_of_none_keeps_everything_in_tables() {
    let disk = machine();
    let db = open(&disk);
    let tables = TreeOptions { separate_over_bytes: None, ..TreeOptions::default() };
    let sorted = db.create_keyspace("s", Default::default(), tables).unwrap();
    fill(&sorted, 0..10, 1);
    settle(&db, &sorted);
    assert!(file_bytes(&disk, ".tbl") > 10 * LONG as u64);
    assert!(content(&db) < LONG as u64);
    assert!((0..10).all(|number| has(&sorted, number, 1)));
}

#[test]
fn who_read_before_a_compaction_goes_on_reading() {
    let disk = machine();
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    fill(&sorted, 0..12, 1);
    // Of memory, of tables, and of tables whose values were moved.
    let mut walks = vec![sorted.iter().unwrap()];
    db.checkpoint().unwrap();
    walks.push(sorted.iter().unwrap());
    let snapshot = db.snapshot();
    let held: Vec<Value> =
        (0..12).map(|number| sorted.get(key(number)).unwrap().unwrap()).collect();
    for walk in &mut walks {
        let (found, value) = walk.next_entry().unwrap().unwrap();
        assert_eq!((found, value), (&key(0)[..], &long(0, 1)[..]));
    }
    for round in 2..6 {
        // What nobody but the early ones sees dies, and the log takes its segments again.
        fill(&sorted, (0..12).filter(|number| number % 4 != 0), round);
        settle(&db, &sorted);
        walks.push(sorted.iter().unwrap());
    }
    assert!(db.stats().snapshots.held_segments_count > 0, "the walks hold what they read");
    for (which, walk) in walks.into_iter().enumerate() {
        let round = if which < 2 { 1 } else { which as u8 };
        let skip = usize::from(which < 2);
        for (number, entry) in (0..12).skip(skip).zip(walk) {
            let round = if number % 4 == 0 { 1 } else { round };
            let entry = entry.unwrap();
            assert_eq!(entry.key(), key(number), "walk {which}");
            assert!(entry.value() == long(number, round), "walk {which}, key {number}");
        }
    }
    let seen = snapshot.ordered("s").unwrap();
    for (number, value) in (0..12).zip(&held) {
        assert!(value[..] == long(number, 1));
        assert!(seen.get(key(number)).unwrap().unwrap()[..] == long(number, 1));
    }
    drop((seen, snapshot));
    settle(&db, &sorted);
    wait_until(&db, || db.stats().snapshots.held_segments_count == 0);
    assert!((0..12).zip(&held).all(|(number, value)| value[..] == long(number, 1)));
    drop((sorted, db));
    // The next writer uses no file again that is mapped here.
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    for round in 6..9 {
        fill(&sorted, 0..12, round);
        settle(&db, &sorted);
    }
    assert!((0..12).zip(&held).all(|(number, value)| value[..] == long(number, 1)));
}

#[test]
fn dropped_and_cleared_keyspaces_give_values_back_but_for_who_reads_them() {
    for drops in [false, true] {
        let disk = machine();
        let db = open(&disk);
        let (sorted, other) = (keyspace(&db, "s"), keyspace(&db, "other"));
        fill(&sorted, 0..12, 1);
        fill(&other, 0..1, 7);
        settle(&db, &sorted);
        let mut walk = sorted.iter().unwrap();
        walk.next_entry().unwrap().unwrap();
        let snapshot = db.snapshot();
        if drops {
            db.drop_keyspace("s").unwrap();
        } else {
            sorted.clear().unwrap();
        }
        for _ in 0..3 {
            settle(&db, &other);
        }
        assert!(content(&db) < 2 * LONG as u64, "{} bytes for one value", content(&db));
        for (number, entry) in (1..12).zip(walk) {
            assert!(entry.unwrap().value() == long(number, 1));
        }
        let seen = snapshot.ordered("s").unwrap();
        assert_eq!(seen.iter().unwrap().count(), 12);
        assert!(seen.get(key(5)).unwrap().unwrap()[..] == long(5, 1));
        drop((seen, snapshot));
        settle(&db, &other);
        wait_until(&db, || db.stats().snapshots.held_segments_count == 0);
        drop((sorted, other, db));
        let db = open(&disk);
        assert!(has(&keyspace(&db, "other"), 0, 7));
    }
}

#[test]
fn values_that_expire_or_are_removed_with_a_range_give_their_space_back() {
    let disk = machine();
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    let ttl = WriteOptions::default().ttl(Duration::from_millis(50));
    for number in 0..10 {
        sorted.insert_with(key(number), long(number, 1), ttl).unwrap();
    }
    fill(&sorted, 10..20, 1);
    fill(&sorted, 20..21, 1);
    settle(&db, &sorted);
    disk.advance_ms(100);
    assert!(sorted.get(key(3)).unwrap().is_none());
    sorted.remove_range(key(10)..key(20)).unwrap();
    db.tick().unwrap();
    for _ in 0..2 {
        settle(&db, &sorted);
    }
    assert!(content(&db) < 2 * LONG as u64, "{} bytes for one value", content(&db));
    assert_eq!(sorted.len().unwrap(), 1);
    assert!(has(&sorted, 20, 1));
}

/// A value whose segment has others that are current, and one that was moved.
fn damaged_places(disk: &SimDisk) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in disk.list("db".as_ref()).unwrap() {
        if !entry.name.ends_with(".seg") {
            continue;
        }
        let bytes = disk.read(&Path::new("db").join(&entry.name), 1 << 20).unwrap();
        // In the middle of the value of the key 4.
        let value = long(4, 1);
        let at = bytes.windows(64).position(|window| window == &value[..64]);
        found.extend(at.map(|at| (entry.name, at as u64 + 5_000)));
    }
    found
}

#[test]
fn a_flipped_bit_in_a_value_is_named_and_the_rest_is_readable() {
    for moved in [false, true] {
        let disk = machine();
        let db = open(&disk);
        let sorted = keyspace(&db, "s");
        fill(&sorted, 0..6, 1);
        settle(&db, &sorted);
        if moved {
            fill(&sorted, [0, 1, 2, 5], 2);
            settle(&db, &sorted);
        }
        drop(sorted);
        db.close().unwrap();
        let places = damaged_places(&disk);
        assert_eq!(places.len(), 1, "the value is in one place: {places:?}");
        let (name, offset) = &places[0];
        disk.flip_bit(Path::new("db").join(name), *offset, 3).unwrap();

        let db = open(&disk);
        let sorted = keyspace(&db, "s");
        let error = sorted.get(key(4)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(name), "{error}");
        assert!(sorted.contains(key(4)).unwrap(), "the key is there");
        assert!(
            (0..6)
                .filter(|number| *number != 4)
                .all(|number| { has(&sorted, number, if moved && number != 3 { 2 } else { 1 }) })
        );
        let mut walk = sorted.iter().unwrap();
        let read = (&mut walk).take_while(|entry| entry.is_ok()).count();
        assert_eq!(read, 4);
        assert!(walk.next().is_none(), "after an error it has ended");
        assert_eq!(sorted.len().unwrap(), 6, "nothing is asked of the values");
        let report = db.verify(&mut |_| {}).unwrap();
        let in_log = |damage: &&annals_engine::Damage| damage.path.ends_with(name);
        assert!(report.damages.iter().any(|damage| in_log(&damage)), "{:?}", report.damages);
        let of_key =
            report.damages.iter().find(|damage| damage.what.contains("of the keyspace `s`"));
        let of_key = of_key.expect("the key is named");
        assert!(of_key.what.contains("\\x00\\x00\\x00\\x04"), "{}", of_key.what);
        assert!(of_key.path.to_string_lossy().ends_with(".tbl"));
        assert!(db.backup_to("copy").is_err(), "damage is not copied");
    }
}

#[test]
fn moved_values_are_found_again_without_the_checkpoint() {
    let disk = machine();
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    fill(&sorted, 0..12, 1);
    settle(&db, &sorted);
    fill(&sorted, (0..12).filter(|number| number % 3 != 0), 2);
    settle(&db, &sorted);
    drop(sorted);
    db.close().unwrap();
    for entry in disk.list("db".as_ref()).unwrap() {
        if entry.name.ends_with(".ckp") {
            disk.remove(&Path::new("db").join(&entry.name)).unwrap();
        }
    }
    let db = open(&disk);
    assert!(!db.recovery().warnings.is_empty());
    let sorted = keyspace(&db, "s");
    let check = |sorted: &OrderedKeyspace| {
        let round = |number: u32| if number.is_multiple_of(3) { 1 } else { 2 };
        assert!((0..12).all(|number| has(sorted, number, round(number))));
    };
    check(&sorted);
    db.checkpoint().unwrap();
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
    // Their bytes are counted as before: when all die, all comes back.
    for number in 0..11 {
        sorted.remove(key(number)).unwrap();
    }
    settle(&db, &sorted);
    assert!(content(&db) < 2 * LONG as u64, "{} bytes for one value", content(&db));
    assert!(has(&sorted, 11, 2));
}

#[test]
fn a_backup_has_the_values() {
    let disk = machine();
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    fill(&sorted, 0..12, 1);
    settle(&db, &sorted);
    fill(&sorted, (0..12).filter(|number| number % 3 != 0), 2);
    settle(&db, &sorted);
    fill(&sorted, 20..22, 3);
    db.backup_to("copy").unwrap();
    sorted.clear().unwrap();
    settle(&db, &sorted);
    builder(&disk).restore("copy", "restored").unwrap();
    let copy = builder(&disk).open("restored").unwrap();
    let sorted = copy.open_keyspace("s").unwrap();
    let round = |number: u32| if number.is_multiple_of(3) { 1 } else { 2 };
    assert!((0..12).all(|number| has(&sorted, number, round(number))));
    assert!((20..22).all(|number| has(&sorted, number, 3)));
    assert_eq!(sorted.len().unwrap(), 14);
    assert!(copy.verify(&mut |_| {}).unwrap().is_intact());
}

/// A reader in another process has old tables, new tables and moved values before it in any mixture.
#[test]
fn readers_beside_the_writer_find_values_wherever_they_are_moved() {
    let disk = machine();
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    fill(&sorted, 0..30, 1);
    let read = || builder(&disk).read_only(true).open("db").unwrap();
    let early = read();
    let mine = early.open_keyspace("s").unwrap();
    let before = early.snapshot();
    let kept = mine.get(key(1)).unwrap().unwrap();
    for round in 2..6 {
        fill(&sorted, (0..30).filter(|number| number % 3 != 0), round);
        assert!(has(&mine, 1, round) && has(&mine, 3, 1));
        settle(&db, &sorted);
        let late = read();
        for reader in [&early, &late] {
            let theirs = reader.open_keyspace("s").unwrap();
            for number in 0..30 {
                assert!(has(&theirs, number, if number % 3 == 0 { 1 } else { round }));
            }
            let walked: Vec<_> = theirs.iter().unwrap().map(|entry| entry.unwrap()).collect();
            assert!(walked.len() == 30 && walked.iter().all(|entry| entry.value().len() == LONG));
            let report = reader.verify(&mut |_| {}).unwrap();
            assert!(report.is_intact(), "round {round}: {:?}", report.damages);
        }
        assert!(before.ordered("s").unwrap().get(key(1)).unwrap().unwrap()[..] == long(1, 1));
    }
    assert!(kept[..] == long(1, 1));
}

/// The log's time stands still while nobody writes; what is over by the clock goes all the same.
#[test]
fn what_has_expired_goes_though_nobody_writes_or_reads() {
    let disk = machine();
    let db = open(&disk);
    let sorted = keyspace(&db, "s");
    let ttl = WriteOptions::default().ttl(Duration::from_millis(50));
    sorted.insert("stays", "1").unwrap();
    for number in 0..10 {
        sorted.insert_with(key(number), long(number, 1), ttl).unwrap();
    }
    settle(&db, &sorted);
    disk.advance_ms(100);
    settle(&db, &sorted);
    assert_eq!(sorted.len_estimate().unwrap(), 1);
    assert!(content(&db) < LONG as u64, "{} bytes for a short value", content(&db));
    assert_eq!(db.verify(&mut |_| {}).unwrap().keys_count, 1);
}
