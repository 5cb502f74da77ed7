//! The [`Disk`] calls of the simulated disk: each begins, which may fail, and then happens whole.

use super::{
    Fault, SimDisk,
    content::Content,
    handle::{self, SimAppender, SimLock},
    state::{Power, State},
    tree::{Assignment, Node},
};
use crate::{
    Access, Disk, DiskError, Entry, File, Holder, Lock, LockMode, Operation, Region, Result,
    identity, path::parts, real,
};
use std::{io, path::Path};

impl SimDisk {
    /// Runs `act` under the lock, and dresses its error.
    fn run<T>(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T> {
        act(&mut self.state.lock()).map_err(|error| DiskError::new(operation, path, error))
    }
}

/// Makes the changes in directory `names` durable, as one operation.
fn sync_dir(state: &mut State, path: &Path, names: &[String]) -> io::Result<()> {
    let begun = state.begin(path, Fault::FailSyncDir);
    let dir = state.tree.dir(names);
    match (begun, dir) {
        (Ok(()), Ok(dir)) => {
            state.tree.sync(dir);
            state.forget_unreachable();
            Ok(())
        }
        (Err(error), Ok(dir)) => {
            // A device without power did not even hear of it.
            if state.power == Power::On {
                state.tree.fail_sync(dir);
            }
            Err(error)
        }
        (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        let names = parts(path);
        self.run(Operation::CreateDir, path, |state| {
            state.look(path, None)?;
            let mut depth = names.len();
            while state.tree.get(&names[..depth])?.is_none() {
                depth -= 1;
            }
            state.tree.dir(&names[..depth])?;
            // The deepest directory that is there may be left by a process that was killed before
            // it synced the entry, just as on the real disk.
            if depth > 0 {
                sync_dir(state, path, &names[..depth - 1])?;
            }
            for depth in depth..names.len() {
                state.begin(path, Fault::FailCreate)?;
                let dir = state.tree.dir(&names[..depth])?;
                let id = state.fresh_id();
                state.tree.add_dir(id);
                let (name, node) = (names[depth].clone(), Some(Node::Dir(id)));
                state.tree.change(vec![Assignment { dir, name, node }]);
                sync_dir(state, path, &names[..depth])?;
            }
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.run(Operation::SyncDir, path, |state| sync_dir(state, path, &parts(path)))
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        self.run(Operation::List, path, |state| {
            state.look(path, None)?;
            let dir = state.tree.dir(&parts(path))?;
            let entry = |(name, node): (&String, Node)| Entry {
                name: name.clone(),
                len: match node {
                    Node::File(id) => {
                        state.files.get(&id).map_or(0, |file| file.content.len() as u64)
                    }
                    Node::Dir(_) => 0,
                },
                is_dir: matches!(node, Node::Dir(_)),
            };
            Ok(state.tree.names(dir).map(entry).collect())
        })
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        self.run(Operation::Stat, path, |state| {
            state.look(path, None)?;
            match state.tree.get(&parts(path))? {
                Some(Node::File(id)) => Ok(Some(state.file(id)?.content.len() as u64)),
                Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
                None => Ok(None),
            }
        })
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        self.run(Operation::Read, path, |state| {
            state.look(path, Some(Fault::FailRead))?;
            let (_, file) = state.file_at(path)?;
            let len = file.content.len() as u64;
            if len > limit_bytes {
                return Err(real::too_long(len, limit_bytes));
            }
            Ok(file.content.bytes())
        })
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        self.run(Operation::Create, path, |state| {
            state.begin(path, Fault::FailCreate)?;
            let names = parts(path);
            let id = match state.tree.place(&names)? {
                (_, _, Some(id)) => {
                    state.file(id)?.content.reset()?;
                    id
                }
                (dir, name, None) => state.add_file(dir, name, Content::empty()?),
            };
            Ok(Box::new(SimAppender::open(&self.state, state, id, path)) as Box<dyn File>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.run(Operation::Rename, from, |state| {
            state.begin(from, Fault::FailRename)?;
            let (from, to) = (parts(from), parts(to));
            let (from_dir, from_name, id) = state.tree.place(&from)?;
            let id = id.ok_or(io::ErrorKind::NotFound)?;
            let (to_dir, to_name, _) = state.tree.place(&to)?;
            if from != to {
                state.tree.change(vec![
                    Assignment { dir: from_dir, name: from_name.to_owned(), node: None },
                    Assignment {
                        dir: to_dir,
                        name: to_name.to_owned(),
                        node: Some(Node::File(id)),
                    },
                ]);
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.run(Operation::Remove, path, |state| {
            state.begin(path, Fault::FailRemove)?;
            let names = parts(path);
            let (dir, name, id) = state.tree.place(&names)?;
            id.ok_or(io::ErrorKind::NotFound)?;
            state.tree.change(vec![Assignment { dir, name: name.to_owned(), node: None }]);
            Ok(())
        })
    }

    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        self.run(Operation::Create, path, |state| {
            if len == 0 {
                return Err(real::empty_region());
            }
            state.begin(path, Fault::FailCreate)?;
            let names = parts(path);
            if state.tree.get(&names)?.is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let (dir, name, _) = state.tree.place(&names)?;
            if state.room_for(len) < len {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let mut content = Content::empty()?;
            content.grow(usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?)?;
            let id = state.add_file(dir, name, content);
            handle::region(&self.state, state, id, path, true)
        })
    }

    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        self.run(Operation::Open, path, |state| {
            state.look(path, Some(Fault::FailOpen))?;
            let (id, file) = state.file_at(path)?;
            if let Access::Write { len } = access
                && len > file.content.len() as u64
            {
                state.begin(path, Fault::FailReserve)?;
                state.grow(id, len)?;
            }
            handle::region(&self.state, state, id, path, access != Access::Read)
        })
    }

    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        self.run(Operation::Lock, path, |state| {
            state.begin(path, Fault::FailLock)?;
            let names = parts(path);
            let id = match state.tree.place(&names)? {
                (_, _, Some(id)) => id,
                (dir, name, None) => state.add_file(dir, name, Content::empty()?),
            };
            let holder = state.holder();
            let file = state.file(id)?;
            if !file.holders.admits(mode) {
                return Ok(None);
            }
            if mode == LockMode::Exclusive {
                // A full disk keeps nobody from opening what is on it, so the text is not counted.
                let text = identity::encode(&holder);
                file.content.cut(0);
                file.content.grow(text.len())?;
                file.content.write(0, text.as_bytes());
            }
            file.holders.take(mode, holder);
            let lock = SimLock::taken(&self.state, state, id, path, mode);
            Ok(Some(Box::new(lock) as Box<dyn Lock>))
        })
    }

    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>> {
        self.run(Operation::Lock, path, |state| {
            state.look(path, None)?;
            match state.tree.get(&parts(path))? {
                Some(Node::File(id)) => Ok(state.file(id)?.holders.exclusive().cloned()),
                Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
                None => Ok(None),
            }
        })
    }

    fn now_ms(&self) -> u64 {
        self.state.lock().now_ms
    }

    fn monotonic_ns(&self) -> u64 {
        let mut state = self.state.lock();
        state.monotonic_ns += 1;
        state.monotonic_ns
    }

    fn random_u64(&self) -> u64 {
        self.state.lock().random.next()
    }
}
