//! The writing process on a simulated machine: it can die by itself, at any operation, while other
//! processes go on with the same disk. Between two of its operations another process may look.

use crate::check;
use crate::model::State;
use annals_disk::{
    DiskError, Operation, Result, SimDisk,
    hooked::{Act, Hook},
};
use annals_engine::Database;
use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// What a reader saw between two operations of the writer.
pub(crate) type Sighting = std::result::Result<(State, u64), String>;

/// The life of the writing process.
#[derive(Debug)]
pub(crate) struct Life {
    sim: SimDisk,
    is_over: AtomicBool,
    /// The operation of the disk at which the process dies.
    dies_at: AtomicU64,
    /// A reader in another process, and between how many operations it looks once.
    watcher: Mutex<Option<(Database, u64)>>,
    sightings: Mutex<Vec<Sighting>>,
}

impl Life {
    pub(crate) fn new(sim: SimDisk) -> Arc<Self> {
        Arc::new(Self {
            sim,
            is_over: AtomicBool::new(false),
            dies_at: AtomicU64::new(u64::MAX),
            watcher: Mutex::default(),
            sightings: Mutex::default(),
        })
    }

    /// Ends the process: nothing it does from now on reaches the disk.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        *self.watcher.lock().unwrap() = None;
    }

    pub(crate) fn end_at(&self, operation: u64) {
        self.dies_at.store(operation, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Lets `reader` look once in so many operations.
    pub(crate) fn watch(&self, reader: Option<(Database, u64)>) {
        *self.watcher.lock().unwrap() = reader;
    }

    pub(crate) fn sightings(&self) -> Vec<Sighting> {
        std::mem::take(&mut *self.sightings.lock().unwrap())
    }

    /// Comes before each operation.
    fn go_on(&self, path: &Path) -> Result<()> {
        let now = self.sim.operations();
        let watcher = self.watcher.lock().unwrap().clone();
        if let Some((reader, every)) = watcher
            && now.is_multiple_of(every)
            && !self.is_over()
            && !self.sim.is_power_cut()
        {
            let seen = check::quick_state(&reader);
            self.sightings.lock().unwrap().push(seen);
        }
        if now >= self.dies_at.load(Ordering::SeqCst) {
            self.is_over.store(true, Ordering::SeqCst);
        }
        if self.is_over() {
            let dead = io::Error::new(io::ErrorKind::BrokenPipe, "the process is dead");
            return Err(DiskError::new(Operation::Write, path, dead));
        }
        Ok(())
    }
}

impl Hook for Life {
    fn before(&self, act: Act, path: &Path) -> Result<bool> {
        // Who only looks changes nothing.
        if act != Act::Look {
            self.go_on(path)?;
        }
        Ok(true)
    }
}
