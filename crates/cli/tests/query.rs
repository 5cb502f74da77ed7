//! `query`: what it answers, compared with counts that plain code makes of the same lines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, web_log};
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::Command};

/// A request as plain code reads it.
struct Request {
    client: String,
    path: String,
    minute: String,
    status: u64,
    bytes: Option<u64>,
}

fn requests(log: &str) -> Vec<Request> {
    let read = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let time = words[3].trim_start_matches('[');
        Request {
            client: words[0].to_owned(),
            path: words[6].to_owned(),
            minute: format!("2015-05-{}T{}:00Z", &time[..2], &time[12..17]),
            status: words[8].parse().unwrap(),
            bytes: words[9].parse().ok(),
        }
    };
    log.lines().map(read).collect()
}

fn with_log(lines: u64) -> (Place, Vec<Request>) {
    let place = Place::new();
    let log = web_log(lines);
    let file = place.file("access.log", &log);
    assert_eq!(place.run(&["ingest", "requests", file.to_str().unwrap()]).code, 0);
    (place, requests(&log))
}

fn query(place: &Place, args: &[&str]) -> Vec<Value> {
    place.json(&[&["query", "requests"], args].concat())
}

/// Groups with how many there are of each, and the sum of their bytes.
fn groups<K: Ord>(of: &[Request], key: impl Fn(&Request) -> Option<K>) -> BTreeMap<K, (u64, u64)> {
    let mut all = BTreeMap::new();
    for request in of {
        if let Some(key) = key(request) {
            let (count, bytes) = all.entry(key).or_insert((0, 0));
            *count += 1;
            *bytes += request.bytes.unwrap_or(0);
        }
    }
    all
}

#[test]
fn counts_and_sums_are_those_of_plain_code() {
    let (place, all) = with_log(3_000);
    let total: u64 = all.iter().filter_map(|request| request.bytes).sum();
    let with_bytes: Vec<u64> = all.iter().filter_map(|request| request.bytes).collect();
    let args = ["--sum", "bytes", "--avg", "bytes", "--min", "bytes", "--max", "bytes,time"];
    let average = total as f64 / with_bytes.len() as f64;
    assert_eq!(
        query(&place, &args),
        [json!({
            "events_count": 3_000, "sum_bytes": total, "avg_bytes": average,
            "min_bytes": with_bytes.iter().min(), "max_bytes": with_bytes.iter().max(),
            "max_time": "2015-05-17T10:49:59Z",
        })]
    );

    let by_status = groups(&all, |request| Some(request.status));
    let answered = query(&place, &["--group-by", "status", "--sum", "bytes"]);
    let wanted: Vec<Value> = by_status
        .iter()
        .map(|(status, (count, bytes))| json!({"status": status, "events_count": count, "sum_bytes": bytes}))
        .collect();
    assert_eq!(answered, wanted);

    let failed = groups(&all, |request| (request.status >= 500).then(|| request.minute.clone()));
    let answered = query(&place, &["--where", "status >= 500", "--bucket", "1m"]);
    let wanted: Vec<Value> = failed
        .iter()
        .map(|(minute, (count, _))| json!({"time": minute, "events_count": count}))
        .collect();
    assert_eq!(answered, wanted);
    assert_eq!(wanted.len(), 50);
}

