//! Plain files of the real disk: opening one that is there, and writing one from its start to its end.
//!
//! Appends go to the system at once: what was appended survives a process that is killed, and
//! there is no buffer whose flush could fail where nobody looks.

use crate::{Access, DiskError, File, Operation, Result};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Opens the file `path`. Whatever else stands there is refused: opening a pipe would wait for its other
/// end, maybe for ever, and a device has no length to go by.
pub(super) fn open(path: &Path, access: Access) -> Result<fs::File> {
    let failed = |error| DiskError::new(Operation::Open, path, error);
    let file = OpenOptions::new()
        .read(true)
        .write(access != Access::Read)
        // Means nothing to a file.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::NotSeekable, "it is no regular file")));
    }
    Ok(file)
}

/// Fills `bytes` with what the file has from `offset` on, and returns how many it has of them.
pub(super) fn read_at(file: &fs::File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

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
