//! The slot: one 64-bit word that says where a key's newest record is.
//!
//! `tag:17 | dead:1 | address:46`. Two raw values are no slot: 0 is an empty place, [`VACATED`] a place whose
//! slot was removed from a full bucket. No slot equals either, because no address is zero or all ones.

use super::shape::TAG_BITS;

/// An empty place.
pub(super) const EMPTY: u64 = 0;
/// A place whose slot was removed while its bucket was full: not a slot, but a search goes on past it.
pub(super) const VACATED: u64 = u64::MAX;

/// The bits of the address.
pub(super) const ADDRESS: u64 = (1 << 46) - 1;
const DEAD: u64 = 1 << 46;
const TAG_SHIFT: u32 = u64::BITS - TAG_BITS;

/// What the table keeps of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u64);

impl Slot {
    pub(super) fn new(tag: u64, address: u64, dead: bool) -> Self {
        debug_assert!(address != 0 && address < ADDRESS, "an address the table cannot hold");
        Self((if dead { DEAD } else { 0 }) | (tag << TAG_SHIFT) | (address & ADDRESS))
    }

    /// The slot a raw word holds, if it holds one.
    #[inline]
    pub(crate) fn from_raw(raw: u64) -> Option<Self> {
        if raw == EMPTY || raw == VACATED { None } else { Some(Self(raw)) }
    }

    /// Whether a word from outside may stand in the table as a slot.
    pub(super) fn is_valid(raw: u64) -> bool {
        (raw & ADDRESS).wrapping_sub(1) < ADDRESS - 1
    }

    pub(super) fn raw(self) -> u64 {
        self.0
    }

    pub(super) fn tag(self) -> u64 {
        tag_of(self.0)
    }

    /// The same slot with another tag.
    pub(super) fn with_tag(self, tag: u64) -> Self {
        Self((self.0 & (DEAD | ADDRESS)) | (tag << TAG_SHIFT))
    }

    /// The same slot with another address.
    pub(super) fn with_address(self, address: u64) -> Self {
        debug_assert!(address != 0 && address < ADDRESS, "an address the table cannot hold");
        Self((self.0 & !ADDRESS) | (address & ADDRESS))
    }

    /// Where the record is: 46 bits, which mean nothing to the table.
    #[inline]
    pub(crate) fn address(self) -> u64 {
        self.0 & ADDRESS
    }

    /// Whether the record is the key's removal, kept for the snapshots that may need the history behind it.
    #[inline]
    pub(crate) fn is_dead(self) -> bool {
        is_dead(self.0)
    }
}

/// Whether a raw word says that its record is the key's removal.
#[inline]
pub(super) fn is_dead(raw: u64) -> bool {
    raw & DEAD != 0
}

/// The tag in a raw word.
#[inline]
pub(super) fn tag_of(raw: u64) -> u64 {
    raw >> TAG_SHIFT
}

/// What a search compares: the known bits of the tag, at their place in the slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    bits: u64,
    mask: u64,
}

impl Sought {
    #[inline]
    pub(super) fn new(tag: u64, known: u64) -> Self {
        let mask = known << TAG_SHIFT;
        Self { bits: (tag << TAG_SHIFT) & mask, mask }
    }

    /// What agrees with the upper half of a raw word.
    #[inline]
    pub(super) fn raw(raw: u64) -> Self {
        let mask = u64::MAX << u32::BITS;
        Self { bits: raw & mask, mask }
    }

    /// The upper halves: the tag is in them.
    #[inline]
    pub(super) fn upper(self) -> (u32, u32) {
        ((self.bits >> 32) as u32, (self.mask >> 32) as u32)
    }

    /// Whether the tag of a raw word agrees; true for some words that hold no slot.
    #[inline]
    pub(super) fn agrees(self, raw: u64) -> bool {
        (raw ^ self.bits) & self.mask == 0
    }
}
