//! Numbers that must not mix: sequence numbers, addresses and positions.

use std::fmt;

/// Sequence number of a record: the total order of a shard. Never reused (but by a database that was restored from an
/// older backup, which is another one); after a crash a
/// range of numbers may be left out, so that a record that was lost cannot share its number with
/// one that is written later.
///
/// ```
/// # use annals_journal as annals;
/// use annals::Seq;
/// // How far somebody has read, kept as a plain number.
/// let read: u64 = Seq(17).0;
/// let next = Seq(read).plus(1);
/// assert!(next > Seq(17));
/// assert_eq!(next.to_string(), "18");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The number before the first record.
    ///
    /// ```
    /// # use annals_journal as annals;
    /// use annals::Seq;
    /// // Who has read nothing yet has read up to here.
    /// assert_eq!(Seq::ZERO, Seq::default());
    /// assert!(Seq::ZERO < Seq(1));
    /// ```
    pub const ZERO: Self = Self(0);

    /// The number `count` records later; the highest one if there is none.
    ///
    /// ```
    /// # use annals_journal as annals;
    /// use annals::Seq;
    /// assert_eq!(Seq(17).plus(3), Seq(20));
    /// assert_eq!(Seq(u64::MAX).plus(1), Seq(u64::MAX));
    /// ```
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a record lies: a segment's slot and a byte offset in its file. Changes when the segment
/// is compacted.
///
/// A slot is a small number that a segment holds while it lives and that a later segment may take
/// over; the journal hands it on only when no reader, snapshot or checkpoint can still hold an
/// address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The segment's slot.
    pub slot: u32,
    /// The offset of the record in the segment's file, in bytes; a multiple of eight.
    pub offset: u32,
}

impl Address {
    /// Bits of a packed address.
    pub const PACKED_BITS: u32 = 46;
    /// Bits of a packed address that hold the offset divided by eight.
    const OFFSET_BITS: u32 = 29;
    /// How many slots a packed address can tell apart.
    pub const SLOTS_MAX: u32 = 1 << (Self::PACKED_BITS - Self::OFFSET_BITS);

    /// The address in [`PACKED_BITS`](Self::PACKED_BITS).
    #[inline]
    #[must_use]
    pub fn pack(self) -> u64 {
        debug_assert!(self.slot < Self::SLOTS_MAX && self.offset.is_multiple_of(8));
        u64::from(self.slot) << Self::OFFSET_BITS | u64::from(self.offset >> 3)
    }

    /// The address that [`pack`](Self::pack) made; higher bits are ignored.
    #[inline]
    #[must_use]
    pub fn unpack(packed: u64) -> Self {
        let offset = (packed & ((1 << Self::OFFSET_BITS) - 1)) as u32;
        let slot = (packed >> Self::OFFSET_BITS) as u32 & (Self::SLOTS_MAX - 1);
        Self { slot, offset: offset << 3 }
    }

    /// The address in eight bytes, as records carry it.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.offset)
    }

    /// The address that [`to_u64`](Self::to_u64) wrote.
    #[must_use]
    pub fn from_u64(raw: u64) -> Self {
        Self { slot: (raw >> 32) as u32, offset: raw as u32 }
    }
}

/// A place in the chain of log segments; positions compare in the order of writing, which
/// addresses do not.
///
/// ```
/// # use annals_journal as annals;
/// use annals::Position;
/// let synced = Position { ordinal: 1, offset: 4096 };
/// let end = Position { ordinal: 2, offset: 64 };
/// assert!(synced < end);
/// assert_eq!(end.to_string(), "2:64");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment's place in the chain.
    pub ordinal: u32,
    /// The byte offset in its file.
    pub offset: u32,
}

impl Position {
    /// The position in eight bytes; numbers compare as positions do.
    ///
    /// ```
    /// # use annals_journal as annals;
    /// use annals::Position;
    /// let early = Position { ordinal: 1, offset: 4096 };
    /// let late = Position { ordinal: 2, offset: 64 };
    /// assert!(early.to_u64() < late.to_u64());
    /// ```
    #[must_use]
    pub fn to_u64(self) -> u64 {
        u64::from(self.ordinal) << 32 | u64::from(self.offset)
    }

    /// The position that [`to_u64`](Self::to_u64) wrote.
    ///
    /// ```
    /// # use annals_journal as annals;
    /// use annals::Position;
    /// let end = Position { ordinal: 2, offset: 64 };
    /// assert_eq!(Position::from_u64(end.to_u64()), end);
    /// ```
    #[must_use]
    pub fn from_u64(raw: u64) -> Self {
        Self { ordinal: (raw >> 32) as u32, offset: raw as u32 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ordinal, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_number_behind_the_highest() {
        assert_eq!(Seq(u64::MAX - 1).plus(1), Seq(u64::MAX));
        assert_eq!(Seq(u64::MAX).plus(7), Seq(u64::MAX));
    }

    #[test]
    fn addresses_survive_packing() {
        for (slot, offset) in [(0, 64), (1, 8), (Address::SLOTS_MAX - 1, u32::MAX - 7), (7, 4096)] {
            let address = Address { slot, offset };
            assert_eq!(Address::unpack(address.pack()), address);
            assert_eq!(
                Address::unpack(address.pack() | (0x3_ffff << Address::PACKED_BITS)),
                address
            );
            assert_eq!(Address::from_u64(address.to_u64()), address);
        }
    }

    #[test]
    fn positions_compare_as_their_numbers_do() {
        let early = Position { ordinal: 1, offset: u32::MAX };
        let late = Position { ordinal: 2, offset: 0 };
        assert!(early < late && early.to_u64() < late.to_u64());
        assert_eq!(Position::from_u64(late.to_u64()), late);
    }
}
