//! What a script sees when things go wrong: codes, and one JSON object on standard error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Place;
use serde_json::Value;
use std::{fs, os::unix::fs::FileExt, process::Stdio};

fn error(place: &Place, args: &[&str]) -> (i32, String, String) {
    let mut all = args.to_vec();
    all.push("--json");
    let ended = place.run(&all);
    assert!(ended.stdout.is_empty(), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    let object: Value = serde_json::from_str(&ended.stderr).expect("an object");
    assert_eq!(object["exit_code"], ended.code);
    let text = |name: &str| object[name].as_str().expect("a string").to_owned();
    (ended.code, text("kind"), text("error"))
}

#[test]
fn a_missing_database_is_never_made_by_who_only_looks() {
    let place = Place::new();
    let commands: [&[&str]; 20] = [
        &["get", "k"],
        &["delete", "k"],
        &["keys"],
        &["scan"],
        &["stats"],
        &["verify"],
        &["changes"],
        &["checkpoint"],
        &["compact"],
        &["backup", "copy"],
        &["unlock"],
        &["keyspace", "list"],
        &["keyspace", "drop", "x"],
        &["keyspace", "stats", "x"],
        &["tables"],
        &["query", "t"],
        &["recent", "t"],
        &["event", "t", "1"],
        &["export", "t"],
        &["gc", "t", "--before", "now"],
    ];
    for command in commands {
        let (code, kind, message) = error(&place, command);
        assert_eq!((code, &*kind), (5, "no_database"), "{command:?}");
        assert!(message.contains("--data"), "the remedy is named: {message}");
        assert!(!place.data().exists(), "{command:?} made a directory");
    }
    fs::create_dir(place.data()).unwrap();
    assert_eq!(error(&place, &["get", "k"]).1, "no_database");
    assert_eq!(fs::read_dir(place.data()).unwrap().count(), 0);
}

#[test]
fn a_place_where_nothing_can_be_made_is_named_as_such() {
    let place = Place::new();
    // A file system that makes no directories.
    let (code, kind, message) = error(&place, &["put", "k", "v", "--data", "/proc/annals"]);
    assert_eq!((code, &*kind), (5, "io"), "{message}");
    assert!(message.contains("/proc/annals") && message.contains("can be made"), "{message}");
    assert!(!message.contains("there is no database"), "{message}");
}

/// A mistyped name must not leave a tree of directories, nor advice that leads in a circle.
#[test]
fn only_the_last_part_of_a_databases_path_is_made() {
    let place = Place::new();
    let at = |path: &str| place.path(path).to_str().unwrap().to_owned();
    let missing = at("mistyped/annals-data");
    for command in [
        &["put", "k", "v", "--data", &missing][..],
        &["batch-put", "-", "--data", &missing],
        &["keyspace", "create", "x", "--data", &missing],
    ] {
        let (code, kind, message) = error(&place, command);
        assert_eq!((code, &*kind), (2, "usage"), "{command:?}: {message}");
        assert!(message.contains("there is no directory"), "{message}");
    }
    assert!(!place.path("mistyped").exists());
    place.ok(&["put", "k", "v"]);
    place.ok(&["backup", "copy"]);
    assert_eq!(error(&place, &["restore", "copy", "--data", &missing]).0, 2);
    let backup = at("mistyped/copy");
    let (code, kind, message) = error(&place, &["backup", &backup]);
    assert_eq!((code, &*kind), (2, "usage"), "{message}");
    assert!(message.contains("there is no directory"), "{message}");
    assert!(!place.path("mistyped").exists());

    place.file("letter", "dear");
    let (file, below) = (at("letter"), at("letter/data"));
    for command in [
        &["put", "k", "v", "--data", &file][..],
        &["put", "k", "v", "--data", &below],
        &["get", "k", "--data", &file],
        &["unlock", "--data", &file],
        &["unlock", "--data", &below],
        &["ingest", "t", &file, "--data", &file],
        &["append", "orders", "1", "{}", "--data", &file],
        &["tables", "--data", &file],
        &["restore", "copy", "--data", &file],
        &["restore", &file, "--data", &at("new")],
        &["backup", &file],
        &["backup", &below],
    ] {
        let (code, kind, message) = error(&place, command);
        assert_eq!((code, &*kind), (2, "usage"), "{command:?}: {message}");
        assert!(message.contains("is a file"), "{command:?}: {message}");
        assert!(!message.contains("put KEY"), "{command:?}: {message}");
    }
}

#[test]
fn a_backup_into_the_database_itself_is_refused() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    fs::create_dir(place.data().join("folder")).unwrap();
    std::os::unix::fs::symlink(place.data(), place.path("link")).unwrap();
    std::os::unix::fs::symlink("data/folder", place.path("inner")).unwrap();
    for target in [
        "data/copy",
        "data/folder/copy",
        "./data/../data/copy",
        "link/copy",
        "link/folder",
        "inner",
        "inner/copy",
        "inner/../copy",
    ] {
        let (code, kind, message) = error(&place, &["backup", target]);
        assert_eq!((code, &*kind), (2, "usage"), "{target}: {message}");
        assert!(message.contains("lies inside"), "{message}");
    }
    assert_eq!(fs::read_dir(place.data().join("folder")).unwrap().count(), 0);
    assert!(!place.data().join("copy").exists());
}

