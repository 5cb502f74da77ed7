//! `annals streams`: the categories, or the streams of one.

use super::{Command, event};
use crate::{
    category::{self, stream_name},
    failure::{Failure, Result},
    output::{Figure, Form, Out, Table, tell as tell_aside},
    session::Session,
};
use annals::{Category, Error, ErrorKind, KeyspaceKind, StreamId};

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
            let damage = each(&category, limit, |id, count| tell(out, name, &id, count))?;
            return damage.map_or(Ok(()), |error| Err(error.into()));
        }
        let mut table = Table::new(&["category", "streams_count", "events_count", "types_count"]);
        let categories = db.keyspaces().into_iter();
        let categories = categories.filter(|info| info.kind == KeyspaceKind::Streams);
        let mut damage = Ok(());
        for info in categories.take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            let category = category::open(&db, &info.name)?;
            let Counts { streams_count, events_count, damage: found } = count(&category)?;
            damage = damage.and(found.map_or(Ok(()), Err));
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
        session.out.table(&table)?;
        damage.map_err(Failure::from)
    }
}

/// How much a category has, as far as it can be read.
pub(super) struct Counts {
    pub(super) streams_count: u64,
    pub(super) events_count: u64,
    /// The first damage; the stream that has it is not counted.
    pub(super) damage: Option<Error>,
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
pub(super) fn count(category: &Category) -> Result<Counts> {
    let mut counts = Counts { streams_count: 0, events_count: 0, damage: None };
    let damage = each(category, u64::MAX, |_, count| {
        counts.streams_count += 1;
        counts.events_count += count;
        Ok(())
    })?;
    Ok(Counts { damage, ..counts })
}

/// Calls `told` with the first `limit` streams that come, and how many events each has. The first damage is told once
/// all others have been.
fn each(
    category: &Category,
    limit: u64,
    mut told: impl FnMut(StreamId<'_>, u64) -> Result<()>,
) -> Result<Option<Error>> {
    // Only an error ends the walk: this one, which no walk has by itself, says that we ended it.
    let enough = || Err(Error::NoEvents);
    let (mut left, mut failed) = (limit, None::<Failure>);
    if left == 0 {
        return Ok(None);
    }
    let mut damage = None;
    let walked = category.each_stream(|id, last_version| {
        let first_version = match category.info(&id) {
            Ok(info) => info.first_version.min(last_version + 1),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                damage.get_or_insert(error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let left_count = last_version + 1 - first_version;
        if let Err(failure) = told(id, left_count) {
            failed = Some(failure);
            return enough();
        }
        left -= 1;
        if left == 0 { enough() } else { Ok(()) }
    });
    match (walked, failed) {
        (_, Some(failure)) => Err(failure),
        (Ok(()) | Err(Error::NoEvents), None) => Ok(damage),
        (Err(error), None) if error.kind() == ErrorKind::Corrupt => Ok(damage.or(Some(error))),
        (Err(error), None) => Err(error.into()),
    }
}
