//! Where values lie that log compaction has moved.
//!
//! What tables say of a value in the log never changes: in which segment it was written, and the number of
//! its record. Where that segment is gone, this says where the value is now. It is part of the checkpoint, so
//! the root that no longer names a segment names the moved values too, in one step; and as moved records
//! keep their numbers, it can be found again from the packed segments.

use annals_journal::Address;
use std::collections::BTreeMap;

/// A value that was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MovedValue {
    /// The number of its record.
    pub(crate) seq: u64,
    /// The generation of the segment in which it was written, or [`UNKNOWN`](Self::UNKNOWN).
    pub(crate) origin: u32,
    /// What its record takes, in bytes.
    pub(crate) bytes: u32,
    /// Where it is.
    pub(crate) at: Address,
}

impl MovedValue {
    /// The origin of a value of which nobody can tell whether it is needed: no segment has this generation.
    pub(crate) const UNKNOWN: u32 = 0;
}

/// All values that were moved, some of which may have died since. Takes 24 bytes a value.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// By their numbers.
    values: Vec<MovedValue>,
    /// The bytes in each slot that came from each segment.
    shares: BTreeMap<(u32, u32), u64>,
}

impl Moved {
    /// These values; of those with the same number the last one counts.
    pub(crate) fn new(values: impl IntoIterator<Item = MovedValue>) -> Self {
        let by_seq: BTreeMap<u64, MovedValue> =
            values.into_iter().map(|value| (value.seq, value)).collect();
        let mut shares = BTreeMap::new();
        for value in by_seq.values() {
            *shares.entry((value.at.slot, value.origin)).or_default() += u64::from(value.bytes);
        }
        Self { values: by_seq.into_values().collect(), shares }
    }

    /// With values that were moved, some of them once more.
    pub(crate) fn with(&self, more: &[MovedValue]) -> Self {
        Self::new(self.values.iter().chain(more).copied())
    }

    /// Without what lies in these slots.
    pub(crate) fn without(&self, slots: &[u32]) -> Self {
        Self::new(self.outside(slots).copied())
    }

    /// The values that lie in no slot of these, by their numbers.
    pub(crate) fn outside<'a>(&'a self, slots: &'a [u32]) -> impl Iterator<Item = &'a MovedValue> {
        self.values.iter().filter(|value| !slots.contains(&value.at.slot))
    }

    /// Whether something lies in one of these slots.
    pub(crate) fn has_any_in(&self, slots: &[u32]) -> bool {
        self.shares.keys().any(|(slot, _)| slots.contains(slot))
    }

    /// Where the value of the record `seq` is.
    pub(crate) fn find(&self, seq: u64) -> Option<Address> {
        let at = self.values.binary_search_by_key(&seq, |value| value.seq).ok()?;
        Some(self.values[at].at)
    }

    /// Bytes in each slot that tables refer to, where `referenced` says to how many bytes they refer that
    /// were written in a segment which is gone. Of values from one segment that lie in several nobody
    /// knows which ones died; they count evenly.
    pub(crate) fn live_bytes(&self, referenced: impl Fn(u32) -> u64) -> BTreeMap<u32, u64> {
        let mut moved: BTreeMap<u32, u64> = BTreeMap::new();
        for ((_, origin), bytes) in &self.shares {
            *moved.entry(*origin).or_default() += bytes;
        }
        let mut live = BTreeMap::new();
        for ((slot, origin), bytes) in &self.shares {
            let all = moved[origin].max(1);
            let part = u128::from(referenced(*origin).min(all)) * u128::from(*bytes);
            let part = part.div_ceil(u128::from(all)) as u64;
            *live.entry(*slot).or_default() += part;
        }
        live
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        (self.values.capacity() * size_of::<MovedValue>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(seq: u64, origin: u32, slot: u32) -> MovedValue {
        MovedValue { seq, origin, bytes: 100, at: Address { slot, offset: 64 } }
    }

    #[test]
    fn a_value_is_where_it_was_moved_last() {
        let moved = Moved::default().with(&[value(9, 1, 5), value(3, 1, 5)]);
        assert_eq!(moved.find(3).map(|at| at.slot), Some(5));
        assert_eq!(moved.find(4), None);
        let again = moved.with(&[value(3, 1, 6)]);
        assert_eq!(again.find(3).map(|at| at.slot), Some(6));
        assert!(again.has_any_in(&[5]) && !again.has_any_in(&[4]));
        let left = again.without(&[5]);
        assert_eq!((left.find(9), left.find(3).map(|at| at.slot)), (None, Some(6)));
        assert!(!left.has_any_in(&[5]));
    }

    #[test]
    fn what_is_referred_to_is_shared_out_evenly() {
        let moved = Moved::new([value(1, 1, 5), value(2, 1, 6), value(3, 2, 6), value(4, 1, 6)]);
        let live = |of_one: u64, of_two: u64| {
            moved.live_bytes(|origin| if origin == 1 { of_one } else { of_two })
        };
        assert_eq!(live(300, 100), BTreeMap::from([(5, 100), (6, 300)]));
        assert_eq!(live(30, 0), BTreeMap::from([(5, 10), (6, 20)]));
        assert_eq!(live(1, 0), BTreeMap::from([(5, 1), (6, 1)]), "never none while some are");
        assert_eq!(live(0, 0), BTreeMap::from([(5, 0), (6, 0)]));
        assert_eq!(live(u64::MAX, 0), BTreeMap::from([(5, 100), (6, 200)]));
    }
}
