//! Where lines come from.

use crate::failure::{Failure, Result};
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

/// Where lines come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// Standard input.
    Standard,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// Whether this is the file in `path`, by whatever name.
    pub(crate) fn is_file(&self, path: &Path) -> bool {
        let Ok(there) = rustix::fs::stat(path) else { return false };
        let here = match self {
            Self::Standard => rustix::fs::fstat(io::stdin()),
            Self::File(path) => rustix::fs::stat(path),
        };
        here.is_ok_and(|here| (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino))
    }

    /// The input, and how many bytes it has if that is known.
    pub(crate) fn open(&self) -> Result<(Box<dyn BufRead>, Option<u64>)> {
        const BUFFER_BYTES: usize = 256 << 10;
        match self {
            Self::Standard => {
                Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin())), None))
            }
            Self::File(path) => {
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
                    return Err(Failure::usage(format!(
                        "{path} is a directory, not a file of lines"
                    )));
                }
                let total_bytes = meta.is_file().then_some(meta.len());
                Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, file)), total_bytes))
            }
        }
    }
}
