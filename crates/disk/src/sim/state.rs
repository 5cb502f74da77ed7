//! Everything a simulated disk knows, behind one lock.
//!
//! Invariants:
//! * every call passes [`State::begin`] first, which decides whether it happens at all: a call on a
//!   disk without power changes nothing;
//! * the outcome of a call depends on the seed and on the calls before it, on nothing else;
//! * while the lock is held no code of a caller runs.

use super::{
    Fault, SimOptions,
    content::Content,
    fault::Faults,
    rng::Rng,
    tree::{Assignment, Id, Node, ROOT, Tree},
};
use crate::{Holder, holders::Holders, path};
use std::{collections::BTreeMap, io, path::Path};

/// Whether the disk still answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// It does.
    On,
    /// The power was cut.
    Cut,
    /// The process that used it was killed.
    Killed,
}

/// A file: its bytes, its lock, and how often it is open.
#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) content: Content,
    pub(super) holders: Holders,
    pub(super) handle_count: usize,
}

impl SimFile {
    pub(super) fn new(content: Content) -> Self {
        Self { content, holders: Holders::default(), handle_count: 0 }
    }
}

/// The state of a disk.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: SimOptions,
    /// How many restarts lie before this disk; it stands for the process id.
    pub(super) generation: u32,
    pub(super) tree: Tree,
    pub(super) files: BTreeMap<Id, SimFile>,
    next_id: Id,
    pub(super) power: Power,
    pub(super) cut_at: Option<u64>,
    pub(super) operation_count: u64,
    pub(super) faults: Faults,
    pub(super) capacity_bytes: Option<u64>,
    write_backs: Rng,
    pub(super) random: Rng,
    pub(super) now_ms: u64,
    pub(super) monotonic_ns: u64,
}

impl State {
    /// A new disk with an empty root.
    pub(super) fn new(options: SimOptions) -> Self {
        Self {
            generation: 0,
            tree: Tree::new(),
            files: BTreeMap::new(),
            next_id: ROOT + 1,
            power: Power::On,
            cut_at: None,
            operation_count: 0,
            faults: Faults::default(),
            capacity_bytes: options.capacity_bytes,
            write_backs: Rng::new(options.seed, "write-back"),
            random: Rng::new(options.seed, "random"),
            now_ms: options.start_ms,
            monotonic_ns: 0,
            options,
        }
    }

    /// The disk that follows this one, with the files it is given.
    pub(super) fn successor(&self, seed: u64, tree: Tree, files: BTreeMap<Id, SimFile>) -> Self {
        Self {
            generation: self.generation + 1,
            tree,
            files,
            next_id: self.next_id,
            capacity_bytes: self.capacity_bytes,
            now_ms: self.now_ms,
            monotonic_ns: self.monotonic_ns,
            ..Self::new(SimOptions { seed, ..self.options.clone() })
        }
    }

    /// Begins a call that changes nothing.
    pub(super) fn look(&mut self, path: &Path, fault: Option<Fault>) -> io::Result<()> {
        self.powered()?;
        self.strike(path, fault)
    }

    /// Begins a call that changes something: counts it, cuts the power if its turn has come, lets
    /// the kernel write back, and lets an ordered fault strike.
    pub(super) fn begin(&mut self, path: &Path, fault: Fault) -> io::Result<()> {
        self.powered()?;
        if self.cut_at.is_some_and(|cut_at| self.operation_count >= cut_at) {
            self.power = Power::Cut;
        }
        self.powered()?;
        self.operation_count += 1;
        self.write_back();
        self.strike(path, Some(fault))
    }

    fn powered(&self) -> io::Result<()> {
        match self.power {
            Power::On => Ok(()),
            Power::Cut => Err(io::Error::other("power is cut")),
            Power::Killed => Err(io::Error::other("the process was killed")),
        }
    }

    fn strike(&mut self, path: &Path, fault: Option<Fault>) -> io::Result<()> {
        match fault {
            Some(fault) if self.faults.strikes(fault, path) => {
                Err(io::Error::other(format!("injected fault {fault:?}")))
            }
            _ => Ok(()),
        }
    }

    fn write_back(&mut self) {
        if !self.write_backs.chance(self.options.writeback_chance) {
            return;
        }
        let dirty: Vec<Id> = self
            .files
            .iter()
            .filter(|(_, file)| file.content.is_dirty())
            .map(|(id, _)| *id)
            .collect();
        if !dirty.is_empty() {
            let chosen = self.write_backs.pick(&dirty);
            if let Some(file) = self.files.get_mut(&chosen) {
                file.content.write_back(&mut self.write_backs);
            }
        }
    }

    pub(super) fn fresh_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Adds a file under a name that is free.
    pub(super) fn add_file(&mut self, dir: Id, name: &str, content: Content) -> Id {
        let id = self.fresh_id();
        self.files.insert(id, SimFile::new(content));
        let node = Some(Node::File(id));
        self.tree.change(vec![Assignment { dir, name: name.to_owned(), node }]);
        id
    }

    /// The file a handle is open on. Handles keep their file, so it is there.
    pub(super) fn file(&mut self, id: Id) -> io::Result<&mut SimFile> {
        self.files.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The file at `path`.
    pub(super) fn file_at(&self, path: &Path) -> io::Result<(Id, &SimFile)> {
        let id = self.tree.file(&path::parts(path))?;
        self.files.get(&id).map(|file| (id, file)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// How many of `wanted_bytes` more the device can hold.
    pub(super) fn room_for(&self, wanted_bytes: u64) -> u64 {
        let Some(capacity_bytes) = self.capacity_bytes else { return wanted_bytes };
        let named = self.tree.named_files();
        let used = self
            .files
            .iter()
            .filter(|(id, file)| file.handle_count > 0 || named.contains(id))
            .map(|(_, file)| file.content.len() as u64);
        wanted_bytes.min(capacity_bytes.saturating_sub(used.sum()))
    }

    /// Gives a file `len` bytes, if there is room and it is shorter.
    pub(super) fn grow(&mut self, id: Id, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let gained = len.saturating_sub(self.file(id)?.content.len()) as u64;
        if self.room_for(gained) < gained {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file(id)?.content.grow(len)
    }

    /// Closes a handle.
    pub(super) fn close(&mut self, id: Id) {
        if let Some(file) = self.files.get_mut(&id) {
            file.handle_count = file.handle_count.saturating_sub(1);
        }
    }

    /// Drops files that nothing can reach any more.
    pub(super) fn forget_unreachable(&mut self) {
        let possible = self.tree.possible_files();
        self.files.retain(|id, file| file.handle_count > 0 || possible.contains(id));
    }

    /// Who this disk's process is.
    pub(super) fn holder(&self) -> Holder {
        Holder { pid: self.generation + 1, host: "sim".to_owned(), since_ms: self.now_ms }
    }
}
