//! Changes: what the one writer does to the slots of a table.

use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use super::bucket::{Bucket, Places};
use super::slot::{EMPTY, Slot, VACATED};
use super::view::View;
use super::writer::Writer;
use super::{Rehash, Table, shape};

/// The right to change a table, for a run of changes.
pub(crate) struct Changes<'t> {
    table: &'t Table,
    writer: MutexGuard<'t, Writer>,
}

/// Where a key's slot is.
struct Found<'t> {
    bucket: Bucket<'t>,
    at: usize,
    slot: Slot,
    /// Whether the bucket is full, so that its words must not become zero.
    full: bool,
}

/// Where a key's slot would go.
struct Vacancy<'t> {
    bucket: Bucket<'t>,
    at: usize,
    /// Whether the word is vacated, not empty.
    vacated: bool,
    /// How many buckets there are before this one, from the key's home on.
    passed: usize,
}

impl Table {
    /// Waits until nobody else changes the table.
    #[inline]
    pub(crate) fn change(&self) -> Changes<'_> {
        Changes { table: self, writer: self.writer.lock() }
    }
}

impl Changes<'_> {
    /// Puts a slot in place of the one that matches, which is returned, or adds it.
    ///
    /// The address has 46 bits, not all of them zero and not all of them one. `rehash` gives the hash of the key
    /// of a record, for when a split has to fill the tags again.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        address: u64,
        dead: bool,
        mut matches: impl FnMut(Slot) -> bool,
        mut rehash: impl Rehash,
    ) -> Option<Slot> {
        let mut known_absent = false;
        loop {
            // Nothing is outdated for the writer.
            let Ok(view) = View::of(self.table, hash) else { continue };
            let count = self.writer.count(hash, &view);
            let sought = |slot| !known_absent && matches(slot);
            let vacancy = match locate(&view, hash, count.vacated != 0, sought) {
                Ok(found) => {
                    let new = Slot::new(found.slot.tag(), address, dead);
                    found.bucket.set(found.at, new.raw());
                    self.recount(Some(found.slot), Some(new));
                    return Some(found.slot);
                }
                Err(vacancy) => vacancy,
            };
            if let Some(vacancy) = vacancy
                && (vacancy.vacated || (count.used as usize) < shape::limit(view.head().buckets()))
            {
                count.used += u32::from(!vacancy.vacated);
                count.vacated -= u32::from(vacancy.vacated);
                let new = Slot::new(shape::tag(hash, view.head().depth()), address, dead);
                if vacancy.passed > 0 {
                    self.mark(hash, &view, vacancy.passed);
                }
                vacancy.bucket.set(vacancy.at, new.raw());
                self.recount(None, Some(new));
                return None;
            }
            known_absent = true;
            self.make_room(hash, &mut rehash);
        }
    }

    /// Marks the buckets from the home of a hash on, as many as a slot of it is about to be put beyond.
    fn mark(&self, hash: u64, view: &View<'_>, count: usize) {
        let (mut at, _) = view.home(hash);
        for _ in 0..count {
            self.table.directory.pass(hash, view.head(), at);
            at = view.after(at);
        }
    }

    #[cold]
    fn make_room(&mut self, hash: u64, rehash: &mut impl Rehash) {
        let _ = self.writer.make_room(self.table, hash, rehash);
        let bytes = size_of::<Table>() + self.writer.memory_bytes();
        self.table.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Takes out the slot that matches.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, matches: impl FnMut(Slot) -> bool) -> Option<Slot> {
        let view = View::of(self.table, hash).ok()?;
        let found = locate(&view, hash, false, matches).ok()?;
        let count = self.writer.count(hash, &view);
        if found.full {
            count.vacated += 1;
            found.bucket.set(found.at, VACATED);
        } else {
            count.used -= 1;
            found.bucket.set(found.at, EMPTY);
        }
        self.recount(Some(found.slot), None);
        Some(found.slot)
    }

    /// Tells the table that the record at `from` has been moved to `to`. Returns whether the key's slot still
    /// had the address `from`.
    pub(crate) fn relocate(&mut self, hash: u64, from: u64, to: u64) -> bool {
        let Ok(view) = View::of(self.table, hash) else { return false };
        let Ok(found) = locate(&view, hash, false, |slot| slot.address() == from) else {
            return false;
        };
        found.bucket.set(found.at, found.slot.with_address(to).raw());
        true
    }

    #[inline]
    fn recount(&self, old: Option<Slot>, new: Option<Slot>) {
        if old.map(Slot::is_dead) == new.map(Slot::is_dead) {
            return;
        }
        let Table { live, dead, .. } = self.table;
        let counter = |slot: Slot| if slot.is_dead() { dead } else { live };
        if let Some(counter) = old.map(counter) {
            counter.store(counter.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
        if let Some(counter) = new.map(counter) {
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }
}

/// The slot that matches, or else where a new one would go: in the first vacated place on the way, if there may
/// be one, or in the empty one that ends it.
#[inline]
fn locate<'t>(
    view: &View<'t>,
    hash: u64,
    vacated: bool,
    mut matches: impl FnMut(Slot) -> bool,
) -> Result<Found<'t>, Option<Vacancy<'t>>> {
    let mut vacancy = None;
    let (mut at, sought) = view.home(hash);
    for passed in 0..view.head().buckets() {
        let Ok(bucket) = view.bucket(at) else { break };
        let full = bucket.is_full();
        for at in Places(bucket.agreeing(sought)) {
            if let Some(slot) = Slot::from_raw(bucket.word(at))
                && matches(slot)
            {
                return Ok(Found { bucket, at, slot, full });
            }
        }
        if !full {
            let empty = |at| Vacancy { bucket, at, vacated: false, passed };
            return Err(vacancy.or_else(|| bucket.empty().map(empty)));
        }
        // Only full buckets have vacated words.
        if vacated && vacancy.is_none() {
            vacancy = bucket.vacated().map(|at| Vacancy { bucket, at, vacated: true, passed });
        }
        at = view.after(at);
    }
    Err(vacancy)
}
