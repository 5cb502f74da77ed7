//! `annals ingest`: lines of a log become events of a table, many a commit.
//!
//! What is acknowledged was committed; a failure leaves the batches before it in place. A line that cannot be taken is
//! kept aside, counted and named, and stops nothing unless that is asked for.

use super::{open, options::Said, refused};
use crate::{
    clock::{Stopwatch, now_ns},
    command::Command,
    failure::{Failure, Kind, Result},
    ingest::{
        Filler, Format, Inference, Inferred, Mark, Parser, REASONS_END, Reader, Record, Rejects,
        read_schema, reasons_path, separator_of, show_schema,
    },
    input::Input,
    output::{Form, Progress, Report, note, printable, tell},
    session::Session,
    units,
};
use annals::{
    Database, ErrorKind, EventTable,
    columns::{Batch, Schema},
};
use std::{
    collections::VecDeque,
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::Arc,
};

/// So many lines are looked at for a schema, or so many bytes of them.
const LOOK_LINES: usize = 10_000;
const LOOK_BYTES: usize = 16 << 20;
/// So many tell the format, where the schema is known.
const LOOK_LINES_FORMAT: usize = 20;
/// A batch of lines that have grown to this is committed, however few they are.
const BATCH_BYTES_MAX: u64 = 16 << 20;
/// A load of so many events makes a part of what is in none yet; parts of fewer are not worth having.
const PART_EVENTS_MIN: u64 = 4_096;
/// So many bytes are kept of lines that are read ahead, where they come only once, to tell whether they are stored already.
const AHEAD_BYTES_MAX: u64 = 64 << 20;
/// What a line that is kept takes besides its own bytes: of many short ones this is nearly all.
const HELD_BYTES: u64 = size_of::<Held>() as u64 + 32;
/// So many lines that could not be taken are named one by one.
const NAMED_MAX: u64 = 10;

/// The longest name that file systems take, in bytes: that a longer one is refused would show only at the first line that
/// cannot be taken, in the middle of a load.
const FILE_NAME_BYTES_MAX: usize = 255;

/// Loads events of a table from lines.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) table: String,
    pub(crate) input: Input,
    /// `None` to find out.
    pub(crate) format: Option<Format>,
    pub(crate) schema: Option<PathBuf>,
    pub(crate) rejects: Option<PathBuf>,
    pub(crate) options: Said,
    pub(crate) manner: Manner,
}

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Events a commit.
    pub(crate) batch: u64,
    /// The first line that is taken, of a load that goes on.
    pub(crate) from_line: Option<u64>,
    /// Whether the first line that cannot be taken ends it.
    pub(crate) is_strict: bool,
    /// Whether the schema is shown, and nothing stored.
    pub(crate) shows_schema: bool,
    /// Whether each commit is acknowledged on standard output.
    pub(crate) progress_json: bool,
}

const NOTHING: &str = "there is nothing in the input; nothing was stored";

/// A record that was read ahead.
#[derive(Debug)]
struct Held {
    number: u64,
    /// Its last line.
    line: u64,
    bytes: Vec<u8>,
    is_cut: bool,
}

type Lines = Reader<Box<dyn BufRead>>;

