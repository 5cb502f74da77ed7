//! Ordered keyspaces: which kind a keyspace is of, ranges and their order, figures of levels,
//! compaction, damage in tables, backups; and all that reads, beside a live writer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, first_ack, objects};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::FileExt, path::PathBuf};

/// Loads `count` records into an ordered keyspace `k`, in an order that is not that of their keys.
fn load(place: &Place, count: u64, round: u64) {
    // 7919 has no factor in common with the counts that tests use.
    let lines: String = (0..count)
        .map(|n| n * 7919 % count)
        .map(|n| format!("key-{n:06},round {round} of {n} {}\n", "abcdefghij".repeat(5)))
        .collect();
    place.run_with(&["batch-put", "-", "-k", "k", "--kind", "ordered"], lines.as_bytes()).ok();
}

/// The keys that a listing shows, in its order.
fn keys(place: &Place, args: &[&str]) -> Vec<String> {
    let listed = place.json(&[&["keys", "-k", "k"], args].concat());
    listed.iter().map(|object| object["key"].as_str().unwrap().to_owned()).collect()
}

fn stats(place: &Place, keyspace: &str) -> Value {
    place.json(&["keyspace", "stats", keyspace]).remove(0)
}

/// The tables of the database.
fn tables(place: &Place) -> Vec<PathBuf> {
    let files = fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
    let mut tables: Vec<_> =
        files.filter(|path| path.extension() == Some("tbl".as_ref())).collect();
    tables.sort();
    tables
}

#[test]
fn commands_take_a_keyspace_as_what_the_catalog_says() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "tree", "--kind", "ordered"]);
    place.ok(&["keyspace", "create", "heap", "--kind", "hash"]);
    place.ok(&["keyspace", "create", "brief", "--kind", "ordered", "--ttl", "30m"]);
    let listed = place.json(&["keyspace", "list"]);
    let kinds: Vec<_> = listed.iter().map(|info| (&info["name"], &info["kind"])).collect();
    let wanted = [("brief", "ordered"), ("heap", "hash"), ("tree", "ordered")];
    assert_eq!(kinds.len(), wanted.len());
    for ((name, kind), wanted) in kinds.iter().zip(wanted) {
        assert_eq!((name.as_str().unwrap(), kind.as_str().unwrap()), wanted);
    }
    assert_eq!(listed[0]["ttl_seconds"], 1800.0);
    assert!(place.ok(&["keyspace", "list"]).contains("ordered"));

    for keyspace in ["tree", "heap"] {
        place.ok(&["put", "ada", "1815", "-k", keyspace]);
        place.run_with(&["put", "empty", "-", "-k", keyspace], b"").ok();
        place.run_with(&["batch-put", "-", "-k", keyspace], b"b,2\na,1\n").ok();
        assert_eq!(place.ok(&["get", "ada", "-k", keyspace]), "1815");
        assert_eq!(place.ok(&["get", "empty", "-k", keyspace]), "", "an empty value is a value");
        let got = place.json(&["get", "a", "-k", keyspace]);
        assert_eq!(got, [json!({"key": "a", "value": "1"})]);
        place.ok(&["delete", "ada", "-k", keyspace]);
        place.run(&["get", "ada", "-k", keyspace]).fails(1, "no key `ada`");
        place.run(&["delete", "ada", "-k", keyspace]).fails(1, "no key `ada`");
        let listed = common::sorted(&place.json(&["keys", "-k", keyspace]), "key");
        assert_eq!(listed, ["a", "b", "empty"]);
    }
    let changes = place.json(&["changes"]);
    let of_tree = |change: &&Value| change["keyspace"] == "tree" && change["kind"] == "insert";
    assert_eq!(changes.iter().filter(of_tree).count(), 4);

    place.ok(&["keyspace", "drop", "tree"]);
    place.run(&["get", "a", "-k", "tree"]).fails(1, "tree");
    place.ok(&["keyspace", "create", "tree", "--kind", "ordered"]);
    place.run(&["get", "a", "-k", "tree"]).fails(1, "no key");
}

