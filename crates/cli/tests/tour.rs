//! The tour on a file and on a directory, and the benchmark: every step is there with its figures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, objects};
use std::fs;

const STEPS: [&str; 19] = [
    "input",
    "ingest",
    "query",
    "group",
    "recent",
    "kill -9, ingesting",
    "store",
    "read back",
    "append events",
    "kill -9, buffered",
    "kill -9, interval",
    "kill -9, sync",
    "read all again",
    "backup while writing",
    "backup again",
    "restore",
    "verify",
    "flip a byte, find it",
    "done",
];

fn log() -> String {
    (0..3_000).map(|n| format!("10.0.0.{} - GET /page/{n} 200 {}\n", n % 256, n * 37)).collect()
}

#[test]
fn a_log_file_is_toured() {
    let place = Place::new();
    let file = place.file("access.log", log());
    let steps = place.json(&["tour", file.to_str().unwrap()]);
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, STEPS);
    let of = |name: &str| of(&steps, name);
    assert_eq!(of("store")["records_count"], 3_000);
    assert_eq!(of("read back")["equal_count"], 3_000);
    for name in ["buffered", "interval", "sync"] {
        let step = of(&format!("kill -9, {name}"));
        assert!(step["acked_count"].as_u64() > Some(0), "{step}");
        assert!(step["recovered_count"].as_u64() >= step["acked_count"].as_u64(), "{step}");
    }
    assert!(of("backup again")["reused_bytes"].as_u64() > Some(0));
    let commands = of("store")["commands"].as_array().unwrap();
    assert!(commands[0].as_str().unwrap().contains("batch-put"), "{commands:?}");
    assert!(!place.data().exists(), "the user's own database is left alone");
    let left: Vec<_> = fs::read_dir(place.path(".")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left.len(), 1, "the temporary database is gone: {left:?}");
    assert_eq!(of("append events")["events_count"], 1_000);
    assert_eq!(
        (&of("ingest")["events_count"], &of("ingest")["format"]),
        (&3_000.into(), &"ndjson".into())
    );
    assert_eq!(of("query")["events_count"], 3_000);
    let killed = of("kill -9, ingesting");
    assert!(killed["recovered_count"].as_u64() >= killed["acked_count"].as_u64(), "{killed}");
    repeat(&place, &[of("store"), of("read back"), of("append events")]);
    repeat(&place, &[of("ingest"), of("query"), of("group"), of("recent")]);
    let data = place.path("annals-tour");
    let events = place.json(&["recent", "tour-events", "--data", data.to_str().unwrap()]);
    assert_eq!((&events[0]["line"], &events[0]["words"]), (&3_000.into(), &6.into()));
}

#[test]
fn lines_of_a_known_format_are_toured_as_they_are() {
    let place = Place::new();
    let file = place.file("access.log", common::web_log(1_500) + "no request\n");
    let steps = place.json(&["tour", file.to_str().unwrap()]);
    let ingest = of(&steps, "ingest");
    let count = |name: &str| ingest[name].as_u64().unwrap();
    assert_eq!(
        [count("events_count"), count("rejected_count"), count("fields_count")],
        [1_500, 1, 10]
    );
    assert_eq!(ingest["format"], "combined");
    assert_eq!(
        (&of(&steps, "group")["by"], &of(&steps, "group")["groups_count"]),
        (&"client".into(), &10.into())
    );
    assert_eq!(of(&steps, "recent")["newest"], "2015-05-17T10:24:59Z");
    assert!(of(&steps, "kill -9, ingesting")["acked_count"].as_u64() > Some(0));
    repeat(&place, &[ingest, of(&steps, "query"), of(&steps, "group"), of(&steps, "recent")]);
    assert!(place.path("tour-events.rejected").exists(), "as the command says");
}

fn of<'a>(steps: &'a [serde_json::Value], name: &str) -> &'a serde_json::Value {
    steps.iter().find(|step| step["step"] == name).expect("a step of this name")
}

#[test]
fn a_log_file_is_toured_in_keyspaces_of_the_kind_asked_for() {
    for kind in ["hash", "ordered"] {
        let place = Place::new();
        let file = place.file("access.log", log());
        let steps = place.json(&["tour", file.to_str().unwrap(), "--kind", kind]);
        let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
        assert_eq!(names, STEPS);
        repeat(&place, &[of(&steps, "store"), of(&steps, "read back")]);
        let data = place.path("annals-tour");
        let listed = place.json(&["keyspace", "list", "--data", data.to_str().unwrap()]);
        assert_eq!((listed.len(), &listed[0]["kind"]), (1, &serde_json::json!(kind)));
    }
}

