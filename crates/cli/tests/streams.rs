//! Streams of events: append, read, log, streams, and keyspaces of their kind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use annals::{Database, EventFormat, ExpectedVersion, NewEvent};
use common::{Place, Running, objects, sorted};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout},
    time::Duration,
};

const UUID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// What a command that fails says: its code, and the object on standard error.
fn error(place: &Place, args: &[&str]) -> (i32, Value) {
    let ended = place.run(&[&["--json"], args].concat());
    assert!(ended.stdout.is_empty(), "{ended:?}");
    let object = objects(&ended.stderr).remove(0);
    assert_eq!(object["exit_code"], ended.code);
    (ended.code, object)
}

fn versions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["version"].as_u64().unwrap()).collect()
}

#[test]
fn what_is_appended_is_read_in_its_order_from_both_ends() {
    let place = Place::new();
    let first = place.json(&["append", "orders", "7", r#"{"apples":7}"#, "--type", "placed"]);
    let seq = first[0]["seq"].as_u64().unwrap();
    let told = json!({
        "category": "orders", "stream": 7, "version": 0, "seq": seq, "was_there": false,
    });
    assert_eq!(first, [told]);
    place.run_with(&["append", "orders", "7", "-"], b" [1,\n 2]\r\n").ok();
    let told = place.ok(&["append", "orders", "7", "-5", "--type", "paid"]);
    assert!(told.starts_with("version 2, seq "), "{told}");

    let events = place.json(&["read", "orders", "7"]);
    assert_eq!(versions(&events), [0, 1, 2]);
    let mut first = events[0].clone();
    let time = first.as_object_mut().unwrap().remove("time").unwrap();
    assert!(time.as_str().unwrap().starts_with("20") && time.as_str().unwrap().ends_with('Z'));
    let wanted = json!({
        "category": "orders", "stream": 7, "version": 0, "seq": seq, "type": "placed",
        "type_version": 1, "data": {"apples": 7}, "id": null, "correlation": null,
        "causation": null, "metadata": {},
    });
    assert_eq!(first, wanted);
    assert_eq!((&events[1]["data"], &events[1]["type"]), (&json!([1, 2]), &json!("event")));
    assert_eq!(events[2]["data"], -5);

    let read = |args: &[&str]| versions(&place.json(&[&["read", "orders", "7"], args].concat()));
    assert_eq!(read(&["--backward"]), [2, 1, 0]);
    assert_eq!(read(&["--from", "1"]), [1, 2]);
    assert_eq!(read(&["--from", "1", "--backward"]), [1, 0]);
    assert_eq!(read(&["--from", "9", "--backward"]), [2, 1, 0]);
    assert_eq!(read(&["--limit", "2"]), [0, 1]);
    assert!(read(&["--limit", "0"]).is_empty());
    let text = place.ok(&["read", "orders", "7", "--from", "1"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("\torders\t7\t1\tevent\t[1,2]"), "on one line: {text}");
    assert!(lines[1].ends_with("\torders\t7\t2\tpaid\t-5"), "{text}");
    // What is not there yet is no failure.
    let ended = place.run(&["read", "orders", "7", "--from", "3"]);
    assert_eq!((ended.code, ended.stdout.len()), (0, 0));
    assert_eq!(ended.stderr, "annals: nothing from version 3 on yet: the last event is 2\n");
}

#[test]
fn streams_have_one_name_each() {
    let place = Place::new();
    let numbers = ["7", "9007199254740992", "9007199254740993", "18446744073709551615"];
    for id in numbers.into_iter().chain(["007", UUID, "ada", "18446744073709551616", ""]) {
        place.ok(&["append", "c", id, "1"]);
        let events = place.json(&["read", "c", id]);
        assert_eq!(versions(&events), [0], "{id}");
        let told = &events[0]["stream"];
        // Many readers of JSON round what is larger than 2^53.
        assert_eq!(told.is_u64(), ["7", "9007199254740992"].contains(&id), "{told}");
        assert_eq!(told.to_string().trim_matches('"'), id);
    }
    let db = Database::open_read_only(place.data()).unwrap();
    let category = db.open_category("c").unwrap();
    assert!(category.exists(7u64).unwrap() && category.exists("007").unwrap());
    assert!(category.exists(u64::MAX).unwrap() && !category.exists("7").unwrap());
    assert!(!category.exists(UUID).unwrap(), "a UUID is no text");
    let long = "x".repeat(1_025);
    assert_eq!(error(&place, &["append", "c", &long, "1"]).0, 2);
    let (code, told) = error(&place, &["append", "c", "x", "1", "--type", ""]);
    assert!(code == 2 && told.to_string().contains("an event type's name"), "{told}");
    // What is printed is read back as the same streams.
    let (log, file) = (place.ok(&["log", "--json"]), place.data().with_extension("ndjson"));
    std::fs::write(&file, log).unwrap();
    let copy = Place::new();
    copy.ok(&["import-events", file.to_str().unwrap()]);
    let db = Database::open_read_only(copy.data()).unwrap();
    let category = db.open_category("c").unwrap();
    assert!(category.exists(u64::MAX).unwrap() && category.exists((1u64 << 53) + 1).unwrap());
}

/// A number and the text that reads the same are two streams: everywhere in the command, and in a copy that is made
/// by way of JSON.
#[test]
fn numbers_and_texts_that_read_the_same_stay_apart() {
    let place = Place::new();
    let names = ["7", "text:7", "9007199254740993", "text:9007199254740993"];
    let names = names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let names =
        [names, vec![UUID.to_owned(), format!("text:{UUID}"), "text:text:7".into()]].concat();
    for (at, name) in names.iter().enumerate() {
        for _ in 0..=at {
            place.ok(&["append", "c", name, "1"]);
        }
    }
    let check = |place: &Place| {
        for (at, name) in names.iter().enumerate() {
            assert_eq!(place.json(&["read", "c", name]).len(), at + 1, "{name}");
            let info = place.ok(&["stream", "info", "c", name]);
            assert!(info.starts_with(&format!("{} event", at + 1)), "{name}: {info}");
        }
        let db = Database::open_read_only(place.data()).unwrap();
        let category = db.open_category("c").unwrap();
        for text in ["7", "9007199254740993", UUID, "text:7"] {
            assert!(category.exists(text).unwrap(), "{text}");
        }
        assert!(category.exists(7u64).unwrap() && category.exists((1u64 << 53) + 1).unwrap());
        assert_eq!(category.streams_count().unwrap(), names.len() as u64);
    };
    check(&place);
    // A listing has the names by which the streams are read.
    let listed = place.ok(&["streams", "c"]);
    for (at, name) in names.iter().enumerate() {
        assert!(listed.contains(&format!("{name}\t{}\n", at + 1)), "{name}: {listed}");
    }
    assert!(place.ok(&["log", "--limit", "3"]).contains("\tc\ttext:7\t1\t"));
    let told = place.json(&["streams", "c"]);
    let kinds = told.iter().filter(|told| told["stream_kind"] == "text");
    assert_eq!(kinds.count(), 3, "only what reads like something else needs a kind: {told:?}");

    let copy = Place::new();
    copy.run_with(&["import-events", "-"], place.ok(&["log", "--json"]).as_bytes()).ok();
    check(&copy);
    // What says no kind is read as ever.
    let line =
        |id: &str| format!("{{\"category\":\"old\",\"stream\":{id},\"type\":\"t\",\"data\":1}}\n");
    let old = line("\"7\"") + &line("7") + &line("\"text:7\"") + &line("\"9007199254740993\"");
    copy.run_with(&["import-events", "-"], old.as_bytes()).ok();
    assert_eq!(copy.json(&["read", "old", "7"]).len(), 2);
    assert_eq!(copy.json(&["read", "old", "text:text:7"]).len(), 1);
    assert_eq!(copy.json(&["read", "old", "9007199254740993"]).len(), 1);
}

#[test]
fn an_append_is_refused_where_the_stream_is_not_as_expected() {
    let place = Place::new();
    let append =
        |expected: &str| place.run(&["append", "orders", "7", "1", "--expected-version", expected]);
    for expected in ["0", "exists"] {
        append(expected).fails(5, "and has none");
        assert!(!place.data().exists(), "no database is made for what is refused");
    }
    append("none").ok();
    append("none").fails(5, "was expected to have no events, and has version 0");
    append("0").ok();
    append("0").fails(5, "was expected to have version 0, and has version 1");
    append("7").fails(5, "was expected to have version 7, and has version 1");
    append("exists").ok();
    append("any").ok();
    let args = ["append", "orders", "7", "1", "--expected-version", "0"];
    let (code, object) = error(&place, &args);
    assert_eq!((code, &object["kind"]), (5, &json!("conflict")), "{object}");
    assert_eq!(place.json(&["read", "orders", "7"]).len(), 4, "what was refused left nothing");
    // Nor does a category stay that was made for it.
    let args = ["append", "other", "7", "1", "--expected-version", "exists"];
    place.run(&args).fails(5, "and has none");
    assert_eq!(sorted(&place.json(&["keyspace", "list"]), "name"), ["orders"]);
}

#[test]
fn an_append_with_an_id_can_be_repeated() {
    let place = Place::new();
    let append = |id: &str, data: &str, expected: &str| {
        let args = ["append", "orders", "7", data, "--id", id, "--expected-version", expected];
        place.json(&args).remove(0)
    };
    let other = "00000000-0000-0000-0000-000000000001";
    let first = append(UUID, "1", "none");
    append(other, "2", "0");
    // The stream is no longer as it was expected to be, and nothing is appended.
    let again = append(UUID, "1", "none");
    assert_eq!((&first["was_there"], &again["was_there"]), (&json!(false), &json!(true)));
    assert_eq!((&again["version"], &again["seq"]), (&json!(0), &first["seq"]));
    let told = place.ok(&["append", "orders", "7", "1", "--id", UUID]);
    assert!(
        told.starts_with("version 0, seq ") && told.ends_with(", was there already\n"),
        "{told}"
    );
    let ids: Vec<Value> =
        place.json(&["read", "orders", "7"]).iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids, [json!(UUID), json!(other)]);
    // Elsewhere the id says nothing.
    place.ok(&["append", "orders", "8", "1", "--id", UUID]);
    assert_eq!(place.json(&["log"]).len(), 3);
    assert_eq!(error(&place, &["append", "orders", "7", "1", "--id", "7"]).0, 2);
}

#[test]
fn an_event_takes_along_what_it_is_given() {
    let place = Place::new();
    let causation = "00000000-0000-0000-0000-00000000000a";
    place.ok(&[
        "append",
        "orders",
        "7",
        "{}",
        "--type",
        "placed",
        "--type-version",
        "3",
        "--correlation",
        UUID,
        "--causation",
        causation,
        "--meta",
        "user=ada",
        "--meta",
        "why=a=b",
        "--meta",
        "empty=",
    ]);
    let event = place.json(&["read", "orders", "7"]).remove(0);
    assert_eq!((&event["type"], &event["type_version"]), (&json!("placed"), &json!(3)));
    assert_eq!((&event["correlation"], &event["causation"]), (&json!(UUID), &json!(causation)));
    assert_eq!(event["metadata"], json!({"user": "ada", "why": "a=b", "empty": ""}));
    assert_eq!(event["id"], json!(null));
    for bad in [["--meta", "user"], ["--correlation", "x"], ["--type-version", "-1"]] {
        let args = [&["append", "orders", "7", "1"][..], &bad].concat();
        assert_eq!(error(&place, &args).0, 2, "{bad:?}");
    }
    assert_eq!(place.json(&["log"]).len(), 1);
}

#[test]
fn a_chained_stream_tells_its_head_and_whether_it_is_what_it_was() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "audit", "--kind", "streams", "--chained"]);
    for kind in [&["--kind", "hash"][..], &[]] {
        let args = [&["keyspace", "create", "other", "--chained"][..], kind].concat();
        place.run(&args).fails(2, "add --kind streams");
    }
    assert_eq!(place.json(&["keyspace", "stats", "audit"])[0]["chained"], json!(true));
    let text = place.ok(&["append", "audit", "ada", r#"{"role":"admin"}"#, "--type", "granted"]);
    assert!(text.starts_with("version 0"), "{text}");
    let head = place.ok(&["stream", "verify", "audit", "ada"]).trim_end().to_owned();
    let told = place.json(&["stream", "verify", "audit", "ada"]);
    assert_eq!(
        told,
        [json!({"category": "audit", "stream": "ada", "events_count": 1, "head": head})]
    );
    let events = place.json(&["read", "audit", "ada"]);
    assert_eq!(head, format!("0:{}", events[0]["hash"].as_str().unwrap()));
    place.ok(&["append", "audit", "ada", "{}", "--type", "revoked"]);
    place.ok(&["append", "audit", "bob", "{}"]);
    let told = place.json(&["stream", "verify", "audit", "ada", "--head", &head]);
    assert_eq!(told[0]["events_count"], 2);
    let report = place.json(&["verify"]).remove(0);
    assert_eq!((&report["chains_count"], &report["chained_events_count"]), (&json!(2), &json!(3)));

    place.run(&["stream", "verify", "audit", "eve"]).fails(1, "`audit` has no stream `eve`");
    let other = head.replace(&head[2..4], if &head[2..4] == "00" { "11" } else { "00" });
    place
        .run(&["stream", "verify", "audit", "ada", "--head", &other])
        .fails(3, "`ada` of `audit` is broken at version 0: its hash is another");
    place
        .run(&["stream", "verify", "audit", "bob", "--head", &head])
        .fails(3, "`bob` of `audit` is broken at version 0");
    let later = head.replacen("0:", "9:", 1);
    place
        .run(&["stream", "verify", "audit", "ada", "--head", &later])
        .fails(3, "at version 2: the stream ends before it, and a hash of version 9 was kept");
    place.ok(&["append", "plain", "ada", "1"]);
    place.run(&["stream", "verify", "plain", "ada"]).fails(2, "have no hashes");
    assert_eq!(error(&place, &["stream", "verify", "audit", "ada", "--head", "0:12"]).0, 2);

    // What is taken elsewhere follows other events there, and has other hashes.
    let lines = place.ok(&["log", "--json"]);
    let copy = Place::new();
    copy.ok(&["keyspace", "create", "audit", "--kind", "streams", "--chained"]);
    copy.run_with(&["import-events", "-"], lines.as_bytes()).ok();
    assert_eq!(copy.json(&["verify"])[0]["chained_events_count"], json!(3));
}

#[test]
fn what_is_no_json_is_a_usage_error_and_makes_nothing() {
    let place = Place::new();
    for bad in ["", "apples", "{'a':1}", "{} {}", "[1,]", "01"] {
        place.run(&["append", "orders", "7", bad]).fails(2, "is no JSON");
        place.run_with(&["append", "orders", "7", "-"], bad.as_bytes()).fails(2, "is no JSON");
    }
    place.run_with(&["append", "orders", "7", "-"], b"\"\xff\"").fails(2, "is no JSON");
    assert_eq!(error(&place, &["append", "c", "7", "1", "--expected-version", "first"]).0, 2);
    assert_eq!(error(&place, &["append", "c", "7"]).0, 2);
    assert!(!place.data().exists());
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let place = Place::new();
    for args in [&["read", "orders", "7"][..], &["log"], &["streams"]] {
        let (code, object) = error(&place, args);
        assert_eq!((code, &object["kind"]), (5, &json!("no_database")), "{args:?}");
        assert!(!place.data().exists());
    }
    place.ok(&["append", "orders", "7", "1"]);
    place.ok(&["put", "k", "v", "-k", "stock"]);
    place.run(&["read", "orders", "8"]).fails(1, "`orders` has no stream `8`");
    for args in [&["read", "order", "7"][..], &["streams", "order"], &["log", "--stream", "order"]]
    {
        let told = "there is no category of streams `order`; there is `orders`\n";
        place.run(args).fails(1, told);
    }
    for args in [&["read", "stock", "7"][..], &["append", "stock", "7", "1"], &["streams", "stock"]]
    {
        place.run(args).fails(2, "is of kind ordered, not a category of streams");
    }
    for args in [
        &["get", "7"][..],
        &["keys"],
        &["scan"],
        &["put", "7", "v"],
        &["delete", "7"],
        &["batch-put", "-"],
        &["compact"],
    ] {
        let ended = place.run(&[args, &["--keyspace", "orders"]].concat());
        ended.fails(2, "`annals read orders ID` reads a stream of it");
    }
    assert_eq!(place.json(&["read", "orders", "7"]).len(), 1);
}

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

/// An import that stores each line at once, and holds the lock.
struct Live {
    writer: Running,
    stdin: ChildStdin,
    acks: BufReader<ChildStdout>,
}

impl Live {
    fn start(place: &Place) -> Self {
        let mut writer = place.spawn(&["import-events", "-", "--batch", "1", "--progress-json"]);
        let stdin = writer.child.stdin.take().unwrap();
        let acks = BufReader::new(writer.child.stdout.take().unwrap());
        Self { writer, stdin, acks }
    }

    fn append(&mut self, category: &str, stream: u64, n: u64) {
        let line = json!({"category": category, "stream": stream, "type": "t", "data": n});
        writeln!(self.stdin, "{line}").unwrap();
        let mut ack = String::new();
        self.acks.read_line(&mut ack).unwrap();
        assert!(ack.starts_with("{\"acked\":"), "{ack}");
    }

    fn end(mut self) {
        drop(self.stdin);
        assert!(self.writer.child.wait().unwrap().success());
    }
}

struct Follower {
    command: Running,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    fn start(place: &Place, args: &[&str]) -> Self {
        let mut command = place.spawn(&[args, &["--follow", "--json"]].concat());
        let lines = BufReader::new(command.child.stdout.take().unwrap());
        Self { command, lines }
    }

    fn next(&mut self) -> (Value, Value) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let event = objects(&line).remove(0);
        (event["category"].clone(), event["data"].clone())
    }

    /// It must notice by itself that nobody reads any more.
    fn end(mut self) {
        drop(self.lines);
        let status = (0..100).find_map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            self.command.child.try_wait().unwrap()
        });
        assert_eq!(status.expect("it ends within seconds").code(), Some(0));
    }
}

