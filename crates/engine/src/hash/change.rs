//! Changing the view of a hash keyspace.

use super::{
    HashView, Undo,
    beside::{Beside, Expiries},
    bytes::Need,
    known::Rehasher,
    table::{Changes, Slot, Table},
};
use crate::{
    core::Core,
    replayed::Pending,
    streams::{
        IdRehasher, Mark, Read, Stream, VersionRehasher, id_hash, is_waypoint, leads_to,
        meanwhile::{self, Moment},
        read_record, version_hash,
    },
};
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

/// Where an event was that was moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) address: Address,
    pub(crate) len: u32,
    /// The id that the event was given.
    pub(crate) id: Option<u128>,
}

/// An event that log compaction leaves out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeftOut {
    pub(crate) address: Address,
    pub(crate) version: u64,
    pub(crate) id: Option<u128>,
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
    /// The record that this one is written over, if the key was just looked up under the same lock: the log need
    /// not be asked again whose record it is.
    pub(crate) former: Option<Former>,
}

/// The newest record of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Former {
    pub(crate) address: Address,
    /// Encoded length in bytes.
    pub(crate) len: u32,
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
            let len = match how.former {
                Some(former) => (slot.address() == former.address.pack()).then_some(former.len),
                None => core.former(slot, space, key).map(|found| found.len),
            };
            let Some(len) = len else { return false };
            old_len = len;
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
            let Some(found) = core.former_as(slot, address) else { return false };
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

    /// The frame of several records, the first of which has number `first_seq`, begins to append to the
    /// view, or goes on.
    #[inline]
    pub(crate) fn begin_frame(&self, first_seq: Seq) {
        self.view.begin_frame(first_seq);
    }

    /// Appends an event to its stream: the table leads to it from now on, and it to the one before.
    #[inline]
    pub(crate) fn append(&mut self, placed: &Placed<'_>, read: &Read, id: Option<u128>) {
        let before = read.label.address_before(placed.address);
        self.append_run(placed, before, read, id);
    }

    /// The same under the writer lock where the stream was just looked up, and its newest event is at `newest`: the
    /// table need not be asked again whose record that is.
    pub(crate) fn append_behind(
        &mut self,
        placed: &Placed<'_>,
        newest: Address,
        read: &Read,
        id: Option<u128>,
    ) {
        debug_assert_eq!(read.label.address_before(placed.address), Some(newest));
        self.append_to(placed, Some(newest), read, id, leads_to(newest));
    }

    /// The same for the last one of several events of the stream, in front of the first of which is, as that
    /// says, the event at `before`.
    pub(crate) fn append_run(
        &mut self,
        placed: &Placed<'_>,
        before: Option<Address>,
        read: &Read,
        id: Option<u128>,
    ) {
        let (core, Placed { space, key, .. }) = (self.core, *placed);
        let matches = |slot: Slot| core.same_key(slot, space, key).is_some();
        self.append_to(placed, before, read, id, matches);
    }

    /// The same; `matches` tells the slot of the stream.
    #[inline]
    fn append_to(
        &mut self,
        placed: &Placed<'_>,
        before: Option<Address>,
        read: &Read,
        id: Option<u128>,
        matches: impl Fn(Slot) -> bool,
    ) {
        let (core, Placed { address, hash, .. }) = (self.core, *placed);
        // A follower comes across events that say where a compaction has moved the one before them that it
        // knows nothing of.
        let moving = core.read_only.then(|| self.view.chains().begin_move());
        let old = self.table.insert(hash, address.pack(), false, matches, Rehasher(core));
        meanwhile::run(Moment::NewestShown);
        let version = read.label.version;
        if let Some(old) = old.map(|old| Address::unpack(old.address()))
            && before != Some(old)
        {
            // A compaction that did not come to its end had moved it when this one was written.
            if let Some(newest) = core.version_at(old) {
                self.stray(&Placed { address: old, ..*placed }, newest);
            }
        }
        drop(moving);
        if let Some(old) = old {
            self.count_out_former(placed, Address::unpack(old.address()));
        }
        self.lead_to(placed, version, id);
    }

    /// Counts the event that was the newest one as not needed, if it was given up while it was that.
    fn count_out_former(&self, placed: &Placed<'_>, old: Address) {
        let chains = self.view.chains();
        if chains.marks.is_empty() && !chains.expires() {
            return;
        }
        let Some(guard) = self.core.journal.guard(old.slot) else { return };
        let Ok((record, len)) = guard.record_with_len(old.offset) else { return };
        let Some((read, _)) = read_record(&record) else { return };
        if self.is_given_up(&Placed { seq: record.seq, ..*placed }, read.label.version) {
            self.view.bytes.debit(Need::Live, old, len);
        }
    }

    /// Counts an event, and lets the tables beside that of the newest events lead to it, if they are to.
    pub(crate) fn lead_to(&self, placed: &Placed<'_>, version: u64, id: Option<u128>) {
        self.count_in(placed, placed.len);
        if is_waypoint(version) {
            self.lead_to_waypoint(placed, version);
        }
        if let Some(id) = id {
            self.lead_to_id(placed, id);
        }
    }

    /// Counts so many bytes of the segment that an event is in as needed.
    pub(crate) fn count_in(&self, placed: &Placed<'_>, bytes: u32) {
        self.view.bytes.credit(Need::Live, placed.address, bytes);
    }

    /// Lets the table of waypoints lead to an event, which is one.
    pub(crate) fn lead_to_waypoint(&self, placed: &Placed<'_>, version: u64) {
        let hash = version_hash(placed.hash, version);
        self.lead(&self.view.chains().waypoints, hash, placed, version);
    }

    /// Lets the table of ids lead to an event.
    pub(crate) fn lead_to_id(&self, placed: &Placed<'_>, id: u128) {
        let (core, address, ids) = (self.core, placed.address, &self.view.chains().ids);
        let hash = id_hash(core.hash_seed, placed.space, id);
        // Of events of the same id, in different streams, each has a slot.
        ids.change().insert(hash, address.pack(), false, leads_to(address), IdRehasher(core));
    }

    /// Appends an event, or gives a stream a mark, that is in the log already. A checkpoint may have had it.
    pub(crate) fn replay_event(&mut self, pending: &Pending) {
        let core = self.core;
        let address = pending.address();
        let Some(guard) = core.journal.guard(address.slot) else { return };
        let Ok((record, len)) = guard.record_with_len(address.offset) else { return };
        if record.kind == Kind::Mark {
            if let Some(mark) = Mark::decode(record.value) {
                self.mark(&Placed::of(&record, address, len, pending.hash), &mark);
            }
            return;
        }
        let Some((read, id)) = read_record(&record).filter(|_| record.kind == Kind::Event) else {
            return;
        };
        let placed = Placed::of(&record, address, len, pending.hash);
        let Placed { space, hash, key, .. } = placed;
        let stream = Stream { view: self.view, space, hash, key };
        match core.newest_event(&stream) {
            Ok(Some(newest)) if newest.version() >= read.label.version => {
                self.lead_to(&placed, read.label.version, id);
            }
            _ => self.append(&placed, &read, id),
        }
    }

    /// Notes that an event was moved in the log, and says now itself where the one before it is.
    /// `is_known` says that the one behind it, if there is one, was moved with it and knows.
    pub(crate) fn relocate_event(
        &mut self,
        placed: &Placed<'_>,
        from: Moved,
        version: u64,
        is_known: bool,
    ) {
        let Placed { address: to, len, hash, space, .. } = *placed;
        let core = self.core;
        let (packed, to_packed) = (from.address.pack(), to.pack());
        let chains = self.view.chains();
        let moving = chains.begin_move();
        let is_newest = self.table.relocate(hash, packed, to_packed);
        let by_version = version_hash(hash, version);
        if is_waypoint(version) {
            chains.waypoints.change().relocate(by_version, packed, to_packed);
        }
        if let Some(id) = from.id {
            chains.ids.change().relocate(id_hash(core.hash_seed, space, id), packed, to_packed);
        }
        let was_stray = chains.strays.change().relocate(by_version, packed, to_packed);
        if !was_stray && !is_newest && !is_known {
            self.stray(placed, version);
        }
        drop(moving);
        // One that was given up since somebody decided to move it was counted out where it was.
        if is_newest || !self.is_given_up(placed, version) {
            self.view.bytes.debit(Need::Live, from.address, from.len);
            self.view.bytes.credit(Need::Live, to, len);
        }
    }

    /// Whether an event with this version was given up.
    fn is_given_up(&self, placed: &Placed<'_>, version: u64) -> bool {
        let Placed { seq, hash, space, key, .. } = *placed;
        let chains = self.view.chains();
        if chains.marks.is_empty() && !chains.expires() {
            return false;
        }
        let stream = Stream { view: self.view, space, hash, key };
        let first = self.core.mark_of(&stream).ok().flatten().map_or(0, |mark| mark.first);
        version < first || seq < chains.expired_to()
    }

    /// The event in front of one that was moved is no stray any more: that one says where it is. Only once all
    /// that were moved with it are noted: until then walks come to where it was, and from there find no other way
    /// on than through the strays.
    pub(crate) fn forget_stray(&self, placed: &Placed<'_>, version: u64) {
        let chains = self.view.chains();
        let Some(before) = version.checked_sub(1) else { return };
        if chains.strays.is_empty() {
            return;
        }
        let Placed { hash, space, key, .. } = *placed;
        let stream = Stream { view: self.view, space, hash, key };
        let is_it = |slot: Slot| self.core.is_version(&stream, slot, before);
        let _moving = chains.begin_move();
        chains.strays.change().remove(version_hash(hash, before), is_it);
    }

    /// Gives a stream this mark. Events that it counts as not needed, and the one before did not, are counted
    /// out.
    pub(crate) fn mark(&self, placed: &Placed<'_>, mark: &Mark) {
        let Placed { address, len, seq, hash, space, key, .. } = *placed;
        let core = self.core;
        let chains = self.view.chains();
        let stream = Stream { view: self.view, space, hash, key };
        let known = core.mark_and_seq_of(&stream).ok().flatten();
        let is_known_before = known.is_none_or(|(_, of)| of < seq);
        let counted_before = match known {
            Some((before, _)) if is_known_before => before.counted,
            // A checkpoint was written while this one came, and has it, or one behind it, but not what it counts:
            // nobody knows which was before it. What is counted out twice is moved once for nothing; what is never
            // counted out keeps its segment for ever.
            Some(_) => mark.counted_before_at_least(),
            None => 0,
        };
        let mut old_len = 0;
        let matches = |slot: Slot| {
            let Some(found) = core.same_key(slot, space, key) else { return false };
            old_len = found.len;
            true
        };
        let packed = address.pack();
        let old = chains.marks.change().insert(hash, packed, false, matches, Rehasher(core));
        // Only what came before it was counted.
        if let Some(old) = old.filter(|_| is_known_before) {
            self.view.bytes.debit(Need::Live, Address::unpack(old.address()), old_len);
        }
        self.view.bytes.credit(Need::Live, address, len);
        chains.is_unsettled.store(true, Ordering::Release);
        if counted_before < mark.counted {
            let expired_to = chains.expired_to();
            core.each_of(&stream, counted_before, mark.counted, |event| {
                // Those that expired were counted out when they did.
                if event.hit.record.seq >= expired_to {
                    self.view.bytes.debit(Need::Live, event.hit.address, event.hit.record.len);
                }
            });
        }
    }

    /// Notes that a mark was moved in the log.
    pub(crate) fn relocate_mark(&self, hash: u64, from: Address, to: Address, len: u32) {
        if self.view.chains().marks.change().relocate(hash, from.pack(), to.pack()) {
            self.view.bytes.debit(Need::Live, from, len);
            self.view.bytes.credit(Need::Live, to, len);
        }
    }

    /// Counts an event as not needed, if it is not the newest one of its stream.
    pub(crate) fn count_out(&self, hash: u64, address: Address, len: u32) {
        let is_it = leads_to(address);
        let is_newest = self.view.table.find(hash, |slot| is_it(slot).then_some(())).is_some();
        if !is_newest {
            self.view.bytes.debit(Need::Live, address, len);
        }
    }

    /// Nothing leads to an event any more that is left out of the log: it was not the newest one.
    pub(crate) fn leave_out(&self, space: u32, hash: u64, left_out: &LeftOut) {
        let LeftOut { address, version, id } = *left_out;
        let chains = self.view.chains();
        let by_version = version_hash(hash, version);
        let _moving = chains.begin_move();
        if is_waypoint(version) {
            chains.waypoints.change().remove(by_version, leads_to(address));
        }
        if !chains.strays.is_empty() {
            chains.strays.change().remove(by_version, leads_to(address));
        }
        if let Some(id) = id {
            let by_id = id_hash(self.core.hash_seed, space, id);
            chains.ids.change().remove(by_id, leads_to(address));
        }
    }

    /// Lets a table lead to the event of a version.
    fn lead(&self, table: &Table, hash: u64, placed: &Placed<'_>, version: u64) {
        let stream =
            Stream { view: self.view, space: placed.space, hash: placed.hash, key: placed.key };
        let core = self.core;
        let is_it = |slot: Slot| core.is_version(&stream, slot, version);
        table.change().insert(hash, placed.address.pack(), false, is_it, VersionRehasher(core));
    }

    /// Notes that an event lies elsewhere than the one behind it says.
    pub(crate) fn stray(&self, placed: &Placed<'_>, version: u64) {
        let hash = version_hash(placed.hash, version);
        self.lead(&self.view.chains().strays, hash, placed, version);
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
