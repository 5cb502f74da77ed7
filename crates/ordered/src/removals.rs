//! Removals of whole ranges of keys, and which of them a key is under.

mod fixed;

use fixed::Fixed;
use std::{cmp::Reverse, sync::Arc};

/// The removal of all versions of the keys in `from..to` that are older than itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RangeRemoval {
    /// The first key.
    pub from: Arc<[u8]>,
    /// The first key behind those that are removed.
    pub to: Arc<[u8]>,
    /// The sequence number of the record that brought it.
    pub seq: u64,
}

impl RangeRemoval {
    /// The removal of what is in `from..to` and older than `seq`.
    #[must_use]
    pub fn new(from: &[u8], to: &[u8], seq: u64) -> Self {
        Self { from: from.into(), to: to.into(), seq }
    }

    /// Whether a key is in the range.
    #[must_use]
    pub fn covers(&self, key: &[u8]) -> bool {
        *self.from <= *key && *key < *self.to
    }

    /// What it removes inside of `from..to`, where `None` is the end of all keys. `None` if that is nothing.
    #[must_use]
    pub fn within(&self, from: &[u8], to: Option<&[u8]>) -> Option<Self> {
        let from = if *self.from < *from { from.into() } else { Arc::clone(&self.from) };
        let to = match to {
            Some(to) if *to < *self.to => to.into(),
            _ => Arc::clone(&self.to),
        };
        (from < to).then_some(Self { from, to, seq: self.seq })
    }
}

/// Range removals, and an index of them. A copy costs no more than a pointer's; adding one costs a
/// logarithm on average, whatever the ranges, and asking for a key costs the square of a logarithm.
#[derive(Clone, Debug, Default)]
pub struct Removals {
    /// Each is at least twice as large as the one behind it, as long as they are added one by one.
    /// `None` if there are none: that is what nearly every cursor has, and it costs no count that
    /// threads share.
    parts: Option<Arc<[Arc<Fixed>]>>,
}

/// What is removed of a key and of those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed<'r> {
    /// Versions older than this are removed.
    pub seq: Option<u64>,
    /// The keys from here on have the same answer, up to and with the one that was asked for. `None`:
    /// from the first key on.
    pub from: Option<&'r [u8]>,
    /// The keys in front of this have the same answer. `None`: up to the last key.
    pub to: Option<&'r [u8]>,
}

impl Removals {
    #[inline]
    fn parts(&self) -> &[Arc<Fixed>] {
        self.parts.as_deref().unwrap_or_default()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_none()
    }

    /// The newest removal not newer than `seq` whose range the key is in.
    #[inline]
    #[must_use]
    pub fn newest_over(&self, key: &[u8], seq: u64) -> Option<u64> {
        let mut newest = None;
        for part in self.parts() {
            if part.oldest_seq() <= seq && newest < Some(part.newest_seq()) {
                newest = newest.max(part.newest_over(key, seq));
            }
        }
        newest
    }

    /// The newest removal not newer than `seq` whose range the key is in, and for which keys around it the
    /// same answer holds: whoever goes through keys in order asks again only beyond those.
    #[must_use]
    pub fn around(&self, key: &[u8], seq: u64) -> Removed<'_> {
        let mut removed = Removed { seq: None, from: None, to: None };
        for part in self.parts() {
            let (from, to) = part.bounds_around(key);
            removed.seq = removed.seq.max(part.newest_over(key, seq));
            removed.from = removed.from.max(from);
            removed.to = match (removed.to, to) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        removed
    }

    /// These and one more.
    #[must_use]
    pub fn with(&self, removal: RangeRemoval) -> Self {
        if removal.from >= removal.to {
            return self.clone();
        }
        let mut parts = self.parts().to_vec();
        let mut last = vec![removal];
        while parts.last().is_some_and(|part| part.removals().len() < 2 * last.len()) {
            last.extend(parts.pop().iter().flat_map(|part| part.removals().iter().cloned()));
        }
        parts.push(Arc::new(Fixed::new(last)));
        Self { parts: (!parts.is_empty()).then(|| parts.into()) }
    }

    /// All of several.
    #[must_use]
    pub fn union<'r>(sets: impl IntoIterator<Item = &'r Self>) -> Self {
        let mut parts: Vec<_> =
            sets.into_iter().flat_map(|set| set.parts().iter().cloned()).collect();
        parts.sort_by_key(|part| Reverse(part.removals().len()));
        Self { parts: (!parts.is_empty()).then(|| parts.into()) }
    }

    /// The removals, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &RangeRemoval> {
        self.parts().iter().flat_map(|part| part.removals())
    }

    /// The same for whoever asks as of one of `snapshots` (in rising order) or as of now, and as few as
    /// possible: of the removals over a key, the newest for each of these. They are sorted by where they
    /// begin, those of one sequence number do not overlap, and what touches is joined. This is what tables
    /// keep.
    #[must_use]
    pub fn fragments(&self, snapshots: &[u64]) -> Vec<RangeRemoval> {
        fixed::fragments(self.iter(), snapshots)
    }

    /// About how much memory this takes, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.parts().iter().map(|part| part.memory_bytes()).sum()
    }
}

