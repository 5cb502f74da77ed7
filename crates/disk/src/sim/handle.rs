//! What callers of the simulated disk hold: regions, appenders and locks. Each keeps its file
//! alive without a name, and each is quiet when dropped after the power was cut.

use super::{
    Fault,
    state::{Power, State},
    tree::Id,
};
use crate::{
    Backing, DiskError, File, Lock, LockMode, Operation, Region, Result, pages::Pages, real,
};
use parking_lot::Mutex;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// An open file.
#[derive(Debug)]
struct Handle {
    state: Arc<Mutex<State>>,
    id: Id,
    path: PathBuf,
}

impl Handle {
    fn open(shared: &Arc<Mutex<State>>, state: &mut State, id: Id, path: &Path) -> Self {
        if let Some(file) = state.files.get_mut(&id) {
            file.handle_count += 1;
        }
        Self { state: shared.clone(), id, path: path.to_owned() }
    }

    /// Counts an operation on the file and does it.
    fn run(
        &self,
        operation: Operation,
        fault: Fault,
        act: impl FnOnce(&mut State) -> io::Result<()>,
    ) -> Result<()> {
        let mut state = self.state.lock();
        state
            .begin(&self.path, fault)
            .and_then(|()| act(&mut state))
            .map_err(|error| DiskError::new(operation, &self.path, error))
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state.lock();
        let synced = state.begin(&self.path, Fault::FailSync);
        // A device without power did not even hear of the sync; one that refuses it has taken the
        // pages from the kernel.
        if state.power == Power::On
            && let Ok(file) = state.file(self.id)
        {
            match synced {
                Ok(()) => file.content.sync(),
                Err(_) => file.content.fail_sync(),
            }
        }
        synced.map_err(|error| DiskError::new(Operation::Sync, &self.path, error))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state.lock().close(self.id);
    }
}

/// Opens file `id` as a region.
#[allow(unsafe_code, reason = "a region is made of a raw pointer and its owner")]
pub(super) fn region(
    shared: &Arc<Mutex<State>>,
    state: &mut State,
    id: Id,
    path: &Path,
    writes: bool,
) -> io::Result<Region> {
    let file = state.file(id)?;
    let (len, pages) = (file.content.len(), file.content.memory().clone());
    if len == 0 {
        return Err(real::empty_file());
    }
    let base = pages.base();
    let handle = Handle::open(shared, state, id, path);
    let backing = Box::new(SimRegion { handle, pages, writes });
    if writes {
        // SAFETY: the backing owns the memory, which has at least `len` bytes and is never moved;
        // the file's content writes to it whatever `write_at` is given.
        Ok(unsafe { Region::through(base, len, backing) })
    } else {
        // SAFETY: the backing owns the memory, which has at least `len` bytes and is never moved.
        Ok(unsafe { Region::read_only(base, len, backing) })
    }
}

/// What stands behind a region.
#[derive(Debug)]
struct SimRegion {
    handle: Handle,
    /// Keeps the memory alive that the region points into.
    #[expect(dead_code, reason = "owned for its drop")]
    pages: Arc<Pages>,
    writes: bool,
}

impl SimRegion {
    fn writable(&self, operation: Operation) -> Result<()> {
        if self.writes {
            return Ok(());
        }
        let error = io::ErrorKind::PermissionDenied.into();
        Err(DiskError::new(operation, &self.handle.path, error))
    }
}

impl Backing for SimRegion {
    fn path(&self) -> &Path {
        &self.handle.path
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.handle.run(Operation::Write, Fault::FailWrite, |state| {
            let content = &mut state.file(self.handle.id)?.content;
            inside(content.len(), offset, bytes.len() as u64)?;
            content.write(offset as usize, bytes);
            Ok(())
        })
    }

    fn sync(&self) -> Result<()> {
        self.handle.sync()
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.writable(Operation::Write)?;
        self.handle.run(Operation::Write, Fault::FailWrite, |state| {
            let content = &mut state.file(self.handle.id)?.content;
            inside(content.len(), offset, len)?;
            content.clear(offset as usize, len as usize);
            Ok(())
        })
    }

    fn populate(&self, _offset: u64, _len: u64) {}

    fn truncate(&self, len: u64) -> Result<()> {
        self.writable(Operation::Resize)?;
        self.handle.run(Operation::Resize, Fault::FailTruncate, |state| {
            state.file(self.handle.id)?.content.cut(len as usize);
            Ok(())
        })
    }
}

/// A write behind the end of a file that was cut is a mistake of the caller that the real disk
/// would answer with `SIGBUS`; here it is an error that a test can see.
fn inside(file_len: usize, offset: u64, len: u64) -> io::Result<()> {
    if offset.saturating_add(len) <= file_len as u64 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the region was cut before this range"))
}

/// A file that is written from its start to its end.
#[derive(Debug)]
pub(super) struct SimAppender {
    handle: Handle,
    position: u64,
}

impl SimAppender {
    pub(super) fn open(shared: &Arc<Mutex<State>>, state: &mut State, id: Id, path: &Path) -> Self {
        Self { handle: Handle::open(shared, state, id, path), position: 0 }
    }
}

impl File for SimAppender {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { handle, position } = self;
        handle.run(Operation::Write, Fault::FailWrite, |state| {
            let len = state.file(handle.id)?.content.len() as u64;
            let gained = (*position + bytes.len() as u64).saturating_sub(len);
            // A device that fills up takes what fits before it refuses.
            let missing = gained - state.room_for(gained);
            let taken = bytes.len() - missing as usize;
            state.grow(handle.id, *position + taken as u64)?;
            state.file(handle.id)?.content.write(*position as usize, &bytes[..taken]);
            *position += taken as u64;
            if missing > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn sync(&mut self) -> Result<()> {
        self.handle.sync()
    }
}

/// A lock that is held.
#[derive(Debug)]
pub(super) struct SimLock {
    handle: Handle,
    mode: LockMode,
}

impl SimLock {
    /// Wraps a lock that was taken.
    pub(super) fn taken(
        shared: &Arc<Mutex<State>>,
        state: &mut State,
        id: Id,
        path: &Path,
        mode: LockMode,
    ) -> Self {
        Self { handle: Handle::open(shared, state, id, path), mode }
    }
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.handle.state.lock();
        // What a dead process drops reaches no disk.
        if state.power == Power::On
            && let Ok(file) = state.file(self.handle.id)
        {
            file.holders.release(self.mode);
            if self.mode == LockMode::Exclusive {
                file.content.cut(0);
            }
        }
    }
}
