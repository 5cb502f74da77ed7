//! What threads of the database do beside writers: how fast compactions may write, and what a failure means.

use crate::support::{builder, open, tables};
use annals_disk::{Fault, SimDisk, SimOptions};
use annals_engine::{Background, Database, Durability, ErrorKind, TableStats, WriteOptions};

fn figures(db: &Database) -> TableStats {
    db.stats().tables.unwrap()
}

#[test]
fn compactions_keep_to_the_rate_and_flushes_do_not_wait() {
    const RATE: u64 = 4 << 20;
    let disk = SimDisk::new(SimOptions::seeded(5));
    let limited = || builder(&disk).compaction_bytes_per_s(RATE).open("db").unwrap();
    let db = limited();
    let sorted = db.keyspace("sorted").unwrap();
    for round in 0..3_u32 {
        for number in 0..600_u32 {
            // Nothing that compression makes small.
            let mut state = u64::from(round * 1_000 + number);
            let mut byte = || {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                (state >> 56) as u8
            };
            let value: Vec<u8> = (0..400).map(|_| byte()).collect();
            sorted.insert(number.to_be_bytes(), value).unwrap();
        }
        db.checkpoint().unwrap();
    }
    assert_eq!(figures(&db).compaction_paused_ns, 0, "flushes give writers their memory back");
    sorted.compact().unwrap();
    // The simulated clock stands still, so each pause counts from the start, and a burst of 20 ms is free.
    let tree = db.stats().keyspaces.into_iter().find_map(|keyspace| keyspace.tree).unwrap();
    let written = tree.since_opening.compaction_written_bytes;
    let least_ns = written * 1_000_000_000 / RATE - 20_000_000;
    let paused_ns = figures(&db).compaction_paused_ns;
    assert!(paused_ns >= least_ns && least_ns > 0, "{written} bytes, {paused_ns} ns");
    assert_eq!(sorted.len().unwrap(), 600);
    drop(sorted);
    db.close().unwrap();
    // Without the setting there is no limit.
    let db = builder(&disk).open("db").unwrap();
    db.keyspace("sorted").unwrap().compact().unwrap();
    assert_eq!(figures(&db).compaction_paused_ns, 0);
}

#[test]
fn writers_that_wait_for_memory_are_counted() {
    let disk = SimDisk::new(SimOptions::seeded(6));
    let db = builder(&disk).memory_bytes(64 << 10).open("db").unwrap();
    let sorted = db.keyspace("sorted").unwrap();
    let mut before = figures(&db);
    assert_eq!((before.stalls_count, before.stalled_ns), (0, 0));
    for round in 0..3_u32 {
        for number in 0..300_u32 {
            sorted.insert((round * 1_000 + number).to_be_bytes(), [7; 2_000]).unwrap();
        }
        let now = figures(&db);
        assert!(now.stalls_count > before.stalls_count, "{now:?}");
        assert!(now.stalled_ns > before.stalled_ns, "{now:?}");
        before = now;
    }
    assert_eq!(sorted.len().unwrap(), 900);
}

#[test]
fn a_failing_flush_in_the_background_stops_writes_with_its_cause_and_loses_nothing() {
    for threads in [1, 3] {
        fail_a_flush(threads);
    }
}

fn fail_a_flush(threads: usize) {
    let disk = SimDisk::new(SimOptions::seeded(7));
    let settings = builder(&disk).background(Background::Threads).memory_bytes(64 << 10);
    let db = settings.ordered_threads(threads).open("db").unwrap();
    let sorted = db.keyspace("sorted").unwrap();
    let sync = WriteOptions::default().durability(Durability::Sync);
    disk.fail_nth_at(Fault::FailWrite, ".tbl", 1);
    let mut acknowledged = 0_u32;
    // Memory would be full long before.
    let refused = loop {
        assert!(acknowledged < 1_000, "the flush has not failed");
        match sorted.insert_with(acknowledged.to_be_bytes(), [7; 2_000], sync) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused}");
    assert!(refused.to_string().contains(".tbl"), "{refused}");
    // Noted in the log's state by the thread, perhaps a moment later.
    let why = loop {
        match db.stats().poisoned {
            Some(why) => break why,
            None => std::thread::yield_now(),
        }
    };
    assert!(why.contains(".tbl"), "{why}");
    assert!(acknowledged > 0);
    for number in 0..acknowledged {
        assert!(sorted.contains(number.to_be_bytes()).unwrap(), "reads go on");
    }
    let disk = disk.restart();
    drop((sorted, db));
    let sorted = open(&disk).keyspace("sorted").unwrap();
    for number in 0..acknowledged {
        let value = sorted.get(number.to_be_bytes()).unwrap();
        assert_eq!(value.as_deref(), Some(&[7; 2_000][..]), "{number} of {acknowledged}");
    }
}

#[test]
fn tables_that_walks_keep_on_disk_are_told() {
    let disk = SimDisk::new(SimOptions::seeded(8));
    let db = open(&disk);
    let sorted = db.keyspace("sorted").unwrap();
    for round in 0..2_u8 {
        for number in 0..100_u8 {
            sorted.insert([number], [round; 200]).unwrap();
        }
        db.checkpoint().unwrap();
    }
    let held = || {
        let snapshots = db.stats().snapshots;
        (snapshots.held_tables_count, snapshots.held_tables_bytes)
    };
    assert_eq!((held(), tables(&disk)), ((0, 0), 2));
    let size = |path: &std::path::PathBuf| disk.file_bytes(path).unwrap().len() as u64;
    let is_table = |path: &std::path::PathBuf| path.extension().is_some_and(|is| is == "tbl");
    let bytes: u64 = disk.paths().iter().filter(|path| is_table(path)).map(size).sum();
    let mut walk = sorted.iter().unwrap();
    assert!(walk.next_entry().unwrap().is_some());
    sorted.compact().unwrap();
    db.tick().unwrap();
    assert_eq!((held(), tables(&disk)), ((2, bytes), 3));
    assert_eq!(walk.count(), 99);
    db.tick().unwrap();
    assert_eq!((held(), tables(&disk)), ((0, 0), 1));
}
