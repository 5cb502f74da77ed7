//! `rollup` and what looks after event tables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Place;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SCHEMA: &str = r#"{"schema_id":1,"fields":[
    {"name":"time","role":"ts"},
    {"name":"user","role":"dimension","rollup":true,"optional":true},
    {"name":"model","role":"dimension","rollup":true},
    {"name":"path","role":"dimension"},
    {"name":"cost","role":"metric","type":"f64","optional":true},
    {"name":"bytes","role":"counter"},
    {"name":"took","role":"latency"},
    {"name":"id","role":"id"}
]}"#;

/// An event as plain code sees it.
struct Call {
    day: String,
    user: Option<String>,
    model: String,
    cost: Option<f64>,
    bytes: u64,
}

fn call(n: u64) -> (Call, String) {
    let call = Call {
        day: format!("2015-05-{:02}", 10 + n * 7 % 5),
        user: (!n.is_multiple_of(4)).then(|| format!("user {}", n % 6)),
        model: ["large", "small"][n as usize % 2].to_owned(),
        cost: (!n.is_multiple_of(3)).then_some(n as f64 / 4.0),
        bytes: n * 1_000,
    };
    let line = json!({
        "time": format!("{}T{:02}:00:00Z", call.day, n % 24), "user": call.user, "model": call.model,
        "path": "/", "cost": call.cost, "bytes": call.bytes, "took": 1, "id": format!("id-{n}"),
    });
    (call, format!("{line}\n"))
}

/// A table of so many calls: half of them in a part, half in none yet.
fn with_calls(count: u64) -> (Place, Vec<Call>) {
    let place = Place::new();
    let schema = place.file("schema.json", SCHEMA);
    let (calls, lines): (Vec<Call>, Vec<String>) = (0..count).map(call).unzip();
    let (first, second) = lines.split_at(lines.len() / 2);
    let schema = schema.to_str().unwrap();
    let ingest = ["ingest", "calls", "-", "--format", "ndjson", "--schema", schema];
    assert_eq!(place.run_with(&ingest, first.concat().as_bytes()).code, 0);
    {
        let db = annals::Database::open(place.data()).unwrap();
        db.open_table("calls").unwrap().flush().unwrap();
        db.close().unwrap();
    }
    assert_eq!(place.run_with(&ingest, second.concat().as_bytes()).code, 0);
    (place, calls)
}

/// What `rollup` should tell of a field.
fn sums(of: &[Call], field: &str, value: impl Fn(&Call) -> Option<String>) -> Vec<Value> {
    let mut all = BTreeMap::<(String, Option<String>), (u64, f64, u64)>::new();
    for call in of {
        let (count, cost, bytes) = all.entry((call.day.clone(), value(call))).or_default();
        *count += 1;
        *cost += call.cost.unwrap_or(0.0);
        *bytes += call.bytes;
    }
    let told = all.into_iter().map(|((day, value), (count, cost, bytes))| {
        json!({
            "day": day, "field": field, "value": value, "events_count": count, "sum_cost": cost,
            "sum_bytes": bytes,
        })
    });
    told.collect()
}