#[test]
fn an_unknown_keyspace_is_told_with_those_that_are_there() {
    let place = Place::new();
    place.ok(&["put", "k", "v", "-k", "users"]);
    for command in [
        &["get", "k", "-k", "user"][..],
        &["keys", "-k", "user"],
        &["delete", "k", "-k", "user"],
        &["keyspace", "stats", "user"],
        &["keyspace", "drop", "user"],
    ] {
        let (code, kind, message) = error(&place, command);
        assert_eq!((code, &*kind), (1, "not_found"), "{command:?}");
        assert_eq!(message, "there is no keyspace `user`; there is `users`", "{command:?}");
    }
    for n in 0..14 {
        place.ok(&["keyspace", "create", &format!("k{n:02}")]);
    }
    let message = error(&place, &["get", "k", "-k", "user"]).2;
    assert!(message.ends_with("`k09` and 5 more"), "{message}");
}

#[test]
fn a_long_key_is_shortened_in_errors() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    let key = "long ".repeat(1_000);
    let message = error(&place, &["get", &key]).2;
    assert!(message.len() < 200 && message.contains("(5000 bytes)"), "{message}");
}

#[test]
fn options_are_shown_where_they_mean_something() {
    let place = Place::new();
    for command in [&["put"][..], &["delete"], &["batch-put"], &["keyspace", "create"], &["tour"]] {
        let help = place.ok(&[&["help"], command].concat());
        assert!(help.contains("--durability") && help.contains("--segment-bytes"), "{help}");
    }
    for command in [&["get"][..], &["verify"], &["changes"], &["keyspace", "list"], &["backup"]] {
        let help = place.ok(&[&["help"], command].concat());
        assert!(!help.contains("--durability") && !help.contains("--segment-bytes"), "{help}");
    }
}

/// An option that changes nothing would let somebody believe that it did.
#[test]
fn commands_with_a_database_of_their_own_are_given_no_other() {
    let place = Place::new();
    for (args, what) in [
        (&["bench", "--ops", "1", "--data", "."][..], "TMPDIR"),
        (&["tour", "--data", "."], "TMPDIR"),
        (&["--durability=sync", "bench", "--ops", "1"], "all durability levels"),
    ] {
        let (code, kind, message) = error(&place, args);
        assert_eq!((code, &*kind), (2, "usage"), "{args:?}: {message}");
        assert!(message.contains(what), "{args:?}: {message}");
    }
    assert_eq!(fs::read_dir(place.path(".")).unwrap().count(), 0);
}

