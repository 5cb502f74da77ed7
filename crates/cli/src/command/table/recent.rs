//! `annals recent`: the newest events of a table.

use super::{open, row, which::Which};
use crate::{command::Command, failure::Result, session::Session};

/// Lists events, the newest first.
#[derive(Debug)]
pub(crate) struct Recent {
    pub(crate) table: String,
    pub(crate) count: u64,
    pub(crate) which: Which,
}

impl Command for Recent {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let table = open(&db, &self.table)?;
        let view = self.which.view(&table, session.form())?;
        let schema = view.schema();
        let meant = self.which.meant(schema)?;
        let out = &mut session.out;
        meant.each(&view, true, self.count, |rows, at| {
            row::write(out, schema, |field| rows.value(at, field))
        })
    }
}