#[test]
fn readers_follow_a_live_writer_until_nobody_reads() {
    let place = Place::new();
    let mut live = Live::start(&place);
    live.append("a", 7, 0);
    let mut stream = Follower::start(&place, &["read", "a", "7"]);
    let mut unborn = Follower::start(&place, &["read", "a", "8"]);
    let mut log = Follower::start(&place, &["log"]);
    let mut one = Follower::start(&place, &["log", "--stream", "b", "--type", "t"]);
    let mut nowhere = Follower::start(&place, &["read", "b", "7"]);
    let event = |category: &str, n: u64| (json!(category), json!(n));
    assert_eq!(stream.next(), event("a", 0));
    assert_eq!(log.next(), event("a", 0));
    for n in 1..30 {
        // The log rolls from one segment to the next meanwhile.
        let (category, id) = [("a", 7), ("b", 7), ("a", 8)][(n % 3) as usize];
        live.append(category, id, n);
        assert_eq!(log.next(), event(category, n));
        match (category, id) {
            ("a", 7) => assert_eq!(stream.next(), event("a", n)),
            ("a", _) => assert_eq!(unborn.next(), event("a", n)),
            _ => {
                assert_eq!(one.next(), event("b", n));
                assert_eq!(nowhere.next(), event("b", n), "its category came later");
            }
        }
    }
    // All that reads works beside the writer.
    assert_eq!(place.json(&["log"]).len(), 30);
    assert_eq!(place.json(&["log", "--stream", "b"]).len(), 10);
    assert_eq!(place.json(&["read", "a", "7", "--backward", "--limit", "3"]).len(), 3);
    assert_eq!(place.json(&["streams"]).len(), 2);
    assert_eq!(place.json(&["streams", "a"]).len(), 2);
    assert_eq!(place.json(&["keyspace", "stats", "a"])[0]["events_count"], 20);
    assert_eq!(error(&place, &["append", "a", "7", "1"]).0, 4);
    for follower in [stream, unborn, log, one, nowhere] {
        follower.end();
    }
    let mut limited = Follower::start(&place, &["log", "--limit", "1"]);
    limited.next();
    assert_eq!(limited.command.child.wait().unwrap().code(), Some(0));
    live.end();
}

