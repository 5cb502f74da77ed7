//! What may be wrong with the groups a table is loaded from.

use std::error::Error;
use std::fmt;

/// Why groups are no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableError {
    /// A group does not begin where the one before ended.
    Order {
        /// Where it begins.
        prefix: u64,
    },
    /// The groups end before the hashes do.
    Incomplete,
    /// The prefix is longer than any, or has bits beyond its end.
    Depth {
        /// How long it is said to be.
        depth: u8,
    },
    /// The groups are too few for prefixes that long.
    Disproportion {
        /// The longest.
        depth: u8,
    },
    /// The number of known tag bits is none a subtable has.
    Precision {
        /// The number.
        precision: u8,
    },
    /// The number of buckets is none a subtable has, or not the number of counts.
    Buckets {
        /// The number.
        buckets: u32,
    },
    /// A bucket has more slots than there is room for, or the counts do not add up to the slots, or to too many.
    Counts,
    /// A word is no slot.
    Slot {
        /// The word.
        raw: u64,
    },
    /// A slot that may not stand in the table.
    Unknown {
        /// The slot.
        raw: u64,
    },
    /// A slot is in a bucket where no search would find it.
    Displaced {
        /// The slot.
        raw: u64,
        /// The bucket.
        bucket: u32,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order { prefix } => {
                write!(
                    f,
                    "the hash table group at {prefix:#018x} does not begin where the one before ended"
                )
            }
            Self::Incomplete => f.write_str("the hash table groups end before the hashes do"),
            Self::Depth { depth } => {
                write!(f, "a hash table group has an impossible prefix of {depth} bits")
            }
            Self::Disproportion { depth } => {
                write!(f, "the hash table groups are too few for a prefix of {depth} bits")
            }
            Self::Precision { precision } => {
                write!(f, "a hash table group has tags of {precision} bits")
            }
            Self::Buckets { buckets } => {
                write!(f, "a hash table group cannot have {buckets} buckets")
            }
            Self::Counts => {
                f.write_str("the bucket counts of a hash table group do not fit its slots")
            }
            Self::Slot { raw } => {
                write!(f, "a hash table group has a slot {raw:#018x}, which is none")
            }
            Self::Unknown { raw } => {
                write!(f, "the hash table slot {raw:#018x} leads nowhere")
            }
            Self::Displaced { raw, bucket } => {
                write!(
                    f,
                    "a hash table group has slot {raw:#018x} in bucket {bucket}, where it cannot be"
                )
            }
        }
    }
}

impl Error for TableError {}
