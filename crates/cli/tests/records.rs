//! One record at a time, and listings: put, get, delete, keys, scan.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, objects, sorted};
use serde_json::json;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Stdio};

#[test]
fn what_is_put_is_read_until_it_is_deleted() {
    let place = Place::new();
    assert_eq!(place.ok(&["put", "ada", "1815"]), "");
    assert_eq!(place.ok(&["get", "ada"]), "1815");
    assert_eq!(place.json(&["get", "ada"]), [json!({"key": "ada", "value": "1815"})]);
    place.ok(&["put", "ada", "1852"]);
    assert_eq!(place.ok(&["get", "ada"]), "1852");
    assert_eq!(place.ok(&["delete", "ada"]), "");
    place.run(&["get", "ada"]).fails(1, "no key `ada`");
    place.run(&["delete", "ada"]).fails(1, "no key `ada`");
}

#[test]
fn standard_input_is_a_value_of_any_bytes() {
    let place = Place::new();
    let value: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    place.run_with(&["put", "big", "-"], &value).ok();
    let got = place.run(&["get", "big"]);
    assert!(got.code == 0 && got.stdout == value, "a value larger than a segment");
    place.run_with(&["put", "dash", "-"], b"-").ok();
    place.run_with(&["put", "empty", "-"], b"").ok();
    assert_eq!((&*place.ok(&["get", "dash"]), &*place.ok(&["get", "empty"])), ("-", ""));
    place.ok(&["put", "", "the empty key"]);
    assert_eq!(place.ok(&["get", ""]), "the empty key");
    place.ok(&["put", "minus", "-5"]);
    assert_eq!(place.ok(&["get", "minus"]), "-5");
}

#[test]
fn bytes_that_are_no_text_are_base64_in_json() {
    let place = Place::new();
    let key = OsStr::from_bytes(b"k\xff");
    let status = place.command().args(["put", "x", "y"]).status().unwrap();
    assert!(status.success());
    let mut put = place.command();
    put.arg("put").arg(key).arg(OsStr::from_bytes(b"\x80"));
    assert!(put.status().unwrap().success());
    let listed = place.json(&["scan", "k"]);
    assert_eq!(listed, [json!({"key_base64": "a/8=", "value_base64": "gA=="})]);
    assert_eq!(place.json(&["keys", "k"]), [json!({"key_base64": "a/8="})]);
    let plain = place.run(&["scan", "k"]);
    assert_eq!(plain.stdout, b"k\xff\t\x80\n", "a pipe gets the bytes as they are");
}

#[test]
fn listings_filter_by_prefix_and_stop_at_a_limit() {
    let place = Place::new();
    let lines: String = (0..500).map(|n| format!("{}{n:03},{n}\n", ["a", "b"][n % 2])).collect();
    place.run_with(&["batch-put", "-"], lines.as_bytes()).ok();
    let keys = sorted(&place.json(&["keys"]), "key");
    assert_eq!(keys.len(), 500);
    let plain: Vec<String> = place.ok(&["keys"]).lines().map(str::to_owned).collect();
    assert_eq!(plain, keys, "a keyspace that is made where nothing is said is an ordered one");
    let args = ["batch-put", "-", "-k", "heap", "--kind", "hash"];
    place.run_with(&args, lines.as_bytes()).ok();
    assert_eq!(sorted(&place.json(&["keys", "-k", "heap"]), "key"), keys);
    assert_eq!(
        sorted(&place.json(&["keys", "a00"]), "key"),
        ["a000", "a002", "a004", "a006", "a008"]
    );
    assert_eq!(place.json(&["keys", "b", "--limit", "7"]).len(), 7);
    assert_eq!(place.json(&["keys", "--limit", "0"]).len(), 0);
    assert_eq!(place.json(&["scan", "c"]).len(), 0);
    assert_eq!(place.json(&["scan", "b499"]), [json!({"key": "b499", "value": "499"})]);
    assert_eq!(place.ok(&["scan", "b499"]), "b499\t499\n");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let place = Place::new();
    let lines: String = (0..50_000).map(|n| format!("key-{n},value\n")).collect();
    place.run_with(&["batch-put", "-"], lines.as_bytes()).ok();
    let mut command = place.command();
    command.arg("scan").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), &*ended.stderr), (Some(0), &b""[..]));
}

#[test]
fn keyspaces_keep_keys_apart() {
    let place = Place::new();
    place.ok(&["put", "k", "one"]);
    place.ok(&["put", "k", "two", "-k", "other"]);
    assert_eq!(place.ok(&["get", "k"]), "one");
    assert_eq!(place.ok(&["get", "k", "--keyspace", "other"]), "two");
    place.run(&["get", "k", "-k", "third"]).fails(1, "third");
    place.run(&["keys", "-k", "third"]).fails(1, "third");
    place.run(&["delete", "k", "-k", "third"]).fails(1, "third");
    place.run(&["put", "k", "v", "-k", ""]).fails(2, "empty");
}

#[test]
fn records_expire() {
    let place = Place::new();
    place.ok(&["put", "soon", "v", "--ttl", "1ms"]);
    place.ok(&["put", "later", "v", "--ttl", "1h"]);
    std::thread::sleep(std::time::Duration::from_millis(5));
    place.run(&["get", "soon"]).fails(1, "soon");
    assert_eq!(place.ok(&["get", "later"]), "v");
    assert_eq!(place.json(&["keys"]).len(), 1);
}

#[test]
fn keys_too_long_are_a_usage_error() {
    let place = Place::new();
    let key = "k".repeat(65_536);
    place.ok(&["put", &key, "v"]);
    assert_eq!(place.ok(&["get", &key]), "v");
    place.run(&["put", &"k".repeat(65_537), "v"]).fails(2, "too long");
    let listed = place.run(&["--json", "keys"]).ok();
    assert_eq!(objects(&listed).len(), 1);
}
