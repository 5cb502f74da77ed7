//! The log, and what there is.

use super::{
    common::{Ended, Place},
    versions,
};
use annals::{Database, EventFormat, ExpectedVersion, NewEvent};
use serde_json::{Value, json};
use std::fs;

#[test]
fn the_log_has_all_streams_in_the_order_of_their_events() {
    let place = Place::new();
    place.ok(&["append", "orders", "7", "1", "--type", "placed"]);
    place.ok(&["append", "users", "ada", "2", "--type", "came"]);
    place.ok(&["put", "k", "v"]);
    place.ok(&["append", "orders", "8", "3", "--type", "placed"]);
    place.ok(&["append", "orders", "7", "4", "--type", "paid"]);
    let log = |args: &[&str]| -> Vec<u64> {
        let events = place.json(&[&["log"], args].concat());
        events.iter().map(|event| event["data"].as_u64().unwrap()).collect()
    };
    assert_eq!(log(&[]), [1, 2, 3, 4]);
    assert_eq!(log(&["--type", "placed"]), [1, 3]);
    assert_eq!(log(&["--stream", "users"]), [2]);
    assert_eq!(log(&["--stream", "orders", "--type", "paid"]), [4]);
    assert!(log(&["--type", "nothing"]).is_empty());
    assert_eq!(log(&["--limit", "2"]), [1, 2]);
    let events = place.json(&["log"]);
    let third = events[2]["seq"].to_string();
    assert_eq!(log(&["--from", &third]), [3, 4]);
    let ended = place.run(&["log", "--from", "1000"]);
    assert_eq!((ended.code, ended.stdout.len()), (0, 0));
    assert!(ended.stderr.contains("nothing from 1000 on yet"), "{ended:?}");
    // Compaction takes none of them, and what it moves keeps its place.
    place.ok(&["compact"]);
    assert_eq!(place.json(&["log"]), events);
    // A category that is dropped takes its events along.
    place.ok(&["keyspace", "drop", "orders"]);
    assert_eq!(log(&[]), [2]);
}

#[test]
fn categories_and_streams_are_counted() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    let ended = place.run(&["streams"]);
    assert_eq!((ended.code, ended.stdout.len()), (0, 0));
    assert_eq!(ended.stderr, "annals: the database has no categories of streams\n");
    let lines: String = (0..60)
        .map(|n| {
            let (category, stream) = (["a", "b"][n % 2], n % 10);
            let name = ["t", "u"][usize::from(n > 50)];
            format!(r#"{{"category":"{category}","stream":{stream},"type":"{name}","data":{n}}}"#)
                + "\n"
        })
        .collect();
    place.run_with(&["import-events", "-"], lines.as_bytes()).ok();
    let listed = place.json(&["streams"]);
    let of = |category: &str, types_count: u64| {
        let (streams_count, events_count) = (5, 30);
        json!({
            "category": category, "streams_count": streams_count, "events_count": events_count,
            "types_count": types_count,
        })
    };
    assert_eq!(listed, [of("a", 2), of("b", 2)]);
    assert_eq!(place.json(&["streams", "--limit", "1"]).len(), 1);
    let streams = place.json(&["streams", "a"]);
    let mut ids: Vec<u64> = streams.iter().map(|one| one["stream"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 2, 4, 6, 8]);
    assert!(streams.iter().all(|one| one["events_count"] == 6 && one["category"] == "a"));
    for limit in 0..7 {
        let args = ["streams", "a", "--limit", &limit.to_string()];
        assert_eq!(place.json(&args).len(), limit.min(5));
    }
    assert!(place.ok(&["streams", "b"]).lines().any(|line| line == "3\t6"));
    let text = place.ok(&["streams"]);
    assert!(text.starts_with("category  streams  events  types\na "), "{text}");
}

#[test]
fn a_category_is_a_keyspace_like_others() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "orders", "--kind", "streams"]);
    place.run(&["keyspace", "create", "orders", "--kind", "streams"]).fails(5, "exists");
    place.run(&["keyspace", "create", "orders"]).fails(5, "exists");
    assert_eq!(place.run(&["put", "k", "v", "-k", "soon", "--kind", "streams"]).code, 2);
    place.ok(&["append", "orders", "7", "1", "--type", "placed"]);
    place.ok(&["append", "orders", "7", "2", "--type", "paid"]);
    let listed = place.json(&["keyspace", "list"]);
    assert_eq!((&listed[0]["name"], &listed[0]["kind"]), (&json!("orders"), &json!("streams")));
    assert_eq!(listed.len(), 1);
    let stats = &place.json(&["keyspace", "stats", "orders"])[0];
    assert_eq!((&stats["streams_count"], &stats["events_count"]), (&json!(1), &json!(2)));
    let types = ["placed", "paid"].map(|name| json!({"type": name, "type_version": 1}));
    assert_eq!(stats["event_types"], json!(types));
    assert!(place.ok(&["keyspace", "stats", "orders"]).contains("events   2\n"));
    let changes = place.json(&["changes"]);
    assert_eq!(changes.len(), 3, "{changes:?}");
    let last = &changes[2];
    assert_eq!((&last["kind"], &last["keyspace"]), (&json!("append"), &json!("orders")));
    assert_eq!((&last["key"], &last["value"]), (&json!("7"), &json!("2")));
    assert!(place.ok(&["changes"]).ends_with("\torders\tappend\t7\t2\n"));
    assert_eq!(place.json(&["verify"])[0]["damages_count"], 0);
    place.ok(&["backup", "copy"]);
    place.ok(&["keyspace", "drop", "orders"]);
    place.run(&["read", "orders", "7"]).fails(1, "orders");
    let copy = place.path("copy");
    let args = ["read", "orders", "7", "--data", copy.to_str().unwrap()];
    assert_eq!(versions(&place.json(&args)), [0, 1]);
}

