//! The one that writes to a memtable.

use std::{cmp::Ordering, sync::Arc};

use super::{
    Memtable,
    bytes::{Appender, Bytes},
    groups::{Groups, Room},
    node::{self, SLOTS, Slot, Target, word},
    record,
    spare::SpareMemory,
    tree::{Root, Tree, Way},
};
use crate::{Entry, RangeRemoval};

/// Words are taken anew from keys when they could begin so many bytes further on.
const SKIP_STEP: usize = 4;

/// The one that writes to a memtable: whoever has it is its only writer. When it is dropped, the
/// memtable is frozen.
#[derive(Debug)]
pub struct MemtableWriter {
    table: Arc<Memtable>,
    appender: Appender,
    room: Room,
    path: Vec<Step>,
    /// Where the last record went, while the path still leads there.
    last: Option<Last>,
}

/// A node on the way to where a record goes, and the place in it.
#[derive(Clone, Copy, Debug)]
struct Step {
    node: u32,
    place: usize,
    /// The records between which the node's range is, as in [`super::tree::Leaf`].
    low: u32,
    high: u32,
}

/// Where the last record went. A record that comes directly behind it may go there without a descent.
#[derive(Clone, Copy, Debug)]
struct Last {
    record: u32,
    /// Up to here all keys between the last record and the end of the leaf's range agree.
    skip: usize,
    /// The word of the last record's key from there on.
    word: u64,
    /// The word at which the leaf's range ends; `None` if it does not end.
    end: Option<u64>,
}

impl MemtableWriter {
    /// An empty memtable's writer.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "an empty memtable is made on purpose")]
    pub fn new() -> Self {
        Self::with(&Arc::new(SpareMemory::new(0)))
    }

    /// An empty memtable's writer. Its memory comes from what others left, as far as that goes, and goes
    /// back there.
    pub(crate) fn with(spare: &Arc<SpareMemory>) -> Self {
        let appender = Appender::new(spare);
        let (groups, mut room) = (Groups::new(spare), Room::new());
        let node = node::build(&groups, &mut room, true, 0, &[]);
        let root = Root { node, height: 0 };
        let tree = Tree::new(Arc::clone(appender.bytes()), groups, root);
        let table = Arc::new(Memtable::new(tree));
        Self { table, appender, room, path: Vec::new(), last: None }
    }

    /// The memtable, for readers. They see each version from when it was put on.
    #[must_use]
    pub fn memtable(&self) -> &Arc<Memtable> {
        &self.table
    }

    /// Sees to it that memory is there for a version. False if the system gives none: then adding it may panic.
    #[inline]
    pub(crate) fn reserve(&mut self, entry: &Entry<'_>) -> bool {
        // What nodes take for one version is less than a group has, however short.
        self.appender.reserve(record::bytes_max(entry)) && self.room.has_groups_left()
    }

    /// Whether the system gives less memory than was asked for, so that it is better to have the memtable flushed soon.
    pub(crate) fn is_short(&self) -> bool {
        self.appender.is_short() || self.room.is_short()
    }

    /// Adds a version. Sequence numbers may come in any order, but one that the key has already is passed
    /// over: the version that was there stays. A version that comes directly behind the last one is
    /// added faster.
    ///
    /// # Panics
    /// If the key is longer than 16 MiB or the value than 4 GiB, or all records together than 32 GiB, or the system
    /// gives no memory.
    #[inline]
    pub fn put(&mut self, entry: &Entry<'_>) {
        let target = Target { key: entry.key, seq: entry.seq };
        // Before the record is written, so that the leaf comes closer while it is.
        let behind = self.last.filter(|&last| self.is_directly_behind(target, last));
        if behind.is_none() {
            self.descend(target);
        }
        let record = record::append(&mut self.appender, entry);
        if self.insert(record, target, behind) {
            self.table.count(entry);
        }
    }

    /// Adds a range removal: from now on it covers what is older than it, for readers that ask for its
    /// sequence number or a newer one. An empty range removes nothing.
    pub fn remove_range(&mut self, removal: RangeRemoval) {
        self.table.add_removal(removal);
    }