#[test]
fn a_keyspace_is_made_of_the_kind_asked_for_and_stays_it() {
    let place = Place::new();
    place.ok(&["put", "a", "1", "-k", "tree", "--kind", "ordered"]);
    place.ok(&["put", "a", "1", "-k", "heap", "--kind", "hash"]);
    place.ok(&["put", "b", "2", "-k", "tree"]);
    place.ok(&["put", "c", "3", "-k", "tree", "--kind", "ordered"]);
    place.run(&["put", "d", "4", "-k", "tree", "--kind", "hash"]).fails(2, "of kind ordered");
    let load = ["batch-put", "-", "-k", "heap", "--kind", "ordered"];
    place.run_with(&load, b"d,4\n").fails(2, "of kind hash");
    assert_eq!(
        (&stats(&place, "tree")["kind"], &stats(&place, "heap")["kind"]),
        (&json!("ordered"), &json!("hash"))
    );
    place.run(&["get", "d", "-k", "tree"]).fails(1, "no key");
    // A load that stores nothing leaves no keyspace of this kind either.
    let load = ["batch-put", "-", "-k", "new", "--kind", "ordered"];
    place.run_with(&load, b"no separator\n").fails(2, "line 1");
    assert_eq!(place.json(&["keyspace", "list"]).len(), 2);
}

#[test]
fn listings_have_an_order_and_bounds() {
    let place = Place::new();
    load(&place, 500, 0);
    let all: Vec<String> = (0..500).map(|n| format!("key-{n:06}")).collect();
    assert_eq!(keys(&place, &[]), all);
    let backwards: Vec<String> = all.iter().rev().cloned().collect();
    assert_eq!(keys(&place, &["--reverse"]), backwards);
    assert_eq!(keys(&place, &["--from", "key-000498"]), all[498..]);
    assert_eq!(keys(&place, &["--to", "key-000002"]), all[..2]);
    assert_eq!(keys(&place, &["--from", "key-00010", "--to", "key-000103"]), all[100..103]);
    assert_eq!(
        keys(&place, &["--from", "key-000100", "--to", "key-000103", "--reverse"]),
        backwards[397..400]
    );
    assert_eq!(keys(&place, &["key-0001"]), all[100..200]);
    assert_eq!(keys(&place, &["--prefix", "key-0001"]), all[100..200]);
    assert_eq!(
        keys(&place, &["key-0001", "--from", "key-000198", "--to", "key-000300"]),
        all[198..200]
    );
    assert_eq!(
        keys(&place, &["key-0001", "--reverse", "--limit", "2"]),
        ["key-000199", "key-000198"]
    );
    assert_eq!(keys(&place, &["--limit", "3"]), all[..3]);
    let none: [&[&str]; 5] = [
        &["--limit", "0"],
        &["--from", "x"],
        &["--to", "a", "--reverse"],
        &["--from", "key-000100", "--to", "key-000100"],
        &["key-0001", "--from", "key-000300"],
    ];
    for args in none {
        assert_eq!(keys(&place, args), [""; 0], "{args:?}");
    }
    let value = format!("round 0 of 7 {}", "abcdefghij".repeat(5));
    let scan = ["scan", "-k", "k", "--from", "key-000007", "--limit", "1"];
    assert_eq!(place.json(&scan), [json!({"key": "key-000007", "value": value})]);
    assert_eq!(place.ok(&scan), format!("key-000007\t{value}\n"));
    // What a table has is listed as what memory has.
    place.ok(&["checkpoint"]);
    load(&place, 20, 1);
    assert_eq!(keys(&place, &["--from", "key-000010", "--limit", "20"]), all[10..30]);
    assert_eq!(place.ok(&["keys", "-k", "k", "--reverse", "--limit", "1"]), "key-000499\n");
}

#[test]
fn an_order_is_asked_only_of_what_has_one() {
    let place = Place::new();
    place.ok(&["put", "a", "1", "-k", "heap", "--kind", "hash"]);
    place.ok(&["put", "a", "1", "-k", "tree", "--kind", "ordered"]);
    for args in [
        &["scan", "-k", "heap", "--from", "a"][..],
        &["scan", "-k", "heap", "--to", "a"],
        &["keys", "-k", "heap", "--reverse"],
        &["compact", "--keyspace", "heap"],
        &["compact", "--keyspace", "heap", "--from", "a"],
    ] {
        let ended = place.run(args);
        ended.fails(2, "`heap` is a hash keyspace");
        ended.fails(2, "--kind ordered");
        assert_eq!(ended.stdout, b"");
        let ended = place.run(&[&["--json"], args].concat());
        assert_eq!((ended.code, &objects(&ended.stderr)[0]["kind"]), (2, &json!("usage")));
    }
    for args in [
        &["scan", "-k", "tree", "--from", "b", "--to", "a"][..],
        &["compact", "-k", "tree", "--from", "b", "--to", "a"],
    ] {
        place.run(args).fails(2, "--from is behind --to");
    }
    for args in [&["compact", "--from", "a"][..], &["scan", "a", "--prefix", "b", "-k", "tree"]] {
        assert_eq!(place.run(args).code, 2, "{args:?}");
    }
    place.run(&["compact", "-k", "none"]).fails(1, "no keyspace `none`");
}

