//! Crashes at every operation of a load, kills, failing syncs and full disks: the old contents or the new
//! ones are there, whole, and no file without an owner.

use crate::support::{
    State, builder, check_files, files, machine, made, open, records, seen, tables,
};
use annals_disk::{Fault, SimDisk};
use annals_engine::{Database, Durability, ErrorKind, OrderedKeyspace, Replaced, Result};

/// A keyspace with records in tables, others in memory, and a neighbour.
fn begun(disk: &SimDisk, durability: Durability) -> (Database, OrderedKeyspace, State) {
    let db = builder(disk).durability(durability).open("db").unwrap();
    let keyspace = made(&db, "k");
    let mut state = records(80, 1);
    keyspace.insert_many(&state).unwrap();
    db.checkpoint().unwrap();
    keyspace.insert("00007", "newer").unwrap();
    state.insert(b"00007".to_vec(), b"newer".to_vec());
    made(&db, "neighbour").insert("a", "1").unwrap();
    db.sync().unwrap();
    (db, keyspace, state)
}

fn fresh() -> State {
    records(150, 2)
}

/// What is done: a load, and a record behind it. Whether each was acknowledged.
fn act(keyspace: &OrderedKeyspace) -> (Result<Replaced>, bool) {
    let replaced = keyspace.replace_all(fresh());
    let is_behind = replaced.is_ok() && keyspace.insert("behind", "it").is_ok();
    (replaced, is_behind)
}

/// What may be there after a crash.
fn check(disk: &SimDisk, old: &State, done: (bool, bool), durable: bool, context: &str) {
    let db = open(disk);
    let keyspace = db.open_keyspace("k").unwrap();
    let found = seen(&keyspace);
    let mut behind = fresh();
    behind.insert(b"behind".to_vec(), b"it".to_vec());
    let allowed: &[&State] = match done {
        (true, true) if durable => &[&behind],
        (true, _) => &[&fresh(), &behind],
        (false, _) => &[old, &fresh()],
    };
    assert!(allowed.contains(&&found), "{context}: {} records", found.len());
    assert_eq!(seen(&db.open_keyspace("neighbour").unwrap()).len(), 1, "{context}");
    check_files(disk, &db, context);
    // And it goes on from there.
    let again = records(90, 3);
    keyspace.replace_all(&again).unwrap();
    db.close().unwrap();
    let db = open(disk);
    assert_eq!(seen(&db.open_keyspace("k").unwrap()), again, "{context}: replaced again");
    check_files(disk, &db, context);
}

fn crash_everywhere(durability: Durability, seed: u64) {
    let count = {
        let disk = machine(seed);
        let (_db, keyspace, _) = begun(&disk, durability);
        let before = disk.operations();
        act(&keyspace).0.unwrap();
        disk.operations() - before
    };
    assert!(count > 20, "{count} operations");
    let (mut old_count, mut new_count) = (0, 0);
    for operation in 0..=count {
        for is_kill in [false, true] {
            let disk = machine(seed);
            let (db, keyspace, old) = begun(&disk, durability);
            disk.cut_power_at(disk.operations() + operation);
            let (replaced, is_behind) = act(&keyspace);
            let done = (replaced.is_ok(), is_behind);
            let found = if is_kill { disk.restart_clean() } else { disk.restart() };
            drop((db, keyspace));
            if operation.is_multiple_of(5) {
                // The next opening is interrupted as well.
                found.cut_power_at(operation / 5 % 40);
                drop(builder(&found).open("db"));
            }
            let found = found.restart();
            let context = format!("{durability:?}, operation {operation}, kill {is_kill}");
            let durable = durability == Durability::Sync;
            if done.0 {
                new_count += 1;
            } else {
                old_count += 1;
            }
            check(&found, &old, done, durable, &context);
        }
    }
    assert!(old_count > 20 && new_count > 0, "{old_count} {new_count}");
}

#[test]
fn a_crash_leaves_the_old_contents_or_the_new_ones() {
    crash_everywhere(Durability::Buffered, 1);
    crash_everywhere(Durability::Sync, 2);
}