    /// Whether the path to the last record leads to where this one goes, too.
    #[inline]
    fn is_directly_behind(&self, target: Target<'_>, last: Last) -> bool {
        let word = word(target.key, last.skip);
        if word < last.word || last.end.is_some_and(|end| word >= end) {
            return false;
        }
        if word > last.word && last.skip == 0 {
            return true;
        }
        let (key, seq) = record::place(self.bytes(), last.record);
        if target.key.len() < last.skip || target.key[..last.skip] != key[..last.skip] {
            return false;
        }
        word > last.word || key.cmp(target.key).then(target.seq.cmp(&seq)) == Ordering::Less
    }

    /// Goes down to the leaf for a record, and notes the way.
    fn descend(&mut self, target: Target<'_>) {
        let tree = &self.table.tree;
        let root = tree.root();
        self.path.clear();
        let mut step = Step { node: root.node, place: 0, low: 0, high: 0 };
        for level in (0..root.height).rev() {
            let node = tree.node(step.node);
            let sorted = node.sorted();
            step.place = tree.place(node, sorted, Way::To(target));
            let child = node.child(sorted.slot(step.place));
            node::approach(&tree.nodes, child, level == 0);
            self.path.push(step);
            if step.place > 0 {
                step.low = node.record(sorted.slot(step.place));
            }
            if step.place + 1 < sorted.len() {
                step.high = node.record(sorted.slot(step.place + 1));
            }
            step.node = child;
        }
        self.path.push(step);
    }

    /// Puts a record into the leaf that the path leads to. False if it is there already. `behind` says that
    /// it comes behind the last record.
    #[inline]
    fn insert(&mut self, record: u32, target: Target<'_>, behind: Option<Last>) -> bool {
        let tree = &self.table.tree;
        let depth = self.path.len() - 1;
        let node = tree.node(self.path[depth].node);
        let sorted = node.sorted();
        let word = word(target.key, node.skip());
        let at_end = |last: Last| {
            sorted.len() > 0 && node.record(sorted.slot(sorted.len() - 1)) == last.record
        };
        let place = if behind.is_some_and(at_end) {
            sorted.len()
        } else {
            node.rank::<false>(sorted, &tree.bytes, target, 0)
        };
        if place < sorted.len() {
            let slot = sorted.slot(place);
            if node.word(slot) == word
                && record::place(&tree.bytes, node.record(slot)) == (target.key, target.seq)
            {
                // The path need not be the last one's any more.
                self.last = None;
                return false;
            }
        }
        let slot = Slot { word, record, child: 0 };
        if sorted.len() < SLOTS {
            node.add(place, &slot, true);
            self.note_last(record, target);
            return true;
        }
        let in_order = place == SLOTS && self.last.is_some_and(at_end);
        self.split(depth, place, &slot, None, in_order);
        self.last = None;
        if in_order {
            // The next one goes to the new leaf, most likely.
            if self.path.is_empty() {
                self.descend(target);
            }
            self.note_last(record, target);
        }
        true
    }

    /// Notes where a record went, if the next one may go there by the same path.
    #[inline]
    fn note_last(&mut self, record: u32, target: Target<'_>) {
        let tree = &self.table.tree;
        let at = self.path.len() - 1;
        let (skip, end) = if self.path[at].high == 0 {
            (0, None)
        } else {
            // There is an end, so there is a parent. If it is not the parent that knows it, never mind.
            let above = self.path[at - 1];
            let node = tree.node(above.node);
            let sorted = node.sorted();
            if above.place + 1 >= sorted.len() {
                self.last = None;
                return;
            }
            (node.skip(), Some(node.word(sorted.slot(above.place + 1))))
        };
        let word = word(target.key, skip);
        self.last = Some(Last { record, skip, word, end });
    }

