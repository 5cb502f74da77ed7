//! What a command says: results to standard output, progress to standard error.
//!
//! Three forms. On a terminal, tables for people and bytes made harmless. Into a file or a pipe,
//! aligned text and raw bytes. With `--json`, one object a line, for programs; only this form is
//! fit to be parsed whatever the bytes of keys and values are.

mod bytes;
mod json;
mod progress;
mod report;
mod table;

pub(crate) use bytes::{brief, printable};
pub(crate) use json::{Object, compact_json, is_json};
pub(crate) use progress::Progress;
pub(crate) use report::{Figure, Report};
pub(crate) use table::Table;

use crate::failure::{Failure, Result};
use std::{
    fmt,
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A person at a terminal.
    Terminal,
    /// A file or a pipe.
    Plain,
    /// A program.
    Json,
}

impl Form {
    /// The form for standard output as it is.
    pub(crate) fn detect(json: bool) -> Self {
        if json {
            Self::Json
        } else if io::stdout().is_terminal() {
            Self::Terminal
        } else {
            Self::Plain
        }
    }
}

/// A line on standard error: the one way there. Whether anybody reads it changes nothing about what the command
/// does: a load must not break off, nor an exit code change, because a reader went or a disk is full.
pub(crate) fn tell(text: impl fmt::Display) {
    // In one piece: lines of several processes that share it stay whole.
    let line = format!("{text}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// What is worth knowing and neither a result nor a failure, on standard error. `name` and `number` are
/// what a program should look at.
pub(crate) fn note(form: Form, text: &str, name: &str, number: u64) {
    match form {
        Form::Json => {
            let mut line = Vec::new();
            let mut object = Object::open(&mut line);
            object.value("note", text).value(name, number);
            object.close();
            tell(String::from_utf8_lossy(&line));
        }
        Form::Terminal | Form::Plain => tell(format_args!("annals: {text}")),
    }
}

const BUFFER_BYTES: usize = 64 << 10;

/// Standard output, or a file, buffered; a reader that has gone ends the command quietly.
pub(crate) struct Out {
    to: BufWriter<Box<dyn Write>>,
    /// If it is a file.
    path: Option<PathBuf>,
    form: Form,
    line: Vec<u8>,
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out").field("path", &self.path).field("form", &self.form).finish()
    }
}

impl Out {
    pub(crate) fn new(form: Form) -> Self {
        let to = BufWriter::with_capacity(BUFFER_BYTES, Box::new(io::stdout()) as Box<dyn Write>);
        Self { to, path: None, form, line: Vec::new() }
    }

    /// Into a file, for whoever reads it later.
    pub(crate) fn into_file(file: File, path: &Path) -> Self {
        let to = BufWriter::with_capacity(BUFFER_BYTES, Box::new(file) as Box<dyn Write>);
        Self { to, path: Some(path.to_owned()), form: Form::Plain, line: Vec::new() }
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.to.write_all(bytes).map_err(|error| failed(self.path.as_deref(), &error))
    }

    /// Writes a line of text.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        self.raw(text.as_bytes())?;
        self.raw(b"\n")
    }

    /// Writes bytes of a key or value for this form: raw into a pipe, harmless on a terminal.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<()> {
        match self.form {
            Form::Terminal => self.raw(printable(bytes).as_bytes()),
            Form::Plain | Form::Json => self.raw(bytes),
        }
    }

    /// Writes one JSON object as a line.
    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) -> Result<()> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let mut object = Object::open(&mut line);
        fill(&mut object);
        object.close();
        line.push(b'\n');
        let written = self.raw(&line);
        if line.capacity() <= 1 << 20 {
            self.line = line;
        }
        written
    }

    /// Writes a table: one object a line in JSON.
    pub(crate) fn table(&mut self, table: &Table) -> Result<()> {
        match self.form {
            Form::Terminal => self.line(&table.framed()),
            Form::Plain => self.raw(table.aligned().as_bytes()),
            Form::Json => table.rows().try_for_each(|row| self.object(|object| row.fill(object))),
        }
    }

    /// Writes a report: one object in JSON.
    pub(crate) fn report(&mut self, report: &Report) -> Result<()> {
        match self.form {
            Form::Json => self.object(|object| report.fill(object)),
            form => self.raw(report.text(form).as_bytes()),
        }
    }

    /// Hands everything written so far to whoever reads it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.to.flush().map_err(|error| failed(self.path.as_deref(), &error))
    }

    /// Whether whoever read standard output has gone. Only a pipe can tell.
    pub(crate) fn reader_gone(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().contains(PollFlags::ERR)
    }
}

/// Writing failed.
fn failed(path: Option<&Path>, error: &io::Error) -> Failure {
    match path {
        None => Failure::output(error),
        Some(path) => Failure::file("write", path, error),
    }
}
