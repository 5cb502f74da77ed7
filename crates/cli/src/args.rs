//! The command line as typed. Nothing is decided here: [`crate::plan`] turns it into commands.

mod streams;
mod tables;

pub(crate) use streams::{
    AppendArgs, ImportEventsArgs, LogArgs, ProjectionCommand, ProjectionsArgs, ReadArgs, StreamArg,
    StreamCommand, StreamsArgs,
};
pub(crate) use tables::{
    DeleteEventsArgs, DuplicatesArg, ExportArgs, ExportFormatArg, FormatArg, GcArgs, IngestArgs,
    OptionsArgs, QueryArgs, RecentArgs, RollupArgs, TableEventArgs, TableOptionsArgs, WhichArgs,
};

use crate::{failure::Failure, output::tell, units};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::{ffi::OsString, num::NonZeroU64, path::PathBuf, process::ExitCode, time::Duration};

const EXIT_CODES: &str = "\
Exit codes:
  0  ok
  1  not found: the key, the keyspace, the stream, the table, the event, the backup, or a place in the log
  2  usage: the command cannot work as it was written
  3  corrupt: bytes on disk are not what was written, or a chained stream is not what was appended
  4  locked: another process has the database open for writing
  5  anything else, also if there is no database in --data, a stream is not at --expected-version, or none
     of the lines that ingest was given could be taken
Errors go to standard error; with --json as one object {\"error\", \"kind\", \"exit_code\"}.";

/// Look at, fill, check, back up and measure an Annals database.
///
/// Commands that only read (get, keys, scan, read, log, streams, projections, subscriptions, stream info and verify, tables, query, rollup, recent, event,
/// export, stats, verify, changes, keyspace list and stats) work beside a live writer and never create or change anything.
#[derive(Debug, Parser)]
#[command(name = "annals", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
    #[command(subcommand)]
    pub(crate) command: CommandArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// The database's directory; its last part is made where a command needs it. Not for tour and bench,
    /// which make a database of their own [default: ./annals-data]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data: Option<PathBuf>,

    /// Print JSON: one object a line, bytes that are not UTF-8 under names ending in _base64
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What commands that write ask for; may also stand before the command.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct WritingArgs {
    /// What has been done to a commit when it counts as done, in commands that write [default:
    /// interval]
    #[arg(long, value_enum)]
    pub(crate) durability: Option<DurabilityArg>,

    /// How large the segment files are that are made from now on [default: 64MiB]
    #[arg(long, value_name = "BYTES", value_parser = units::parse_bytes)]
    pub(crate) segment_bytes: Option<u64>,

    /// How much memory ordered keyspaces may take together, at least 64KiB [default: 96MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_memory)]
    pub(crate) memory_bytes: Option<u64>,
}

/// Reads how much memory may be taken.
fn parse_memory(text: &str) -> Result<u64, String> {
    match units::parse_bytes(text)? {
        bytes if bytes < MEMORY_BYTES_MIN => Err("at least 64KiB are needed".to_owned()),
        bytes => Ok(bytes),
    }
}

/// The least memory that ordered keyspaces get on with.
const MEMORY_BYTES_MIN: u64 = 64 << 10;

/// The durability levels by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityArg {
    /// The kernel has it: kill -9 loses nothing, a power cut what was not written yet
    Buffered,
    /// As buffered, and synced every 10 ms: a power cut loses at most the last interval
    Interval,
    /// It is on the device: a power cut loses nothing
    Sync,
}

