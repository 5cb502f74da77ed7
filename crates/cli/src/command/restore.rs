//! `annals restore`: a database from a backup, in a new place. It never writes over anything.

use super::{Command, backup};
use crate::{
    clock::Stopwatch,
    failure::{Failure, Kind, Result},
    output::note,
    session::Session,
};
use annals::{Database, ErrorKind};
use std::path::{Path, PathBuf};

/// Makes the database from a backup.
#[derive(Debug)]
pub(crate) struct Restore {
    pub(crate) dir: PathBuf,
}

impl Command for Restore {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        if !self.dir.exists() {
            let dir = self.dir.display();
            return Err(Failure::not_found(format!("there is no backup in {dir}: no such path")));
        }
        if self.dir.is_file() {
            return Err(Failure::is_file(&self.dir, "a backup is a directory"));
        }
        session.settings.check_place()?;
        let clock = Stopwatch::start();
        let done = Database::restore(&self.dir, &session.settings.data);
        let done = done.map_err(|error| match error.kind() {
            ErrorKind::NotADatabase if is_empty(&self.dir) => {
                Failure::not_found(format!("there is no backup in {}", self.dir.display()))
            }
            // That a backup helps would lead in a circle.
            ErrorKind::Corrupt => {
                let (dir, told) = (self.dir.display(), error.to_string());
                let told = told.strip_suffix("; restore it from a backup").unwrap_or(&told);
                Failure::new(
                    Kind::Corrupt,
                    format!("the backup in {dir} is not whole: {told}; nothing was restored, take another backup"),
                )
            }
            // What is missing is named: it is no key that was asked for.
            ErrorKind::NotFound => Failure::new(Kind::Other("io"), error.to_string()),
            _ => Failure::from(error),
        })?;
        session.out.report(&backup::report(&done, clock.seconds()))?;
        let (last, next) = (done.up_to, done.up_to.plus(1));
        let text = format!(
            "numbers go on at {next}: those above {last} that the original gave out come again, for other records. Whoever \
             follows from outside (`changes --from`, `log --from`, and the like in programs) and is further begins again \
             at {next}"
        );
        note(session.form(), &text, "next_seq", next.0);
        Ok(())
    }
}

/// Whether nothing is in a directory.
fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut found| found.next().is_none())
}
