//! What a workload asks of an engine.
//!
//! Workloads are generic over [`Engine`], so no call of theirs goes through a table of functions.
//! Reading goes through a [`ReadJob`], because engines with transactions lend a reader that borrows
//! from them; the reader may stay open for a whole row, which favours those engines.

use std::path::Path;

use crate::Result;
use crate::data::{Key, Value};
use crate::group::Group;

/// What a commit promises when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The death of the process takes nothing acknowledged; a power cut may.
    Buffered,
    /// A power cut takes nothing acknowledged either.
    Sync,
}

/// One embedded engine under one configuration.
pub(crate) trait Engine: Sized + Sync {
    /// The name in tables and on the command line.
    const NAME: &'static str;
    /// The package whose version is reported.
    const PACKAGE: &'static str;
    /// What was configured for [`Mode::Buffered`].
    const BUFFERED: &'static str;
    /// What was configured for [`Mode::Sync`].
    const SYNC: &'static str;
    /// Whether [`Mode::Sync`] reaches the device: told from the system calls a commit makes.
    const SYNC_REACHES_DEVICE: bool = true;
    /// What else was set, and what `settle` does.
    const SETTINGS: &'static str;
    /// The groups this configuration takes part in.
    const GROUPS: &'static [Group] = Group::ALL;

    /// The version of a library outside the lock file.
    fn library() -> Option<String> {
        None
    }

    /// Opens or creates the database in the folder `dir`.
    fn open(dir: &Path, mode: Mode) -> Result<Self>;

    /// Commits one record.
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Commits all records at once.
    fn insert_batch(&self, records: &[(Key, Value)]) -> Result<()>;

    /// Commits the removal of one record.
    fn remove(&self, key: &[u8]) -> Result<()>;

    /// Runs `job` with a reader that sees all that was committed before.
    fn read<J: ReadJob>(&self, job: &mut J) -> Result<()>;

    /// Brings pending maintenance to an end, outside the timing, before reads are measured.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Closes the database cleanly.
    fn close(self) -> Result<()>;
}

/// Looks up records.
pub(crate) trait Reader {
    /// Shows the value of `key` to `show`; `None` if there is none.
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>>;

    /// Shows the values of `keys`, each with its position. Without a call for it in the engine, a
    /// loop of `get`.
    fn get_many(&self, keys: &[Key], mut show: impl FnMut(usize, Option<&[u8]>)) -> Result<()> {
        for (index, key) in keys.iter().enumerate() {
            if self.get(key, |value| show(index, Some(value)))?.is_none() {
                show(index, None);
            }
        }
        Ok(())
    }
}

/// Work that needs a [`Reader`].
pub(crate) trait ReadJob {
    /// Does the work.
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()>;
}
