//! A fresh folder for one repetition, gone afterwards.

use std::path::Path;

use tempfile::TempDir;

use crate::Result;

/// The folder.
pub(super) struct Scratch(TempDir);

impl Scratch {
    /// Makes a folder in `dir`. Before that, what earlier repetitions left to the kernel is written
    /// out, so that none pays for another.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        rustix::fs::sync();
        Ok(Self(tempfile::Builder::new().prefix("bench-compare-").tempdir_in(dir)?))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}
