//! A bulk load, one record a line, many records a commit.
//!
//! Input streams: one line and one batch are in memory. What is acknowledged was committed; a
//! failure leaves the batches before it in place and says how many records those are.

use crate::{
    clock::Stopwatch,
    failure::{Failure, Kind, Result},
    lines::{Line, LineError, Lines},
    output::{Form, Progress, Report, note},
    session::Session,
    units,
};
use annals::{Database, Durability, WriteBatch};
use std::io::BufRead;

/// A batch that has grown to this is committed, however few records it has: what is in memory and
/// what one commit takes in the log stay bounded.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// Lines to be loaded.
pub(super) type Source = Lines<Box<dyn BufRead>>;

/// What a line becomes.
pub(super) trait Taker {
    /// What lines hold.
    const NAMES: Names;

    /// Puts what is on the line into the batch, unless it is stored already.
    fn take(&mut self, db: &Database, batch: &mut WriteBatch, line: &Line<'_>) -> Result<Taken>;
}

/// What lines hold, and what figures about it are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// One of it, in a sentence.
    pub(super) one: &'static str,
    /// How many there were.
    pub(super) count: &'static str,
    /// How many a second.
    pub(super) rate: &'static str,
    /// The bytes of their values.
    pub(super) bytes: &'static str,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in the batch, with a value of so many bytes.
    Stored(u64),
    /// It was stored before.
    WasThere,
}

/// How a load is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Lines a commit.
    pub(super) batch: u64,
    /// Whether each commit is acknowledged on standard output.
    pub(super) progress_json: bool,
    /// Bytes of input, if that is known.
    pub(super) total_bytes: Option<u64>,
}

/// Why nothing is made for input of which even the first line cannot be loaded.
pub(super) fn refuse(failure: &Failure) -> Failure {
    Failure::new(failure.kind(), format!("{failure}; nothing was stored"))
}

/// A load under way.
pub(super) struct Load<'a, T> {
    db: &'a Database,
    lines: Source,
    taker: T,
    manner: Manner,
    batch: WriteBatch,
    /// Lines since the last commit, and of those the ones that were stored before.
    lines_count: u64,
    there_count: u64,
    /// Lines whose records are stored.
    acked: u64,
    /// Those that were stored before.
    acked_there: u64,
    /// The last line whose record is stored.
    acked_line: u64,
    value_bytes: u64,
    bar: Progress,
    clock: Stopwatch,
}

impl<'a, T: Taker> Load<'a, T> {
    pub(super) fn new(
        session: &Session,
        db: &'a Database,
        lines: Source,
        taker: T,
        manner: Manner,
    ) -> Self {
        let wanted = session.form() != Form::Json && !manner.progress_json;
        Self {
            db,
            lines,
            taker,
            manner,
            batch: db.batch(),
            lines_count: 0,
            there_count: 0,
            acked: 0,
            acked_there: 0,
            acked_line: 0,
            value_bytes: 0,
            bar: Progress::bytes(manner.total_bytes, wanted),
            clock: Stopwatch::start(),
        }
    }

    /// Loads all lines.
    pub(super) fn run(&mut self, session: &mut Session) -> Result<Report> {
        loop {
            match self.take_line() {
                Ok(false) => break,
                Ok(true) => {}
                Err(failure) => return Err(self.say_what_stays(&failure)),
            }
            if self.lines_count >= self.manner.batch || self.batch.len_bytes() >= BATCH_BYTES_MAX {
                self.commit(session)?;
            }
        }
        self.commit(session)?;
        self.bar.clear();
        self.tell_of_passed_over(session.form());
        Ok(self.report())
    }

    fn tell_of_passed_over(&self, form: Form) {
        for (count, before, behind, name) in [
            (self.lines.blank_count(), "blank line", "", "blank_lines_count"),
            (self.acked_there, T::NAMES.one, " stored before", "stored_before_count"),
        ] {
            if count > 0 {
                let (number, s) = (units::count(count), if count == 1 { "" } else { "s" });
                note(form, &format!("{number} {before}{s}{behind} passed over"), name, count);
            }
        }
    }

    fn report(&self) -> Report {
        let seconds = self.clock.seconds();
        // What was stored before is looked for only: with it the rate would be none of storing.
        let stored = self.acked - self.acked_there;
        let mut report = Report::default();
        report
            .count(T::NAMES.count, stored)
            .bytes("input_bytes", self.lines.consumed_bytes())
            .bytes(T::NAMES.bytes, self.value_bytes)
            .seconds("seconds", seconds)
            .rate(T::NAMES.rate, units::rate(stored, seconds));
        report
    }

    /// What lines became, when the load is over.
    pub(super) fn into_taker(self) -> T {
        self.taker
    }

    /// Puts the next line into the batch; false at the end.
    fn take_line(&mut self) -> Result<bool> {
        let line = match self.lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(false),
            Err(error) => return Err(explain(error)),
        };
        let taken = self.taker.take(self.db, &mut self.batch, &line);
        match taken.map_err(|failure| failure.context(&here(&self.lines)))? {
            Taken::Stored(bytes) => self.value_bytes += bytes,
            Taken::WasThere => self.there_count += 1,
        }
        self.lines_count += 1;
        Ok(true)
    }

    fn commit(&mut self, session: &mut Session) -> Result<()> {
        let batch = std::mem::replace(&mut self.batch, self.db.batch());
        if self.lines_count == 0 {
            return Ok(());
        }
        if let Err(failure) = self.store(batch, session) {
            return Err(self.say_what_stays(&failure));
        }
        self.acked += std::mem::take(&mut self.lines_count);
        self.acked_there += std::mem::take(&mut self.there_count);
        self.acked_line = self.lines.number();
        let (acked, seconds) = (self.acked, self.clock.seconds());
        self.bar.at(self.lines.consumed_bytes(), || {
            let rate = units::count(units::rate(acked, seconds) as u64);
            format!("· {} {}s · {rate}/s", units::count(acked), T::NAMES.one)
        });
        if self.manner.progress_json {
            let told = session.out.object(|object| {
                object.value("acked", acked);
            });
            match told.and_then(|()| session.out.flush()) {
                // Nobody listens any more; the load is still wanted.
                Err(failure) if failure.kind() == Kind::ReaderGone => {
                    self.manner.progress_json = false;
                }
                told => return told,
            }
        }
        Ok(())
    }

    fn store(&self, batch: WriteBatch, session: &Session) -> Result<()> {
        // Who stored before what is passed over may have asked for less.
        let is_all_there = batch.is_empty();
        batch.commit()?;
        if is_all_there && session.settings.durability == Durability::Sync {
            self.db.sync()?;
        }
        Ok(())
    }

    fn say_what_stays(&self, failure: &Failure) -> Failure {
        let (kind, line) = (failure.kind(), self.acked_line);
        let stays = match self.acked {
            0 => "nothing was stored".to_owned(),
            1 => {
                format!("the one {} up to line {line} is stored, nothing after it", T::NAMES.one)
            }
            n => format!(
                "the {} {}s up to line {line} are stored, nothing after them",
                units::count(n),
                T::NAMES.one
            ),
        };
        Failure::new(kind, format!("{failure}; {stays}"))
    }
}

/// Which line was read last.
pub(super) fn here(lines: &Source) -> String {
    format!("line {}", lines.number())
}

/// Why a line cannot be loaded.
pub(super) fn explain(error: LineError) -> Failure {
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
