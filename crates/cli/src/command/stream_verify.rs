//! `annals stream verify`: whether a stream of a chained category is still what was appended to it.

use super::{Command, event};
use crate::{category, failure::Result, output::Form, session::Session};
use annals::{ChainHead, StreamId};

/// Checks a stream, and tells its head.
#[derive(Debug)]
pub(crate) struct StreamVerify {
    pub(crate) category: String,
    pub(crate) stream: StreamId<'static>,
    pub(crate) head: Option<ChainHead>,
}

impl Command for StreamVerify {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let category = category::open(&db, &self.category)?;
        let checked = category.verify_chain(&self.stream, self.head)?;
        let Some(head) = checked.head else {
            let (_, end) = category.read(&self.stream)?.left();
            return Err(category::no_events(&self.category, &self.stream, end));
        };
        let out = &mut session.out;
        if out.form() == Form::Json {
            return out.object(|object| {
                object.value("category", &self.category);
                event::stream(object, &self.stream);
                object.value("events_count", checked.events_count).value("head", head.to_string());
            });
        }
        out.line(&head.to_string())
    }
}
