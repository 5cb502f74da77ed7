//! The pieces of work a child does on an engine.

mod batch;
mod check;
mod churn;
mod get;
mod large;
mod load;
mod open;
mod ordered;
mod random;
pub(crate) mod scan;
mod survive;
pub(crate) mod sync;

use crate::Result;
use crate::child::Task;
use crate::engine::Engine;

/// Does the step of `task` on `E`.
pub(crate) fn run<E: Engine>(task: &Task) -> Result<()> {
    match task.step.as_str() {
        "random" => random::run::<E>(task),
        "ordered" => ordered::run::<E>(task),
        "batch" => batch::run::<E>(task),
        "sync-1" => sync::run::<E>(task, 1),
        "sync-8" => sync::run::<E>(task, 8),
        "get" => get::run::<E>(task),
        "scan" => scan::run::<E>(task),
        "large" => large::run::<E>(task),
        "churn" => churn::run::<E>(task),
        "load" => load::and_close::<E>(task),
        "load-and-wait" => load::and_wait::<E>(task),
        "open" => open::run::<E>(task),
        "write-until-killed" => survive::write::<E>(task),
        "count-survivors" => survive::count::<E>(task),
        other => Err(format!("no step `{other}`").into()),
    }
}