impl Command for Ingest {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let rejects = self.rejects();
        let reasons = reasons_path(&rejects);
        if let Some(read) = [&rejects, &reasons].into_iter().find(|path| self.input.is_file(path)) {
            let shown = read.display();
            return Err(Failure::usage(format!(
                "lines that cannot be taken would be added to {shown}, which is read; name another file with --rejects"
            )));
        }
        if rejects
            .file_name()
            .is_some_and(|name| name.len() + REASONS_END.len() > FILE_NAME_BYTES_MAX)
        {
            return Err(Failure::usage(format!(
                "lines that cannot be taken would go to a file whose name is longer than {FILE_NAME_BYTES_MAX} bytes; \
                 name another file with --rejects"
            )));
        }
        let folder = rejects.parent().filter(|folder| !folder.as_os_str().is_empty());
        if rejects.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
            let shown = rejects.display();
            return Err(Failure::usage(format!(
                "lines that cannot be taken would go to {shown}, which is a folder or in none that is there; name another \
                 file with --rejects"
            )));
        }
        let (input, total_bytes) = self.input.open()?;
        let mut lines = Reader::new(input);
        let given = self.schema.as_ref().map(|path| schema_of_file(path.as_path())).transpose()?;
        let db = self.open_database(session)?;
        let there = db.as_ref().map(|db| find(db, &self.table)).transpose()?.flatten();
        let known = match &there {
            Some(table) => Some(table.schema()?),
            None => given.clone(),
        };
        let look = if known.is_some() { LOOK_LINES_FORMAT } else { LOOK_LINES };
        if self.format.is_none() || known.is_none() {
            lines.look(look, LOOK_BYTES).map_err(|error| unreadable(&error))?;
        }
        let is_at_end = |lines: &mut Lines| lines.is_at_end().map_err(|error| unreadable(&error));
        if self.format.is_none()
            && lines.looked_at().next().is_none()
            && is_at_end(&mut lines)?
            && !self.manner.shows_schema
        {
            return self.nothing(session);
        }
        let format = self.format(&mut lines, look)?;
        let mut parser = begin(&mut lines, format, now_ns())?;
        let schema = match known {
            Some(schema) => given.unwrap_or(schema),
            None => {
                let Some(inferred) = inferred(&lines, &mut parser, format)? else {
                    if is_at_end(&mut lines)? && !self.manner.shows_schema {
                        return self.nothing(session);
                    }
                    return Err(Failure::usage(format!(
                        "no line is {}: there is nothing to look at; name a schema with --schema; nothing was stored",
                        format.name()
                    )));
                };
                self.tell_schema(session, format, &inferred);
                Arc::new(inferred.schema)
            }
        };
        if self.manner.shows_schema {
            return session.out.line(&show_schema(&schema));
        }
        let db = match db {
            Some(db) => db,
            None => session.writer()?,
        };
        let table = db.table(&self.table, &schema);
        let table = table.map_err(|error| refused(&db, &self.table, error))?;
        let before_count = table.view()?.len();
        let set = table.options().map_err(Failure::from);
        if let Err(failure) = set.and_then(|before| self.options.set(&table, before)) {
            if there.is_none() {
                drop(db.drop_keyspace(&self.table));
            }
            return Err(failure);
        }
        let wanted = session.form() != Form::Json && !self.manner.progress_json;
        let mut load = Load {
            manner: self.manner,
            lines,
            parser,
            filler: Filler::new(Arc::clone(&schema)),
            batch: Batch::new(Arc::clone(&schema)),
            batch_bytes: 0,
            table: &table,
            rejects: Rejects::new(rejects),
            rejected: 0,
            acked: 0,
            ignored: 0,
            behind: Mark::default(),
            acked_line: 0,
            is_resumed: false,
            again: total_bytes.map(|_| (&self.input, format)),
            held: VecDeque::new(),
            bar: Progress::bytes(total_bytes, wanted),
            clock: Stopwatch::start(),
        };
        let outcome = load.run(session);
        let in_vain = load.in_vain().filter(|_| outcome.is_ok());
        if (outcome.is_err() || in_vain.is_some()) && there.is_none() && load.acked == 0 {
            // Nothing was stored: not even an empty table stays. If that fails, the first failure is the one to tell.
            drop(db.drop_keyspace(&self.table));
        }
        let mut report = outcome?;
        report.text_field("format", format.name());
        if in_vain.is_none() && table.options()?.ttl.is_some() {
            let count =
                (before_count + load.acked - load.ignored).saturating_sub(table.view()?.len());
            report.count("events_over_count", count);
            tell_over(session.form(), count);
        }
        db.close()?;
        if !self.manner.progress_json {
            session.out.report(&report)?;
        }
        in_vain.map_or(Ok(()), Err)
    }
}

