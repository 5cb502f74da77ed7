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
//! of memory that no page needs yet. A table that is loaded and has more than that lies in large pages alone.

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

/// The first group of large pages.
const FIRST_LARGE: u32 = 6;
const _: () = assert!(step_bytes(FIRST_LARGE - 1) < step_bytes(FIRST_LARGE));

/// The pages of a group, of the first that has whole pages on.
const fn pages_of(group: u32) -> usize {
    let shift = 2 * (group - 1);
    (FIRST_PAGES << if shift < LARGEST_SHIFT { shift } else { LARGEST_SHIFT }) as usize
}

/// How much memory comes at once as pages of a group are touched.
const fn step_bytes(group: u32) -> usize {
    Lines::step_bytes(pages_of(group) * PAGE)
}

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

    /// Where so many pages begin that lie in one group, if that is of large pages: they are there sooner, and are
    /// looked into sooner, than as many in the groups before.
    pub(super) fn room(&self, pages: usize) -> Option<u32> {
        let small: usize = (1..FIRST_LARGE).map(pages_of).sum();
        let group = (FIRST_LARGE..GROUPS).find(|group| pages_of(*group) >= pages)?;
        (pages > small).then_some(group << GROUP_SHIFT)
    }

    /// The group of a page, made if need be.
    fn group_of(&self, page: u32) -> &Lines {
        let group = page >> GROUP_SHIFT;
        assert!(group < GROUPS, "the hash table has used up its page numbers");
        self.groups[group as usize].get_or_init(|| match group {
            0 => Lines::zeroed(FIRST),
            // No group needs to be whole: after its last page comes the next one.
            _ => Lines::up_to(pages_of(group) * PAGE),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_pages_find_room_side_by_side() {
        let arena = Arena::default();
        let small: usize = (1..FIRST_LARGE).map(pages_of).sum();
        assert_eq!(arena.room(small), None);
        for (pages, group) in [(small + 1, 6), (16 << 10, 6), ((16 << 10) + 1, 7), (usize::MAX, 0)]
        {
            let room = (group > 0).then_some(group << GROUP_SHIFT);
            assert_eq!(arena.room(pages), room, "{pages}");
        }
    }
}
