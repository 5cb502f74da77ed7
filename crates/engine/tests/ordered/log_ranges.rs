//! Ranges of keys that were removed and of which only the log knows when the process dies.

use crate::support::open;
use annals_disk::{SimDisk, SimOptions};
use annals_engine::{Database, Durability, OrderedKeyspace, WriteOptions};

type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// A value that is one of its number, short or long enough to stay in the log.
fn value(number: u8, round: u8) -> Vec<u8> {
    let len = if number.is_multiple_of(2) { 20 } else { 6_000 };
    [&[number, round][..], &vec![round; len]].concat()
}

fn key(number: u8) -> Vec<u8> {
    format!("key/{number:02}").into_bytes()
}

fn put(sorted: &OrderedKeyspace, number: u8, round: u8) {
    sorted.insert(key(number), value(number, round)).unwrap();
}

/// The ways in which the keys 10 to 19 are removed.
#[derive(Clone, Copy, Debug)]
enum Way {
    Range,
    Prefix,
    /// There are no later keys then.
    NoEnd,
    /// Together with what is written into the range.
    Batch,
}

fn remove(db: &Database, sorted: &OrderedKeyspace, way: Way) {
    match way {
        Way::Range => drop(sorted.remove_range(key(10)..key(20)).unwrap()),
        Way::Prefix => drop(sorted.remove_prefix("key/1").unwrap()),
        Way::NoEnd => drop(sorted.remove_range(key(10)..).unwrap()),
        Way::Batch => {
            let mut batch = db.batch();
            batch.insert(sorted, key(12), value(12, 7)).unwrap();
            batch.remove_range(sorted, key(10)..=key(19)).unwrap();
            batch.commit().unwrap();
        }
    }
}

fn check(sorted: &OrderedKeyspace, expected: &Records, when: &str) {
    let found: Records = sorted.iter().unwrap().map(|entry| entry.unwrap().to_vecs()).collect();
    let keys = |records: &Records| -> Vec<String> {
        records.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
    };
    assert_eq!(keys(&found), keys(expected), "{when}");
    assert!(found == *expected, "{when}: other values");
    for number in 0..30 {
        let wanted = expected.iter().find(|(other, _)| *other == key(number));
        let got = sorted.get(key(number)).unwrap().map(|value| value.to_vec());
        assert_eq!(got.as_ref(), wanted.map(|(_, value)| value), "{when}: key {number}");
    }
}

/// Keys are in tables or in memory, their range is removed, some are written again, and the memory is lost.
fn lose_memory(way: Way, in_tables: bool, is_power_cut: bool) {
    let when = format!("{way:?}, in tables: {in_tables}, power cut: {is_power_cut}");
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = open(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    let last = if matches!(way, Way::NoEnd) { 20 } else { 25 };
    let keys = (5..last).filter(|number| *number != 15);
    keys.clone().for_each(|number| put(&sorted, number, 1));
    if in_tables {
        db.checkpoint().unwrap();
    }
    // In front of the removal, and behind it, in the range.
    put(&sorted, 15, 1);
    remove(&db, &sorted, way);
    put(&sorted, 11, 2);
    put(&sorted, 14, 2);
    let at_once = WriteOptions::default().durability(Durability::Sync);
    sorted.insert_with(key(17), value(17, 2), at_once).unwrap();
    let mut expected: Records = keys
        .filter(|number| !(10..20).contains(number))
        .map(|number| (key(number), value(number, 1)))
        .chain([11, 14, 17].map(|number| (key(number), value(number, 2))))
        .collect();
    expected.sort();
    check(&sorted, &expected, &format!("{when}: before"));

    let after = if is_power_cut { disk.restart() } else { disk.restart_clean() };
    drop((sorted, db));
    let db = open(&after);
    assert!(db.recovery().records_count >= 5, "{when}: the log alone has it");
    let sorted = db.keyspace("sorted").unwrap();
    check(&sorted, &expected, &format!("{when}: replayed"));
    // It is replayed once more, and a key of the range is written behind it.
    put(&sorted, 18, 3);
    expected.push((key(18), value(18, 3)));
    expected.sort();
    let again = after.restart_clean();
    drop((sorted, db));
    let db = open(&again);
    let sorted = db.keyspace("sorted").unwrap();
    check(&sorted, &expected, &format!("{when}: replayed again"));
    db.checkpoint().unwrap();
    check(&sorted, &expected, &format!("{when}: flushed"));
    sorted.compact().unwrap();
    db.compact().unwrap();
    check(&sorted, &expected, &format!("{when}: compacted"));
    drop(sorted);
    db.close().unwrap();
    let sorted = open(&again).keyspace("sorted").unwrap();
    check(&sorted, &expected, &format!("{when}: closed and opened"));
}

#[test]
fn a_range_that_only_the_log_knows_to_be_removed_stays_removed() {
    for way in [Way::Range, Way::Prefix, Way::NoEnd, Way::Batch] {
        for in_tables in [true, false] {
            for is_power_cut in [true, false] {
                lose_memory(way, in_tables, is_power_cut);
            }
        }
    }
}

/// That the test above can fail.
#[cfg(debug_assertions)]
#[test]
#[should_panic = "replayed"]
fn a_replay_that_passes_removed_ranges_over_is_noticed() {
    use annals_disk::canary::{Broken, break_openings};
    break_openings(Broken::KeepsRemovedRanges, || lose_memory(Way::Range, true, true));
}
