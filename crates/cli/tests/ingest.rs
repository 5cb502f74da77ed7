//! `ingest`: every format, what the schema is guessed to be, lines that cannot be taken, what is acknowledged, and what
//! is there after kill -9.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, first_line, objects, web_log};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
};

/// Ingests lines, which must be taken; the report.
fn ingest(place: &Place, args: &[&str], lines: impl AsRef<[u8]>) -> Value {
    let all = [&["--json", "ingest"], args, &["-"]].concat();
    let ended = place.run_with(&all, lines.as_ref());
    assert_eq!(ended.code, 0, "{ended:?}");
    objects(std::str::from_utf8(&ended.stdout).unwrap()).remove(0)
}

fn exported(place: &Place, table: &str) -> Vec<Value> {
    place.json(&["export", table])
}

#[test]
fn lines_of_a_web_server_become_events() {
    let place = Place::new();
    let file = place.file("access.log", web_log(500));
    let ended = place.run(&["ingest", "requests", file.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    // What was made of it is shown, and can be given back.
    assert!(ended.stderr.contains("the lines are combined"), "{ended:?}");
    let schema = ended.stderr.split_once('\n').unwrap().1;
    let schema_file = place.file("schema.json", schema);
    assert!(String::from_utf8(ended.stdout).unwrap().contains("events"), "a report");
    let shown = place.ok(&["ingest", "requests", "--show-schema", file.to_str().unwrap()]);
    assert_eq!(shown.trim(), schema.trim());

    let events = exported(&place, "requests");
    assert_eq!(events.len(), 500);
    assert_eq!(
        events[0],
        json!({
            "time": "2015-05-17T10:00:00Z", "client": "10.0.0.0", "user": "ada", "method": "GET",
            "path": "/page/0?x=1", "protocol": "HTTP/1.1", "status": 200, "bytes": 100, "agent": "curl \"7\"",
        })
    );
    // The same lines again, by the schema that was saved.
    let args = ["again", "--schema", schema_file.to_str().unwrap()];
    let report = ingest(&place, &args, web_log(500));
    assert_eq!((&report["events_count"], &report["rejected_count"]), (&json!(500), &json!(0)));
    assert_eq!(report["format"], "combined");
    assert_eq!(exported(&place, "again"), events);
    // More lines for a table that is there.
    ingest(&place, &["requests"], web_log(7));
    assert_eq!(exported(&place, "requests").len(), 507);
    let tables = place.json(&["tables"]);
    assert_eq!(common::sorted(&tables, "table"), ["again", "requests"]);
    let requests = tables.iter().find(|table| table["table"] == "requests").unwrap();
    assert_eq!((&requests["events_count"], &requests["fields_count"]), (&json!(507), &json!(10)));
    assert_eq!((&requests["parts_count"], &requests["fresh_count"]), (&json!(0), &json!(507)));
    assert_eq!(requests["from"], "2015-05-17T10:00:00Z");
    assert_eq!(requests["to"], "2015-05-17T10:08:19Z");
}

#[test]
fn objects_and_columns_are_read_and_written() {
    let place = Place::new();
    let lines: String = (0..100)
        .map(|n| {
            let note = if n % 7 == 0 { String::new() } else { format!(",\"note\":\"n {}\"", n % 3) };
            format!(
                "{{\"id\":\"e{n}\",\"ts\":{},\"http\":{{\"status\":{}}},\"ok\":{},\"cost\":{}{note}}}\n",
                1_431_857_103_000u64 + n,
                200 + n % 5,
                n % 2 == 0,
                f64::from(n as u32) / 4.0,
            )
        })
        .collect();
    ingest(&place, &["calls"], &lines);
    let event = &place.json(&["event", "calls", "e99"])[0];
    let wanted = json!({
        "id": "e99", "ts": "2015-05-17T10:05:03.099Z", "http.status": 204, "flags": [], "cost": 24.75,
        "note": "n 0",
    });
    assert_eq!(*event, wanted);
    let text = place.ok(&["event", "calls", "e98"]);
    assert!(text.contains("ts           2015-05-17T10:05:03.098Z\n"), "{text}");
    assert!(text.contains("flags        ok\n") && !text.contains("note"), "{text}");
    place.run(&["event", "calls", "e100"]).fails(1, "no event `e100`");

    // Both exports come back as the same events.
    let events = exported(&place, "calls");
    let ndjson = place.ok(&["export", "calls"]);
    let csv = place.ok(&["export", "calls", "--format", "csv"]);
    assert_eq!(csv.lines().next(), Some("ts,id,http.status,cost,note,flags"));
    let schema = place.ok(&["ingest", "calls", "-", "--show-schema", "--format", "ndjson"]);
    let schema = place.file("schema.json", schema);
    for (table, text) in [("of_ndjson", ndjson), ("of_csv", csv)] {
        let report = ingest(&place, &[table, "--schema", schema.to_str().unwrap()], text);
        assert_eq!(report["rejected_count"], 0, "{report}");
        assert_eq!(exported(&place, table), events, "{table}");
    }
}

#[test]
fn a_quote_holds_the_lines_of_a_record_together() {
    let place = Place::new();
    let report = ingest(&place, &["t"], "at;what\r\n2015-05-17;\"a;\nb\"\r\n\n2015-05-18;x\r\n");
    assert_eq!((&report["events_count"], &report["format"]), (&json!(2), &json!("csv")));
    assert_eq!(exported(&place, "t")[0], json!({"at": "2015-05-17T00:00:00Z", "what": "a;\nb"}));
}

#[test]
fn system_logs_are_read() {
    let place = Place::new();
    let lines = "<13>1 2015-05-17T10:05:03Z box su 17 - - hello\n\
        2015-05-17T12:05:04.5+02:00 box cron[18]: job done\n";
    ingest(&place, &["logs"], lines);
    let listed = place.ok(&["recent", "logs", "-n", "1"]);
    assert_eq!(listed, "2015-05-17T10:05:04.5Z host=box app=cron pid=18 message=\"job done\"\n");
    let one = &place.json(&["recent", "logs", "--where", "app = su"])[0];
    assert_eq!((&one["message"], &one["pid"]), (&json!("hello"), &json!("17")));
}

#[test]
fn lines_that_cannot_be_taken_are_kept_and_named_and_stop_nothing() {
    let place = Place::new();
    let mut lines = web_log(3).into_bytes();
    lines.extend(b"nonsense\n\n");
    lines.extend(web_log(1).replace("\" 200 ", "\" 99999 ").bytes());
    lines.extend(
        b"1.2.3.4 - \xff [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n",
    );
    lines.extend(web_log(1).bytes());
    let file = place.file("access.log", &lines);
    let args = ["ingest", "requests", file.to_str().unwrap(), "--format", "combined"];
    let ended = place.run(&[&["--json"][..], &args].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    let notes = objects(&ended.stderr);
    let told: Vec<&str> = notes.iter().map(|note| note["note"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "line 4: there is no identity behind the client",
            "line 6: the field `status` was given `99999`, which is no whole number from 0 to 65535",
            "line 7: the field `user` was given bytes that are not UTF-8",
            "3 lines could not be taken: kept in requests.rejected, with numbers and reasons in \
             requests.rejected.lines",
            "1 blank line passed over",
        ]
    );
    assert_eq!((&notes[1]["line"], &notes[3]["rejected_count"]), (&json!(6), &json!(3)));
    let kept = fs::read(place.path("requests.rejected")).unwrap();
    let wanted: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(kept, [wanted[3], wanted[5], wanted[6]].concat());
    assert_eq!(exported(&place, "requests").len(), 4);

    // What is kept is added to, and where is said.
    let args = ["requests", "-", "--format", "combined", "--rejects", "requests.rejected"];
    let ended = place.run_with(&[&["ingest"][..], &args].concat(), b"x\n");
    assert!(ended.stderr.contains("the one line there is could not be taken"), "{ended:?}");
    assert!(fs::read(place.path("requests.rejected")).unwrap().ends_with(b"\nx\n"));

    let strict = [&args[..0], &["ingest", "requests", file.to_str().unwrap(), "--strict"]].concat();
    place
        .run(&strict)
        .fails(2, "line 4: there is no identity behind the client; nothing was stored");
    let strict = [&strict[..], &["--batch", "2"]].concat();
    place.run(&strict).fails(
        2,
        "the 2 events up to line 2 are stored, nothing after them; go on with --from-line 3",
    );
}

#[test]
fn each_line_that_cannot_be_taken_is_told_by_its_number_and_reason() {
    let place = Place::new();
    let bad: Vec<u64> = (0..13).map(|n| 5 * n + 2).collect();
    let line = |n: u64| match bad.iter().position(|line| *line == n) {
        None => web_log(1),
        Some(at) if at % 2 == 0 => format!("nonsense-{n}\n"),
        Some(_) => web_log(1).replace("\" 200 ", "\" 99999 "),
    };
    let lines: Vec<String> = (1..=80).map(line).collect();
    let file = place.file("access.log", lines.concat());
    let args = ["ingest", "requests", file.to_str().unwrap(), "--format", "combined"];
    let ended = place.run(&[&["--json"][..], &args].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = objects(&ended.stderr);
    let named: Vec<u64> = told.iter().filter_map(|note| note["line"].as_u64()).collect();
    assert_eq!(named, bad[..10], "the first ten are named at once");

    let kept = fs::read_to_string(place.path("requests.rejected")).unwrap();
    let reasons = fs::read_to_string(place.path("requests.rejected.lines")).unwrap();
    assert_eq!((kept.lines().count(), reasons.lines().count()), (13, 13));
    for ((number, kept), reason) in bad.iter().zip(kept.lines()).zip(reasons.lines()) {
        assert_eq!(kept, lines[*number as usize - 1].trim_end());
        let what = match kept.starts_with("nonsense") {
            true => "there is no identity behind the client",
            false => {
                "the field `status` was given `99999`, which is no whole number from 0 to 65535"
            }
        };
        assert_eq!(reason, format!("{number}\t{what}"));
    }
}

#[test]
fn what_is_kept_aside_is_never_added_to_what_is_read() {
    let place = Place::new();
    let bad = "nonsense\n".repeat(3) + &web_log(5);
    let file = place.file("a_b.rejected", &bad);
    std::os::unix::fs::symlink(&file, place.path("link")).unwrap();
    place.file("a_b.rejected.lines", "7\tno\n");
    for name in ["a_b.rejected", "./a_b.rejected", "link", "a_b.rejected.lines"] {
        place.run(&["ingest", "a/b", name]).fails(2, "name another file with --rejects");
    }
    let mut command = place.command();
    command.args(["ingest", "a/b", "-"]).stdin(fs::File::open(&file).unwrap());
    common::Ended::from(command.output().unwrap()).fails(2, "a_b.rejected, which is read");
    assert!(!place.data().exists());
    let args = ["ingest", "a/b", "link", "--rejects", "again", "--format", "combined"];
    assert_eq!(place.run(&args).code, 0);
    assert_eq!(fs::read_to_string(place.path("again")).unwrap(), "nonsense\n".repeat(3));
    assert_eq!(fs::read_to_string(file).unwrap(), bad);
}

#[test]
fn a_line_longer_than_any_event_is_kept_whole_and_the_next_one_taken() {
    let place = Place::new();
    let long = format!("{{\"at\":1431857103,\"text\":\"{}\"}}\n", "x".repeat(65 << 20));
    let too_long_text = format!("{{\"at\":1431857103,\"text\":\"{}\"}}\n", "x".repeat(2 << 20));
    let lines = format!(
        "{{\"at\":1431857103,\"text\":\"a\"}}\n{long}{too_long_text}{{\"at\":1,\"text\":\"b\"}}\n"
    );
    let report = ingest(&place, &["t"], lines);
    assert_eq!((&report["events_count"], &report["rejected_count"]), (&json!(2), &json!(2)));
    let kept = fs::read(place.path("t.rejected")).unwrap();
    assert!(kept == [long.as_bytes(), too_long_text.as_bytes()].concat(), "{}", kept.len());
}

#[test]
fn numbers_that_become_text_keep_their_digits() {
    let place = Place::new();
    let schema = place.file(
        "schema.json",
        r#"{"fields":[{"name":"time","role":"ts"},{"name":"id","role":"id"},{"name":"kind","role":"dimension"},
            {"name":"note","role":"label"},{"name":"cost","role":"metric","type":"f64"},{"name":"n","role":"counter"}]}"#,
    );
    let written = [
        "340282366920938463463374607431768211455",
        "340282366920938463463374607431768211454",
        "18446744073709551616",
        "18446744073709551617",
        "1.10",
        "1.1",
        "1.0",
        "-0",
        "1e400",
    ];
    let line = |digits: &str, cost: &str, n: &str| {
        let time = "\"time\":\"2015-01-01T00:00:00Z\"";
        format!(
            "{{{time},\"id\":{digits},\"kind\":{digits},\"note\":{digits},\"cost\":{cost},\"n\":{n}}}\n"
        )
    };
    let lines: String = written.iter().map(|digits| line(digits, "1.5", "1")).collect();
    let args = ["ids", "--schema", schema.to_str().unwrap(), "--duplicates", "ignore"];
    let report = ingest(&place, &args, &lines);
    assert_eq!((&report["events_count"], &report["ignored_count"]), (&json!(9), &json!(0)));
    let events = exported(&place, "ids");
    for name in ["id", "kind", "note"] {
        let found: Vec<&str> = events.iter().map(|event| event[name].as_str().unwrap()).collect();
        assert_eq!(found, written, "{name}");
    }

    // What a field of numbers cannot hold is refused as it is written.
    let lines = line("1", "1e400", "1")
        + &line("2", "1", "18446744073709551616")
        + &line("3", "1", "-99999999999999999999")
        + &line("4", "1", "1.50");
    let ended = place.run_with(&["--json", "ingest", "ids", "-"], lines.as_bytes());
    assert_eq!(ended.code, 5, "{ended:?}");
    for said in [
        "line 1: the field `cost` was given `1e400`, which is no number of 64 bits",
        "line 2: the field `n` was given `18446744073709551616`",
        "line 3: the field `n` was given `-99999999999999999999`",
        "line 4: the field `n` was given `1.50`",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    }
}

#[test]
fn input_without_lines_is_no_failure() {
    let place = Place::new();
    for round in 0..2 {
        for (input, format) in [
            ("", "auto"),
            ("", "ndjson"),
            ("", "csv"),
            ("", "combined"),
            ("", "common"),
            ("", "syslog"),
            ("at,n\n", "auto"),
            ("at,n\n", "csv"),
        ] {
            let args = ["--json", "ingest", "t", "-", "--format", format];
            let ended = place.run_with(&args, input.as_bytes());
            assert_eq!(ended.code, 0, "{format}: {ended:?}");
            assert!(ended.stderr.contains("there is nothing in the input"), "{format}: {ended:?}");
            let told = objects(std::str::from_utf8(&ended.stdout).unwrap());
            assert_eq!(told[0]["events_count"], 0, "{format}: {told:?}");
            assert_eq!(place.data().exists(), round == 1, "no table of nothing");
        }
        ingest(&place, &["t"], "at,n\n1431857103,1\n");
    }
}

#[test]
fn a_bad_line_does_not_make_events_timeless() {
    let place = Place::new();
    let line = |n: u32| {
        let time = if n == 77 { "\"oops\"".to_owned() } else { (1_431_857_103 + n).to_string() };
        format!("{{\"time\":{time},\"n\":{n}}}\n")
    };
    let report = ingest(&place, &["t"], (0..100).map(line).collect::<String>());
    assert_eq!((&report["events_count"], &report["rejected_count"]), (&json!(99), &json!(1)));
    assert_eq!(fs::read_to_string(place.path("t.rejected")).unwrap(), line(77));
    assert_eq!(exported(&place, "t")[0]["time"], "2015-05-17T10:05:03Z");
}

#[test]
fn flags_come_back_from_an_export_without_a_schema() {
    let place = Place::new();
    let line =
        |n: u32| format!("{{\"time\":{},\"even\":{}}}\n", 1_431_857_103 + n, n.is_multiple_of(2));
    ingest(&place, &["t"], (0..10).map(line).collect::<String>());
    let text = place.ok(&["export", "t"]);
    ingest(&place, &["again"], &text);
    assert_eq!(place.ok(&["export", "again"]), text);
    assert_eq!(place.json(&["query", "again", "--where", "even"])[0]["events_count"], 5);
}

#[test]
fn events_that_are_over_are_told() {
    let place = Place::new();
    let line = |n: u32| format!("{{\"time\":{},\"n\":{n}}}\n", 1_431_857_103 + n);
    let lines: String = (0..5).map(line).collect();
    ingest(&place, &["t"], &lines);
    let ended = place.run_with(&["ingest", "t", "-", "--ttl", "30d"], lines.as_bytes());
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("5 of the 5 events of the table `t` would be over"), "{ended:?}");
    assert_eq!(exported(&place, "t").len(), 5, "nothing is stored either");
    let ended = place.run(&["--json", "options", "t", "--ttl", "30d", "--yes"]);
    let told = objects(std::str::from_utf8(&ended.stdout).unwrap()).remove(0);
    assert_eq!((&told["events_over_count"], &told["events_left_count"]), (&json!(5), &json!(0)));
    for args in [&["t"][..], &["new", "--ttl", "30d"]] {
        assert_eq!(ingest(&place, args, &lines)["events_over_count"], 5, "{args:?}");
    }
}

/// A load may be killed behind a commit that it has not told of.
#[test]
fn lines_of_a_commit_that_nobody_was_told_of_come_once() {
    let place = Place::new();
    let line = |n: u32| format!("{{\"time\":{},\"n\":{n}}}\n", 1_431_857_103 + n);
    let lines: String = (0..10).map(line).collect();
    let count = || exported(&place, "t").len();
    let stored: String = (0..6).map(line).collect();
    ingest(&place, &["t", "--batch", "2"], stored);
    let go_on = |from: &str, lines: &str| {
        let args = ["--json", "ingest", "t", "-", "--from-line", from];
        let ended = place.run_with(&args, lines.as_bytes());
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stderr
    };
    // Whoever goes on was told of the first commits only.
    let told = go_on("5", &lines);
    assert!(told.contains("the lines up to 6 are stored already"), "{told}");
    assert!(told.contains("without --from-line all are loaded"), "{told}");
    assert_eq!(count(), 10);
    go_on("1", &lines);
    assert_eq!(count(), 10, "all was there");
    // Another input is another load, though it is as long.
    let other: String = (0..10).map(|n| line(n + n / 9)).collect();
    let told = go_on("8", &other);
    assert_eq!(count(), 13);
    assert!(told.contains("came to line 10 of another input"), "{told}");
    // Nobody asked to go on.
    ingest(&place, &["t"], &lines);
    assert_eq!(count(), 23);
}

/// A file can be read twice: nothing of it has to be kept to tell that all of it is stored.
#[test]
fn a_file_of_any_length_goes_on_from_its_first_line() {
    let place = Place::new();
    let long = "x".repeat(1_000_000);
    let line = |n: u32| format!("{{\"time\":{},\"note\":\"{n}{long}\"}}\n", 1_431_857_103 + n);
    let file = place.file("long.ndjson", (0..70).map(line).collect::<String>());
    let schema =
        r#"{"schema_id":1,"fields":[{"name":"time","role":"ts"},{"name":"note","role":"label"}]}"#;
    let schema = place.file("schema.json", schema);
    let (file, schema) = (file.to_str().unwrap(), schema.to_str().unwrap());
    place.ok(&["ingest", "t", file, "--schema", schema]);
    let ended = place.run(&["ingest", "t", file, "--from-line", "1"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("the lines up to 70 are stored already"), "{}", ended.stderr);
    assert_eq!(place.json(&["query", "t"])[0]["events_count"], 70);
}

#[test]
fn lines_at_the_end_that_cannot_be_taken_are_kept_aside_once() {
    let place = Place::new();
    let lines = "{\"time\":1431857103,\"n\":1}\nno\n{\"time\":1431857104,\"n\":2}\nnor this\n";
    for round in 0..3 {
        let ended = place.run_with(&["ingest", "t", "-", "--from-line", "1"], lines.as_bytes());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let rejected = std::fs::read_to_string(place.path("t.rejected")).unwrap();
        assert_eq!(rejected, "no\nnor this\n", "round {round}");
    }
    assert_eq!(exported(&place, "t").len(), 2);
}

/// Whoever loads logs by a clock looks at the exit code.
#[test]
fn lines_none_of_which_can_be_taken_are_a_failure() {
    let place = Place::new();
    let schema = r#"{"schema_id":1,"fields":[{"name":"time","role":"ts"}]}"#;
    let schema = place.file("schema.json", schema);
    let args = ["ingest", "t", "-", "--format", "ndjson", "--schema", schema.to_str().unwrap()];
    let load = |lines: &str| place.run_with(&args, lines.as_bytes());
    let in_vain = |lines: &str, told: &str| {
        let ended = load(lines);
        assert_eq!(ended.code, 5, "{ended:?}");
        assert!(
            ended.stderr.contains(told) && ended.stderr.contains("t.rejected.lines"),
            "{ended:?}"
        );
        let report = String::from_utf8(ended.stdout).unwrap();
        assert!(report.contains("rejected"), "{report}");
    };
    in_vain("no\n\nnor this\n", "nothing was stored: none of the 2 lines could be taken");
    assert!(place.json(&["tables"]).is_empty(), "no table comes of it");
    for nothing in ["", "\n\n"] {
        assert_eq!(load(nothing).code, 0, "there was nothing to take");
    }
    assert_eq!(load("no\n{\"time\":1431857103}\n").code, 0, "one is stored");
    in_vain("no\n", "nothing was stored: the one line there is could not be taken");
    assert_eq!(exported(&place, "t").len(), 1);
    assert_eq!(fs::read_to_string(place.path("t.rejected")).unwrap(), "no\nnor this\nno\nno\n");

    let json = [&["--json"], &args[..], &["--progress-json"]].concat();
    let ended = place.run_with(&json, b"no\n");
    let told = objects(&ended.stderr).pop().unwrap();
    assert_eq!((&told["kind"], &told["exit_code"]), (&json!("nothing_taken"), &json!(5)));
    assert!(ended.stdout.is_empty(), "nothing was acknowledged");
}

#[test]
fn values_without_a_field_are_counted() {
    let place = Place::new();
    ingest(&place, &["t"], "{\"at\":1431857103,\"a\":\"x\"}\n");
    let ended = place.run_with(
        &["ingest", "t", "-"],
        b"{\"at\":1431857104,\"a\":\"y\",\"b\":1}\n{\"at\":1431857105,\"a\":\"y\",\"b\":null}\n",
    );
    assert_eq!(ended.stderr, "annals: 1 value of `b` left out: no such field\n");
}

#[test]
fn nothing_comes_to_be_of_what_is_refused() {
    let place = Place::new();
    for (args, input, said) in [
        (&["ingest", "t", "-"][..], &b"no format\nthat is known\n"[..], "--format"),
        (&["ingest", "t", "-", "--format", "ndjson"], b"x\ny\n", "no line is ndjson"),
        (&["ingest", "t", "missing.log"], b"", "there is no file"),
        (&["ingest", "t", "-", "--schema", "missing.json"], b"", "there is no file missing.json"),
        (&["ingest", "", "-"], b"{\"a\":1}\n", "name"),
    ] {
        place.run_with(args, input).fails(2, said);
        assert!(!place.data().exists() || args[1].is_empty(), "{args:?}");
    }
    let schema = place.file("schema.json", "{\"fields\":[{\"name\":\"a\",\"role\":\"time\"}]}");
    let args = ["ingest", "t", "-", "--schema", schema.to_str().unwrap()];
    place.run_with(&args, b"{\"a\":1}\n").fails(2, "unknown variant `time`");
    // Of another schema than the table's, both are printed.
    ingest(&place, &["t"], "{\"a\":1}\n");
    let schema = place.file("schema.json", "{\"fields\":[{\"name\":\"b\",\"role\":\"label\"}]}");
    let args = ["ingest", "t", "-", "--schema", schema.to_str().unwrap()];
    let ended = place.run_with(&args, b"{\"a\":1}\n");
    ended.fails(2, "b: label");
    ended.fails(2, "a: counter u32");
    place.ok(&["put", "k", "v"]);
    place.run_with(&["ingest", "default", "-"], b"{\"a\":1}\n").fails(2, "not an event table");
    place.run(&["recent", "gone"]).fails(1, "gone");
    place.run(&["recent", "default"]).fails(2, "not an event table");
    place.run(&["recent", "t", "--where", "b = 1"]).fails(2, "`b` is no field");
    place.run(&["recent", "t", "--since", "-1h"]).fails(2, "no time");
    place.run(&["event", "t", "1"]).fails(2, "have no id");
}

#[test]
fn every_commit_is_acknowledged_and_no_acknowledgement_waits_for_more_input() {
    let place = Place::new();
    ingest(&place, &["t"], "{\"at\":1431857103,\"n\":0}\n");
    let args = ["ingest", "t", "-", "--batch", "2", "--progress-json", "--format", "ndjson"];
    let mut load = place.spawn(&args);
    let mut stdin = load.child.stdin.take().unwrap();
    let mut stdout = BufReader::new(load.child.stdout.take().unwrap());
    for round in 1..=3u64 {
        write!(stdin, "{{\"at\":1,\"n\":1}}\n\n{{\"at\":2,\"n\":1}}\n").unwrap();
        let mut told = String::new();
        stdout.read_line(&mut told).unwrap();
        let (acked, line) = (round * 2, round * 3);
        assert_eq!(told, format!("{{\"acked\":{acked},\"line\":{line},\"rejected\":0}}\n"));
        assert_eq!(exported(&place, "t").len() as u64, 1 + acked, "beside the live writer");
    }
    drop(stdin);
    assert!(load.child.wait().unwrap().success());
}

/// A child is killed; what it acknowledged is there, and the rest of the lines goes on behind that.
#[test]
fn a_load_that_was_killed_goes_on_where_it_was_and_each_line_comes_once() {
    for durability in ["buffered", "sync"] {
        let place = Place::new();
        let log = web_log(4_000);
        let file = place.file("access.log", &log);
        let args =
            ["ingest", "t", "-", "--batch", "50", "--progress-json", "--durability", durability];
        let mut load = place.spawn(&args);
        let mut stdin = load.child.stdin.take().unwrap();
        let feed = std::thread::spawn(move || {
            // Who is killed reads no more.
            let _ = stdin.write_all(log.as_bytes());
            // Not the end of the input: it waits until it is killed.
            stdin
        });
        let mut told = BufReader::new(load.child.stdout.take().unwrap()).lines();
        // The first lines are looked at together; at the end of the input all of them are there.
        drop(feed);
        let ack: Value = serde_json::from_str(&told.nth(20).unwrap().unwrap()).unwrap();
        load.child.kill().unwrap();
        load.child.wait().unwrap();
        let there = exported(&place, "t").len() as u64;
        assert!(there >= ack["acked"].as_u64().unwrap(), "{there} of {ack}");
        assert_eq!(there % 50, 0, "no half commit");
        let from = (there + 1).to_string();
        let args = ["ingest", "t", file.to_str().unwrap(), "--from-line", &from];
        assert_eq!(place.run(&args).code, 0);
        let paths = exported(&place, "t");
        assert_eq!(paths.len(), 4_000);
        let (first, last) = (first_line(&paths[0]), first_line(&paths[3_999]));
        assert_eq!((first, last), ("/page/0?x=1".into(), format!("/page/{}?x=1", 3_999 % 100)));
        place.ok(&["verify"]);
    }
}

#[test]
fn what_is_old_is_dropped_in_whole_parts() {
    let place = Place::new();
    ingest(&place, &["t"], "{\"at\":\"2015-05-17\",\"n\":1}\n");
    let report = &place.json(&["gc", "t", "--before", "2015-05-17"])[0];
    assert_eq!(report["events_dropped_count"], 0, "half-open: {report}");
    ingest(&place, &["t"], "{\"at\":\"2015-05-19\",\"n\":2}\n");
    let report = &place.json(&["gc", "t", "--before", "2015-05-18"])[0];
    let counts = [
        &report["parts_dropped_count"],
        &report["events_dropped_count"],
        &report["events_left_count"],
    ];
    assert_eq!(counts, [&json!(1), &json!(1), &json!(1)]);
    place.run(&["gc", "t", "--before", "soon"]).fails(2, "`soon` is no time");
    assert_eq!(exported(&place, "t")[0]["n"], 2);
}

#[test]
fn a_file_of_rejects_that_cannot_be_is_refused_before_anything_is_stored() {
    let place = Place::new();
    for rejects in [place.path("none/rejects"), place.path("")] {
        let path = rejects.to_str().unwrap();
        let ended = place.run_with(&["ingest", "t", "-", "--rejects", path], b"{\"n\":1}\n?\n");
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("name another file with --rejects"), "{}", ended.stderr);
        assert!(ended.stderr.contains(path), "{}", ended.stderr);
    }
}
