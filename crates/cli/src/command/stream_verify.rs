//! `annals stream verify`: whether a stream of a chained category is still what was appended to it.

use super::{Command, event};
use crate::{
    category,
    failure::{Failure, Result},
    output::{Form, brief},
    session::Session,
};
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
            let (name, id) = (&self.category, category::stream_name(&self.stream));
            let id = brief(id.as_bytes());
            return Err(Failure::not_found(format!("the category `{name}` has no stream `{id}`")));
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
