//! The arena: the memory of all subtables, in pages of one kibibyte.
//!
//! Memory is added in groups of pages and never freed while the table lives, so a reader that follows an outdated
//! page number still reads words, if not the ones it wants; whether they were is for the validation to say. Pages
//! are all alike: a subtable names up to seven of them, wherever they are, so that recycling leaves no gaps.
//!
//! A page number says where the page is: `group:5 | page:27`. Each group has four times the pages of the one before.
//! That takes addresses, not memory: the system gives memory for what is touched, and pages are taken in the order
//! of their numbers. The groups beyond some five mebibytes are of large pages, so there may be up to two mebibytes
//! of memory that no page needs yet.

use std::sync::OnceLock;

use annals_disk::{Line, Lines};

use super::bucket::Bucket;
use super::shape::{FIRST, PAGE};

/// Groups: 85 GiB.
const GROUPS: u32 = 13;
/// Pages of the first group that has whole pages.
const FIRST_PAGES: u32 = 16;
const GROUP_SHIFT: u32 = 27;
/// Bytes in a page.
const PAGE_BYTES: usize = PAGE * size_of::<Line>();

/// The page a new table starts with, which has only [`FIRST`] buckets: the only one of its group.
pub(super) const SHORT_PAGE: u32 = 0;

/// The memory.
#[derive(Default)]
pub(super) struct Arena {
    groups: [OnceLock<Lines>; GROUPS as usize],
}

impl Arena {
    /// The bucket of a page. `None` if there is no such page, as far as this thread can see.
    #[inline(always)]
    pub(super) fn bucket(&self, page: u32, at: usize) -> Option<Bucket<'_>> {
        let lines = self.groups.get((page >> GROUP_SHIFT) as usize)?.get()?;
        let line = (page & ((1 << GROUP_SHIFT) - 1)) as usize * PAGE + at;
        Some(Bucket(lines.get().get(line)?))
    }

    /// Makes sure the page exists; returns the bytes this took. Called once for each page.
    pub(super) fn provide(&self, page: u32) -> usize {
        let group = page >> GROUP_SHIFT;
        assert!(group < GROUPS, "the hash table has used up its page numbers");
        let lines = if page == SHORT_PAGE { FIRST } else { pages_of(group) as usize * PAGE };
        self.groups[group as usize].get_or_init(|| Lines::zeroed(lines));
        // The memory comes with the first page that touches it.
        let at = (page & ((1 << GROUP_SHIFT) - 1)) as usize * PAGE_BYTES;
        let step = Lines::step_bytes(lines);
        if at.is_multiple_of(step) { step } else { 0 }
    }
}

/// Pages of a group.
fn pages_of(group: u32) -> u32 {
    if group == 0 { 1 } else { FIRST_PAGES << (2 * (group - 1)) }
}

/// The number of the page after this one.
pub(super) fn after(page: u32) -> u32 {
    let group = page >> GROUP_SHIFT;
    let next = page + 1;
    if next & ((1 << GROUP_SHIFT) - 1) < pages_of(group) {
        next
    } else {
        (group + 1) << GROUP_SHIFT
    }
}
