//! Looking after a database: keyspaces, stats, verify, checkpoint, compact, backup, restore,
//! unlock, changes; and all that reads, beside a live writer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, first_ack, objects, sorted};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    time::Duration,
};

#[test]
fn keyspaces_come_and_go() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "users"]);
    place.ok(&["keyspace", "create", "sessions", "--kind", "hash", "--ttl", "30m"]);
    let ended = place.run(&["keyspace", "create", "users"]);
    ended.fails(5, "exists");
    place.ok(&["put", "ada", "1815", "-k", "users"]);
    let listed = place.json(&["keyspace", "list"]);
    assert_eq!(sorted(&listed, "name"), ["sessions", "users"]);
    let of = |name: &str| listed.iter().find(|object| object["name"] == name).unwrap();
    assert_eq!(
        (&of("users")["records_count"], &of("users")["kind"]),
        (&json!(1), &json!("ordered"))
    );
    assert_eq!(of("users")["ttl_seconds"], Value::Null);
    assert_eq!(of("sessions")["ttl_seconds"], 1800.0);
    let stats = &place.json(&["keyspace", "stats", "users"])[0];
    assert_eq!((&stats["name"], &stats["records_count"]), (&json!("users"), &json!(1)));
    assert!(stats["table_files_bytes"].as_u64().is_some(), "{stats}");
    let stats = &place.json(&["keyspace", "stats", "sessions"])[0];
    assert_eq!((&stats["kind"], &stats["records_count"]), (&json!("hash"), &json!(0)));
    assert!(stats["memory_bytes"].as_u64().is_some(), "{stats}");
    let text = place.ok(&["keyspace", "list"]);
    assert!(text.starts_with("name") && text.contains("sessions"), "{text}");
    let head = text.lines().next().unwrap_or_default();
    assert!(head.ends_with("ttl") && text.contains("30 min"), "{text}");
    place.ok(&["keyspace", "drop", "users"]);
    place.run(&["get", "ada", "-k", "users"]).fails(1, "users");
    assert_eq!(sorted(&place.json(&["keyspace", "list"]), "name"), ["sessions"]);
}

#[test]
fn a_list_of_no_keyspaces_is_a_sentence_aside() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "users"]);
    place.ok(&["keyspace", "drop", "users"]);
    let ended = place.run(&["keyspace", "list"]);
    assert_eq!((ended.code, &*ended.stdout), (0, &b""[..]));
    assert_eq!(ended.stderr, "annals: the database has no keyspaces\n");
    assert!(place.json(&["keyspace", "list"]).is_empty());
}

#[test]
fn stats_tell_what_is_there() {
    let place = Place::new();
    place.run_with(&["batch-put", "-"], b"a,1\nb,2\n").ok();
    place.ok(&["put", "c", "3", "-k", "other"]);
    let stats = &place.json(&["stats"])[0];
    assert_eq!(stats["keyspaces_count"], 2);
    assert_eq!((&stats["keys_count"], &stats["streams_count"]), (&json!(3), &json!(0)));
    for (section, field) in
        [("log", "segments_count"), ("log", "content_bytes"), ("recovery", "torn_bytes")]
    {
        assert!(stats[section][field].as_u64().is_some(), "{section}.{field} in {stats}");
    }
    assert_eq!(stats["recovery"]["clean"], true);
    assert!(place.ok(&["stats"]).contains("log: content "));
}

#[test]
fn verify_reads_it_all() {
    for kind in ["hash", "ordered"] {
        verify_reads_it_all_of(kind);
    }
}

fn verify_reads_it_all_of(kind: &str) {
    let place = Place::new();
    let lines: String = (0..20_000).map(|n| format!("key-{n},value of {n}\n")).collect();
    place.run_with(&["batch-put", "-", "--kind", kind], lines.as_bytes()).ok();
    let report = &place.json(&["verify"])[0];
    assert_eq!((&report["damages_count"], &report["keys_count"]), (&json!(0), &json!(20_000)));
    assert!(report["records_count"].as_u64() >= Some(20_000), "{report}");
    assert!(report["segments_count"].as_u64() >= Some(1), "{report}");
    assert!(report["bytes"].as_u64() > Some(lines.len() as u64), "{report}");
    assert!(place.ok(&["verify"]).contains("damages "));
}

#[test]
fn checkpoint_and_compact_keep_every_record() {
    for (kind, keys_count) in [("hash", 3_000), ("ordered", 0)] {
        keep_every_record(kind, keys_count);
    }
}

/// `keys_count` is how many keys a checkpoint has of them: those of ordered keyspaces are in tables.
fn keep_every_record(kind: &str, keys_count: u64) {
    let place = Place::new();
    for round in 0..5 {
        let lines: String = (0..3_000).map(|n| format!("key-{n},round {round} {n}\n")).collect();
        place.run_with(&["batch-put", "-", "--kind", kind], lines.as_bytes()).ok();
    }
    let checkpoint = &place.json(&["checkpoint"])[0];
    assert_eq!(checkpoint["keys_count"], keys_count);
    let compact = &place.json(&["compact"])[0];
    assert!(
        compact["size_after_bytes"].as_u64() <= compact["size_before_bytes"].as_u64(),
        "{compact}"
    );
    assert_eq!(place.json(&["keys"]).len(), 3_000);
    assert_eq!(place.ok(&["get", "key-2999"]), "round 4 2999");
    assert_eq!(place.json(&["verify"])[0]["damages_count"], 0);
}

