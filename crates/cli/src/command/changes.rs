//! `annals changes`: the log as a feed, from a sequence number on, and live if wanted.

use super::Command;
use crate::{
    failure::Result,
    follow,
    output::{Form, Out, note},
    session::Session,
    units,
};
use annals::{Change, ChangeKind, Seq, StreamMark};
use std::time::Duration;

/// How long to wait before looking again whether anybody still reads.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Replays changes.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) from: Option<Seq>,
    pub(crate) follow: bool,
    pub(crate) limit: Option<u64>,
}

impl Command for Changes {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let oldest = db.oldest_seq();
        let mut changes = db.changes(self.from.unwrap_or(oldest))?;
        let mut left = self.limit.unwrap_or(u64::MAX);
        match self.from {
            Some(_) => {
                follow::tell_of_nothing(session.form(), self.from, db.last_seq(), self.follow);
            }
            None if oldest > Seq(1) => {
                let text = format!(
                    "the history begins at {oldest}: what was before is no longer in the log"
                );
                note(session.form(), &text, "oldest_seq", oldest.0);
            }
            _ => {}
        }
        let out = &mut session.out;
        while left > 0 {
            if let Some(change) = changes.try_next()? {
                write(out, &change)?;
                left -= 1;
                continue;
            }
            if !self.follow {
                break;
            }
            // What was found is seen before we wait for more.
            out.flush()?;
            while !changes.wait(LOOK_EVERY) {
                if out.reader_gone() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// One change as an object, or as a line of its number, time, keyspace, kind, key and value.
fn write(out: &mut Out, change: &Change) -> Result<()> {
    let of_key = matches!(
        change.kind,
        ChangeKind::Insert | ChangeKind::Remove | ChangeKind::Append | ChangeKind::MarkStream
    );
    if out.form() == Form::Json {
        return out.object(|object| {
            object
                .value("seq", change.seq.0)
                .value("time_ms", change.time_ms)
                .value("keyspace", &change.keyspace)
                .value("kind", change.kind.to_string().replace(' ', "_"));
            if of_key {
                object.bytes("key", &change.key);
            }
            if let Some(value) = &change.value {
                object.bytes("value", value);
            }
            if let Some(expires_ms) = change.expires_ms {
                object.value("expires_ms", expires_ms);
            }
            if let Some(mark) = &change.mark {
                let max_age = mark.retention.max_age;
                object
                    .value("first_version", mark.first_version)
                    .value("life_version", mark.life_version)
                    .value("deleted_for_good", mark.is_tombstone)
                    .value("archived", mark.is_archived)
                    .value("max_count", mark.retention.max_count)
                    .value("max_age_seconds", max_age.map(|age| age.as_secs_f64()));
            }
            if let ChangeKind::ReplaceKeyspace { records_count } = change.kind {
                object.value("records_count", records_count);
            }
            object.value("ends_commit", change.ends_commit);
        });
    }
    let keyspace = change.keyspace.as_deref().unwrap_or("(dropped)");
    let time = units::time(change.time_ms);
    let (seq, kind) = (change.seq.0, change.kind);
    out.raw(format!("{seq}\t{time}\t{keyspace}\t{kind}").as_bytes())?;
    if of_key {
        out.raw(b"\t")?;
        out.data(&change.key)?;
    }
    if let Some(value) = &change.value {
        out.raw(b"\t")?;
        out.data(value)?;
    }
    if let Some(mark) = &change.mark {
        out.raw(format!("\t{}", told(mark)).as_bytes())?;
    }
    if let ChangeKind::ReplaceKeyspace { records_count } = change.kind {
        out.raw(format!("\t{} records", units::count(records_count)).as_bytes())?;
    }
    out.raw(b"\n")
}

/// What holds for a stream, in words.
fn told(mark: &StreamMark) -> String {
    let StreamMark { first_version, life_version, is_tombstone, is_archived, retention } = *mark;
    let mut parts = Vec::new();
    if is_tombstone {
        parts.push("deleted for good".to_owned());
    } else if life_version > 0 && first_version == life_version {
        parts.push(format!("deleted before version {first_version}"));
    } else if first_version > 0 {
        parts.push(format!("truncated before version {first_version}"));
    }
    if is_archived {
        parts.push("archived".to_owned());
    }
    if let Some(count) = retention.max_count {
        parts.push(format!("keeps {count}"));
    }
    if let Some(age) = retention.max_age {
        parts.push(format!("keeps them for {} s", age.as_secs_f64()));
    }
    if parts.is_empty() {
        parts.push("keeps all".to_owned());
    }
    parts.join("; ")
}
