//! Changing the view of a hash keyspace.

use super::{
    HashView, Undo,
    beside::{Beside, Expiries},
    bytes::Need,
    known::Rehasher,
    table::Changes,
    table::Slot,
};
use crate::{core::Core, replayed::Pending};
use annals_journal::{Address, Kind, Record, Seq};
use parking_lot::MutexGuard;
use std::{cmp::Reverse, sync::atomic::Ordering};

/// A record that has its place in the log and now changes the view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) address: Address,
    /// Encoded length in bytes.
    pub(crate) len: u32,
    pub(crate) seq: Seq,
    pub(crate) hash: u64,
    pub(crate) kind: Kind,
    pub(crate) space: u32,
    pub(crate) key: &'a [u8],
    pub(crate) expires_ms: Option<u64>,
}

impl<'a> Placed<'a> {
    /// A record as it stands in the log, of `len` bytes there, whose key has this hash.
    pub(crate) fn of(record: &Record<'a>, address: Address, len: u32, hash: u64) -> Self {
        let Record { kind, space, seq, key, expires_ms, .. } = *record;
        Self { address, len, seq, hash, kind, space, key, expires_ms }
    }
}

/// What the bytes of a record that the table points to are needed for.
#[inline]
fn need(dead: bool) -> Need {
    if dead { Need::Dead } else { Need::Live }
}

/// How a record is applied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Applying<'a> {
    /// Where to note what was there before.
    pub(crate) undo: Option<&'a Undo>,
    /// Removed keys stay in the table, marked, for snapshots or until the frame is published.
    pub(crate) keep_removed: bool,
    /// Records may come out of order: the one with the highest number wins.
    pub(crate) unordered: bool,
}

/// The right to change a view, for a run of records. Taken under the writer lock, by a follower
/// under its own, or before the database opens; to [forget slots](Changing::forget_slots), without.
pub(crate) struct Changing<'a> {
    core: &'a Core,
    view: &'a HashView,
    table: Changes<'a>,
}

impl HashView {
    /// Begins a run of changes.
    #[inline]
    pub(crate) fn change<'a>(&'a self, core: &'a Core) -> Changing<'a> {
        Changing { core, view: self, table: self.table.change() }
    }
}

