//! Measures Annals beside other embedded engines.
//!
//! The same binary plays both parts. As the parent ([`bench`]) it starts itself once for each
//! engine and group of rows, in a fresh folder, and gathers what the children print. As a child
//! ([`steps`], [`event_steps`], [`table_steps`], [`limits`]) it does one piece of work, checks what it
//! reads, and prints figures.
//! [`report`] turns the figures into a page and its plots.

#![cfg_attr(
    not(all(feature = "annals", feature = "duckdb", feature = "sqlite", feature = "varvedb")),
    allow(dead_code, reason = "a build may have no engine that takes part in some workload")
)]

mod bench;
mod by_name;
mod child;
mod cli;
mod data;
mod disk_use;
mod emit;
mod engine;
mod engines;
mod event;
mod event_engine;
mod event_engines;
mod event_steps;
mod file_writes;
mod group;
mod groups;
mod latency;
mod limits;
mod machine;
mod memory;
mod packages;
mod question;
mod report;
mod results;
mod row;
mod steps;
#[cfg(all(feature = "annals", feature = "duckdb"))]
mod table_check;
mod table_engine;
mod table_engines;
mod table_steps;
mod timing;
mod wide;

use std::process::ExitCode;

/// Any error: it is only ever shown.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
/// What may go wrong.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match cli::run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
