//! The view of a hash keyspace: the table, and what is kept beside it.

use super::{
    hash_key,
    table::{Rehash, Slot, Table},
};
use crate::core::Core;
use annals_journal::{Address, Kind, Record, Seq};
use parking_lot::Mutex;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// The state of a hash keyspace. Clearing the keyspace puts a fresh one in its place; snapshots
/// keep the old one.
#[derive(Debug, Default)]
pub(crate) struct HashView {
    pub(crate) table: Table,
    /// Keys that are removed but still in the table for the sake of snapshots, by the number of
    /// their removal.
    graves: Mutex<VecDeque<(Seq, u64)>>,
    /// When records expire, with the hashes of their keys.
    pub(crate) expiries: Mutex<BinaryHeap<Reverse<(u64, u64)>>>,
    has_expiries: AtomicBool,
    /// Bytes of current records by the slot of their segment.
    pub(crate) live: Mutex<Vec<u64>>,
}

/// What slots held before a frame of several records changed them: for readers that come across a
/// record of a frame that is not published yet. Such readers see the state before the frame.
#[derive(Debug)]
pub(crate) struct Undo {
    first_seq: Seq,
    /// By the record's place in the frame: zero if the key was not there, else address and flag.
    before: Vec<AtomicU64>,
}

const UNDO_DEAD: u64 = 1 << 63;

impl Undo {
    pub(crate) fn new(first_seq: Seq, count: usize) -> Self {
        let before = std::iter::repeat_with(|| AtomicU64::new(0)).take(count).collect();
        Self { first_seq, before }
    }

    fn note(&self, seq: Seq, slot: Slot) {
        let word = slot.address() | if slot.is_dead() { UNDO_DEAD } else { 0 };
        self.before[(seq.0 - self.first_seq.0) as usize].store(word, Ordering::Release);
    }

    /// What the key of record `seq` had before: `None` if the record is not of this frame,
    /// `Some(None)` if there was nothing.
    pub(crate) fn before(&self, seq: Seq) -> Option<Option<(Address, bool)>> {
        let index = seq.0.checked_sub(self.first_seq.0)?;
        let word = self.before.get(usize::try_from(index).ok()?)?.load(Ordering::Acquire);
        Some((word != 0).then(|| (Address::unpack(word), word & UNDO_DEAD != 0)))
    }
}

/// A record that has its place in the log and now changes the view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) address: Address,
    /// Encoded length in bytes.
    pub(crate) len: u32,
    pub(crate) seq: Seq,
    pub(crate) hash: u64,
    pub(crate) record: Record<'a>,
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

impl HashView {
    /// Changes the view by one record. Called under the writer lock or before the database opens.
    pub(crate) fn apply(&self, core: &Core, placed: &Placed<'_>, how: Applying<'_>) {
        let Placed { address, len, seq, hash, record } = *placed;
        let mut old_len = 0;
        let mut superseded = false;
        let matches = |slot: Slot| {
            let Some(found) = core.same_key(slot, record.space, record.key) else { return false };
            if how.unordered && found.seq > seq {
                superseded = true;
            }
            old_len = found.len;
            if let Some(undo) = how.undo {
                undo.note(seq, slot);
            }
            true
        };
        let rehash = Rehasher(core);
        if how.unordered && self.is_superseded(core, placed) {
            return;
        }
        let removal = record.kind == Kind::Remove;
        let old = if removal && !how.keep_removed {
            self.table.remove(hash, matches)
        } else {
            self.table.insert(hash, address.pack(), removal, matches, rehash)
        };
        debug_assert!(!superseded, "looked for above");
        let mut live = self.live.lock();
        if let Some(old) = old.filter(|old| !old.is_dead()) {
            let slot = Address::unpack(old.address()).slot as usize;
            if let Some(bytes) = live.get_mut(slot) {
                *bytes = bytes.saturating_sub(u64::from(old_len));
            }
        }
        if !removal {
            credit(&mut live, address.slot, len);
        }
        drop(live);
        if removal && how.keep_removed {
            self.graves.lock().push_back((seq, hash));
        }
        if let Some(expires_ms) = record.expires_ms {
            self.expiries.lock().push(Reverse((expires_ms, hash)));
            self.has_expiries.store(true, Ordering::Release);
        }
    }

    fn is_superseded(&self, core: &Core, placed: &Placed<'_>) -> bool {
        let Placed { seq, hash, record, .. } = *placed;
        self.table
            .find(hash, |slot| core.same_key(slot, record.space, record.key))
            .is_some_and(|found| found.seq > seq)
    }

    /// Notes that a record moved in the log. False if it is not current any more.
    pub(crate) fn relocate(&self, hash: u64, from: Address, to: Address, len: u32) -> bool {
        let moved = self.table.relocate(hash, from.pack(), to.pack());
        if moved {
            let mut live = self.live.lock();
            if let Some(bytes) = live.get_mut(from.slot as usize) {
                *bytes = bytes.saturating_sub(u64::from(len));
            }
            credit(&mut live, to.slot, len);
        }
        moved
    }

    /// Forgets removed keys that no snapshot needs: those removed at or before `oldest`. Called
    /// under the writer lock.
    pub(crate) fn bury(&self, core: &Core, oldest: Option<Seq>) {
        let mut graves = self.graves.lock();
        while let Some((seq, hash)) = graves.front().copied() {
            if oldest.is_some_and(|oldest| oldest < seq) {
                return;
            }
            graves.pop_front();
            self.table.remove(hash, |slot| {
                slot.is_dead()
                    && core.rehash(slot.address()).is_none_or(|found| found == hash)
                    && core.record_seq(slot).is_none_or(|found| found <= seq)
            });
        }
    }