impl Changing<'_> {
    /// The view that is changed.
    #[inline]
    pub(crate) fn view(&self) -> &HashView {
        self.view
    }

    /// Changes the view by one record.
    #[inline]
    pub(crate) fn apply(&mut self, placed: &Placed<'_>, how: Applying<'_>) {
        let Placed { address, len, seq, hash, kind, space, key, expires_ms } = *placed;
        if how.unordered && self.is_superseded(placed) {
            return;
        }
        if let Some(undo) = how.undo {
            self.view.begin_frame(undo.first_seq());
        }
        let core = self.core;
        let mut old_len = 0;
        let matches = |slot: Slot| {
            let Some(found) = core.same_key(slot, space, key) else { return false };
            old_len = found.len;
            if let Some(undo) = how.undo {
                undo.note(seq, slot);
            }
            true
        };
        let removal = kind == Kind::Remove;
        let old = if removal && !how.keep_removed {
            self.table.remove(hash, matches)
        } else {
            self.table.insert(hash, address.pack(), removal, matches, Rehasher(core))
        };
        if let Some(old) = old {
            self.view.bytes.debit(need(old.is_dead()), Address::unpack(old.address()), old_len);
        }
        if !removal || how.keep_removed {
            self.view.bytes.credit(need(removal), address, len);
        }
        if removal && how.keep_removed {
            self.beside().graves.push_back((seq, hash));
        }
        if let Some(expires_ms) = expires_ms {
            self.beside().expiries.push(Reverse((expires_ms, hash)));
            self.view.has_expiries.store(true, Ordering::Release);
        }
    }

    /// Changes the view by one record of the log's end, whose key is only read if it has to be
    /// compared. Records of one key come in their order.
    #[inline]
    pub(crate) fn replay(&mut self, pending: &Pending) {
        let core = self.core;
        let address = pending.address();
        let mut old_len = 0;
        let matches = |slot: Slot| {
            let Some(found) = core.same_key_as(slot, address) else { return false };
            old_len = found.len;
            true
        };
        let old = if pending.is_removal() {
            self.table.remove(pending.hash, matches)
        } else {
            self.table.insert(pending.hash, address.pack(), false, matches, Rehasher(core))
        };
        if let Some(old) = old {
            self.view.bytes.debit(need(old.is_dead()), Address::unpack(old.address()), old_len);
        }
        if !pending.is_removal() {
            self.view.bytes.credit(Need::Live, address, pending.len);
        }
        if pending.expires()
            && let Some(expires_ms) = core.expires_ms(address)
        {
            self.beside().expiries.push(Reverse((expires_ms, pending.hash)));
            self.view.has_expiries.store(true, Ordering::Release);
        }
    }

    fn is_superseded(&self, placed: &Placed<'_>) -> bool {
        let Placed { seq, hash, space, key, .. } = *placed;
        self.view
            .table
            .find(hash, |slot| self.core.same_key(slot, space, key))
            .is_some_and(|found| found.seq > seq)
    }

    fn beside(&self) -> MutexGuard<'_, Beside> {
        self.view.beside.lock()
    }

    /// Notes that a record moved in the log. False if the table does not point to it any more.
    pub(crate) fn relocate(&mut self, hash: u64, from: Address, to: Address, len: u32) -> bool {
        let packed = from.pack();
        let is_it = |slot: Slot| (slot.address() == packed).then(|| slot.is_dead());
        let Some(dead) = self.view.table.find(hash, is_it) else { return false };
        let moved = self.table.relocate(hash, packed, to.pack());
        if moved {
            self.view.bytes.debit(need(dead), from, len);
            self.view.bytes.credit(need(dead), to, len);
        }
        moved
    }

    /// Counts a record that is in no table and must stay in the log.
    pub(crate) fn keep(&mut self, address: Address, len: u32) {
        self.view.bytes.credit(Need::Hiding, address, len);
    }

    /// Nothing in the segments `slots` is needed any more.
    pub(crate) fn forget_slots(&self, slots: &[u32]) {
        for slot in slots {
            self.view.bytes.forget(*slot);
        }
    }

    /// Forgets removed keys that no snapshot needs: those removed at or before `oldest`.
    pub(crate) fn bury(&mut self, oldest: Option<Seq>) {
        let core = self.core;
        let mut beside = self.view.beside.lock();
        while let Some((seq, hash)) = beside.graves.front().copied() {
            if oldest.is_some_and(|oldest| oldest < seq) {
                return;
            }
            beside.graves.pop_front();
            let mut len = 0;
            let old = self.table.remove(hash, |slot| {
                let other = |found| found != hash;
                if !slot.is_dead() || core.rehash(slot.address()).is_some_and(other) {
                    return false;
                }
                let known = core.expiry(slot);
                len = known.map_or(0, |known| known.len);
                known.is_none_or(|known| known.seq <= seq)
            });
            if let Some(old) = old {
                self.view.bytes.debit(Need::Dead, Address::unpack(old.address()), len);
            }
        }
    }

    /// Marks what expired until `now_ms` as removed.
    pub(crate) fn expire(&mut self, now_ms: u64, snapshots_live: bool) {
        let core = self.core;
        let mut beside = self.view.beside.lock();
        self.prune(&mut beside.expiries);
        while let Some(Reverse((expires_ms, hash))) = beside.expiries.peek().copied() {
            if expires_ms > now_ms {
                return;
            }
            beside.expiries.pop();
            core.saw_past(now_ms);
            let due = self.view.table.find(hash, |slot| {
                let found = core.expiry(slot)?;
                let due = found.expires_ms.is_some_and(|at| at <= now_ms)
                    && core.rehash(slot.address()) == Some(hash);
                (due && !slot.is_dead()).then_some((slot.address(), found.len))
            });
            let Some((address, len)) = due else { continue };
            let same = |slot: Slot| slot.address() == address;
            if snapshots_live {
                // Replaced by itself, marked: a snapshot from before may still look at it.
                self.table.insert(hash, address, true, same, Rehasher(core));
                let seq = core.visible_seq().plus(1);
                beside.graves.push_back((seq, hash));
                self.view.bytes.credit(Need::Dead, Address::unpack(address), len);
            } else {
                self.table.remove(hash, same);
            }
            self.view.bytes.debit(Need::Live, Address::unpack(address), len);
        }
        self.view.has_expiries.store(false, Ordering::Release);
    }

    /// Drops expiries of versions that were replaced since, once they are more than half: otherwise
    /// a record that is written again and again would take memory for each time.
    fn prune(&self, expiries: &mut Expiries) {
        const FEW: usize = 1024;
        if expiries.len() <= 2 * self.view.table.len() + FEW {
            return;
        }
        let mut all = std::mem::take(expiries).into_vec();
        all.sort_unstable();
        all.dedup();
        all.retain(|Reverse((expires_ms, hash))| {
            let is_it =
                |slot: Slot| self.core.expiry(slot)?.expires_ms.filter(|at| at == expires_ms);
            self.view.table.find(*hash, is_it).is_some()
        });
        *expiries = all.into();
    }
}
