//! A file of the real disk that is written from its start to its end.
//!
//! Appends go to the system at once: what was appended survives a process that is killed, and
//! there is no buffer whose flush could fail where nobody looks.

use crate::{DiskError, File, Operation, Result};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// A file opened by `create`.
#[derive(Debug)]
pub(super) struct RealFile {
    path: PathBuf,
    file: fs::File,
}

impl RealFile {
    /// Creates `path`, or empties the file that is there.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(|error| DiskError::new(Operation::Create, path, error))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl File for RealFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| DiskError::new(Operation::Write, &self.path, error))
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync_all().map_err(|error| DiskError::new(Operation::Sync, &self.path, error))
    }
}
