//! `keyspace load`: sorted lines in place of all that an ordered keyspace has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, objects};
use serde_json::json;
use std::io::Write;

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{n:06},value {n}\n")).collect()
}

#[test]
fn sorted_lines_are_loaded_and_take_the_place_of_others() {
    let place = Place::new();
    let file = place.file("sorted.csv", lines(0..20_000));
    let report = &place.json(&["keyspace", "load", "days", file.to_str().unwrap()])[0];
    assert_eq!(report["records_count"], 20_000);
    assert_eq!(report["input_bytes"], lines(0..20_000).len());
    assert_eq!(place.ok(&["get", "-k", "days", "017000"]), "value 17000");
    let told = objects(&place.ok(&["--json", "keyspace", "list"]));
    assert_eq!((&told[0]["name"], &told[0]["kind"]), (&json!("days"), &json!("ordered")));

    // What is there does not go without a word.
    let again = ["keyspace", "load", "days", "-"];
    place.run_with(&again, b"a,1\n").fails(2, "add to them with batch-put");
    assert_eq!(place.ok(&["get", "-k", "days", "000000"]), "value 0");
    let args = ["keyspace", "load", "days", "-", "--replace", "--separator", "\\t"];
    let told = place.run_with(&args, b"a\t1\nb\t2").ok();
    assert!(told.contains("records ") && told.contains('2'), "{told}");
    assert_eq!(place.ok(&["scan", "-k", "days"]), "a\t1\nb\t2\n");
    let kinds: Vec<_> = place
        .json(&["changes"])
        .into_iter()
        .map(|change| {
            (change["kind"].as_str().unwrap().to_owned(), change["records_count"].clone())
        })
        .collect();
    let of = |count: u32| ("replace_keyspace".to_owned(), json!(count));
    assert_eq!(kinds, [("create_keyspace".to_owned(), json!(null)), of(20_000), of(2)]);
    assert!(place.ok(&["changes"]).contains("\tdays\treplace keyspace\t20,000 records\n"));
    place.ok(&["verify"]);
}

#[test]
fn lines_may_be_records_by_their_numbers() {
    let place = Place::new();
    let args = ["keyspace", "load", "lines", "-", "--key-from-line-number"];
    place.run_with(&args, b"z\n\na\n").ok();
    assert_eq!(place.ok(&["get", "-k", "lines", "0000000002"]), "");
    assert_eq!(place.ok(&["get", "-k", "lines", "0000000003"]), "a");
}

#[test]
fn what_cannot_be_loaded_is_named_by_its_line_and_nothing_is_stored() {
    let place = Place::new();
    let load = ["keyspace", "load", "days", "-"];
    // Nothing comes to be of input that is none from the start.
    place.run_with(&load, b"").fails(2, "the input has no records; nothing was stored");
    place.run_with(&load, b"\n\nno separator\n").fails(2, "line 3 has no separator");
    assert!(!place.data().join("annals.root").exists());
    let cases = [
        (
            format!("{}\n000999,again\n", lines(0..1_000)),
            "line 1002 has the same key as the record before it",
        ),
        (
            format!("{}000998,lower\n", lines(0..1_000)),
            "line 1001 has a lower key than the record before it",
        ),
        (format!("{}no separator\n", lines(0..1_000)), "line 1001 has no separator"),
        (format!("a,1\n{},2\n", "x".repeat(70_000)), "line 2: a key of 70000 bytes is too long"),
    ];
    for is_there in [false, true] {
        if is_there {
            place.run_with(&load, b"a,1\n").ok();
        }
        for (input, told) in &cases {
            let args = [&load[..], &["--replace", "--progress-json"]].concat();
            let ended = place.run_with(&args, input.as_bytes());
            ended.fails(2, told);
            ended.fails(2, "nothing was stored");
            assert!(ended.stdout.is_empty(), "nothing is acknowledged");
            let names = place.json(&["keyspace", "list"]).len();
            assert_eq!(names, usize::from(is_there), "{told}");
            if is_there {
                assert_eq!(place.ok(&["scan", "-k", "days"]), "a\t1\n");
            }
        }
    }
    place.ok(&["keyspace", "create", "heap", "--kind", "hash"]);
    let heap = ["keyspace", "load", "heap", "-", "--replace"];
    place.run_with(&heap, b"a,1\n").fails(2, "whose keys have no order");
    place.ok(&["keyspace", "create", "orders", "--kind", "streams"]);
    let orders = ["keyspace", "load", "orders", "-"];
    place.run_with(&orders, b"a,1\n").fails(2, "is a category of streams");
    place.run(&["keyspace", "load", "days", "missing"]).fails(2, "there is no file missing");
}

/// It is acknowledged once, at the end: who is killed before has stored nothing.
#[test]
fn a_load_is_acknowledged_once() {
    let place = Place::new();
    let args = ["keyspace", "load", "days", "-", "--replace", "--progress-json"];
    let told = place.run_with(&args, lines(0..5_000).as_bytes()).ok();
    assert_eq!(objects(&told), [json!({"acked": 5_000})]);

    let mut load = place.spawn(&args);
    let mut stdin = load.child.stdin.take().unwrap();
    // More than it could keep to itself.
    stdin.write_all(lines(0..50_000).as_bytes()).unwrap();
    stdin.flush().unwrap();
    load.child.kill().unwrap();
    let output = load.child.wait().unwrap();
    assert!(!output.success());
    let mut told = String::new();
    std::io::Read::read_to_string(&mut load.child.stdout.take().unwrap(), &mut told).unwrap();
    assert_eq!(told, "");
    assert_eq!(place.ok(&["keys", "-k", "days"]).lines().count(), 5_000);
    // What it had written is removed by the next writer.
    let told = place.run_with(&args, b"a,1\n").ok();
    assert_eq!(objects(&told), [json!({"acked": 1})]);
    let entries = std::fs::read_dir(place.data()).unwrap();
    let tables = entries.filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "tbl")
    });
    assert_eq!(tables.count(), 1);
}