#[test]
fn a_follower_keeps_up_over_segments() {
    const EVENTS: u64 = 3_000;
    let place = Place::new();
    let mut live = Live::start(&place);
    live.append("a", 1, 0);
    let mut log = Follower::start(&place, &["log"]);
    let mut stream = Follower::start(&place, &["read", "a", "1"]);
    let fill = "x".repeat(500);
    let appended = std::thread::spawn(move || {
        for n in 1..EVENTS {
            let line = json!({
                "category": "a", "stream": 1, "type": "t", "data": n, "metadata": {"fill": fill},
            });
            writeln!(live.stdin, "{line}").unwrap();
        }
        live
    });
    for n in 0..EVENTS {
        assert_eq!(log.next().1, n);
        assert_eq!(stream.next().1, n);
    }
    let mut live = appended.join().unwrap();
    // Acknowledgements nobody has read yet.
    for _ in 1..EVENTS {
        live.acks.read_line(&mut String::new()).unwrap();
    }
    live.end();
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
    let ended: common::Ended = shell.output().expect("a shell").into();
    assert!(
        ended.stderr.contains("was expected to have version 0, and has version 1"),
        "{ended:?}"
    );
    let told = String::from_utf8(ended.stdout).unwrap();
    assert!(told.contains("\torders\t17\t1\tpaid\t{\"with\":\"card\"}\n"), "{told}");
    assert_eq!(ended.code, 0, "{told}");
}

