//! From what was typed to what is done: checks and conversions happen here, once.

use crate::{
    args::{
        AnyKindArg, CommandArgs, CommandLine, DuplicatesArg, DurabilityArg, ExportFormatArg,
        FormatArg, KeyspaceCommand, KindArg, ProjectionCommand, QueryArgs, ScanArgs, StreamArg,
        StreamCommand, TableOptionsArgs, WhichArgs,
    },
    category::named_stream,
    command::{self, Command},
    failure::{Failure, Result},
    ingest::Format,
    input::Input,
    lines::KeyRule,
    output::Form,
    session::{Session, Settings},
    wanted::{Wanted, check_bounds},
};
use annals::{Duplicates, Durability, KeyspaceKind, KeyspaceOptions, Retention, Seq};
use std::{ffi::OsString, path::PathBuf};

/// Does what the command line asks for.
pub(crate) fn run(line: CommandLine) -> Result<()> {
    let form = Form::detect(line.global.json);
    check_own_database(&line)?;
    let settings = settings(&line);
    let command = command(line.command)?;
    let mut session = Session::new(settings, form);
    let done = command.run(&mut session);
    // What was said before a failure belongs to the user too.
    let flushed = session.out.flush();
    done.and(flushed)
}

/// Some commands make a database of their own: what is said about another one would mean nothing.
fn check_own_database(line: &CommandLine) -> Result<()> {
    let (name, said) = match line.command {
        CommandArgs::Bench(_) if line.writing().durability.is_some() => {
            let what = "bench measures all durability levels; leave --durability away";
            return Err(Failure::usage(what));
        }
        CommandArgs::Bench(_) => ("bench", &line.global.data),
        CommandArgs::Tour(_) => ("tour", &line.global.data),
        _ => return Ok(()),
    };
    match said {
        None => Ok(()),
        Some(_) => Err(Failure::usage(format!(
            "{name} works in a temporary database of its own; leave --data away, and name a directory on \
             another disk with the environment variable TMPDIR"
        ))),
    }
}

fn settings(line: &CommandLine) -> Settings {
    let writing = line.writing();
    Settings {
        data: line.global.data.clone().unwrap_or_else(|| PathBuf::from("./annals-data")),
        durability: match writing.durability {
            Some(DurabilityArg::Buffered) => Durability::Buffered,
            Some(DurabilityArg::Interval) | None => Durability::default(),
            Some(DurabilityArg::Sync) => Durability::Sync,
        },
        segment_bytes: writing.segment_bytes,
        memory_bytes: writing.memory_bytes,
    }
}

