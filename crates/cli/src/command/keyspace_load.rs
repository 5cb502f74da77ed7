//! `annals keyspace load`: sorted records in place of all that an ordered keyspace has.
//!
//! Input streams: one line is in memory. There is one commit, at the end, and before it nothing is stored.

use super::{Command, load};
use crate::{
    clock::Stopwatch,
    failure::{Failure, Kind, Result},
    input::Input,
    keyspace::Keyspace,
    lines::{KeyRule, LineError, Lines},
    output::{Form, Progress, Report, brief, note},
    session::Session,
    units,
};
use annals::{Database, Error, ErrorKind, KeyspaceKind, OrderedKeyspace};

/// So many lines are read between two looks of the progress bar.
const STEP_LINES: u64 = 1 << 12;

/// Puts sorted lines in place of all that a keyspace has.
#[derive(Debug)]
pub(crate) struct KeyspaceLoad {
    pub(crate) name: String,
    pub(crate) input: Input,
    pub(crate) rule: KeyRule,
    /// Whether records that are there may go.
    pub(crate) replace: bool,
    pub(crate) progress_json: bool,
}

/// Why a load ends before its end.
enum Wrong {
    Line(LineError),
    Refused(Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Command for KeyspaceLoad {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let (input, total_bytes) = self.input.open()?;
        let mut lines = Lines::new(input, self.rule.clone());
        // Of input that is refused neither a database nor a keyspace comes to be. Who gives none has
        // most likely lost it on the way.
        let first = lines.begin().map_err(|error| load::refuse(&load::explain(error)))?;
        if first.is_none() {
            return Err(load::refuse(&Failure::usage("the input has no records")));
        }
        let db = session.writer()?;
        let was_there = db.keyspaces().iter().any(|info| info.name == self.name);
        let ordered = (!was_there).then_some(KeyspaceKind::Ordered);
        let keyspace = Keyspace::open_or_make(&db, &self.name, ordered)?;
        let keyspace = keyspace.ordered("a load of sorted records")?;
        if !self.replace && !keyspace.is_empty()? {
            return Err(Failure::usage(format!(
                "the keyspace `{}` has records, and a load takes the place of all of them; let it do so with \
                 --replace, or add to them with batch-put",
                brief(self.name.as_bytes())
            )));
        }
        let outcome = self.load(session, keyspace, &mut lines, total_bytes);
        if outcome.is_err() && !was_there {
            // If that fails, the first failure is the one to tell.
            drop(db.drop_keyspace(&self.name));
        }
        let report = outcome?;
        self.tell(session, db, &report)
    }
}

/// What was loaded.
struct Done {
    records_count: u64,
    report: Report,
}

impl KeyspaceLoad {
    fn load(
        &self,
        session: &Session,
        keyspace: &OrderedKeyspace,
        lines: &mut load::Source,
        total_bytes: Option<u64>,
    ) -> Result<Done> {
        let (clock, mut value_bytes, mut count) = (Stopwatch::start(), 0, 0u64);
        let wanted = session.form() != Form::Json && !self.progress_json;
        let bar = Progress::bytes(total_bytes, wanted);
        let records = std::iter::from_fn(|| {
            count += 1;
            if count.is_multiple_of(STEP_LINES) {
                bar.at(lines.consumed_bytes(), || format!("· {} records", units::count(count)));
            }
            let line = lines.next().map_err(Wrong::Line).transpose()?;
            Some(line.map(|line| {
                value_bytes += line.value.len() as u64;
                (line.key.to_vec(), line.value.to_vec())
            }))
        });
        let replaced = keyspace.try_replace_all(records);
        bar.clear();
        let replaced = replaced.map_err(|wrong| load::refuse(&explain(wrong, lines.number())))?;
        let blank_count = lines.blank_count();
        if blank_count > 0 {
            let s = if blank_count == 1 { "" } else { "s" };
            let text = format!("{} blank line{s} passed over", units::count(blank_count));
            note(session.form(), &text, "blank_lines_count", blank_count);
        }
        let (records_count, seconds) = (replaced.records_count, clock.seconds());
        let mut report = Report::default();
        report
            .count("records_count", records_count)
            .bytes("input_bytes", lines.consumed_bytes())
            .bytes("value_bytes", value_bytes)
            .seconds("seconds", seconds)
            .rate("records_per_second", units::rate(records_count, seconds));
        Ok(Done { records_count, report })
    }

    fn tell(&self, session: &mut Session, db: Database, done: &Done) -> Result<()> {
        if !self.progress_json {
            db.close()?;
            return session.out.report(&done.report);
        }
        let told = session.out.object(|object| {
            object.value("acked", done.records_count);
        });
        match told.and_then(|()| session.out.flush()) {
            // Nobody listens any more; it is stored all the same.
            Err(failure) if failure.kind() != Kind::ReaderGone => return Err(failure),
            _ => {}
        }
        Ok(db.close()?)
    }
}

/// Why the load ended at the line of this number.
fn explain(wrong: Wrong, number: u64) -> Failure {
    let here = format!("line {number}");
    match wrong {
        Wrong::Line(error) => load::explain(error),
        Wrong::Refused(Error::OutOfOrder { is_repeated, .. }) => {
            let found = if is_repeated { "the same key as" } else { "a lower key than" };
            Failure::usage(format!(
                "{here} has {found} the record before it; sort the input by its keys, byte by byte (`LC_ALL=C sort \
                 -t, -k1,1` does so where a comma is the separator), each key once, or load it with batch-put"
            ))
        }
        Wrong::Refused(error) if error.kind() == ErrorKind::InvalidInput => {
            Failure::from(error).context(&here)
        }
        Wrong::Refused(error) => error.into(),
    }
}
