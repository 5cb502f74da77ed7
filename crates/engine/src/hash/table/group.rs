//! The group: a copy of one subtable, and what a checkpoint file has of it.

use std::ops::RangeInclusive;

use super::shape::TAG_BITS;

/// A subtable.
///
/// `counts` says how many slots each bucket has; `slots` has them, bucket after bucket, without empty or vacated
/// words. A slot is in its home bucket or, where all buckets from there on are full, in the next that is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// The bits all hashes of the group share, from the highest on; the others are zero.
    pub(crate) prefix: u64,
    /// How many bits these are.
    pub(crate) depth: u8,
    /// How many bits of the tags mean something.
    pub(crate) precision: u8,
    /// How many buckets there are.
    pub(crate) buckets: u32,
    /// The slots of each bucket.
    pub(crate) counts: Vec<u8>,
    /// The slots.
    pub(crate) slots: Vec<u64>,
}

/// A group as a file has it: the slots are still bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedGroup<'a> {
    /// As in [`Group`].
    pub(crate) prefix: u64,
    /// As in [`Group`].
    pub(crate) depth: u8,
    /// As in [`Group`].
    pub(crate) precision: u8,
    /// The slots of each bucket, and so how many buckets there are.
    pub(crate) counts: &'a [u8],
    /// The slots: of each the lowest bytes of the [packed](pack) word.
    pub(crate) slots: &'a [u8],
    /// How many bytes of each there are.
    pub(crate) width: usize,
}

/// How many bytes a packed slot may take: all of its tag, one of its address at least.
pub(crate) const PACKED_BYTES: RangeInclusive<usize> = 3..=8;

/// The word that a file has of a slot: the tag is lowest, and above it the address, so that the highest bytes are
/// zero as long as the addresses are small.
pub(crate) fn pack(raw: u64) -> u64 {
    raw.rotate_left(TAG_BITS)
}

/// The raw word of a packed slot.
#[inline(always)]
pub(super) fn unpack<const STEP: usize>(bytes: &[u8; STEP]) -> u64 {
    let mut word = [0; 8];
    word[..STEP].copy_from_slice(bytes);
    u64::from_le_bytes(word).rotate_right(TAG_BITS)
}

impl PackedGroup<'_> {
    /// How many slots there are; `None` if they are no whole number, or of no possible width.
    pub(super) fn slots_count(&self) -> Option<usize> {
        if !PACKED_BYTES.contains(&self.width) {
            return None;
        }
        self.slots.len().is_multiple_of(self.width).then_some(self.slots.len() / self.width)
    }

    /// The same group with its slots as words.
    pub(super) fn unpacked(&self) -> Group {
        let raw = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            unpack(&word)
        };
        Group {
            prefix: self.prefix,
            depth: self.depth,
            precision: self.precision,
            buckets: self.counts.len() as u32,
            counts: self.counts.to_vec(),
            slots: self.slots.chunks_exact(self.width).map(raw).collect(),
        }
    }
}
