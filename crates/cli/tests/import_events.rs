//! `import-events`: bulk loads of events, what is acknowledged, what stays when a line cannot be stored, and
//! what is there after kill -9 at random moments.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use annals::{Database, EventFormat, ExpectedVersion, NewEvent, Seq};
use common::{Place, objects};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader, BufWriter, Write},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

/// Kills of children, over all durability levels.
const KILLS: u64 = 18;
const KILLS_NIGHTLY: u64 = 500;
/// Streams that a child appends to in turn.
const STREAMS: u64 = 7;

fn line(stream: u64, rest: &str) -> String {
    format!("{{\"category\":\"c\",\"stream\":{stream},\"type\":\"t\",\"data\":{rest}}}\n")
}

fn data(place: &Place) -> Vec<Value> {
    place.json(&["log"]).into_iter().map(|mut event| event["data"].take()).collect()
}

#[test]
fn a_file_is_loaded_line_by_line() {
    let place = Place::new();
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let full = json!({
        "category": "users", "stream": uuid, "type": "came", "data": {"from": "London"},
        "id": uuid, "correlation": uuid, "causation": uuid, "type_version": 2,
        "metadata": {"ip": "::1"}, "expected_version": "none", "seq": 99, "version": 99,
        "time": "whenever",
    });
    let lines = format!("{full}\r\n\n{}{}", line(7, "1"), line(7, "null").trim_end());
    let file = place.file("events.ndjson", &lines);
    let ended = place.run(&["--json", "import-events", file.to_str().unwrap()]);
    assert_eq!((ended.code, objects(&ended.stderr)[0]["blank_lines_count"].as_u64()), (0, Some(1)));
    let report = &objects(std::str::from_utf8(&ended.stdout).unwrap())[0];
    assert_eq!(report["events_count"], 3);
    assert_eq!(report["input_bytes"], lines.len() as u64);
    assert!(report["events_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    let event = &place.json(&["read", "users", uuid])[0];
    for (name, value) in full.as_object().unwrap() {
        if !["expected_version", "seq", "version", "time"].contains(&name.as_str()) {
            assert_eq!(&event[name], value, "{name}");
        }
    }
    assert_eq!(event["version"], 0);
    assert_eq!(data(&place), [json!({"from": "London"}), json!(1), Value::Null]);
}

/// A program may give an event one name several times: an object of names would keep one text of them.
#[test]
fn texts_of_one_name_are_all_told_and_come_back() {
    let place = Place::new();
    let db = Database::open(place.data()).unwrap();
    let category = db.category("orders").unwrap();
    let pairs = [("to", "ada"), ("by", "eve"), ("to", "bob"), ("to", "ada"), ("", "")];
    let event = NewEvent::json("sent", "{}");
    let event = pairs.iter().fold(event, |event, (name, text)| event.with(name, text));
    category.append("s", &event, ExpectedVersion::Any).unwrap();
    drop(category);
    db.close().unwrap();

    let all = json!({"to": ["ada", "bob", "ada"], "by": "eve", "": ""});
    for args in [&["log"][..], &["read", "orders", "s"]] {
        assert_eq!(place.json(args)[0]["metadata"], all, "{args:?}");
    }
    let (told, copy) = (place.ok(&["log", "--json"]), Place::new());
    copy.run_with(&["import-events", "-"], told.as_bytes()).ok();
    let db = Database::open(copy.data()).unwrap();
    let category = db.open_category("orders").unwrap();
    let event = category.get("s", 0).unwrap().unwrap();
    let kept: Vec<_> = event.pairs().collect();
    assert_eq!(kept, [("to", "ada"), ("to", "bob"), ("to", "ada"), ("by", "eve"), ("", "")]);
}

/// Who opens a copy with another layout than the archives have is refused, as of the database itself.
#[test]
fn a_copy_has_the_layouts_of_archives() {
    let place = Place::new();
    let db = Database::open(place.data()).unwrap();
    let category = db.category("orders").unwrap();
    let archive = |layout| NewEvent::new("paid", EventFormat::Archive, b"12345678").layout(layout);
    let events = [NewEvent::json("paid", "{}"), archive(0xabc), archive(0)];
    category.append_many("s", &events, ExpectedVersion::Any).unwrap();
    let types = category.event_types();
    drop(category);
    db.close().unwrap();

    let told = place.ok(&["log", "--json", "--type", "paid"]);
    let layouts: Vec<_> = objects(&told).iter().map(|event| event["layout"].clone()).collect();
    assert_eq!(layouts, [Value::Null, json!("0000000000000abc"), Value::Null]);
    assert_eq!(place.json(&["streams"])[0]["types_count"], 1);
    let file = place.file("events.ndjson", &told);
    let copy = Place::new();
    copy.ok(&["import-events", file.to_str().unwrap()]);
    let db = Database::open(copy.data()).unwrap();
    let category = db.open_category("orders").unwrap();
    assert_eq!(category.event_types(), types);
    drop(category);
    db.close().unwrap();
    assert!(told.contains("\"layout\":null"), "it is told that it was never told: {told}");
    let other = told.replace("0abc", "0abd");
    let ended = copy.run_with(&["import-events", "-"], other.as_bytes());
    ended.fails(2, "`paid v1` have the layout 0000000000000abc");
    assert_eq!(copy.json(&["log"]).len(), 3);
}

/// Editors and shells of some systems put it there, and nobody sees it.
#[test]
fn a_byte_order_mark_in_front_of_the_first_line_is_passed_over() {
    let place = Place::new();
    let lines = format!("\u{feff}{}{}", line(1, "1"), line(1, "2"));
    let ended = place.run_with(&["--json", "import-events", "-"], lines.as_bytes());
    let report = &objects(&ended.ok())[0];
    assert_eq!(report["input_bytes"], lines.len() as u64);
    assert_eq!(data(&place), [json!(1), json!(2)]);
    // What is put in front of a later line is no part of the file's beginning.
    let later = format!("{}\u{feff}{}", line(2, "1"), line(2, "2"));
    let ended = place.run_with(&["import-events", "-"], later.as_bytes());
    ended.fails(2, "line 2: no event");
    ended.fails(2, "byte order mark");
    assert_eq!(data(&place).len(), 2);
}

#[test]
fn every_commit_is_acknowledged_and_no_acknowledgement_waits_for_more_input() {
    let place = Place::new();
    let lines: String = (0..25).map(|n| line(n % 3, &n.to_string())).collect();
    let args = ["import-events", "-", "--batch", "10", "--progress-json"];
    let told = place.run_with(&args, lines.as_bytes()).ok();
    assert_eq!(told, "{\"acked\":10}\n{\"acked\":20}\n{\"acked\":25}\n");
    assert_eq!(place.run_with(&args, b"").ok(), "", "nothing to acknowledge");
    assert_eq!(data(&place), (0..25).map(|n| json!(n)).collect::<Vec<_>>());

    let mut load = place.spawn(&["import-events", "-", "--batch", "2", "--progress-json"]);
    let mut stdin = load.child.stdin.take().unwrap();
    let mut stdout = BufReader::new(load.child.stdout.take().unwrap());
    for round in 1..=3 {
        write!(stdin, "{}{}", line(9, "1"), line(9, "2")).unwrap();
        let mut told = String::new();
        stdout.read_line(&mut told).unwrap();
        assert_eq!(told, format!("{{\"acked\":{}}}\n", round * 2));
        assert_eq!(place.json(&["read", "c", "9"]).len(), round * 2, "beside the live writer");
    }
    // Nobody hears it any more; the load goes on.
    drop(stdout);
    for _ in 0..100 {
        write!(stdin, "{}{}", line(9, "1"), line(9, "2")).unwrap();
    }
    drop(stdin);
    assert!(load.child.wait().unwrap().success());
    assert_eq!(place.json(&["read", "c", "9"]).len(), 206);
}

#[test]
fn of_the_batch_of_a_bad_line_nothing_is_stored() {
    let bad = [
        ("{", "EOF"),
        ("7", "no event"),
        (r#"["c",1,"t",{},null,null,null,null,null,null,null,null,null,null,null,null]"#, "object"),
        (r#"{"category":"c","stream":1,"type":"t"}"#, "either data or data_base64"),
        (r#"{"category":"c","stream":1,"data":1}"#, "missing field `type`"),
        (r#"{"category":"c","stream":1.5,"type":"t","data":1}"#, "a number from 0"),
        (r#"{"category":"c","stream":1,"type":"t","data":1,"kind":"x"}"#, "unknown field `kind`"),
        (r#"{"category":"c","stream":1,"type":"","data":1}"#, "empty"),
        (
            r#"{"category":"c","stream":1,"type":"t","data_base64":"AA==","format":"archive"}"#,
            "data in the format archive have a layout",
        ),
        (r#"{"category":"kv","stream":1,"type":"t","data":1}"#, "not a category of streams"),
        (r#"{"category":" c","stream":1,"type":"t","data":1}"#, "white space"),
    ];
    for (bad, told) in bad {
        let place = Place::new();
        place.ok(&["put", "k", "v", "-k", "kv"]);
        let good: Vec<String> = (0..4).map(|n| line(n % 2, &n.to_string())).collect();
        let lines = format!("{}\n{}{bad}\n{}", good[..2].concat(), good[2], good[3]);
        let ended = place.run_with(&["import-events", "-", "--batch", "2"], lines.as_bytes());
        // A blank line is one too.
        ended.fails(2, "annals: line 5: ");
        ended.fails(2, told);
        ended.fails(2, "; the 2 events up to line 2 are stored, nothing after them");
        assert_eq!(data(&place), [json!(0), json!(1)]);

        // In the first batch: not even a category stays that was made for it.
        let place = Place::new();
        place.ok(&["put", "k", "v", "-k", "kv"]);
        place.run_with(&["import-events", "-"], lines.as_bytes()).fails(2, "nothing was stored");
        assert!(place.json(&["streams"]).is_empty(), "{bad}");
    }
}

#[test]
fn expected_versions_hold_over_lines_and_batches() {
    let place = Place::new();
    let expecting = |stream: u64, expected: &str| {
        let data = format!("1,\"expected_version\":{expected}");
        line(stream, &data)
    };
    let lines: String = [
        expecting(1, "\"none\""),
        expecting(1, "0"),
        expecting(2, "\"any\""),
        expecting(1, "\"exists\""),
        expecting(1, "2"),
    ]
    .concat();
    for batch in ["1", "2", "100"] {
        let place = Place::new();
        place.run_with(&["import-events", "-", "--batch", batch], lines.as_bytes()).ok();
        assert_eq!(place.json(&["read", "c", "1"]).len(), 4);
    }
    place.run_with(&["import-events", "-"], lines.as_bytes()).ok();
    let ended = place.run_with(&["import-events", "-"], lines.as_bytes());
    ended.fails(
        5,
        "line 1: the stream `1` of `c` was expected to have no events, and has version 3",
    );
    let late = [line(3, "1"), expecting(1, "3"), expecting(1, "3")].concat();
    let ended = place.run_with(&["import-events", "-"], late.as_bytes());
    ended.fails(
        5,
        "line 3: the stream `1` of `c` was expected to have version 3, and has version 4",
    );
    assert_eq!(data(&place).len(), 5, "nothing of the batch is stored");
}

#[test]
fn a_load_that_is_repeated_stores_no_event_with_an_id_twice() {
    let place = Place::new();
    let lines: String = (0..30).map(event).collect();
    let first: String = (0..17).map(event).collect();
    place.run_with(&["import-events", "-"], first.as_bytes()).ok();
    let args = ["import-events", "-", "--batch", "5", "--progress-json", "--durability", "sync"];
    let ended = place.run_with(&args, lines.as_bytes());
    assert_eq!((ended.code, &*ended.stderr), (0, "annals: 17 events stored before passed over\n"));
    assert_eq!(
        objects(std::str::from_utf8(&ended.stdout).unwrap()).last(),
        Some(&json!({"acked": 30}))
    );
    check_prefix(&place, "run", 30, "repeated");
    let ended = place.run_with(&["--json", "import-events", "-"], lines.as_bytes());
    assert_eq!(objects(&ended.stderr)[0]["stored_before_count"], 30);
    let report = &objects(std::str::from_utf8(&ended.stdout).unwrap())[0];
    assert_eq!((&report["events_count"], &report["events_per_second"]), (&json!(0), &json!(0.0)));
    // The same id twice in one batch is one event.
    let twice = event(30) + &event(30);
    let ended = place.run_with(&["import-events", "-"], twice.as_bytes());
    assert_eq!((ended.code, &*ended.stderr), (0, "annals: 1 event stored before passed over\n"));
    check_prefix(&place, "run", 31, "repeated again");
}

#[test]
fn input_that_is_refused_makes_no_database() {
    let place = Place::new();
    let file = place.file("events", "no json\n");
    let input = file.to_str().expect("a path");
    let ended = place.run(&["import-events", input]);
    ended.fails(2, "line 1: no event: ");
    ended.fails(2, "; nothing was stored");
    assert!(!place.data().exists(), "not even a directory");
    place.run(&["import-events", "nowhere"]).fails(2, "there is no file");
    place.run(&["import-events", "."]).fails(2, "is a directory");
    assert!(!place.data().exists());
}

#[test]
fn batches_larger_than_a_segment_are_loaded() {
    let place = Place::new();
    let fill = "x".repeat(9_000);
    let lines: String = (0..2_500).map(|n| line(n % 3, &format!("\"{n}{fill}\""))).collect();
    let args = ["import-events", "-", "--batch", "2500", "--progress-json"];
    let told = objects(&place.run_with(&args, lines.as_bytes()).ok());
    assert!(told.len() > 1, "a batch of 22 MB is split: {told:?}");
    assert_eq!(told.last(), Some(&json!({"acked": 2500})));
    assert_eq!(place.json(&["read", "c", "0"]).len(), 834);
    assert_eq!(place.json(&["verify"])[0]["damages_count"], 0);
}

/// The event at place `n` of a run: the streams take turns, each line says what it follows.
fn event(n: u64) -> String {
    event_of("run", n)
}

fn event_of(category: &str, n: u64) -> String {
    let expected = match n / STREAMS {
        0 => json!("none"),
        version => json!(version - 1),
    };
    let id = format!("00000000-0000-4000-8000-{n:012x}");
    let (stream, kind) = (n % STREAMS, ["even", "odd"][(n % 2) as usize]);
    let line = json!({
        "category": category, "stream": stream, "type": kind, "data": content(n), "id": id,
        "expected_version": expected,
    });
    format!("{line}\n")
}

fn content(n: u64) -> Value {
    json!({"n": n, "fill": "abcdefghij".repeat((n * n % 37) as usize)})
}

/// The category must hold exactly the first `count` events, in order, in dense streams.
fn check_prefix(place: &Place, category: &str, count: u64, context: &str) {
    let db = Database::open(place.data()).expect(context);
    check_events(&db, category, count, context);
    db.close().expect(context);
}

fn check_events(db: &Database, name: &str, count: u64, context: &str) {
    let category = db.category(name).expect(context);
    let mut next = HashMap::new();
    let mut events = category.read_all(Seq::ZERO).expect(context);
    for n in 0..count {
        let event = events.next().expect(context).expect(context);
        let version = next.entry(n % STREAMS).or_insert(0);
        assert_eq!(event.stream().to_string(), (n % STREAMS).to_string(), "{context}: event {n}");
        assert_eq!(event.version(), *version, "{context}: event {n}");
        let found: Value = serde_json::from_slice(event.data()).expect(context);
        assert_eq!(found, content(n), "{context}: event {n}");
        assert_eq!(event.event_type().name, ["even", "odd"][(n % 2) as usize]);
        *version += 1;
    }
    assert!(events.next().is_none(), "{context}: one too many");
    for (stream, len) in next {
        assert_eq!(category.len(stream).expect(context), len, "{context}: stream {stream}");
        let versions: Vec<u64> =
            category.read(stream).expect(context).map(|event| event.unwrap().version()).collect();
        assert_eq!(versions, (0..len).collect::<Vec<_>>(), "{context}: stream {stream}");
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let nightly = std::env::var_os("ANNALS_NIGHTLY").is_some();
    let kills = if nightly { KILLS_NIGHTLY } else { KILLS };
    let ways = [
        (None, "1", "64KiB"),
        (Some("sync"), "7", "64KiB"),
        (Some("buffered"), "20", "64KiB"),
        (None, "100", "256KiB"),
        (Some("sync"), "1", "1MiB"),
        (Some("buffered"), "1", "64MiB"),
    ];
    let (mut place, mut acked_count) = (Place::new(), 0);
    for number in 0..kills {
        if number % 6 == 0 {
            place = Place::new();
        }
        let (durability, batch, segment_bytes) = ways[(number % 6) as usize];
        let category = format!("run-{number}");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_annals"));
        command.arg("--data").arg(place.data()).args(["--segment-bytes", segment_bytes]);
        command.args(["import-events", "-", "--progress-json", "--batch", batch]);
        command.args(durability.map(|level| format!("--durability={level}")));
        let delay = Duration::from_micros(random() % 120_000);
        let acked = run_and_kill(command, &category, delay);
        acked_count += acked;
        let context = format!("kill {number}, {durability:?}, batches of {batch}, {acked} acked");

        if number % 3 == 0 && place.data().join("annals.root").exists() {
            let db = Database::open_read_only(place.data()).expect(&context);
            let seen = db
                .open_category(&category)
                .map_or(0, |found| found.read_all(Seq::ZERO).expect(&context).count() as u64);
            assert!(seen >= acked, "{context}: a reader sees {seen}");
        }
        let db = Database::open(place.data()).expect(&context);
        let found = db.category(&category).expect(&context);
        let recovered = found.read_all(Seq::ZERO).expect(&context).count() as u64;
        assert!(recovered >= acked, "{context}: {recovered} recovered");
        let batch: u64 = batch.parse().unwrap();
        assert_eq!(recovered % batch, 0, "{context}: half a commit, {recovered} recovered");
        check_events(&db, &category, recovered, &context);
        drop((found, db));
        // Who repeats the load gets what is missing, and nothing twice.
        let all = recovered + 30;
        let lines: String = (0..all).map(|n| event_of(&category, n)).collect();
        let ended = place.run_with(&["import-events", "-"], lines.as_bytes());
        assert_eq!(ended.code, 0, "{context}: {ended:?}");
        check_prefix(&place, &category, all, &context);
    }
    println!("{kills} kills: {acked_count} events acknowledged");
    assert!(acked_count > kills, "children were killed before they did anything");
}

/// Runs a child for about `delay` behind its first acknowledgement, or from its start for every fourth, so that
/// openings are hit too. Returns how many events it acknowledged.
fn run_and_kill(mut command: std::process::Command, category: &str, delay: Duration) -> u64 {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (stdin, category) = (child.stdin.take().expect("a pipe"), category.to_owned());
    let feeder = thread::spawn(move || {
        let mut to = BufWriter::with_capacity(32 << 10, stdin);
        for n in 0.. {
            if to.write_all(event_of(&category, n).as_bytes()).is_err() {
                drop(to.into_parts());
                return;
            }
        }
    });
    let mut told =
        BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let first = if random().is_multiple_of(4) { None } else { told.next() };
    let killer = thread::spawn(move || {
        thread::sleep(delay);
        kill(child);
    });
    // What is in the pipe when the child dies was acknowledged too.
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
    serde_json::from_str::<Value>(line).ok()?["acked"].as_u64()
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}