#[test]
fn records_of_an_ordered_keyspace_expire() {
    let place = Place::new();
    place.ok(&["put", "soon", "v", "--ttl", "1ms", "-k", "k", "--kind", "ordered"]);
    place.ok(&["put", "later", "v", "--ttl", "1h", "-k", "k"]);
    std::thread::sleep(std::time::Duration::from_millis(5));
    place.run(&["get", "soon", "-k", "k"]).fails(1, "soon");
    assert_eq!(place.ok(&["get", "later", "-k", "k"]), "v");
    assert_eq!(keys(&place, &[]), ["later"]);
}

#[test]
fn figures_tell_the_levels() {
    let place = Place::new();
    load(&place, 3_000, 0);
    place.ok(&["checkpoint"]);
    let figures = stats(&place, "k");
    assert_eq!((&figures["kind"], &figures["records_count"]), (&json!("ordered"), &json!(3_000)));
    let levels = figures["levels"].as_array().unwrap();
    assert_eq!(levels[0]["level"], 0);
    let sum = |field: &str| levels.iter().map(|level| level[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("tables_count"), sum("entries_count")), (tables(&place).len() as u64, 3_000));
    assert_eq!(figures["table_files_bytes"], sum("bytes"));
    let files = tables(&place).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    assert_eq!(sum("bytes"), files);
    for field in ["read_amplification", "space_amplification", "write_amplification"] {
        assert!(figures[field].as_f64() >= Some(1.0), "{field} in {figures}");
    }
    // What is counted from the opening on is nothing in a process that has just opened the database.
    for field in ["flushes_count", "compactions_count", "shared"] {
        assert!(figures.get(field).is_none(), "{field} in {figures}");
    }
    let text = place.ok(&["keyspace", "stats", "k"]);
    assert!(text.contains("levels:\nlevel  tables"), "{text}");

    // Each command is a process of its own: what was written before is counted all the same.
    load(&place, 3_000, 1);
    place.ok(&["compact", "--keyspace", "k"]);
    assert!(stats(&place, "k")["write_amplification"].as_f64() > Some(1.2));
    place.ok(&["keyspace", "drop", "k"]);
    place.ok(&["keyspace", "create", "k", "--kind", "ordered"]);
    assert!(
        stats(&place, "k")["write_amplification"].is_null(),
        "nothing was written for this one"
    );
    let text = place.ok(&["keyspace", "stats", "k"]);
    assert!(text.lines().any(|line| line.replace(' ', "") == "writeamplification-"), "{text}");
    load(&place, 3_000, 0);
    place.ok(&["checkpoint"]);
    let figures = stats(&place, "k");
    let files = tables(&place).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();

    place.ok(&["put", "k", "v", "-k", "heap", "--kind", "hash"]);
    let all = &place.json(&["stats"])[0];
    assert_eq!((&all["keyspaces_count"], &all["keys_count"]), (&json!(2), &json!(3_001)));
    for section in ["ordered", "snapshots", "poisoned"] {
        assert!(all.get(section).is_none(), "{section} in {all}");
    }
    let listed = all["ordered_keyspaces"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["table_files_bytes"]), (&json!("k"), &json!(files)));
    assert_eq!(listed[0]["levels"], figures["levels"], "numbers, not a text");
    assert_eq!(listed[0]["write_amplification"], figures["write_amplification"]);
    assert!(stats(&place, "heap").get("levels").is_none());
}

