//! A standard error that nobody reads: the reader of the pipe has gone, or the disk is full. What the command does and
//! the code it ends with stay the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, objects};
use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt,
    process::{Output, Stdio},
};

/// A pipe whose reader has gone, and a device that is always full.
fn unread() -> [Stdio; 2] {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    [writer.into(), full.into()]
}

fn run(place: &Place, args: &[&str], stderr: Stdio) -> Output {
    let mut command = place.command();
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    command.output().unwrap()
}

#[test]
fn failures_keep_their_exit_codes() {
    let place = Place::new();
    place.ok(&["put", "k", "a value that is damaged"]);
    let (path, needle) = (place.data().join("00000001.seg"), b"a value that is damaged");
    let content = fs::read(&path).unwrap();
    let at = content.windows(needle.len()).position(|found| found == needle).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"?", at as u64).unwrap();
    for (args, code) in [
        (&["get", "nosuch"][..], 1),
        (&["get", "nosuch", "--json"], 1),
        (&["get"], 2),
        (&["get", "--json"], 2),
        (&[], 2),
        (&["verify"], 3),
        (&["streams"], 0),
        (&["tables"], 0),
    ] {
        for stderr in unread() {
            let ended = run(&place, args, stderr);
            assert_eq!(ended.status.code(), Some(code), "{args:?}: {ended:?}");
        }
    }
}

#[test]
fn loads_go_on() {
    for at in 0..2 {
        let place = Place::new();
        let stderr = || unread().into_iter().nth(at).unwrap();
        // Blank lines are told of, and so is each line of a table that cannot be taken.
        let lines: String = (0..500).map(|n| format!("{n},v\n\n")).collect();
        let file = place.file("lines.csv", lines);
        let file = file.to_str().unwrap();
        let args = ["batch-put", file, "--batch", "10", "-k", "lines"];
        let ended = run(&place, &args, stderr());
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let args = ["batch-put", file, "--batch", "10", "-k", "again", "--progress-json"];
        let ended = run(&place, &args, stderr());
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let told = objects(std::str::from_utf8(&ended.stdout).unwrap());
        assert_eq!((told.len(), &told[49]["acked"]), (50, &500.into()));

        let good = |n: u64| format!("{{\"time\":\"2015-05-17T10:{:02}:00Z\",\"n\":{n}}}\n", n % 60);
        let lines: String = (0..500).map(|n| good(n) + "oops\n").collect();
        let file = place.file("events.ndjson", lines);
        let file = file.to_str().unwrap();
        // The schema of a new table is told first.
        let ended = run(&place, &["ingest", "new", file, "--batch", "10"], stderr());
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let args = ["ingest", "new", file, "--batch", "10", "--progress-json"];
        let ended = run(&place, &args, stderr());
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let told = objects(std::str::from_utf8(&ended.stdout).unwrap());
        assert_eq!(told.last().unwrap()["acked"], 500);
        let counts = place.json(&["tables"]);
        assert_eq!(counts[0]["events_count"], 1_000, "{counts:?}");
        let kept = fs::read_to_string(place.path("new.rejected")).unwrap();
        assert_eq!(kept.lines().count(), 1_000);
    }
}
