//! What the writer needs to know of a record that the table points to.

use super::{
    hash_key,
    table::{Rehash, Slot},
};
use crate::core::Core;
use annals_journal::{Address, Look, Match, SegmentGuard, Seq};

/// Rehashes keys where they are, in the log.
pub(super) struct Rehasher<'a>(pub(super) &'a Core);

impl Rehash for Rehasher<'_> {
    fn ahead(&mut self, address: u64) {
        self.0.journal.prefetch(Address::unpack(address));
    }

    fn hash(&mut self, address: u64) -> Option<u64> {
        self.0.rehash(address)
    }
}

/// What the writer needs to know of a record in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) seq: Seq,
    pub(crate) len: u32,
    pub(crate) expires_ms: Option<u64>,
}

/// A damaged record, if what can be read of it is this key. The table came to it by the key's hash, so it is no other's; if it
/// were left in the table, what was removed would be there again.
#[cold]
fn damaged_former(
    guard: &SegmentGuard<'_>,
    address: Address,
    space: u32,
    key: &[u8],
) -> Option<Match> {
    let (its_space, found) = guard.match_in_frame(address.offset).ok()?;
    (its_space == space && guard.bytes(found.key.0, found.key.1) == key).then_some(found)
}

impl Core {
    /// The record behind `slot`, if it is of this key. A damaged record is of no key.
    #[inline]
    pub(crate) fn same_key(&self, slot: Slot, space: u32, key: &[u8]) -> Option<Match> {
        let address = Address::unpack(slot.address());
        match self.journal.guard(address.slot)?.look(address.offset, space, key) {
            Look::This(found) => Some(found),
            Look::Other | Look::Damaged => None,
        }
    }

    /// The same for who writes over it: that repairs a damaged one, if its key can be told.
    #[inline]
    pub(super) fn former(&self, slot: Slot, space: u32, key: &[u8]) -> Option<Match> {
        let address = Address::unpack(slot.address());
        let guard = self.journal.guard(address.slot)?;
        match guard.look(address.offset, space, key) {
            Look::This(found) => Some(found),
            Look::Other => None,
            Look::Damaged => damaged_former(&guard, address, space, key),
        }
    }

    /// The record behind `slot`, if it is of the key of the record at `address`, which is written over it.
    pub(super) fn former_as(&self, slot: Slot, address: Address) -> Option<Match> {
        let guard = self.journal.guard(address.slot)?;
        let record = guard.record(address.offset).ok()?;
        self.former(slot, record.space, record.key)
    }

    /// When the record at `address` expires.
    pub(super) fn expires_ms(&self, address: Address) -> Option<u64> {
        self.journal.guard(address.slot)?.record(address.offset).ok()?.expires_ms
    }

    /// The record behind `slot`, whatever its key.
    pub(super) fn expiry(&self, slot: Slot) -> Option<Known> {
        let address = Address::unpack(slot.address());
        let guard = self.journal.guard(address.slot)?;
        let (record, len) = guard.record_with_len(address.offset).ok()?;
        Some(Known { seq: record.seq, len, expires_ms: record.expires_ms })
    }

    /// The hash of the key at a packed address; `None` if its record cannot be read.
    pub(crate) fn rehash(&self, address: u64) -> Option<u64> {
        let address = Address::unpack(address);
        let guard = self.journal.guard(address.slot)?;
        let (_, found) = guard.match_at(address.offset).ok()?;
        Some(hash_key(self.hash_seed, guard.bytes(found.key.0, found.key.1)))
    }
}
