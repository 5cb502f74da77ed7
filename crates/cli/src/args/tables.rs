//! The arguments of commands about event tables.

use super::WritingArgs;
use crate::units;
use clap::{Args, ValueEnum};
use std::{num::NonZeroU64, path::PathBuf, time::Duration};

#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// The table; made on first use
    pub(crate) table: String,
    /// The file to read; - reads standard input
    pub(crate) file: PathBuf,
    /// What the lines are
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) format: FormatArg,
    /// What events are: JSON as --show-schema prints it. By default the table's own schema, or for a new table what
    /// the first 10,000 lines tell. A table that is there may get more fields by it, all of them optional
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Print the schema that would be used, and store nothing
    #[arg(long)]
    pub(crate) show_schema: bool,
    /// Where lines go that cannot be taken; added to if it is there [default: TABLE.rejected]. They are there before the commit
    /// that passes over them: of a load that was killed and goes on some may be there twice, and none is missing. Their numbers,
    /// and what is wrong with each, are in FILE.lines
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// The first line that cannot be taken ends it; the batches before it stay
    #[arg(long)]
    pub(crate) strict: bool,
    /// Pass over the lines before this one, counted from 1: where a load that broke off goes on. The table keeps with each
    /// commit how far it is: lines that the last load has stored of the same input are passed over as well, and that is
    /// told; so 1 goes on too (of standard input up to 64 MiB of lines behind this one). Without this option all lines are
    /// loaded, also once more
    #[arg(long, value_name = "N", value_parser = units::parse_from_one)]
    pub(crate) from_line: Option<NonZeroU64>,
    /// Events a commit; fewer if their lines come to more than 16 MiB
    #[arg(long, value_name = "N", default_value = "4096", value_parser = units::parse_from_one)]
    pub(crate) batch: NonZeroU64,
    /// After each commit print {"acked": N, "line": L, "rejected": R}: N events of the lines up to L are stored that
    /// kill -9 cannot take any more, and with --durability sync no power cut either
    #[arg(long)]
    pub(crate) progress_json: bool,
    #[command(flatten)]
    pub(crate) options: TableOptionsArgs,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

/// Options of an event table.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TableOptionsArgs {
    /// Let events be over so long after their own times, such as 90s, 2h or 30d: they are in no answer any more, and
    /// their space is given back in the background
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    pub(crate) ttl: Option<Duration>,
    /// Also if events that are there are over by --ttl at once: they are gone for good, whatever is said later. Without this
    /// it is told how many there are, and nothing changes
    #[arg(long, requires = "ttl")]
    pub(crate) yes: bool,
    /// What becomes of an event whose id is there already [default: keep]
    #[arg(long, value_enum)]
    pub(crate) duplicates: Option<DuplicatesArg>,
}

/// What becomes of an event whose id is there already, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DuplicatesArg {
    /// It is one more
    Keep,
    /// Nothing of what it is appended with is stored
    Refuse,
    /// It is left out: what was loaded before can be loaded again
    Ignore,
}

#[derive(Debug, Args)]
pub(crate) struct OptionsArgs {
    /// The table
    pub(crate) table: String,
    #[command(flatten)]
    pub(crate) options: TableOptionsArgs,
    /// Let events live for ever; those that were over by then stay so
    #[arg(long, conflicts_with = "ttl")]
    pub(crate) forever: bool,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

/// The formats of lines by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// What most of the first lines are
    Auto,
    /// A JSON object each
    Ndjson,
    /// A heading, then records with the same separator: comma, semicolon, tab or bar
    Csv,
    /// Web servers: the common format with referer and user agent
    Combined,
    /// Web servers: client, user, time, request, status, bytes
    Common,
    /// System logs: RFC 5424, RFC 3164, or these with a time as in RFC 3339
    Syslog,
}

/// Which events are meant.
#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Only events for which this holds, such as 'status >= 500 and path starts with "/x"'; of several all hold
    #[arg(long = "where", value_name = "EXPR")]
    pub(crate) expressions: Vec<String>,
    /// Only events of this time or later: 2015-05-17, 2015-05-17T10:05:03Z, now, or -1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) damage: DamageArgs,
}

