//! `annals gc`: dropping what is old, or damaged.

use super::open;
use crate::{
    clock::now_ns,
    command::Command,
    failure::{Failure, Result},
    moment,
    output::Report,
    session::Session,
};

/// Drops parts of a table.
#[derive(Debug)]
pub(crate) struct Gc {
    pub(crate) table: String,
    pub(crate) dropped: Dropped,
}

/// Which.
#[derive(Debug)]
pub(crate) enum Dropped {
    /// What is all older than this moment.
    Before(String),
    /// What is damaged.
    Damaged,
}

impl Command for Gc {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let before = match &self.dropped {
            Dropped::Before(before) => {
                let read = moment::asked(before, now_ns());
                Some(read.map_err(|what| Failure::usage(format!("--before: {what}")))?)
            }
            Dropped::Damaged => None,
        };
        let db = session.existing_writer()?;
        let table = open(&db, &self.table)?;
        let done = match before {
            Some(before) => {
                // Only parts are dropped: what is in none yet becomes one.
                table.flush()?;
                table.gc(before)?
            }
            None => table.drop_damaged()?,
        };
        let left = table.view()?.len();
        db.close()?;
        let mut report = Report::default();
        report.count("parts_dropped_count", done.parts_count as u64);
        if before.is_none() {
            // How many events were in those nobody knows.
            report.count("batches_dropped_count", done.batches_count as u64);
        }
        report.count("events_dropped_count", done.events_count).count("events_left_count", left);
        session.out.report(&report)
    }
}
