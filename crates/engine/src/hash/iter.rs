//! All records of a hash keyspace, in no particular order, as one state had them.

use super::{Entry, hash_key, table::Group};
use crate::{
    Error, Result, Snapshot,
    catalog::Listed,
    core::Core,
    hash::table::{Slot, WalkPlace},
};
use annals_journal::{Address, Error::Damaged, Kind, Seq};

/// A record as it is found, whatever is wrong with it.
pub(crate) enum Raw<'a> {
    /// A whole one.
    Entry(Entry<'a>),
    /// The key of one whose checksum was not looked at.
    Unsummed(Vec<u8>),
    /// A damaged one, and its key if that can be told.
    Damaged { key: Option<Vec<u8>>, damage: annals_journal::Error },
}

/// All records of a hash keyspace as one state had them, in no particular order. Writers go on;
/// what they do is not seen. An item is an error if its record is damaged; the iterator goes on
/// behind it.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// users.insert_many([("ada", "1815"), ("charles", "1791")])?;
/// let walk = users.iter()?;
/// users.insert("grace", "1906")?;
/// // It sees what there was when it began.
/// assert_eq!(walk.filter_map(Result::ok).count(), 2);
/// # Ok::<(), annals::Error>(())
/// ```
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

    /// The next record, whatever is wrong with it. `is_unsummed` says of which keys the values have checksums of their own:
    /// those are not read. What cannot be told of a damaged one is compared with keys that are `usual`.
    pub(crate) fn next_raw(
        &mut self,
        is_unsummed: impl Fn(&[u8]) -> bool,
        usual: &[&[u8]],
    ) -> Option<Result<Raw<'a>>> {
        loop {
            let slot = self.next_slot()?;
            if let Some(item) = self.raw(slot, &is_unsummed, usual).transpose() {
                return Some(item);
            }
        }
    }

    fn raw(
        &self,
        slot: Slot,
        is_unsummed: impl Fn(&[u8]) -> bool,
        usual: &[&[u8]],
    ) -> Result<Option<Raw<'a>>> {
        let core: &'a Core = self.core;
        let address = Address::unpack(slot.address());
        let guard = core.journal.guard(address.slot).ok_or(Error::Stale)?;
        let leads_here = |key: &[u8]| {
            let is_it = |slot: Slot| (Address::unpack(slot.address()) == address).then_some(());
            self.listed.view.table.find(hash_key(core.hash_seed, key), is_it).is_some()
        };
        let key = || -> Option<Vec<u8>> {
            let (space, record) = guard.match_in_frame(address.offset).ok()?;
            let key = guard.bytes(record.key.0, record.key.1);
            // No checksum covers it: it is the key that the table leads to it by.
            let is_sound = space == self.listed.keyspace.id && leads_here(key);
            is_sound.then(|| key.to_vec())
        };
        let is_usual = || {
            let record = guard.match_in_frame(address.offset);
            record.is_ok_and(|(_, record)| {
                let is_put = record.kind == Kind::Put && !record.expires;
                is_put && record.seq <= self.snapshot.seq() && !slot.is_dead()
            })
        };
        if is_usual()
            && let Some(key) = key().filter(|key| is_unsummed(key))
        {
            return Ok(Some(Raw::Unsummed(key)));
        }
        match self.entry(slot) {
            Ok(entry) => Ok(entry.map(Raw::Entry)),
            // It was removed before, and by a record that is damaged: nobody needs that to know so.
            Err(Error::Journal(Damaged { .. })) if slot.is_dead() => Ok(None),
            Err(Error::Journal(damage @ Damaged { .. })) => {
                let usual = || usual.iter().find(|key| leads_here(key)).map(|key| key.to_vec());
                Ok(Some(Raw::Damaged { key: key().or_else(usual), damage }))
            }
            Err(error) => Err(error),
        }
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
            let slot = self.next_slot()?;
            if let Some(item) = self.entry(slot).transpose() {
                return Some(item);
            }
        }
    }
}

impl Iter<'_> {
    fn next_slot(&mut self) -> Option<Slot> {
        loop {
            if let Some(raw) = self.group.slots.get(self.next).copied() {
                self.next += 1;
                if let Some(slot) = Slot::from_raw(raw) {
                    return Some(slot);
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