fn command(args: CommandArgs) -> Result<Box<dyn Command>> {
    Ok(match args {
        CommandArgs::Put(put) => Box::new(command::Put {
            keyspace: put.keyspace.keyspace,
            key: bytes(put.key),
            value: value(put.value),
            ttl: put.ttl,
            kind: put.kind.kind.map(kind),
        }),
        CommandArgs::Get(get) => {
            Box::new(command::Get { keyspace: get.keyspace.keyspace, key: bytes(get.key) })
        }
        CommandArgs::Delete(delete) => {
            let key = delete.key;
            Box::new(command::Delete { keyspace: key.keyspace.keyspace, key: bytes(key.key) })
        }
        CommandArgs::Keys(keys) => Box::new(scan(keys, false)?),
        CommandArgs::Scan(records) => Box::new(scan(records, true)?),
        CommandArgs::BatchPut(put) => Box::new(command::BatchPut {
            keyspace: put.keyspace.keyspace,
            input: input(put.file),
            rule: key_rule(put.key_from_line_number, &put.separator)?,
            batch: put.batch.get(),
            kind: put.kind.kind.map(kind),
            progress_json: put.progress_json,
        }),
        CommandArgs::Append(append) => Box::new(command::Append {
            stream: named_stream(&append.stream.id),
            category: append.stream.category,
            json: value(append.data_json),
            type_name: append.type_name,
            type_version: append.type_version,
            id: append.event_id,
            correlation: append.correlation,
            causation: append.causation,
            metadata: append.metadata,
            expected: append.expected_version,
        }),
        CommandArgs::Read(read) => Box::new(command::Read {
            stream: named_stream(&read.stream.id),
            category: read.stream.category,
            from: read.from,
            backward: read.backward,
            limit: read.limit,
            follow: read.follow,
        }),
        CommandArgs::Log(log) => Box::new(command::Log {
            from: log.from.map(Seq),
            type_name: log.type_name,
            category: log.category,
            with_archived: log.with_archived,
            limit: log.limit,
            follow: log.follow,
        }),
        CommandArgs::Projections(projections) => match projections.command {
            None => Box::new(command::Projections),
            Some(ProjectionCommand::Pause { name, .. }) => {
                Box::new(command::ProjectionPause { name, is_paused: true })
            }
            Some(ProjectionCommand::Resume { name, .. }) => {
                Box::new(command::ProjectionPause { name, is_paused: false })
            }
        },
        CommandArgs::Subscriptions => Box::new(command::Subscriptions),
        CommandArgs::Streams(streams) => {
            Box::new(command::Streams { category: streams.category, limit: streams.limit })
        }
        CommandArgs::Stream(stream) => stream_command(stream),
        CommandArgs::ImportEvents(import) => Box::new(command::ImportEvents {
            input: input(import.file),
            batch: import.batch.get(),
            progress_json: import.progress_json,
        }),
        CommandArgs::Ingest(ingest) => Box::new(command::Ingest {
            table: ingest.table,
            input: input(ingest.file),
            format: format(ingest.format),
            schema: ingest.schema,
            rejects: ingest.rejects,
            options: table_options(ingest.options),
            manner: command::IngestManner {
                batch: ingest.batch.get(),
                from_line: ingest.from_line.map(std::num::NonZeroU64::get),
                is_strict: ingest.strict,
                shows_schema: ingest.show_schema,
                progress_json: ingest.progress_json,
            },
        }),
        CommandArgs::Tables => Box::new(command::Tables),
        CommandArgs::Query(asked) => Box::new(query(asked)),
        CommandArgs::Rollup(rollup) => Box::new(command::Rollup {
            table: rollup.table,
            day: rollup.day,
            times: command::Which {
                since: rollup.since,
                until: rollup.until,
                without_damage: rollup.damage.without_damage,
                ..Default::default()
            },
            fields: rollup.field,
            value: rollup.value,
        }),
        CommandArgs::Recent(recent) => Box::new(command::Recent {
            table: recent.table,
            count: recent.count,
            which: which(recent.which),
        }),
        CommandArgs::Event(event) => {
            let without_damage = event.damage.without_damage;
            Box::new(command::TableEvent { table: event.table, id: event.id, without_damage })
        }
        CommandArgs::DeleteEvents(delete) => Box::new(command::DeleteEvents {
            table: delete.table,
            ids: match &delete.ids[..] {
                [one] if one == "-" => command::Ids::StandardInput,
                _ => command::Ids::Named(delete.ids),
            },
        }),
        CommandArgs::Export(export) => Box::new(command::Export {
            table: export.table,
            file: export.file.filter(|file| file.as_os_str() != "-"),
            format: export.format.map(|format| match format {
                ExportFormatArg::Ndjson => command::ExportFormat::Ndjson,
                ExportFormatArg::Csv => command::ExportFormat::Csv,
                ExportFormatArg::Parquet => command::ExportFormat::Parquet,
            }),
            which: which(export.which),
        }),
        CommandArgs::Options(options) => Box::new(command::TableOptions {
            table: options.table,
            forever: options.forever,
            said: table_options(options.options),
        }),
        CommandArgs::Gc(gc) => {
            let dropped = gc.before.map_or(command::Dropped::Damaged, command::Dropped::Before);
            Box::new(command::Gc { table: gc.table, dropped })
        }
        CommandArgs::Keyspace(keyspace) => match keyspace {
            KeyspaceCommand::List => Box::new(command::KeyspaceList),
            KeyspaceCommand::Create { name, kind: of, ttl, chained, .. } => {
                let (kind, options) = (any_kind_or_usual(of), KeyspaceOptions { ttl, chained });
                if kind != KeyspaceKind::Streams && chained {
                    return Err(Failure::usage("only events are chained; add --kind streams"));
                }
                Box::new(command::KeyspaceCreate { name, kind, options })
            }
            KeyspaceCommand::Load {
                name,
                file,
                separator,
                key_from_line_number,
                replace,
                progress_json,
                ..
            } => Box::new(command::KeyspaceLoad {
                name,
                input: input(file),
                rule: key_rule(key_from_line_number, &separator)?,
                replace,
                progress_json,
            }),
            KeyspaceCommand::Drop { name, .. } => Box::new(command::KeyspaceDrop { name }),
            KeyspaceCommand::Stats { name } => Box::new(command::KeyspaceStats { name }),
        },
        CommandArgs::Stats => Box::new(command::Stats),
        CommandArgs::Verify => Box::new(command::Verify),
        CommandArgs::Checkpoint => Box::new(command::Checkpoint),
        CommandArgs::Compact(compact) => match compact.keyspace {
            None => Box::new(command::CompactLog),
            Some(keyspace) => {
                let (from, to) = (compact.from.map(bytes), compact.to.map(bytes));
                check_bounds(from.as_deref(), to.as_deref())?;
                Box::new(command::CompactTables { keyspace, from, to })
            }
        },
        CommandArgs::Backup(backup) => Box::new(command::Backup { dir: backup.dir }),
        CommandArgs::Restore(restore) => Box::new(command::Restore { dir: restore.dir }),
        CommandArgs::Unlock => Box::new(command::Unlock),
        CommandArgs::Changes(changes) => Box::new(command::Changes {
            from: changes.from.map(Seq),
            follow: changes.follow,
            limit: changes.limit,
        }),
        CommandArgs::Tour(tour) => {
            let (kind, max_bytes) = (kind_or_usual(tour.kind), tour.max_bytes);
            Box::new(command::Tour { path: tour.path, keep: tour.keep, max_bytes, kind })
        }
        CommandArgs::Bench(bench) => Box::new(command::Bench {
            ops: bench.ops.get(),
            value_bytes: usize::try_from(bench.value_size)
                .map_err(|_| Failure::usage("--value-size is too large for this machine"))?,
            threads: bench.threads.get(),
            time_limit: bench.time_limit,
            kind: kind_or_usual(bench.kind),
        }),
    })
}

