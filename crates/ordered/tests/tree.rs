//! Trees as a whole: records in, flushes and compactions, and what readers see, against a plain
//! model; with the power cut at every operation, damage, and the traps that such engines fall into.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "tree/support.rs"]
mod support;

#[path = "tree/concurrent.rs"]
mod concurrent;
#[path = "tree/following.rs"]
mod following;
#[path = "tree/found.rs"]
mod found;
#[path = "tree/full_disk.rs"]
mod full_disk;
#[path = "tree/interleaved.rs"]
mod interleaved;
#[path = "tree/lost.rs"]
mod lost;
#[path = "tree/model.rs"]
mod model;
#[path = "tree/parallel.rs"]
mod parallel;
#[path = "tree/power_cut.rs"]
mod power_cut;
#[path = "tree/styles.rs"]
mod styles;
#[path = "tree/traffic.rs"]
mod traffic;
#[path = "tree/traps.rs"]
mod traps;
#[path = "tree/walking.rs"]
mod walking;