#[derive(Debug, Args)]
pub(crate) struct KeyspaceArg {
    /// The keyspace
    #[arg(short, long, value_name = "KEYSPACE", default_value = "default")]
    pub(crate) keyspace: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CommandArgs {
    /// Store a value under a key; makes the database and the keyspace on first use
    Put(PutArgs),
    /// Write a key's value to standard output, raw and nothing else
    Get(KeyArgs),
    /// Remove a key
    Delete(DeleteArgs),
    /// List the keys; of an ordered keyspace in their order
    Keys(ScanArgs),
    /// List keys and values, apart by a tab; of an ordered keyspace in the order of its keys
    Scan(ScanArgs),
    /// Load records from a file or standard input, one a line
    BatchPut(BatchPutArgs),
    /// Append an event to a stream, and print its version and sequence number; makes the database and
    /// the category on first use
    Append(AppendArgs),
    /// List the events of a stream, in their order
    Read(ReadArgs),
    /// List the events of all streams, in the order in which they were appended
    ///
    /// Those of archived streams are left out without --with-archived. `annals log --json --with-archived | annals --data COPY
    /// import-events -` copies all events there are; that a stream is archived is no event, so in the copy none is.
    Log(LogArgs),
    /// List the categories of streams, or the streams of one
    ///
    /// Events are counted by a look at each stream.
    Streams(StreamsArgs),
    /// List the projections: how far each has come, and by how many numbers it is behind
    ///
    /// Those are listed of which something was committed. The lag is counted from the first event on that a projection
    /// has not handled; 0 if it has handled all.
    Projections(ProjectionsArgs),
    /// List the persistent subscriptions: how far each has come, by how many numbers it is behind, and how many events are
    /// parked
    ///
    /// Everything in front of its position is acknowledged or parked. While a program has one open, what is listed is as the
    /// program wrote it last.
    Subscriptions,
    /// Show a stream as a whole, truncate, delete or archive it, or say how much of it is kept
    ///
    /// Versions and the order of all events never change: what is left keeps its version, and the next event
    /// gets the one behind the last that the stream ever had. Space is given back when the log is compacted.
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Load events from a file or standard input, one JSON object a line
    ///
    /// An object has the fields category, stream (a number or a text, read as `annals read` reads an ID), type and
    /// data, and may have expected_version (a version, "any", "none" or "exists"), id, correlation and causation
    /// (UUIDs), type_version, and metadata (by each name a text, or an array of several); data_base64 and format ("bytes",
    /// or "archive" with the layout that `annals log --json` prints for it, null if that was never told) stand for data
    /// that are no JSON. seq, version, time and hash are ignored, so that it takes what `annals log --json`
    /// prints. An event whose id its stream has already is passed over: a load that broke off can be repeated.
    ///
    /// A category that is not there is made, and not chained, also if the lines have hashes: one that is to be chained is
    /// created before the load, by `annals keyspace create NAME --kind streams --chained`.
    ///
    /// A line that cannot be stored ends the load and is named. The batches before it stay, of its own nothing is
    /// stored.
    ImportEvents(ImportEventsArgs),
    /// Load events of a table from a log: JSON objects, CSV, lines of web servers or of system logs
    ///
    /// A table that is not there is made, with a schema that the first lines tell (it is shown) or --schema says. A line
    /// that cannot be taken is kept aside, counted and named, and stops nothing. Values that have no field are counted
    /// and left out.
    Ingest(IngestArgs),
    /// List the event tables
    Tables,
    /// Say what events of a table come to: how many there are, and sums, averages and bounds of their numbers, in groups
    ///
    /// An expression compares fields with values (=, !=, <, <=, >, >=, in (a, b), starts with, is absent, is present),
    /// also negated by `not`, and joins that by `and`, `or` and brackets. A flag stands by its name
    /// (`cached`, `cached = false`) or behind its field (`flags set cached`, `flags unset cached`). Strings with blanks stand in quotes. docs/query-language.md has all of it.
    Query(QueryArgs),
    /// List what the events of each UTC day come to, by the values of dimensions that are marked for it: how many there are,
    /// and the sums of metrics and counters
    ///
    /// Sums by day are kept for dimensions with "rollup": true in the schema file (docs/schema-file.md).
    /// `annals query TABLE --bucket 1d --group-by FIELD` makes them of any dimension.
    Rollup(RollupArgs),
    /// List the newest events of a table, the newest first
    Recent(RecentArgs),
    /// Show the event of a table that has this id
    Event(TableEventArgs),
    /// Delete the events of a table that have these ids
    ///
    /// They are in no answer and no sum by day any more. Their space is given back when the part they are in is merged or
    /// dropped. Ids that no event has are counted; if there is no event of any, the exit code is 1.
    DeleteEvents(DeleteEventsArgs),
    /// Write the events of a table to a file or standard output, the oldest first
    ///
    /// A file is called FILE.partial until it is whole, also if the export is broken off; one that is there is not
    /// replaced.
    Export(ExportArgs),
    /// Say how long the events of a table live, and what becomes of one whose id is there already
    ///
    /// Without options shows what holds; that needs no writer's lock. What is said holds from then on.
    Options(OptionsArgs),
    /// Drop the parts of a table that are older than a moment, or damaged
    ///
    /// Parts go whole: events that share one with younger ones stay.
    Gc(GcArgs),
    /// List, create, drop or look at keyspaces
    #[command(subcommand)]
    Keyspace(KeyspaceCommand),
    /// Show what the database holds and what it takes
    ///
    /// Keys are those of keyspaces that are there now (about, of ordered ones), and of event tables the records that lead to
    /// their events. Streams are those of all categories, also those none of whose events are left; how many events they have
    /// `annals streams` tells.
    ///
    /// Write amplification of a keyspace is that of its whole life, since it was made, cleared or loaded last. What is
    /// counted while a database is open (hits of the cache, stalls, what was written to tables) stands below `writer`:
    /// it is what the program that has the database open for writing has counted from `opened` on, and published
    /// at `as of`, or the one that had it last. Without `writer` it has published nothing, or that cannot be
    /// read. What snapshots hold back only the program itself knows: `Database::stats` tells it there.
    Stats,
    /// Read every byte and name file and offset of any damage, in tables also the keys concerned
    ///
    /// Counts the records in the log and in tables (each event is one), those that were replaced or removed since and those
    /// that compaction has moved included, and the keys and streams that are there now, as `annals stats` does. Of chained categories the hashes
    /// of all events are computed anew, and a stream that is not what was appended is named with the version
    /// at which that shows.
    Verify,
    /// Write what is in memory to checkpoint files, so that opening reads less of the log
    Checkpoint,
    /// Rewrite segments of the log that hold dead records, or the tables of an ordered keyspace
    ///
    /// Without a keyspace the log is compacted: segments that hold records which were replaced or
    /// removed since go. With one, its tables are merged until each key lies in one place, without what
    /// was replaced, removed or has expired.
    Compact(CompactArgs),
    /// Copy a consistent state; into a directory with an older backup only what is new
    ///
    /// The directory is made if it is not there, those above it are not.
    Backup(BackupArgs),
    /// Make the database in --data from a backup; --data must not exist or be empty
    Restore(RestoreArgs),
    /// Clear a lock that a dead process left; refuses while its holder lives
    Unlock,
    /// Replay the changes from a sequence number on
    ///
    /// Where the log no longer has the first ones, a note on standard error says where it begins.
    Changes(ChangesArgs),
    /// The whole job on your own data, in a temporary database below TMPDIR: ingest, query, store, read back, prove,
    /// append events, kill a writing child and recover, back up, damage a copy and find it
    Tour(TourArgs),
    /// Measure this machine: throughput and latencies, in a temporary database below TMPDIR
    ///
    /// Of an ordered keyspace a second listing tells the write amplification, how many blocks the cache had (only
    /// compressed tables need it), and how often and how long writers waited for flushes and compactions.
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The key: any bytes
    pub(crate) key: OsString,
    /// The value: any bytes; - reads it from standard input
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: OsString,
    #[command(flatten)]
    pub(crate) keyspace: KeyspaceArg,
    /// Let the record expire after this long, such as 250ms, 90s, 5m, 2h or 7d; a bare number is
    /// seconds
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    pub(crate) ttl: Option<Duration>,
    #[command(flatten)]
    pub(crate) kind: KindIfMade,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

/// The kind of a keyspace that may be there already.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct KindIfMade {
    /// What the keyspace is good at, if this makes it [default: ordered]; one that is there must be of
    /// this kind
    #[arg(long, value_enum)]
    pub(crate) kind: Option<KindArg>,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The key: any bytes
    pub(crate) key: OsString,
    #[command(flatten)]
    pub(crate) keyspace: KeyspaceArg,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    /// The ordered keyspace whose tables are compacted, instead of the log
    #[arg(short, long, value_name = "KEYSPACE")]
    pub(crate) keyspace: Option<String>,
    /// Leave alone what lies before this key
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, requires = "keyspace")]
    pub(crate) from: Option<OsString>,
    /// Leave alone this key and what lies behind it
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, requires = "keyspace")]
    pub(crate) to: Option<OsString>,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Only keys that start with these bytes; a hash keyspace is read whole to find them
    pub(crate) prefix: Option<OsString>,
    /// The same, for prefixes that start with a minus
    #[arg(
        long = "prefix",
        value_name = "PREFIX",
        allow_hyphen_values = true,
        conflicts_with = "prefix"
    )]
    pub(crate) named_prefix: Option<OsString>,
    #[command(flatten)]
    pub(crate) keyspace: KeyspaceArg,
    /// Begin with this key, or the next one that is there; only for ordered keyspaces
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) from: Option<OsString>,
    /// End before this key; only for ordered keyspaces
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) to: Option<OsString>,
    /// The last key first; only for ordered keyspaces
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Stop after this many
    #[arg(long, value_name = "N", value_parser = units::parse_number)]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchPutArgs {
    /// The file to read; - reads standard input. A carriage return at the end of a line is part of
    /// the record. Blank lines are passed over and counted on standard error, unless
    /// --key-from-line-number makes records of them
    pub(crate) file: PathBuf,
    /// What stands between key and value; \t is a tab. A line without it ends the load; the
    /// batches before it stay
    #[arg(long, value_name = "TEXT", default_value = ",", allow_hyphen_values = true)]
    pub(crate) separator: String,
    /// The whole line is the value, its number in ten digits the key; a blank line is an empty value
    #[arg(long, conflicts_with = "separator")]
    pub(crate) key_from_line_number: bool,
    /// Records a commit; fewer if they come to more than 16 MiB
    #[arg(long, value_name = "N", default_value = "1000", value_parser = units::parse_from_one)]
    pub(crate) batch: NonZeroU64,
    /// After each commit print {"acked": N}: N records are stored that kill -9 cannot take any
    /// more, and with --durability sync no power cut either
    #[arg(long)]
    pub(crate) progress_json: bool,
    #[command(flatten)]
    pub(crate) keyspace: KeyspaceArg,
    #[command(flatten)]
    pub(crate) kind: KindIfMade,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyspaceCommand {
    /// List the keyspaces
    List,
    /// Make a keyspace
    Create {
        /// Its name
        name: String,
        /// What it is good at [default: ordered]
        #[arg(long, value_enum)]
        kind: Option<AnyKindArg>,
        /// Let records, and events, expire after this long unless they say otherwise, such as 250ms, 90s,
        /// 5m, 2h or 7d; a bare number is seconds
        #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
        ttl: Option<Duration>,
        /// Of a category: let each event carry a hash of itself and of all before it in its stream, so that
        /// it shows when one is changed, removed, put in or put elsewhere; 64 bytes more an event
        #[arg(long)]
        chained: bool,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Load sorted records into an ordered keyspace, in place of all it holds
    ///
    /// For input that is in the order of its keys, byte by byte, each once: it goes straight to tables, not through the
    /// log and memory as by batch-put. There is one commit, at the end, which is on the device whatever --durability
    /// says: a load that breaks off stores nothing. A keyspace that is not there is made.
    Load {
        /// Its name
        name: String,
        /// The file to read, one record a line; - reads standard input. A carriage return at the end of a line
        /// is part of the record. Blank lines are passed over and counted on standard error, unless
        /// --key-from-line-number makes records of them
        file: PathBuf,
        /// What stands between key and value; \t is a tab
        #[arg(long, value_name = "TEXT", default_value = ",", allow_hyphen_values = true)]
        separator: String,
        /// The whole line is the value, its number in ten digits the key; a blank line is an empty value
        #[arg(long, conflicts_with = "separator")]
        key_from_line_number: bool,
        /// Let records go that the keyspace holds: without it such a keyspace is refused
        #[arg(long)]
        replace: bool,
        /// Print {"acked": N} when all N records are stored, and nothing before
        #[arg(long)]
        progress_json: bool,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Remove a keyspace and all it holds; of a category all its streams
    Drop {
        /// Its name
        name: String,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Show what a keyspace holds
    ///
    /// Write amplification is that of its whole life, since it was made, cleared or loaded last. Stalls and hits of the
    /// cache are of the whole database: `annals stats` shows them.
    Stats {
        /// Its name
        name: String,
    },
}

/// The kinds of keyspaces by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnyKindArg {
    /// Point look-ups without a copy; all keys are in memory
    Hash,
    /// Keys in their order: ranges and prefixes, also of more data than memory
    Ordered,
    /// A category of event streams
    Streams,
}

/// The kinds of keyspaces that hold keys and values, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// Point look-ups without a copy; all keys are in memory
    Hash,
    /// Keys in their order: ranges and prefixes, also of more data than memory
    Ordered,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where the backup goes
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup's directory
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ChangesArgs {
    /// The first sequence number wanted; by default the oldest there is
    #[arg(long, value_name = "SEQ", value_parser = units::parse_number)]
    pub(crate) from: Option<u64>,
    /// Wait for more, until interrupted or nobody reads any more
    #[arg(long)]
    pub(crate) follow: bool,
    /// Stop after this many
    #[arg(long, value_name = "N", value_parser = units::parse_number)]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct TourArgs {
    /// A directory (each file is a record) or a line-based file (each line is one)
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Leave the temporary database and its copies there afterwards
    #[arg(long)]
    pub(crate) keep: bool,
    /// Take no more input than this into memory
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = units::parse_bytes)]
    pub(crate) max_bytes: u64,
    /// The kind of the keyspaces that hold the data [default: ordered]
    #[arg(long, value_enum)]
    pub(crate) kind: Option<KindArg>,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Operations of each row
    #[arg(long, value_name = "N", default_value = "100000", value_parser = units::parse_from_one)]
    pub(crate) ops: NonZeroU64,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value = "100", value_parser = units::parse_bytes)]
    pub(crate) value_size: u64,
    /// Threads that share the operations
    #[arg(long, value_name = "T", default_value = "1", value_parser = units::parse_from_one)]
    pub(crate) threads: NonZeroU64,
    /// Stop a row after this long, however many operations are left, such as 500ms, 5s or 1m
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::parse_duration)]
    pub(crate) time_limit: Duration,
    /// The kind of the keyspaces that are measured [default: ordered]
    #[arg(long, value_enum)]
    pub(crate) kind: Option<KindArg>,
}

