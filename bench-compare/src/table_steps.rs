//! The pieces of work a child does on a store for wide events.

mod append;
mod ask;
#[cfg(test)]
mod steps_test;

pub(crate) use append::median_us;

use crate::Result;
use crate::child::Task;
use crate::engine::Mode;
use crate::table_engine::TableEngine;

/// Events of a batch, and of a long one.
pub(crate) const BATCH: usize = 1_024;
pub(crate) const LONG_BATCH: usize = 4_096;
/// Batches that are appended, one after the other.
pub(crate) const BATCHES: usize = 60;
/// Threads that append side by side.
pub(crate) const THREADS: usize = 8;

/// Rows of questions, in the order of the table.
pub(crate) const ASKED: &[&str] = &[
    "tables.sums",
    "tables.sums.user",
    "tables.sums.time",
    "tables.sums.both",
    "tables.newest.100",
    "tables.newest.1000",
    "tables.newest.user",
    "tables.user.day",
    "tables.top",
    "tables.quantiles",
    "tables.sketch",
    "tables.id",
    "tables.failed",
    "tables.rollup.one",
    "tables.rollup.day",
];

/// Does the step of `task` on `E`.
pub(crate) fn run<E: TableEngine>(task: &Task) -> Result<()> {
    match task.step.as_str() {
        "tables-append" => append::run::<E>(task, Mode::Buffered),
        "tables-append-sync" => append::run::<E>(task, Mode::Sync),
        "tables-load" => ask::load::<E>(task),
        "tables-ask" => ask::run::<E>(task),
        other => Err(format!("no step `{other}` for a store for wide events").into()),
    }
}
