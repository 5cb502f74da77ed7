//! Bringing closer what look-ups will read, so that several wait for memory together.
//!
//! All of it is a hint: what is damaged on the way is left to the look-up to report.

use super::{Sought, Table, handle::Child};
use crate::{filter, near::approach};

impl Table {
    /// The leaf of a key, asked for together with the line of its filter.
    pub(crate) fn approach_leaf(&self, sought: &Sought<'_>) -> Option<Leaf> {
        let (mut node, mut child) = (self.root?, self.footer.root?);
        for level in 1..self.footer.depth {
            child = self.child(node, self.floor(node, sought.key, sought.seq).ok()?).ok()?;
            if level + 1 < self.footer.depth {
                node = self.node(child).ok()?;
            }
        }
        self.blocks.approach_index(child.block);
        if let Some(line) = self.filter_of(child).and_then(|bytes| filter::line(bytes, sought.hash))
        {
            approach(line);
        }
        Some(Leaf(child))
    }

    /// Asks for the block of entries that may have a key, whose leaf was asked for before.
    pub(crate) fn approach_entries(&self, sought: &Sought<'_>, leaf: Leaf) {
        let Leaf(leaf) = leaf;
        if !self.passes(leaf, sought.hash) {
            return;
        }
        let Ok(node) = self.node(leaf) else { return };
        let at = self.floor(node, sought.key, sought.seq);
        if let Ok(child) = at.and_then(|at| self.child(node, at)) {
            self.blocks.approach_start(child.block);
        }
    }
}

/// Where a leaf is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf(Child);