impl CommandArgs {
    /// What was said behind the command about writing.
    fn writing(&self) -> WritingArgs {
        match self {
            Self::Put(args) => args.writing,
            Self::Delete(args) => args.writing,
            Self::BatchPut(args) => args.writing,
            Self::Append(args) => args.writing,
            Self::ImportEvents(args) => args.writing,
            Self::Ingest(args) => args.writing,
            Self::Gc(args) => args.writing,
            Self::Options(args) => args.writing,
            Self::DeleteEvents(args) => args.writing,
            Self::Stream(args) => args.writing(),
            Self::Projections(args) => args.writing(),
            Self::Keyspace(
                KeyspaceCommand::Create { writing, .. }
                | KeyspaceCommand::Load { writing, .. }
                | KeyspaceCommand::Drop { writing, .. },
            ) => *writing,
            Self::Compact(args) => args.writing,
            Self::Tour(args) => args.writing,
            _ => WritingArgs::default(),
        }
    }
}

impl CommandLine {
    /// What was said about writing; what stands behind the command counts more.
    pub(crate) fn writing(&self) -> WritingArgs {
        let (before, behind) = (self.writing, self.command.writing());
        WritingArgs {
            durability: behind.durability.or(before.durability),
            segment_bytes: behind.segment_bytes.or(before.segment_bytes),
            memory_bytes: behind.memory_bytes.or(before.memory_bytes),
        }
    }
}

