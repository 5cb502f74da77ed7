//! `annals verify`: reads every byte and names what is not as it was written.

use super::Command;
use crate::{
    clock::Stopwatch,
    failure::{Failure, Kind, Result},
    output::{Form, Progress, Report},
    session::Session,
};

/// Checks the whole database.
#[derive(Debug)]
pub(crate) struct Verify;

impl Command for Verify {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let bar = Progress::bytes(Some(db.content_bytes()), session.form() != Form::Json);
        let clock = Stopwatch::start();
        let found = db.verify(&mut |bytes| bar.advance(bytes))?;
        let seconds = clock.seconds();
        bar.clear();
        let mut report = Report::default();
        report
            .bytes("bytes", found.bytes)
            .count("segments_count", found.segments_count)
            .count("frames_count", found.frames_count)
            .count("records_count", found.records_count)
            .count("keys_count", found.keys_count)
            .count("streams_count", found.streams_count)
            .count("chains_count", found.chains_count)
            .count("chained_events_count", found.chained_events_count)
            .count("damages_count", found.damages.len() as u64)
            .seconds("seconds", seconds);
        if session.form() != Form::Json {
            session.out.report(&report)?;
        }
        for damage in &found.damages {
            let path = damage.path.display();
            if session.form() == Form::Json {
                session.out.object(|object| {
                    object
                        .value("path", path.to_string())
                        .value("offset", damage.offset)
                        .value("what", &damage.what);
                })?;
            } else {
                session.out.line(&format!("{path}: byte {}: {}", damage.offset, damage.what))?;
            }
        }
        if session.form() == Form::Json {
            session.out.report(&report)?;
        }
        if !found.unchecked_chains.is_empty() {
            let names = found.unchecked_chains.join("`, `");
            return Err(Failure::new(
                Kind::Other("version"),
                format!(
                    "the hashes of the categories `{names}` were not checked; build annals with the feature \
                     chained-events"
                ),
            ));
        }
        let (count, data) = (found.damages.len() as u64, session.settings.data.display());
        let advice = match count - found.rebuilt_count {
            _ if count == 0 => return Ok(()),
            0 => format!(
                "nothing is lost: the next command that writes makes it anew from the log, such as \
                 annals --data {data} checkpoint"
            ),
            _ => "what is not damaged can still be read; restore from a backup: annals --data \
                  NEW-DIRECTORY restore BACKUP"
                .to_owned(),
        };
        let s = if count == 1 { "" } else { "s" };
        Err(Failure::new(Kind::Corrupt, format!("{count} damaged place{s} in {data}; {advice}")))
    }
}
