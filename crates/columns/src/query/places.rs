//! Where the group of some keys is.
//!
//! As long as the numbers of keys are few for the groups there are, a flat array has the place of each combination of
//! them; of more, those that were met are in a hash table.

use super::key::Folding;
use std::collections::HashMap;

/// So many places of combinations are there for each group, as a power of two, and so many at least.
const SPARE_BITS: u32 = 4;
const BITS_MIN: u32 = 12;
/// No group has this place.
const NONE: u32 = u32::MAX;

/// Where the groups of all parts are, by the numbers of their keys: 32 bits each, the last key's the lowest.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// How many bits of a key's number choose a place of the array, the last key first.
    bits: Vec<u32>,
    flat: Vec<u32>,
    /// Instead of the array.
    met: Option<HashMap<u128, u32, Folding>>,
}

impl Places {
    /// Those of so many keys.
    pub(super) fn new(keys_count: usize) -> Self {
        Self { bits: vec![0; keys_count], flat: vec![NONE], met: None }
    }

    /// The place of some keys, which is `next` if they were not met before; `all` has the keys of all that were.
    #[inline]
    pub(super) fn find(&mut self, keys: u128, next: u32, all: &[u128]) -> u32 {
        if self.met.is_none() {
            let at = match self.index_of(keys) {
                Some(at) => Some(at),
                None => self.widen(keys, all),
            };
            if let Some(at) = at {
                let place = &mut self.flat[at];
                if *place == NONE {
                    *place = next;
                }
                return *place;
            }
        }
        let met = self.met.get_or_insert_default();
        *met.entry(keys).or_insert(next)
    }

    /// Where the array has the place of some keys; `None` if it is too small.
    #[inline(always)]
    fn index_of(&self, keys: u128) -> Option<usize> {
        let (mut at, mut shift, mut rest) = (0, 0, keys);
        for bits in &self.bits {
            let number = rest as u32 as usize;
            if number >> bits != 0 {
                return None;
            }
            at |= number << shift;
            (shift, rest) = (shift + bits, rest >> 32);
        }
        Some(at)
    }

    /// Makes the array large enough, or does without it where that would take far more than there are groups.
    #[cold]
    fn widen(&mut self, keys: u128, all: &[u128]) -> Option<usize> {
        let mut rest = keys;
        for bits in &mut self.bits {
            *bits = (*bits).max(u32::BITS - (rest as u32).leading_zeros());
            rest >>= 32;
        }
        let groups_bits = usize::BITS - all.len().leading_zeros();
        let total: u32 = self.bits.iter().sum();
        if total > BITS_MIN.max(groups_bits + SPARE_BITS) {
            self.flat = Vec::new();
            let places = all.iter().copied().zip(0..);
            self.met = Some(places.collect());
            return None;
        }
        self.flat = vec![NONE; 1 << total];
        for (place, keys) in (0..).zip(all) {
            if let Some(at) = self.index_of(*keys) {
                self.flat[at] = place;
            }
        }
        self.index_of(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_combination_keeps_its_place(
            count in 1usize..=4,
            numbers in prop::collection::vec((any::<[u32; 4]>(), 0u32..32), 1..600),
        ) {
            let mut places = Places::new(count);
            let (mut all, mut expected) = (Vec::new(), HashMap::new());
            for (key, shift) in numbers.iter().chain(&numbers) {
                let keys = key[..count].iter().fold(0, |keys, number| keys << 32 | u128::from(number >> shift));
                let next = all.len() as u32;
                let found = places.find(keys, next, &all);
                prop_assert_eq!(found, *expected.entry(keys).or_insert(next));
                if found == next {
                    all.push(keys);
                }
            }
        }
    }

    #[test]
    fn few_numbers_take_an_array_and_far_ones_do_not() {
        let (mut places, mut all) = (Places::new(2), Vec::new());
        for keys in (0..1_000).flat_map(|user| (0..30).map(move |day| user << 32 | day)) {
            assert_eq!(places.find(keys, all.len() as u32, &all), all.len() as u32);
            all.push(keys);
        }
        assert!(places.met.is_none());
        assert_eq!(places.find(u128::from(u32::MAX), all.len() as u32, &all), all.len() as u32);
        assert!(places.met.is_some() && places.flat.is_empty());
        assert_eq!(places.find(all[777], 0, &all), 777);
    }
}