#[test]
fn a_stream_is_truncated_deleted_archived_and_kept_in_bounds() {
    let place = Place::new();
    for n in 0..10 {
        place.ok(&["append", "orders", "7", &n.to_string()]);
    }
    let read = || versions(&place.json(&["read", "orders", "7"]));
    let logged = || place.json(&["log"]).len();
    place
        .run(&["stream", "truncate", "orders", "7", "11"])
        .fails(2, "its next event gets version 10");
    let told = place.ok(&["stream", "truncate", "orders", "7", "4"]);
    assert_eq!(told, "6 events, versions 4 to 9\n");
    assert_eq!((read(), logged()), ((4..10).collect(), 6));
    assert_eq!(place.ok(&["streams", "orders"]), "stream\tevents\n7\t6\n");
    place.ok(&["stream", "keep", "orders", "7", "--count", "3", "--age", "1h"]);
    assert_eq!(read(), [7, 8, 9]);
    let info = &place.json(&["stream", "info", "orders", "7"])[0];
    let wanted = json!({
        "category": "orders", "stream": 7, "first_version": 7, "next_version": 10, "events_count": 3,
        "deleted_for_good": false, "archived": false, "max_count": 3, "max_age_seconds": 3600.0,
    });
    assert_eq!(*info, wanted);
    place.ok(&["stream", "archive", "orders", "7"]);
    assert_eq!((read(), logged()), (vec![7, 8, 9], 0));
    place.run(&["append", "orders", "7", "1"]).fails(5, "archived");
    place.ok(&["stream", "restore", "orders", "7"]);
    assert_eq!(logged(), 3);
    let told = place.ok(&["stream", "delete", "orders", "7"]);
    assert!(told.starts_with("no events; the next one gets version 10"), "{told}");
    place.run(&["read", "orders", "7"]).fails(1, "has no events left");
    place.ok(&["stream", "delete", "orders", "never", "--for-good"]);
    assert_eq!(place.ok(&["stream", "info", "orders", "never"]), "deleted for good\n");
    assert!(place.json(&["streams", "orders"]).is_empty());
    // The log says what was done.
    let told = place.ok(&["changes"]);
    for (id, what) in [
        ("7", "truncated before version 4"),
        ("7", "truncated before version 4; keeps 3; keeps them for 3600 s"),
        ("7", "truncated before version 4; archived; keeps 3; keeps them for 3600 s"),
        ("7", "deleted before version 10; keeps 3; keeps them for 3600 s"),
        ("never", "deleted for good"),
    ] {
        assert!(told.contains(&format!("\torders\tmark stream\t{id}\t{what}\n")), "{what}: {told}");
    }
    let changes = place.json(&["changes"]);
    let mark = changes.iter().find(|change| change["kind"] == "mark_stream").unwrap();
    assert_eq!((&mark["key"], &mark["first_version"]), (&json!("7"), &json!(4)));
    assert_eq!((&mark["archived"], &mark["deleted_for_good"]), (&json!(false), &json!(false)));
    assert_eq!((&mark["max_count"], &mark["life_version"]), (&Value::Null, &json!(0)));
    place.ok(&["compact"]);
    let told = place.ok(&["append", "orders", "7", "1", "--expected-version", "none"]);
    assert!(told.starts_with("version 10, seq "), "{told}");
    place.ok(&["stream", "delete", "orders", "7", "--for-good"]);
    place.run(&["append", "orders", "7", "1"]).fails(5, "for good");
    place.run(&["stream", "info", "orders", "8"]).fails(1, "never had a stream");
    place.run(&["stream", "delete", "carts", "8"]).fails(1, "carts");
    place.ok(&["verify"]);
}

