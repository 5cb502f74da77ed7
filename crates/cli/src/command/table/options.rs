//! `annals options`: how long the events of a table live, and how often an id may be there.

use super::open;
use crate::{
    clock::now_ns,
    command::Command,
    failure::{Failure, Result},
    output::{Figure, Report, brief},
    session::Session,
    units,
};
use annals::{Duplicates, EventTable, TableOptions, columns::Filter};
use std::time::Duration;

/// What was said of a table's options; what was not stays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) ttl: Option<Duration>,
    /// Whether events may go that are over by it at once.
    pub(crate) may_go: bool,
    pub(crate) duplicates: Option<Duplicates>,
}

/// Shows or changes the options of a table.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) table: String,
    pub(crate) said: Said,
    /// Whether events shall live for ever.
    pub(crate) forever: bool,
}

impl Command for Options {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        if self.said.is_nothing() && !self.forever {
            let db = session.reader()?;
            let options = open(&db, &self.table)?.options()?;
            return session.out.report(&report(options));
        }
        let db = session.existing_writer()?;
        let table = open(&db, &self.table)?;
        let before_count = table.view()?.len();
        let mut before = table.options()?;
        before.ttl = before.ttl.filter(|_| !self.forever);
        self.said.set(&table, before)?;
        let (options, left) = (table.options()?, table.view()?.len());
        db.close()?;
        let mut report = report(options);
        if self.said.ttl.is_some() {
            let over = before_count.saturating_sub(left);
            report.count("events_over_count", over).count("events_left_count", left);
        }
        session.out.report(&report)
    }
}

impl Said {
    fn is_nothing(&self) -> bool {
        self.ttl.is_none() && self.duplicates.is_none()
    }

    /// Gives a table what was said, and else what it has `before`.
    pub(super) fn set(self, table: &EventTable, before: TableOptions) -> Result<()> {
        self.check_over(table, before)?;
        let options =
            TableOptions::default().duplicates(self.duplicates.unwrap_or(before.duplicates));
        let options = match self.ttl.or(before.ttl) {
            Some(ttl) => options.ttl(ttl),
            None => options,
        };
        table.set_options(options).map_err(|error| match error {
            annals::Error::NoIds { .. } => Failure::usage(format!(
                "events of the table `{}` have no id, and so none that can be there already; a schema file gives them one \
                 (\"role\": \"id\")",
                brief(table.name().as_bytes())
            )),
            annals::Error::NoTimes { .. } => Failure::usage(format!(
                "events of the table `{}` have no time, and so none at which they are over",
                brief(table.name().as_bytes())
            )),
            error => error.into(),
        })
    }
}

impl Said {
    /// What is over is so for good: whoever mistook the unit of a time to live is told before, not after.
    fn check_over(self, table: &EventTable, before: TableOptions) -> Result<()> {
        let shorter = self.ttl.filter(|ttl| before.ttl.is_none_or(|before| *ttl < before));
        let (Some(ttl), false) = (shorter, self.may_go) else { return Ok(()) };
        let view = table.view()?;
        let Some(ts) = view.schema().ts() else { return Ok(()) };
        let last_ns = i128::from(now_ns()) - i128::try_from(ttl.as_nanos()).unwrap_or(i128::MAX);
        let Ok(last_ns) = i64::try_from(last_ns) else { return Ok(()) };
        let over = view.query().filter(Filter::at_most(ts, last_ns)).run()?.total()?.rows();
        if over == 0 {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "by this --ttl {} of the {} events of the table `{}` would be over at once, and gone for good; nothing has \
             changed; let them go with --yes",
            units::count(over),
            units::count(view.len()),
            brief(table.name().as_bytes()),
        )))
    }
}

fn report(options: TableOptions) -> Report {
    let ttl = options.ttl.map_or(Figure::Nothing, |ttl| Figure::Seconds(ttl.as_secs_f64()));
    let mut report = Report::default();
    report.add("ttl_seconds", ttl).text_field("duplicates", duplicates_name(options.duplicates));
    report
}

/// What becomes of an event whose id is there already, in a word.
pub(crate) fn duplicates_name(duplicates: Duplicates) -> &'static str {
    match duplicates {
        Duplicates::Keep => "keep",
        Duplicates::Refuse => "refuse",
        Duplicates::Ignore => "ignore",
        _ => "other",
    }
}
