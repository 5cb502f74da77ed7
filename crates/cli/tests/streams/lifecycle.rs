//! Streams that are cut, deleted, kept in bounds, or expire.

use super::{common::Place, help, versions};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_stream_is_truncated_deleted_archived_and_kept_in_bounds() {
    let place = Place::new();
    for n in 0..10 {
        place.ok(&["append", "orders", "7", &n.to_string()]);
    }
    let read = || versions(&place.json(&["read", "orders", "7"]));
    let logged = || place.json(&["log"]).len();
    place
        .run(&["stream", "truncate", "orders", "7", "11"])
        .fails(2, "its next event gets version 10");
    let told = place.ok(&["stream", "truncate", "orders", "7", "4"]);
    assert_eq!(told, "6 events, versions 4 to 9\n");
    assert_eq!((read(), logged()), ((4..10).collect(), 6));
    assert_eq!(place.ok(&["streams", "orders"]), "stream\tevents\n7\t6\n");
    place.ok(&["stream", "keep", "orders", "7", "--count", "3", "--age", "1h"]);
    assert_eq!(read(), [7, 8, 9]);
    let info = &place.json(&["stream", "info", "orders", "7"])[0];
    let wanted = json!({
        "category": "orders", "stream": 7, "first_version": 7, "next_version": 10, "events_count": 3,
        "deleted_for_good": false, "archived": false, "max_count": 3, "max_age_seconds": 3600.0,
    });
    assert_eq!(*info, wanted);
    place.ok(&["stream", "archive", "orders", "7"]);
    assert_eq!((read(), logged()), (vec![7, 8, 9], 0));
    place.run(&["append", "orders", "7", "1"]).fails(5, "archived");
    place.ok(&["stream", "restore", "orders", "7"]);
    assert_eq!(logged(), 3);
    let told = place.ok(&["stream", "delete", "orders", "7"]);
    assert!(told.starts_with("no events; the next one gets version 10"), "{told}");
    place.run(&["read", "orders", "7"]).fails(1, "has no events left");
    place.ok(&["stream", "delete", "orders", "never", "--for-good"]);
    assert_eq!(place.ok(&["stream", "info", "orders", "never"]), "deleted for good\n");
    assert!(place.json(&["streams", "orders"]).is_empty());
    // The log says what was done.
    let told = place.ok(&["changes"]);
    for (id, what) in [
        ("7", "truncated before version 4"),
        ("7", "truncated before version 4; keeps 3; keeps them for 3600 s"),
        ("7", "truncated before version 4; archived; keeps 3; keeps them for 3600 s"),
        ("7", "deleted before version 10; keeps 3; keeps them for 3600 s"),
        ("never", "deleted for good"),
    ] {
        assert!(told.contains(&format!("\torders\tmark stream\t{id}\t{what}\n")), "{what}: {told}");
    }
    let changes = place.json(&["changes"]);
    let mark = changes.iter().find(|change| change["kind"] == "mark_stream").unwrap();
    assert_eq!((&mark["key"], &mark["first_version"]), (&json!("7"), &json!(4)));
    assert_eq!((&mark["archived"], &mark["deleted_for_good"]), (&json!(false), &json!(false)));
    assert_eq!((&mark["max_count"], &mark["life_version"]), (&Value::Null, &json!(0)));
    place.ok(&["compact"]);
    let told = place.ok(&["append", "orders", "7", "1", "--expected-version", "none"]);
    assert!(told.starts_with("version 10, seq "), "{told}");
    place.ok(&["stream", "delete", "orders", "7", "--for-good"]);
    place.run(&["append", "orders", "7", "1"]).fails(5, "for good");
    place.run(&["stream", "info", "orders", "8"]).fails(1, "never had a stream");
    place.run(&["stream", "delete", "carts", "8"]).fails(1, "carts");
    place.ok(&["verify"]);
}

/// Who copies by `log` alone has everything but what was archived.
#[test]
fn a_copy_has_the_events_of_archived_streams_if_they_are_wanted() {
    let place = Place::new();
    place.ok(&["append", "orders", "7", "1", "--type", "paid"]);
    place.ok(&["append", "orders", "8", "2", "--type", "sent"]);
    place.ok(&["append", "carts", "7", "3", "--type", "paid"]);
    place.ok(&["stream", "archive", "orders", "7"]);
    let data = |args: &[&str]| -> Vec<Value> {
        place.json(args).into_iter().map(|mut event| event["data"].take()).collect()
    };
    assert_eq!(data(&["log"]), [json!(2), json!(3)]);
    assert_eq!(data(&["log", "--with-archived"]), [json!(1), json!(2), json!(3)]);
    for (args, wanted) in [
        (&["--stream", "orders"][..], &[json!(1), json!(2)][..]),
        (&["--type", "paid"], &[json!(1), json!(3)]),
        (&["--follow", "--limit", "3"], &[json!(1), json!(2), json!(3)]),
        (&["--follow", "--stream", "orders", "--limit", "2"], &[json!(1), json!(2)]),
    ] {
        assert_eq!(data(&[&["log", "--with-archived"], args].concat()), wanted, "{args:?}");
    }
    let told = place.ok(&["log", "--json", "--with-archived"]);
    let copy = Place::new();
    copy.run_with(&["import-events", "-"], told.as_bytes()).ok();
    assert_eq!(copy.json(&["read", "orders", "7"])[0]["data"], 1);
    assert_eq!(copy.json(&["log"]).len(), 3, "in the copy nothing is archived");
    assert!(
        help(&place, &["log"]).contains("archived streams are left out without --with-archived")
    );
}

#[test]
fn events_of_a_category_with_a_time_to_live_expire() {
    let place = Place::new();
    place.ok(&["keyspace", "create", "clicks", "--kind", "streams", "--ttl", "1ms"]);
    place.ok(&["append", "clicks", "ada", "1"]);
    std::thread::sleep(Duration::from_millis(5));
    assert!(place.json(&["log"]).is_empty());
    let told = place.ok(&["append", "clicks", "ada", "2", "--expected-version", "none"]);
    assert!(told.starts_with("version 1, seq "), "{told}");
}
