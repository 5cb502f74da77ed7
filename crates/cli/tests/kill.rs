//! kill -9 at random moments. Whatever the durability, what a commit acknowledged must be there
//! when the database is opened again, and what is there must be a prefix of what was written: no
//! hole, no half commit, nothing out of order.
//!
//! One database goes through all kills of a series, so that every recovery starts from what the
//! one before left. Small segments roll within a run, large ones do not. 50 kills by default,
//! 2,000 with `ANNALS_NIGHTLY=1`. The moments are random; the promise holds at each of them, so a
//! failure names all that is known about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use annals::{Database, HashKeyspace, KeyspaceKind, OrderedKeyspace};
use common::Place;
use std::{
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader, BufWriter, Write},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

const KILLS: u64 = 50;
const KILLS_NIGHTLY: u64 = 2_000;

/// Kills of one database before a fresh one.
const KILLS_OF_A_DATABASE: u64 = 10;

/// How a child writes.
#[derive(Clone, Copy, Debug)]
struct Way {
    durability: &'static str,
    segment_bytes: &'static str,
    batch: u64,
    /// Of ordered keyspaces: with little of it, kills meet flushes and compactions.
    memory_bytes: &'static str,
}

const WAYS: [Way; 9] = [
    Way { durability: "buffered", segment_bytes: "64KiB", batch: 1, memory_bytes: "64KiB" },
    Way { durability: "interval", segment_bytes: "64KiB", batch: 7, memory_bytes: "96MiB" },
    Way { durability: "sync", segment_bytes: "64KiB", batch: 20, memory_bytes: "256KiB" },
    Way { durability: "buffered", segment_bytes: "256KiB", batch: 100, memory_bytes: "64KiB" },
    Way { durability: "interval", segment_bytes: "1MiB", batch: 1, memory_bytes: "1MiB" },
    Way { durability: "sync", segment_bytes: "1MiB", batch: 1, memory_bytes: "64KiB" },
    Way { durability: "buffered", segment_bytes: "64MiB", batch: 3, memory_bytes: "256KiB" },
    Way { durability: "interval", segment_bytes: "64MiB", batch: 1_000, memory_bytes: "64KiB" },
    Way { durability: "sync", segment_bytes: "256KiB", batch: 100, memory_bytes: "96MiB" },
];

#[test]
fn nothing_acknowledged_is_lost() {
    lose_nothing(KeyspaceKind::Hash);
}

#[test]
fn nothing_acknowledged_is_lost_from_ordered_keyspaces() {
    lose_nothing(KeyspaceKind::Ordered);
}

fn lose_nothing(kind: KeyspaceKind) {
    let nightly = std::env::var_os("ANNALS_NIGHTLY").is_some();
    let kills = if nightly { KILLS_NIGHTLY } else { KILLS };
    let (mut torn_count, mut acked_count) = (0, 0);
    for series in 0..kills.div_ceil(KILLS_OF_A_DATABASE) {
        let place = Place::new();
        let mut done = Vec::new();
        for kill in 0..KILLS_OF_A_DATABASE.min(kills - series * KILLS_OF_A_DATABASE) {
            let number = series * KILLS_OF_A_DATABASE + kill;
            let way = WAYS[(number % WAYS.len() as u64) as usize];
            let delay = Duration::from_micros(random() % 120_000);
            let keyspace = format!("run-{kill}");
            let acked = run_and_kill(&place, way, kind, &keyspace, delay);
            let (recovered, torn) = check(&place, way, kind, &keyspace, acked, number);
            done.push((keyspace, recovered));
            acked_count += acked;
            torn_count += u64::from(torn);
        }
        // Later kills took nothing from earlier runs.
        let db = Database::open(place.data()).unwrap();
        for (keyspace, count) in done {
            check_prefix(&db, &keyspace, count, "at the end of a series");
        }
        let report = db.verify(&mut |_| {}).unwrap();
        assert!(report.is_intact(), "{report:?}");
    }
    println!(
        "{kills} kills, {kind}: {acked_count} records acknowledged, {torn_count} torn tails cut off"
    );
    assert!(acked_count > kills, "children were killed before they did anything");
}

type Harm = fn(&Found);

#[test]
fn the_check_notices_what_must_not_be() {
    let harms: [(&str, Harm); 4] = [
        ("a hole", |found| found.remove(&record(5).0)),
        ("a missing end", |found| found.remove(&record(9).0)),
        ("another value", |found| found.insert(&record(5).0, "x")),
        ("one too many", |found| found.insert("x", "x")),
    ];
    let kinds = [KeyspaceKind::Hash, KeyspaceKind::Ordered];
    for ((what, harm), kind) in harms.into_iter().flat_map(|harm| kinds.map(|kind| (harm, kind))) {
        let db = Database::open_in_memory().unwrap();
        let found = Found::make(&db, "run", kind);
        for (key, value) in (0..10).map(record) {
            found.insert(&key, &value);
        }
        check_prefix(&db, "run", 10, "whole");
        harm(&found);
        let check = || check_prefix(&db, "run", 10, "harmed on purpose");
        let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
        assert!(noticed.is_err(), "{what} goes unnoticed, {kind}");
    }
}

