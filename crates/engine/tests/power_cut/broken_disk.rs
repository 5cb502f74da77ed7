//! A disk that claims more than it does.

use annals_disk::{
    Disk, LockMode, Result, SimDisk,
    hooked::{Act, Hook, hooked},
};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

fn ending_of(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

/// What such a disk does not do, though it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    ReaderLocks,
    DirectorySyncs,
    /// Directory syncs that come next after a file with this ending was made.
    DirectorySyncsAfter(&'static str),
    Syncs,
    /// Syncs of files with this ending.
    SyncsOf(&'static str),
    /// Tables that are removed, for who has them mapped.
    RemovedTables,
}

/// A simulated disk that does not do something, and says that all is well.
#[derive(Debug)]
pub(crate) struct BrokenDisk {
    sim: SimDisk,
    broken: Broken,
    /// The ending of the file that was made last.
    made: Mutex<String>,
}

impl BrokenDisk {
    fn made_of(sim: SimDisk, broken: Broken) -> Arc<dyn Disk> {
        let disk = Arc::new(sim.clone());
        hooked(disk, Arc::new(Self { sim, broken, made: Mutex::default() }))
    }

    pub(crate) fn without_reader_locks(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::ReaderLocks)
    }

    pub(crate) fn without_directory_syncs(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::DirectorySyncs)
    }

    pub(crate) fn without_syncs(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::Syncs)
    }

    /// Who has a table mapped that is removed reads something else from then on.
    pub(crate) fn without_removed_tables(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::RemovedTables)
    }

    /// Tables are named by an edit before their own names are durable.
    pub(crate) fn without_directory_syncs_of_tables(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::DirectorySyncsAfter("tbl"))
    }

    pub(crate) fn without_syncs_of_tables(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::SyncsOf("tbl"))
    }

    /// Edits are acted upon before they are durable: the log is let go of, and tables are removed.
    pub(crate) fn without_syncs_of_manifests(sim: SimDisk) -> Arc<dyn Disk> {
        Self::made_of(sim, Broken::SyncsOf("man"))
    }

    fn syncs_content(&self, path: &Path) -> bool {
        match self.broken {
            Broken::Syncs => false,
            Broken::SyncsOf(ending) => ending_of(path) != ending,
            _ => true,
        }
    }

    fn syncs_directories(&self) -> bool {
        match self.broken {
            Broken::DirectorySyncs => false,
            Broken::DirectorySyncsAfter(ending) => *self.made.lock().unwrap() != ending,
            _ => true,
        }
    }
}

impl Hook for BrokenDisk {
    fn before(&self, act: Act, path: &Path) -> Result<bool> {
        Ok(match act {
            Act::SyncDir => self.syncs_directories(),
            Act::Sync => self.syncs_content(path),
            Act::Lock(LockMode::Shared) => self.broken != Broken::ReaderLocks,
            Act::Create => {
                ending_of(path).clone_into(&mut self.made.lock().unwrap());
                true
            }
            Act::Remove => {
                if self.broken == Broken::RemovedTables && ending_of(path) == "tbl" {
                    let len = self.sim.len(path)?.unwrap_or(0);
                    (0..len).step_by(8).try_for_each(|at| self.sim.flip_bit(path, at, 0))?;
                }
                true
            }
            _ => true,
        })
    }
}
