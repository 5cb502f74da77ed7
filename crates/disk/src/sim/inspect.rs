//! What tests may do with a simulated disk behind the back of the code under test: look at both
//! images, damage them, replace files. None of it counts as an operation, none needs power.

use super::{
    SimDisk,
    content::Content,
    state::SimFile,
    tree::{Assignment, Node, ROOT},
};
use crate::{DiskError, Operation, Result, path};
use std::{
    io,
    path::{Path, PathBuf},
};

impl SimDisk {
    /// The paths of all files as they are named now, in order, relative to the root.
    ///
    /// ```
    /// use annals_disk::{SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.set_file_bytes("data/root", b"new")?;
    /// disk.set_file_bytes("data/one.seg", b"hello")?;
    /// assert_eq!(disk.paths(), [std::path::Path::new("data/one.seg"), "data/root".as_ref()]);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().tree.paths().iter().map(|parts| parts.iter().collect()).collect()
    }

    /// The bytes of a file as readers see them; `None` if there is no such file.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.create(Path::new("notes"))?.append(b"hello")?;
    /// assert_eq!(disk.file_bytes("notes").as_deref(), Some(&b"hello"[..]));
    /// assert_eq!(disk.file_bytes("no such file"), None);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    #[must_use]
    pub fn file_bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.file_at(path.as_ref()).ok().map(|(_, file)| file.content.bytes())
    }

    /// The bytes that a power cut is sure to leave of a file under this name; `None` if the name
    /// is not durable.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(7) });
    /// let mut file = disk.create("notes".as_ref())?;
    /// disk.sync_dir("".as_ref())?;
    /// file.append(b"hello")?;
    /// assert_ne!(disk.durable_bytes("notes").as_deref(), Some(&b"hello"[..]));
    /// file.sync()?;
    /// assert_eq!(disk.durable_bytes("notes").as_deref(), Some(&b"hello"[..]));
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    #[must_use]
    pub fn durable_bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state.lock();
        match state.tree.get_durable(&path::parts(path.as_ref())) {
            Ok(Some(Node::File(id))) => {
                state.files.get(&id).map(|file| file.content.durable_bytes())
            }
            _ => None,
        }
    }

    /// Puts a file with these bytes under `path`, durable at once with its name and directories.
    /// Who has the replaced file open keeps it.
    ///
    /// ```
    /// use annals_disk::{SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// // A test begins with what an earlier version left.
    /// disk.set_file_bytes("data/root", b"old")?;
    /// assert_eq!(disk.restart().file_bytes("data/root").as_deref(), Some(&b"old"[..]));
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    ///
    /// # Errors
    /// If `path` is or leads through something of another kind.
    pub fn set_file_bytes(&self, path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let path = path.as_ref();
        self.replace(path, bytes).map_err(|error| DiskError::new(Operation::Write, path, error))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let parts = path::parts(path);
        let Some((name, parents)) = parts.split_last() else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let content = Content::durable(bytes)?;
        let mut state = self.state.lock();
        let mut dir = ROOT;
        for depth in 1..=parents.len() {
            let parent = dir;
            dir = match state.tree.get(&parents[..depth])? {
                Some(Node::Dir(id)) => id,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let id = state.fresh_id();
                    state.tree.add_dir(id);
                    id
                }
            };
            // Also for a directory that is there: its own name may still be waiting for a sync.
            let (name, node) = (parents[depth - 1].clone(), Some(Node::Dir(dir)));
            state.tree.change_durably(vec![Assignment { dir: parent, name, node }]);
        }
        state.tree.place(&parts)?;
        let id = state.fresh_id();
        state.files.insert(id, SimFile::new(content));
        let node = Some(Node::File(id));
        state.tree.change_durably(vec![Assignment { dir, name: name.clone(), node }]);
        Ok(())
    }

    /// Flips one bit of a file, in what readers see and in what is durable, as far as each reaches.
    /// Nobody may hold a slice of that byte meanwhile.
    ///
    /// ```
    /// use annals_disk::{SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.set_file_bytes("notes", b"hello")?;
    /// disk.flip_bit("notes", 0, 1)?;
    /// assert_eq!(disk.file_bytes("notes").as_deref(), Some(&b"jello"[..]));
    /// assert!(disk.flip_bit("notes", 5, 0).is_err());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such file, or it has no such byte.
    ///
    /// # Panics
    /// If `bit` is not below 8.
    pub fn flip_bit(&self, path: impl AsRef<Path>, byte_offset: u64, bit: u8) -> Result<()> {
        let path = path.as_ref();
        let mut state = self.state.lock();
        let mut flip = || {
            let id = state.tree.file(&path::parts(path))?;
            let content = &mut state.file(id)?.content;
            if byte_offset >= content.len() as u64 {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such byte"));
            }
            content.flip(byte_offset as usize, bit);
            Ok(())
        };
        flip().map_err(|error| DiskError::new(Operation::Write, path, error))
    }
}