impl FromIterator<RangeRemoval> for Removals {
    fn from_iter<I: IntoIterator<Item = RangeRemoval>>(removals: I) -> Self {
        let removals: Vec<_> =
            removals.into_iter().filter(|removal| removal.from < removal.to).collect();
        if removals.is_empty() {
            return Self::default();
        }
        Self { parts: (!removals.is_empty()).then(|| [Arc::new(Fixed::new(removals))].into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn removals() -> impl Strategy<Value = Vec<RangeRemoval>> {
        let one = (0..20_u8, 0..20_u8, 0..40_u64);
        prop::collection::vec(one, 0..40).prop_map(|all| {
            all.into_iter().map(|(from, to, seq)| RangeRemoval::new(&[from], &[to], seq)).collect()
        })
    }

    /// The answer by looking at all.
    fn newest(all: &[RangeRemoval], key: &[u8], seq: u64) -> Option<u64> {
        let over = all.iter().filter(|one| one.covers(key) && one.seq <= seq);
        over.map(|one| one.seq).max()
    }

    fn grown(all: &[RangeRemoval]) -> Removals {
        all.iter().fold(Removals::default(), |set, one| set.with(one.clone()))
    }

    proptest! {
        #[test]
        fn the_newest_over_a_key_is_found(all in removals(), cut in 0..40_usize) {
            let (one, other) = all.split_at(cut.min(all.len()));
            let sets = [
                all.iter().cloned().collect(),
                grown(&all),
                Removals::union([&grown(one), &other.iter().cloned().collect()]),
            ];
            for set in sets {
                prop_assert_eq!(set.is_empty(), all.iter().all(|one| one.from >= one.to));
                for (key, seq) in (0..22_u8).flat_map(|key| (0..42).map(move |seq| (key, seq))) {
                    let expected = newest(&all, &[key], seq);
                    prop_assert_eq!(set.newest_over(&[key], seq), expected);
                    let around = set.around(&[key], seq);
                    prop_assert_eq!(around.seq, expected);
                    let from = around.from.map_or(0, |from| from[0]);
                    let to = around.to.map_or(22, |to| to[0]);
                    prop_assert!((from..to).contains(&key));
                    for other in from..to {
                        prop_assert_eq!(newest(&all, &[other], seq), expected);
                    }
                }
            }
        }

        #[test]
        fn fragments_say_the_same_as_of_each_snapshot(
            all in removals(),
            snapshots in prop::collection::btree_set(0..40_u64, 0..5),
        ) {
            let snapshots: Vec<u64> = snapshots.into_iter().collect();
            let set = grown(&all);
            let fragments = set.fragments(&snapshots);
            for key in 0..22_u8 {
                for &seq in snapshots.iter().chain([&u64::MAX]) {
                    prop_assert_eq!(newest(&fragments, &[key], seq), newest(&all, &[key], seq));
                }
                let over = fragments.iter().filter(|one| one.covers(&[key])).count();
                prop_assert!(over <= snapshots.len() + 1);
            }
            prop_assert!(fragments.is_sorted_by(|one, next| one.from <= next.from));
            prop_assert!(fragments.iter().all(|one| one.from < one.to));
        }

        #[test]
        fn what_is_within_is_what_is_in_both(
            (a, b, from, to) in (0..9_u8, 0..9_u8, 0..9_u8, prop::option::of(0..9_u8)),
        ) {
            let removal = RangeRemoval::new(&[a], &[b], 1);
            let to = to.map(|to| [to]);
            let within = removal.within(&[from], to.as_ref().map(|to| &to[..]));
            for key in 0..10_u8 {
                let expected = removal.covers(&[key]) && from <= key && to.is_none_or(|to| key < to[0]);
                prop_assert_eq!(within.as_ref().is_some_and(|one| one.covers(&[key])), expected);
            }
        }
    }

    #[test]
    fn ten_thousand_nested_ranges_are_no_burden() {
        let key = |n: u32| n.to_be_bytes();
        let mut set = Removals::default();
        for n in 1..=10_000 {
            // As whoever empties a queue from its front does.
            set = set.with(RangeRemoval::new(&key(0), &key(n), n.into()));
        }
        assert!(set.parts().len() < 16, "{} parts", set.parts().len());
        assert!(set.memory_bytes() < 10_000 * 1024, "{} bytes", set.memory_bytes());
        for n in (0..10_000).step_by(97) {
            assert_eq!(set.newest_over(&key(n), u64::MAX), Some(10_000));
            assert_eq!(set.newest_over(&key(n), 9_000), (n < 9_000).then_some(9_000));
        }
        assert_eq!(set.fragments(&[]), [RangeRemoval::new(&key(0), &key(10_000), 10_000)]);
    }
}
