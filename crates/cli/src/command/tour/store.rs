//! Storing the input, and comparing every record with it.

use super::{KEYSPACE, Stage, broken, input::Input};
use crate::{
    clock::Stopwatch,
    failure::Result,
    keyspace::Keyspace,
    output::{Report, brief},
    units,
};
use annals::Database;

/// Records a commit, and bytes at which a commit is full.
const BATCH_RECORDS: usize = 1_000;
const BATCH_BYTES: usize = 16 << 20;

/// Stores every record of the input.
pub(super) fn store(stage: &mut Stage<'_>) -> Result<()> {
    let db = stage.open()?;
    let keyspace = Keyspace::open_or_make(&db, KEYSPACE, Some(stage.kind))?;
    let clock = Stopwatch::start();
    let mut commits_count = 0;
    let mut batch = db.batch();
    for (key, value) in stage.input.records() {
        keyspace.insert_into(&mut batch, key, value)?;
        if batch.len() >= BATCH_RECORDS || batch.len_bytes() >= BATCH_BYTES {
            std::mem::replace(&mut batch, db.batch()).commit()?;
            commits_count += 1;
        }
    }
    if !batch.is_empty() {
        batch.commit()?;
        commits_count += 1;
    }
    let seconds = clock.seconds();
    let clock = Stopwatch::start();
    db.close()?;
    let close_seconds = clock.seconds();
    let records_count = stage.input.records().len() as u64;
    let mut report = Report::default();
    report
        .count("records_count", records_count)
        .bytes("bytes", stage.input.bytes())
        .count("commits_count", commits_count)
        .seconds("seconds", seconds)
        .rate("records_per_second", units::rate(records_count, seconds))
        .seconds("close_seconds", close_seconds);
    let makes = stage.teller.makes(KEYSPACE);
    let command = stage.input.store_command(|rest| stage.teller.annals_writing(rest), &makes);
    stage.teller.step("store", &report, &[command])
}

/// Opens the database again and compares every record with the input.
pub(super) fn read_back(stage: &mut Stage<'_>) -> Result<()> {
    read_all(stage, "read back")
}

/// The same, after children were killed while they wrote into the same log.
pub(super) fn read_back_after_kills(stage: &mut Stage<'_>) -> Result<()> {
    read_all(stage, "read all again")
}

fn read_all(stage: &mut Stage<'_>, step: &str) -> Result<()> {
    let clock = Stopwatch::start();
    let db = stage.open()?;
    let open_seconds = clock.seconds();
    let (seconds, bytes) = compare(&db, stage.input, step)?;
    db.close()?;
    let equal_count = stage.input.records().len() as u64;
    let mut report = Report::default();
    report
        .seconds("open_seconds", open_seconds)
        .count("equal_count", equal_count)
        .count("different_count", 0)
        .bytes("bytes", bytes)
        .seconds("seconds", seconds)
        .rate("records_per_second", units::rate(equal_count, seconds));
    let command = stage.input.compare_command(|rest| stage.teller.annals(rest), KEYSPACE);
    stage.teller.step(step, &report, &[command])
}

/// Reads every record of the input from `db` and compares it; seconds and bytes, or which record
/// is wrong.
pub(super) fn compare(db: &Database, input: &Input, step: &str) -> Result<(f64, u64)> {
    let keyspace = Keyspace::open(db, KEYSPACE)?;
    let clock = Stopwatch::start();
    let mut bytes = 0;
    for (key, value) in input.records() {
        match keyspace.get_with(key, |found| found == value)? {
            Some(true) => bytes += value.len() as u64,
            Some(false) => return Err(broken(step, format!("`{}` has another value", brief(key)))),
            None => return Err(broken(step, format!("`{}` is missing", brief(key)))),
        }
    }
    let seconds = clock.seconds();
    let (found, wanted) = (keyspace.count()?, input.records().len() as u64);
    if found != wanted {
        return Err(broken(step, format!("{found} records instead of {wanted}")));
    }
    Ok((seconds, bytes))
}
