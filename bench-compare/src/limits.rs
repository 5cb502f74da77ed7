//! What this machine allows: loops written by hand, without an engine, one for each group of rows.

mod encode;
mod events;
mod flush;
pub(crate) mod mapped;
mod sorted;
mod stream;
mod table;
mod tables;
mod write_call;

#[cfg(test)]
pub(crate) use sorted::Sorted;

use crate::Result;
use crate::child::Task;

/// Measures the limits of the group that the task names.
pub(crate) fn run(task: &Task) -> Result<()> {
    match task.step.as_str() {
        "random" => write_call::run(task, &["insert.random", "overwrite", "delete"]),
        "ordered" => write_call::run(task, &["insert.ordered"]),
        "batch" => encode::run(task),
        "sync-1" => flush::one(task),
        "sync-8" => flush::eight(task),
        "get" => table::run(task),
        "scan" => sorted::run(task),
        "large" => stream::run(task),
        "events-batch" => events::batch(task),
        "events-batch-sync" => events::batch_sync(task),
        "events-one" => events::one(task),
        "events-sync-1" => events::sync(task, 1),
        "events-sync-8" => events::sync(task, 8),
        "events-across" => events::across(task),
        "events-across-sync" => events::across_sync(task),
        "events-read" => events::read(task),
        "events-mixed" => events::mixed(task),
        "events-live" => events::live(task),
        "tables-append" => tables::append(task),
        "tables-append-sync" => tables::append_sync(task),
        "tables-ask" => tables::ask(task),
        other => Err(format!("no limit is known for `{other}`").into()),
    }
}
