//! The table in memory: from the 64-bit hash of a key to the 8-byte slot that says where its newest record is.
//!
//! Keys are not here; they live in the log, and whoever searches brings a closure that compares. What is here is
//! eight bytes for each key and as little around them as will do: between 10.5 and 14 bytes a key in all, at any
//! number of keys above some thirty thousands, because nothing ever doubles at once; and, from some 450,000 keys on, up
//! to two mebibytes once of a large page that is not full yet. With fewer keys it is felt what the writer needs to
//! lay out a subtable: up to 17 bytes a key at seven thousands, up to 25 at two.
//!
//! # Structure
//!
//! The first bits of a hash select an entry of the [`directory`], which describes a subtable: how many bits its
//! hashes share, its size in buckets of eight slots, and the pages these are in. The next seventeen bits are the
//! tag. It is kept in the slot, and scaled to the size it gives the home bucket; so the order of hashes is the
//! order of subtables and, in them, of buckets, and a subtable can grow by any factor without asking for hashes.
//! It grows in a few steps up to 112 buckets, then it splits. A split uses up the first bit of the tag,
//! and with it a bit of `precision`; every third split asks for the hashes, to fill the tags again.
//!
//! # Invariants
//!
//! * A slot whose home is bucket `b` is in `b`, or in `c` beyond it (around the end, if need be), and then all
//!   buckets from `b` up to, not including, `c` are full: none of their words is zero. Hence a search ends at
//!   the first bucket with a zero word, and a word of a full bucket is never made zero again, but vacated.
//! * No slot is beyond a bucket that is not [marked](marks) as passed, of those that a slot's search passes.
//! * The last word of a bucket is used last, so it is not zero if and only if the bucket is full.
//! * At most 85 % of the words of a subtable are not zero.
//! * All slots of a subtable have `precision` bits of tag that mean something.
//! * Subtables split and never merge: an end of a subtable's range stays one for ever.
//!
//! # Ordering
//!
//! One writer at a time changes the table; any number of readers search it, take no lock, write nothing and
//! never wait. A slot of a live subtable is changed in place by one release store. Anything larger is built in
//! pages nobody uses and then published by one release store to the head of an entry. Pages are recycled, never
//! freed, so a reader needs no pin: it may read words that have become another subtable's, but before it acts on
//! any it checks that the entry and the depth of the directory are what they were (see `View::is_current`, which
//! has the argument). A closure is therefore only ever asked about slots that were this table's, though one may
//! have been replaced in between: the slot is looked at again after the closure returned, for a hit and for a
//! miss, and if it has changed, the search begins again. So if the closure first protects what is at the
//! address, then compares, whatever it returned was about a record that was not recycled.
//!
//! # Hashes that are alike
//!
//! Hashes that agree in many first bits could double the directory without end. It doubles only while it is in
//! proportion to the number of subtables; beyond that a subtable grows past 112 buckets, by a fourth each time,
//! and its pages are found through index pages. Slots whose tags are alike, or crowd into a part of the range of
//! tags, then fill the buckets one after the other, and an operation on any key of that subtable may have to go
//! through all of them: with `k` hashes alike it costs `k` comparisons, with `k` in a crowd `k / 8` cache lines.
//! Slow, but correct, and no concern of other subtables. Above 57 million hashes alike the table panics.

mod arena;
mod bucket;
mod changes;
mod directory;
mod entry;
mod error;
mod group;
mod kernel;
mod lead;
mod loader;
mod marks;
mod pool;
mod shape;
mod slot;
mod stage;
mod view;
mod walk;
mod writer;

#[cfg(test)]
mod adversary_test;
#[cfg(test)]
mod load_test;
#[cfg(test)]
mod stress_test;
#[cfg(test)]
mod table_test;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod walk_test;

use std::fmt;
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};

use annals_disk::prefetch;
use parking_lot::Mutex;

pub(crate) use changes::Changes;
pub(crate) use error::TableError;
pub(crate) use group::{Group, PACKED_BYTES, PackedGroup, pack};
pub(crate) use lead::{Lead, Seen};
pub(crate) use loader::TableLoader;
pub(crate) use slot::Slot;
pub(crate) use walk::WalkPlace;

use arena::Arena;
use bucket::{Bucket, Places};
use directory::{Directory, ENTRY_BYTES};
use entry::Head;
use marks::Passed;
use shape::{FIRST, TAG_BITS};
use slot::Sought;
use view::{Outdated, View};
use writer::Writer;

/// Gives the hash of the key of a record, for when a split has to fill the tags again.
pub(crate) trait Rehash {
    /// The record at `address` will be asked for soon.
    fn ahead(&mut self, _address: u64) {}

    /// The hash of the key at `address`; `None` if it cannot be read.
    fn hash(&mut self, address: u64) -> Option<u64>;
}

impl<F: FnMut(u64) -> u64> Rehash for F {
    fn hash(&mut self, address: u64) -> Option<u64> {
        Some(self(address))
    }
}

/// A home bucket that was asked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Approach<'t>(Option<(Bucket<'t>, Sought)>);

impl Approach<'_> {
    /// The address in the first slot that may be the key's, to load its record ahead of a search. Nothing is
    /// validated: it may be any number, and nothing but time may be lost by it.
    #[inline]
    pub(crate) fn candidate(self) -> Option<u64> {
        let (bucket, sought) = self.0?;
        Places(bucket.agreeing(sought))
            .find_map(|place| Slot::from_raw(bucket.word(place)))
            .map(Slot::address)
    }
}

/// What a [straight search](Table::find_straight) came to.
pub(crate) enum Straight<F> {
    /// This was found.
    Found(F),
    /// The key has no slot.
    Absent,
    /// It takes [`Table::find`] to tell.
    Unsure,
}

