//! What `annals stats` tells of the process that writes: hits of the cache, stalls, write amplification.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use annals::{Compression, Database, KeyspaceOptions, TreeOptions};
use common::{Place, Running, first_ack};
use serde_json::{Value, json};
use std::{fs, io::Write, process::ChildStdin, thread, time::Duration};

/// How often it is looked what the background of another process has done.
const LOOKS: u32 = 6_000;

fn writer(place: &Place) -> Value {
    place.json(&["stats"])[0]["writer"].clone()
}

/// Looks until the figures are what is wanted.
fn wait(place: &Place, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..LOOKS {
        last = writer(place);
        if wanted(&last) {
            return last;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("never came: {last}");
}

/// A process that holds the database open for writing, and has written tables.
fn live(place: &Place) -> (Running, ChildStdin) {
    let mut child = place.spawn(&[
        "--memory-bytes",
        "64KiB",
        "batch-put",
        "-",
        "--batch",
        "1",
        "--progress-json",
        "-k",
        "k",
        "--kind",
        "ordered",
    ]);
    let mut stdin = child.child.stdin.take().unwrap();
    first_ack(&mut child, &mut stdin);
    // What it answers has room in the pipe.
    let lines = (0..1_000).map(|key| format!("key-{key:06},{}\n", "v".repeat(400)));
    stdin.write_all(lines.collect::<String>().as_bytes()).unwrap();
    stdin.flush().unwrap();
    (child, stdin)
}

#[test]
fn a_live_writer_is_told_of() {
    let place = Place::new();
    let (mut child, stdin) = live(&place);
    let is_there = |found: &Value| found["flushed_bytes"].as_u64() > Some(100_000);
    let found = wait(&place, is_there);
    assert_eq!(found["state"], "open", "{found}");
    assert_eq!(found["process_id"], json!(child.child.id()));
    assert!(found["write_amplification"].as_f64() >= Some(1.0), "{found}");
    assert!(found["appended_bytes"].as_u64() > Some(100_000), "{found}");
    for field in ["stalls_count", "cache_hits_count", "cache_misses_count", "held_tables_count"] {
        assert!(found[field].is_u64(), "{field} in {found}");
    }
    assert!(found["stalled_seconds"].is_number(), "{found}");
    assert!(found["cache_hit_rate"].is_null(), "tables that are read in place: {found}");
    let [opened, as_of] = ["opened", "as_of"].map(|field| found[field].as_str().unwrap());
    assert!(opened.starts_with("20") && opened.ends_with('Z') && opened <= as_of, "{found}");
    let text = place.ok(&["stats"]);
    for label in
        ["state", "opened", "as of", "cache hit rate", "stalls", "stalled", "write amplification"]
    {
        let label = format!("writer: {label} ");
        assert!(text.lines().any(|line| line.starts_with(&label)), "{label} in {text}");
    }

    // It is killed: nobody knows what it did after it told this.
    child.child.kill().unwrap();
    child.child.wait().unwrap();
    drop(stdin);
    let last = writer(&place);
    assert_eq!((&last["state"], &last["process_id"]), (&json!("died"), &found["process_id"]));

    // The next one that closes it has figures of its own.
    place.ok(&["put", "a", "1", "-k", "k"]);
    let next = writer(&place);
    assert_eq!(next["state"], "closed", "{next}");
    assert_ne!(next["process_id"], found["process_id"]);
    assert!(next["opened"].as_str() >= last["as_of"].as_str(), "{next} behind {last}");
}

/// A program that reads a lot, with tables that the cache is there for.
#[test]
fn hits_of_the_cache_are_told_beside_the_program_and_after_it() {
    let place = Place::new();
    let db = Database::open(place.data()).unwrap();
    let bottom_compression = Compression::Lz4;
    let tables =
        TreeOptions { compression: Compression::Lz4, bottom_compression, ..TreeOptions::default() };
    let keyspace = db.create_keyspace("k", KeyspaceOptions::default(), tables).unwrap();
    for key in 0..1_000_u32 {
        keyspace.insert(key.to_be_bytes(), [key as u8; 50]).unwrap();
    }
    db.checkpoint().unwrap();
    for _ in 0..8 {
        assert!(keyspace.contains(7_u32.to_be_bytes()).unwrap());
    }
    let own = db.stats().writer.unwrap();
    let is_all = |found: &Value| found["cache_hits_count"] == json!(own.cache_hits);
    let found = wait(&place, is_all);
    assert_eq!((&found["state"], &found["process_id"]), (&json!("open"), &json!(own.pid)));
    let rate = found["cache_hit_rate"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&rate), "{found}");
    assert!(place.ok(&["stats"]).lines().any(|line| {
        line.starts_with("writer: cache hit rate ") && line.trim_end().ends_with('%')
    }));
    drop(keyspace);
    db.close().unwrap();
    let last = writer(&place);
    assert_eq!((&last["state"], &last["cache_hit_rate"]), (&json!("closed"), &json!(rate)));
}

#[test]
fn figures_that_are_torn_or_flipped_or_missing_are_passed_over() {
    let place = Place::new();
    place.ok(&["put", "a", "1", "-k", "k", "--kind", "ordered"]);
    let path = place.data().join("annals.figures");
    let whole = fs::read(&path).unwrap();
    assert_eq!(writer(&place)["state"], "closed");
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    for bytes in [&flipped[..], &whole[..50], b""] {
        fs::write(&path, bytes).unwrap();
        assert!(place.json(&["stats"])[0].get("writer").is_none(), "{} bytes", bytes.len());
        assert!(!place.ok(&["stats"]).contains("writer:"));
        place.ok(&["verify"]);
        place.ok(&["backup", &format!("copy-{}", bytes.len())]);
        fs::write(&path, bytes).unwrap();
        assert_eq!(place.ok(&["get", "a", "-k", "k"]), "1");
    }
    place.ok(&["put", "b", "2", "-k", "k"]);
    assert_eq!(writer(&place)["state"], "closed", "written anew");

    // Where they cannot be written all else can.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    place.ok(&["put", "c", "3", "-k", "k"]);
    assert!(place.json(&["stats"])[0].get("writer").is_none());
    assert_eq!(place.ok(&["get", "c", "-k", "k"]), "3");
}
