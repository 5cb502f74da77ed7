//! Appending events, and what is refused.

use super::{
    UUID,
    common::{Place, sorted},
    error, versions,
};
use serde_json::{Value, json};

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
