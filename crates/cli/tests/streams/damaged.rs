//! Reading behind damage.

use super::common::{Place, objects};

/// Changes the event whose data have this.
fn damage(place: &Place, needle: &[u8]) {
    let segment = place.data().join("00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
}

#[test]
fn reading_backward_gives_all_that_is_behind_damage() {
    let place = Place::new();
    let lines: String = (0..100)
        .map(|n| {
            format!("{{\"category\":\"o\",\"stream\":7,\"type\":\"t\",\"data\":\"value {n}.\"}}\n")
        })
        .collect();
    assert_eq!(place.run_with(&["import-events", "-", "--batch", "10"], lines.as_bytes()).code, 0);
    damage(&place, b"value 50.");
    let versions = |args: &[&str]| {
        let ended = place.run(&[&["--json", "read", "o", "7"], args].concat());
        let found = objects(&String::from_utf8(ended.stdout).unwrap());
        let found: Vec<_> = found.iter().map(|event| event["version"].as_u64().unwrap()).collect();
        (ended.code, found)
    };
    assert_eq!(versions(&["--backward"]), (3, (51..100).rev().collect()));
    assert_eq!(versions(&["--backward", "--limit", "47"]), (0, (53..100).rev().collect()));
    assert_eq!(versions(&["--backward", "--from", "55"]), (3, (51..56).rev().collect()));
    assert_eq!(versions(&["--backward", "--from", "50"]), (3, Vec::new()));
    assert_eq!(versions(&["--backward", "--from", "47"]), (0, (0..48).rev().collect()));
    assert_eq!(versions(&["--from", "51"]), (0, (51..100).collect()));
}

#[test]
fn a_damaged_stream_hides_no_other() {
    let place = Place::new();
    for category in ["alpha", "beta"] {
        for stream in ["1", "2", "3"] {
            let data = format!("{{\"of\":\"{category} {stream}.\"}}");
            place.ok(&["append", category, stream, "--type", "t", &data]);
        }
    }
    damage(&place, b"alpha 2.");
    let listed = |args: &[&str]| {
        let ended = place.run(&[&["--json", "streams"], args].concat());
        (ended.code, objects(&String::from_utf8(ended.stdout).unwrap()))
    };
    let (code, categories) = listed(&[]);
    let of = |name: &str| {
        let found = categories.iter().find(|found| found["category"] == name).unwrap();
        found["streams_count"].as_u64().unwrap()
    };
    assert_eq!((code, of("alpha"), of("beta")), (3, 2, 3));
    let (code, streams) = listed(&["alpha"]);
    let mut ids: Vec<_> = streams.iter().map(|stream| stream["stream"].to_string()).collect();
    ids.sort();
    assert_eq!((code, ids), (3, vec!["1".to_owned(), "3".to_owned()]));
    assert_eq!(listed(&["beta"]).0, 0);
}
