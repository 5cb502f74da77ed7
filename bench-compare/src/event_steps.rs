//! The pieces of work a child does on an event store.

mod across;
mod batch;
mod fill;
pub(crate) mod live;
pub(crate) mod mixed;
mod one;
mod read;
#[cfg(test)]
mod steps_test;
mod streams;
mod survive;
mod sync;
pub(crate) mod walk;

use crate::Result;
use crate::child::Task;
use crate::engine::Mode;
use crate::event_engine::EventEngine;

/// Streams that writes go across.
pub(crate) const STREAMS: u64 = 10_000;
/// Events of a long batch.
pub(crate) const LONG: u64 = 10_000;
/// Events of a short batch.
pub(crate) const SHORT: u64 = 100;

/// Does the step of `task` on `E`.
pub(crate) fn run<E: EventEngine>(task: &Task) -> Result<()> {
    match task.step.as_str() {
        "events-batch" => batch::run::<E>(task, Mode::Buffered),
        "events-batch-sync" => batch::run::<E>(task, Mode::Sync),
        "events-one" => one::run::<E>(task),
        "events-sync-1" => sync::run::<E>(task, 1),
        "events-sync-8" => sync::run::<E>(task, 8),
        "events-across" => across::run::<E>(task, Mode::Buffered),
        "events-across-sync" => across::run::<E>(task, Mode::Sync),
        "events-read" => read::run::<E>(task),
        "events-mixed" => mixed::run::<E>(task),
        "load-streams" => streams::load::<E>(task),
        "open-streams" => streams::open::<E>(task),
        "events-live" => live::run::<E>(task),
        "write-until-killed" => survive::write::<E>(task),
        "count-survivors" => survive::count::<E>(task),
        other => Err(format!("no step `{other}` for an event store").into()),
    }
}
