//! The directory entry: one cache line that says all about a subtable.
//!
//! The line has a head and two lists of page numbers. The version in the head is odd or even and so tells which
//! list is valid. A change writes the other list, then the head, so a reader always finds a complete entry and
//! never waits; a reader whose list is being rewritten holds a head that is two versions old by then.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::shape::{self, ROOTS, TAG_BITS, TAG_MASK};

/// What the head of an entry says: `version:32 | depth:5 | unknown:4 | buckets:23`. Unknown are
/// the bits of the tag that are set in `unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head(u64);

impl Head {
    pub(super) fn new(depth: u32, precision: u32, buckets: usize) -> Self {
        let unknown = TAG_MASK & !shape::known(precision);
        debug_assert!(unknown < 16);
        Self((u64::from(depth) << 27) | (unknown << 23) | buckets as u64)
    }

    pub(super) fn with_version(self, version: u64) -> Self {
        Self((version << 32) | (self.0 & 0xffff_ffff))
    }

    #[inline]
    pub(super) fn version(self) -> u64 {
        self.0 >> 32
    }

    #[inline]
    fn list(self) -> usize {
        (self.0 >> 32) as usize & 1
    }

    /// Leading bits all hashes of the subtable share.
    #[inline]
    pub(super) fn depth(self) -> u32 {
        (self.0 >> 27) as u32 & 0x1f
    }

    /// The bits of its tags that are known.
    #[inline]
    pub(super) fn known(self) -> u64 {
        TAG_MASK & !((self.0 >> 23) & 0xf)
    }

    /// How many these are.
    pub(super) fn precision(self) -> u32 {
        TAG_BITS - (TAG_MASK & !self.known()).count_ones()
    }

    /// Its size.
    #[inline]
    pub(super) fn buckets(self) -> usize {
        self.0 as usize & ((1 << 23) - 1)
    }
}

/// The pages of a subtable, or the index pages of a large one.
pub(super) type Roots = [u32; ROOTS];

/// One entry.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Entry {
    head: AtomicU64,
    lists: [[AtomicU32; ROOTS]; 2],
}

impl Entry {
    /// The head to begin with: the list it selects is complete.
    #[inline]
    pub(super) fn head(&self) -> Head {
        Head(self.head.load(Ordering::Acquire))
    }

    /// The head again, after an acquire fence: if it is the same, everything read in between belonged to it.
    #[inline]
    pub(super) fn head_again(&self) -> Head {
        Head(self.head.load(Ordering::Relaxed))
    }

    /// A root of the list that goes with the head.
    #[inline]
    pub(super) fn root(&self, head: Head, at: usize) -> u32 {
        self.lists[head.list()][at].load(Ordering::Relaxed)
    }

    /// All roots.
    pub(super) fn roots(&self, head: Head) -> Roots {
        std::array::from_fn(|at| self.root(head, at))
    }

    /// Makes the entry say something else. Returns its head. Writer only.
    pub(super) fn publish(&self, head: Head, roots: &Roots) -> Head {
        let version = Head(self.head.load(Ordering::Relaxed)).version() + 1;
        let head = head.with_version(version & 0xffff_ffff);
        // The list about to be overwritten belongs to the head before the present one. Whoever still reads it
        // and sees any of the stores below also sees, after its acquire fence, that the head has moved on.
        fence(Ordering::Release);
        for (place, &root) in self.lists[head.list()].iter().zip(roots) {
            place.store(root, Ordering::Relaxed);
        }
        // The list, and the words the writer put into the pages it names, are visible with the head.
        self.head.store(head.0, Ordering::Release);
        head
    }
}
