//! `annals gc`: dropping what is old.

use super::open;
use crate::{
    clock::now_ns,
    command::Command,
    failure::{Failure, Result},
    moment,
    output::Report,
    session::Session,
};

/// Drops the parts of a table that are older than a moment.
#[derive(Debug)]
pub(crate) struct Gc {
    pub(crate) table: String,
    pub(crate) before: String,
}

impl Command for Gc {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let before = moment::asked(&self.before, now_ns());
        let before = before.map_err(|what| Failure::usage(format!("--before: {what}")))?;
        let db = session.existing_writer()?;
        let table = open(&db, &self.table)?;
        // Only parts are dropped: what is in none yet becomes one.
        table.flush()?;
        let done = table.gc(before)?;
        let left = table.view()?.len();
        db.close()?;
        let mut report = Report::default();
        report
            .count("parts_dropped_count", done.parts_count as u64)
            .count("events_dropped_count", done.events_count)
            .count("events_left_count", left);
        session.out.report(&report)
    }
}