impl Ingest {
    /// Tells that there were no lines: whoever loads logs by a clock has such as well.
    fn nothing(&self, session: &mut Session) -> Result<()> {
        note(session.form(), NOTHING, "events_count", 0);
        if self.manner.progress_json {
            return Ok(());
        }
        let mut report = Report::default();
        report.count("events_count", 0).count("ignored_count", 0).count("rejected_count", 0);
        session.out.report(&report)
    }

    /// Where lines go that cannot be taken.
    fn rejects(&self) -> PathBuf {
        // A table may have any name; a file's has no slash in it.
        let usual = || PathBuf::from(format!("{}.rejected", self.table.replace('/', "_")));
        self.rejects.clone().unwrap_or_else(usual)
    }

    /// The database, unless there is none yet: of input that is refused none comes to be.
    fn open_database(&self, session: &Session) -> Result<Option<Database>> {
        if session.settings.is_empty() {
            return Ok(None);
        }
        match self.manner.shows_schema {
            true => session.reader().map(Some),
            false => session.writer().map(Some),
        }
    }

    fn format(&self, lines: &mut Lines, looked: usize) -> Result<Format> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let shown = lines.looked_at().take(looked.min(200));
        Format::detect(&shown.collect::<Vec<_>>()).ok_or_else(|| {
            let what = match lines.looked_at().next() {
                None => "there is nothing in the input",
                Some(_) => "the lines have no format that is known",
            };
            Failure::usage(format!("{what}; name the format with --format; nothing was stored"))
        })
    }

    /// Tells what was made of the lines, so that it can be put right.
    fn tell_schema(&self, session: &Session, format: Format, inferred: &Inferred) {
        if session.form() == Form::Json || self.manner.shows_schema {
            for text in &inferred.notes {
                note(session.form(), text, "fields_count", inferred.schema.fields().len() as u64);
            }
            return;
        }
        tell(format_args!(
            "annals: the lines are {}; the schema is (save it, change it, and give it back with --schema)\n{}",
            format.name(),
            show_schema(&inferred.schema)
        ));
        for text in &inferred.notes {
            tell(format_args!("annals: {text}"));
        }
    }
}

fn schema_of_file(path: &Path) -> Result<Arc<Schema>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::usage(format!("there is no file {shown}")),
        io::ErrorKind::InvalidData => Failure::usage(format!("{shown} is not UTF-8")),
        _ => Failure::file("read", path, &error),
    })?;
    let schema = read_schema(&text);
    schema.map(Arc::new).map_err(|what| Failure::usage(format!("{shown} is no schema: {what}")))
}

fn find(db: &Database, name: &str) -> Result<Option<EventTable>> {
    match db.open_table(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Ok(table) => match table.schema() {
            // Whoever began to make it did not come to that.
            Err(annals::Error::NoSchema { .. }) => Ok(None),
            other => other.map(|_| Some(table)).map_err(Failure::from),
        },
        Err(_) => open(db, name).map(Some),
    }
}

/// A parser, behind the heading if there is one.
fn begin(lines: &mut Lines, format: Format, now_ns: i64) -> Result<Parser> {
    let mut heading = Vec::new();
    if format == Format::Csv {
        lines.look(1, 1).map_err(|error| unreadable(&error))?;
        let separator = separator_of(lines.looked_at().next().unwrap_or_default());
        lines.quoted(separator);
        if let Some(record) = lines.next().map_err(|error| unreadable(&error))? {
            heading = record.bytes.strip_suffix(b"\r").unwrap_or(record.bytes).to_vec();
        }
    }
    let failed = |what| Failure::usage(format!("line {}: {what}", lines.number()));
    Parser::new(format, &heading, now_ns).map_err(failed)
}