/// A map from hashes to slots.
pub(crate) struct Table {
    directory: Directory,
    arena: Arena,
    /// Held by whoever makes [`Changes`]. Uncontended but for a walk that comes upon a subtable that
    /// never rests.
    writer: Mutex<Writer>,
    live: AtomicUsize,
    dead: AtomicUsize,
    bytes: AtomicUsize,
}

impl Table {
    /// An empty table, of some two and a half kibibytes.
    pub(crate) fn new() -> Self {
        let directory = Directory::new(0);
        let arena = Arena::default();
        let mut pool = pool::Pool::default();
        let page = pool.take_short(&arena);
        let head = Head::new(0, TAG_BITS, FIRST);
        directory.publish(0, head, &[page, 0, 0, 0, 0, 0, 0], Passed::default());
        let mut writer = Writer::new(pool, 0, ENTRY_BYTES);
        writer.add(0, 0);
        Self::assemble(directory, arena, writer, 0, 0)
    }

    fn assemble(
        directory: Directory,
        arena: Arena,
        writer: Writer,
        live: usize,
        dead: usize,
    ) -> Self {
        let bytes = AtomicUsize::new(size_of::<Self>() + writer.memory_bytes());
        let (live, dead) = (AtomicUsize::new(live), AtomicUsize::new(dead));
        Self { directory, arena, writer: Mutex::new(writer), live, dead, bytes }
    }

    /// Searches for a key. `matches` is called for each slot that may be the key's; the first `Some` it returns
    /// for a slot that is still in place afterwards is the result. Otherwise what it returned is dropped, and
    /// the search begins again.
    ///
    /// Takes no lock and writes nothing. `matches` is only called with addresses the writer put here, but may be
    /// called for a slot that is being replaced: it has to protect the record before it looks, in a way that
    /// works if the slot is still in place after that.
    #[inline]
    pub(crate) fn find<R>(
        &self,
        hash: u64,
        mut matches: impl FnMut(Slot) -> Option<R>,
    ) -> Option<R> {
        loop {
            if let Ok(found) = self.attempt(hash, &mut matches) {
                return found;
            }
            hint::spin_loop();
        }
    }

    #[inline]
    fn attempt<R>(
        &self,
        hash: u64,
        matches: &mut impl FnMut(Slot) -> Option<R>,
    ) -> Result<Option<R>, Outdated> {
        let view = View::of(self, hash)?;
        let (mut at, sought) = view.home(hash);
        for _ in 0..view.head().buckets() {
            let bucket = view.bucket(at)?;
            let agreeing = bucket.agreeing(sought);
            let full = bucket.is_full();
            for place in Places(agreeing) {
                let raw = bucket.word(place);
                let Some(slot) = Slot::from_raw(raw) else { continue };
                // The slot was this subtable's when it was read; and what it leads to is visible from here on.
                if !view.is_current() || !sought.agrees(raw) {
                    return Err(Outdated);
                }
                let result = matches(slot);
                // It is in place still, so the record it leads to was not recycled while `matches` looked.
                // That holds for a refusal too: a key that was relocated meanwhile must not be missed.
                if !view.is_current() || bucket.word(place) != raw {
                    return Err(Outdated);
                }
                if result.is_some() {
                    return Ok(result);
                }
            }
            if !full {
                break;
            }
            at = view.after(at);
        }
        if view.is_current() { Ok(None) } else { Err(Outdated) }
    }

    /// Searches for a key as far as a straight way leads, which it does for nearly all searches: to the first
    /// bucket with a slot that may be the key's, or to where the search ends without one. What is found is to be
    /// [looked behind](Lead::look).
    ///
    /// A search waits for memory most of the time. The fewer instructions it takes, and the fewer of them depend
    /// on what was loaded, the more of the next search the processor does while it waits for this one; which is why
    /// there is a second way, and why it ends before a record is looked at.
    #[inline(always)]
    pub(crate) fn find_straight(&self, hash: u64) -> Straight<Lead<'_>> {
        Lead::find(self, hash)
    }

    /// Asks for what leads to the home bucket of a hash to be brought closer, some time before the bucket itself is
    /// asked for.
    #[inline]
    pub(crate) fn announce(&self, hash: u64) {
        if let Some(entry) = self.directory.entry_of(hash) {
            prefetch(entry);
        }
    }

    /// Asks for the home bucket of a hash to be brought closer, so that what comes soon finds it in the cache. A
    /// hint: nothing is validated.
    #[inline]
    pub(crate) fn approach(&self, hash: u64) -> Approach<'_> {
        let Ok(view) = View::of(self, hash) else { return Approach(None) };
        let (at, sought) = view.home(hash);
        let Ok(bucket) = view.bucket(at) else { return Approach(None) };
        prefetch(bucket.0);
        Approach(Some((bucket, sought)))
    }

    /// The slots that are not dead.
    pub(crate) fn len(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Whether it has no slots that are not dead.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slots that are dead.
    pub(crate) fn dead_len(&self) -> usize {
        self.dead.load(Ordering::Relaxed)
    }

    /// All the memory of the table, in use or free.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Goes through all slots in the order of hashes, one subtable after the other, while readers and the writer
    /// go on. Each subtable is copied as it was at one moment. A slot nobody changes is met exactly once.
    ///
    /// Copies the next subtable into `group`; `false` if there are no more.
    pub(crate) fn walk_from(&self, place: &mut WalkPlace, group: &mut Group) -> bool {
        place.step(self, group)
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len())
            .field("dead_len", &self.dead_len())
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}
