//! Files that live and die with the process, for caches and for tests that need no power cut.
//!
//! Invariants:
//! * every name leads to a [`MemoryFile`] or a directory; a name's parents are directories;
//! * a file that is removed or replaced stays readable for who has it open.
//!
//! Nothing is durable, so syncs do nothing; the clocks and the randomness are the machine's.

mod file;

use crate::{
    Access, Disk, DiskError, Entry, File, Holder, Lock, LockMode, Operation, Region, Result, path,
    real, system,
};
use file::{MemoryAppender, MemoryFile, MemoryLock};
use parking_lot::Mutex;
use std::{collections::BTreeMap, io, path::Path, sync::Arc};

/// Files in memory. Clones share them.
///
/// ```
/// use annals_disk::{Disk, MemoryDisk};
/// use std::path::Path;
///
/// let disk = MemoryDisk::new();
/// let mut file = disk.create(Path::new("notes"))?;
/// file.append(b"hello")?;
/// assert_eq!(disk.clone().read(Path::new("notes"), 100)?, b"hello");
/// # Ok::<(), annals_disk::DiskError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    names: Arc<Mutex<BTreeMap<Vec<String>, Node>>>,
}

/// What a name leads to. The root has no name and needs no node.
#[derive(Clone, Debug)]
enum Node {
    Dir,
    File(Arc<MemoryFile>),
}

impl MemoryDisk {
    /// An empty disk.
    ///
    /// ```
    /// use annals_disk::{Disk, MemoryDisk};
    /// use std::path::Path;
    /// let disk = MemoryDisk::new();
    /// assert!(disk.list(Path::new(""))?.is_empty());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `act` on the names, and dresses its error.
    fn run<T>(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce(&mut Names<'_>) -> io::Result<T>,
    ) -> Result<T> {
        let mut names = Names { names: &mut self.names.lock() };
        act(&mut names).map_err(|error| DiskError::new(operation, path, error))
    }

    fn file(&self, operation: Operation, path: &Path) -> Result<Arc<MemoryFile>> {
        self.run(operation, path, |names| names.file(&path::parts(path)))
    }
}

/// The names under their lock.
struct Names<'a> {
    names: &'a mut BTreeMap<Vec<String>, Node>,
}

impl Names<'_> {
    /// What is at `parts`; an error if a parent is a file.
    fn get(&self, parts: &[String]) -> io::Result<Option<Node>> {
        for depth in 1..parts.len() {
            match self.names.get(&parts[..depth]) {
                Some(Node::Dir) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Ok(None),
            }
        }
        if parts.is_empty() { Ok(Some(Node::Dir)) } else { Ok(self.names.get(parts).cloned()) }
    }

    fn file(&self, parts: &[String]) -> io::Result<Arc<MemoryFile>> {
        match self.get(parts)? {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Checks that `parts` can be a file's name: its parent is there and it is no directory.
    fn vacancy(&self, parts: &[String]) -> io::Result<Option<Arc<MemoryFile>>> {
        let Some((_, parent)) = parts.split_last() else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        match self.get(parent)? {
            Some(Node::Dir) => {}
            Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        match self.get(parts)? {
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::File(file)) => Ok(Some(file)),
            None => Ok(None),
        }
    }

    /// The file at `parts`, made if it is missing.
    fn file_or_new(&mut self, parts: Vec<String>) -> io::Result<Arc<MemoryFile>> {
        if let Some(file) = self.vacancy(&parts)? {
            return Ok(file);
        }
        let file = Arc::new(MemoryFile::zeroed(0)?);
        self.names.insert(parts, Node::File(file.clone()));
        Ok(file)
    }
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.run(Operation::CreateDir, path, |names| {
            let parts = path::parts(path);
            for depth in 1..=parts.len() {
                match names.names.entry(parts[..depth].to_vec()).or_insert(Node::Dir) {
                    Node::Dir => {}
                    Node::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
                }
            }
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.run(Operation::SyncDir, path, |names| match names.get(&path::parts(path))? {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        self.sync_dir(path).map_err(|error| DiskError { operation: Operation::List, ..error })?;
        let dir = path::parts(path);
        self.run(Operation::List, path, |names| {
            let below = names.names.range(dir.clone()..);
            let below = below.take_while(|(parts, _)| parts.starts_with(&dir));
            let inside = below.filter(|(parts, _)| parts.len() == dir.len() + 1);
            Ok(inside
                .map(|(parts, node)| Entry {
                    name: parts[dir.len()].clone(),
                    len: match node {
                        Node::Dir => 0,
                        Node::File(file) => file.len(),
                    },
                    is_dir: matches!(node, Node::Dir),
                })
                .collect())
        })
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        self.run(Operation::Stat, path, |names| match names.get(&path::parts(path))? {
            Some(Node::File(file)) => Ok(Some(file.len())),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Ok(None),
        })
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        let file = self.file(Operation::Open, path)?;
        if file.len() > limit_bytes {
            let error = real::too_long(file.len(), limit_bytes);
            return Err(DiskError::new(Operation::Read, path, error));
        }
        Ok(file.bytes())
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        let file = self.run(Operation::Create, path, |names| {
            let file = names.file_or_new(path::parts(path))?;
            file.empty()?;
            Ok(file)
        })?;
        Ok(Box::new(MemoryAppender::new(path, file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.run(Operation::Rename, from, |names| {
            let (from, to) = (path::parts(from), path::parts(to));
            let file = names.file(&from)?;
            names.vacancy(&to)?;
            names.names.remove(&from);
            names.names.insert(to, Node::File(file));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.run(Operation::Remove, path, |names| {
            let parts = path::parts(path);
            names.file(&parts)?;
            names.names.remove(&parts);
            Ok(())
        })
    }

    fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
        let file = self.run(Operation::Create, path, |names| {
            if len == 0 {
                return Err(real::empty_region());
            }
            let parts = path::parts(path);
            if names.get(&parts)?.is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            names.vacancy(&parts)?;
            let file = Arc::new(MemoryFile::zeroed(len)?);
            names.names.insert(parts, Node::File(file.clone()));
            Ok(file)
        })?;
        file::writable(path, &file, len)
    }

    fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
        let file = self.file(Operation::Open, path)?;
        match access {
            Access::Read => file::read_only(path, &file),
            Access::Write { len } => file::writable(path, &file, len),
        }
    }

    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
        let file = self.run(Operation::Lock, path, |names| names.file_or_new(path::parts(path)))?;
        let lock = MemoryLock::try_take(file, mode)
            .map_err(|error| DiskError::new(Operation::Lock, path, error))?;
        Ok(lock.map(|lock| Box::new(lock) as Box<dyn Lock>))
    }

    fn lock_holder(&self, path: &Path) -> Result<Option<Holder>> {
        self.run(Operation::Lock, path, |names| match names.get(&path::parts(path))? {
            Some(Node::File(file)) => Ok(file.holder()),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Ok(None),
        })
    }

    fn now_ms(&self) -> u64 {
        system::now_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        system::monotonic_ns()
    }

    fn random_u64(&self) -> u64 {
        system::random_u64()
    }
}
