//! A load that exceeds the memory budget tenfold, in a process whose memory is limited by the system, and
//! checked key by key.
//!
//! The limit is one on memory that is the process's own (`ulimit -d`). One on addresses (`ulimit -v`) would
//! count the files too, which are mapped and take no memory that the kernel cannot have back. It counts what was asked
//! for and not what was touched: stacks of threads and arenas of the allocator by the whole, which would be more than
//! all else; so the process is given small ones.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_engine::{Builder, Database, Durability, OrderedKeyspace};
use std::{path::Path, process::Command};

/// What ordered keyspaces may take.
const BUDGET_BYTES: u64 = 8 << 20;
/// The stack of each thread, and more threads than there are at a time.
const STACK_BYTES: u64 = 512 << 10;
const THREADS: u64 = 8;
/// Beside these: the program's own data, blocks and filters that are being written, what the allocator keeps, the log's
/// bookkeeping, half a mebibyte of the test's own, and a third that was not needed when this was set.
const REST_BYTES: u64 = 10 << 20;
/// What the process may take.
const LIMIT_BYTES: u64 = BUDGET_BYTES + THREADS * STACK_BYTES + REST_BYTES;
/// Twelve times the budget, and four times the limit.
const KEYS: u64 = 96 << 10;
const VALUE_BYTES: usize = 1 << 10;

const DIR: &str = "ANNALS_BEYOND_MEMORY_DIR";

#[test]
fn a_load_of_ten_times_the_budget_works_inside_the_budget() {
    if let Some(dir) = std::env::var_os(DIR) {
        return limited(Path::new(&dir));
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "a_load_of_ten_times_the_budget_works_inside_the_budget";
    let limit_kib = LIMIT_BYTES >> 10;
    let child = Command::new("sh")
        .args(["-c", &format!("ulimit -d {limit_kib} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIR, folder.path())
        .env("RUST_MIN_STACK", STACK_BYTES.to_string())
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stderr);
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("all checked"), "{said}{told}");
}

/// What the child does.
fn limited(dir: &Path) {
    // The limit holds: what is loaded would not fit.
    assert!(Vec::<u8>::new().try_reserve_exact(LIMIT_BYTES as usize).is_err());
    let builder = || -> Builder {
        Database::builder()
            .memory_bytes(BUDGET_BYTES)
            .segment_bytes(4 << 20)
            .durability(Durability::Buffered)
    };
    let db = builder().open(dir).unwrap();
    let sorted = db.keyspace("sorted").unwrap();
    // In no order; a fourth is written again, and an eighth removed.
    for index in 0..KEYS {
        let number = shuffled(index);
        sorted.insert(key(number), value(number, 0)).unwrap();
        let again = shuffled(index / 2);
        match again % 8 {
            0 if index % 2 == 1 => drop(sorted.remove(key(again)).unwrap()),
            1 | 2 if index % 2 == 1 => sorted.insert(key(again), value(again, 1)).unwrap(),
            _ => {}
        }
    }
    check(&sorted);
    let tables = db.stats().tables.unwrap();
    assert!(tables.memtable_bytes <= BUDGET_BYTES, "{tables:?}");
    drop(sorted);
    db.close().unwrap();
    let db = builder().open(dir).unwrap();
    let sorted = db.keyspace("sorted").unwrap();
    check(&sorted);
    sorted.compact().unwrap();
    check(&sorted);
    println!("all checked");
}

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Each number below `KEYS` once: the factor has none in common with `KEYS`.
fn shuffled(index: u64) -> u64 {
    index * 70_001 % KEYS
}

/// A value that no compression makes smaller.
fn value(number: u64, round: u64) -> Vec<u8> {
    let mut state = (number << 1 | round).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut value = Vec::with_capacity(VALUE_BYTES);
    while value.len() < VALUE_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.extend_from_slice(&state.to_le_bytes());
    }
    value
}

/// What a key must have in the end.
fn expected(number: u64, position: u64) -> Option<Vec<u8>> {
    // The first half of what was written was gone through again.
    let is_again = position < KEYS / 2;
    match number % 8 {
        0 if is_again => None,
        1 | 2 if is_again => Some(value(number, 1)),
        _ => Some(value(number, 0)),
    }
}

fn check(sorted: &OrderedKeyspace) {
    let mut positions = vec![0_u32; KEYS as usize];
    for index in 0..KEYS {
        positions[shuffled(index) as usize] = index as u32;
    }
    let wanted = |number: u64| expected(number, positions[number as usize].into());
    for index in 0..KEYS {
        let number = shuffled(index);
        assert_eq!(sorted.get(key(number)).unwrap().as_deref(), wanted(number).as_deref());
    }
    let mut walk = sorted.iter().unwrap();
    for number in 0..KEYS {
        if let Some(value) = wanted(number) {
            let (found, its) = walk.next_entry().unwrap().expect("no key is missing");
            assert!(*found == key(number) && *its == *value, "key {number}");
        }
    }
    assert!(walk.next_entry().unwrap().is_none());
}
