//! The log of a web server, ingested, and what is asked of it compared with what `awk`, `sort` and `uniq` make of its
//! lines.
//!
//! The log of a real one is no part of the project: it lies beside it, or where `ANNALS_REAL_LOG` says. One that is made
//! up here is compared in any case.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, objects};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Lines that are whole: one that is cut off has no end of what the client says it is, and is kept aside.
const WHOLE: &str = r#"awk -F'"' 'NF == 7' log"#;

fn real_log() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ANNALS_REAL_LOG") {
        return Some(path.into());
    }
    let beside = "../../../shared/data/apache_combined.log";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(beside);
    path.is_file().then_some(path)
}

/// A log of some thousand requests over three days: most paths are rare, some answers have no length, and two lines are cut
/// off.
fn made_up() -> String {
    let mut log = String::new();
    let mut state = 7u64;
    let mut random = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for number in 0..4_000u64 {
        let minute = number * 3 * 24 * 60 / 4_000;
        let (day, hour, minute) = (10 + minute / 1_440, minute / 60 % 24, minute % 60);
        let client = random(300);
        let path = random(40) * random(40);
        let status = [200, 200, 200, 200, 206, 301, 304, 404, 404, 500][random(10) as usize];
        let method = ["GET", "GET", "GET", "HEAD", "POST"][random(5) as usize];
        let bytes = if status == 304 { "-".to_owned() } else { random(1 << 20).to_string() };
        let second = random(60);
        write!(
            log,
            "10.0.{}.{} - - [{day}/May/2015:{hour:02}:{minute:02}:{second:02} +0000] \"{method} /page/{path} \
             HTTP/1.1\" {status} {bytes} \"-\" \"agent of client {client}",
            client / 256,
            client % 256,
        )
        .unwrap();
        log.push_str(if number % 2_500 == 1_700 { "\n" } else { "\"\n" });
    }
    log
}

/// What a pipe of the system's tools makes of the lines that are whole.
fn shell(place: &Place, pipe: &str) -> Vec<Vec<String>> {
    let script = format!("set -e; cd \"$1\"; {WHOLE} | {pipe}");
    let ended = Command::new("sh")
        .args(["-c", &script, "sh", place.path("").to_str().unwrap()])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(ended.status.success(), "{pipe}: {ended:?}");
    let text = String::from_utf8(ended.stdout).unwrap();
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// What `uniq -c` has counted, by what it counted.
fn counts(place: &Place, pipe: &str) -> BTreeMap<String, u64> {
    let lines = shell(place, &format!("{pipe} | sort | uniq -c"));
    let counts = lines.into_iter().map(|words| (words[1].clone(), words[0].parse().unwrap()));
    counts.collect()
}

fn is_what_tools_say(log: &str) {
    let place = Place::new();
    let path = place.path("log");
    fs::write(&path, log).unwrap();
    let ended = place.run(&["--json", "ingest", "requests", path.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = objects(std::str::from_utf8(&ended.stdout).unwrap()).remove(0);
    let lines: u64 = shell(&place, "wc -l")[0][0].parse().unwrap();
    assert!(lines > 1_000, "a log of {lines} lines proves little");
    assert_eq!(report["events_count"], lines);
    let cut_off: Vec<_> =
        (1..).zip(log.lines()).filter(|(_, line)| line.matches('"').count() != 6).collect();
    assert_eq!(report["rejected_count"], cut_off.len());
    for (number, line) in cut_off {
        assert!(ended.stderr.contains(&format!("line {number}: ")), "{line}: {}", ended.stderr);
    }
    let query = |args: &[&str]| place.json(&[&["query", "requests"], args].concat());
    let count = |row: &Value| row["events_count"].as_u64().unwrap();
    let by = |answer: &[Value], key: &str| -> BTreeMap<String, u64> {
        let word = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        answer.iter().map(|row| (word(&row[key]), count(row))).collect()
    };
    // Before the events are in a part, and when they are.
    for _ in 0..2 {
        let bytes = r#"awk '$10 != "-" { sum += $10; if ($10 + 0 > most) most = $10 + 0 }
            END { printf "%.0f %.0f\n", sum, most }'"#;
        let bytes = shell(&place, bytes).remove(0);
        let number = |at: usize| bytes[at].parse::<u64>().unwrap();
        assert_eq!(
            query(&["--sum", "bytes", "--max", "bytes"]),
            [json!({"events_count": lines, "sum_bytes": number(0), "max_bytes": number(1)})]
        );

        let answered = by(&query(&["--group-by", "status"]), "status");
        assert_eq!(answered, counts(&place, "awk '{ print $9 }'"));

        let top = "awk '{ print $7 }' | sort | uniq -c | sort -k1,1nr | head -5";
        let top: Vec<u64> = shell(&place, top).iter().map(|row| row[0].parse().unwrap()).collect();
        let answered = query(&["--group-by", "path", "--top", "5"]);
        assert_eq!(answered.iter().map(count).collect::<Vec<_>>(), top);
        // Of those that come equally often, any may be among the first.
        let of_path = counts(&place, "awk '{ print $7 }'");
        for (path, count) in by(&answered, "path") {
            assert_eq!(of_path[&path], count, "{path}");
        }

        // [17/May/2015:10:05:03
        let hours =
            r#"awk '{ printf "2015-05-%sT%s:00:00Z\n", substr($4, 2, 2), substr($4, 14, 2) }'"#;
        assert_eq!(by(&query(&["--bucket", "1h"]), "time"), counts(&place, hours));

        let answered = by(&query(&["--group-by", "client"]), "client");
        assert_eq!(answered, counts(&place, "awk '{ print $1 }'"));

        let failed = r#"awk '$9 == 404 && $6 == "\"GET"' | wc -l"#;
        let failed: u64 = shell(&place, failed)[0][0].parse().unwrap();
        let answered = query(&["--where", "status = 404 and method = \"GET\""]);
        assert_eq!(answered, [json!({"events_count": failed})]);

        let db = annals::Database::open(place.data()).unwrap();
        db.open_table("requests").unwrap().flush().unwrap();
        db.close().unwrap();
    }
}

#[test]
fn what_is_asked_of_a_log_is_what_other_tools_say() {
    is_what_tools_say(&made_up());
}

#[test]
fn what_is_asked_of_a_real_log_is_what_other_tools_say() {
    match real_log() {
        Some(path) => is_what_tools_say(&fs::read_to_string(path).unwrap()),
        None => {
            println!("there is no log of a real server: only the one that is made up was compared");
        }
    }
}
