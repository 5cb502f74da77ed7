//! `annals append`: one event.

use super::{Command, Value, event};
use crate::{
    category,
    failure::{Failure, Result},
    output::{Form, brief, is_json},
    session::Session,
};
use annals::{Error, EventFormat, ExpectedVersion, NewEvent, StreamId};
use std::collections::BTreeSet;

/// Appends an event to a stream.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) category: String,
    pub(crate) stream: StreamId<'static>,
    pub(crate) json: Value,
    pub(crate) type_name: String,
    pub(crate) type_version: u32,
    pub(crate) id: Option<u128>,
    pub(crate) correlation: Option<u128>,
    pub(crate) causation: Option<u128>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) expected: ExpectedVersion,
}

impl Command for Append {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let mut names = BTreeSet::new();
        if let Some((name, _)) = self.metadata.iter().find(|(name, _)| !names.insert(name)) {
            let name = brief(name.as_bytes());
            return Err(Failure::usage(format!("--meta says `{name}` twice; say each name once")));
        }
        // The event is read first: nobody shall hold the lock while a person types.
        let json = self.json.read()?;
        let json = json.trim_ascii();
        if !is_json(json) {
            return Err(Failure::usage(
                "what happened is no JSON; quote texts inside the shell's quotes as well, such as \
                 '\"apples\"' or '{\"apples\": 7}'",
            ));
        }
        if session.settings.is_empty() {
            self.check_of_nothing()?;
        }
        let db = session.writer()?;
        let was_there = db.keyspaces().iter().any(|info| info.name == self.category);
        let category = category::open_or_make(&db, &self.category)?;
        let event = self.event(json);
        let outcome = category.append(&self.stream, &event, self.expected);
        if outcome.is_err() && !was_there {
            category::drop_if_empty(&db, &self.category);
        }
        let appended = outcome?;
        drop(category);
        db.close()?;
        let (version, seq) = (appended.last_version, appended.last_seq.0);
        let out = &mut session.out;
        if out.form() == Form::Json {
            return out.object(|object| {
                object.value("category", &self.category);
                event::stream(object, &self.stream);
                object.value("version", version).value("seq", seq);
                object.value("was_there", appended.was_there);
            });
        }
        let was_there = if appended.was_there { ", was there already" } else { "" };
        out.line(&format!("version {version}, seq {seq}{was_there}"))
    }
}

impl Append {
    fn event<'a>(&'a self, json: &'a [u8]) -> NewEvent<'a> {
        let event = NewEvent::new(&self.type_name, EventFormat::Json, json);
        let mut event = event.version(self.type_version);
        if let Some(id) = self.id {
            event = event.id(id);
        }
        if let Some(id) = self.correlation {
            event = event.correlation(id);
        }
        if let Some(id) = self.causation {
            event = event.causation(id);
        }
        self.metadata.iter().fold(event, |event, (name, value)| event.with(name, value))
    }

    /// Where there is no database no stream has events: none is made for an append that is refused.
    fn check_of_nothing(&self) -> Result<()> {
        match self.expected {
            ExpectedVersion::Any | ExpectedVersion::NoStream => Ok(()),
            expected => Err(Error::VersionConflict {
                category: self.category.clone(),
                stream: self.stream.to_string(),
                expected,
                found: None,
            }
            .into()),
        }
    }
}
