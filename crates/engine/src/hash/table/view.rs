//! The view: a subtable as one reader sees it, until the validation says that it has changed.

use std::sync::atomic::{Ordering, fence};

use super::Table;
use super::bucket::{Bucket, SLOTS};
use super::entry::{Entry, Head, Roots};
use super::shape::{self, FANOUT, PAGE, ROOTS};
use super::slot::Sought;

/// The view has changed under the reader, who has to begin again.
#[derive(Debug)]
pub(super) struct Outdated;

/// A subtable.
#[derive(Clone, Copy)]
pub(super) struct View<'t> {
    table: &'t Table,
    entry: &'t Entry,
    index: usize,
    head: Head,
    directory_depth: u32,
}

impl<'t> View<'t> {
    /// The subtable of a hash.
    #[inline]
    pub(super) fn of(table: &'t Table, hash: u64) -> Result<Self, Outdated> {
        let directory_depth = table.directory.depth();
        let index = shape::index(hash, directory_depth);
        let entry = table.directory.entry(directory_depth, index).ok_or(Outdated)?;
        Ok(Self { table, entry, index, head: entry.head(), directory_depth })
    }

    #[inline]
    pub(super) fn head(&self) -> Head {
        self.head
    }

    #[inline]
    pub(super) fn directory_depth(&self) -> u32 {
        self.directory_depth
    }

    #[inline]
    pub(super) fn roots(&self) -> Roots {
        self.entry.roots(self.head)
    }

    /// The home bucket of a hash, and what to look for there.
    #[inline]
    pub(super) fn home(&self, hash: u64) -> (usize, Sought) {
        let tag = shape::tag(hash, self.head.depth());
        let known = self.head.known();
        (shape::home(tag, known, self.head.buckets()), Sought::new(tag, known))
    }

    /// Whether a search passes a bucket, as the [marks](super::marks) tell, or else the bucket itself.
    #[inline(always)]
    pub(super) fn is_passed(&self, at: usize, bucket: Bucket<'_>) -> bool {
        let marks = self.table.directory.marks(self.directory_depth, self.index);
        match marks.and_then(|marks| marks.is_passed(self.head, at)) {
            Some(passed) => passed,
            None => bucket.is_full(),
        }
    }

    /// The bucket a search goes to next.
    #[inline]
    pub(super) fn after(&self, bucket: usize) -> usize {
        if bucket + 1 < self.head.buckets() { bucket + 1 } else { 0 }
    }

    /// A bucket. Missing only if the view is outdated.
    #[inline]
    pub(super) fn bucket(&self, at: usize) -> Result<Bucket<'t>, Outdated> {
        if self.head.buckets() <= shape::FULL && at < shape::FULL {
            return self.bucket_at_hand(at).ok_or(Outdated);
        }
        let page = self.indexed(at / PAGE)?;
        self.table.arena.bucket(page, at % PAGE).ok_or(Outdated)
    }

    /// A bucket of a subtable that has no index pages.
    #[inline(always)]
    pub(super) fn bucket_at_hand(&self, at: usize) -> Option<Bucket<'t>> {
        if at >= shape::FULL {
            return None;
        }
        self.table.arena.bucket(self.entry.root(self.head, at / PAGE), at % PAGE)
    }

    /// The number of a page of a large subtable, from its index pages. Takes a copy, so that who does not come here
    /// need not have the view in memory.
    #[cold]
    fn indexed(self, page: usize) -> Result<u32, Outdated> {
        let mut span = shape::index_span(self.head.buckets());
        let root = page / span;
        if root >= ROOTS {
            return Err(Outdated);
        }
        let mut number = self.entry.root(self.head, root);
        while span > 1 {
            let within = page % span;
            span /= FANOUT;
            let word = within / span;
            let bucket = self.table.arena.bucket(number, word / SLOTS).ok_or(Outdated)?;
            number = u32::try_from(bucket.word(word % SLOTS)).map_err(|_| Outdated)?;
        }
        Ok(number)
    }

    /// Whether all that was read so far belonged to the subtable. Everything the reader loads before stays
    /// before, and everything it loads after stays after.
    ///
    /// If one of the words came from memory that had been recycled, its store came after a release fence, and
    /// that came after the store that took the memory from this subtable: to the entry, or to the depth of the
    /// directory. The acquire fence here makes one of the two loads see it.
    #[inline]
    pub(super) fn is_current(&self) -> bool {
        fence(Ordering::Acquire);
        self.entry.head_again() == self.head
            && self.table.directory.depth_again() == self.directory_depth
    }
}
