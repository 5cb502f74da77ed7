//! Chained streams.

use super::{common::Place, error, help, tamper};
use serde_json::json;

#[test]
fn a_chained_stream_tells_its_head_and_whether_it_is_what_it_was() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "audit", "--kind", "streams", "--chained"]);
    for kind in [&["--kind", "hash"][..], &[]] {
        let args = [&["keyspace", "create", "other", "--chained"][..], kind].concat();
        place.run(&args).fails(2, "add --kind streams");
    }
    assert_eq!(place.json(&["keyspace", "stats", "audit"])[0]["chained"], json!(true));
    let text = place.ok(&["append", "audit", "ada", r#"{"role":"admin"}"#, "--type", "granted"]);
    assert!(text.starts_with("version 0"), "{text}");
    let head = place.ok(&["stream", "verify", "audit", "ada"]).trim_end().to_owned();
    let told = place.json(&["stream", "verify", "audit", "ada"]);
    assert_eq!(
        told,
        [json!({"category": "audit", "stream": "ada", "events_count": 1, "head": head})]
    );
    let events = place.json(&["read", "audit", "ada"]);
    assert_eq!(head, format!("0:{}", events[0]["hash"].as_str().unwrap()));
    place.ok(&["append", "audit", "ada", "{}", "--type", "revoked"]);
    place.ok(&["append", "audit", "bob", "{}"]);
    let told = place.json(&["stream", "verify", "audit", "ada", "--head", &head]);
    assert_eq!(told[0]["events_count"], 2);
    let report = place.json(&["verify"]).remove(0);
    assert_eq!((&report["chains_count"], &report["chained_events_count"]), (&json!(2), &json!(3)));

    place.run(&["stream", "verify", "audit", "eve"]).fails(1, "`audit` has no stream `eve`");
    place.ok(&["append", "audit", "gone", "{}"]);
    place.ok(&["stream", "delete", "audit", "gone"]);
    for args in [&["stream", "verify", "audit", "gone"][..], &["read", "audit", "gone"]] {
        place.run(args).fails(1, "the stream `gone` of `audit` has no events left");
    }
    let other = head.replace(&head[2..4], if &head[2..4] == "00" { "11" } else { "00" });
    place
        .run(&["stream", "verify", "audit", "ada", "--head", &other])
        .fails(3, "`ada` of `audit` is broken at version 0: its hash is another");
    place
        .run(&["stream", "verify", "audit", "bob", "--head", &head])
        .fails(3, "`bob` of `audit` is broken at version 0");
    let later = head.replacen("0:", "9:", 1);
    place
        .run(&["stream", "verify", "audit", "ada", "--head", &later])
        .fails(3, "at version 2: the stream ends before it, and a hash of version 9 was kept");
    place.ok(&["append", "plain", "ada", "1"]);
    place.run(&["stream", "verify", "plain", "ada"]).fails(2, "have no hashes");
    assert_eq!(error(&place, &["stream", "verify", "audit", "ada", "--head", "0:12"]).0, 2);

    // What is taken elsewhere follows other events there, and has other hashes.
    let lines = place.ok(&["log", "--json"]);
    let copy = Place::new();
    copy.ok(&["keyspace", "create", "audit", "--kind", "streams", "--chained"]);
    copy.run_with(&["import-events", "-"], lines.as_bytes()).ok();
    assert_eq!(copy.json(&["verify"])[0]["chained_events_count"], json!(3));
}

/// A chain cannot be begun later, and a pipe that stays open is no reason to store an event: both are found out too late.
#[test]
fn help_says_what_a_load_makes_and_when_it_stores() {
    let help = help(&Place::new(), &["import-events"]);
    for said in ["annals keyspace create NAME --kind streams --chained", "--batch 1 "] {
        assert!(help.contains(said), "{said}: {help}");
    }
}

/// By somebody who knows the format and makes every checksum right again: the hashes alone tell.
#[test]
fn an_event_that_was_changed_shows() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "audit", "--kind", "streams", "--chained"]);
    for (stream, role) in [("ada", "admin"), ("ada", "guest"), ("bob", "clerk")] {
        let data = format!(r#"{{"role":"{role}"}}"#);
        place.ok(&["append", "audit", stream, &data, "--type", "granted"]);
    }
    place.ok(&["verify"]);
    let found = tamper::find(&place.data(), b"admin");
    let [event] = &found[..] else { panic!("{found:?}") };
    tamper::change(&event.file, |bytes| {
        let value = &mut bytes[event.value.clone()];
        let at = value.windows(5).position(|some| some == b"admin").unwrap();
        value[at..at + 5].copy_from_slice(b"owner");
    });
    assert_eq!(place.json(&["read", "audit", "ada"])[0]["data"]["role"], "owner");
    let said = "`ada` of `audit` is broken at version 0";
    let ended = place.run(&["verify"]);
    let told = [&*String::from_utf8_lossy(&ended.stdout), &ended.stderr].concat();
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(told.contains(said), "{told}");
    place.run(&["stream", "verify", "audit", "ada"]).fails(3, said);
    place.ok(&["stream", "verify", "audit", "bob"]);
}