#[test]
fn a_damaged_checkpoint_costs_nothing_and_is_told_so() {
    let place = Place::new();
    place.ok(&["put", "k", "v", "--kind", "hash"]);
    place.ok(&["put", "k", "v", "-k", "tree"]);
    let files = fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
    let is_checkpoint = |path: &std::path::PathBuf| path.extension() == Some("ckp".as_ref());
    let path = files.into_iter().find(is_checkpoint).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    for content in [Some(&damaged[..]), Some(b""), None] {
        match content {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let ended = place.run(&["verify"]);
        ended.fails(3, "nothing is lost");
        ended.fails(3, "checkpoint");
        assert!(!ended.stderr.contains("backup"), "{ended:?}");
        let text = String::from_utf8(ended.stdout).unwrap();
        assert!(text.contains("makes it anew from the log"), "{text}");
    }
    assert_eq!(place.ok(&["get", "k"]), "v");
    // What is advised helps.
    place.ok(&["checkpoint"]);
    assert_eq!(place.json(&["verify"])[0]["damages_count"], 0);
    assert_eq!(place.ok(&["get", "k"]), "v");
    assert_eq!(place.ok(&["get", "k", "-k", "tree"]), "v");
}

#[test]
fn not_found_is_1() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    assert_eq!(error(&place, &["get", "other"]).0, 1);
    assert_eq!(error(&place, &["delete", "other"]).1, "not_found");
    assert_eq!(error(&place, &["keyspace", "drop", "other"]).0, 1);
    assert_eq!(error(&place, &["keyspace", "stats", "other"]).0, 1);
    assert_eq!(error(&place, &["restore", "nowhere", "--data", "new"]).0, 1);
}

#[test]
fn usage_is_2() {
    let place = Place::new();
    for command in [
        &["no-such-command"][..],
        &["get"],
        &["put", "k"],
        &["put", "k", "v", "--durability", "none"],
        &["batch-put", "missing-file"],
        &["batch-put", "."],
        &["batch-put", "-", "--separator", ""],
        &["batch-put", "-", "--batch", "0"],
        &["bench", "--ops", "0"],
        &["bench", "--threads", "0"],
        &["put", "k", "v", "--ttl", "0"],
        &["keyspace", "create", " x"],
        &["keyspace", "create", "x", "--kind", "tree"],
        &["tour", "missing-file"],
    ] {
        let (code, kind, message) = error(&place, command);
        assert_eq!((code, &*kind), (2, "usage"), "{command:?}: {message}");
        assert_eq!(place.run(command).code, 2, "{command:?}");
    }
    for command in [&[][..], &["keyspace"]] {
        let ended = place.run(command);
        assert_eq!((ended.code, ended.stdout.len()), (2, 0), "{ended:?}");
        assert!(ended.stderr.contains("Usage: annals"), "{ended:?}");
        assert!(ended.stderr.contains("Commands:"), "{ended:?}");
    }
    let help = place.run(&["--help"]).ok();
    assert!(help.contains("Exit codes:") && help.contains("locked"), "{help}");
    assert!(place.ok(&["--version"]).starts_with("annals "));
}

#[test]
fn corrupt_is_3_and_names_file_and_offset() {
    let place = Place::new();
    let value = "a value that can be found in a file ".repeat(20);
    // Of an ordered keyspace the log has nothing that is read again: its tables have tests of their own.
    place.ok(&["put", "good", "untouched", "--kind", "hash"]);
    place.ok(&["put", "bad", &value]);
    assert_eq!(place.json(&["verify"])[0]["damages_count"], 0);

    let holds = |path: &std::path::Path| {
        let content = fs::read(path).unwrap();
        content.windows(value.len()).position(|bytes| bytes == value.as_bytes())
    };
    let mut files = fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
    let (path, at) = files
        .by_ref()
        .filter(|path| path.is_file())
        .find_map(|path| holds(&path).map(|at| (path, at as u64 + 100)))
        .expect("the value is in a file");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"\0", at).unwrap();

    let ended = place.run(&["verify"]);
    ended.fails(3, "damaged");
    let text = String::from_utf8(ended.stdout).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name), "{name} is not in {text}");

    let ended = place.run(&["--json", "verify"]);
    assert_eq!(ended.code, 3);
    let lines = common::objects(&String::from_utf8(ended.stdout).unwrap());
    assert_eq!(lines[0]["path"].as_str().map(std::path::Path::new), Some(&*path));
    let offset = lines[0]["offset"].as_u64().expect("an offset");
    assert!(offset <= at && at - offset < 4096, "{offset} is named, {at} was changed");
    assert_eq!(lines.last().unwrap()["damages_count"], lines.len() - 1);

    let (code, kind, message) = error(&place, &["get", "bad"]);
    assert_eq!((code, &*kind), (3, "corrupt"), "{message}");
    assert!(message.contains(name), "{message}");
    assert_eq!(place.ok(&["get", "good"]), "untouched", "the rest stays readable");
    let ended = place.run(&["scan"]);
    assert_eq!(ended.stdout, b"good\tuntouched\n");
    ended.fails(3, "damaged places left out: 1");
    ended.fails(3, name);

    // Nearly all of the segment is dead; it could go, but nobody knows what it says.
    place.ok(&["put", "good", &value]);
    place.ok(&["put", "good", "again"]);
    let ended = place.run(&["compact"]);
    ended.fails(3, "1 damaged segment of the log stayed");
    assert_eq!(place.ok(&["get", "good"]), "again");
}

