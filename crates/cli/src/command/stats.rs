//! `annals stats`: what a database holds and what it takes, and what the program that writes has counted: it
//! publishes that. What else a running program does with it (snapshots, what holds the log back) only that
//! program can tell: `Database::stats`.

use super::{Command, tables};
use crate::{
    failure::Result,
    output::{Figure, Report},
    session::Session,
    units,
};
use annals::{KeyspaceKind, KeyspaceStats, WriterStats};

/// Shows figures of the whole database.
#[derive(Debug)]
pub(crate) struct Stats;

impl Command for Stats {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        session.tell_warnings(&db);
        let stats = db.stats();
        let (log, recovery) = (&stats.log, db.recovery());
        let (categories, others): (Vec<_>, Vec<_>) =
            stats.keyspaces.iter().partition(|keyspace| keyspace.kind == KeyspaceKind::Streams);
        let count =
            |keyspaces: &[&KeyspaceStats]| keyspaces.iter().map(|keyspace| keyspace.len).sum();
        let (keys_count, streams_count) = (count(&others), count(&categories));
        let is_estimate = stats.keyspaces.iter().any(|keyspace| keyspace.tree.is_some());
        let mut report = Report::default();
        report
            .text_field("database_id", format!("{:016x}", stats.database_id))
            .count("epoch", stats.epoch.into())
            .count("last_seq", stats.last_seq.0)
            .count("keyspaces_count", stats.keyspaces.len() as u64)
            .add("keys_count", tables::records(keys_count, is_estimate))
            .add("keys_estimated", Figure::Flag(is_estimate))
            .count("streams_count", streams_count)
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
        if let Some(writer) = &stats.writer {
            add_writer(&mut report, writer);
        }
        if stats.tables.is_some() {
            let trees = stats.keyspaces.iter().filter_map(|keyspace| {
                keyspace.tree.as_ref().map(|tree| (keyspace.name.as_str(), tree))
            });
            report.listing("ordered_keyspaces", tables::listed(trees));
        }
        session.out.report(&report)
    }
}

/// Adds what the process that has the database open for writing has counted since, or the one that had it last.
fn add_writer(report: &mut Report, writer: &WriterStats) {
    let seconds = |ns: u64| ns as f64 / 1e9;
    report
        .section("writer")
        .text_field("state", writer.state.to_string())
        .add("process_id", Figure::Plain(writer.pid.into()))
        .text_field("opened", units::time(writer.opened_ms))
        .text_field("as_of", units::time(writer.as_of_ms))
        .add("cache_hit_rate", writer.cache_hit_rate().map_or(Figure::Nothing, Figure::Share))
        .count("cache_hits_count", writer.cache_hits)
        .count("cache_misses_count", writer.cache_misses)
        .count("stalls_count", writer.stalls_count)
        .seconds("stalled_seconds", seconds(writer.stalled_ns))
        .add("write_amplification", tables::write_amplification(&writer.traffic))
        .bytes("appended_bytes", writer.appended_bytes)
        .count("syncs_count", writer.syncs_count)
        .count("flushes_count", writer.flushes)
        .bytes("flushed_bytes", writer.traffic.flushed_bytes)
        .bytes("loaded_bytes", writer.traffic.loaded_bytes)
        .count("compactions_count", writer.compactions)
        .bytes("compaction_read_bytes", writer.traffic.compaction_read_bytes)
        .bytes("compaction_written_bytes", writer.traffic.compaction_written_bytes)
        .seconds("compaction_paused_seconds", seconds(writer.compaction_paused_ns))
        .count("held_tables_count", writer.held_tables_count)
        .bytes("held_table_files_bytes", writer.held_tables_bytes);
}