#[test]
fn events_of_programs_are_told_with_all_they_have() {
    let place = Place::new();
    let db = Database::open(place.data()).unwrap();
    let category = db.category("mixed").unwrap();
    let event = NewEvent::json("order-placed", "{\"n\":\n1}").version(3);
    let event = event.id(0x1234).correlation(7).causation(8).with("user", "ada").with("ip", "::1");
    let events = [
        event,
        NewEvent::bytes("raw", b"\xff\0"),
        NewEvent::new("typed", EventFormat::Archive, b"12345678"),
        NewEvent::json("claims-to-be", "no json"),
    ];
    category.append_many("s", &events, ExpectedVersion::Any).unwrap();
    drop(category);
    db.close().unwrap();
    let told = place.json(&["read", "mixed", "s"]);
    let zeroes = "00000000-0000-0000-0000-00000000";
    assert_eq!(told[0]["type_version"], 3);
    assert_eq!(told[0]["id"], format!("{zeroes}1234"));
    assert_eq!(told[0]["correlation"], format!("{zeroes}0007"));
    assert_eq!(told[0]["causation"], format!("{zeroes}0008"));
    assert_eq!(told[0]["metadata"], json!({"user": "ada", "ip": "::1"}));
    assert_eq!(told[0]["data"], json!({"n": 1}));
    for (event, base64, format) in [
        (&told[1], "/wA=", "bytes"),
        (&told[2], "MTIzNDU2Nzg=", "archive"),
        (&told[3], "bm8ganNvbg==", "json"),
    ] {
        assert_eq!((&event["data_base64"], &event["format"]), (&json!(base64), &json!(format)));
        assert!(event.get("data").is_none());
    }
    let text = place.run(&["read", "mixed", "s"]).stdout;
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    assert!(lines[0].ends_with(b"\torder-placed v3\t{\"n\":1}"));
    assert!(lines[1].ends_with(b"\traw\t\xff\0"), "a pipe gets the bytes as they are");
    // And all of it comes back.
    let log = place.ok(&["log", "--json"]);
    let copy = place.path("copy");
    let args = ["import-events", "-", "--data", copy.to_str().unwrap()];
    place.run_with(&args, log.as_bytes()).ok();
    let strip = |mut events: Vec<Value>| {
        for event in &mut events {
            let event = event.as_object_mut().unwrap();
            event.remove("seq");
            event.remove("time");
        }
        events
    };
    let again = place.json(&["log", "--data", copy.to_str().unwrap()]);
    assert_eq!(strip(again), strip(told));
}

/// An event is a record, and neither a key nor a stream; what is looked up is counted alike, whoever counts.
#[test]
fn figures_say_what_they_count() {
    let place = Place::new();
    for (stream, n) in [("1", 0), ("1", 1), ("ada", 0), ("1", 2)] {
        place.ok(&["append", "c", stream, &n.to_string()]);
    }
    place.ok(&["put", "k", "v", "-k", "kv", "--kind", "hash"]);
    place.ok(&["put", "k", "w", "-k", "kv"]);
    let counts = |command: &str| {
        let told = place.json(&[command]).remove(0);
        ["keys_count", "streams_count"].map(|name| told[name].clone())
    };
    for command in ["stats", "verify"] {
        assert_eq!(counts(command), [json!(1), json!(2)], "{command}");
    }
    // Two keyspaces, a type, four events, and a key that was written twice.
    assert_eq!(place.json(&["verify"])[0]["records_count"], 2 + 1 + 4 + 2);
    place.ok(&["stream", "delete", "c", "1"]);
    for command in ["stats", "verify"] {
        assert_eq!(counts(command), [json!(1), json!(2)], "{command}: its versions go on");
    }
}

#[test]
fn reading_changes_nothing() {
    let place = Place::new();
    for n in 0..3 {
        place.ok(&["append", "a", "7", &n.to_string()]);
    }
    let look = || {
        let mut files: Vec<_> = fs::read_dir(place.data())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = look();
    for args in [&["read", "a", "7"][..], &["log"], &["streams"], &["streams", "a"]] {
        place.ok(args);
        assert!(before == look(), "{args:?} changed a file");
    }
}

/// What the README tells a stranger to type.
#[test]
fn the_commands_of_the_readme_run() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once("\n### Event streams\n").expect("a section on streams");
    let (_, script) = section.split_once("```sh\n").expect("commands");
    let (script, _) = script.split_once("```").expect("an end");
    let place = Place::new();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_annals")).parent().expect("a directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).current_dir(place.path(".")).env("PATH", &path);
    let ended: Ended = shell.output().expect("a shell").into();
    assert!(
        ended.stderr.contains("was expected to have version 0, and has version 1"),
        "{ended:?}"
    );
    let told = String::from_utf8(ended.stdout).unwrap();
    assert!(told.contains("\torders\t17\t1\tpaid\t{\"with\":\"card\"}\n"), "{told}");
    assert_eq!(ended.code, 0, "{told}");
}
