//! `annals log`: the events of all streams in the order in which they were appended, and those that
//! come if wanted. Compaction of the log takes none of them, unlike what `changes` shows.

use super::{Command, event};
use crate::{category, failure::Result, follow, output::Out, session::Session};
use annals::{Database, RecordedEvent, Seq};

/// Lists events.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) from: Option<Seq>,
    pub(crate) type_name: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) with_archived: bool,
    pub(crate) limit: Option<u64>,
    pub(crate) follow: bool,
}

impl Command for Log {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let category = match (&self.category, self.follow) {
            (Some(name), false) => Some(category::open(&db, name)?),
            _ => None,
        };
        let from = self.from.unwrap_or(Seq::ZERO);
        let out = &mut session.out;
        let mut left = self.limit.unwrap_or(u64::MAX);
        follow::tell_of_nothing(out.form(), self.from, db.last_seq(), self.follow);
        if self.follow {
            return self.follow(&db, from, left, out);
        }
        let mut events = match &category {
            Some(category) => category.read_all(from)?,
            None => db.read_all(from)?,
        };
        if let Some(name) = &self.type_name {
            events = events.of_type(name);
        }
        if self.with_archived {
            events = events.with_archived();
        }
        while left > 0 {
            let Some(found) = events.next().transpose()? else { break };
            left -= self.write(out, &found)?;
        }
        Ok(())
    }
}

impl Log {
    /// Lists what is there, and then what comes, until there were `left` or nobody reads any more.
    fn follow(&self, db: &Database, from: Seq, mut left: u64, out: &mut Out) -> Result<()> {
        let mut events = db.subscribe(from)?;
        if let Some(name) = &self.type_name {
            events = events.of_type(name);
        }
        if self.with_archived {
            events = events.with_archived();
        }
        while left > 0 {
            let mut found = events.try_next()?;
            if found.is_none() {
                // What was found is seen before we wait for more.
                out.flush()?;
                let is_read = follow::wait(out, || {
                    found = events.try_next()?;
                    Ok(found.is_some())
                })?;
                if !is_read {
                    break;
                }
            }
            if let Some(found) = found {
                left -= self.write(out, &found)?;
            }
        }
        Ok(())
    }

    /// Writes the event if it is of the category that is wanted; how many were written.
    fn write(&self, out: &mut Out, found: &RecordedEvent<'_>) -> Result<u64> {
        if self.category.as_ref().is_some_and(|name| found.category() != name) {
            return Ok(0);
        }
        event::write(out, found)?;
        Ok(1)
    }
}
