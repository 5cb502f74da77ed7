//! The view of an ordered keyspace.

use crate::{Error, Result, catalog::Keyspace};
use annals_ordered::Tree;

/// The tree of an ordered keyspace. Clearing the keyspace puts another one in its place; snapshots keep
/// the old one. Hash keyspaces have none.
#[derive(Debug, Default)]
pub(crate) struct TreeView {
    /// The tree's number in the store.
    pub(crate) id: u32,
    /// The tree itself; states that are being loaded, or that were left, do not have it.
    pub(crate) tree: Option<Tree>,
    /// Why there is none, if the manifest is lost.
    pub(crate) lost: Option<Error>,
}

impl TreeView {
    /// The tree of `keyspace`, whose view this is.
    #[inline]
    pub(crate) fn of(&self, keyspace: &Keyspace) -> Result<&Tree> {
        match &self.tree {
            Some(tree) => Ok(tree),
            None => Err(self.none_of(keyspace)),
        }
    }

    #[cold]
    fn none_of(&self, keyspace: &Keyspace) -> Error {
        if let Some(why) = &self.lost {
            return why.clone();
        }
        // One that was dropped has let go of its tree.
        let gone = annals_ordered::Error::Dropped { tree: keyspace.id };
        keyspace.check_alive().err().unwrap_or(Error::Tables(gone))
    }
}
