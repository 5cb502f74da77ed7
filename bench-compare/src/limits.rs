//! What this machine allows: loops written by hand, without an engine, one for each group of rows.

mod encode;
mod flush;
pub(crate) mod mapped;
mod sorted;
mod stream;
mod table;
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
        other => Err(format!("no limit is known for `{other}`").into()),
    }
}
