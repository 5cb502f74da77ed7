//! What is typed behind the commands about event streams.

use super::WritingArgs;
use crate::{category, units};
use annals::{ChainHead, ExpectedVersion};
use clap::{Args, Subcommand};
use std::{ffi::OsString, num::NonZeroU64, path::PathBuf, time::Duration};

/// A stream of a category.
#[derive(Debug, Args)]
pub(crate) struct StreamArg {
    /// The category of streams
    #[arg(value_name = "STREAM")]
    pub(crate) category: String,
    /// The stream in it: a number below 2^64, a UUID, or else a text. What is no number as it is
    /// written, such as 007, is a text; text:7 is the text 7
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// What happened, as JSON; - reads it from standard input
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) data_json: OsString,
    /// The type of the event
    #[arg(long = "type", value_name = "TYPE", default_value = "event")]
    pub(crate) type_name: String,
    /// The version of its type
    #[arg(long, value_name = "N", default_value = "1", value_parser = units::parse_number_32)]
    pub(crate) type_version: u32,
    /// Its id. If the stream has an event of this id already, nothing is appended, and what is printed is where
    /// that one is: an append that may have happened can be repeated
    #[arg(long = "id", value_name = "UUID", value_parser = category::parse_id)]
    pub(crate) event_id: Option<u128>,
    /// The conversation it belongs to
    #[arg(long, value_name = "UUID", value_parser = category::parse_id)]
    pub(crate) correlation: Option<u128>,
    /// The event or command that caused it
    #[arg(long, value_name = "UUID", value_parser = category::parse_id)]
    pub(crate) causation: Option<u128>,
    /// A text that goes with it, by name; may be said several times, with other names
    #[arg(long = "meta", value_name = "NAME=TEXT", value_parser = category::parse_pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// Only if the stream is as said: the version of its last event, none if it has no events, exists
    /// if it has, any. If it is not, the command fails with exit code 5 and names both
    #[arg(
        long,
        value_name = "V|any|none|exists",
        default_value = "any",
        value_parser = category::parse_expected
    )]
    pub(crate) expected_version: ExpectedVersion,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// Begin with the event of this version; the first one has version 0
    #[arg(long, value_name = "V", value_parser = units::parse_number)]
    pub(crate) from: Option<u64>,
    /// The last event first
    #[arg(long, conflicts_with = "follow")]
    pub(crate) backward: bool,
    /// Stop after this many
    #[arg(long, value_name = "N", value_parser = units::parse_number)]
    pub(crate) limit: Option<u64>,
    /// Wait for more, until interrupted or nobody reads any more
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The first sequence number wanted; by default the oldest event
    #[arg(long, value_name = "SEQ", value_parser = units::parse_number)]
    pub(crate) from: Option<u64>,
    /// Only events of this type, of whatever version
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) type_name: Option<String>,
    /// Only events of this category of streams
    #[arg(long = "stream", value_name = "CATEGORY")]
    pub(crate) category: Option<String>,
    /// Also the events of archived streams, which a copy of all events needs
    #[arg(long)]
    pub(crate) with_archived: bool,
    /// Stop after this many
    #[arg(long, value_name = "N", value_parser = units::parse_number)]
    pub(crate) limit: Option<u64>,
    /// Wait for more, until interrupted or nobody reads any more
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StreamsArgs {
    /// The category whose streams are listed
    pub(crate) category: Option<String>,
    /// Stop after this many
    #[arg(long, value_name = "N", value_parser = units::parse_number)]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ProjectionsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ProjectionCommand>,
}

/// What is done to a projection.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionCommand {
    /// Let it handle nothing until it is resumed, whoever runs it, also after a restart
    ///
    /// While a program has the database open for writing, which one that runs projections has, this is locked out (exit code 4):
    /// the program itself calls `Database::pause_projection`.
    Pause {
        /// Its name
        name: String,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Let it go on
    ///
    /// While a program has the database open for writing this is locked out (exit code 4): the program itself calls
    /// `Database::resume_projection`.
    Resume {
        /// Its name
        name: String,
        #[command(flatten)]
        writing: WritingArgs,
    },
}

impl ProjectionsArgs {
    /// What was said behind the command about writing.
    pub(crate) fn writing(&self) -> WritingArgs {
        match &self.command {
            None => WritingArgs::default(),
            Some(
                ProjectionCommand::Pause { writing, .. }
                | ProjectionCommand::Resume { writing, .. },
            ) => *writing,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportEventsArgs {
    /// The file to read; - reads standard input. Blank lines are passed over and counted on standard
    /// error
    pub(crate) file: PathBuf,
    /// Events a commit; fewer if they come to more than 16 MiB. Of a pipe that stays open nothing is stored before so
    /// many lines have come or it ends: with --batch 1 each event is stored as it comes
    #[arg(long, value_name = "N", default_value = "1000", value_parser = units::parse_from_one)]
    pub(crate) batch: NonZeroU64,
    /// After each commit print {"acked": N}: N events of the input are stored that kill -9 cannot take
    /// any more, and with --durability sync no power cut either
    #[arg(long)]
    pub(crate) progress_json: bool,
    #[command(flatten)]
    pub(crate) writing: WritingArgs,
}

/// What is done to a stream as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum StreamCommand {
    /// Show which versions are left, and what holds for the stream
    Info {
        #[command(flatten)]
        stream: StreamArg,
    },
    /// Give up the events in front of a version
    Truncate {
        #[command(flatten)]
        stream: StreamArg,
        /// The first version that is left
        #[arg(value_name = "VERSION", value_parser = units::parse_number, allow_negative_numbers = true)]
        before: u64,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Give up all events; the stream may be appended to again
    Delete {
        #[command(flatten)]
        stream: StreamArg,
        /// Never let anybody append to it again
        #[arg(long)]
        for_good: bool,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Let nobody append to it, and readers of many streams pass over it, until it is restored
    Archive {
        #[command(flatten)]
        stream: StreamArg,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Take it back from the archive
    Restore {
        #[command(flatten)]
        stream: StreamArg,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Say how much of it is kept; without options everything
    Keep {
        #[command(flatten)]
        stream: StreamArg,
        /// Keep the last N events
        #[arg(long, value_name = "N", value_parser = units::parse_number)]
        count: Option<u64>,
        /// Keep events for this long, such as 90s, 5m, 2h or 7d; a bare number is seconds
        #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
        age: Option<Duration>,
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// Of a chained category: compute all hashes anew, and print the last event's as VERSION:HASH
    ///
    /// What is printed, kept where nobody who can write the database can change it, and said with --head later,
    /// shows also that the end was cut off or that the whole stream was written anew. The category must have
    /// been made with `annals keyspace create NAME --kind streams --chained`.
    Verify {
        #[command(flatten)]
        stream: StreamArg,
        /// What this command has printed before and was kept elsewhere: the stream must still be what it
        /// was then, up to there
        #[arg(long, value_name = "VERSION:HASH", value_parser = category::parse_head)]
        head: Option<ChainHead>,
    },
}

impl StreamCommand {
    /// What was said behind the command about writing.
    pub(crate) fn writing(&self) -> WritingArgs {
        match self {
            Self::Info { .. } | Self::Verify { .. } => WritingArgs::default(),
            Self::Truncate { writing, .. }
            | Self::Delete { writing, .. }
            | Self::Archive { writing, .. }
            | Self::Restore { writing, .. }
            | Self::Keep { writing, .. } => *writing,
        }
    }
}