/// Who reads a listing must know which figure is which.
#[test]
fn no_two_figures_of_a_listing_have_one_name() {
    let place = Place::new();
    load(&place, 300, 0);
    place.ok(&["put", "a", "1", "-k", "heap", "--kind", "hash"]);
    let listings: [&[&str]; 9] = [
        &["stats"],
        &["keyspace", "stats", "k"],
        &["keyspace", "stats", "heap"],
        &["keyspace", "list"],
        &["verify"],
        &["compact", "--keyspace", "k"],
        &["compact"],
        &["checkpoint"],
        &["backup", "copy"],
    ];
    for args in listings {
        let text = place.ok(args);
        // Columns stand two spaces apart, names have no more than one.
        let names = |line: &str| -> Vec<String> {
            let parts = line.split("  ").map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let mut seen: Vec<String> = names(text.lines().next().unwrap());
        if text.starts_with("what ") {
            let rows = text.lines().take_while(|line| !line.is_empty());
            seen = rows.map(|line| names(line).remove(0)).collect();
            seen.extend(text.split("\n\n").skip(1).flat_map(|listing| {
                names(listing.lines().nth(1).unwrap()).into_iter().map(|name| format!("- {name}"))
            }));
        }
        assert!(seen.len() > 4, "{args:?}: {text}");
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "{args:?}: {text}");
    }
}

#[test]
fn compaction_of_a_keyspace_leaves_one_version_of_each_key() {
    let place = Place::new();
    for round in 0..3 {
        load(&place, 3_000, round);
        place.ok(&["checkpoint"]);
    }
    let report = &place.json(&["compact", "--keyspace", "k"])[0];
    assert!(report["size_after_bytes"].as_u64() < report["size_before_bytes"].as_u64(), "{report}");
    let figures = stats(&place, "k");
    let levels = figures["levels"].as_array().unwrap();
    let full: Vec<_> = levels.iter().filter(|level| level["tables_count"] != 0).collect();
    assert_eq!((full.len(), &full[0]["entries_count"]), (1, &json!(3_000)), "{figures}");
    assert_eq!(figures["table_files_bytes"], report["size_after_bytes"]);
    assert!(place.ok(&["get", "key-002999", "-k", "k"]).starts_with("round 2 "));

    // Of a part only what lies in it is rewritten.
    load(&place, 3_000, 4);
    place.ok(&["delete", "key-000007", "-k", "k"]);
    let part = ["compact", "-k", "k", "--from", "key-000000", "--to", "key-000010"];
    let report = &place.json(&part)[0];
    assert!(report["size_after_bytes"].as_u64() > Some(0), "{report}");
    assert_eq!(keys(&place, &[]).len(), 2_999);
    place.run(&["get", "key-000007", "-k", "k"]).fails(1, "no key");
    assert!(place.ok(&["get", "key-000006", "-k", "k"]).starts_with("round 4 "));
    assert_eq!(place.json(&["verify"])[0]["damages_count"], 0);
}

#[test]
fn verify_names_damage_in_tables_with_the_keys_concerned() {
    let place = Place::new();
    load(&place, 3_000, 0);
    place.ok(&["compact", "-k", "k"]);
    let intact = &place.json(&["verify"])[0];
    assert_eq!(intact["damages_count"], 0);

    let table = tables(&place).pop().unwrap();
    let content = fs::read(&table).unwrap();
    let value = b"round 0 of 1234 ";
    let at = content.windows(value.len()).position(|bytes| bytes == value);
    let at = at.expect("values lie plain in tables") as u64;
    let file = fs::OpenOptions::new().write(true).open(&table).unwrap();
    file.write_all_at(b"\0", at).unwrap();

    let ended = place.run(&["--json", "verify"]);
    assert_eq!(ended.code, 3);
    let lines = objects(std::str::from_utf8(&ended.stdout).unwrap());
    assert_eq!(lines.last().unwrap()["damages_count"], 1, "{lines:?}");
    let damage = &lines[0];
    assert_eq!(damage["path"].as_str().map(std::path::Path::new), Some(&*table));
    let offset = damage["offset"].as_u64().unwrap();
    assert!(offset <= at && at - offset < 8192, "{offset} is named, {at} was changed");
    let what = damage["what"].as_str().unwrap();
    assert!(what.contains("of the keyspace `k`"), "{what}");
    // Who comes there is told of the same keys in the same words.
    let keys = what.split("keys ").nth(1).unwrap().split(" of the keyspace").next().unwrap();
    assert!(keys.contains(" to "), "{keys}");
    place.run(&["scan", "-k", "k"]).fails(3, keys);
    let named: Vec<&str> = what.split('"').filter(|part| part.starts_with("key-")).collect();
    assert!(named[0] <= "key-001234" && "key-001234" <= named[1], "{what}");
    assert!(named[0] > "key-001000" && named[1] < "key-001500", "only what is concerned: {what}");
    let ended = place.run(&["verify"]);
    ended.fails(3, "damaged");
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains(&format!("byte {offset}")) && text.contains(named[0]), "{text}");

    place
        .run(&["get", "key-001234", "-k", "k"])
        .fails(3, table.file_name().unwrap().to_str().unwrap());
    assert!(
        place.ok(&["get", "key-000001", "-k", "k"]).starts_with("round 0"),
        "the rest is there"
    );
    assert!(place.ok(&["get", "key-002999", "-k", "k"]).starts_with("round 0"));
    for args in [&["keys", "-k", "k"][..], &["keys", "-k", "k", "--reverse"]] {
        let ended = place.run(args);
        ended.fails(3, "damaged");
        let listed = String::from_utf8(ended.stdout.clone()).unwrap();
        assert!(!listed.contains("key-001234\n"));
        let count = listed.lines().count();
        assert!((2_800..3_000).contains(&count), "all but one block is listed: {count}, {args:?}");
    }
}

