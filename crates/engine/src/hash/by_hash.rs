//! Maps by what has been hashed already.

use annals_disk::hash_bytes;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map by the hashes of keys, which nobody who does not know the database's seed can choose: to hash them once more would
/// cost more than to look them up.
pub(crate) type ByHash<K, V> = HashMap<K, V, BuildHasherDefault<Hashed>>;

/// Takes hashes as they are, and numbers beside them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 ^= hash;
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.0 ^= u64::from(number);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(self.0, bytes);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash_key;
    use std::{collections::HashSet, hash::BuildHasher};

    #[test]
    fn the_same_key_in_several_keyspaces_is_told_apart() {
        let map = ByHash::<(u32, u64), ()>::default();
        let mut all = HashSet::new();
        for key in 0..100u64 {
            for space in 0..100u32 {
                let hash = hash_key(7, &key.to_le_bytes());
                all.insert(map.hasher().hash_one((space, hash)));
            }
        }
        assert_eq!(all.len(), 10_000);
    }
}