#[test]
fn rollups_are_the_sums_of_plain_code() {
    let (place, calls) = with_calls(600);
    let users = sums(&calls, "user", |call| call.user.clone());
    let models = sums(&calls, "model", |call| Some(call.model.clone()));
    assert_eq!((users.len(), models.len()), (5 * 7, 5 * 2));
    let rollup = |args: &[&str]| place.json(&[&["rollup", "calls"], args].concat());
    assert_eq!(rollup(&["--field", "user"]), users);
    assert_eq!(rollup(&["--field", "model"]), models);
    let of = |all: &[Value], keep: &dyn Fn(&str) -> bool| -> Vec<Value> {
        all.iter().filter(|row| keep(row["day"].as_str().unwrap())).cloned().collect()
    };
    let one = |day: &str| day == "2015-05-12";
    assert_eq!(rollup(&["--day", "2015-05-12T07:00:00Z", "--field", "user"]), of(&users, &one));
    let both = [of(&users, &one), of(&models, &one)].concat();
    assert_eq!(rollup(&["--day", "2015-05-12"]), both, "all that are marked, in their order");
    let some = |day: &str| ("2015-05-11".."2015-05-13").contains(&day);
    let days = ["--since", "2015-05-11T20:00:00Z", "--until", "2015-05-13", "--field", "model"];
    assert_eq!(rollup(&days), of(&models, &some), "days are taken as a whole");
    let mut hers = users;
    hers.retain(|row| row["value"] == "user 2");
    assert_eq!(rollup(&["--field", "user", "--value", "user 2"]), hers);
    assert_eq!(hers.len(), 5);
    assert!(rollup(&["--day", "2016-01-01"]).is_empty());
    assert!(rollup(&["--field", "user", "--value", "nobody"]).is_empty());

    let shown = place.ok(&["rollup", "calls", "--day", "2015-05-12", "--field", "model"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(lines[0].starts_with("day         field  value  events  sum cost"), "{shown}");
    assert!(lines[1].starts_with("2015-05-12  model  large      60"), "{shown}");
}

#[test]
fn sums_by_day_that_are_not_kept_are_told() {
    let (place, _) = with_calls(10);
    for (args, said) in [
        (
            &["--field", "path"][..],
            "no sums by day are kept for `path`, but for user, model; `annals query calls",
        ),
        (&["--field", "usr"], "did you mean `user`?"),
        (&["--value", "user 1"], "--value is of one field; name it with --field: user, model"),
        (&["--day", "soon"], "--day: `soon` is no time"),
        (&["--day", "now", "--since", "now"], "cannot be used with"),
    ] {
        let ended = place.run(&[&["rollup", "calls"], args].concat());
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    }
    let line = "{\"time\":\"2015-05-17\",\"n\":1}\n";
    assert_eq!(place.run_with(&["ingest", "plain", "-"], line.as_bytes()).code, 0);
    place.run(&["rollup", "plain"]).fails(2, "no dimension of the table `plain` is marked");
    place.run(&["rollup", "gone"]).fails(1, "there is no event table `gone`");
}

#[test]
fn deleted_events_are_in_no_answer() {
    let (place, mut calls) = with_calls(600);
    // Some of a part, some in none yet.
    let done = place.json(&["delete-events", "calls", "id-3", "id-400", "id-3", "nobody"]);
    assert_eq!(
        done,
        [json!({"events_deleted_count": 2, "ids_not_found_count": 1, "events_left_count": 598})]
    );
    place.run(&["event", "calls", "id-400"]).fails(1, "has no event `id-400`");
    for gone in [400, 3] {
        calls.remove(gone);
    }
    let users = sums(&calls, "user", |call| call.user.clone());
    assert_eq!(place.json(&["rollup", "calls", "--field", "user"]), users);

    let ids: String = (0..300).map(|n| format!("id-{}\n", n * 2 + 1)).collect();
    let ended = place.run_with(&["delete-events", "calls", "-"], format!("\n{ids}").as_bytes());
    let told = ended.ok();
    assert!(told.contains("events deleted  299\n"), "{told}");
    assert!(told.contains("ids not found   1\n"), "{told}");
    assert_eq!(place.json(&["query", "calls"]), [json!({"events_count": 299})]);
    let args = ["query", "calls", "--where", "model = small"];
    assert_eq!(place.json(&args), [json!({"events_count": 0})], "they had all odd numbers");
}

#[test]
fn deleting_nothing_is_told() {
    let (place, _) = with_calls(10);
    place.run(&["delete-events", "calls", "x"]).fails(1, "the table `calls` has no event `x`");
    let several = place.run(&["delete-events", "calls", "x", "--", "-y"]);
    several.fails(1, "has no event of these 2 ids, of which one is `-y`");
    place.run_with(&["delete-events", "calls", "-"], b"\n\n").fails(1, "no ids came");
    let bytes = place.run_with(&["delete-events", "calls", "-"], b"id-1\n\xff\n");
    bytes
        .fails(2, "line 2: ids are UTF-8, and this is none; 0 events of ids before it are deleted");
    assert_eq!(place.run(&["delete-events", "calls"]).code, 2);
    place.run(&["delete-events", "gone", "x"]).fails(1, "there is no event table `gone`");
    let line = "{\"time\":\"2015-05-17\",\"n\":1}\n";
    assert_eq!(place.run_with(&["ingest", "plain", "-"], line.as_bytes()).code, 0);
    place.run(&["delete-events", "plain", "x"]).fails(2, "events of the table `plain` have no id");
    assert_eq!(place.json(&["query", "calls"]), [json!({"events_count": 10})]);
}

#[test]
fn keyspaces_that_are_tables_count_events() {
    let (place, _) = with_calls(600);
    place.ok(&["put", "k", "v"]);
    place.json(&["delete-events", "calls", "id-3"]);
    let listed = place.json(&["keyspace", "list"]);
    let counts: BTreeMap<&str, &Value> =
        listed.iter().map(|row| (row["name"].as_str().unwrap(), &row["records_count"])).collect();
    assert_eq!(counts, BTreeMap::from([("calls", &json!(599)), ("default", &json!(1))]));
    let stats = &place.json(&["keyspace", "stats", "calls"])[0];
    let names = ["events_count", "fresh_count", "parts_count", "deleted_count"];
    assert_eq!(names.map(|name| stats[name].as_u64().unwrap()), [599, 300, 1, 1], "{stats}");
    assert!(stats["parts_bytes"].as_u64().unwrap() > 1_000, "{stats}");
    assert_eq!(stats["fields"][0], json!({"field": "time", "role": "ts", "optional": false}));
    assert_eq!(stats["fields"].as_array().unwrap().len(), 8);
    assert!(stats.get("records_count").is_none(), "{stats}");
}

#[test]
fn a_load_into_a_table_that_wants_each_id_once_can_be_repeated() {
    let place = Place::new();
    let schema = place.file("schema.json", SCHEMA);
    let lines: String = (0..100).map(|n| call(n).1).collect();
    let more: String = (90..130).map(|n| call(n).1).collect();
    let load = |lines: &str, args: &[&str]| {
        let schema = schema.to_str().unwrap();
        let all = ["--json", "ingest", "calls", "-", "--format", "ndjson", "--schema", schema];
        place.run_with(&[&all[..], args].concat(), lines.as_bytes())
    };
    let counts = |ended: common::Ended| {
        let report = &common::objects(&ended.ok())[0];
        ["events_count", "ignored_count"].map(|name| report[name].as_u64().unwrap())
    };
    assert_eq!(counts(load(&lines, &["--duplicates", "ignore", "--batch", "7"])), [100, 0]);
    assert_eq!(counts(load(&lines, &[])), [0, 100], "the table keeps what it was told");
    assert_eq!(counts(load(&more, &["--batch", "20"])), [30, 10]);
    assert_eq!(place.json(&["query", "calls", "--distinct", "id"])[0]["distinct_id"], 130);
    assert_eq!(place.json(&["query", "calls"]), [json!({"events_count": 130})]);
    let told = place.json(&["options", "calls"]);
    assert_eq!(told, [json!({"ttl_seconds": null, "duplicates": "ignore"})]);

    place.ok(&["options", "calls", "--duplicates", "refuse"]);
    let refused = load(&more, &["--batch", "20"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("id-90") && refused.stderr.contains("nothing was stored"),
        "{refused:?}"
    );
    assert_eq!(counts(load(&more, &["--duplicates", "keep"])), [40, 0]);
    assert_eq!(place.json(&["query", "calls"]), [json!({"events_count": 170})]);
}

#[test]
fn events_that_are_over_are_in_no_answer() {
    let (place, _) = with_calls(200);
    let ended = place.run(&["options", "calls", "--ttl", "30d"]);
    ended.fails(2, "200 of the 200 events of the table `calls` would be over at once");
    ended.fails(2, "nothing has changed; let them go with --yes");
    assert_eq!(place.json(&["options", "calls"])[0]["ttl_seconds"], Value::Null);
    assert_eq!(place.json(&["query", "calls"]), [json!({"events_count": 200})]);
    // None of them is over by this, and by a longer one none can be.
    for ttl in ["100000d", "200000d"] {
        assert_eq!(place.json(&["options", "calls", "--ttl", ttl])[0]["events_over_count"], 0);
    }
    let args = ["options", "calls", "--ttl", "30d", "--yes"];
    let told = json!({
        "ttl_seconds": 2_592_000.0, "duplicates": "keep", "events_over_count": 200, "events_left_count": 0,
    });
    assert_eq!(place.json(&args), [told]);
    assert_eq!(place.json(&["query", "calls"]), [json!({"events_count": 0})], "of 2015");
    place.ok(&["options", "calls", "--ttl", "29d"]);
    place.ok(&["options", "calls", "--ttl", "30d"]);
    assert_eq!(place.json(&["keyspace", "list"])[0]["ttl_seconds"], 2_592_000.0);
    let stats = &place.json(&["keyspace", "stats", "calls"])[0];
    assert_eq!(
        (&stats["ttl_seconds"], &stats["duplicates"]),
        (&json!(2_592_000.0), &json!("keep"))
    );
    let told = place.json(&["options", "calls", "--duplicates", "ignore", "--forever"]);
    assert_eq!(told, [json!({"ttl_seconds": null, "duplicates": "ignore"})]);
    assert_eq!(place.json(&["query", "calls"]), [json!({"events_count": 0})], "it stays over");
    let shown = place.ok(&["options", "calls"]);
    assert!(shown.contains("duplicates  ignore\n"), "{shown}");

    place.run(&["options", "gone"]).fails(1, "there is no event table `gone`");
    assert_eq!(place.run(&["options", "calls", "--ttl", "1d", "--forever"]).code, 2);
    for lines in ["{\"time\":\"2015-05-17\",\"n\":1}\n", "{\"n\":1}\n"] {
        let args = ["ingest", "plain", "-", "--duplicates", "ignore"];
        place.run_with(&args, lines.as_bytes()).fails(2, "events of the table `plain` have no id");
        place.run(&["query", "plain"]).fails(1, "there is no event table `plain`");
    }
    let args = ["ingest", "timeless", "-", "--ttl", "1d"];
    let ended = place.run_with(&args, b"{\"n\":1}\n");
    assert!(ended.code == 2 && ended.stderr.contains("have no time"), "{ended:?}");
}

#[test]
fn a_table_that_cannot_be_counted_hides_no_other_keyspace() {
    let (place, _) = with_calls(600);
    place.ok(&["put", "k", "v", "-k", "others", "--kind", "hash"]);
    let segments = std::fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
    let (segment, mut bytes, at) = segments
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .find_map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            let at = bytes.windows(8).position(|window| window == b"ANNALPRT")?;
            Some((path, bytes, at))
        })
        .expect("a part");
    // In the key: which events these are nobody knows then.
    bytes[at - 2] ^= 0xff;
    std::fs::write(segment, bytes).unwrap();
    let ended = place.run(&["keyspace", "list", "--json"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("the event table `calls`: "), "{ended:?}");
    let listed = common::objects(&String::from_utf8(ended.stdout).unwrap());
    let counts: Vec<_> = listed.iter().map(|row| (&row["name"], &row["records_count"])).collect();
    assert_eq!(counts, [(&json!("calls"), &Value::Null), (&json!("others"), &json!(1))]);

    let line = "{\"time\":\"2015-05-17\",\"n\":1}\n";
    assert_eq!(place.run_with(&["ingest", "plain", "-"], line.as_bytes()).code, 0);
    let ended = place.run(&["tables", "--json"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("the event table `calls`: "), "{ended:?}");
    let listed = common::objects(&String::from_utf8(ended.stdout).unwrap());
    let counts: Vec<_> = listed.iter().map(|row| (&row["table"], &row["events_count"])).collect();
    assert_eq!(counts, [(&json!("calls"), &Value::Null), (&json!("plain"), &json!(1))]);
}

#[test]
fn damage_costs_what_needs_it_and_is_left_out_or_dropped_if_that_is_said() {
    let (place, calls) = with_calls(100);
    let files = std::fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
    let (segment, mut bytes, at) = files
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .find_map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            let at = bytes.windows(8).position(|window| window == b"ANNALPRT")?;
            Some((path, bytes, at))
        })
        .expect("a part");
    // Behind the header is what says in which order events came: lists need it, and sums do not.
    bytes[at + 70] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();

    let sum = |calls: &[Call]| calls.iter().map(|call| call.bytes).sum::<u64>();
    let asked = place.json(&["query", "calls", "--sum", "bytes"]);
    assert_eq!(asked[0]["sum_bytes"], sum(&calls));
    let ended = place.run(&["recent", "calls", "-n", "100"]);
    ended.fails(3, name);
    ended.fails(3, "of the order of arrival of part");
    ended.fails(3, "annals gc TABLE --damaged");
    place.run(&["verify"]).fails(3, "damaged place");
    let told = place.run(&["verify"]);
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("of the event table `calls` (50 events)"), "{told}");

    let ended = place.run(&["recent", "calls", "-n", "100", "--without-damage", "--json"]);
    assert_eq!((ended.code, ended.stdout.iter().filter(|byte| **byte == b'\n').count()), (0, 50));
    assert!(ended.stderr.contains("\"events_left_out_count\":50"), "{}", ended.stderr);
    let ended = place.run(&["query", "calls", "--sum", "bytes", "--without-damage", "--json"]);
    let asked: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(asked["sum_bytes"], sum(&calls[50..]));
    let explained = place.json(&["query", "calls", "--explain"]);
    let left = place.run(&["query", "calls", "--explain", "--without-damage", "--json"]);
    let left: Value = serde_json::from_slice(&left.stdout).unwrap();
    let counts = |of: &Value| (of["parts_count"].clone(), of["fresh_count"].clone());
    assert_eq!(counts(&explained[0]), (json!(1), json!(50)));
    assert_eq!(counts(&left), (json!(0), json!(50)));
    place.run(&["export", "calls", "--format", "ndjson"]).fails(3, name);
    let ended = place.run(&["export", "calls", "--format", "ndjson", "--without-damage"]);
    assert_eq!((ended.code, ended.stdout.iter().filter(|byte| **byte == b'\n').count()), (0, 50));
    // One event that is alone in having its id needs no order.
    assert_eq!(place.run(&["event", "calls", "id-3"]).code, 0);
    let ended = place.run(&["event", "calls", "id-3", "--without-damage", "--json"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("\"events_left_out_count\":50"), "{}", ended.stderr);
    assert_eq!(place.run(&["event", "calls", "id-73", "--without-damage"]).code, 0);
    let model = |call: &Call| Some(call.model.clone());
    let rollup = ["rollup", "calls", "--field", "model", "--json"];
    assert_eq!(place.json(&rollup[..4]), sums(&calls, "model", model));
    let ended = place.run(&[&rollup[..], &["--without-damage"]].concat());
    let listed = common::objects(&String::from_utf8(ended.stdout.clone()).unwrap());
    assert_eq!(listed, sums(&calls[50..], "model", model));
    assert!(ended.stderr.contains("\"events_left_out_count\":50"), "{}", ended.stderr);

    let ended = place.run(&["gc", "calls"]);
    assert!(ended.code == 2 && ended.stderr.contains("--before"), "{}", ended.stderr);
    let dropped = &place.json(&["gc", "calls", "--damaged"])[0];
    let counts = ["parts_dropped_count", "events_dropped_count", "events_left_count"];
    assert_eq!(counts.map(|count| dropped[count].as_u64()), [Some(1), Some(50), Some(50)]);
    assert_eq!(place.json(&["recent", "calls", "-n", "100"]).len(), 50);
    assert_eq!(place.json(&["tables"])[0]["events_count"], 50);
}
