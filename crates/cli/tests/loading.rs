//! `batch-put`: bulk loads, what is acknowledged, and what stays when a line is no record.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, objects};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};

#[test]
fn a_file_is_loaded_line_by_line() {
    let place = Place::new();
    let file = place.file("users.csv", "ada,1815,London\ncharles,\n,nobody\r\nlast,line");
    let report = &place.json(&["batch-put", file.to_str().unwrap()])[0];
    assert_eq!(report["records_count"], 4);
    assert_eq!(report["input_bytes"], 43);
    assert!(report["records_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    assert_eq!(place.ok(&["get", "ada"]), "1815,London");
    assert_eq!(place.ok(&["get", "charles"]), "");
    assert_eq!(place.ok(&["get", ""]), "nobody\r", "a carriage return is kept");
    assert_eq!(place.ok(&["get", "last"]), "line");
    let text = place.ok(&["batch-put", file.to_str().unwrap(), "-k", "again"]);
    assert!(text.contains("records ") && text.contains('4'), "{text}");
}

#[test]
fn separators_and_line_numbers() {
    let place = Place::new();
    place.run_with(&["batch-put", "-", "--separator", "\\t"], b"a,b\tc\td\n").ok();
    assert_eq!(place.ok(&["get", "a,b"]), "c\td");
    place.run_with(&["batch-put", "-", "--separator", "::"], b"x:y::z").ok();
    assert_eq!(place.ok(&["get", "x:y"]), "z");
    let args = ["batch-put", "-", "--key-from-line-number", "-k", "lines"];
    place.run_with(&args, b"first\n\n\xffthird\n").ok();
    assert_eq!(place.ok(&["get", "0000000001", "-k", "lines"]), "first");
    assert_eq!(place.ok(&["get", "0000000002", "-k", "lines"]), "");
    assert_eq!(place.run(&["get", "0000000003", "-k", "lines"]).stdout, b"\xffthird");
    place.run(&["get", "0000000004", "-k", "lines"]).fails(1, "0000000004");
}

#[test]
fn blank_lines_are_passed_over_and_counted() {
    let place = Place::new();
    let ended = place.run_with(&["batch-put", "-"], b"\na,1\n\r\nb,2\n\n");
    assert_eq!((ended.code, &*ended.stderr), (0, "annals: 3 blank lines passed over\n"));
    assert_eq!(common::sorted(&place.json(&["keys"]), "key"), ["a", "b"]);
    let ended = place.run_with(&["--json", "batch-put", "-"], b"c,3\n\n");
    assert_eq!(objects(&ended.stderr)[0]["blank_lines_count"], 1);
    let told = objects(std::str::from_utf8(&ended.stdout).unwrap());
    assert_eq!((told.len(), &told[0]["records_count"]), (1, &json!(1)));
    // A line with something on it that is no record is none that somebody left empty.
    place.run_with(&["batch-put", "-"], b"d,4\n \n").fails(2, "line 2 has no separator");
}

#[test]
fn every_commit_is_acknowledged() {
    let place = Place::new();
    let lines: String = (0..25).map(|n| format!("{n},v\n")).collect();
    let args = ["batch-put", "-", "--batch", "10", "--progress-json"];
    let told = place.run_with(&args, lines.as_bytes()).ok();
    let wanted = [json!({"acked": 10}), json!({"acked": 20}), json!({"acked": 25})];
    assert_eq!(objects(&told), wanted);
    assert_eq!(told.lines().next(), Some("{\"acked\":10}"));
    assert_eq!(place.run_with(&args, b"").ok(), "", "nothing to acknowledge");
}

#[test]
fn an_acknowledgement_does_not_wait_for_more_input() {
    let place = Place::new();
    let mut load = place.spawn(&["batch-put", "-", "--batch", "2", "--progress-json"]);
    let mut stdin = load.child.stdin.take().unwrap();
    let mut stdout = BufReader::new(load.child.stdout.take().unwrap());
    for round in 1..=3 {
        write!(stdin, "a{round},1\nb{round},2\n").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{{\"acked\":{}}}\n", round * 2));
        let key = format!("b{round}");
        assert_eq!(place.ok(&["get", &key]), "2", "beside the live writer");
    }
    drop(stdin);
    assert!(load.child.wait().unwrap().success());
}

#[test]
fn a_line_that_is_no_record_ends_the_load_and_what_was_committed_stays() {
    let place = Place::new();
    let lines = "a,1\nb,2\nc,3\nno separator here\nd,4\n";
    let ended = place.run_with(&["batch-put", "-", "--batch", "2"], lines.as_bytes());
    ended.fails(2, "line 4");
    ended.fails(2, "the 2 records up to line 2 are stored");
    assert_eq!(common::sorted(&place.json(&["keys"]), "key"), ["a", "b"]);

    let place = Place::new();
    let ended = place.run_with(&["batch-put", "-"], lines.as_bytes());
    ended.fails(2, "nothing was stored");
    assert!(place.json(&["keyspace", "list"]).is_empty());
}

#[test]
fn a_key_too_long_names_its_line() {
    let place = Place::new();
    let input = format!("a,1\n{},2\n", "k".repeat(70_000));
    let ended = place.run_with(&["batch-put", "-", "--batch", "1"], input.as_bytes());
    ended.fails(2, "line 2");
    assert_eq!(place.json(&["keys"]), [json!({"key": "a"})]);
}

#[test]
fn batches_larger_than_a_segment_are_loaded() {
    let place = Place::new();
    let value = "v".repeat(9_000);
    let lines: String = (0..3_000).map(|n| format!("{n},{value}{n}\n")).collect();
    let args = ["batch-put", "-", "--batch", "3000", "--progress-json"];
    let told = objects(&place.run_with(&args, lines.as_bytes()).ok());
    assert!(told.len() > 1, "a batch of 27 MB is split: {told:?}");
    assert_eq!(told.last(), Some(&json!({"acked": 3000})));
    assert_eq!(place.ok(&["get", "2999"]), format!("{value}2999"));
    assert_eq!(place.json(&["verify"])[0]["damages_count"], 0);
}

#[test]
fn a_load_goes_on_when_nobody_hears_its_acknowledgements() {
    let place = Place::new();
    let mut load = place.spawn(&["batch-put", "-", "--batch", "1", "--progress-json"]);
    drop(load.child.stdout.take());
    let mut stdin = load.child.stdin.take().unwrap();
    for n in 0..100 {
        writeln!(stdin, "{n},v").unwrap();
    }
    drop(stdin);
    assert!(load.child.wait().unwrap().success());
    assert_eq!(place.json(&["keys"]).len(), 100);
}

#[test]
fn a_load_that_stores_nothing_leaves_no_keyspace() {
    let place = Place::new();
    place.ok(&["put", "k", "v", "-k", "kept"]);
    place.run_with(&["batch-put", "-", "-k", "new"], b"a,1\nno separator\n").fails(2, "line 2");
    place.run_with(&["batch-put", "-", "-k", "kept"], b"no separator\n").fails(2, "line 1");
    let names = |place: &Place| common::sorted(&place.json(&["keyspace", "list"]), "name");
    assert_eq!(names(&place), ["kept"]);
    assert_eq!(place.ok(&["get", "k", "-k", "kept"]), "v");
    let args = ["batch-put", "-", "-k", "new", "--batch", "1"];
    place.run_with(&args, b"a,1\nno separator\n").fails(2, "line 2");
    assert_eq!(names(&place), ["kept", "new"]);
    assert_eq!(place.ok(&["get", "a", "-k", "new"]), "1");
}

#[test]
fn input_that_is_refused_makes_no_database() {
    let place = Place::new();
    let file = place.file("records", "no separator here\n");
    let input = file.to_str().expect("a path");
    place.run(&["batch-put", input]).fails(2, "line 1 has no separator");
    assert!(!place.data().exists(), "not even a directory");
    place.run(&["batch-put", "nowhere"]).fails(2, "there is no file");
    assert!(!place.data().exists());
    let ended = place.run_with(&["batch-put", "-"], b"a,1\nb,2\n");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(place.ok(&["get", "a"]), "1");
    assert_eq!(place.ok(&["get", "b"]), "2");
}

#[test]
fn memory_that_would_not_do_is_refused() {
    let place = Place::new();
    for bytes in ["0", "65535"] {
        assert_eq!(place.run(&["put", "a", "1", "--memory-bytes", bytes]).code, 2);
        assert!(!place.data().exists());
    }
    place.ok(&["put", "a", "1", "--memory-bytes", "64KiB"]);
}
