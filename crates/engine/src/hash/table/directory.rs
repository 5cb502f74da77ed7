//! The directory: from the first bits of a hash to the entry of its subtable.
//!
//! There is one array for each depth the directory has had; the present one is told by `depth`, which only
//! grows. An array is never changed again once it is outgrown, and never freed while the table lives (all former
//! ones together are as large as the present one). Entries of subtables less deep than the directory are
//! repeated.

use std::iter;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::entry::{Entry, Head, Roots};
use super::shape::{self, MAX_DEPTH};

/// The directory.
#[derive(Default)]
pub(super) struct Directory {
    depth: AtomicU32,
    arrays: [OnceLock<Box<[Entry]>>; MAX_DEPTH as usize + 1],
}

impl Directory {
    /// A directory whose array of this depth has yet to be published into.
    pub(super) fn new(depth: u32) -> Self {
        let directory = Self::default();
        directory.arrays[depth as usize].get_or_init(|| make(depth));
        directory.depth.store(depth, Ordering::Release);
        directory
    }

    /// The depth, and the array that goes with it.
    #[inline]
    pub(super) fn depth(&self) -> u32 {
        self.depth.load(Ordering::Acquire)
    }

    /// The depth again, after an acquire fence.
    #[inline]
    pub(super) fn depth_again(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }

    /// An entry of the array of this depth.
    #[inline]
    pub(super) fn entry(&self, depth: u32, index: usize) -> Option<&Entry> {
        self.arrays.get(depth as usize)?.get()?.get(index)
    }

    /// Makes all entries of a subtable say something else, the first entry last: a walk goes by the first one,
    /// and finds the others changed if that one is. Writer only.
    pub(super) fn publish(&self, hash: u64, head: Head, roots: &Roots) {
        let depth = self.depth_again();
        let first = shape::index(shape::prefix(hash, head.depth()), depth);
        for index in (first..first + (1 << (depth - head.depth()))).rev() {
            if let Some(entry) = self.entry(depth, index) {
                entry.publish(head, roots);
            }
        }
    }

    /// Doubles the directory; returns the bytes of the new array. Writer only.
    pub(super) fn double(&self) -> usize {
        let depth = self.depth_again() + 1;
        let array = self.arrays[depth as usize].get_or_init(|| {
            let array = make(depth);
            for (index, entry) in array.iter().enumerate() {
                if let Some(old) = self.entry(depth - 1, index / 2) {
                    let head = old.head_again();
                    entry.publish(head, &old.roots(head));
                }
            }
            array
        });
        // A reader that goes on in the former array sees, once it reads anything recycled after this, that the
        // depth is another: every store into recycled memory comes after a release fence.
        self.depth.store(depth, Ordering::Release);
        size_of_val(&**array)
    }
}

fn make(depth: u32) -> Box<[Entry]> {
    iter::repeat_with(Entry::default).take(1 << depth).collect()
}
