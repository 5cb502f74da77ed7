//! A directory for a while: made fresh below the system's temporary directory (`TMPDIR`), removed
//! at the end unless it is kept.

use crate::{
    failure::{Failure, Result},
    output,
    random::Random,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A directory of our own.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes a directory nobody else uses.
    pub(crate) fn new(what: &str, keep: bool) -> Result<Self> {
        let mut random = Random::fresh();
        loop {
            let name = format!("annals-{what}-{:012x}", random.next() >> 16);
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, keep }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::file("create", &path, &error)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            let path = self.path.display();
            output::tell(format_args!("annals: could not remove {path}: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_unless_kept() {
        let first = Scratch::new("test", false).unwrap();
        let second = Scratch::new("test", true).unwrap();
        let paths = [first.path().to_owned(), second.path().to_owned()];
        assert_ne!(paths[0], paths[1]);
        drop((first, second));
        assert!(!paths[0].exists());
        assert!(paths[1].exists());
        fs::remove_dir(&paths[1]).unwrap();
    }
}