#[test]
fn a_backup_is_a_database_and_comes_back() {
    let place = Place::new();
    place.run_with(&["batch-put", "-"], b"a,1\nb,2\n").ok();
    let first = &place.json(&["backup", "copy"])[0];
    assert!(first["copied_bytes"].as_u64() > Some(0), "{first}");
    place.ok(&["put", "c", "3"]);
    let second = &place.json(&["backup", "copy"])[0];
    assert!(second["up_to_seq"].as_u64() > first["up_to_seq"].as_u64(), "{second}");
    place.ok(&["put", "d", "4"]);

    let keys = |data: &str| sorted(&place.json(&["keys", "--data", data]), "key");
    assert_eq!(keys("copy"), ["a", "b", "c"]);
    let ended = place.run(&["--json", "restore", "copy", "--data", "restored"]);
    let next = second["up_to_seq"].as_u64().unwrap() + 1;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        objects(&ended.stderr)[0]["next_seq"],
        next,
        "numbers that were given out come again"
    );
    assert_eq!(keys("restored"), ["a", "b", "c"]);
    assert_eq!(place.ok(&["get", "c", "--data", "restored"]), "3");
    place.ok(&["put", "e", "5", "--data", "restored"]);
    let from = next.to_string();
    let again = place.json(&["changes", "--from", &from, "--data", "restored"]);
    assert_eq!((&again[0]["seq"], &again[0]["key"]), (&next.into(), &"e".into()));
    assert_eq!(keys("copy"), ["a", "b", "c"], "a restored database is a separate one");

    place.run(&["restore", "copy"]).fails(2, "data");
    assert_eq!(keys("data"), ["a", "b", "c", "d"], "nothing is written over");
    fs::create_dir(place.path("letters")).unwrap();
    fs::write(place.path("letters/one"), "dear").unwrap();
    place.run(&["backup", "letters"]).fails(2, "letters");
    assert_eq!(fs::read_dir(place.path("letters")).unwrap().count(), 1);
}

#[test]
fn unlock_clears_what_a_dead_process_left() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    assert_eq!(place.json(&["unlock"]), [json!({"cleared": false})]);
    let mut writer = place.spawn(&["batch-put", "-", "--batch", "1", "--progress-json"]);
    let mut stdin = writer.child.stdin.take().unwrap();
    first_ack(&mut writer, &mut stdin);
    place.run(&["unlock"]).fails(4, &writer.child.id().to_string());
    writer.child.kill().unwrap();
    writer.child.wait().unwrap();
    assert_eq!(place.json(&["unlock"]), [json!({"cleared": true})]);
    assert_eq!(place.json(&["unlock"]), [json!({"cleared": false})]);
    assert!(place.ok(&["unlock"]).contains("nobody"));
    assert_eq!(place.ok(&["get", "first"]), "1");
}

/// The lock is the system's and not the file, which somebody may take for a stale one and remove.
#[test]
fn unlock_knows_of_a_holder_whose_lock_file_is_gone() {
    let place = Place::new();
    let mut writer = place.spawn(&["batch-put", "-", "--batch", "1", "--progress-json"]);
    let mut stdin = writer.child.stdin.take().unwrap();
    first_ack(&mut writer, &mut stdin);
    fs::remove_file(place.data().join("annals.lock")).unwrap();
    place.run(&["unlock"]).fails(4, "a process that does not say who it is");
    // A writer that comes second leaves a lock file of its own, which says nothing either.
    place.run(&["put", "k", "v"]).fails(4, "does not say who it is");
    place.run(&["unlock"]).fails(4, "does not say who it is");
    drop(stdin);
    assert!(writer.child.wait().unwrap().success());
    assert!(place.ok(&["unlock"]).contains("nobody"));
}

