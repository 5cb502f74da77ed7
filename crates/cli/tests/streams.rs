//! Streams of events: append, read, log, streams, and keyspaces of their kind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate annals as annals_engine;

mod common;

#[path = "streams/appending.rs"]
mod appending;
#[path = "streams/chained.rs"]
mod chained;
#[path = "streams/damaged.rs"]
mod damaged;
#[path = "streams/following.rs"]
mod following;
#[path = "streams/lifecycle.rs"]
mod lifecycle;
#[path = "streams/listing.rs"]
mod listing;
#[path = "streams/names.rs"]
mod names;
#[path = "streams/projections.rs"]
mod projections;
#[path = "streams/subscriptions.rs"]
mod subscriptions;
#[allow(dead_code, reason = "the tests of the engine use more of it")]
#[path = "../../engine/tests/streams/tamper.rs"]
mod tamper;

use common::{Place, objects};
use serde_json::Value;

const UUID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// What a command that fails says: its code, and the object on standard error.
fn error(place: &Place, args: &[&str]) -> (i32, Value) {
    let ended = place.run(&[&["--json"], args].concat());
    assert!(ended.stdout.is_empty(), "{ended:?}");
    let object = objects(&ended.stderr).remove(0);
    assert_eq!(object["exit_code"], ended.code);
    (ended.code, object)
}

/// What help says of a command, however its lines are broken.
fn help(place: &Place, command: &[&str]) -> String {
    let told = place.ok(&[&["help"], command].concat());
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn versions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["version"].as_u64().unwrap()).collect()
}
