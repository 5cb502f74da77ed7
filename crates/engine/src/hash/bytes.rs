//! How many bytes of each segment a hash keyspace needs.
//!
//! Every commit counts here, so counting takes no lock of its own: the counts are changed only by who
//! has the right to change the table, with plain loads and stores, and may be read by anybody.

use annals_journal::Address;
use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// What the bytes are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Current records.
    Live,
    /// Records that removed keys in the table point to.
    Dead,
    /// Records that are in no table and hide older ones from a rebuild.
    Hiding,
}

/// All needs.
pub(super) const NEEDS: [Need; 3] = [Need::Live, Need::Dead, Need::Hiding];

/// Bytes by the slot of their segment.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    /// The counts of the first slots, then each time of twice as many.
    groups: [OnceLock<Box<[Counts]>>; GROUPS],
}

/// Bytes of one segment, by need.
type Counts = [AtomicU64; NEEDS.len()];

/// Slots of the first group.
const FIRST_SLOTS: usize = 16;
/// As many as it takes for all slots there can be.
const GROUPS: usize = (Address::SLOTS_MAX as usize / FIRST_SLOTS).ilog2() as usize + 1;

/// The group of a slot, and its place there.
#[inline]
fn place(slot: u32) -> (usize, usize) {
    let shifted = slot as usize + FIRST_SLOTS;
    let group = (shifted.ilog2() - FIRST_SLOTS.ilog2()) as usize;
    (group, shifted - (FIRST_SLOTS << group))
}

impl Bytes {
    /// What a checkpoint kept of current records.
    pub(super) fn restored(live: &[u64]) -> Self {
        let bytes = Self::default();
        for (slot, count) in live.iter().enumerate().filter(|(_, count)| **count > 0) {
            bytes.of(slot as u32)[Need::Live as usize].store(*count, Ordering::Relaxed);
        }
        bytes
    }

    /// The counts of a slot, which are made if need be.
    #[inline]
    fn of(&self, slot: u32) -> &Counts {
        let (group, at) = place(slot);
        let slots = FIRST_SLOTS << group;
        let counts = self.groups[group]
            .get_or_init(|| std::iter::repeat_with(Counts::default).take(slots).collect());
        &counts[at]
    }

    /// The counts of a slot, if there are any.
    #[inline]
    fn known(&self, slot: u32) -> Option<&Counts> {
        let (group, at) = place(slot);
        self.groups[group].get().map(|counts| &counts[at])
    }

    /// Counts a record of `len` bytes in. For who may change the table.
    #[inline]
    pub(super) fn credit(&self, need: Need, address: Address, len: u32) {
        let count = &self.of(address.slot)[need as usize];
        count.store(count.load(Ordering::Relaxed) + u64::from(len), Ordering::Relaxed);
    }

    /// Counts a record out. For who may change the table.
    #[inline]
    pub(super) fn debit(&self, need: Need, address: Address, len: u32) {
        let Some(counts) = self.known(address.slot) else { return };
        let count = &counts[need as usize];
        let left = count.load(Ordering::Relaxed).saturating_sub(u64::from(len));
        count.store(left, Ordering::Relaxed);
    }

    /// The segment in `slot` holds nothing of this view any more. The next one there starts at zero,
    /// whatever a recovery may have miscounted in this one. For who may change the table.
    pub(super) fn forget(&self, slot: u32) {
        // Each keyspace is told of each segment: one that had nothing there takes no memory for it.
        for count in self.known(slot).into_iter().flatten() {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// How many bytes there are for the given needs, by slot.
    pub(super) fn sums(&self, needs: &[Need]) -> Vec<u64> {
        let mut sums = Vec::new();
        for (group, counts) in self.groups.iter().enumerate() {
            let Some(counts) = counts.get() else { continue };
            // A group may be missing before one that is there.
            sums.resize((FIRST_SLOTS << group) - FIRST_SLOTS, 0);
            sums.extend(counts.iter().map(|counts| -> u64 {
                needs.iter().map(|need| counts[*need as usize].load(Ordering::Relaxed)).sum()
            }));
        }
        let used = sums.iter().rposition(|sum| *sum > 0).map_or(0, |last| last + 1);
        sums.truncate(used);
        sums
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let slots: usize =
            self.groups.iter().filter_map(OnceLock::get).map(|group| group.len()).sum();
        slots * size_of::<Counts>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_counts_of_its_own() {
        let bytes = Bytes::default();
        let slots = [0, 1, 15, 16, 47, 48, 1_000, Address::SLOTS_MAX - 1];
        for (number, slot) in slots.into_iter().enumerate() {
            let address = Address { slot, offset: 64 };
            bytes.credit(Need::Live, address, 100 + number as u32);
            bytes.credit(Need::Dead, address, 7);
            bytes.debit(Need::Dead, address, 3);
            bytes.debit(Need::Hiding, address, 1);
        }
        let sums = bytes.sums(&[Need::Live]);
        assert_eq!(sums.len(), Address::SLOTS_MAX as usize);
        for (slot, sum) in sums.iter().enumerate() {
            let number = slots.iter().position(|known| *known as usize == slot);
            assert_eq!(*sum, number.map_or(0, |number| 100 + number as u64), "slot {slot}");
        }
        assert_eq!(bytes.sums(&NEEDS)[48], 105 + 4);
        bytes.forget(48);
        assert_eq!(bytes.sums(&NEEDS)[48], 0);
        assert_eq!(Bytes::restored(&sums).sums(&NEEDS), sums);
        assert_eq!(Bytes::default().sums(&NEEDS), Vec::<u64>::new());
    }

    #[test]
    fn what_counts_nothing_takes_no_memory() {
        let bytes = Bytes::default();
        bytes.forget(100_000);
        bytes.debit(Need::Live, Address { slot: 100_000, offset: 64 }, 16);
        assert_eq!(bytes.memory_bytes(), 0);
    }
}
