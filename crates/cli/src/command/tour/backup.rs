//! A backup taken while a thread writes, a second one that copies only what is new, and a restored
//! database.

use super::{Stage, broken, store::compare, teller::quote};
use crate::{
    clock::Stopwatch,
    command::backup,
    failure::{Failure, Result},
    keyspace::Keyspace,
    output::Report,
};
use annals::{Database, WriteOptions};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

/// The keyspace that is written during the backup.
const KEYSPACE_MEANWHILE: &str = "meanwhile";

/// The backup's directory in commands to repeat.
const BACKUP_TO_REPEAT: &str = "./annals-tour-backup";

/// The restored database's directory in commands to repeat.
const RESTORED_TO_REPEAT: &str = "./annals-tour-restored";

/// Where the tour's backup lies.
pub(super) fn dir(stage: &Stage<'_>) -> PathBuf {
    stage.scratch.join("backup")
}

/// Backs up while another thread writes, opens the backup and compares it.
pub(super) fn while_writing(stage: &mut Stage<'_>) -> Result<()> {
    let step = "backup while writing";
    let db = stage.open()?;
    let keyspace = Keyspace::open_or_make(&db, KEYSPACE_MEANWHILE, Some(stage.kind))?;
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let target = dir(stage);
    let clock = Stopwatch::start();
    let (writer, before, done, seconds) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for (key, value) in stage.input.endless_records() {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                keyspace.insert(&key, value, WriteOptions::default())?;
                written.fetch_add(1, Ordering::Release);
            }
            Ok::<_, Failure>(())
        });
        while written.load(Ordering::Acquire) == 0 && !writer.is_finished() {
            thread::yield_now();
        }
        let before = written.load(Ordering::Acquire);
        let clock = Stopwatch::start();
        let done = db.backup_to(&target);
        let seconds = clock.seconds();
        stop.store(true, Ordering::Release);
        (writer.join(), before, done, seconds)
    });
    let writing_seconds = clock.seconds();
    writer.map_err(|_| broken(step, "the writer panicked"))??;
    let done = done?;
    db.close()?;
    let written = written.into_inner();

    let copy = stage.open_to_look(&target)?;
    compare(&copy, stage.input, step)?;
    let copied = Keyspace::open(&copy, KEYSPACE_MEANWHILE)?;
    let count = copied.count()?;
    if count < before || count > written {
        let range = format!("{before} to {written}");
        return Err(broken(step, format!("{count} records were copied, expected {range}")));
    }
    let prefix = usize::try_from(count).unwrap_or(usize::MAX);
    for (key, value) in stage.input.endless_records().take(prefix) {
        if copied.get_with(&key, |found| found == value)? != Some(true) {
            return Err(broken(step, "the backup is not a prefix of what was written"));
        }
    }

    let mut report = backup::report(&done, seconds);
    report
        .count("written_meanwhile_count", written)
        .seconds("writing_seconds", writing_seconds)
        .count("written_before_count", before)
        .count("in_backup_count", count)
        .count("equal_count", stage.input.records().len() as u64);
    let back_up = stage.teller.annals(&format!("backup {BACKUP_TO_REPEAT}"));
    let command = format!("{back_up} && annals --data {BACKUP_TO_REPEAT} keyspace list");
    stage.teller.step(step, &report, &[command])
}

/// Backs up once more: only what is new is copied.
pub(super) fn again(stage: &mut Stage<'_>) -> Result<()> {
    let db = stage.open()?;
    let clock = Stopwatch::start();
    let done = db.backup_to(dir(stage))?;
    let seconds = clock.seconds();
    db.close()?;
    let report = backup::report(&done, seconds);
    let command = stage.teller.annals(&format!("backup {BACKUP_TO_REPEAT}"));
    stage.teller.step("backup again", &report, &[command])
}

/// Restores the backup into a new place and compares it.
pub(super) fn restore(stage: &mut Stage<'_>) -> Result<()> {
    let target = stage.scratch.join("restored");
    let clock = Stopwatch::start();
    Database::restore(dir(stage), &target)?;
    let seconds = clock.seconds();
    let db = Database::open(&target)?;
    compare(&db, stage.input, "restore")?;
    db.close()?;
    let mut report = Report::default();
    report.seconds("seconds", seconds).count("equal_count", stage.input.records().len() as u64);
    let to = quote(Path::new(RESTORED_TO_REPEAT));
    let command = format!("annals --data {to} restore {BACKUP_TO_REPEAT}");
    stage.teller.step("restore", &report, &[command])
}
