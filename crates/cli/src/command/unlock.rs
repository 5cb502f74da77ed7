//! `annals unlock`: clears what a dead process left of its lock. Never needed to open a database,
//! which takes over such a lock by itself; it answers "who holds it?".

use super::Command;
use crate::{
    failure::{Failure, Result},
    output::Form,
    session::Session,
};
use annals::Database;

/// Clears a lock that nobody holds any more.
#[derive(Debug)]
pub(crate) struct Unlock;

impl Command for Unlock {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let data = &session.settings.data;
        if !data.is_dir() {
            return Err(Failure::no_database(data));
        }
        let cleared = Database::break_lock(data)?;
        match session.form() {
            Form::Json => session.out.object(|object| {
                object.value("cleared", cleared);
            }),
            _ if cleared => session.out.line("cleared a lock that a dead process had left"),
            _ => session.out.line("nobody holds the lock"),
        }
    }
}
