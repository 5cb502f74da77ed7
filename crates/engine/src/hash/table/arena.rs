//! The arena: the memory of all subtables, in pages of one kibibyte.
//!
//! Memory is added in groups of pages and never freed while the table lives, so a reader that follows an outdated
//! page number still reads words, if not the ones it wants; whether they were is for the validation to say. Pages
//! are all alike: a subtable names up to seven of them, wherever they are, so that recycling leaves no gaps.
//!
//! A page number says where the page is: `group:5 | page:27`. Each group has four times the pages of the one before,
//! or fewer, if the system refuses the addresses.
//! That takes addresses, not memory: the system gives memory for what is touched, and pages are taken in the order
//! of their numbers. Those beyond some five mebibytes are of large pages, so there may be up to two mebibytes
//! of memory that no page needs yet.

use std::sync::OnceLock;

use annals_disk::{Line, Lines};

use super::bucket::Bucket;
use super::shape::{FIRST, PAGE};

/// Groups: some 500 GiB, less where the system refuses the addresses for whole ones.
const GROUPS: u32 = 20;
/// Pages of the first group that has whole pages.
const FIRST_PAGES: u32 = 16;
const GROUP_SHIFT: u32 = 27;
/// How much larger than the first the largest group is: 64 GiB.
const LARGEST_SHIFT: u32 = 22;
/// Bytes in a page.
const PAGE_BYTES: usize = PAGE * size_of::<Line>();

/// The page a new table starts with, which has only [`FIRST`] buckets: the only one of its group.
pub(super) const SHORT_PAGE: u32 = 0;
/// The first whole page.
pub(super) const FIRST_PAGE: u32 = 1 << GROUP_SHIFT;

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
        // The memory comes with the first page that touches it.
        let at = (page & ((1 << GROUP_SHIFT) - 1)) as usize * PAGE_BYTES;
        let step = Lines::step_bytes(self.group_of(page).get().len());
        if at.is_multiple_of(step) { step } else { 0 }
    }

    /// The number of the page after this one.
    pub(super) fn after(&self, page: u32) -> u32 {
        let next = page + 1;
        let in_group = (next & ((1 << GROUP_SHIFT) - 1)) as usize;
        if (in_group + 1) * PAGE <= self.group_of(page).get().len() {
            next
        } else {
            ((page >> GROUP_SHIFT) + 1) << GROUP_SHIFT
        }
    }

    /// The group of a page, made if need be.
    fn group_of(&self, page: u32) -> &Lines {
        let group = page >> GROUP_SHIFT;
        assert!(group < GROUPS, "the hash table has used up its page numbers");
        self.groups[group as usize].get_or_init(|| match group {
            0 => Lines::zeroed(FIRST),
            // No group needs to be whole: after its last page comes the next one.
            _ => {
                Lines::up_to((FIRST_PAGES << (2 * (group - 1)).min(LARGEST_SHIFT)) as usize * PAGE)
            }
        })
    }
}
