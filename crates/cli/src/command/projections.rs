//! `annals projections`: how far each projection has come; pausing one and letting it go on.

use super::Command;
use crate::{
    failure::{Failure, Result},
    output::{Figure, Form, Table, tell},
    session::Session,
};
use annals::{Database, Error};

/// Lists the projections.
#[derive(Debug)]
pub(crate) struct Projections;

impl Command for Projections {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let mut table = Table::new(&["projection", "state", "position", "lag_count"]);
        for info in db.projections()? {
            let state = match (info.is_lost, info.is_rebuilding, info.is_paused) {
                (true, _, _) => "lost",
                (_, _, true) => "paused",
                (_, true, _) => "rebuilding",
                _ => "active",
            };
            table.row(vec![
                Figure::text_of(info.name),
                Figure::text_of(state),
                Figure::Plain(info.position.0),
                Figure::Count(info.lag),
            ]);
        }
        if table.is_empty() {
            // A program sees that nothing came.
            if session.form() != Form::Json {
                tell("annals: the database has no projections");
            }
            return Ok(());
        }
        session.out.table(&table)
    }
}

/// Pauses a projection, or lets it go on.
#[derive(Debug)]
pub(crate) struct ProjectionPause {
    pub(crate) name: String,
    pub(crate) is_paused: bool,
}

impl Command for ProjectionPause {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        match self.is_paused {
            true => db.pause_projection(&self.name),
            false => db.resume_projection(&self.name),
        }
        .map_err(|error| unknown(&db, error))?;
        db.close()?;
        Ok(())
    }
}

/// Who is told that there is no such projection is told which there are.
fn unknown(db: &Database, error: Error) -> Failure {
    let Error::UnknownProjection { name } = &error else { return error.into() };
    let listed = db.projections().unwrap_or_default();
    let names: Vec<String> = listed.iter().map(|info| format!("`{}`", info.name)).collect();
    Failure::not_found(match names.is_empty() {
        true => format!("there is no projection `{name}`, and no other"),
        false => format!("there is no projection `{name}`; there are {}", names.join(", ")),
    })
}
