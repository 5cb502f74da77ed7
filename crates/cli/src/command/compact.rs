//! `annals compact`: segments of the log that hold mostly dead records are rewritten without them; or
//! the tables of an ordered keyspace are merged.

use super::{Command, tables};
use crate::{
    clock::Stopwatch,
    failure::{Failure, Kind, Result},
    keyspace::{self, Keyspace},
    output::Report,
    session::Session,
};
use annals::{Database, TreeStats};
use std::ops::Bound;

/// Compacts the log.
#[derive(Debug)]
pub(crate) struct CompactLog;

impl Command for CompactLog {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        let clock = Stopwatch::start();
        let done = db.compact()?;
        let mut report = Report::default();
        report
            .count("segments_count", done.segments_count)
            .count("moved_count", done.moved_count)
            .count("damaged_count", done.damaged_count)
            .bytes("size_before_bytes", done.before_bytes)
            .bytes("size_after_bytes", done.after_bytes)
            .seconds("seconds", clock.seconds());
        db.close()?;
        session.out.report(&report)?;
        if done.damaged_count == 0 {
            return Ok(());
        }
        let what = match done.damaged_count {
            1 => "1 damaged segment of the log stayed as it was".to_owned(),
            count => format!("{count} damaged segments of the log stayed as they were"),
        };
        Err(Failure::new(Kind::Corrupt, format!("{what}; `annals verify` names the places")))
    }
}

/// Compacts the tables of an ordered keyspace that have keys from `from` on and before `to`.
#[derive(Debug)]
pub(crate) struct CompactTables {
    pub(crate) keyspace: String,
    pub(crate) from: Option<Vec<u8>>,
    pub(crate) to: Option<Vec<u8>>,
}

impl Command for CompactTables {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        let keyspace = Keyspace::open(&db, &self.keyspace)?;
        let keyspace = keyspace.ordered("compact --keyspace")?;
        let clock = Stopwatch::start();
        let before = tree(&db, &self.keyspace)?;
        let from = self.from.map_or(Bound::Unbounded, Bound::Included);
        let to = self.to.map_or(Bound::Unbounded, Bound::Excluded);
        keyspace.compact_range((from, to))?;
        let after = tree(&db, &self.keyspace)?;
        let (then, now) = (before.life, after.life);
        let mut report = Report::default();
        report
            .count("entries_before_count", tables::entries(&before))
            .count("entries_after_count", tables::entries(&after))
            .bytes("size_before_bytes", tables::bytes(&before))
            .bytes("size_after_bytes", tables::bytes(&after))
            .count("compactions_count", after.compactions - before.compactions)
            .bytes("read_bytes", now.compaction_read_bytes - then.compaction_read_bytes)
            .bytes("written_bytes", now.compaction_written_bytes - then.compaction_written_bytes)
            .seconds("seconds", clock.seconds());
        db.close()?;
        session.out.report(&report)
    }
}

fn tree(db: &Database, name: &str) -> Result<TreeStats> {
    let stats = db.stats().keyspaces.into_iter().find(|stats| stats.name == name);
    stats.and_then(|stats| stats.tree).ok_or_else(|| keyspace::unknown(db, name))
}
