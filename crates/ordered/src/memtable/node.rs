//! A node of the tree: up to fifteen slots, and one word that says how many there are and how they are
//! sorted.
//!
//! A slot is written once, in a place that no reader looks at yet, and published by one store of the
//! order word (release). A reader that has loaded an order word (acquire) sees the slots that it names
//! as they stay for ever. A node that is full is replaced by others and never written again.
//!
//! In each slot is a word of its key: eight bytes from an offset up to which all keys of the node's range
//! agree. Comparing these words settles most searches without a look at any key.
//!
//! The lines of a leaf: `order:8, words:15 × 8 | records:15 × 4, skip:4`; of an inner node, the same
//! and `children:15 × 4`.

use annals_disk::{Line, prefetch};
use std::{cmp::Ordering as Order3, sync::atomic::Ordering};

use super::{
    bytes::Bytes,
    groups::{Groups, Room},
    record,
};
use crate::number::word_of;

/// Slots in a node.
pub(super) const SLOTS: usize = 15;
/// Lines of a leaf.
const LEAF: usize = 3;
/// Lines of an inner node.
const INNER: usize = 4;
/// The line with the records' addresses and the skip.
const RECORDS: usize = 2;
/// The line with the children.
const CHILDREN: usize = 3;

/// How many slots a node has, and how they are sorted: four bits for each place, from the lowest on, and
/// the number of places in the highest four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sorted(u64);

impl Sorted {
    /// So many slots that are sorted as they lie.
    pub(super) fn as_they_lie(len: usize) -> Self {
        Self((len as u64) << 60 | 0x0edc_ba98_7654_3210)
    }

    /// The number of slots.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        (self.0 >> 60) as usize
    }

    /// The slot at a place.
    #[inline(always)]
    pub(super) fn slot(self, place: usize) -> usize {
        (self.0 >> (4 * place)) as usize & 15
    }

    /// With the next slot at a place.
    #[inline]
    fn with(self, place: usize) -> Self {
        let len = self.0 >> 60;
        let places = self.0 & ((1 << 60) - 1);
        let below = places & ((1 << (4 * place)) - 1);
        let above = (places ^ below) << 4 & ((1 << 60) - 1);
        Self((len + 1) << 60 | above | len << (4 * place) | below)
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// The word of its key.
    pub(super) word: u64,
    /// The record that is there, or with which the child's range begins; zero for the lowest of all.
    pub(super) record: u32,
    /// The child, in inner nodes.
    pub(super) child: u32,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) key: &'a [u8],
    pub(super) seq: u64,
}

/// Eight bytes of a key from an offset on, so that they compare as the keys do; zeroes behind its end.
#[inline(always)]
pub(super) fn word(key: &[u8], skip: usize) -> u64 {
    word_of(key.get(skip..).unwrap_or_default())
}

/// A node, where it is in memory.
#[derive(Clone, Copy)]
pub(super) struct Node<'t>(&'t [Line]);

/// The memory of nodes. A node is named by the number of its first line.
pub(super) fn at(groups: &Groups, node: u32) -> Node<'_> {
    let (lines, from) = groups.place(u64::from(node) * size_of::<Line>() as u64);
    Node(&lines[from / size_of::<Line>()..])
}

/// Brings a node closer to the processor.
#[inline]
pub(super) fn approach(groups: &Groups, node: u32, is_leaf: bool) {
    let (lines, from) = groups.place(u64::from(node) * size_of::<Line>() as u64);
    let start = lines.as_ptr().wrapping_byte_add(from);
    prefetch(start);
    prefetch(start.wrapping_add(1));
    prefetch(start.wrapping_add(2));
    if !is_leaf {
        prefetch(start.wrapping_add(3));
    }
}

/// Makes a node that nobody sees yet.
pub(super) fn build(
    groups: &Groups,
    room: &mut Room,
    is_leaf: bool,
    skip: usize,
    slots: &[Slot],
) -> u32 {
    let lines = if is_leaf { LEAF } else { INNER };
    let number = room.take(groups, (lines * size_of::<Line>()) as u64) / size_of::<Line>() as u64;
    let node = at(groups, number as u32);
    // Halves are read before they are written; memory that is read first costs a page of zeroes, and
    // another fault, which all processors take part in, for the page that takes its place.
    for line in &node.0[..lines] {
        line[0].store(0, Ordering::Relaxed);
    }
    node.set_half(RECORDS, SLOTS, skip as u32);
    for (at, slot) in slots.iter().enumerate() {
        node.fill(at, slot, is_leaf);
    }
    node.0[0][0].store(Sorted::as_they_lie(slots.len()).0, Ordering::Release);
    number as u32
}