#[test]
fn a_directory_has_commands_that_repeat_it() {
    let place = Place::new();
    fs::create_dir_all(place.path("a project/src")).unwrap();
    fs::create_dir_all(place.path("a project/target")).unwrap();
    place.file("a project/it's.txt", "one\ntwo\n");
    place.file("a project/src/b", "three");
    place.file("a project/target/made", "x");
    let steps = place.json(&["tour", "a project"]);
    assert_eq!(steps[0]["records_count"], 2);
    repeat(&place, &[of(&steps, "store"), of(&steps, "read back"), of(&steps, "ingest")]);
    repeat(&place, &[of(&steps, "query"), of(&steps, "group"), of(&steps, "recent")]);
    let data = place.path("annals-tour");
    let listed = place.json(&["keys", "-k", "tour", "--data", data.to_str().unwrap()]);
    assert_eq!(common::sorted(&listed, "key"), ["a project/it's.txt", "a project/src/b"]);
    let events = place.json(&["export", "tour-events", "--data", data.to_str().unwrap()]);
    assert_eq!(common::sorted(&events, "path"), ["it's.txt", "src/b"]);
    assert_eq!(of(&steps, "query")["sum"], "13 bytes");
}

/// Runs the commands that steps name, as a user would who pastes them into a shell.
fn repeat(place: &Place, steps: &[&serde_json::Value]) {
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_annals")).parent().expect("a directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    for command in steps.iter().flat_map(|step| step["commands"].as_array().expect("a list")) {
        let command = command.as_str().expect("a string");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command]).current_dir(place.path(".")).env("PATH", &path);
        let ended = shell.output().expect("a shell");
        assert!(ended.status.success(), "{command}: {ended:?}");
    }
}

#[test]
fn a_directory_is_toured_and_kept_if_wanted() {
    let place = Place::new();
    fs::create_dir_all(place.path("project/src")).unwrap();
    place.file("project/README.md", "# A project\n\nOf three lines.\n");
    place.file("project/src/main.rs", "fn main() {}\n".repeat(500));
    place.file("project/src/empty", "");
    place.file("project/.hidden", "x");
    let text = place.ok(&["tour", "project", "--keep"]);
    for (at, step) in STEPS.iter().enumerate() {
        assert!(text.contains(&format!("{:2}. {step}", at + 1)), "{step} is missing in {text}");
    }
    assert!(text.contains("records 3 "), "{text}");
    let kept = fs::read_dir(place.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("annals-tour-"))
        .expect("the temporary database is kept");
    let data = kept.join("data");
    let args = ["get", "README.md", "-k", "tour", "--data", data.to_str().unwrap()];
    assert_eq!(place.ok(&args), "# A project\n\nOf three lines.\n");
}

#[test]
fn nothing_to_tour_is_a_usage_error() {
    let place = Place::new();
    let file = place.file("empty.log", "");
    place.run(&["tour", file.to_str().unwrap()]).fails(2, "nothing");
}

#[test]
fn the_benchmark_has_its_rows() {
    for (kind, rows_count) in [("hash", 8), ("ordered", 9)] {
        has_its_rows(kind, rows_count);
    }
}

fn has_its_rows(kind: &str, rows_count: usize) {
    let place = Place::new();
    let args = ["bench", "--ops", "2000", "--value-size", "64B", "--threads", "2", "--kind", kind];
    let rows = objects(&place.run(&[&args[..], &["--json"]].concat()).ok());
    let (rows, counted): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.get("what").is_some());
    let names: Vec<&str> = rows.iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(rows.len(), rows_count, "{names:?}");
    assert_eq!(counted.len(), if kind == "ordered" { 6 } else { 0 });
    for row in &counted {
        assert!(row["load"].as_str().unwrap().starts_with("insert"), "{row}");
        assert!(row["durability"].is_string(), "{row}");
        assert!(row["write_amplification"].as_f64() >= Some(1.0), "{row}");
        assert!(row["cache_hit_rate"].is_null(), "no table is compressed: {row}");
        assert!(row["stalls_count"].is_u64() && row["stalled_seconds"].is_number(), "{row}");
    }
    for row in &rows {
        assert!(row["ops"].as_u64() > Some(0), "{row}");
        assert!(row["ops_per_second"].as_f64() > Some(0.0), "{row}");
        let at = |name: &str| row[name].as_f64().unwrap();
        assert!(at("p50_seconds") <= at("p99_seconds"), "{row}");
        assert!(at("p999_seconds") <= at("max_seconds"), "{row}");
    }
    let text = place.ok(&args);
    assert!(text.starts_with("what"), "{text}");
    assert_eq!(text.contains("write amplification"), kind == "ordered", "{text}");
    assert_eq!(fs::read_dir(place.path(".")).unwrap().count(), 0, "nothing is left behind");
}
