//! What commands say: names what was meant, is true, and says what can be done.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Place;

const EVENT: &str = "{\"time\":\"2015-05-17T10:00:00Z\",\"n\":1}\n";

#[test]
fn tables_are_not_scanned() {
    let place = Place::new();
    place.run_with(&["ingest", "t", "-", "--format", "ndjson", "--json"], EVENT.as_bytes());
    for args in [&["append", "t", "7", "1"][..], &["read", "t", "7"], &["streams", "t"]] {
        place.run(args).fails(2, "`annals recent t` lists its events");
    }
    assert_eq!(place.json(&["recent", "t"]).len(), 1, "it does");
    place.ok(&["put", "k", "v"]);
    place.run(&["read", "default", "7"]).fails(2, "`annals scan -k default` lists it");
}

#[test]
fn names_are_told_of_what_was_named() {
    let place = Place::new();
    place.run(&["append", " c", "7", "1"]).fails(2, "cannot be a category's name");
    let ended = place.run_with(&["ingest", "t ", "-", "--format", "ndjson"], EVENT.as_bytes());
    assert!(ended.stderr.contains("cannot be an event table's name"), "{ended:?}");
    assert_eq!(ended.code, 2);
}

#[test]
fn metadata_have_each_name_once() {
    let place = Place::new();
    let append = |pairs: &[&str]| {
        let pairs = pairs.iter().flat_map(|pair| ["--meta", pair]);
        place.run(&[vec!["append", "c", "7", "1"], pairs.collect()].concat())
    };
    append(&["x=1", "x=2"]).fails(2, "--meta says `x` twice");
    assert_eq!(append(&["=1"]).code, 2);
    assert!(!place.data().exists());
    append(&["x=1", "y=1", "z="]).ok();
}

#[test]
fn what_cannot_be_kept_aside_is_told_before_the_load() {
    let place = Place::new();
    let name = "t".repeat(250);
    let args = ["ingest", &name, "-", "--format", "ndjson"];
    place.run_with(&args, EVENT.as_bytes()).fails(2, "name another file with --rejects");
    assert!(!place.data().exists());
    let args = [&args[..], &["--rejects", "aside", "--json"]].concat();
    assert_eq!(place.run_with(&args, EVENT.as_bytes()).code, 0);
}

#[test]
fn a_version_that_a_batch_would_have_made_is_told_as_such() {
    let place = Place::new();
    let line = "{\"category\":\"c\",\"stream\":7,\"type\":\"t\",\"data\":1,\"expected_version\":\"none\"}\n";
    let ended = place.run_with(&["import-events", "-"], line.repeat(2).as_bytes());
    ended.fails(5, "versions count the lines before it in its batch, of which nothing is stored");
    let ended = place.run_with(&["import-events", "-", "--batch", "1"], line.repeat(2).as_bytes());
    ended.fails(5, "; the one event up to line 1 is stored, nothing after it");
    assert!(!ended.stderr.contains("in its batch"), "{ended:?}");
}

#[test]
fn one_event_is_one_and_lists_have_headings() {
    let place = Place::new();
    place.ok(&["append", "c", "7", "1"]);
    assert_eq!(place.ok(&["stream", "info", "c", "7"]), "1 event, version 0\n");
    assert_eq!(place.ok(&["streams", "c"]), "stream\tevents\n7\t1\n");
}