#[test]
fn a_missing_table_is_told_with_its_keys() {
    let place = Place::new();
    load(&place, 3_000, 0);
    place.ok(&["compact", "-k", "k"]);
    let table = tables(&place).pop().unwrap();
    fs::remove_file(&table).unwrap();
    let name = table.file_name().unwrap().to_str().unwrap();
    place.ok(&["put", "x", "y", "-k", "k"]);
    place.ok(&["put", "ada", "1815", "-k", "users", "--kind", "hash"]);
    assert_eq!(place.ok(&["get", "x", "-k", "k"]), "y");
    assert_eq!(place.ok(&["get", "ada", "-k", "users"]), "1815");
    let listed = place.run(&["keys", "-k", "k"]);
    listed.fails(3, name);
    assert_eq!(listed.stdout, b"x\n");
    let merged = place.run(&["compact", "-k", "k"]);
    for args in [&["get", "key-000001", "-k", "k"][..], &["scan", "-k", "k"], &["verify"]] {
        let ended = place.run(args);
        let told = format!("{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
        assert_eq!(ended.code, 3, "{args:?}: {ended:?}");
        assert!(told.contains(name) && told.contains("key-002999"), "{args:?}: {told}");
    }
    merged.fails(3, name);
    place.run(&["backup", "copy"]).fails(3, name);
    assert!(!place.path("copy").exists(), "nothing is left of a backup that was refused");
}

#[test]
fn a_missing_manifest_is_told_and_other_keyspaces_can_be_read() {
    let place = Place::new();
    load(&place, 300, 0);
    place.ok(&["put", "ada", "1815", "-k", "users", "--kind", "hash"]);
    let is_manifest = |path: &PathBuf| path.extension().is_some_and(|end| end == "man");
    let files = fs::read_dir(place.data()).unwrap().map(|file| file.unwrap().path());
    let manifest = files.into_iter().find(is_manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let name = manifest.file_name().unwrap().to_str().unwrap();
    assert_eq!(place.ok(&["get", "ada", "-k", "users"]), "1815");
    for args in [&["get", "x", "-k", "k"][..], &["put", "x", "y", "-k", "users"], &["verify"]] {
        let ended = place.run(args);
        let told = format!("{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
        assert!(ended.code == 3 && told.contains(name), "{args:?}: {told}");
        assert_eq!(told.matches(name).count(), 1, "named once: {told}");
    }
    for args in [&["keyspace", "list"][..], &["stats"], &["--json", "stats"]] {
        let ended = place.run(args);
        assert!(ended.code == 0 && ended.stderr.contains(name), "{args:?}: {ended:?}");
    }
}

#[test]
fn damage_hides_no_key_and_no_newer_record() {
    let place = Place::new();
    load(&place, 3_000, 0);
    place.ok(&["compact", "-k", "k"]);
    let table = tables(&place).pop().unwrap();
    let content = fs::read(&table).unwrap();
    let value = b"round 0 of 1234 ";
    let at = content.windows(value.len()).position(|bytes| bytes == value).unwrap() as u64;
    let file = fs::OpenOptions::new().write(true).open(&table).unwrap();
    file.write_all_at(b"\0", at).unwrap();
    place.ok(&["put", "key-001234", "newer", "-k", "k"]);
    // Of two values that stay in the log one is damaged.
    for (name, byte) in [("long-1", "1"), ("long-2", "2")] {
        place.ok(&["put", name, &byte.repeat(9_000), "-k", "k"]);
    }
    let log = fs::read_dir(place.data()).unwrap().map(|file| file.unwrap().path());
    for segment in log.filter(|path| path.extension().is_some_and(|end| end == "seg")) {
        let content = fs::read(&segment).unwrap();
        if let Some(at) = content.windows(2_000).position(|bytes| bytes == [b'1'; 2_000]) {
            let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
            file.write_all_at(b"\0", at as u64 + 1_000).unwrap();
        }
    }
    for reverse in [false, true] {
        let with = |args: &[&str]| {
            let back = if reverse { &["--reverse"][..] } else { &[] };
            let ended = place.run(&[args, &["-k", "k"], back].concat());
            ended.fails(3, "damaged");
            let text = String::from_utf8(ended.stdout).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let mut sorted = lines.clone();
            sorted.sort();
            if reverse {
                lines.reverse();
            }
            assert_eq!(lines, sorted, "in their order");
            lines
        };
        let keys = with(&["keys"]);
        assert!(keys.iter().any(|key| key == "key-001234"), "it was written since");
        assert!(keys.contains(&"long-1".to_owned()), "a key is no value");
        assert!((2_800..3_002).contains(&keys.len()), "{}", keys.len());
        let records = with(&["scan"]);
        assert!(records.contains(&"key-001234\tnewer".to_owned()));
        assert!(!records.iter().any(|record| record.starts_with("long-1")));
        assert!(records.iter().any(|record| record.starts_with("long-2\t2222")));
        assert_eq!(records.len(), keys.len() - 1);
    }
}

#[test]
fn counts_of_ordered_keyspaces_are_marked_as_estimates() {
    let place = Place::new();
    load(&place, 10, 0);
    place.ok(&["put", "ada", "1815", "-k", "users", "--kind", "hash"]);
    let listed = place.json(&["keyspace", "list"]);
    let marks: Vec<_> = listed.iter().map(|one| one["records_estimated"].clone()).collect();
    assert_eq!(marks, [json!(true), json!(false)], "{listed:?}");
    let text = place.ok(&["keyspace", "list"]);
    assert!(text.contains("~10"), "{text}");
    assert!(place.ok(&["keyspace", "stats", "k"]).contains("~10"));
    assert!(!place.ok(&["keyspace", "stats", "users"]).contains('~'));
    assert!(place.ok(&["stats"]).contains("~11"));
    assert_eq!(place.json(&["stats"])[0]["keys_estimated"], true);
}

#[test]
fn a_backup_that_lacks_a_file_is_told_and_nothing_is_made() {
    let place = Place::new();
    load(&place, 300, 0);
    place.ok(&["put", "ada", "1815", "-k", "users", "--kind", "hash"]);
    place.ok(&["backup", "copy"]);
    let files = fs::read_dir(place.path("copy")).unwrap().map(|file| file.unwrap().path());
    let needed = ["seg", "tbl", "man", "ckp"];
    let is_needed = |path: &PathBuf| {
        path.extension().is_some_and(|end| needed.iter().any(|needed| *end == **needed))
    };
    let files: Vec<PathBuf> = files.filter(is_needed).collect();
    assert!(files.len() >= needed.len(), "{files:?}");
    for file in files {
        let whole = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let ended = place.run(&["restore", "copy", "--data", "fresh"]);
        ended.fails(3, file.file_name().unwrap().to_str().unwrap());
        assert!(!place.path("fresh").exists(), "{}", file.display());
        fs::write(&file, whole).unwrap();
    }
    assert_eq!(place.run(&["restore", "copy", "--data", "fresh"]).code, 0);
    place.run(&["restore", "nowhere", "--data", "other"]).fails(1, "no backup");
}

#[test]
fn backups_carry_tables() {
    let place = Place::new();
    load(&place, 3_000, 0);
    place.ok(&["compact", "-k", "k"]);
    load(&place, 10, 1);
    let first = &place.json(&["backup", "copy"])[0];
    assert!(first["copied_bytes"].as_u64() > Some(0), "{first}");
    place.ok(&["put", "later", "1", "-k", "k"]);
    let second = &place.json(&["backup", "copy"])[0];
    assert!(second["reused_bytes"].as_u64() > Some(0), "tables are not copied twice: {second}");
    assert_eq!(place.run(&["restore", "copy", "--data", "restored"]).code, 0);
    for data in ["copy", "restored"] {
        let at = |args: &[&str]| place.ok(&[args, &["-k", "k", "--data", data]].concat());
        assert_eq!(at(&["keys"]).lines().count(), 3_001, "{data}");
        assert!(at(&["get", "key-000003"]).starts_with("round 1"), "{data}");
        assert!(at(&["get", "key-002999"]).starts_with("round 0"), "{data}");
        assert_eq!(place.json(&["verify", "--data", data])[0]["damages_count"], 0);
    }
    place.ok(&["put", "z", "1", "-k", "k", "--data", "restored"]);
    assert_eq!(
        place.ok(&["keys", "-k", "k", "--reverse", "--limit", "1", "--data", "restored"]),
        "z\n"
    );
}

#[test]
fn all_that_reads_works_beside_a_live_writer() {
    let place = Place::new();
    load(&place, 3_000, 0);
    place.ok(&["put", "a", "1", "-k", "heap", "--kind", "hash"]);
    let args = ["batch-put", "-", "--batch", "1", "--progress-json", "-k", "k"];
    let mut writer = place.spawn(&args);
    let mut stdin = writer.child.stdin.take().unwrap();
    first_ack(&mut writer, &mut stdin);
    let pid = writer.child.id().to_string();
    let all: Vec<String> =
        ["first".to_owned()].into_iter().chain((0..3_000).map(|n| format!("key-{n:06}"))).collect();
    // What the writer has in memory, and what lies in tables.
    assert_eq!(place.ok(&["get", "first", "-k", "k"]), "1");
    assert!(place.ok(&["get", "key-002999", "-k", "k"]).starts_with("round 0"));
    place.run(&["get", "none", "-k", "k"]).fails(1, "no key");
    assert_eq!(keys(&place, &[]), all);
    assert_eq!(keys(&place, &["--from", "key-000010", "--to", "key-000012"]), all[11..13]);
    assert_eq!(keys(&place, &["key-00001", "--reverse", "--limit", "1"]), all[20..21]);
    let scan = ["scan", "-k", "k", "--from", "f", "--limit", "1"];
    assert_eq!(place.json(&scan), [json!({"key": "first", "value": "1"})]);
    let listed = place.json(&["keyspace", "list"]);
    assert_eq!((&listed[1]["name"], &listed[1]["records_count"]), (&json!("k"), &json!(3_001)));
    let figures = stats(&place, "k");
    assert_eq!(figures["records_count"], 3_001);
    assert!(figures["table_files_bytes"].as_u64() > Some(0), "{figures}");
    let report = &place.json(&["stats"])[0];
    assert_eq!((&report["keyspaces_count"], &report["keys_count"]), (&json!(2), &json!(3_002)));
    assert_eq!(report["ordered_keyspaces"][0]["name"], "k");
    let report = &place.json(&["verify"])[0];
    assert_eq!(report["damages_count"], 0);
    assert!(report["records_count"].as_u64() > Some(3_000), "{report}");
    assert_eq!(place.ok(&["get", "a", "-k", "heap"]), "1");
    // What tables have went from the log when the load before was closed: where it begins is told aside.
    let ended = place.run(&["--json", "changes"]);
    let note = &objects(&ended.stderr)[0];
    assert!(note["oldest_seq"].as_u64() > Some(1), "{ended:?}");
    let changes = objects(std::str::from_utf8(&ended.stdout).unwrap());
    assert_eq!(changes.last().expect("the writer's")["key"], "first");
    // What changes something is the writer's alone.
    for args in [&["compact", "-k", "k"][..], &["put", "x", "1", "-k", "k"], &["delete", "first"]] {
        place.run(args).fails(4, &pid);
    }
    drop(stdin);
    assert!(writer.child.wait().unwrap().success());
    assert_eq!(keys(&place, &[]), all);
}

/// Each command that writes opens the database, and closes it before anything is done in the background.
#[test]
fn commands_that_write_a_record_each_do_not_leave_a_table_each() {
    let place = Place::new();
    for number in 0..40 {
        place.ok(&["put", &format!("key-{number:03}"), "value"]);
    }
    assert_eq!(place.ok(&["keys"]).lines().count(), 40);
    let tables = tables(&place);
    assert!(tables.len() <= 8, "{} tables", tables.len());
    assert_eq!(place.json(&["changes"]).len(), 41, "the feed has them all");
}
