//! Streams of events: what users of event stores rely on, and have been let down in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "streams/aggregates.rs"]
mod aggregates;
#[path = "streams/archives.rs"]
mod archives;
#[path = "streams/batches.rs"]
mod batches;
#[path = "streams/by_id.rs"]
mod by_id;
#[path = "streams/by_number.rs"]
mod by_number;
#[cfg(feature = "chained-events")]
#[path = "streams/chained.rs"]
mod chained;
#[path = "streams/commands.rs"]
mod commands;
#[path = "streams/concurrent.rs"]
mod concurrent;
#[path = "streams/damaged.rs"]
mod damaged;
#[cfg(feature = "chained-events")]
#[path = "streams/damaged_chains.rs"]
mod damaged_chains;
#[path = "streams/deleting.rs"]
mod deleting;
#[path = "streams/filters.rs"]
mod filters;
#[path = "streams/followed.rs"]
mod followed;
#[path = "streams/followers.rs"]
mod followers;
#[path = "streams/layouts.rs"]
mod layouts;
#[path = "streams/lifecycle.rs"]
mod lifecycle;
#[path = "streams/persistent.rs"]
mod persistent;
#[path = "streams/projections.rs"]
mod projections;
#[path = "streams/repeated.rs"]
mod repeated;
#[path = "streams/restored.rs"]
mod restored;
#[path = "streams/resumed.rs"]
mod resumed;
#[path = "streams/sealed.rs"]
mod sealed;
#[path = "streams/snapshots.rs"]
mod snapshots;
#[path = "streams/stress.rs"]
mod stress;
#[cfg(feature = "chained-events")]
#[path = "streams/tamper.rs"]
mod tamper;
#[path = "streams/tasks.rs"]
mod tasks;
#[path = "streams/traps.rs"]
mod traps;
#[path = "streams/typed.rs"]
mod typed;
#[path = "streams/types.rs"]
mod types;
#[path = "streams/waiting.rs"]
mod waiting;
