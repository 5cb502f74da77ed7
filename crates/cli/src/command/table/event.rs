//! `annals event`: one event of a table by its id.

use super::{no_ids, open, row, which::Which};
use crate::{
    command::Command,
    failure::{Failure, Result},
    output::{Form, brief},
    session::Session,
};

/// Shows an event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) table: String,
    pub(crate) id: String,
    pub(crate) without_damage: bool,
}

impl Command for Event {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let table = open(&db, &self.table)?;
        let which = Which { without_damage: self.without_damage, ..Which::default() };
        let view = which.view(&table, session.form())?;
        let schema = view.schema();
        if schema.event_id().is_none() {
            return Err(no_ids(&self.table));
        }
        let Some(found) = view.event(&self.id)? else {
            let (id, name) = (brief(self.id.as_bytes()), brief(self.table.as_bytes()));
            return Err(Failure::not_found(format!("the table `{name}` has no event `{id}`")));
        };
        if session.form() == Form::Json {
            return row::write(&mut session.out, schema, |field| found.value(0, field));
        }
        let width = schema.fields().iter().map(|field| field.name().len()).max().unwrap_or(0);
        for (at, field) in schema.fields().iter().enumerate() {
            let value = found.value(0, at);
            if value.is_absent() {
                continue;
            }
            session.out.raw(format!("{:width$}  ", field.name()).as_bytes())?;
            session.out.data(row::text(field, value).as_bytes())?;
            session.out.raw(b"\n")?;
        }
        Ok(())
    }
}
