//! All records of a hash keyspace, in no particular order, as one state had them.

use super::{Entry, table::Group};
use crate::{
    Error, Result, Snapshot,
    catalog::Listed,
    core::Core,
    hash::table::{Slot, WalkPlace},
};
use annals_journal::{Address, Seq};

/// All records of a hash keyspace as one state had them, in no particular order. Writers go on;
/// what they do is not seen. An item is an error if its record is damaged; the iterator goes on
/// behind it.
#[derive(Debug)]
pub struct Iter<'a> {
    core: &'a Core,
    listed: Listed,
    snapshot: Snapshot,
    place: WalkPlace,
    group: Group,
    next: usize,
}

impl<'a> Iter<'a> {
    pub(crate) fn new(core: &'a Core, listed: Listed, snapshot: Snapshot) -> Self {
        let (place, group) = (WalkPlace::default(), Group::default());
        Self { core, listed, snapshot, place, group, next: 0 }
    }

    /// The number of the last record that it sees.
    pub(crate) fn seq(&self) -> Seq {
        self.snapshot.seq()
    }

    fn entry(&self, slot: Slot) -> Result<Option<Entry<'a>>> {
        let core: &'a Core = self.core;
        let space = self.listed.keyspace.id;
        let sight = self.snapshot.sight();
        let address = Address::unpack(slot.address());
        // The snapshot keeps every segment that was there when the walk copied the slot.
        let guard = core.journal.guard(address.slot).ok_or(Error::Stale)?;
        let key = guard.record(address.offset)?.key.to_vec();
        let Some(hit) = core.hit(guard, address, slot.is_dead(), space, &key)? else {
            return Ok(None);
        };
        let hit = core.visible_version(hit, &key, space, sight)?;
        Ok(hit.map(|hit| Entry::new(hit.guard, hit.record.key, hit.record.value)))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(raw) = self.group.slots.get(self.next).copied() {
                self.next += 1;
                let slot = Slot::from_raw(raw);
                if let Some(item) = slot.and_then(|slot| self.entry(slot).transpose()) {
                    return Some(item);
                }
                continue;
            }
            if !self.listed.view.table.walk_from(&mut self.place, &mut self.group) {
                return None;
            }
            self.next = 0;
            for slot in self.group.slots.iter().filter_map(|raw| Slot::from_raw(*raw)) {
                self.core.journal.prefetch(Address::unpack(slot.address()));
            }
        }
    }
}
