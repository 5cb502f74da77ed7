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