/// Where the keys of lines come from.
fn key_rule(from_line_number: bool, text: &str) -> Result<KeyRule> {
    if from_line_number {
        return Ok(KeyRule::LineNumber);
    }
    Ok(KeyRule::Separator(separator(text)?))
}

fn query(args: QueryArgs) -> command::Query {
    let QueryArgs { table, which: meant, group_by, bucket, sum, avg, min, max, top, .. } = args;
    let manner =
        command::QueryManner { by_sketch: args.sketch, plots: args.plot, explains: args.explain };
    let (p50, p95, p99, distinct) = (args.p50, args.p95, args.p99, args.distinct);
    let all = [
        (command::Wish::Sum, sum),
        (command::Wish::Average, avg),
        (command::Wish::Lowest, min),
        (command::Wish::Highest, max),
        (command::Wish::Percentile(50), p50),
        (command::Wish::Percentile(95), p95),
        (command::Wish::Percentile(99), p99),
        (command::Wish::Distinct, distinct),
    ];
    let wishes =
        all.into_iter().flat_map(|(wish, fields)| fields.into_iter().map(move |f| (wish, f)));
    let wishes = wishes.collect();
    command::Query { table, which: which(meant), group_by, bucket, wishes, top, manner }
}

fn which(args: WhichArgs) -> command::Which {
    let WhichArgs { expressions, since, until, damage } = args;
    command::Which { expressions, since, until, without_damage: damage.without_damage }
}

fn table_options(said: TableOptionsArgs) -> command::SaidOptions {
    let duplicates = said.duplicates.map(|duplicates| match duplicates {
        DuplicatesArg::Keep => Duplicates::Keep,
        DuplicatesArg::Refuse => Duplicates::Refuse,
        DuplicatesArg::Ignore => Duplicates::Ignore,
    });
    command::SaidOptions { ttl: said.ttl, may_go: said.yes, duplicates }
}

