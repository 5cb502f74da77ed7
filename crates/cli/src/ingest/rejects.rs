//! Lines that could not be taken, kept aside as they are, and beside them which they are and why.

use crate::{
    failure::{Failure, Result},
    output::printable,
};
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// The files of lines, and of their numbers and what is wrong with them, one line for each.
#[derive(Debug)]
pub(crate) struct Rejects {
    lines: Kept,
    reasons: Kept,
}

/// A file that is made for the first line, and added to if it is there.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    file: Option<File>,
}

/// Where numbers and reasons are of lines that are kept in a file.
pub(crate) fn reasons_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(REASONS_END);
    name.into()
}

/// What the name of that file ends with.
pub(crate) const REASONS_END: &str = ".lines";

impl Rejects {
    pub(crate) fn new(path: PathBuf) -> Self {
        let reasons = Kept { path: reasons_path(&path), file: None };
        Self { lines: Kept { path, file: None }, reasons }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.lines.path
    }

    pub(crate) fn reasons_path(&self) -> &Path {
        &self.reasons.path
    }

    /// Writes a piece of a line, and its end if that is known to be one.
    pub(crate) fn keep(&mut self, bytes: &[u8], is_end: bool) -> Result<()> {
        self.lines.keep(bytes, is_end)
    }

    /// Writes which line that was, and why it could not be taken.
    pub(crate) fn name(&mut self, number: u64, what: &str) -> Result<()> {
        self.reasons.keep(format!("{number}\t{}", printable(what.as_bytes())).as_bytes(), true)
    }
}

impl Kept {
    fn keep(&mut self, bytes: &[u8], is_end: bool) -> Result<()> {
        let failed = |error: std::io::Error| Failure::file("write", &self.path, &error);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().create(true).append(true).open(&self.path);
                self.file.insert(file.map_err(failed)?)
            }
        };
        // One call a line: what is told to be kept aside is there, whatever happens next.
        let mut line = Vec::with_capacity(bytes.len() + 1);
        line.extend_from_slice(bytes);
        if is_end {
            line.push(b'\n');
        }
        file.write_all(&line).map_err(failed)
    }
}
