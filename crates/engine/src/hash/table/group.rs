//! The group: a copy of one subtable, and what a checkpoint file has of it.

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
    /// The slots: of each the tag in two bytes, then the lowest bytes of the address.
    pub(crate) slots: &'a [u8],
    /// How many bytes of the addresses there are: 1 to 6.
    pub(crate) width: usize,
}

/// Bytes of a slot besides its address.
pub(crate) const TAG_BYTES: usize = 2;

/// The raw word of a packed slot.
#[inline(always)]
pub(super) fn unpack<const STEP: usize>(bytes: &[u8; STEP]) -> u64 {
    let mut word = [0; 8];
    word[..STEP].copy_from_slice(bytes);
    // The tag comes first in the file and is highest in memory.
    u64::from_le_bytes(word).rotate_right(16)
}

impl PackedGroup<'_> {
    /// How many slots there are; `None` if they are no whole number, or of no possible width.
    pub(super) fn slots_count(&self) -> Option<usize> {
        if !(1..=6).contains(&self.width) {
            return None;
        }
        let step = self.width + TAG_BYTES;
        self.slots.len().is_multiple_of(step).then_some(self.slots.len() / step)
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
            slots: self.slots.chunks_exact(self.width + TAG_BYTES).map(raw).collect(),
        }
    }
}
