//! `annals batch-put`: a bulk load, one record a line, many records a commit.
//!
//! Input streams: one line and one batch are in memory. What is acknowledged was committed; a
//! failure leaves the batches before it in place and says how many records those are.

use super::Command;
use crate::{
    clock::Stopwatch,
    failure::{Failure, Kind, Result},
    keyspace::Keyspace,
    lines::{KeyRule, LineError, Lines},
    output::{Form, Progress, Report, note},
    session::Session,
    units,
};
use annals::{Database, KeyspaceKind, WriteBatch};
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

/// A batch that has grown to this is committed, however few records it has: what is in memory and
/// what one commit takes in the log stay bounded.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// Loads records from lines.
#[derive(Debug)]
pub(crate) struct BatchPut {
    pub(crate) keyspace: String,
    pub(crate) input: Input,
    pub(crate) rule: KeyRule,
    pub(crate) batch: u64,
    pub(crate) progress_json: bool,
    pub(crate) kind: Option<KeyspaceKind>,
}

/// Where lines come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// Standard input.
    Standard,
    /// A file.
    File(PathBuf),
}

impl Command for BatchPut {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let (input, total_bytes) = open(&self.input)?;
        let mut lines = Lines::new(input, self.rule.clone());
        if session.settings.is_empty() {
            // Of input that is refused no database comes to be.
            lines.begin().map_err(|error| {
                let failure = explain(error);
                Failure::new(failure.kind(), format!("{failure}; nothing was stored"))
            })?;
        }
        let db = session.writer()?;
        let was_there = db.keyspaces().iter().any(|info| info.name == self.keyspace);
        let keyspace = Keyspace::open_or_make(&db, &self.keyspace, self.kind)?;
        let wanted = session.form() != Form::Json && !self.progress_json;
        let load = Load {
            db: &db,
            keyspace: &keyspace,
            lines,
            batch: db.batch(),
            batch_records_max: self.batch,
            acked: 0,
            acked_line: 0,
            value_bytes: 0,
            bar: Progress::bytes(total_bytes, wanted),
            clock: Stopwatch::start(),
            progress_json: self.progress_json,
        };
        let outcome = load.run(session);
        if outcome.is_err() && !was_there && keyspace.is_empty()? {
            // Nothing was stored: not even an empty keyspace stays. If that fails, the first
            // failure is the one to tell.
            drop(db.drop_keyspace(&self.keyspace));
        }
        let report = outcome?;
        db.close()?;
        if self.progress_json { Ok(()) } else { session.out.report(&report) }
    }
}

fn open(input: &Input) -> Result<(Box<dyn BufRead>, Option<u64>)> {
    const BUFFER_BYTES: usize = 256 << 10;
    match input {
        Input::Standard => {
            Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin())), None))
        }
        Input::File(path) => {
            let failed = |error: io::Error| match error.kind() {
                io::ErrorKind::NotFound => {
                    Failure::usage(format!("there is no file {}", path.display()))
                }
                _ => Failure::file("read", path, &error),
            };
            let file = File::open(path).map_err(failed)?;
            let meta = file.metadata().map_err(failed)?;
            if meta.is_dir() {
                let path = path.display();
                return Err(Failure::usage(format!("{path} is a directory, not a file of lines")));
            }
            let total_bytes = meta.is_file().then_some(meta.len());
            Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, file)), total_bytes))
        }
    }
}

/// A load under way.
struct Load<'a> {
    db: &'a Database,
    keyspace: &'a Keyspace,
    lines: Lines<Box<dyn BufRead>>,
    batch: WriteBatch,
    batch_records_max: u64,
    /// Records committed.
    acked: u64,
    /// The line of the last record committed.
    acked_line: u64,
    value_bytes: u64,
    bar: Progress,
    clock: Stopwatch,
    progress_json: bool,
}

impl Load<'_> {
    fn run(mut self, session: &mut Session) -> Result<Report> {
        loop {
            match self.take_line() {
                Ok(false) => break,
                Ok(true) => {}
                Err(failure) => return Err(self.say_what_stays(&failure)),
            }
            if self.batch.len() as u64 >= self.batch_records_max
                || self.batch.len_bytes() >= BATCH_BYTES_MAX
            {
                self.commit(session)?;
            }
        }
        self.commit(session)?;
        self.bar.clear();
        match self.lines.blank_count() {
            0 => {}
            blank => {
                let s = if blank == 1 { "" } else { "s" };
                let text = format!("{} blank line{s} passed over", units::count(blank));
                note(session.form(), &text, "blank_lines_count", blank);
            }
        }
        let seconds = self.clock.seconds();
        let input_bytes = self.lines.consumed_bytes();
        let mut report = Report::default();
        report
            .count("records_count", self.acked)
            .bytes("input_bytes", input_bytes)
            .bytes("value_bytes", self.value_bytes)
            .seconds("seconds", seconds)
            .rate("records_per_second", units::rate(self.acked, seconds));
        Ok(report)
    }

    /// Puts the next line into the batch; false at the end.
    fn take_line(&mut self) -> Result<bool> {
        let line = match self.lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(false),
            Err(error) => return Err(explain(error)),
        };
        self.value_bytes += line.value.len() as u64;
        let put = self.keyspace.insert_into(&mut self.batch, line.key, line.value);
        put.map_err(|failure| failure.context(&self.here()))?;
        Ok(true)
    }

    fn commit(&mut self, session: &mut Session) -> Result<()> {
        let batch = std::mem::replace(&mut self.batch, self.db.batch());
        let count = batch.len() as u64;
        if count == 0 {
            return Ok(());
        }
        if let Err(error) = batch.commit() {
            return Err(self.say_what_stays(&error.into()));
        }
        self.acked += count;
        self.acked_line = self.lines.number();
        let (acked, seconds) = (self.acked, self.clock.seconds());
        self.bar.at(self.lines.consumed_bytes(), || {
            let rate = units::count(units::rate(acked, seconds) as u64);
            format!("· {} records · {rate}/s", units::count(acked))
        });
        if self.progress_json {
            let told = session.out.object(|object| {
                object.value("acked", acked);
            });
            match told.and_then(|()| session.out.flush()) {
                // Nobody listens any more; the load is still wanted.
                Err(failure) if failure.kind() == Kind::ReaderGone => self.progress_json = false,
                told => return told,
            }
        }
        Ok(())
    }

    fn here(&self) -> String {
        format!("line {}", self.lines.number())
    }

    fn say_what_stays(&self, failure: &Failure) -> Failure {
        let (kind, line) = (failure.kind(), self.acked_line);
        let stays = match self.acked {
            0 => "nothing was stored".to_owned(),
            n => format!(
                "the {} records up to line {line} are stored, nothing after them",
                units::count(n)
            ),
        };
        Failure::new(kind, format!("{failure}; {stays}"))
    }
}

fn explain(error: LineError) -> Failure {
    match error {
        LineError::NoSeparator { number } => Failure::usage(format!(
            "line {number} has no separator; name another with --separator, or use \
             --key-from-line-number"
        )),
        LineError::TooLong { number, limit_bytes } => Failure::usage(format!(
            "line {number} is longer than {limit_bytes} bytes, the most a record can be"
        )),
        LineError::Io(error) => {
            Failure::new(Kind::Other("io"), format!("could not read the input: {error}"))
        }
    }
}