#[test]
fn events_of_a_category_with_a_time_to_live_expire() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "clicks", "--kind", "streams", "--ttl", "1ms"]);
    place.ok(&["append", "clicks", "ada", "1"]);
    std::thread::sleep(Duration::from_millis(5));
    assert!(place.json(&["log"]).is_empty());
    let told = place.ok(&["append", "clicks", "ada", "2", "--expected-version", "none"]);
    assert!(told.starts_with("version 1, seq "), "{told}");
}

#[test]
fn reading_backward_gives_all_that_is_behind_damage() {
    let place = Place::new();
    let lines: String = (0..100)
        .map(|n| {
            format!("{{\"category\":\"o\",\"stream\":7,\"type\":\"t\",\"data\":\"value {n}.\"}}\n")
        })
        .collect();
    assert_eq!(place.run_with(&["import-events", "-", "--batch", "10"], lines.as_bytes()).code, 0);
    let segment = place.data().join("00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(9).position(|window| window == b"value 50.").unwrap();
    bytes[at] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    let versions = |args: &[&str]| {
        let ended = place.run(&[&["--json", "read", "o", "7"], args].concat());
        let found = common::objects(&String::from_utf8(ended.stdout).unwrap());
        let found: Vec<_> = found.iter().map(|event| event["version"].as_u64().unwrap()).collect();
        (ended.code, found)
    };
    assert_eq!(versions(&["--backward"]), (3, (51..100).rev().collect()));
    assert_eq!(versions(&["--backward", "--limit", "47"]), (0, (53..100).rev().collect()));
    assert_eq!(versions(&["--backward", "--from", "55"]), (3, (51..56).rev().collect()));
    assert_eq!(versions(&["--backward", "--from", "50"]), (3, Vec::new()));
    assert_eq!(versions(&["--backward", "--from", "47"]), (0, (0..48).rev().collect()));
    assert_eq!(versions(&["--from", "51"]), (0, (51..100).collect()));
}