#[test]
fn locked_is_4_and_names_the_holder() {
    let place = Place::new();
    let mut writer = place.spawn(&["batch-put", "-", "--batch", "1", "--progress-json"]);
    let mut stdin = writer.child.stdin.take().unwrap();
    common::first_ack(&mut writer, &mut stdin);
    let pid = writer.child.id().to_string();
    for command in [
        &["put", "k", "v"][..],
        &["delete", "k"],
        &["unlock"],
        &["checkpoint"],
        &["batch-put", "-"],
        &["keyspace", "create", "x"],
    ] {
        let (code, kind, message) = error(&place, command);
        assert_eq!((code, &*kind), (4, "locked"), "{command:?}: {message}");
        assert!(message.contains(&pid), "{command:?}: {message}");
        assert!(!message.contains("open it read-only"), "no option does: {message}");
    }
}

#[test]
fn one_of_those_who_make_a_database_at_once_makes_it() {
    for round in 0..20 {
        let place = Place::new();
        let writers = ["a", "b", "c", "d"].map(|key| {
            let mut command = place.command();
            let command = command.args(["put", key, "v"]).stdout(Stdio::null());
            (key, command.stderr(Stdio::piped()).spawn().unwrap())
        });
        let mut written = Vec::new();
        for (key, writer) in writers {
            let ended = writer.wait_with_output().unwrap();
            match ended.status.code() {
                Some(0) => written.push(key),
                Some(4) => {}
                _ => panic!("round {round}: {key}: {ended:?}"),
            }
        }
        assert!(!written.is_empty(), "round {round}: nobody made it");
        for key in written {
            assert_eq!(place.ok(&["get", key]), "v", "round {round}: {key}");
        }
    }
}

#[test]
fn what_is_no_database_is_left_alone() {
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("letter.txt"), "dear").unwrap();
    for command in [&["put", "k", "v"][..], &["get", "k"], &["verify"]] {
        let (code, kind, message) = error(&place, command);
        assert_eq!((code, &*kind), (5, "not_a_database"), "{command:?}: {message}");
    }
    assert_eq!(fs::read_dir(place.data()).unwrap().count(), 1);
    fs::remove_dir_all(place.data()).unwrap();
    fs::write(place.data(), "a file").unwrap();
    for command in [&["put", "k", "v"][..], &["get", "k"]] {
        assert_eq!(error(&place, command).0, 2, "{command:?}");
    }
    assert_eq!(fs::read(place.data()).unwrap(), b"a file");
}

#[test]
fn a_backup_that_cannot_be_is_told_in_its_own_words() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    let data = place.data();
    let itself = data.join(".");
    for dir in [&data, &itself] {
        let (code, kind, message) = error(&place, &["backup", dir.to_str().unwrap()]);
        assert_eq!((code, &*kind), (2, "usage"), "{message}");
        assert!(message.contains("is the database itself"), "{message}");
    }
    place.ok(&["backup", "copy"]);
    let segment = |entry: fs::DirEntry| {
        Some(entry.path()).filter(|path| path.extension().is_some_and(|end| end == "seg"))
    };
    let lost = fs::read_dir(place.path("copy")).unwrap().find_map(|entry| segment(entry.unwrap()));
    fs::remove_file(lost.unwrap()).unwrap();
    let new = place.path("new");
    let (code, kind, message) =
        error(&place, &["restore", "copy", "--data", new.to_str().unwrap()]);
    assert_eq!((code, &*kind), (3, "corrupt"), "{message}");
    assert!(
        message.contains("the backup in copy is not whole: copy/00000001.seg is missing"),
        "{message}"
    );
    assert!(message.ends_with("nothing was restored, take another backup"), "{message}");
    assert!(!new.exists());
}