/// Reads the command line. What cannot be read was reported already, in JSON if that was asked
/// for anywhere in it.
pub(crate) fn parse() -> Result<CommandLine, ExitCode> {
    let matches = definition(CommandLine::command()).try_get_matches();
    matches.and_then(|matches| CommandLine::from_arg_matches(&matches)).map_err(|error| {
        let json = std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|a| a == "--json");
        if json && error.use_stderr() {
            let text = error.render().to_string();
            let message = text.trim().trim_start_matches("error: ");
            return Failure::usage(message).report(true);
        }
        if error.kind() == clap::error::ErrorKind::MissingSubcommand {
            tell(CommandLine::command().render_help());
            return ExitCode::from(2);
        }
        // A help text that cannot be written has nobody left to tell.
        let _ = error.print();
        ExitCode::from(error.exit_code().try_into().unwrap_or(2))
    })
}

/// A command whose options take `-1` as their value. That is no option of its own, and a number that must not be below 0 is
/// told to be one.
fn definition(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let takes_values = !arg.is_positional() && arg.get_action().takes_values();
        if takes_values { arg.allow_negative_numbers(true) } else { arg }
    });
    command.mut_subcommands(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        definition(CommandLine::command()).debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        let line = ["annals", "get", "k", "--json", "-k", "users", "--data", "d"];
        let parsed = CommandLine::try_parse_from(line).unwrap();
        assert!(parsed.global.json);
        assert_eq!(parsed.global.data, Some(PathBuf::from("d")));
        let CommandArgs::Get(get) = parsed.command else { panic!("{:?}", parsed.command) };
        assert_eq!((get.key.as_os_str(), &*get.keyspace.keyspace), ("k".as_ref(), "users"));
    }

    #[test]
    fn how_to_write_is_said_before_or_behind_a_command_that_writes() {
        let writing = |line: &[&str]| CommandLine::try_parse_from(line).map(|line| line.writing());
        for line in [
            &["annals", "--durability", "sync", "--segment-bytes", "1MiB", "put", "k", "v"][..],
            &["annals", "put", "k", "v", "--durability", "sync", "--segment-bytes", "1MiB"],
            &[
                "annals",
                "--durability",
                "buffered",
                "keyspace",
                "drop",
                "k",
                "--durability",
                "sync",
                "--segment-bytes",
                "1MiB",
            ],
        ] {
            let said = writing(line).unwrap();
            assert_eq!(
                (said.durability, said.segment_bytes),
                (Some(DurabilityArg::Sync), Some(1 << 20))
            );
        }
        assert!(writing(&["annals", "get", "k", "--durability", "sync"]).is_err());
    }

    #[test]
    fn values_may_look_like_options_and_standard_input() {
        for value in ["-", "-5", "--x"] {
            let parsed = CommandLine::try_parse_from(["annals", "put", "k", value]).unwrap();
            let CommandArgs::Put(put) = parsed.command else { panic!("{:?}", parsed.command) };
            assert_eq!(put.value, value);
        }
    }

    #[test]
    fn zero_and_contradictions_are_refused() {
        let bad: [&[&str]; 8] = [
            &["annals", "read", "orders", "7", "--follow", "--backward"],
            &["annals", "append", "orders", "7", "{}", "--expected-version", "-1"],
            &["annals", "import-events", "f", "--batch", "0"],
            &["annals", "batch-put", "f", "--batch", "0"],
            &["annals", "batch-put", "f", "--separator", ";", "--key-from-line-number"],
            &["annals", "bench", "--threads", "0"],
            &["annals", "put", "k", "v", "--ttl", "0s"],
            &["annals", "get", "k", "--durability", "none"],
        ];
        for line in bad {
            assert!(CommandLine::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