#[test]
fn changes_are_replayed_in_order() {
    let place = Place::new();
    place.ok(&["put", "a", "1"]);
    place.ok(&["put", "a", "2", "-k", "other"]);
    place.ok(&["delete", "a"]);
    place.ok(&["keyspace", "drop", "other"]);
    let changes = place.json(&["changes"]);
    let kinds: Vec<&str> = changes.iter().map(|change| change["kind"].as_str().unwrap()).collect();
    let wanted =
        ["create_keyspace", "insert", "create_keyspace", "insert", "remove", "drop_keyspace"];
    assert_eq!(kinds, wanted);
    let seqs: Vec<u64> = changes.iter().map(|change| change["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
    let second = &changes[1];
    assert_eq!((&second["key"], &second["value"]), (&json!("a"), &json!("1")));
    assert_eq!((&second["keyspace"], &changes[4]["key"]), (&json!("default"), &json!("a")));
    assert!(second["time_ms"].as_u64() > Some(1_600_000_000_000), "{second}");

    let from = seqs[4].to_string();
    let later = place.json(&["changes", "--from", &from]);
    assert_eq!((later.len(), &later[0]), (2, &changes[4]));
    assert_eq!(place.json(&["changes", "--from", &from, "--limit", "1"]), changes[4..5]);
    // Nothing there yet is no failure, and no riddle either.
    for (args, told) in [
        (&["changes", "--from", "1000000"][..], "nothing from 1000000 on yet"),
        (&["changes", "--from", "1000000", "--json"], "\"last_seq\":"),
        (&["changes", "--from", "1000000", "--follow", "--limit", "0"], "waiting for 1000000"),
        (&["log", "--from", "1000000", "--follow", "--limit", "0"], "waiting for 1000000"),
    ] {
        let ended = place.run(args);
        assert_eq!((ended.code, ended.stdout.len()), (0, 0), "{ended:?}");
        assert!(ended.stderr.contains(told), "{ended:?}");
    }
    // Who has seen all goes on behind it.
    let next = (seqs[5] + 1).to_string();
    for feed in ["changes", "log"] {
        assert_eq!(place.ok(&[feed, "--from", &next, "--follow", "--limit", "0"]), "");
    }
    assert_eq!(place.ok(&["changes"]).lines().count(), 6);
}

#[test]
fn a_history_that_begins_late_is_told_aside() {
    let place = Place::new();
    place.run_with(&["batch-put", "-"], b"a,1\nb,2\n").ok();
    assert_eq!(place.run(&["changes"]).stderr, "", "all of it is there");
    place.ok(&["checkpoint"]);
    place.ok(&["compact"]);
    place.ok(&["put", "c", "3"]);
    let ended = place.run(&["changes"]);
    let oldest = place.json(&["stats"])[0]["log"]["oldest_seq"].as_u64().unwrap();
    assert!(oldest > 1, "compaction has taken some of it");
    assert_eq!(ended.code, 0);
    assert_eq!(
        ended.stderr,
        format!(
            "annals: the history begins at {oldest}: what was before is no longer in the log\n"
        )
    );
    let ended = place.run(&["--json", "changes"]);
    assert_eq!(objects(&ended.stderr)[0]["oldest_seq"], oldest);
    let listed = objects(std::str::from_utf8(&ended.stdout).unwrap());
    assert!(listed.iter().all(|change| change["seq"].as_u64() >= Some(oldest)), "{listed:?}");
    // Who says where to begin is told nothing, or that it is gone.
    let from = oldest.to_string();
    assert_eq!(place.run(&["changes", "--from", &from]).stderr, "");
    place.run(&["changes", "--from", "1"]).fails(1, "no longer in the log");
}

#[test]
fn changes_follow_a_live_writer_until_nobody_reads() {
    let place = Place::new();
    let mut writer = place.spawn(&["batch-put", "-", "--batch", "1", "--progress-json"]);
    let mut stdin = writer.child.stdin.take().unwrap();
    first_ack(&mut writer, &mut stdin);
    let mut follower = place.spawn(&["changes", "--follow", "--json"]);
    let mut changes = BufReader::new(follower.child.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        changes.read_line(&mut line).unwrap();
        objects(&line).remove(0)
    };
    assert_eq!(next()["kind"], "create_keyspace");
    assert_eq!(next()["key"], "first");
    for n in 0..20 {
        writeln!(stdin, "live-{n},{n}").unwrap();
        let change = next();
        assert_eq!(
            (&change["key"], &change["value"]),
            (&json!(format!("live-{n}")), &json!(n.to_string()))
        );
    }
    // The follower waits now; it must notice by itself that nobody reads any more.
    drop(changes);
    let status = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        follower.child.try_wait().unwrap()
    });
    assert_eq!(status.expect("it ends within seconds").code(), Some(0));
    drop(stdin);
    assert!(writer.child.wait().unwrap().success());
}

#[test]
fn everything_that_reads_works_beside_a_writer_and_changes_nothing() {
    let place = Place::new();
    let mut writer = place.spawn(&["batch-put", "-", "--batch", "1", "--progress-json"]);
    let mut stdin = writer.child.stdin.take().unwrap();
    first_ack(&mut writer, &mut stdin);
    assert_eq!(place.ok(&["get", "first"]), "1");
    assert_eq!(place.json(&["keys"]), [json!({"key": "first"})]);
    assert_eq!(place.json(&["scan"]), [json!({"key": "first", "value": "1"})]);
    assert_eq!(place.json(&["stats"])[0]["keys_count"], 1);
    assert_eq!(place.json(&["verify"])[0]["damages_count"], 0);
    assert_eq!(place.json(&["changes"]).len(), 2);
    assert_eq!(place.json(&["keyspace", "list"]).len(), 1);
    assert_eq!(place.json(&["keyspace", "stats", "default"])[0]["records_count"], 1);
    drop(stdin);
    assert!(writer.child.wait().unwrap().success());

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
    for args in [&["get", "first"][..], &["keys"], &["scan"], &["stats"], &["verify"], &["changes"]]
    {
        place.ok(args);
        assert!(before == look(), "{args:?} changed a file");
    }
}
