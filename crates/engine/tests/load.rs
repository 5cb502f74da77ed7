//! Sorted records put in place of all that an ordered keyspace has: against a plain sorted map, through crashes
//! at every operation, beside writers and readers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "ordered/support.rs"]
mod by_hand;
#[path = "load/support.rs"]
mod support;

#[path = "load/beside.rs"]
mod beside;
#[path = "load/by_age.rs"]
mod by_age;
#[path = "load/crash.rs"]
mod crash;
#[path = "load/model.rs"]
mod model;
#[path = "load/readers.rs"]
mod readers;
#[path = "load/refused.rs"]
mod refused;
