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

/// How an engine keeps its records: who is compared with whom.
#[allow(dead_code, reason = "a build may have no engine of a kind")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By the hash of the key: no order.
    Hash,
    /// Sorted, in pages that are changed or copied.
    Tree,
    /// Sorted, in tables that are merged.
    MergeTree,
    /// Events in streams: no key-value engine.
    Events,
    /// Wide events in tables: no key-value engine.
    Tables,
}

impl Kind {
    /// Whether keys come back sorted.
    pub(crate) const fn is_ordered(self) -> bool {
        matches!(self, Self::Tree | Self::MergeTree)
    }
}

/// One embedded engine under one configuration.
pub(crate) trait Engine: Sized + Sync {
    /// The name in tables and on the command line.
    const NAME: &'static str;
    /// How it keeps its records.
    const KIND: Kind;
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
    const GROUPS: &'static [Group] = Group::RECORDS;

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

    /// How many sorted runs a read of a key that is not there may have to ask: memtables, tables of
    /// level 0 and deeper levels that have any. `None` where the engine does not tell, or has no runs.
    fn sorted_runs(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Closes the database cleanly.
    fn close(self) -> Result<()>;
}

/// Looks up records, and goes through them in order where the engine has one.
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

    /// Shows keys and values in order, from the first key at or behind `from` on, until `show` says
    /// that it has seen enough or the keys end. Each call opens an iterator of its own.
    fn scan(&self, from: &[u8], show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        let _ = (from, show);
        Err(NO_ORDER.into())
    }

    /// Shows, in order, all keys that begin with `prefix`, with their values. Each call opens an
    /// iterator of its own.
    fn scan_prefix(&self, prefix: &[u8], show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let _ = (prefix, show);
        Err(NO_ORDER.into())
    }
}

const NO_ORDER: &str = "this engine has no order";

/// The first key behind all that begin with `prefix`; `None` if there is none.
#[allow(dead_code, reason = "engines with a call for prefixes do without")]
pub(crate) fn behind_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < 0xff)?;
    let mut behind = prefix[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}

/// Work that needs a [`Reader`].
pub(crate) trait ReadJob {
    /// Does the work.
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::behind_prefix;

    #[test]
    fn what_is_behind_a_prefix() {
        assert_eq!(behind_prefix(b"ab").as_deref(), Some(&b"ac"[..]));
        assert_eq!(behind_prefix(b"a\xff").as_deref(), Some(&b"b"[..]));
        assert_eq!(behind_prefix(b"\xff\xff"), None);
    }
}
