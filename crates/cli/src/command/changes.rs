//! `annals changes`: the log as a feed, from a sequence number on, and live if wanted.

use super::Command;
use crate::{
    failure::Result,
    output::{Form, Out},
    session::Session,
    units,
};
use annals::{Change, ChangeKind, Seq};
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
        let mut changes = db.changes(self.from.unwrap_or_else(|| db.oldest_seq()))?;
        let mut left = self.limit.unwrap_or(u64::MAX);
        let (json, last) = (session.form() == Form::Json, db.last_seq());
        if let Some(from) = self.from.filter(|from| *from > last && !self.follow) {
            say_nothing_is_there(from, last, json);
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

/// Nothing is printed, and why: the place is behind the end of the log.
fn say_nothing_is_there(from: Seq, last: Seq, json: bool) {
    let note = format!("nothing from {from} on yet: the last record is {last}");
    if json {
        eprintln!("{}", serde_json::json!({ "note": note, "last_seq": last.0 }));
    } else {
        eprintln!("annals: {note}; --follow waits for more");
    }
}

/// One change as an object, or as a line of its number, time, keyspace, kind, key and value.
fn write(out: &mut Out, change: &Change) -> Result<()> {
    let of_key = matches!(change.kind, ChangeKind::Insert | ChangeKind::Remove);
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
    out.raw(b"\n")
}
