//! `annals stream`: one stream as a whole.

use super::{Command, event};
use crate::{
    category,
    failure::{Failure, Result},
    output::Form,
    session::Session,
};
use annals::{Category, Retention, StreamId, StreamInfo};

/// Shows a stream as a whole, or changes what holds for it and shows it then.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) category: String,
    pub(crate) stream: StreamId<'static>,
    pub(crate) deed: StreamDeed,
}

/// What is done to a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StreamDeed {
    Look,
    Truncate { before: u64 },
    Delete,
    Tombstone,
    Archive,
    Restore,
    Keep(Retention),
}

impl Command for Stream {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let Self { category: name, stream, deed } = *self;
        let db = match deed {
            StreamDeed::Look => session.reader()?,
            _ => session.existing_writer()?,
        };
        let category = category::open(&db, &name)?;
        // What nobody ever appended to is a slip: only who closes an id for good may mean one that is not there.
        let info = category.info(&stream)?;
        let is_unheard_of = info.next_version == 0 && !info.is_tombstone && !info.is_archived;
        if is_unheard_of && !matches!(deed, StreamDeed::Tombstone) {
            let id = category::stream_name(&stream);
            return Err(Failure::not_found(format!("`{name}` never had a stream `{id}`")));
        }
        act(&category, &stream, deed)?;
        let info = category.info(&stream)?;
        drop(category);
        if !matches!(deed, StreamDeed::Look) {
            db.close()?;
        }
        tell(session, &name, &stream, &info)
    }
}

fn act(category: &Category, stream: &StreamId<'_>, deed: StreamDeed) -> Result<()> {
    match deed {
        StreamDeed::Look => {}
        StreamDeed::Truncate { before } => {
            category.truncate_before(stream, before)?;
        }
        StreamDeed::Delete => category.delete(stream)?,
        StreamDeed::Tombstone => category.tombstone(stream)?,
        StreamDeed::Archive => category.archive(stream)?,
        StreamDeed::Restore => category.restore(stream)?,
        StreamDeed::Keep(retention) => category.set_retention(stream, retention)?,
    }
    Ok(())
}

fn tell(
    session: &mut Session,
    category: &str,
    stream: &StreamId<'_>,
    info: &StreamInfo,
) -> Result<()> {
    let StreamInfo { first_version, next_version, is_tombstone, is_archived, retention, .. } =
        *info;
    let age_seconds = retention.max_age.map(|age| age.as_secs_f64());
    let out = &mut session.out;
    if out.form() == Form::Json {
        return out.object(|object| {
            object.value("category", category);
            event::stream(object, stream);
            object
                .value("first_version", first_version)
                .value("next_version", next_version)
                .value("events_count", next_version - first_version)
                .value("deleted_for_good", is_tombstone)
                .value("archived", is_archived)
                .value("max_count", retention.max_count)
                .value("max_age_seconds", age_seconds);
        });
    }
    let mut line = match next_version - first_version {
        0 => format!("no events; the next one gets version {next_version}"),
        1 => format!("1 event, version {first_version}"),
        count => format!("{count} events, versions {first_version} to {}", next_version - 1),
    };
    if is_tombstone {
        line = "deleted for good".to_owned();
    }
    if is_archived {
        line += "; archived";
    }
    if let Some(count) = retention.max_count {
        line += &format!("; keeps {count}");
    }
    if let Some(age) = age_seconds {
        line += &format!("; keeps them for {age} s");
    }
    out.line(&line)
}