/// The schema of the lines that were looked at, if there are any.
fn inferred(lines: &Lines, parser: &mut Parser, format: Format) -> Result<Option<Inferred>> {
    let (mut inference, mut failed) = (Inference::new(format), None);
    lines.records_looked_at(|record| match parser.parse(record) {
        Ok(cells) => inference.add(&cells),
        Err(what) => failed = failed.take().or(Some(what)),
    });
    if inference.lines_count() == 0 {
        let Some(what) = failed else { return Ok(None) };
        return Err(Failure::usage(format!(
            "no line is {}: {what}; name another format with --format; nothing was stored",
            format.name()
        )));
    }
    inference.schema().map(Some).map_err(|what| {
        Failure::usage(format!(
            "no schema comes of these lines: {what}; write one, and name it with --schema"
        ))
    })
}

/// A load under way.
struct Load<'t> {
    manner: Manner,
    lines: Lines,
    parser: Parser,
    filler: Filler,
    table: &'t EventTable,
    batch: Batch,
    /// Bytes of the lines in the batch.
    batch_bytes: u64,
    rejects: Rejects,
    rejected: u64,
    /// Events that are stored, and the last line that is behind us with them.
    acked: u64,
    acked_line: u64,
    /// Whether lines were passed over that the last load of this input has stored.
    is_resumed: bool,
    /// What was taken or passed over so far.
    behind: Mark,
    held: VecDeque<Held>,
    /// The input, where it can be read more than once, and what its lines are.
    again: Option<(&'t Input, Format)>,
    /// Those of them that were stored before.
    ignored: u64,
    bar: Progress,
    clock: Stopwatch,
}

