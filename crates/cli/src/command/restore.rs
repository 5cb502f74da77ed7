//! `annals restore`: a database from a backup, in a new place. It never writes over anything.

use super::{Command, backup};
use crate::{
    clock::Stopwatch,
    failure::{Failure, Result},
    session::Session,
};
use annals::{Database, ErrorKind};
use std::path::PathBuf;

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
        session.settings.check_place()?;
        let clock = Stopwatch::start();
        let done = Database::restore(&self.dir, &session.settings.data);
        let done = done.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Failure::not_found(format!("there is no backup in {}", self.dir.display()))
            }
            _ => Failure::from(error),
        })?;
        session.out.report(&backup::report(&done, clock.seconds()))
    }
}
