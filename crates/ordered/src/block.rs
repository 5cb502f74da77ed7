//! The block: some entries in order, by columns. Tables keep their entries in blocks, and their
//! indexes too.
//!
//! All keys of a block begin with the same bytes, the *prefix*, which is kept once. What remains of a
//! key is its *tail*. The first four bytes of each tail, the *digests*, stand side by side, so that a
//! search runs over numbers that lie together and touches, of the entries themselves, hardly more
//! than the one it looks for. The other columns (lengths of the tails, kinds, sequence numbers,
//! expiries, ends) are left out where they say the same for all entries. Rests of the tails and
//! values follow, each value behind the rest of its key.
//!
//! Any entry can be reached directly: the whole block is one restart, there is nothing to decode
//! before an entry, and going back costs what going on costs.
//!
//! The layout of the bytes is described in `docs/formats/sstable.md`. What is read here was found
//! intact by its checksum; it is not believed all the same, and every access says `None` where the
//! bytes contradict themselves.

#[cfg(test)]
mod block_test;
mod builder;
mod layout;
mod search;
mod stretch;
mod strip;

pub(crate) use builder::{BlockBuilder, encode_one, shared};
pub(crate) use layout::{Layout, Row};
pub(crate) use stretch::Wanted;
pub(crate) use strip::Strip;

/// Bytes of a tail that stand in the column of digests.
const DIGEST_BYTES: usize = 4;
/// Bytes of the head of a block.
const HEAD_BYTES: usize = 16;
/// The most entries of a block.
pub(crate) const COUNT_MAX: usize = u16::MAX as usize;

/// The first bytes of a tail as a number that compares as they do.
#[inline]
fn digest(tail: &[u8]) -> u32 {
    if let Some(first) = tail.first_chunk::<DIGEST_BYTES>() {
        return u32::from_be_bytes(*first);
    }
    let mut padded = [0; DIGEST_BYTES];
    padded[..tail.len()].copy_from_slice(tail);
    u32::from_be_bytes(padded)
}

/// How a column of lengths is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// The same for all entries.
    Same,
    /// In the smaller width: one byte for tails, two for ends.
    Narrow,
    /// In four bytes.
    Wide,
}

impl Lengths {
    #[inline(always)]
    fn from_bits(bits: u8) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::Same),
            1 => Some(Self::Narrow),
            2 => Some(Self::Wide),
            _ => None,
        }
    }
}

/// Kind and expiry of an entry in three bits.
mod code {
    use crate::EntryKind;

    pub(super) const EXPIRES: u8 = 4;

    pub(super) fn of(kind: EntryKind, expires: bool) -> u8 {
        let kind = match kind {
            EntryKind::Put => 0,
            EntryKind::Pointer => 1,
            EntryKind::Remove => 2,
        };
        if expires { kind | EXPIRES } else { kind }
    }

    #[inline(always)]
    pub(super) fn kind(code: u8) -> Option<EntryKind> {
        match code & !EXPIRES {
            0 => Some(EntryKind::Put),
            1 => Some(EntryKind::Pointer),
            2 => Some(EntryKind::Remove),
            _ => None,
        }
    }
}
