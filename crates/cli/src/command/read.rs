//! `annals read`: the events of a stream, and those that come if wanted.

use super::{Command, event};
use crate::{
    category,
    failure::Result,
    follow,
    output::{Out, note},
    session::Session,
};
use annals::{Category, Database, ErrorKind, StreamId};
use std::ops::Range;

/// Lists the events of a stream.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) category: String,
    pub(crate) stream: StreamId<'static>,
    pub(crate) from: Option<u64>,
    pub(crate) backward: bool,
    pub(crate) limit: Option<u64>,
    pub(crate) follow: bool,
}

impl Command for Read {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let Some(category) = self.category(&db, session)? else { return Ok(()) };
        let mut reader = category.read(&self.stream)?;
        let (first, end) = reader.left();
        if !self.follow {
            if first == end {
                return Err(category::no_events(&self.category, &self.stream, end));
            }
            self.tell_of_nothing(session, end - 1);
        }
        reader = match (self.backward, self.from) {
            (false, from) => reader.from(from.unwrap_or(0)),
            (true, None) => reader.back(),
            (true, Some(from)) => reader.back_from(from),
        };
        let out = &mut session.out;
        let mut left = self.limit.unwrap_or(u64::MAX);
        // Backward, the version that comes next.
        let mut next = self.from.unwrap_or(u64::MAX).min(end.saturating_sub(1));
        while left > 0 {
            if let Some(found) = reader.next() {
                let found = match found {
                    Err(error) if self.backward && error.kind() == ErrorKind::Corrupt => {
                        left -= self.one_by_one(&category, first..next + 1, left, out)?;
                        return if left == 0 { Ok(()) } else { Err(error.into()) };
                    }
                    found => found?,
                };
                event::write(out, &found)?;
                next = found.version().saturating_sub(1);
                left -= 1;
                continue;
            }
            if !self.follow {
                break;
            }
            // What was found is seen before we wait for more.
            out.flush()?;
            let is_read = follow::wait(out, || {
                reader.refresh()?;
                let (next, end) = reader.left();
                Ok(next < end)
            })?;
            if !is_read {
                break;
            }
        }
        Ok(())
    }
}

impl Read {
    /// The category; who follows waits for one that is not there yet. `None` if nobody reads any more.
    fn category(&self, db: &Database, session: &mut Session) -> Result<Option<Category>> {
        let mut found = match db.open_category(&self.category) {
            Err(error) if self.follow && error.kind() == ErrorKind::NotFound => None,
            _ => Some(category::open(db, &self.category)?),
        };
        if found.is_none() {
            session.out.flush()?;
            follow::wait(&session.out, || {
                found = match db.open_category(&self.category) {
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    _ => Some(category::open(db, &self.category)?),
                };
                Ok(found.is_some())
            })?;
        }
        Ok(found)
    }

    /// Events are read some at a time, which the damage of one takes from those behind it as well. Writes those of
    /// these versions that are read when they are asked for alone, the last first, until one is not; says how many.
    fn one_by_one(
        &self,
        category: &Category,
        versions: Range<u64>,
        limit: u64,
        out: &mut Out,
    ) -> Result<u64> {
        let mut count = 0;
        for version in versions.rev() {
            let mut reader = category.read(&self.stream)?.from(version);
            match reader.next() {
                Some(Ok(found)) if found.version() == version && count < limit => {
                    event::write(out, &found)?;
                }
                _ => break,
            }
            count += 1;
        }
        Ok(count)
    }

    /// A stream that does not reach as far as is asked for may do so later.
    fn tell_of_nothing(&self, session: &Session, last: u64) {
        let Some(from) = self.from.filter(|from| *from > last && !self.backward) else { return };
        let text = format!("nothing from version {from} on yet: the last event is {last}");
        note(session.form(), &text, "last_version", last);
    }
}
