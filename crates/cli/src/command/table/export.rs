//! `annals export`: events of a table in a form that other programs read.

#[cfg(feature = "arrow")]
mod parquet;

use super::{
    open, row,
    which::{Meant, Which},
};
use crate::{
    clock::Stopwatch,
    command::Command,
    failure::{Failure, Result},
    output::{Form, Out, Progress, Report},
    session::{Session, check_place},
};
use annals::{FoundRows, TableView, columns::Schema};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportFormat {
    /// A JSON object an event.
    Ndjson,
    /// A heading, then records.
    Csv,
    Parquet,
}

/// Writes events, the oldest first.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) table: String,
    /// Standard output if none is named.
    pub(crate) file: Option<PathBuf>,
    /// What the file's name says if nothing is said.
    pub(crate) format: Option<ExportFormat>,
    pub(crate) which: Which,
}

impl Command for Export {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let format = self.format()?;
        self.check(format, session.form())?;
        let clock = Stopwatch::start();
        let db = session.reader()?;
        let table = open(&db, &self.table)?;
        let view = self.which.view(&table, session.form())?;
        let meant = self.which.meant(view.schema())?;
        let bar = self.progress(session.form(), &view, &meant)?;
        let Some(path) = &self.file else {
            write_to_stdout(&mut session.out, format, &view, &meant, &bar)?;
            return Ok(());
        };
        let (count, bytes) = write_to_file(path, format, &view, &meant, &bar)?;
        bar.clear();
        let mut report = Report::default();
        report
            .count("events_count", count)
            .bytes("file_bytes", bytes)
            .seconds("seconds", clock.seconds());
        session.out.report(&report)
    }
}

impl Export {
    fn format(&self) -> Result<ExportFormat> {
        let ending = self.file.as_deref().and_then(Path::extension).and_then(|end| end.to_str());
        match (self.format, &self.file, ending) {
            (Some(format), ..) => Ok(format),
            (None, None, _) | (None, _, Some("ndjson" | "jsonl" | "json")) => {
                Ok(ExportFormat::Ndjson)
            }
            (None, _, Some("csv")) => Ok(ExportFormat::Csv),
            (None, _, Some("parquet")) => Ok(ExportFormat::Parquet),
            (None, Some(file), _) => Err(Failure::usage(format!(
                "the name of {} does not say what it is to be; add --format",
                file.display()
            ))),
        }
    }

    /// Whether it can be written there.
    fn check(&self, format: ExportFormat, form: Form) -> Result<()> {
        if format == ExportFormat::Parquet && !cfg!(feature = "arrow") {
            return Err(Failure::usage(
                "this build writes no Parquet, which takes long to build; one that does is made by \
                 `cargo build --release -p annals-cli --features arrow`. --format ndjson and csv go with every build",
            ));
        }
        let Some(path) = &self.file else {
            return match (format, form) {
                (ExportFormat::Csv | ExportFormat::Parquet, Form::Json) => Err(Failure::usage(
                    "--json and this --format contradict each other; leave one away, or name a file",
                )),
                (ExportFormat::Parquet, Form::Terminal) => {
                    Err(Failure::usage("nobody reads Parquet on a terminal; name a file"))
                }
                _ => Ok(()),
            };
        };
        check_place(path, "file", "name another file")?;
        if path.exists() {
            return Err(Failure::usage(format!(
                "{} is there already; name another file, or remove it",
                path.display()
            )));
        }
        Ok(())
    }

    /// Events done of all that are meant, for who does not see them pass by.
    fn progress(&self, form: Form, view: &TableView<'_>, meant: &Meant) -> Result<Progress> {
        // Behind a pipe somebody may draw on the terminal.
        let wanted = form != Form::Json && self.file.is_some();
        let total = if wanted { meant.count(view)? } else { 0 };
        Ok(Progress::counted(total, "events", wanted))
    }
}

fn write_to_stdout(
    out: &mut Out,
    format: ExportFormat,
    view: &TableView<'_>,
    meant: &Meant,
    bar: &Progress,
) -> Result<u64> {
    match format {
        ExportFormat::Parquet => {
            write_parquet(io::stdout(), view, meant, bar, &|error| Failure::output(error))
        }
        _ => write_lines(out, format, view, meant, bar),
    }
}

/// Writes a file, which has its name only when it is whole. How many events and bytes it has.
#[expect(clippy::disallowed_methods, reason = "the file is the user's and no part of a database")]
fn write_to_file(
    path: &Path,
    format: ExportFormat,
    view: &TableView<'_>,
    meant: &Meant,
    bar: &Progress,
) -> Result<(u64, u64)> {
    let partial = partial(path);
    let failed = |error: &io::Error| Failure::file("write", &partial, error);
    let write = || {
        let file = File::create(&partial).map_err(|error| failed(&error))?;
        let own = || file.try_clone().map_err(|error| failed(&error));
        let count = match format {
            ExportFormat::Parquet => {
                let to = io::BufWriter::with_capacity(1 << 20, own()?);
                write_parquet(to, view, meant, bar, &failed)?
            }
            _ => {
                let mut out = Out::into_file(own()?, &partial);
                let count = write_lines(&mut out, format, view, meant, bar)?;
                out.flush()?;
                count
            }
        };
        file.sync_all().map_err(|error| failed(&error))?;
        let bytes = file.metadata().map_err(|error| failed(&error))?.len();
        fs::rename(&partial, path).map_err(|error| Failure::file("write", path, &error))?;
        Ok((count, bytes))
    };
    let written = write();
    if written.is_err() {
        // What is left of it helps nobody.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// What a file is called until it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}

fn write_lines(
    out: &mut Out,
    format: ExportFormat,
    view: &TableView<'_>,
    meant: &Meant,
    bar: &Progress,
) -> Result<u64> {
    let schema = view.schema();
    if format == ExportFormat::Csv {
        let names = schema.fields().iter().map(|field| field.name().to_owned());
        write_record(out, names)?;
    }
    let mut count = 0;
    meant.each(view, false, u64::MAX, |rows, at| {
        count += 1;
        if count % 1_024 == 0 {
            bar.at(count, String::new);
        }
        match format {
            ExportFormat::Csv => {
                let fields = schema.fields().iter().enumerate();
                write_record(out, fields.map(|(n, field)| row::text(field, rows.value(at, n))))
            }
            ExportFormat::Ndjson | ExportFormat::Parquet => write_object(out, schema, rows, at),
        }
    })?;
    Ok(count)
}

#[cfg(feature = "arrow")]
use parquet::write as write_parquet;

#[cfg(not(feature = "arrow"))]
fn write_parquet(
    _: impl io::Write + Send,
    _: &TableView<'_>,
    _: &Meant,
    _: &Progress,
    _: &dyn Fn(&io::Error) -> Failure,
) -> Result<u64> {
    Err(Failure::usage("this build writes no Parquet"))
}

fn write_object(out: &mut Out, schema: &Schema, rows: &FoundRows<'_>, at: usize) -> Result<()> {
    out.object(|object| row::fill(object, schema, |field| rows.value(at, field)))
}

fn write_record(out: &mut Out, fields: impl Iterator<Item = String>) -> Result<()> {
    let mut record = String::new();
    for (at, field) in fields.enumerate() {
        record.push_str(if at > 0 { "," } else { "" });
        // Blanks at the ends are kept by few readers.
        let is_plain = !field.contains([',', '"', '\n', '\r']) && field.trim() == field;
        match is_plain {
            true => record.push_str(&field),
            false => {
                record.push('"');
                record.push_str(&field.replace('"', "\"\""));
                record.push('"');
            }
        }
    }
    out.line(&record)
}