    /// Puts others in the place of a full node on the path, with one slot more, and with another child in
    /// one, if `replaced` says so.
    #[cold]
    fn split(
        &mut self,
        depth: usize,
        place: usize,
        slot: &Slot,
        replaced: Option<(usize, u32)>,
        in_order: bool,
    ) {
        let step = self.path[depth];
        let is_leaf = depth + 1 == self.path.len();
        let tree = &self.table.tree;
        let node = tree.node(step.node);
        let skip = node.skip();
        let sorted = node.sorted();
        if in_order && place == SLOTS {
            // What comes next comes behind, most likely: the node stays full, and its range ends here.
            let begin = slot.record;
            let mut slots: [_; SLOTS] =
                std::array::from_fn(|at| node.slot(sorted.slot(at), is_leaf));
            if let Some((at, child)) = replaced {
                slots[at].child = child;
            }
            // Only now it is known where that is, and so how much its keys have in common.
            let closer = tree.refine(&mut slots, step.low, begin, skip);
            let left = (closer != skip || replaced.is_some())
                .then(|| node::build(&tree.nodes, &mut self.room, is_leaf, closer, &slots));
            let right = node::build(&tree.nodes, &mut self.room, is_leaf, skip, &[*slot]);
            self.add_to_parent(depth, left, slot, skip, right, true);
            return;
        }
        let mut slots = [Slot::default(); SLOTS + 1];
        for (at, to) in slots.iter_mut().enumerate() {
            *to = match at.cmp(&place) {
                Ordering::Less => node.slot(sorted.slot(at), is_leaf),
                Ordering::Equal => *slot,
                Ordering::Greater => node.slot(sorted.slot(at - 1), is_leaf),
            };
        }
        if let Some((at, child)) = replaced {
            // Not in the node itself: readers may still come to it that must find the complete child.
            slots[at].child = child;
        }
        let (lower, upper) = slots.split_at_mut(SLOTS.div_ceil(2));
        let middle = upper[0];
        let mut build = |slots: &mut [Slot], low, high| {
            let closer = tree.refine(slots, low, high, skip);
            node::build(&tree.nodes, &mut self.room, is_leaf, closer, slots)
        };
        let left = build(lower, step.low, middle.record);
        let right = build(upper, middle.record, step.high);
        self.add_to_parent(depth, Some(left), &middle, skip, right, false);
        self.path.clear();
    }

    /// Makes known a node that takes over the upper part of the range of the one at a depth of the path,
    /// from the record of the slot `middle` on, and one that takes over the lower part, unless that stays.
    /// What comes in order has the path lead to the upper one from then on, or has none.
    fn add_to_parent(
        &mut self,
        depth: usize,
        left: Option<u32>,
        middle: &Slot,
        skip: usize,
        right: u32,
        in_order: bool,
    ) {
        let begin = middle.record;
        let tree = &self.table.tree;
        let middle = |in_parent| Slot {
            // The same offset in both spares a look at the key.
            word: if in_parent == skip {
                middle.word
            } else {
                word(record::place(&tree.bytes, middle.record).0, in_parent)
            },
            record: middle.record,
            child: right,
        };
        if depth == 0 {
            let left = Slot { child: left.unwrap_or(self.path[0].node), ..Slot::default() };
            let right = middle(0);
            let node = node::build(&tree.nodes, &mut self.room, false, 0, &[left, right]);
            tree.set_root(Root { node, height: tree.root().height + 1 });
            self.path.clear();
            return;
        }
        let step = self.path[depth - 1];
        let node = tree.node(step.node);
        let sorted = node.sorted();
        let slot = middle(node.skip());
        if sorted.len() == SLOTS {
            let replaced = left.map(|left| (step.place, left));
            self.split(depth - 1, step.place + 1, &slot, replaced, in_order);
        } else {
            node.add(step.place + 1, &slot, false);
            if let Some(left) = left {
                node.replace_child(sorted.slot(step.place), left);
            }
            self.path[depth - 1].place += 1;
        }
        if in_order && let Some(step) = self.path.get_mut(depth) {
            *step = Step { node: right, place: 0, low: begin, high: step.high };
        }
    }

    fn bytes(&self) -> &Bytes {
        self.appender.bytes()
    }
}

impl Tree {
    /// Takes the words of sorted slots anew, if all keys between the records `low` and `high` agree so far that
    /// it is worth while; returns where they begin.
    fn refine(&self, slots: &mut [Slot], low: u32, high: u32, skip: usize) -> usize {
        // The ends of the range differ at least where the slots do.
        let differ = slots[0].word ^ slots[slots.len() - 1].word;
        if low == 0 || high == 0 || (differ.leading_zeros() as usize) < 8 * SKIP_STEP {
            return skip;
        }
        let key = |record| record::place(&self.bytes, record).0;
        let agree = key(low).iter().zip(key(high)).take_while(|(low, high)| low == high).count();
        if agree < skip + SKIP_STEP {
            return skip;
        }
        for slot in slots {
            slot.word = word(key(slot.record), agree);
        }
        agree
    }
}
