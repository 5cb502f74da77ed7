//! Streams by their names: numbers, texts, and what is not there.

use super::{UUID, common::Place, error, versions};
use annals::Database;
use serde_json::json;

#[test]
fn streams_have_one_name_each() {
    let place = Place::new();
    let numbers = ["7", "9007199254740992", "9007199254740993", "18446744073709551615"];
    for id in numbers.into_iter().chain(["007", UUID, "ada", "18446744073709551616", ""]) {
        place.ok(&["append", "c", id, "1"]);
        let events = place.json(&["read", "c", id]);
        assert_eq!(versions(&events), [0], "{id}");
        let told = &events[0]["stream"];
        // Many readers of JSON round what is larger than 2^53.
        assert_eq!(told.is_u64(), ["7", "9007199254740992"].contains(&id), "{told}");
        assert_eq!(told.to_string().trim_matches('"'), id);
    }
    let db = Database::open_read_only(place.data()).unwrap();
    let category = db.open_category("c").unwrap();
    assert!(category.exists(7u64).unwrap() && category.exists("007").unwrap());
    assert!(category.exists(u64::MAX).unwrap() && !category.exists("7").unwrap());
    assert!(!category.exists(UUID).unwrap(), "a UUID is no text");
    let long = "x".repeat(1_025);
    assert_eq!(error(&place, &["append", "c", &long, "1"]).0, 2);
    let (code, told) = error(&place, &["append", "c", "x", "1", "--type", ""]);
    assert!(code == 2 && told.to_string().contains("an event type's name"), "{told}");
    // What is printed is read back as the same streams.
    let (log, file) = (place.ok(&["log", "--json"]), place.data().with_extension("ndjson"));
    std::fs::write(&file, log).unwrap();
    let copy = Place::new();
    copy.ok(&["import-events", file.to_str().unwrap()]);
    let db = Database::open_read_only(copy.data()).unwrap();
    let category = db.open_category("c").unwrap();
    assert!(category.exists(u64::MAX).unwrap() && category.exists((1u64 << 53) + 1).unwrap());
}

/// A number and the text that reads the same are two streams: everywhere in the command, and in a copy that is made
/// by way of JSON.
#[test]
fn numbers_and_texts_that_read_the_same_stay_apart() {
    let place = Place::new();
    let names = ["7", "text:7", "9007199254740993", "text:9007199254740993"];
    let names = names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let names =
        [names, vec![UUID.to_owned(), format!("text:{UUID}"), "text:text:7".into()]].concat();
    for (at, name) in names.iter().enumerate() {
        for _ in 0..=at {
            place.ok(&["append", "c", name, "1"]);
        }
    }
    let check = |place: &Place| {
        for (at, name) in names.iter().enumerate() {
            assert_eq!(place.json(&["read", "c", name]).len(), at + 1, "{name}");
            let info = place.ok(&["stream", "info", "c", name]);
            assert!(info.starts_with(&format!("{} event", at + 1)), "{name}: {info}");
        }
        let db = Database::open_read_only(place.data()).unwrap();
        let category = db.open_category("c").unwrap();
        for text in ["7", "9007199254740993", UUID, "text:7"] {
            assert!(category.exists(text).unwrap(), "{text}");
        }
        assert!(category.exists(7u64).unwrap() && category.exists((1u64 << 53) + 1).unwrap());
        assert_eq!(category.streams_count().unwrap(), names.len() as u64);
    };
    check(&place);
    // A listing has the names by which the streams are read.
    let listed = place.ok(&["streams", "c"]);
    for (at, name) in names.iter().enumerate() {
        assert!(listed.contains(&format!("{name}\t{}\n", at + 1)), "{name}: {listed}");
    }
    assert!(place.ok(&["log", "--limit", "3"]).contains("\tc\ttext:7\t1\t"));
    let told = place.json(&["streams", "c"]);
    let kinds = told.iter().filter(|told| told["stream_kind"] == "text");
    assert_eq!(kinds.count(), 3, "only what reads like something else needs a kind: {told:?}");

    let copy = Place::new();
    copy.run_with(&["import-events", "-"], place.ok(&["log", "--json"]).as_bytes()).ok();
    check(&copy);
    // What says no kind is read as ever.
    let line =
        |id: &str| format!("{{\"category\":\"old\",\"stream\":{id},\"type\":\"t\",\"data\":1}}\n");
    let old = line("\"7\"") + &line("7") + &line("\"text:7\"") + &line("\"9007199254740993\"");
    copy.run_with(&["import-events", "-"], old.as_bytes()).ok();
    assert_eq!(copy.json(&["read", "old", "7"]).len(), 2);
    assert_eq!(copy.json(&["read", "old", "text:text:7"]).len(), 1);
    assert_eq!(copy.json(&["read", "old", "9007199254740993"]).len(), 1);
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let place = Place::new();
    for args in [&["read", "orders", "7"][..], &["log"], &["streams"]] {
        let (code, object) = error(&place, args);
        assert_eq!((code, &object["kind"]), (5, &json!("no_database")), "{args:?}");
        assert!(!place.data().exists());
    }
    place.ok(&["append", "orders", "7", "1"]);
    place.ok(&["put", "k", "v", "-k", "stock"]);
    place.run(&["read", "orders", "8"]).fails(1, "`orders` has no stream `8`");
    for args in [&["read", "order", "7"][..], &["streams", "order"], &["log", "--stream", "order"]]
    {
        let told = "there is no category of streams `order`; there is `orders`\n";
        place.run(args).fails(1, told);
    }
    for args in [&["read", "stock", "7"][..], &["append", "stock", "7", "1"], &["streams", "stock"]]
    {
        place.run(args).fails(2, "is of kind ordered, not a category of streams");
    }
    for args in [
        &["get", "7"][..],
        &["keys"],
        &["scan"],
        &["put", "7", "v"],
        &["delete", "7"],
        &["batch-put", "-"],
        &["compact"],
    ] {
        let ended = place.run(&[args, &["--keyspace", "orders"]].concat());
        ended.fails(2, "`annals read orders ID` reads a stream of it");
    }
    assert_eq!(place.json(&["read", "orders", "7"]).len(), 1);
}
