//! Bad files, bad worlds and bad calls: each is its own typed error with path and remedy, or is
//! repaired with a warning that says what was dropped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sample;

#[path = "bad_input/support.rs"]
mod support;

#[path = "bad_input/calls.rs"]
mod calls;
#[path = "bad_input/files.rs"]
mod files;
#[path = "bad_input/space.rs"]
mod space;
#[path = "bad_input/worlds.rs"]
mod worlds;
