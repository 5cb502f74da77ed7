//! `annals compact`: segments of the log that hold mostly dead records are rewritten without them.

use super::Command;
use crate::{clock::Stopwatch, failure::Result, output::Report, session::Session};

/// Compacts the log.
#[derive(Debug)]
pub(crate) struct Compact;

impl Command for Compact {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        let clock = Stopwatch::start();
        let done = db.compact()?;
        let mut report = Report::default();
        report
            .count("segments_count", done.segments_count)
            .count("moved_count", done.moved_count)
            .bytes("before_bytes", done.before_bytes)
            .bytes("after_bytes", done.after_bytes)
            .seconds("seconds", clock.seconds());
        db.close()?;
        session.out.report(&report)
    }
}
