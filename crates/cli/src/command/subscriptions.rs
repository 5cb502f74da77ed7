//! `annals subscriptions`: how far each persistent subscription has come.

use super::Command;
use crate::{
    failure::Result,
    output::{Figure, Form, Table, tell},
    session::Session,
};

/// Lists the persistent subscriptions.
#[derive(Debug)]
pub(crate) struct Subscriptions;

impl Command for Subscriptions {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let names = ["subscription", "state", "position", "lag_count", "parked_count"];
        let mut table = Table::new(&names);
        for info in db.persistent_subscriptions()? {
            table.row(vec![
                Figure::text_of(info.name),
                // Whether a program consumes it nobody can tell from outside.
                Figure::text_of(if info.is_lost { "lost" } else { "active" }),
                Figure::Plain(info.position.0),
                Figure::Count(info.lag),
                Figure::Count(info.parked_count),
            ]);
        }
        if table.is_empty() {
            // A program sees that nothing came.
            if session.form() != Form::Json {
                tell("annals: the database has no persistent subscriptions");
            }
            return Ok(());
        }
        session.out.table(&table)
    }
}
