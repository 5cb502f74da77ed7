//! `annals streams`: the categories, or the streams of one.

use super::{Command, event};
use crate::{
    category::{self, stream_name},
    failure::{Failure, Result},
    output::{Figure, Form, Out, Table, tell as tell_aside},
    session::Session,
};
use annals::{Category, Error, KeyspaceKind, StreamId};

/// Lists the categories, or the streams of one as they come, none of them collected: there may be more than
/// memory holds.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) category: Option<String>,
    pub(crate) limit: Option<u64>,
}

impl Command for Streams {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let limit = self.limit.unwrap_or(u64::MAX);
        if let Some(name) = &self.category {
            let category = category::open(&db, name)?;
            let out = &mut session.out;
            if out.form() != Form::Json {
                out.line("stream\tevents")?;
            }
            return each(&category, limit, |id, count| tell(out, name, &id, count));
        }
        let mut table = Table::new(&["category", "streams_count", "events_count", "types_count"]);
        let categories = db.keyspaces().into_iter();
        let categories = categories.filter(|info| info.kind == KeyspaceKind::Streams);
        for info in categories.take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            let category = category::open(&db, &info.name)?;
            let (streams_count, events_count) = count(&category)?;
            table.row(vec![
                Figure::text_of(info.name),
                Figure::Count(streams_count),
                Figure::Count(events_count),
                Figure::Count(category::types(&category).len() as u64),
            ]);
        }
        if table.is_empty() {
            // A program sees that nothing came.
            if session.form() != Form::Json && limit > 0 {
                tell_aside("annals: the database has no categories of streams");
            }
            return Ok(());
        }
        session.out.table(&table)
    }
}

/// One stream and how many events it has.
fn tell(out: &mut Out, category: &str, id: &StreamId<'_>, events_count: u64) -> Result<()> {
    if out.form() == Form::Json {
        return out.object(|object| {
            object.value("category", category);
            event::stream(object, id);
            object.value("events_count", events_count);
        });
    }
    out.data(stream_name(id).as_bytes())?;
    out.line(&format!("\t{events_count}"))
}

/// How many streams and events a category has.
pub(super) fn count(category: &Category) -> Result<(u64, u64)> {
    let (mut streams_count, mut events_count) = (0, 0);
    each(category, u64::MAX, |_, count| {
        streams_count += 1;
        events_count += count;
        Ok(())
    })?;
    Ok((streams_count, events_count))
}

/// Calls `told` with the first `limit` streams that come, and how many events each has.
fn each(
    category: &Category,
    limit: u64,
    mut told: impl FnMut(StreamId<'_>, u64) -> Result<()>,
) -> Result<()> {
    // Only an error ends the walk: this one, which no walk has by itself, says that we ended it.
    let enough = || Err(Error::NoEvents);
    let (mut left, mut failed) = (limit, None::<Failure>);
    if left == 0 {
        return Ok(());
    }
    let walked = category.each_stream(|id, last_version| {
        let left_count = last_version + 1 - category.info(&id)?.first_version.min(last_version + 1);
        if let Err(failure) = told(id, left_count) {
            failed = Some(failure);
            return enough();
        }
        left -= 1;
        if left == 0 { enough() } else { Ok(()) }
    });
    match (walked, failed) {
        (_, Some(failure)) => Err(failure),
        (Ok(()) | Err(Error::NoEvents), None) => Ok(()),
        (Err(error), None) => Err(error.into()),
    }
}
