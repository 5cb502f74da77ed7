//! The view of an ordered keyspace.

use crate::{Error, Result};
use annals_ordered::Tree;

/// The tree of an ordered keyspace. Clearing the keyspace puts another one in its place; snapshots keep
/// the old one. Hash keyspaces have none.
#[derive(Debug, Default)]
pub(crate) struct TreeView {
    /// The tree's number in the store.
    pub(crate) id: u32,
    /// The tree itself; read-only handles, and states that are being loaded, do not have it.
    pub(crate) tree: Option<Tree>,
}

impl TreeView {
    /// The tree of the keyspace `name`.
    #[inline]
    pub(crate) fn of(&self, name: &str) -> Result<&Tree> {
        self.tree.as_ref().ok_or_else(|| Error::OrderedReadOnly { name: name.to_owned() })
    }
}