fn format(said: FormatArg) -> Option<Format> {
    Some(match said {
        FormatArg::Auto => return None,
        FormatArg::Ndjson => Format::Ndjson,
        FormatArg::Csv => Format::Csv,
        FormatArg::Combined => Format::Combined,
        FormatArg::Common => Format::Common,
        FormatArg::Syslog => Format::Syslog,
    })
}

fn stream_command(args: StreamCommand) -> Box<dyn Command> {
    use command::StreamDeed::{Archive, Delete, Keep, Look, Restore, Tombstone, Truncate};
    let (stream, deed) = match args {
        StreamCommand::Info { stream } => (stream, Look),
        StreamCommand::Truncate { stream, before, .. } => (stream, Truncate { before }),
        StreamCommand::Delete { stream, for_good: false, .. } => (stream, Delete),
        StreamCommand::Delete { stream, for_good: true, .. } => (stream, Tombstone),
        StreamCommand::Archive { stream, .. } => (stream, Archive),
        StreamCommand::Restore { stream, .. } => (stream, Restore),
        StreamCommand::Keep { stream, count, age, .. } => {
            (stream, Keep(Retention { max_count: count, max_age: age }))
        }
        StreamCommand::Verify { stream: StreamArg { category, id }, head } => {
            return Box::new(command::StreamVerify { category, stream: named_stream(&id), head });
        }
    };
    Box::new(command::Stream { stream: named_stream(&stream.id), category: stream.category, deed })
}

fn scan(args: ScanArgs, with_values: bool) -> Result<command::Scan> {
    let wanted = Wanted {
        prefix: args.prefix.or(args.named_prefix).map(bytes).unwrap_or_default(),
        from: args.from.map(bytes),
        to: args.to.map(bytes),
        reverse: args.reverse,
    };
    check_bounds(wanted.from.as_deref(), wanted.to.as_deref())?;
    let keyspace = args.keyspace.keyspace;
    Ok(command::Scan { keyspace, wanted, limit: args.limit, with_values })
}

fn kind(kind: KindArg) -> KeyspaceKind {
    match kind {
        KindArg::Hash => KeyspaceKind::Hash,
        KindArg::Ordered => KeyspaceKind::Ordered,
    }
}

fn kind_or_usual(said: Option<KindArg>) -> KeyspaceKind {
    said.map_or_else(KeyspaceKind::default, kind)
}

fn any_kind_or_usual(said: Option<AnyKindArg>) -> KeyspaceKind {
    match said {
        None => KeyspaceKind::default(),
        Some(AnyKindArg::Hash) => KeyspaceKind::Hash,
        Some(AnyKindArg::Ordered) => KeyspaceKind::Ordered,
        Some(AnyKindArg::Streams) => KeyspaceKind::Streams,
    }
}

/// A value as typed: `-` is standard input.
fn value(text: OsString) -> command::Value {
    if text == "-" { command::Value::StandardInput } else { command::Value::Given(bytes(text)) }
}

fn bytes(text: OsString) -> Vec<u8> {
    text.into_encoded_bytes()
}

fn input(file: PathBuf) -> Input {
    if file.as_os_str() == "-" { Input::Standard } else { Input::File(file) }
}

/// A separator as typed: `\t` is a tab, `\\` a backslash.
fn separator(text: &str) -> Result<Vec<u8>> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, true) => match chars.next() {
                Some('t') => out.push('\t'),
                Some('\\') | None => out.push('\\'),
                Some(other) => out.extend(['\\', other]),
            },
            (char, false) => out.push(char),
        }
    }
    if out.is_empty() {
        return Err(Failure::usage("--separator is empty; name what stands between key and value"));
    }
    if out.contains('\n') {
        return Err(Failure::usage("--separator holds a line end, which no line does"));
    }
    Ok(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_read_as_typed() {
        assert_eq!(separator(",").unwrap(), b",");
        assert_eq!(separator("\\t").unwrap(), b"\t");
        assert_eq!(separator("a\\\\b\\x\\").unwrap(), b"a\\b\\x\\");
        assert_eq!(separator("").unwrap_err().code(), 2);
        assert_eq!(separator("\n").unwrap_err().code(), 2);
    }
}
