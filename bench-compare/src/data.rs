//! Keys and values, both derived from an index.
//!
//! A reader holds no copy of what was written: from the key alone it can tell what the value must
//! be, so every value read is checked, at a cost of a few nanoseconds that is the same for all.
//! Values do not compress.

/// Bytes in a key.
pub(crate) const KEY_BYTES: usize = 16;
/// Bytes in a small value.
pub(crate) const VALUE_BYTES: usize = 100;
/// Bytes in a large value.
pub(crate) const LARGE_BYTES: usize = 64 * 1024;

/// A key.
pub(crate) type Key = [u8; KEY_BYTES];
/// A small value.
pub(crate) type Value = [u8; VALUE_BYTES];

/// Indices from here on are never written: look-ups of them miss.
pub(crate) const MISSING_FROM: u64 = 1 << 60;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const WORDS: usize = VALUE_BYTES / 8;

/// A bijection of 64-bit words that leaves no pattern (the finish of SplitMix64).
pub(crate) const fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The key of `index` where keys come in random order.
pub(crate) fn random_key(index: u64) -> Key {
    let high = mix(index);
    join(high, mix(high ^ index))
}

/// The key of `index` where keys come in ascending order.
pub(crate) fn ordered_key(index: u64) -> Key {
    join(0, index)
}

/// Keys of a group.
const GROUP_KEYS: u64 = 15;

/// Keys in groups of about fifteen, which share their first eight bytes and nothing else. Groups are in
/// random order, and so are the keys of one; each gets its keys in turn with all the others, as objects
/// get theirs over time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Groups {
    keys: u64,
    /// How many groups there are.
    pub(crate) count: u64,
}

impl Groups {
    /// The groups of `keys` keys.
    pub(crate) fn new(keys: u64) -> Self {
        Self { keys, count: (keys / GROUP_KEYS).max(1) }
    }

    /// The key of `index`.
    pub(crate) fn key(&self, index: u64) -> Key {
        join(mix(index % self.count), mix(!index))
    }

    /// What the keys of `group` begin with.
    pub(crate) fn prefix(&self, group: u64) -> [u8; 8] {
        mix(group).to_be_bytes()
    }

    /// How many keys `group` has.
    pub(crate) fn size(&self, group: u64) -> u64 {
        self.keys / self.count + u64::from(group < self.keys % self.count)
    }
}

fn join(high: u64, low: u64) -> Key {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&high.to_be_bytes());
    key[8..].copy_from_slice(&low.to_be_bytes());
    key
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
    u64::from_le_bytes(word)
}

fn seed(key: &Key, version: u64) -> u64 {
    (word(key, 0) ^ word(key, 1).rotate_left(32)).wrapping_add(version).wrapping_mul(STEP)
}

/// The value of `key` in its `version`-th writing.
pub(crate) fn value(key: &Key, version: u64) -> Value {
    let mut value = [0; VALUE_BYTES];
    let mut word = seed(key, version);
    for chunk in value.chunks_mut(8) {
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        word = word.wrapping_add(STEP);
    }
    value
}

/// Whether `bytes` is the value of `key` in its `version`-th writing.
#[inline]
pub(crate) fn is_value(bytes: &[u8], key: &Key, version: u64) -> bool {
    if bytes.len() != VALUE_BYTES {
        return false;
    }
    let first = seed(key, version);
    let mut wrong = 0;
    let mut expected = first;
    for index in 0..WORDS {
        wrong |= word(bytes, index) ^ expected;
        expected = expected.wrapping_add(STEP);
    }
    wrong == 0 && bytes[WORDS * 8..] == expected.to_le_bytes()[..VALUE_BYTES - WORDS * 8]
}

/// A buffer that becomes the large value of one key after another: a fixed pattern whose first
/// word belongs to the key, so that writing does not measure the filling of buffers.
pub(crate) struct LargeValue {
    bytes: Vec<u8>,
    pattern_sum: u64,
}

impl LargeValue {
    /// The buffer, of no key yet.
    pub(crate) fn new() -> Self {
        let mut bytes = Vec::with_capacity(LARGE_BYTES);
        for index in 0..(LARGE_BYTES / 8) as u64 {
            bytes.extend_from_slice(&mix(index).to_le_bytes());
        }
        let pattern_sum = sum(&bytes[8..]);
        Self { bytes, pattern_sum }
    }

    /// The large value of `key`.
    pub(crate) fn of(&mut self, key: &Key) -> &[u8] {
        self.bytes[..8].copy_from_slice(&seed(key, 0).to_le_bytes());
        &self.bytes
    }

    /// Whether `bytes` is the large value of `key`, told by its length and the sum of its words:
    /// every byte is touched, at the speed of memory.
    pub(crate) fn is_of(&self, bytes: &[u8], key: &Key) -> bool {
        bytes.len() == LARGE_BYTES && sum(bytes) == self.pattern_sum.wrapping_add(seed(key, 0))
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<8>().0.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

/// The indices `0..count` in a fixed random order.
pub(crate) fn shuffled(count: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    for last in (1..order.len()).rev() {
        let other = mix(last as u64 ^ STEP) % (last as u64 + 1);
        order.swap(last, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_from_its_neighbours() {
        let key = random_key(7);
        let mut bytes = value(&key, 1);
        assert!(is_value(&bytes, &key, 1));
        assert!(!is_value(&bytes, &key, 0));
        assert!(!is_value(&bytes, &random_key(8), 1));
        assert!(!is_value(&bytes[1..], &key, 1));
        bytes[VALUE_BYTES - 1] ^= 1;
        assert!(!is_value(&bytes, &key, 1));
    }

    #[test]
    fn a_large_value_is_told_from_its_neighbours() {
        let mut large = LargeValue::new();
        let bytes = large.of(&random_key(3)).to_vec();
        assert!(large.is_of(&bytes, &random_key(3)));
        assert!(!large.is_of(&bytes, &random_key(4)));
    }

    #[test]
    fn groups_have_the_keys_that_begin_with_their_prefixes() {
        let groups = Groups::new(1_000);
        assert_eq!(groups.count, 66);
        let keys: Vec<Key> = (0..1_000).map(|index| groups.key(index)).collect();
        for group in 0..groups.count {
            let prefix = groups.prefix(group);
            let size = keys.iter().filter(|key| key.starts_with(&prefix)).count() as u64;
            assert_eq!(size, groups.size(group));
            assert!((15..=16).contains(&size));
        }
    }

    #[test]
    fn a_shuffle_keeps_every_index() {
        let mut order = shuffled(1_000);
        assert_ne!(order[..4], [0, 1, 2, 3]);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1_000));
    }
}
