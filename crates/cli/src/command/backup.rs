//! `annals backup`: a consistent copy, of which only what is new is copied the second time.

use super::Command;
use crate::{
    clock::Stopwatch,
    failure::{Failure, Result},
    output::Report,
    session::{Session, check_place},
};
use std::path::PathBuf;

/// Copies the database.
#[derive(Debug)]
pub(crate) struct Backup {
    pub(crate) dir: PathBuf,
}

impl Command for Backup {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        check_place(&self.dir, "backup", "name another")?;
        if self.dir.is_file() {
            return Err(Failure::is_file(&self.dir, "a backup is a directory; name another"));
        }
        let is_same = |data: PathBuf| std::fs::canonicalize(&self.dir).is_ok_and(|dir| dir == data);
        if std::fs::canonicalize(&session.settings.data).is_ok_and(is_same) {
            return Err(Failure::usage(format!(
                "{} is the database itself; name another directory for its backup",
                self.dir.display()
            )));
        }
        let clock = Stopwatch::start();
        // Whole, so that a place inside the database is seen for what it is.
        let dir = std::path::absolute(&self.dir).unwrap_or(self.dir);
        let done = db.backup_to(dir)?;
        let seconds = clock.seconds();
        db.close()?;
        session.out.report(&report(&done, seconds))
    }
}

/// A backup's figures.
pub(super) fn report(done: &annals::BackupReport, seconds: f64) -> Report {
    let mut report = Report::default();
    report
        .count("up_to_seq", done.up_to.0)
        .count("files_count", done.files_count)
        .bytes("copied_bytes", done.copied_bytes)
        .bytes("reused_bytes", done.reused_bytes)
        .seconds("seconds", seconds);
    report
}
