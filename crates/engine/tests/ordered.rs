//! Ordered keyspaces through the public interface: against a plain sorted map, the traps that such
//! engines fall into, and readers beside writers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "ordered/support.rs"]
mod support;

#[path = "ordered/background.rs"]
mod background;
#[path = "ordered/concurrent.rs"]
mod concurrent;
#[path = "ordered/log_ranges.rs"]
mod log_ranges;
#[path = "ordered/lost.rs"]
mod lost;
#[path = "ordered/meeting.rs"]
mod meeting;
#[path = "ordered/model.rs"]
mod model;
#[path = "ordered/parallel.rs"]
mod parallel;
#[path = "ordered/readers.rs"]
mod readers;
#[path = "ordered/seek.rs"]
mod seek;
#[path = "ordered/slow_reader.rs"]
mod slow_reader;
#[path = "ordered/small.rs"]
mod small;
#[path = "ordered/traps.rs"]
mod traps;
#[path = "ordered/values.rs"]
mod values;
