//! Programs that open a database for a record at a time.

use crate::support::{open, tables};
use annals_disk::{
    Result, SimDisk, SimOptions,
    hooked::{Act, Hook, hooked},
};
use annals_engine::Database;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

/// The most tables that there were after one of `count` programs, each of which writes one record; all records
/// are there in the end.
fn most_tables(disk: &SimDisk, count: u32, key: impl Fn(u32) -> u32) -> usize {
    let mut expected = BTreeMap::new();
    let mut most = 0;
    for number in 0..count {
        let db = open(disk);
        let sorted = db.keyspace("sorted").unwrap();
        let key = key(number).to_be_bytes();
        if number % 10 == 9 && expected.len() > 5 {
            let (&gone, _) = expected.iter().nth(number as usize % expected.len()).unwrap();
            sorted.remove(gone).unwrap();
            expected.remove(&gone);
        } else {
            sorted.insert(key, number.to_string()).unwrap();
            expected.insert(key, number.to_string());
        }
        drop(sorted);
        db.close().unwrap();
        most = most.max(tables(disk));
    }
    let db = open(disk);
    assert!(db.recovery().clean);
    let sorted = db.keyspace("sorted").unwrap();
    let found = sorted.range::<[u8; 4]>(..).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.key().to_vec(), entry.value().to_vec())
    });
    let expected = expected.into_iter().map(|(key, value)| (key.to_vec(), value.into_bytes()));
    assert!(found.eq(expected));
    most
}

/// A name, and the key of each program in turn.
type Order = (&'static str, fn(u32) -> u32);

#[test]
fn programs_that_write_a_record_each_do_not_leave_a_table_each() {
    let orders: [Order; 3] = [
        ("rising", |number| number),
        ("falling", |number| 1_000 - number),
        ("random", |number| number.wrapping_mul(0x9e37_79b1) % 1_000),
    ];
    for (order, key) in orders {
        let disk = SimDisk::new(SimOptions::seeded(1));
        let most = most_tables(&disk, 200, key);
        assert!(most <= 12, "{most} tables after records came {order}");
    }
}

/// A record for each program, in a keyspace that has far more than closing would read.
#[test]
fn nor_where_much_is_there_already() {
    let disk = SimDisk::new(SimOptions::seeded(2));
    let db = open(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    for number in 0..3_000u32 {
        sorted.insert(number.to_be_bytes(), [7; 3_000]).unwrap();
    }
    sorted.compact().unwrap();
    drop(sorted);
    db.close().unwrap();
    let before = tables(&disk);
    for number in 0..100u32 {
        let db = open(&disk);
        let sorted = db.keyspace("sorted").unwrap();
        sorted.insert((number * 1_789 % 3_000).to_be_bytes(), number.to_be_bytes()).unwrap();
        drop(sorted);
        db.close().unwrap();
        let now = tables(&disk);
        assert!(now <= before + 12, "{now} tables, {before} before");
    }
    let db = open(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    assert_eq!(sorted.len().unwrap(), 3_000);
    for number in 0..100u32 {
        let key = (number * 1_789 % 3_000).to_be_bytes();
        assert_eq!(sorted.get(key).unwrap().as_deref(), Some(&number.to_be_bytes()[..]));
    }
}

/// Stops the thread that compacts when it begins a table.
#[derive(Debug, Default)]
struct Stop {
    /// Whether it has come, and whether it may go on.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Hook for Stop {
    fn before(&self, act: Act, path: &Path) -> Result<bool> {
        let is_table = path.extension().is_some_and(|is| is == "tbl");
        if act == Act::Create && is_table && thread::current().name() == Some("annals-compact") {
            let mut state = self.state.lock().unwrap();
            state.0 = true;
            self.changed.notify_all();
            drop(self.changed.wait_while(state, |state| !state.1).unwrap());
        }
        Ok(true)
    }
}

/// Else a machine that is busy would leave more and more tables: each program would have what is at work
/// stopped.
#[test]
fn closing_waits_for_a_thread_that_merges_little() {
    let (sim, stop) = (SimDisk::new(SimOptions::seeded(3)), Arc::new(Stop::default()));
    let disk = hooked(Arc::new(sim.clone()), Arc::clone(&stop));
    let db = Database::builder().disk(disk).ordered_threads(1).open("db").unwrap();
    let sorted = db.keyspace("sorted").unwrap();
    for number in 0..4u8 {
        sorted.insert("key", [number]).unwrap();
        db.checkpoint().unwrap();
    }
    drop(stop.changed.wait_while(stop.state.lock().unwrap(), |state| !state.0).unwrap());
    drop(sorted);
    let closing = thread::spawn(move || db.close());
    // Time for one that does not wait to come past it.
    thread::sleep(Duration::from_millis(200));
    stop.state.lock().unwrap().1 = true;
    stop.changed.notify_all();
    closing.join().unwrap().unwrap();
    assert_eq!(tables(&sim), 1);
}
