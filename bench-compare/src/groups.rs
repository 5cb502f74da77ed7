//! How each group of rows is run: which children, in which folder, and what is taken from them.

mod killed;
mod process;
mod scratch;

use crate::bench::Plan;
use crate::child::Task;
use crate::group::Group;
use crate::results::Results;
use crate::{Result, disk_use};

use process::{Outcome, finish, kill_when_loaded};
use scratch::Scratch;

/// Of more events there are no loops by hand: they would not fit in memory as their caller has them.
const MOST_BY_HAND: u64 = 10_000_000;

/// Whether a hand-written loop bounds the group, with so many records.
pub(crate) const fn has_limit(group: Group, keys: u64) -> bool {
    let fits = keys <= MOST_BY_HAND || !matches!(group, Group::TablesAsk);
    fits && !matches!(
        group,
        Group::OpenClean | Group::OpenKilled | Group::Kill | Group::Churn | Group::EventsStreams
    )
}

/// Runs `group` on `engine` once.
pub(crate) fn run(plan: &Plan, engine: &str, group: Group, results: &mut Results) -> Result<()> {
    let scratch = Scratch::new(&plan.dir)?;
    let task = Task {
        engine: engine.to_owned(),
        step: group.name().to_owned(),
        dir: scratch.path().to_owned(),
        keys: plan.keys,
        cap: plan.cap,
        extra: if group == Group::Churn { plan.churn.to_string() } else { String::new() },
    };
    match group {
        Group::Kill => return killed::run(&task, plan.runs, results),
        Group::OpenClean => {
            finish(&Task { step: "load".to_owned(), ..task.clone() })?;
            for _ in 0..plan.runs {
                open(&task, "open.clean", group, results)?;
            }
        }
        Group::OpenKilled => {
            kill_when_loaded(&Task { step: "load-and-wait".to_owned(), ..task.clone() })?;
            open(&task, "open.killed", group, results)?;
        }
        Group::EventsStreams => {
            finish(&Task { step: "load-streams".to_owned(), ..task.clone() })?;
            for _ in 0..plan.runs {
                let opened = finish(&Task { step: "open-streams".to_owned(), ..task.clone() })?;
                keep(engine, group, &opened, results);
            }
        }
        _ => {
            if group == Group::TablesAsk && engine != crate::child::LIMIT {
                finish(&Task { step: "tables-load".to_owned(), ..task.clone() })?;
            }
            keep(engine, group, &finish(&task)?, results);
            let row = match group {
                Group::Batch => Some("disk"),
                Group::Scan => Some("disk.compacted"),
                Group::EventsBatch => Some("events.disk"),
                Group::TablesAsk => Some("tables.disk"),
                _ => None,
            };
            if let Some(row) = row.filter(|_| engine != crate::child::LIMIT) {
                let bytes = disk_use::allocated_bytes(scratch.path())? as f64;
                let is_each = matches!(group, Group::EventsBatch | Group::TablesAsk);
                let each = if is_each { plan.keys as f64 } else { 1.0 };
                results.add(engine, row, bytes / each);
            }
        }
    }
    Ok(())
}

/// Opens the database in a process of its own.
fn open(task: &Task, row: &str, group: Group, results: &mut Results) -> Result<()> {
    let outcome = finish(&Task { step: "open".to_owned(), extra: row.to_owned(), ..task.clone() })?;
    match outcome.figure("missing") {
        Some(0.0) => keep(&task.engine, group, &outcome, results),
        missing => {
            let (engine, keys, missing) = (&task.engine, task.keys, missing.unwrap_or(f64::NAN));
            results.note(format!(
                "{engine}, {row}: no figure, as {missing} of {keys} records are gone"
            ));
        }
    }
    Ok(())
}

/// Keeps the figures of a child.
fn keep(engine: &str, group: Group, outcome: &Outcome, results: &mut Results) {
    for (row, value) in outcome.rows() {
        results.add(engine, row, value);
    }
    results.add_peak(engine, group, outcome.peak());
}
