//! `annals checkpoint`: what is in memory goes to files, so that opening reads less of the log.

use super::Command;
use crate::{clock::Stopwatch, failure::Result, output::Report, session::Session};

/// Writes a checkpoint.
#[derive(Debug)]
pub(crate) struct Checkpoint;

impl Command for Checkpoint {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        let clock = Stopwatch::start();
        let done = db.checkpoint()?;
        let mut report = Report::default();
        report
            .count("number", done.number)
            .count("next_seq", done.next_seq.0)
            .count("keys_count", done.keys_count)
            .bytes("file_bytes", done.file_bytes)
            .seconds("seconds", clock.seconds());
        db.close()?;
        session.out.report(&report)
    }
}