/// Runs a child for about `delay` behind its first acknowledgement, or from its start for every
/// fourth, so that openings are hit too. Returns how many records it acknowledged.
fn run_and_kill(
    place: &Place,
    way: Way,
    kind: KeyspaceKind,
    keyspace: &str,
    delay: Duration,
) -> u64 {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_annals"));
    command.arg("--data").arg(place.data());
    command.args(["--segment-bytes", way.segment_bytes, "--durability", way.durability]);
    command.args(["--memory-bytes", way.memory_bytes]);
    command.args(["batch-put", "-", "--progress-json", "-k", keyspace]);
    command.args(["--kind", &kind.to_string()]);
    command.args(["--batch", &way.batch.to_string()]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the child starts");
    let stdin = child.stdin.take().expect("a pipe");
    let feeder = thread::spawn(move || {
        let mut to = BufWriter::with_capacity(32 << 10, stdin);
        for n in 0.. {
            let (key, value) = record(n);
            if writeln!(to, "{key},{value}").is_err() {
                drop(to.into_parts());
                return;
            }
        }
    });
    let mut told =
        BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut first = None;
    if !random().is_multiple_of(4) {
        first = told.next();
    }
    let killer = thread::spawn(move || {
        thread::sleep(delay);
        kill(child);
    });
    // What is in the pipe when the child dies was acknowledged too. A last line that was cut off
    // counts for nothing.
    let last = told.filter_map(|line| parse(&line)).last();
    killer.join().expect("the child is killed");
    feeder.join().expect("the feeder ends with the pipe");
    last.or(first.and_then(|line| parse(&line))).unwrap_or(0)
}

fn kill(mut child: Child) {
    // SIGKILL.
    child.kill().expect("the child can be killed");
    let status = child.wait().expect("the child has ended");
    assert_eq!(status.code(), None, "the child ended by itself: {status}");
}

fn parse(line: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(line).ok()?["acked"].as_u64()
}

/// Opens the database as the next process would and compares it with what was fed.
fn check(
    place: &Place,
    way: Way,
    kind: KeyspaceKind,
    keyspace: &str,
    acked: u64,
    number: u64,
) -> (u64, bool) {
    let context = format!("kill {number}, {way:?}, {acked} acknowledged");
    // Now and then somebody looks before the next writer comes.
    if number.is_multiple_of(3) && place.data().join("annals.root").exists() {
        let db = Database::open_read_only(place.data()).expect(&context);
        if let Some(found) = Found::look(&db, keyspace) {
            assert!(found.len() >= acked, "{context}: a reader sees {}", found.len());
        }
    }
    let db = Database::open(place.data()).expect(&context);
    let torn = db.recovery().torn_bytes > 0;
    let recovered = Found::make(&db, keyspace, kind).len();
    assert!(recovered >= acked, "{context}: {recovered} recovered");
    assert_eq!(recovered % way.batch, 0, "{context}: half a commit, {recovered} recovered");
    check_prefix(&db, keyspace, recovered, &context);
    // A database that is dropped, not closed, or killed again right away, must do as well.
    if number.is_multiple_of(2) {
        db.close().expect(&context);
    }
    (recovered, torn)
}

/// The keyspace must hold exactly the first `count` records.
fn check_prefix(db: &Database, keyspace: &str, count: u64, context: &str) {
    let found = Found::look(db, keyspace).expect(context);
    assert_eq!(found.len(), count, "{context}: {keyspace}");
    for n in 0..count {
        let (key, value) = record(n);
        let got = found.get(&key);
        assert_eq!(got.as_deref(), Some(value.as_bytes()), "{context}: {keyspace} {key}");
    }
    if let Found::Ordered(found) = found {
        for (n, entry) in (0..).zip(found.iter().expect(context)) {
            let (entry, (key, value)) = (entry.expect(context), record(n));
            let wanted = (key.as_bytes(), value.as_bytes());
            assert_eq!((entry.key(), entry.value()), wanted, "{context}: {keyspace}");
        }
    }
}

/// A keyspace of either kind, as a child left it.
enum Found {
    Hash(HashKeyspace),
    Ordered(OrderedKeyspace),
}

impl Found {
    fn make(db: &Database, name: &str, kind: KeyspaceKind) -> Self {
        match kind {
            KeyspaceKind::Ordered => Self::Ordered(db.keyspace(name).unwrap()),
            _ => Self::Hash(db.hash_keyspace(name).unwrap()),
        }
    }

    fn look(db: &Database, name: &str) -> Option<Self> {
        let info = db.keyspaces().into_iter().find(|info| info.name == name)?;
        Some(Self::make(db, name, info.kind))
    }

    fn len(&self) -> u64 {
        match self {
            Self::Hash(found) => found.len(),
            Self::Ordered(found) => found.len().unwrap(),
        }
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hash(found) => found.get(key).unwrap().map(|value| value.to_vec()),
            Self::Ordered(found) => found.get(key).unwrap().map(|value| value.to_vec()),
        }
    }

    fn insert(&self, key: &str, value: &str) {
        match self {
            Self::Hash(found) => found.insert(key, value).unwrap(),
            Self::Ordered(found) => found.insert(key, value).unwrap(),
        }
    }

    fn remove(&self, key: &str) {
        match self {
            Self::Hash(found) => assert!(found.remove(key).unwrap()),
            Self::Ordered(found) => assert!(found.remove(key).unwrap()),
        }
    }
}

/// The record at place `n`: values of many lengths, each of them unlike all others.
fn record(n: u64) -> (String, String) {
    let fill = "abcdefghij".repeat((n * n % 37) as usize);
    (format!("key-{n:08}"), format!("{n}-{fill}-{}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}
