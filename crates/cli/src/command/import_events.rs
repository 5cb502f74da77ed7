//! `annals import-events`: a bulk load of events, one JSON object a line.

mod line;

use super::{
    Command,
    load::{self, Load, Manner, Names, Taken, Taker},
};
use crate::{
    category,
    failure::{Failure, Result},
    input::Input,
    lines::{KeyRule, Line, Lines},
    session::Session,
};
use annals::{Category, Database, Error, ExpectedVersion, NewEvent, StreamId, WriteBatch};
use line::EventLine;
use std::collections::{HashMap, HashSet};

/// Loads events from lines.
#[derive(Debug)]
pub(crate) struct ImportEvents {
    pub(crate) input: Input,
    pub(crate) batch: u64,
    pub(crate) progress_json: bool,
}

impl Command for ImportEvents {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let (input, total_bytes) = self.input.open()?;
        let mut lines = Lines::new(input, KeyRule::Nothing);
        if session.settings.is_empty() {
            // Of input that is refused no database comes to be.
            check_first(&mut lines).map_err(|failure| load::refuse(&failure))?;
        }
        let db = session.writer()?;
        let (batch, progress_json) = (self.batch, self.progress_json);
        let manner = Manner { batch, progress_json, total_bytes };
        let mut load = Load::new(session, &db, lines, Events::default(), manner);
        let outcome = load.run(session);
        let Events { made, .. } = load.into_taker();
        if outcome.is_err() {
            for name in made {
                category::drop_if_empty(&db, &name);
            }
        }
        let report = outcome?;
        db.close()?;
        if self.progress_json { Ok(()) } else { session.out.report(&report) }
    }
}

/// Whether the first line is an event.
fn check_first(lines: &mut load::Source) -> Result<()> {
    let checked = match lines.begin() {
        Ok(Some(line)) => EventLine::read(line.value).map(drop),
        Ok(None) => Ok(()),
        Err(error) => return Err(load::explain(error)),
    };
    checked.map_err(|failure| failure.context(&load::here(lines)))
}

/// Lines become events.
#[derive(Default)]
struct Events {
    /// By name, each with a number.
    categories: HashMap<String, (usize, Category)>,
    /// The categories that were not there.
    made: Vec<String>,
    /// The ids of events in the batch: the number of the category, the stream, the id.
    in_batch: HashSet<(usize, StreamId<'static>, u128)>,
}

impl Taker for Events {
    const NAMES: Names = Names {
        one: "event",
        count: "events_count",
        rate: "events_per_second",
        bytes: "data_bytes",
    };

    fn take(&mut self, db: &Database, batch: &mut WriteBatch, line: &Line<'_>) -> Result<Taken> {
        if batch.is_empty() {
            self.in_batch.clear();
        }
        let line = EventLine::read(line.value)?;
        self.open(db, &line.category)?;
        let (number, category) = &self.categories[&line.category];
        let (data, stream) = (line.data()?, line.stream());
        let key = line.id().map(|id| (*number, stream.clone(), id));
        if key.as_ref().is_some_and(|key| self.in_batch.contains(key)) {
            return Ok(Taken::WasThere);
        }
        let event = line.event(&data);
        match batch.append(category, &stream, std::slice::from_ref(&event), line.expected()?) {
            Ok(()) => {
                self.in_batch.extend(key);
                Ok(Taken::Stored(data.bytes.len() as u64))
            }
            Err(Error::DuplicateEvent { .. }) => Ok(Taken::WasThere),
            Err(Error::VersionConflict { .. })
                if key.is_some() && is_there(category, &stream, &event)? =>
            {
                Ok(Taken::WasThere)
            }
            Err(error @ Error::VersionConflict { .. }) if !batch.is_empty() => {
                let batch =
                    "versions count the lines before it in its batch, of which nothing is stored";
                Err(Failure::new(Failure::from(error.clone()).kind(), format!("{error}; {batch}")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Events {
    /// Opens the category, which is made if it is not there.
    fn open(&mut self, db: &Database, name: &str) -> Result<()> {
        if self.categories.contains_key(name) {
            return Ok(());
        }
        if !db.keyspaces().iter().any(|info| info.name == name) {
            self.made.push(name.to_owned());
        }
        let category = category::open_or_make(db, name)?;
        self.categories.insert(name.to_owned(), (self.categories.len(), category));
        Ok(())
    }
}

/// Whether the stream has an event of this id already. The version it was expected to follow is then no
/// longer the last.
fn is_there(category: &Category, stream: &StreamId<'_>, event: &NewEvent<'_>) -> Result<bool> {
    // No stream is at this version: an event that is not there is refused.
    let never = ExpectedVersion::Exact(u64::MAX);
    match category.append(stream, event, never) {
        Ok(appended) => Ok(appended.was_there),
        Err(Error::VersionConflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
