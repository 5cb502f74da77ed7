//! Power cuts, kills and failing disks, on the simulated disk.
//!
//! A script of commits, checkpoints, compactions, backups and reopenings runs against the database
//! and a model. The machine crashes at any operation, recovery is crashed again, and what is found
//! then must be the model after one of its commits, none older than the durability promised, in
//! all keyspaces at once. Numbers are never used twice and frames that were cut off never return.
//! Keyspaces are of both kinds, so flushes, compactions and manifests are cut too, of trees in each style and with each
//! compression; ranges are removed of them, first keys taken, and parts of them compacted by hand. Beside them are
//! categories of event streams, which are read in every way there is, and tables of events, whose batches and parts are
//! flushed, merged and dropped and whose events are deleted by their ids. Of streams so many events are kept, or those of such
//! an age, and in one category all expire.
//! Keyspaces that lose what is old have a model of their own: it may be gone, and nothing else.
//! Records expire by a clock that is also set back: what was seen expired stays expired. Other
//! processes read meanwhile, between any two operations of the writer, and outlive it: each sees the
//! commits in their order, whole, and never goes back.
//!
//! `ANNALS_NIGHTLY=1` runs a hundred times as many seeds; `ANNALS_SEED=7` runs one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "power_cut/appends.rs"]
mod appends;
#[path = "power_cut/broken_disk.rs"]
mod broken_disk;
#[path = "power_cut/by_age.rs"]
mod by_age;
#[path = "power_cut/canaries.rs"]
mod canaries;
#[path = "power_cut/check.rs"]
mod check;
#[path = "power_cut/events.rs"]
mod events;
#[path = "power_cut/faults.rs"]
mod faults;
#[path = "power_cut/forged_events.rs"]
mod forged_events;
#[path = "power_cut/handle.rs"]
mod handle;
#[path = "power_cut/manifests.rs"]
mod manifests;
#[path = "power_cut/model.rs"]
mod model;
#[path = "power_cut/process.rs"]
mod process;
#[path = "power_cut/random.rs"]
mod random;
#[path = "power_cut/random_scripts.rs"]
mod random_scripts;
#[path = "power_cut/ranges.rs"]
mod ranges;
#[path = "power_cut/readers.rs"]
mod readers;
#[path = "power_cut/restore.rs"]
mod restore;
#[path = "power_cut/script.rs"]
mod script;
#[path = "power_cut/seeds.rs"]
mod seeds;
#[path = "power_cut/short_scripts.rs"]
mod short_scripts;
#[path = "power_cut/stale_frames.rs"]
mod stale_frames;
#[path = "power_cut/steps.rs"]
mod steps;
#[path = "power_cut/table_script.rs"]
mod table_script;
#[path = "power_cut/table_writes.rs"]
mod table_writes;
#[path = "power_cut/tables.rs"]
mod tables;
#[path = "power_cut/world.rs"]
mod world;
#[path = "power_cut/writes.rs"]
mod writes;
