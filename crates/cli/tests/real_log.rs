//! The log of a real web server, ingested, and what is asked of it compared with counts that plain code makes of its
//! lines, as `awk`, `sort` and `uniq` would.
//!
//! The log is no part of the project: it lies beside it, or where `ANNALS_REAL_LOG` says. Without it nothing is compared.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, objects};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

fn log() -> Option<PathBuf> {
    let beside = "../../../shared/data/apache_combined.log";
    let path = match std::env::var_os("ANNALS_REAL_LOG") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(beside),
    };
    if path.is_file() {
        return Some(path);
    }
    println!("NOT TESTED: there is no {}", path.display());
    None
}

/// A line's words, as `awk` has them.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// How often each comes, by what is made of a line's words.
fn counts<K: Ord>(text: &str, key: impl Fn(&[&str]) -> K) -> BTreeMap<K, u64> {
    let mut all = BTreeMap::new();
    for line in text.lines() {
        *all.entry(key(&words(line))).or_default() += 1;
    }
    all
}

#[test]
fn what_is_asked_of_a_real_log_is_what_its_lines_say() {
    let Some(path) = log() else { return };
    let all = std::fs::read_to_string(&path).unwrap();
    // A line that is cut off has no end of what the client says it is: it is kept aside and told of.
    let is_whole = |line: &&str| line.matches('"').count() == 6;
    let text: Vec<&str> = all.lines().filter(is_whole).collect();
    let (lines, text) = (text.len() as u64, text.join("\n"));
    let place = Place::new();
    let ended = place.run(&["--json", "ingest", "requests", path.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = objects(std::str::from_utf8(&ended.stdout).unwrap()).remove(0);
    let rejected = all.lines().count() as u64 - lines;
    assert_eq!(report["events_count"], lines);
    assert_eq!(report["rejected_count"], rejected);
    for (number, line) in (1..).zip(all.lines()).filter(|(_, line)| !is_whole(line)) {
        assert!(ended.stderr.contains(&format!("line {number}: ")), "{line}: {}", ended.stderr);
    }
    let query = |args: &[&str]| place.json(&[&["query", "requests"], args].concat());
    // Before the events are in a part, and when they are.
    for _ in 0..2 {
        let bytes: Vec<u64> = text.lines().filter_map(|line| words(line)[9].parse().ok()).collect();
        assert_eq!(
            query(&["--sum", "bytes", "--max", "bytes"]),
            [json!({
                "events_count": lines, "sum_bytes": bytes.iter().sum::<u64>(),
                "max_bytes": bytes.iter().max(),
            })]
        );
        let wanted = counts(&text, |words| words[8].parse::<u64>().unwrap());
        let answered = query(&["--group-by", "status"]);
        let told =
            |row: &Value| (row["status"].as_u64().unwrap(), row["events_count"].as_u64().unwrap());
        assert_eq!(answered.iter().map(told).collect::<BTreeMap<_, _>>(), wanted);

        let mut paths: Vec<(String, u64)> =
            counts(&text, |words| words[6].to_owned()).into_iter().collect();
        paths.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let answered = query(&["--group-by", "path", "--top", "5"]);
        let told = |row: &Value| {
            (row["path"].as_str().unwrap().to_owned(), row["events_count"].as_u64().unwrap())
        };
        assert_eq!(answered.iter().map(told).collect::<Vec<_>>(), paths[..5]);

        let wanted = counts(&text, |words| {
            // [17/May/2015:10:05:03
            format!("2015-05-{}T{}:00:00Z", &words[3][1..3], &words[3][13..15])
        });
        let answered = query(&["--bucket", "1h"]);
        let told = |row: &Value| {
            (row["time"].as_str().unwrap().to_owned(), row["events_count"].as_u64().unwrap())
        };
        assert_eq!(answered.iter().map(told).collect::<BTreeMap<_, _>>(), wanted);

        let clients: BTreeSet<&str> = text.lines().map(|line| words(line)[0]).collect();
        let answered = query(&["--group-by", "client"]);
        assert_eq!(answered.len(), clients.len());

        let failed = text.lines().filter(|line| words(line)[8] == "404");
        let failed = failed.filter(|line| words(line)[5] == "\"GET").count();
        let answered = query(&["--where", "status = 404 and method = \"GET\""]);
        assert_eq!(answered, [json!({"events_count": failed})]);

        let db = annals::Database::open(place.data()).unwrap();
        db.open_table("requests").unwrap().flush().unwrap();
        db.close().unwrap();
    }
}
