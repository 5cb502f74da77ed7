//! What work on the tables of a store shares: where files are, what numbers they get, how fast they
//! are written, and whether it is to stop.

use crate::{
    BlockCache, Error, FileName, Result, memtable::SpareMemory, rate::Rate, table_file::Graves,
};
use annals_disk::Disk;
use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The longest pause after which it is looked whether work is to stop, in nanoseconds.
const PAUSE_NS: u64 = 10_000_000;

/// Waits so many nanoseconds. Work is held to its rate with it.
pub type Pause = Arc<dyn Fn(u64) + Send + Sync>;

/// What work on the tables of a store shares.
pub(crate) struct Site {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) database_id: u64,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) graves: Arc<Graves>,
    pub(crate) spare: Arc<SpareMemory>,
    pub(crate) next_number: AtomicU64,
    pub(crate) stopping: AtomicBool,
    pub(crate) rate: Rate,
    /// How long compactions waited to keep to it, in nanoseconds.
    pub(crate) paused_ns: AtomicU64,
    pub(crate) pause: Pause,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Site {
    /// The number of a new file. It is durable with the edit that names the file; a crash before that
    /// leaves a file without an owner, whose number the next opening passes over.
    pub(crate) fn new_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends work that is not to go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn check_going_on(&self) -> Result<()> {
        if self.stopping.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Notes that so many bytes were written, and waits if that was too fast.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if work is to stop meanwhile.
    pub(crate) fn pay(&self, bytes: u64) -> Result<()> {
        let mut wait_ns = self.rate.take(bytes, self.disk.monotonic_ns());
        while wait_ns > 0 && self.rate.limits() {
            // Who closes waits for this.
            self.check_going_on()?;
            let step_ns = wait_ns.min(PAUSE_NS);
            (self.pause)(step_ns);
            self.paused_ns.fetch_add(step_ns, Ordering::Relaxed);
            wait_ns -= step_ns;
        }
        Ok(())
    }

    /// Removes files that no edit ever named. What cannot be removed is removed by the next opening.
    pub(crate) fn discard(&self, files: impl IntoIterator<Item = FileName>) {
        for file in files {
            if let Err(error) = self.disk.remove(&file.path(&self.dir))
                && !error.is_not_found()
            {
                tracing::debug!(%error, "left a file without an owner");
            }
        }
    }
}