    /// Marks what expired until `now_ms` as removed. Called under the writer lock.
    pub(crate) fn expire(&self, core: &Core, now_ms: u64, snapshots_live: bool) {
        if !self.has_expiries.load(Ordering::Acquire) {
            return;
        }
        let mut expiries = self.expiries.lock();
        self.prune(core, &mut expiries);
        while let Some(Reverse((expires_ms, hash))) = expiries.peek().copied() {
            if expires_ms > now_ms {
                return;
            }
            expiries.pop();
            core.saw_past(now_ms);
            let mut gone = None;
            let expired = |slot: Slot| {
                let found = core.expiry(slot).filter(|found| {
                    !slot.is_dead()
                        && found.expires_ms.is_some_and(|at| at <= now_ms)
                        && core.rehash(slot.address()) == Some(hash)
                });
                gone = found.or(gone);
                found.is_some()
            };
            if snapshots_live {
                // Replaced by itself, marked: a snapshot from before may still look at it.
                let target = self.table.find(hash, |slot| {
                    let found = core.expiry(slot)?;
                    let due = found.expires_ms.is_some_and(|at| at <= now_ms)
                        && core.rehash(slot.address()) == Some(hash);
                    (due && !slot.is_dead()).then_some((slot.address(), found))
                });
                if let Some((address, found)) = target {
                    let same = |slot: Slot| slot.address() == address;
                    self.table.insert(hash, address, true, same, Rehasher(core));
                    self.debit(address, found.len);
                    let seq = core.visible_seq().plus(1);
                    self.graves.lock().push_back((seq, hash));
                }
            } else if let Some(old) = self.table.remove(hash, expired)
                && let Some(found) = gone
            {
                self.debit(old.address(), found.len);
            }
        }
        self.has_expiries.store(false, Ordering::Release);
    }

    /// Drops expiries of versions that were replaced since, once they are more than half: otherwise
    /// a record that is written again and again would take memory for each time.
    fn prune(&self, core: &Core, expiries: &mut BinaryHeap<Reverse<(u64, u64)>>) {
        const FEW: usize = 1024;
        if expiries.len() <= 2 * self.table.len() + FEW {
            return;
        }
        let mut all = std::mem::take(expiries).into_vec();
        all.sort_unstable();
        all.dedup();
        all.retain(|Reverse((expires_ms, hash))| {
            let is_it = |slot: Slot| core.expiry(slot)?.expires_ms.filter(|at| at == expires_ms);
            self.table.find(*hash, is_it).is_some()
        });
        *expiries = all.into();
    }

    fn debit(&self, address: u64, len: u32) {
        let slot = Address::unpack(address).slot as usize;
        if let Some(bytes) = self.live.lock().get_mut(slot) {
            *bytes = bytes.saturating_sub(u64::from(len));
        }
    }

    /// Counts a record that is current for nobody but must stay in the log.
    pub(crate) fn keep(&self, address: Address, len: u32) {
        credit(&mut self.live.lock(), address.slot, len);
    }

    /// Whether some record of this view may expire.
    pub(crate) fn has_expiries(&self) -> bool {
        self.has_expiries.load(Ordering::Acquire)
    }

    /// Puts back what a checkpoint kept beside the table.
    pub(crate) fn restored(table: Table, expiries: Vec<(u64, u64)>, live: Vec<u64>) -> Self {
        let has_expiries = AtomicBool::new(!expiries.is_empty());
        let expiries = Mutex::new(expiries.into_iter().map(Reverse).collect());
        Self { table, graves: Mutex::default(), expiries, has_expiries, live: Mutex::new(live) }
    }

    /// Memory the view takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.table.memory_bytes()
            + self.graves.lock().capacity() * size_of::<(Seq, u64)>()
            + self.expiries.lock().capacity() * size_of::<(u64, u64)>()
            + self.live.lock().capacity() * 8
    }
}

fn credit(live: &mut Vec<u64>, slot: u32, len: u32) {
    let slot = slot as usize;
    if live.len() <= slot {
        live.resize(slot + 1, 0);
    }
    live[slot] += u64::from(len);
}

/// Rehashes keys where they are, in the log.
struct Rehasher<'a>(&'a Core);

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

impl Core {
    /// The record behind `slot`, if it is of this key. A damaged record is of no key: writing over
    /// it repairs it.
    pub(crate) fn same_key(&self, slot: Slot, space: u32, key: &[u8]) -> Option<Known> {
        let address = Address::unpack(slot.address());
        let guard = self.journal.guard(address.slot)?;
        let (record, len) = guard.record_with_len(address.offset).ok()?;
        (record.space == space && record.key == key).then_some(Known {
            seq: record.seq,
            len,
            expires_ms: record.expires_ms,
        })
    }

    fn expiry(&self, slot: Slot) -> Option<Known> {
        let address = Address::unpack(slot.address());
        let guard = self.journal.guard(address.slot)?;
        let (record, len) = guard.record_with_len(address.offset).ok()?;
        Some(Known { seq: record.seq, len, expires_ms: record.expires_ms })
    }

    fn record_seq(&self, slot: Slot) -> Option<Seq> {
        self.expiry(slot).map(|known| known.seq)
    }

    /// The hash of the key at a packed address; `None` if its record cannot be read.
    pub(crate) fn rehash(&self, address: u64) -> Option<u64> {
        let address = Address::unpack(address);
        let guard = self.journal.guard(address.slot)?;
        let record = guard.record(address.offset).ok()?;
        Some(hash_key(self.hash_seed, record.key))
    }
}