/// A load that was acknowledged is on the device whatever the database's durability.
#[test]
fn what_was_acknowledged_is_durable() {
    for seed in 0..20 {
        let disk = machine(seed);
        let (db, keyspace, _) = begun(&disk, Durability::Buffered);
        keyspace.replace_all(fresh()).unwrap();
        let disk = disk.restart();
        drop((db, keyspace));
        assert_eq!(seen(&open(&disk).open_keyspace("k").unwrap()), fresh(), "seed {seed}");
    }
}

#[test]
fn a_disk_that_is_full_at_any_point_leaves_all_as_it_was() {
    let used = |disk: &SimDisk| -> u64 {
        disk.paths().iter().filter_map(|path| disk.file_bytes(path)).map(|b| b.len() as u64).sum()
    };
    let (mut refused_count, mut extra) = (0, 0);
    loop {
        let disk = machine(1);
        let (db, keyspace, old) = begun(&disk, Durability::Buffered);
        db.tick().unwrap();
        let files_before = files(&disk);
        disk.set_capacity(used(&disk) + extra);
        let replaced = keyspace.replace_all(fresh());
        let context = format!("{extra} bytes are left");
        if replaced.is_ok() {
            break;
        }
        refused_count += 1;
        assert_eq!(replaced.unwrap_err().kind(), ErrorKind::Full, "{context}");
        assert_eq!(seen(&keyspace), old, "{context}");
        assert_eq!(files(&disk), files_before, "{context}: what was written is removed");
        disk.clear_capacity();
        keyspace.insert("more", "1").unwrap();
        keyspace.replace_all(fresh()).unwrap();
        assert_eq!(seen(&keyspace), fresh(), "{context}");
        check_files(&disk, &db, &context);
        extra += 512;
    }
    assert!(refused_count > 5, "{refused_count}");
}

/// A table that cannot be written or synced is nobody's yet: nothing else is concerned.
#[test]
fn a_table_that_cannot_be_written_costs_nothing() {
    let faults = [Fault::FailCreate, Fault::FailWrite, Fault::FailSync, Fault::FailSyncDir];
    for fault in faults {
        let mut is_refused_again = true;
        for nth in 0.. {
            let disk = machine(1);
            let (db, keyspace, old) = begun(&disk, Durability::Buffered);
            let part = if matches!(fault, Fault::FailSyncDir) { "db" } else { ".tbl" };
            disk.fail_nth_at(fault, part, nth);
            let replaced = keyspace.replace_all(fresh());
            disk.clear_faults();
            if replaced.is_ok() {
                is_refused_again = nth > 0;
                break;
            }
            let context = format!("{fault:?} {nth}");
            assert_eq!(seen(&keyspace), old, "{context}");
            keyspace.insert("more", "1").unwrap();
            keyspace.replace_all(fresh()).unwrap();
            assert_eq!(seen(&keyspace), fresh(), "{context}");
            check_files(&disk, &db, &context);
        }
        assert!(is_refused_again, "{fault:?} was not met");
    }
}

/// Where the manifest cannot be synced nobody knows what is there: writing ends, and the next opening finds the
/// old contents.
#[test]
fn a_manifest_that_cannot_be_synced_ends_writing() {
    let disk = machine(1);
    let (db, keyspace, old) = begun(&disk, Durability::Buffered);
    disk.fail_nth_at(Fault::FailSync, ".man", 0);
    assert!(keyspace.replace_all(fresh()).is_err());
    disk.clear_faults();
    assert_eq!(seen(&keyspace), old);
    let refused = keyspace.replace_all(fresh()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused}");
    for disk in [disk.restart_with_seed(7), disk.restart_clean()] {
        let db = open(&disk);
        let keyspace = db.open_keyspace("k").unwrap();
        assert_eq!(seen(&keyspace), old);
        check_files(&disk, &db, "opened again");
        keyspace.replace_all(fresh()).unwrap();
        assert_eq!(seen(&keyspace), fresh());
        assert!(tables(&db) > 1);
    }
    drop((db, keyspace));
}
