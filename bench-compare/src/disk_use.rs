//! What a folder takes on the disk.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Result;

/// Bytes of the blocks allocated to all files under `dir`: holes are not counted, space reserved
/// ahead is. A file that vanishes meanwhile takes nothing.
pub(crate) fn allocated_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        bytes += if metadata.is_dir() {
            allocated_bytes(&entry.path())?
        } else {
            metadata.blocks() * 512
        };
    }
    Ok(bytes)
}

/// How often a folder that is watched is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// Watches the most that a folder takes.
pub(crate) struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<io::Result<u64>>,
}

impl Watch {
    /// Watches `dir`.
    pub(crate) fn start(dir: PathBuf) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut most = allocated_bytes(&dir)?;
            loop {
                let goes_on = stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout);
                most = most.max(allocated_bytes(&dir)?);
                if !goes_on {
                    return Ok(most);
                }
            }
        });
        Self { stop, thread }
    }

    /// The most that the folder took, the present included.
    pub(crate) fn most_bytes(self) -> Result<u64> {
        drop(self.stop);
        let most = self.thread.join().map_err(|_| "watching the folder failed")??;
        Ok(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_remembered() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, vec![1; 1 << 16]).expect("a file");
        let before = allocated_bytes(dir.path()).expect("its blocks");
        let watch = Watch::start(dir.path().to_owned());
        thread::sleep(EVERY / 2);
        fs::remove_file(&file).expect("removed");
        assert_eq!(watch.most_bytes().expect("watched"), before);

        let watch = Watch::start(dir.path().to_owned());
        thread::sleep(EVERY / 2);
        fs::write(&file, vec![1; 1 << 17]).expect("a file");
        let after = allocated_bytes(dir.path()).expect("its blocks");
        assert!(after > before);
        assert_eq!(watch.most_bytes().expect("watched"), after, "the present is part of it");
    }
}