#[test]
fn the_top_groups_come_first_and_filters_hold_together() {
    let (place, all) = with_log(2_500);
    let of_one = groups(&all, |request| {
        let is_meant = request.client == "10.0.0.3" && request.path.starts_with("/page/1");
        is_meant.then(|| (request.path.clone(), request.status))
    });
    let mut wanted: Vec<_> = of_one.into_iter().collect();
    wanted.sort_by(|(one_key, one), (other_key, other)| {
        other.1.cmp(&one.1).then_with(|| one_key.cmp(other_key))
    });
    let wanted: Vec<Value> = wanted
        .iter()
        .take(5)
        .map(|((path, status), (count, bytes))| {
            json!({"path": path, "status": status, "events_count": count, "sum_bytes": bytes})
        })
        .collect();
    let args = [
        "--where",
        "client = 10.0.0.3",
        "--where",
        "path starts with '/page/1'",
        "--group-by",
        "path,status",
        "--sum",
        "bytes",
        "--top",
        "5",
    ];
    assert_eq!(query(&place, &args), wanted);

    let is_meant = |request: &Request| {
        ("2015-05-17T10:05:00Z".."2015-05-17T10:20:00Z").contains(&request.minute.as_str())
            && request.bytes.is_none()
    };
    let args = [
        "--since",
        "2015-05-17T10:05",
        "--until",
        "2015-05-17T10:20:00Z",
        "--where",
        "bytes is absent",
    ];
    let count = all.iter().filter(|request| is_meant(request)).count();
    assert_eq!(query(&place, &args), [json!({"events_count": count})]);
    assert!(count > 50);
    assert!(query(&place, &["--since", "now", "--group-by", "status"]).is_empty());
    assert_eq!(query(&place, &["--since", "now"]), [json!({"events_count": 0})]);
    let newest = place.json(&["recent", "requests", "-n", "2", "--where", "not status = 200"]);
    let wanted: Vec<&Request> = all.iter().rev().filter(|one| one.status != 200).take(2).collect();
    assert_eq!(newest.len(), 2);
    for (found, wanted) in newest.iter().zip(wanted) {
        assert_eq!(
            (&found["path"], &found["status"]),
            (&json!(wanted.path), &json!(wanted.status))
        );
    }
}

#[test]
fn quantiles_and_different_values_are_exact() {
    let (place, all) = with_log(1_234);
    let mut by_status = BTreeMap::<u64, Vec<&Request>>::new();
    for request in &all {
        by_status.entry(request.status).or_default().push(request);
    }
    let quantile = |of: &[&Request], percent: usize| {
        let mut bytes: Vec<u64> = of.iter().filter_map(|request| request.bytes).collect();
        bytes.sort_unstable();
        bytes[(bytes.len() * percent).div_ceil(100) - 1]
    };
    let distinct = |of: &[&Request]| {
        of.iter().map(|request| &request.path).collect::<std::collections::BTreeSet<_>>().len()
    };
    let wanted: Vec<Value> = by_status
        .iter()
        .map(|(status, of)| {
            json!({
                "status": status, "events_count": of.len(), "p50_bytes": quantile(of, 50),
                "p99_bytes": quantile(of, 99), "distinct_path": distinct(of),
                "distinct_path_estimated": false,
            })
        })
        .collect();
    let args = ["--group-by", "status", "--p50", "bytes", "--p99", "bytes", "--distinct", "path"];
    assert_eq!(query(&place, &args), wanted);
    let args = ["--bucket", "10m", "--p95", "time", "--distinct", "client,bytes", "--top", "1"];
    let first = &query(&place, &args)[0];
    assert_eq!(
        (&first["time"], &first["p95_time"]),
        (&json!("2015-05-17T10:20:00Z"), &json!("2015-05-17T10:20:32Z"))
    );
    assert_eq!((&first["distinct_client"], &first["distinct_bytes"]), (&json!(10), &json!(31)));
    let none = query(&place, &["--since", "now", "--p50", "bytes", "--distinct", "path"]);
    assert_eq!(
        none,
        [
            json!({"events_count": 0, "p50_bytes": null, "distinct_path": 0, "distinct_path_estimated": false})
        ]
    );
}

#[test]
fn percentiles_by_sketch_are_near_and_many_different_values_are_estimated() {
    let place = Place::new();
    let lines: String =
        (0..9_000).map(|n| format!("{{\"n\":{n},\"small\":{}}}\n", n % 200)).collect();
    let file = place.file("numbers", lines);
    assert_eq!(place.run(&["ingest", "numbers", file.to_str().unwrap()]).code, 0);
    let args = ["query", "numbers", "--p50", "n,small", "--p99", "n"];
    let exact = json!({"events_count": 9_000, "p50_n": 4_499, "p50_small": 99, "p99_n": 8_909});
    assert_eq!(place.json(&args), [exact]);
    let near = &place.json(&[&args[..], &["--sketch"]].concat())[0];
    assert_eq!(near["p50_small"], 99, "below 256 they are exact");
    for (name, right) in [("p50_n", 4_499), ("p99_n", 8_909)] {
        let told = near[name].as_u64().unwrap();
        assert!(told != right && told.abs_diff(right) <= right / 256, "{name}: {near}");
    }
    let args = ["query", "numbers", "--distinct", "n,small"];
    let told = &place.json(&args)[0];
    assert_eq!(told["distinct_small"], 200);
    let estimated = (&told["distinct_n_estimated"], &told["distinct_small_estimated"]);
    assert_eq!(estimated, (&json!(true), &json!(false)));
    assert!(told["distinct_n"].as_u64().unwrap().abs_diff(9_000) < 450, "{told}");
    let shown = place.ok(&args);
    let last = shown.lines().last().unwrap();
    assert!(last.contains("  ~") && last.ends_with("  200"), "{shown}");
}

