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

/// What was written, where, and what to write instead.
#[test]
fn numbers_that_are_none_are_told_with_what_to_write() {
    let place = Place::new();
    place.ok(&["append", "c", "7", "1"]);
    let (whole, one) = ("write a whole number from 0 to 1844", "write a whole number from 1 to");
    let (version, no_time) = ("write the version of the last event, any, none or exists", "number");
    for (args, bad, place_of_it, told) in [
        (&["log", "--from"][..], "abc", "'--from <SEQ>'", whole),
        (&["log", "--limit"], "-1", "'--limit <N>'", whole),
        (&["changes", "--from"], "18446744073709551616", "'--from <SEQ>'", whole),
        (&["read", "c", "7", "--from"], "-1", "'--from <V>'", whole),
        (&["read", "c", "7", "--limit"], "1.5", "'--limit <N>'", whole),
        (&["streams", "--limit"], "", "'--limit <N>'", whole),
        (&["keys", "--limit"], "-2", "'--limit <N>'", whole),
        (&["append", "c", "7", "1", "--expected-version"], "foo", "'--expected-version <", version),
        (&["append", "c", "7", "1", "--expected-version"], "-1", "'--expected-version <", version),
        (&["append", "c", "7", "1", "--type-version"], "-1", "'--type-version <N>'", "4294967295"),
        (&["stream", "truncate", "c", "7"], "last", "'<VERSION>'", whole),
        (&["stream", "truncate", "c", "7"], "-1", "'<VERSION>'", whole),
        (&["stream", "keep", "c", "7", "--count"], "-1", "'--count <N>'", whole),
        (&["import-events", "-", "--batch"], "0", "'--batch <N>'", one),
        (&["batch-put", "-", "--batch"], "-3", "'--batch <N>'", one),
        (&["ingest", "t", "-", "--from-line"], "0", "'--from-line <N>'", one),
        (&["recent", "t", "-n"], "-1", "'--count <N>'", whole),
        (&["query", "t", "--top"], "x", "'--top <N>'", whole),
        (&["put", "k", "v", "--ttl"], "-5", "'--ttl <TIME>'", no_time),
        (&["put", "k", "v", "--segment-bytes"], "-5", "'--segment-bytes <BYTES>'", no_time),
    ] {
        for form in [None, Some("--json")] {
            let ended = place.run(&[form.as_slice(), args, &[bad]].concat());
            assert_eq!(ended.code, 2, "{args:?} {bad}: {ended:?}");
            for part in [&format!("'{bad}'"), place_of_it, told] {
                assert!(ended.stderr.contains(part), "{args:?} {bad}: no {part} in {ended:?}");
            }
        }
    }
    assert_eq!(place.json(&["log"]).len(), 1, "nothing was done");
}