impl Load<'_> {
    fn run(&mut self, session: &mut Session) -> Result<Report> {
        self.pass_over_stored(session.form())?;
        loop {
            match self.take_line(session.form()) {
                Ok(false) => break,
                Ok(true) => {}
                Err(failure) => return Err(self.say_what_stays(&failure)),
            }
            if self.batch.len() as u64 >= self.manner.batch || self.batch_bytes >= BATCH_BYTES_MAX {
                self.commit(session)?;
            }
        }
        self.commit(session)?;
        if self.rejected > 0 && self.behind.line > self.acked_line {
            // Lines at the end of which no event came are behind us as well, and not kept aside once more.
            self.table.append_batch_marked(&self.batch, &self.behind.encode())?;
        }
        if self.acked >= PART_EVENTS_MIN {
            // Columns take far less space than what is fresh, and whoever asks next need not make them first.
            self.table.flush()?;
        }
        self.bar.clear();
        self.tell_of_the_rest(session.form());
        Ok(self.report())
    }

    /// What there is to tell if there were lines and none could be taken: that nothing is stored, nobody who waits for these
    /// events would see.
    fn in_vain(&self) -> Option<Failure> {
        if self.acked > 0 || self.is_resumed || self.rejected == 0 {
            return None;
        }
        let lines = match self.rejected {
            1 => "the one line there is could not be taken".to_owned(),
            n => format!("none of the {} lines could be taken", units::count(n)),
        };
        let (path, reasons) = (self.rejects.path(), self.rejects.reasons_path());
        let text = format!(
            "nothing was stored: {lines}; {} tells what is wrong with each line of {}: mend them, or say \
             with --format and --schema what they are",
            reasons.display(),
            path.display()
        );
        Some(Failure::new(Kind::Other("nothing_taken"), text))
    }

    /// Passes over lines that the last load of the table has stored: it may have been killed before it could tell so.
    fn pass_over_stored(&mut self, form: Form) -> Result<()> {
        let Some(from) = self.manner.from_line else { return Ok(()) };
        let stored = self.table.mark()?.as_deref().and_then(Mark::decode);
        let Some(stored) = stored.filter(|stored| stored.line >= from) else { return Ok(()) };
        let is_other = || {
            let text = format!(
                "the last load of this table came to line {} of another input, or this one has changed: taking all lines \
                 from {from} on",
                stored.line
            );
            note(form, &text, "line", stored.line);
        };
        let is_behind = |line| {
            let text = format!(
                "the lines up to {line} are stored already: going on behind them; without --from-line all are loaded, also \
                 where their events are gone since"
            );
            note(form, &text, "line", line);
        };
        if let Some((input, format)) = self.again {
            if mark_of(input, format, stored.line)? != stored {
                is_other();
                return Ok(());
            }
            self.behind = pass_over(&mut self.lines, stored.line)?;
            self.acked_line = self.behind.line;
            self.is_resumed = true;
            is_behind(self.acked_line);
            return Ok(());
        }
        let (mut behind, mut bytes_ahead) = (self.behind, 0);
        while behind.line < stored.line {
            let read = self.lines.next_with_line().map_err(|error| unreadable(&error))?;
            let Some((record, line)) = read else { break };
            behind.pass(record, line);
            let Record { number, bytes, is_cut } = record;
            if number < from {
                self.behind = behind;
                continue;
            }
            bytes_ahead += bytes.len() as u64 + HELD_BYTES;
            self.held.push_back(Held { number, line, bytes: bytes.to_vec(), is_cut });
            // What is behind a piece of a line is read when that is taken.
            if is_cut || bytes_ahead > AHEAD_BYTES_MAX {
                let text = format!(
                    "the last load of this table came to line {}; whether that was of this input cannot be told, so lines \
                     from {from} on may be stored twice",
                    stored.line
                );
                note(form, &text, "line", stored.line);
                return Ok(());
            }
        }
        if behind == stored {
            self.held.clear();
            self.behind = behind;
            self.acked_line = behind.line;
            self.is_resumed = true;
            is_behind(behind.line);
        } else {
            is_other();
        }
        Ok(())
    }

    /// Puts the next line into the batch, or aside; false at the end.
    fn take_line(&mut self, form: Form) -> Result<bool> {
        let held = self.held.pop_front();
        let (record, line) = match &held {
            Some(Held { number, line, bytes, is_cut }) => {
                (Record { number: *number, bytes, is_cut: *is_cut }, *line)
            }
            None => match self.lines.next_with_line().map_err(|error| unreadable(&error))? {
                Some(read) => read,
                None => return Ok(false),
            },
        };
        self.behind.pass(record, line);
        let Record { number, bytes, is_cut } = record;
        if number < self.manner.from_line.unwrap_or(1) {
            return Ok(true);
        }
        self.batch_bytes += bytes.len() as u64;
        let taken = match is_cut {
            true => Err("it is longer than an event can be".to_owned()),
            false => {
                self.parser.parse(bytes).and_then(|cells| self.filler.fill(&cells, &mut self.batch))
            }
        };
        let Err(what) = taken else { return Ok(true) };
        if self.manner.is_strict {
            return Err(Failure::usage(format!("line {number}: {what}")));
        }
        self.rejects.keep(bytes, !is_cut)?;
        if is_cut {
            let rejects = &mut self.rejects;
            self.lines.rest(|piece| rejects.keep(piece, false).map_err(RestError::Aside))?;
            self.rejects.keep(b"", true)?;
        }
        self.rejects.name(number, &what)?;
        self.rejected += 1;
        if self.rejected <= NAMED_MAX {
            self.bar.hidden(|| note(form, &format!("line {number}: {what}"), "line", number));
        }
        Ok(true)
    }

    fn commit(&mut self, session: &mut Session) -> Result<()> {
        self.batch_bytes = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let fresh = Batch::new(Arc::clone(self.batch.schema()));
        let batch = std::mem::replace(&mut self.batch, fresh);
        match self.table.append_batch_marked(&batch, &self.behind.encode()) {
            Ok(done) => self.ignored += done.ignored_count,
            Err(error) => return Err(self.say_what_stays(&error.into())),
        }
        self.acked += batch.len() as u64;
        self.acked_line = self.behind.line;
        let (acked, seconds) = (self.acked, self.clock.seconds());
        self.bar.at(self.lines.consumed_bytes(), || {
            let rate = units::count(units::rate(acked, seconds) as u64);
            format!("· {} events · {rate}/s", units::count(acked))
        });
        if self.manner.progress_json {
            let (line, rejected) = (self.acked_line, self.rejected);
            let told = session.out.object(|object| {
                object.value("acked", acked).value("line", line).value("rejected", rejected);
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

    /// Tells of lines that left nothing, and of values that have no field.
    fn tell_of_the_rest(&self, form: Form) {
        let s = |count: u64| if count == 1 { "" } else { "s" };
        if self.behind.line == 0 {
            note(form, NOTHING, "events_count", 0);
        }
        if self.rejected > 0 {
            let (count, n) = (units::count(self.rejected), self.rejected);
            let (path, reasons) =
                (self.rejects.path().display(), self.rejects.reasons_path().display());
            let text = format!(
                "{count} line{} could not be taken: kept in {path}, with numbers and reasons in {reasons}",
                s(n)
            );
            note(form, &text, "rejected_count", n);
        }
        for (name, count) in self.filler.left_out() {
            let number = units::count(*count);
            let name = printable(name.as_bytes());
            let text = format!("{number} value{} of `{name}` left out: no such field", s(*count));
            note(form, &text, "left_out_count", *count);
        }
        let count = self.lines.blank_count();
        if count > 0 {
            let text = format!("{} blank line{} passed over", units::count(count), s(count));
            note(form, &text, "blank_lines_count", count);
        }
    }

    fn report(&self) -> Report {
        let seconds = self.clock.seconds();
        let mut report = Report::default();
        report
            .count("events_count", self.acked - self.ignored)
            .count("ignored_count", self.ignored)
            .count("rejected_count", self.rejected)
            .bytes("input_bytes", self.lines.consumed_bytes())
            .seconds("seconds", seconds)
            .rate("events_per_second", units::rate(self.acked, seconds));
        report
    }

    fn say_what_stays(&self, failure: &Failure) -> Failure {
        let (kind, line) = (failure.kind(), self.acked_line);
        let stays = match self.acked {
            0 => "nothing was stored".to_owned(),
            1 => format!(
                "the one event up to line {line} is stored, nothing after it; go on with --from-line {}",
                line + 1
            ),
            n => format!(
                "the {} events up to line {line} are stored, nothing after them; go on with --from-line {}",
                units::count(n),
                line + 1
            ),
        };
        Failure::new(kind, format!("{failure}; {stays}"))
    }
}

/// The mark of an input that is read as far as this line.
fn mark_of(input: &Input, format: Format, line: u64) -> Result<Mark> {
    let mut lines = Reader::new(input.open()?.0);
    begin(&mut lines, format, 0)?;
    pass_over(&mut lines, line)
}

/// Passes over the lines up to this one, if there are so many.
fn pass_over(lines: &mut Lines, up_to: u64) -> Result<Mark> {
    let mut behind = Mark::default();
    while behind.line < up_to {
        let read = lines.next_with_line().map_err(|error| unreadable(&error))?;
        let Some((record, line)) = read else { break };
        let is_cut = record.is_cut;
        behind.pass(record, line);
        if is_cut {
            lines.rest(|_| Ok::<_, io::Error>(())).map_err(|error| unreadable(&error))?;
        }
    }
    Ok(behind)
}

/// Tells of events that are in no answer any more.
fn tell_over(form: Form, count: u64) {
    if count > 0 {
        let (number, s) = (units::count(count), if count == 1 { " is" } else { "s are" });
        note(
            form,
            &format!("{number} event{s} over by the time to live"),
            "events_over_count",
            count,
        );
    }
}

/// Why the rest of a line could not be kept aside.
enum RestError {
    Input(io::Error),
    Aside(Failure),
}

impl From<io::Error> for RestError {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}

impl From<RestError> for Failure {
    fn from(error: RestError) -> Self {
        match error {
            RestError::Input(error) => unreadable(&error),
            RestError::Aside(failure) => failure,
        }
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(Kind::Other("io"), format!("could not read the input: {error}"))
}
