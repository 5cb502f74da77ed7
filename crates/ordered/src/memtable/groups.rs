//! Memory that grows without moving: groups of lines, each twice as long as the one before.
//!
//! An address says by itself in which group it is. That takes addresses, not memory: the system gives
//! memory for what is touched, and [`Room`] counts it as it is. What does not fit into the rest of a
//! group goes to one that holds it in one piece, however long it is.
//!
//! A group may have been one of another memtable before. So nothing is read that was not written here.

use super::spare::SpareMemory;
use annals_disk::{Line, Lines};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// The first group's length in bytes, and the first address that there is.
pub(super) const FIRST_BYTES: u64 = 1 << 12;
/// 32 GiB.
const GROUPS: usize = 23;

/// The memory, as everybody sees it.
pub(super) struct Groups {
    groups: [OnceLock<Lines>; GROUPS],
    taken_bytes: AtomicUsize,
    /// Where groups come from and go to.
    spare: Arc<SpareMemory>,
}

impl Drop for Groups {
    fn drop(&mut self) {
        // The long ones first: there may not be room for all.
        for lines in self.groups.iter_mut().rev().filter_map(OnceLock::take) {
            self.spare.keep(lines);
        }
    }
}

impl Groups {
    /// No memory yet.
    pub(super) fn new(spare: &Arc<SpareMemory>) -> Self {
        let groups = std::array::from_fn(|_| OnceLock::new());
        Self { groups, taken_bytes: AtomicUsize::new(0), spare: Arc::clone(spare) }
    }

    /// The memory taken from the system, in bytes.
    pub(super) fn taken_bytes(&self) -> usize {
        self.taken_bytes.load(Ordering::Relaxed)
    }

    /// The group that an address is in, and how many bytes of it are in front of the address. A group
    /// that is not there, as far as this thread can see, has no lines.
    #[inline(always)]
    pub(super) fn place(&self, at: u64) -> (&[Line], usize) {
        let (group, base) = place_of(at);
        let lines = self.groups[group].get().map_or(&[][..], Lines::get);
        (lines, (at - base) as usize)
    }
}

/// The group that an address is in, and the address at which the group begins.
#[inline(always)]
fn place_of(at: u64) -> (usize, u64) {
    let group = at.ilog2().wrapping_sub(FIRST_BYTES.ilog2());
    (group as usize, FIRST_BYTES << (group & 31))
}

/// What is still free of the groups: who has it takes from it.
#[derive(Debug)]
pub(super) struct Room {
    /// The address behind what is taken.
    end: u64,
    /// The address behind the group that the end is in.
    group_end: u64,
    /// The address up to which that group's memory is counted.
    counted: u64,
    /// How many bytes at once become memory there.
    step: u64,
    /// The group behind that one.
    next_group: usize,
    /// Whether the system has refused to give as much as was asked for.
    is_short: bool,
}

impl Room {
    /// All of it.
    pub(super) fn new() -> Self {
        let (end, group_end, counted) = (FIRST_BYTES, FIRST_BYTES, FIRST_BYTES);
        Self { end, group_end, counted, step: 1, next_group: 0, is_short: false }
    }

    /// Whether the system has refused to give as much as was asked for: then groups end early, and there are only so
    /// many of them.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Whether there is a group that nothing was taken from, and another one for what does not fit into its rest.
    #[inline]
    pub(super) fn has_groups_left(&self) -> bool {
        self.next_group + 2 <= GROUPS
    }

    /// Sees to it that so many bytes can be taken in one piece. False if they cannot be had; nothing is changed
    /// then.
    #[inline]
    pub(super) fn reserve(&mut self, groups: &Groups, bytes: u64) -> bool {
        bytes <= self.group_end - self.end || self.go_to_group(groups, bytes)
    }

    /// The address of so many bytes in one piece. What is in them is of no meaning.
    ///
    /// # Panics
    /// If all addresses are used up.
    #[inline]
    pub(super) fn take(&mut self, groups: &Groups, bytes: u64) -> u64 {
        assert!(self.reserve(groups, bytes), "the memtable has used up its addresses");
        let at = self.end;
        self.end = at + bytes;
        if self.end > self.counted {
            self.count(groups);
        }
        at
    }

    /// The address behind what was taken last.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Goes on to the next group that has room for so many bytes. False if there is none.
    #[cold]
    fn go_to_group(&mut self, groups: &Groups, bytes: u64) -> bool {
        for group in self.next_group..GROUPS {
            let base = FIRST_BYTES << group;
            if base >= bytes {
                let lines = groups.spare.take(base as usize / size_of::<Line>());
                let there = size_of_val(lines.get()) as u64;
                self.is_short |= there < base;
                if there >= bytes {
                    self.step = Lines::step_bytes(lines.get().len()) as u64;
                    self.end = base;
                    self.group_end = base + there;
                    self.counted = base;
                    self.next_group = group + 1;
                    assert!(
                        groups.groups[group].set(lines).is_ok(),
                        "who has the room fills groups"
                    );
                    return true;
                }
            }
        }
        false
    }

    /// Counts the memory that is touched for the first time with what was taken last.
    #[cold]
    fn count(&mut self, groups: &Groups) {
        let more = (self.end - self.counted).next_multiple_of(self.step);
        let more = more.min(self.group_end - self.counted);
        self.counted += more;
        groups.taken_bytes.fetch_add(more as usize, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_overlap_and_lie_in_one_group() {
        let groups = Groups::new(&Arc::new(SpareMemory::new(0)));
        let mut room = Room::new();
        let mut end = 0;
        for bytes in (0..500).map(|n| n * 37 % 1500 * 8 + 8) {
            let at = room.take(&groups, bytes);
            assert!(at >= end && at.is_multiple_of(8));
            end = at + bytes;
            assert_eq!(room.end(), end);
            let (lines, from) = groups.place(at);
            assert!(from + bytes as usize <= size_of_val(lines));
        }
        assert!(groups.taken_bytes() as u64 <= end + 4096);
        assert!(groups.taken_bytes() as u64 > end / 4);
    }

    #[test]
    fn only_what_is_touched_is_counted() {
        let groups = Groups::new(&Arc::new(SpareMemory::new(0)));
        let mut room = Room::new();
        assert_eq!(groups.taken_bytes(), 0);
        room.take(&groups, 8);
        assert_eq!(groups.taken_bytes() as u64, FIRST_BYTES);
        let long = (1 << 20) + 8;
        room.take(&groups, long);
        // The group has two mebibytes, and memory comes in pages.
        let expected = FIRST_BYTES + long.next_multiple_of(4096);
        assert_eq!(groups.taken_bytes() as u64, expected);
        room.take(&groups, 8);
        assert_eq!(groups.taken_bytes() as u64, expected);
    }

    #[test]
    fn a_group_that_is_not_there_has_no_lines() {
        let groups = Groups::new(&Arc::new(SpareMemory::new(0)));
        let (lines, from) = groups.place(FIRST_BYTES * 8 + 3);
        assert_eq!((lines.len(), from), (0, 3));
    }
}
