//! The directory: from the first bits of a hash to the entry of its subtable.
//!
//! There is one array for each depth the directory has had; the present one is told by `depth`, which only
//! grows. An array is never changed again once it is outgrown, and never freed while the table lives (all former
//! ones together are as large as the present one). Entries of subtables less deep than the directory are
//! repeated.

use std::iter;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::entry::{Entry, Head, Roots};
use super::marks::{Marks, Passed};
use super::shape::{self, MAX_DEPTH};

/// The directory.
#[derive(Default)]
pub(super) struct Directory {
    depth: AtomicU32,
    arrays: [OnceLock<Array>; MAX_DEPTH as usize + 1],
}

/// What one depth has. The marks of an entry have its index.
struct Array {
    entries: Box<[Entry]>,
    marks: Box<[Marks]>,
}

impl Array {
    fn new(depth: u32) -> Self {
        let entries = iter::repeat_with(Entry::default).take(1 << depth).collect();
        let marks = iter::repeat_with(Marks::default).take(1 << depth).collect();
        Self { entries, marks }
    }
}

/// Bytes that an entry takes with its marks.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>() + size_of::<Marks>();

impl Directory {
    /// A directory whose array of this depth has yet to be published into.
    pub(super) fn new(depth: u32) -> Self {
        let directory = Self::default();
        directory.arrays[depth as usize].get_or_init(|| Array::new(depth));
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
        self.arrays.get(depth as usize)?.get()?.entries.get(index)
    }

    /// The entry of a hash, now.
    #[inline]
    pub(super) fn entry_of(&self, hash: u64) -> Option<&Entry> {
        let depth = self.depth();
        self.entry(depth, shape::index(hash, depth))
    }

    /// The marks that go with it.
    #[inline]
    pub(super) fn marks(&self, depth: u32, index: usize) -> Option<&Marks> {
        self.arrays.get(depth as usize)?.get()?.marks.get(index)
    }

    /// Marks a bucket of the subtable of a hash. Writer only.
    pub(super) fn pass(&self, hash: u64, head: Head, bucket: usize) {
        for index in self.range(hash, head) {
            if let Some(marks) = self.marks(self.depth_again(), index) {
                marks.pass(bucket);
            }
        }
    }

    /// The entries of a subtable.
    fn range(&self, hash: u64, head: Head) -> Range<usize> {
        let depth = self.depth_again();
        let first = shape::index(shape::prefix(hash, head.depth()), depth);
        first..first + (1 << (depth - head.depth()))
    }

    /// Makes all entries of a subtable say something else, the first entry last: a walk goes by the first one,
    /// and finds the others changed if that one is. Writer only.
    pub(super) fn publish(&self, hash: u64, head: Head, roots: &Roots, passed: Passed) {
        let depth = self.depth_again();
        for index in self.range(hash, head).rev() {
            if let Some((entry, marks)) = self.entry(depth, index).zip(self.marks(depth, index)) {
                marks.publish(entry.publish(head, roots), passed);
            }
        }
    }

    /// Doubles the directory; returns the bytes of the new array. Writer only.
    pub(super) fn double(&self) -> usize {
        let depth = self.depth_again() + 1;
        self.arrays[depth as usize].get_or_init(|| {
            let array = Array::new(depth);
            for (index, (entry, marks)) in array.entries.iter().zip(&array.marks).enumerate() {
                let old = self.entry(depth - 1, index / 2).zip(self.marks(depth - 1, index / 2));
                if let Some((old, old_marks)) = old {
                    let head = old.head_again();
                    marks.publish(entry.publish(head, &old.roots(head)), old_marks.passed());
                }
            }
            array
        });
        // A reader that goes on in the former array sees, once it reads anything recycled after this, that the
        // depth is another: every store into recycled memory comes after a release fence.
        self.depth.store(depth, Ordering::Release);
        ENTRY_BYTES << depth
    }
}