impl<'t> Node<'t> {
    /// The slots that are published, and how they are sorted.
    #[inline(always)]
    pub(super) fn sorted(self) -> Sorted {
        Sorted(self.0[0][0].load(Ordering::Acquire))
    }

    /// Up to where the keys of the node's range agree, at least.
    #[inline(always)]
    pub(super) fn skip(self) -> usize {
        self.half(RECORDS, SLOTS) as usize
    }

    /// The address of a slot's record.
    #[inline(always)]
    pub(super) fn record(self, slot: usize) -> u32 {
        self.half(RECORDS, slot)
    }

    /// The child in a slot. Children are replaced: see [`Node::replace_child`].
    #[inline(always)]
    pub(super) fn child(self, slot: usize) -> u32 {
        self.half(CHILDREN, slot)
    }

    /// The word of a slot's key.
    #[inline(always)]
    pub(super) fn word(self, slot: usize) -> u64 {
        self.0[(slot + 1) / 8][(slot + 1) % 8].load(Ordering::Relaxed)
    }

    /// All of a slot.
    pub(super) fn slot(self, slot: usize, is_leaf: bool) -> Slot {
        let child = if is_leaf { 0 } else { self.child(slot) };
        Slot { word: self.word(slot), record: self.record(slot), child }
    }

    /// How many of the sorted slots come before the target, or, with `OR_AT`, before it or are it.
    /// `first` slots are known to be.
    #[inline(always)]
    pub(super) fn rank<const OR_AT: bool>(
        self,
        sorted: Sorted,
        bytes: &Bytes,
        target: Target<'_>,
        first: usize,
    ) -> usize {
        let len = sorted.len();
        let word = word(target.key, self.skip());
        // One bit for each slot: the last is asked first, so that the first one's is the lowest.
        let mut below = 0u32;
        let lines: &[Line; 2] = self.0.first_chunk().expect("a node has lines");
        for slot in (0..SLOTS).rev() {
            let its = lines[(slot + 1) / 8][(slot + 1) % 8].load(Ordering::Relaxed);
            below = below + below + u32::from(its < word);
        }
        // Behind `len` may be a slot that is being written.
        let before = (below & ((1 << len) - 1)).count_ones() as usize;
        let mut low = before.max(first);
        let mut high = low;
        while high < len && self.word(sorted.slot(high)) == word {
            bytes.prefetch(self.record(sorted.slot(high)));
            high += 1;
        }
        while low < high {
            let middle = (low + high) / 2;
            let record = self.record(sorted.slot(middle));
            match record::order(bytes, record, target.key, target.seq) {
                Order3::Less => low = middle + 1,
                Order3::Equal if OR_AT => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// Adds a slot at a place, and publishes it.
    #[inline]
    pub(super) fn add(self, place: usize, slot: &Slot, is_leaf: bool) {
        let sorted = self.sorted();
        self.fill(sorted.len(), slot, is_leaf);
        self.0[0][0].store(sorted.with(place).0, Ordering::Release);
    }

    /// Puts another child where one is. What the other child no longer holds must be published in this
    /// node before.
    pub(super) fn replace_child(self, slot: usize, child: u32) {
        self.set_half(CHILDREN, slot, child);
    }

    /// Fills a slot that no reader looks at yet.
    #[inline]
    fn fill(self, at: usize, slot: &Slot, is_leaf: bool) {
        self.0[(at + 1) / 8][(at + 1) % 8].store(slot.word, Ordering::Relaxed);
        self.set_half(RECORDS, at, slot.record);
        if !is_leaf {
            self.set_half(CHILDREN, at, slot.child);
        }
    }

    #[inline(always)]
    fn half(self, line: usize, at: usize) -> u32 {
        // Acquire is for children: what is in a node is seen by who sees its number.
        (self.0[line][at / 2].load(Ordering::Acquire) >> (at % 2 * 32)) as u32
    }

    #[inline(always)]
    fn set_half(self, line: usize, at: usize, half: u32) {
        let shift = at % 2 * 32;
        let place = &self.0[line][at / 2];
        // There is one writer, so that nothing comes between; the other half stays as it is.
        let other = place.load(Ordering::Relaxed) & !(u64::from(u32::MAX) << shift);
        // Release is for children, also for the one in the other half.
        place.store(other | u64::from(half) << shift, Ordering::Release);
    }
}
