//! The names of the simulated disk: what they are now, and which of them a power cut leaves.
//!
//! Invariants:
//! * the volatile names are the durable ones with all pending changes applied in order;
//! * a change is atomic: the two halves of a rename survive together or not at all;
//! * a change survives only if the pending changes of the same names before it survive. Without
//!   this a file that was renamed away could vanish because a later file of its old name
//!   survived, which no journaling file system does;
//! * what was synced survives. Any other set of changes that keeps these rules may: a file system
//!   owes no order to changes of different names.
//!
//! A rename between directories is durable once both are synced, in any order.

use super::rng::Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

/// The number of a file or directory, never used twice on one disk.
pub(super) type Id = u64;

/// The root directory.
pub(super) const ROOT: Id = 0;

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(Id),
    Dir(Id),
}

type Names = BTreeMap<String, Node>;

/// A directory.
#[derive(Clone, Debug, Default)]
struct Dir {
    volatile: Names,
    durable: Names,
}

/// One name set or cleared.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) dir: Id,
    pub(super) name: String,
    pub(super) node: Option<Node>,
}

/// Names that change together and are not durable yet.
#[derive(Clone, Debug)]
struct Change {
    assignments: Vec<Assignment>,
    /// The directories whose sync it still waits for.
    waiting: BTreeSet<Id>,
    /// Set by a failed sync: no later sync makes it durable.
    undecided: bool,
}

impl Change {
    fn touches(&self, other: &Change) -> bool {
        self.assignments
            .iter()
            .any(|a| other.assignments.iter().any(|b| a.dir == b.dir && a.name == b.name))
    }
}

/// All directories.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    dirs: BTreeMap<Id, Dir>,
    pending: Vec<Change>,
}

impl Tree {
    /// An empty root.
    pub(super) fn new() -> Self {
        Self { dirs: BTreeMap::from([(ROOT, Dir::default())]), pending: Vec::new() }
    }

    /// What is at `parts` now.
    pub(super) fn get(&self, parts: &[String]) -> io::Result<Option<Node>> {
        self.walk(parts, |dir| &dir.volatile)
    }

    /// What a power cut is sure to leave at `parts`.
    pub(super) fn get_durable(&self, parts: &[String]) -> io::Result<Option<Node>> {
        self.walk(parts, |dir| &dir.durable)
    }

