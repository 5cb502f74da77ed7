//! `annals batch-put`: a bulk load of keys and values.

use super::{
    Command,
    load::{self, Load, Manner, Names, Taken, Taker},
};
use crate::{
    failure::Result,
    input::Input,
    keyspace::Keyspace,
    lines::{KeyRule, Line, Lines},
    session::Session,
};
use annals::{Database, KeyspaceKind, WriteBatch};

/// Loads records from lines.
#[derive(Debug)]
pub(crate) struct BatchPut {
    pub(crate) keyspace: String,
    pub(crate) input: Input,
    pub(crate) rule: KeyRule,
    pub(crate) batch: u64,
    pub(crate) progress_json: bool,
    pub(crate) kind: Option<KeyspaceKind>,
}

impl Command for BatchPut {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let (input, total_bytes) = self.input.open()?;
        let mut lines = Lines::new(input, self.rule.clone());
        if session.settings.is_empty() {
            // Of input that is refused no database comes to be.
            lines.begin().map_err(|error| load::refuse(&load::explain(error)))?;
        }
        let db = session.writer()?;
        let was_there = db.keyspaces().iter().any(|info| info.name == self.keyspace);
        let keyspace = Keyspace::open_or_make(&db, &self.keyspace, self.kind)?;
        let (batch, progress_json) = (self.batch, self.progress_json);
        let manner = Manner { batch, progress_json, total_bytes };
        let mut load = Load::new(session, &db, lines, Records(&keyspace), manner);
        let outcome = load.run(session);
        drop(load);
        if outcome.is_err() && !was_there && keyspace.is_empty()? {
            // Nothing was stored: not even an empty keyspace stays. If that fails, the first
            // failure is the one to tell.
            drop(db.drop_keyspace(&self.keyspace));
        }
        let report = outcome?;
        db.close()?;
        if self.progress_json { Ok(()) } else { session.out.report(&report) }
    }
}

/// Lines become records of a keyspace.
struct Records<'a>(&'a Keyspace);

impl Taker for Records<'_> {
    const NAMES: Names = Names {
        one: "record",
        count: "records_count",
        rate: "records_per_second",
        bytes: "value_bytes",
    };

    fn take(&mut self, _: &Database, batch: &mut WriteBatch, line: &Line<'_>) -> Result<Taken> {
        self.0.insert_into(batch, line.key, line.value)?;
        Ok(Taken::Stored(line.value.len() as u64))
    }
}