/// What becomes of events that are damaged.
#[derive(Debug, Args)]
pub(crate) struct DamageArgs {
    /// Leave out all parts that are damaged anywhere, and tell which these are; reads the whole table first
    #[arg(long)]
    pub(crate) without_damage: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecentArgs {
    /// The table
    pub(crate) table: String,
    /// So many at most
    #[arg(short = 'n', long, value_name = "N", default_value = "10", value_parser = units::parse_number)]
    pub(crate) count: u64,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RollupArgs {
    /// The table
    pub(crate) table: String,
    /// Only this day: 2015-05-17, now, or -1d
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        conflicts_with_all = ["since", "until"]
    )]
    pub(crate) day: Option<String>,
    /// Only days with events of this time or later; days are taken as a whole
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Only days with events before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// By these dimensions [default: all that are marked]
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) field: Vec<String>,
    /// Only events with this value
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) value: Option<String>,
    #[command(flatten)]
    pub(crate) damage: DamageArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TableEventArgs {
    /// The table
    pub(crate) table: String,
    /// The event's id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) damage: DamageArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteEventsArgs {
    /// The table
    pub(crate) table: String,
    /// Ids; a single - reads them from standard input, one a line, 65,536 a commit (a carriage return at the end of a line
    /// is part of the id). Those that begin with a minus stand behind a --
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["before", "damaged"])))]
pub(crate) struct GcArgs {
    /// The table
    pub(crate) table: String,
    /// Drop what is all older than this: 2015-05-17, 2015-05-17T10:05:03Z, or -30d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) before: Option<String>,
    /// Drop what is damaged instead: every part that is damaged anywhere and every batch of fresh events. Their events are
    /// lost, unless there is a backup
    #[arg(long)]
    pub(crate) damaged: bool,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The table
    pub(crate) table: String,
    /// The file to make; - or none writes to standard output
    pub(crate) file: Option<PathBuf>,
    /// What is written [default: what the file's name says, or ndjson]
    #[arg(long, value_enum)]
    pub(crate) format: Option<ExportFormatArg>,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
}

/// The formats of exports by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormatArg {
    /// A JSON object an event
    Ndjson,
    /// A heading, then records
    Csv,
    /// Columns, compressed (builds with the feature arrow)
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The table
    pub(crate) table: String,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// In groups of events that have the same value of these fields
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) group_by: Vec<String>,
    /// In groups of so much time, such as 90s, 5m, 2h or 1d, counted from 1970 on
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    pub(crate) bucket: Option<Duration>,
    /// The sum of a field's numbers
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) sum: Vec<String>,
    /// What an event has on average
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) avg: Vec<String>,
    /// The lowest number
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) min: Vec<String>,
    /// The highest number
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) max: Vec<String>,
    /// The median: the lowest number that half of all are not above. This and the next two take 8 bytes of memory for
    /// each number that is meant, unless --sketch is said
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) p50: Vec<String>,
    /// The lowest number that 95 of a hundred are not above
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) p95: Vec<String>,
    /// The lowest number that 99 of a hundred are not above
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) p99: Vec<String>,
    /// How many values differ, of any field: up to 2,048 exact, above that an estimate (error 0.81 %), shown with a ~
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) distinct: Vec<String>,
    /// Only the N groups with the highest first figure (or most events, if nothing is asked for), the highest first
    #[arg(long, value_name = "N", value_parser = units::parse_number)]
    pub(crate) top: Option<u64>,
    /// Take percentiles from sketches: at most one part in 256 beside the right number, and whole numbers below 256
    /// exact, in memory that does not grow with the events
    #[arg(long)]
    pub(crate) sketch: bool,
    /// Draw the first figure (or how many events there are) of each group
    #[arg(long)]
    pub(crate) plot: bool,
    /// Instead of the answer show what the question uses of each part: it is asked by one thread, of parts only
    #[arg(long, conflicts_with = "plot")]
    pub(crate) explain: bool,
}
