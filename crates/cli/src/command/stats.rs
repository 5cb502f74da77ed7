//! `annals stats`: what a database holds and what it takes. What a running program does with it (snapshots, what
//! holds the log back, caches, stalls) only that program can tell: `Database::stats`; `bench` does of its own load.

use super::{Command, tables};
use crate::{
    failure::Result,
    output::{Figure, Report},
    session::Session,
};

/// Shows figures of the whole database.
#[derive(Debug)]
pub(crate) struct Stats;

impl Command for Stats {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        session.tell_warnings(&db);
        let stats = db.stats();
        let (log, recovery) = (&stats.log, db.recovery());
        let records_count = stats.keyspaces.iter().map(|keyspace| keyspace.len).sum();
        let is_estimate = stats.keyspaces.iter().any(|keyspace| keyspace.tree.is_some());
        let mut report = Report::default();
        report
            .text_field("database_id", format!("{:016x}", stats.database_id))
            .count("epoch", stats.epoch.into())
            .count("last_seq", stats.last_seq.0)
            .count("keyspaces_count", stats.keyspaces.len() as u64)
            .add("records_count", tables::records(records_count, is_estimate))
            .add("records_estimated", Figure::Flag(is_estimate))
            .bytes("memory_bytes", stats.memory_bytes);
        report
            .section("log")
            .count("segments_count", log.segments_count)
            .count("spares_count", log.spares_count)
            .bytes("content_bytes", log.content_bytes)
            .bytes("live_bytes", log.live_bytes)
            .bytes("file_bytes", log.file_bytes)
            .count("oldest_seq", log.oldest_seq.0)
            .add("checkpoint", log.checkpoint.map_or(Figure::Nothing, Figure::Count));
        report
            .section("recovery")
            .add("clean", Figure::Flag(recovery.clean))
            .count("frames_count", recovery.frames_count)
            .count("records_count", recovery.records_count)
            .bytes("torn_bytes", recovery.torn_bytes)
            .count("warnings_count", recovery.warnings.len() as u64);
        if stats.tables.is_some() {
            let trees = stats.keyspaces.iter().filter_map(|keyspace| {
                keyspace.tree.as_ref().map(|tree| (keyspace.name.as_str(), tree))
            });
            report.listing("ordered_keyspaces", tables::listed(trees));
        }
        session.out.report(&report)
    }
}