#[test]
fn what_a_question_uses_is_explained() {
    let (place, _) = with_log(1_000);
    {
        let db = annals::Database::open(place.data()).unwrap();
        db.open_table("requests").unwrap().flush().unwrap();
        db.close().unwrap();
    }
    let whole = &query(&place, &["--sum", "bytes", "--explain"])[0];
    let counts = |of: &Value| {
        let names = ["parts_count", "rows_count", "rows_selected_count", "fresh_count"];
        names.map(|name| of[name].as_u64().unwrap())
    };
    assert_eq!(counts(whole), [1, 1_000, 1_000, 0]);
    assert_eq!(
        whole["parts"],
        json!([{
            "part": 1, "rows_count": 1_000, "rows_selected_count": 1_000, "found_by": null,
            "by_totals": true, "chunks_count": 4, "chunks_by_sums_count": 0,
            "chunks_unpacked_count": 0, "rows_one_by_one_count": 0,
        }])
    );
    let some = ["--until", "2015-05-17T10:05", "--p99", "bytes", "--explain"];
    let of_times = &query(&place, &some)[0];
    assert_eq!(counts(of_times), [1, 1_000, 300, 0]);
    let part = &of_times["parts"][0];
    assert_eq!((&part["found_by"], &part["by_totals"]), (&json!("times"), &json!(false)));
    assert_eq!(part["chunks_unpacked_count"], 2);
    // What is in no part yet is told apart.
    let line = "10.0.0.1 - - [17/May/2015:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    assert_eq!(place.run_with(&["ingest", "requests", "-"], line.as_bytes()).code, 0);
    assert_eq!(counts(&query(&place, &["--explain"])[0])[2..], [1_000, 1]);

    let shown = place.ok(&[&["query", "requests"], &some[..]].concat());
    assert!(shown.contains("rows selected  300\n"), "{shown}");
    assert!(shown.contains("part   rows  rows selected  found by"), "{shown}");
}

#[test]
fn keys_of_63_bits_are_groups_before_and_after_a_flush() {
    let place = Place::new();
    let line = |n: u64| {
        let at = ["1700-01-01T00:00:00Z", "2015-05-17T10:00:00Z", "2262-01-01T00:00:00Z"]
            [if n < 2 { 2 * n as usize } else { 1 }];
        let trace = (n % 300) << 54 | 1;
        format!("{{\"time\":\"{at}\",\"trace_id\":{trace},\"status\":{}}}\n", 200 + n % 2)
    };
    let lines: String = (0..900).map(line).collect();
    let file = place.file("traces", lines);
    assert_eq!(place.run(&["ingest", "traces", file.to_str().unwrap()]).code, 0);
    let questions = [
        &["--group-by", "trace_id,status"][..],
        &["--group-by", "trace_id", "--bucket", "1h"],
        &["--group-by", "trace_id", "--bucket", "1s", "--sum", "trace_id", "--top", "7"],
    ];
    let ask = |args: &[&str]| place.json(&[&["query", "traces"], args].concat());
    let fresh = questions.map(ask);
    // A trace has three events, all of one status; two stand alone by their times.
    assert_eq!((fresh[0].len(), fresh[1].len()), (300, 302));
    {
        let db = annals::Database::open(place.data()).unwrap();
        db.open_table("traces").unwrap().flush().unwrap();
        db.close().unwrap();
    }
    assert_eq!(questions.map(ask), fresh);
    let explained = &ask(&["--group-by", "trace_id,status", "--explain"])[0];
    assert_eq!(explained["rows_selected_count"], 900);
}

