//! The tree over a memtable's records, as readers see it.
//!
//! Readers go down from the root without a lock. What they meet changes in three ways only:
//!
//! * a node gains a slot, by one store of its order word;
//! * the root is replaced, by one store of its number and height;
//! * a full child is replaced by two that hold what it held: first its parent gains a slot for the
//!   upper one, then the lower one is put in the place of the full one. In between, the full child stands
//!   for the lower range, and is complete. A reader that had loaded the parent's order word before, and
//!   the child after, could take the lower one for the whole; so it looks at the order word again when it
//!   has the child (see [`Tree::child`]).
//!
//! Nodes that were replaced stay as they are while the memtable lives, so a reader that is in one sees
//! what there was when it came: it misses nothing that was there when it began.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    bytes::Bytes,
    groups::Groups,
    node::{self, Node, Sorted, Target, word},
    record,
};

/// The tree.
pub(super) struct Tree {
    pub(super) bytes: Arc<Bytes>,
    pub(super) nodes: Groups,
    root: AtomicU64,
}

/// The root's number, and how many levels of inner nodes there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    pub(super) node: u32,
    pub(super) height: u32,
}

/// A leaf as it was when somebody looked, and the range of keys that it was for: from the record `low`
/// on (zero: from the beginning), up to the record `high`, exclusive (zero: to the end).
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) node: u32,
    pub(super) sorted: Sorted,
    pub(super) low: u32,
    pub(super) high: u32,
    /// The node above, unless the leaf is the root.
    pub(super) above: Option<Above>,
}

/// The node above a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Above {
    node: u32,
    /// Its order when the leaf was found.
    sorted: Sorted,
    /// The leaf's place in it.
    place: usize,
    /// The record at which its range ends; zero if it does not.
    high: u32,
}

/// Which way down.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'a> {
    /// To the leaf in whose range the target is.
    To(Target<'a>),
    /// To the leaf in whose range what comes directly before the target is.
    Before(Target<'a>),
    /// To the first leaf.
    First,
    /// To the last leaf.
    Last,
}

impl Tree {
    /// A tree whose root is given.
    pub(super) fn new(bytes: Arc<Bytes>, nodes: Groups, root: Root) -> Self {
        let tree = Self { bytes, nodes, root: AtomicU64::new(0) };
        tree.set_root(root);
        tree
    }

    /// The root.
    #[inline]
    pub(super) fn root(&self) -> Root {
        let root = self.root.load(Ordering::Acquire);
        Root { node: (root >> 32) as u32, height: root as u32 }
    }

    /// Publishes another root.
    pub(super) fn set_root(&self, root: Root) {
        self.root.store(u64::from(root.node) << 32 | u64::from(root.height), Ordering::Release);
    }

    /// A node.
    #[inline]
    pub(super) fn node(&self, node: u32) -> Node<'_> {
        node::at(&self.nodes, node)
    }

    /// The place in an inner node on the way down, and what the node's order was.
    #[inline(always)]
    pub(super) fn place(&self, node: Node<'_>, sorted: Sorted, way: Way<'_>) -> usize {
        // The first child's range begins where the node's does: at or before whatever is looked for here.
        match way {
            Way::To(target) => node.rank::<true>(sorted, &self.bytes, target, 1) - 1,
            Way::Before(target) => node.rank::<false>(sorted, &self.bytes, target, 1) - 1,
            Way::First => 0,
            Way::Last => sorted.len() - 1,
        }
    }

    /// The child on the way down, its place, and the order that it was found with.
    #[inline(always)]
    fn child(&self, node: Node<'_>, way: Way<'_>) -> (u32, usize, Sorted) {
        let mut sorted = node.sorted();
        loop {
            let place = self.place(node, sorted, way);
            let child = node.child(sorted.slot(place));
            // Whoever sees the lower one of two children that replace a full one (acquire) sees the order
            // word with the upper one, too. An order word never comes back once it is replaced.
            let again = node.sorted();
            if again == sorted {
                return (child, place, sorted);
            }
            sorted = again;
        }
    }

    /// Goes down to a leaf.
    #[inline(always)]
    pub(super) fn descend(&self, way: Way<'_>) -> Leaf {
        let root = self.root();
        let mut number = root.node;
        let (mut low, mut high) = (0, 0);
        let mut above = None;
        for level in (0..root.height).rev() {
            let node = self.node(number);
            let (child, place, sorted) = self.child(node, way);
            node::approach(&self.nodes, child, level == 0);
            above = Some(Above { node: number, sorted, place, high });
            if place > 0 {
                low = node.record(sorted.slot(place));
            }
            if place + 1 < sorted.len() {
                high = node.record(sorted.slot(place + 1));
            }
            number = child;
        }
        Leaf { node: number, sorted: self.node(number).sorted(), low, high, above }
    }

    /// The leaf behind one, if the node above tells it without a descent. In a node that was replaced meanwhile
    /// there is what there was then, so nothing is missed that was there when the first of the leaves was found.
    #[inline]
    pub(super) fn next(&self, leaf: &Leaf) -> Option<Leaf> {
        let Above { node, sorted, place, high } = leaf.above?;
        let place = place + 1;
        if place >= sorted.len() {
            return None;
        }
        let parent = self.node(node);
        let number = parent.child(sorted.slot(place));
        // As in `child`: else it could be a part of what the slot stood for.
        if parent.sorted() != sorted {
            return None;
        }
        let low = parent.record(sorted.slot(place));
        let above = Some(Above { node, sorted, place, high });
        let high =
            if place + 1 < sorted.len() { parent.record(sorted.slot(place + 1)) } else { high };
        Some(Leaf { node: number, sorted: self.node(number).sorted(), low, high, above })
    }

    /// The newest version of a key that is not newer than the target's.
    #[inline]
    pub(super) fn find(&self, target: Target<'_>) -> Option<crate::Entry<'_>> {
        let leaf = self.descend(Way::To(target));
        let (node, sorted) = (self.node(leaf.node), leaf.sorted);
        if sorted.len() == 0 {
            // Only the root of a memtable without versions.
            return None;
        }
        let place = node.rank::<false>(sorted, &self.bytes, target, 0);
        let record = if place < sorted.len() {
            let slot = sorted.slot(place);
            if node.word(slot) != word(target.key, node.skip()) {
                return None;
            }
            node.record(slot)
        } else {
            leaf.high
        };
        if record == 0 {
            return None;
        }
        // All of a short record at once.
        self.bytes.prefetch_all(record);
        let entry = record::read(&self.bytes, record);
        (entry.key == target.key).then_some(entry)
    }
}