    fn walk(&self, parts: &[String], side: impl Fn(&Dir) -> &Names) -> io::Result<Option<Node>> {
        let mut node = Node::Dir(ROOT);
        for name in parts {
            let Node::Dir(dir) = node else { return Err(io::ErrorKind::NotADirectory.into()) };
            match side(&self.dirs[&dir]).get(name) {
                Some(next) => node = *next,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// The directory at `parts`.
    pub(super) fn dir(&self, parts: &[String]) -> io::Result<Id> {
        match self.get(parts)? {
            Some(Node::Dir(id)) => Ok(id),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The file at `parts`.
    pub(super) fn file(&self, parts: &[String]) -> io::Result<Id> {
        match self.get(parts)? {
            Some(Node::File(id)) => Ok(id),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Where a file named `parts` is or would be: its directory, its name and the file.
    pub(super) fn place<'a>(&self, parts: &'a [String]) -> io::Result<(Id, &'a str, Option<Id>)> {
        let Some((name, parent)) = parts.split_last() else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let dir = self.dir(parent)?;
        match self.dirs[&dir].volatile.get(name) {
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::File(id)) => Ok((dir, name, Some(*id))),
            None => Ok((dir, name, None)),
        }
    }

    /// The names in a directory now.
    pub(super) fn names(&self, dir: Id) -> impl Iterator<Item = (&String, Node)> {
        self.dirs[&dir].volatile.iter().map(|(name, node)| (name, *node))
    }

    /// Adds an empty directory that no name leads to yet.
    pub(super) fn add_dir(&mut self, id: Id) {
        self.dirs.insert(id, Dir::default());
    }

    /// Changes names, for now only until the power is cut.
    pub(super) fn change(&mut self, assignments: Vec<Assignment>) {
        for assignment in &assignments {
            if let Some(dir) = self.dirs.get_mut(&assignment.dir) {
                assign(&mut dir.volatile, assignment);
            }
        }
        let waiting = assignments.iter().map(|assignment| assignment.dir).collect();
        self.pending.push(Change { assignments, waiting, undecided: false });
    }

    /// Makes all changes in `dir` durable, and what they build upon.
    pub(super) fn sync(&mut self, dir: Id) {
        let mut settled: Vec<bool> = Vec::with_capacity(self.pending.len());
        for change in &mut self.pending {
            change.waiting.remove(&dir);
            settled.push(change.waiting.is_empty() && !change.undecided);
        }
        self.settle_founded(settled);
    }

    /// Changes names durably, without making anything durable that this does not build upon.
    pub(super) fn change_durably(&mut self, assignments: Vec<Assignment>) {
        self.change(assignments);
        let mut settled = vec![false; self.pending.len()];
        if let Some(last) = settled.last_mut() {
            *last = true;
        }
        self.settle_founded(settled);
    }

    /// Makes the flagged pending changes durable, and the earlier ones that they build upon.
    fn settle_founded(&mut self, mut settled: Vec<bool>) {
        for later in (0..self.pending.len()).rev() {
            if settled[later] {
                for (earlier, founds) in settled.iter_mut().enumerate().take(later) {
                    *founds |= self.pending[later].touches(&self.pending[earlier]);
                }
            }
        }
        self.settle(&settled);
    }

    /// Notes that a sync of `dir` failed.
    pub(super) fn fail_sync(&mut self, dir: Id) {
        for change in self.pending.iter_mut().filter(|change| change.waiting.contains(&dir)) {
            change.undecided = true;
        }
    }

    /// Makes the pending changes durable whose flag is set, and drops them from the list.
    fn settle(&mut self, settled: &[bool]) {
        let pending = std::mem::take(&mut self.pending);
        for (change, settled) in pending.into_iter().zip(settled) {
            if !settled {
                self.pending.push(change);
                continue;
            }
            for assignment in &change.assignments {
                if let Some(dir) = self.dirs.get_mut(&assignment.dir) {
                    assign(&mut dir.durable, assignment);
                }
            }
        }
    }

    /// The names after a power cut.
    pub(super) fn survivors(&self, rng: &mut Rng) -> Self {
        let mut tree = self.clone();
        // Whole outcomes that are all but certain under a fair coin (one change of many lost, one
        // of many kept) are the ones that find bugs, so the coin is loaded anew for each cut.
        let share = rng.pick(&[0.0, 0.1, 0.5, 0.9, 1.0]);
        let mut settled: Vec<bool> = Vec::with_capacity(tree.pending.len());
        for later in 0..tree.pending.len() {
            let founded = (0..later).all(|earlier| {
                settled[earlier] || !tree.pending[later].touches(&tree.pending[earlier])
            });
            settled.push(rng.chance(share) && founded);
        }
        tree.settle(&settled);
        tree.pending.clear();
        for dir in tree.dirs.values_mut() {
            dir.volatile.clone_from(&dir.durable);
        }
        let reachable = tree.reachable();
        tree.dirs.retain(|id, _| *id == ROOT || reachable.contains(id));
        tree
    }

    /// The directories and files that the root leads to now.
    fn reachable(&self) -> BTreeSet<Id> {
        let mut reachable = BTreeSet::new();
        let mut open = vec![ROOT];
        while let Some(dir) = open.pop() {
            for node in self.dirs[&dir].volatile.values() {
                match *node {
                    Node::File(id) => {
                        reachable.insert(id);
                    }
                    Node::Dir(id) => {
                        if reachable.insert(id) {
                            open.push(id);
                        }
                    }
                }
            }
        }
        reachable
    }

    /// The files that have a name now.
    pub(super) fn named_files(&self) -> BTreeSet<Id> {
        files(self.dirs.values().flat_map(|dir| dir.volatile.values()))
    }

    /// The files that have a name now or may have one after a power cut.
    pub(super) fn possible_files(&self) -> BTreeSet<Id> {
        let pending = self.pending.iter().flat_map(|change| &change.assignments);
        let mut possible = files(pending.filter_map(|assignment| assignment.node.as_ref()));
        for dir in self.dirs.values() {
            possible.extend(files(dir.volatile.values().chain(dir.durable.values())));
        }
        possible
    }

    /// The names of all files now, in order.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        let mut open = vec![(ROOT, Vec::new())];
        while let Some((dir, parts)) = open.pop() {
            for (name, node) in self.names(dir) {
                let mut path = parts.clone();
                path.push(name.clone());
                match node {
                    Node::File(_) => paths.push(path),
                    Node::Dir(id) => open.push((id, path)),
                }
            }
        }
        paths.sort();
        paths
    }
}

fn files<'a>(nodes: impl Iterator<Item = &'a Node>) -> BTreeSet<Id> {
    nodes
        .filter_map(|node| match node {
            Node::File(id) => Some(*id),
            Node::Dir(_) => None,
        })
        .collect()
}

fn assign(names: &mut Names, assignment: &Assignment) {
    match assignment.node {
        Some(node) => names.insert(assignment.name.clone(), node),
        None => names.remove(&assignment.name),
    };
}

#[cfg(test)]
mod tree_test;