#[test]
fn people_see_a_table_or_a_chart() {
    let (place, _) = with_log(100);
    let told = place.ok(&["query", "requests", "--group-by", "status", "--sum", "bytes"]);
    let wanted = "status  events  sum bytes\n   200      84     12,089\n   404      14      1,946\n   503       2        348\n";
    assert_eq!(told.lines().next(), wanted.lines().next());
    assert_eq!(told.lines().count(), 4, "{told}");
    let told = place.ok(&["query", "requests", "--group-by", "status", "--plot"]);
    assert!(told.starts_with("events by status\n200  "), "{told}");
    assert!(told.lines().nth(1).unwrap().ends_with(&"█".repeat(40)), "{told}");
    let args = ["query", "requests", "--where", "status = 503", "--bucket", "10s", "--plot"];
    let told = place.ok(&args);
    let wanted = ["events by time", "2015-05-17T10:00:40Z  1  █", "2015-05-17T10:00:50Z  0"];
    for (line, wanted) in told.lines().zip(wanted) {
        assert!(line.starts_with(wanted), "{told}");
    }
    assert_eq!(told.lines().count(), 7, "buckets without events are seen: {told}");
}

#[test]
fn what_cannot_be_asked_is_told() {
    let (place, _) = with_log(10);
    for (args, said) in [
        (&["--where", "stauts = 1"][..], "did you mean `status`?\n  stauts = 1\n  ^^^^^^\n"),
        (&["--where", "status = 1 and"], "the name of a field should stand here"),
        (&["--sum", "path"], "`path` is dimension, which has no sum"),
        (&["--p50", "path"], "`path` is dimension, which has no p50"),
        (&["--avg", "time"], "`time` is ts, which has no avg; --bucket and --where"),
        (&["--sum", "gone"], "`gone` is no field"),
        (&["--group-by", "time"], "--bucket 1d"),
        (&["--group-by", "path,status,client,method", "--bucket", "1m"], "four"),
        (&["--since", "soon"], "--since: `soon` is no time"),
        (&["--plot", "--json"], "contradict"),
        (&["--plot", "--explain"], "cannot be used with"),
        (&["--explain", "--sum", "path"], "`path` is dimension, which has no sum"),
    ] {
        let mut all = vec!["query", "requests"];
        all.extend(args);
        let ended = place.run(&all);
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        let told = ended.stderr.replace("\\n", "\n");
        assert!(told.contains(said), "{said}: {ended:?}");
    }
}

#[test]
fn asking_changes_nothing_and_works_beside_a_writer() {
    let (place, _) = with_log(5_000);
    let look = || -> Vec<_> {
        let mut files: Vec<_> = std::fs::read_dir(place.data())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let ask = || {
        let questions = [
            &["tables"][..],
            &["query", "requests", "--group-by", "path", "--sum", "bytes"],
            &["recent", "requests", "--where", "status = 503"],
            &["export", "requests", "--format", "csv"],
        ];
        questions.map(|args| place.ok(args))
    };
    let before = look();
    let answers = ask();
    assert!(before == look(), "a file was changed");
    let db = annals::Database::open(place.data()).unwrap();
    assert_eq!(ask(), answers);
    let parts_count = db.open_table("requests").unwrap().view().unwrap().parts_count();
    assert_eq!(parts_count, 1, "a load of some thousands makes a part");
    db.close().unwrap();
}

/// What the README tells a stranger to type about event tables.
#[test]
fn the_commands_of_the_readme_run() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once("\n### Event tables\n").expect("a section on tables");
    let (_, script) = section.split_once("```sh\n").expect("commands");
    let (script, _) = script.split_once("```").expect("an end");
    let place = Place::new();
    place.file("access.log", web_log(2_000));
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_annals")).parent().expect("a directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    let mut shell = Command::new("sh");
    shell.args(["-ec", script]).current_dir(place.path(".")).env("PATH", &path);
    let ended: common::Ended = shell.output().expect("a shell").into();
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = String::from_utf8(ended.stdout).unwrap();
    for wanted in ["events             2,000\n", "/page/", "█", "\"status\":503", "requests"] {
        assert!(told.contains(wanted), "`{wanted}` is not in {told}");
    }
}
