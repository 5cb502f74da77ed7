//! Lines that could not be taken, kept aside as they are.

use crate::failure::{Failure, Result};
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// A file that is made for the first line, and added to if it is there.
#[derive(Debug)]
pub(crate) struct Rejects {
    path: PathBuf,
    file: Option<File>,
}

impl Rejects {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a piece of a line, and its end if that is known to be one.
    pub(crate) fn keep(&mut self, bytes: &[u8], is_end: bool) -> Result<()> {
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
