//! How a reader of the hash table and its writer get along without a lock, in every order in which the two can run
//! and see each other's stores.
//!
//! The table's words lie in memory that a model cannot stand in for, so this is the protocol in small: buckets of
//! one word, subtables of one page, a directory of two depths. `Bucket::set`, `writer::write`, `Entry::publish`,
//! `Directory::double` and `Table::attempt` with `View::is_current` are the real ones. That a record is not used again
//! while somebody looks at it is the journal's matter, and has a model there. A model that finds nothing
//! proves nothing: what the argument rests on is taken away once, and that must be found.

#![allow(clippy::arc_with_non_send_sync, reason = "a model's threads are one of the system's")]

use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    thread,
};
use std::sync::Arc;

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weak {
    Nothing,
    /// A slot of a live subtable is stored without release.
    SlotWithoutRelease,
    /// The reader does not fence before it looks again.
    NoAcquireFence,
    /// The reader does not look again before it asks what is in a slot.
    NoLookBefore,
    /// The reader does not look again after it found nothing.
    NoLookAfterAMiss,
    /// The reader looks at the head again, and not at the depth.
    NoLookAtTheDepth,
    /// Nothing comes between taking a page from a subtable and writing to it for another.
    NoFenceBeforePages,
    /// Nothing comes between a head and overwriting the list of the one before.
    NoFenceBeforeList,
    /// The head is stored without release.
    HeadWithoutRelease,
    /// The depth is stored without release.
    DepthWithoutRelease,
}

const EMPTY: u64 = 0;
/// The record of the key that is sought, and what takes its place.
const OURS: u64 = 1;
const OURS_AGAIN: u64 = 2;
/// The record of a key in another subtable, whose tag is alike.
const ANOTHERS: u64 = 3;

/// Pages: what the subtable has at first, what it gets then, and one in which there was never anything.
const FIRST: usize = 0;
const NEXT: usize = 1;
const THIRD: usize = 2;
const NONE: usize = 3;

/// A directory entry: the version, whose lowest bit tells which list is valid, and two lists of one page each.
struct Entry {
    head: AtomicU64,
    lists: [AtomicUsize; 2],
}

impl Entry {
    fn new(page: usize) -> Self {
        Self { head: AtomicU64::new(0), lists: [AtomicUsize::new(page), AtomicUsize::new(NONE)] }
    }

    fn publish(&self, page: usize, weak: Weak) {
        let version = self.head.load(Ordering::Relaxed) + 1;
        if weak != Weak::NoFenceBeforeList {
            fence(Ordering::Release);
        }
        self.lists[(version & 1) as usize].store(page, Ordering::Relaxed);
        self.head.store(version, weak.unless(Weak::HeadWithoutRelease, Ordering::Release));
    }
}

struct Table {
    depth: AtomicUsize,
    /// That of depth 0, and the lower one of depth 1.
    entries: [Entry; 2],
    pages: [AtomicU64; 4],
    /// Written before a slot leads there. Which key it is of is what its number says.
    records: [UnsafeCell<u64>; 4],
    weak: Weak,
}

impl Weak {
    fn unless(self, weak: Self, ordering: Ordering) -> Ordering {
        if self == weak { Ordering::Relaxed } else { ordering }
    }
}

impl Table {
    fn new(weak: Weak) -> Arc<Self> {
        let table = Self {
            depth: AtomicUsize::new(0),
            entries: [Entry::new(FIRST), Entry::new(NONE)],
            pages: [EMPTY; 4].map(AtomicU64::new),
            records: [0; 4].map(UnsafeCell::new),
            weak,
        };
        table.record(OURS);
        table.record(ANOTHERS);
        table.pages[FIRST].store(OURS, Ordering::Relaxed);
        Arc::new(table)
    }

    fn record(&self, at: u64) {
        // SAFETY: no slot leads there yet; the model checks it.
        #[allow(unsafe_code, reason = "a model's cell")]
        self.records[at as usize].with_mut(|record| unsafe { *record = at });
    }

    /// Puts a slot in place of another one of a live subtable.
    fn set(&self, page: usize, slot: u64) {
        let ordering = self.weak.unless(Weak::SlotWithoutRelease, Ordering::Release);
        self.pages[page].store(slot, ordering);
    }

    /// Writes a subtable into a page that no entry names.
    fn write(&self, page: usize, slot: u64) {
        if self.weak != Weak::NoFenceBeforePages {
            fence(Ordering::Release);
        }
        self.pages[page].store(slot, Ordering::Relaxed);
    }

    fn publish(&self, entry: usize, page: usize) {
        self.entries[entry].publish(page, self.weak);
    }

    fn double(&self) {
        let former = &self.entries[0];
        let list = former.head.load(Ordering::Relaxed) & 1;
        let page = former.lists[list as usize].load(Ordering::Relaxed);
        self.publish(1, page);
        let ordering = self.weak.unless(Weak::DepthWithoutRelease, Ordering::Release);
        self.depth.store(1, ordering);
    }

    /// What one attempt of a search for the key finds: a record, or nothing; an error if it has to begin again.
    fn attempt(&self) -> Result<Option<u64>, ()> {
        let depth = self.depth.load(Ordering::Acquire);
        let entry = &self.entries[depth];
        let head = entry.head.load(Ordering::Acquire);
        let page = entry.lists[(head & 1) as usize].load(Ordering::Relaxed);
        let is_current = || {
            if self.weak != Weak::NoAcquireFence {
                fence(Ordering::Acquire);
            }
            entry.head.load(Ordering::Relaxed) == head
                && (self.weak == Weak::NoLookAtTheDepth
                    || self.depth.load(Ordering::Relaxed) == depth)
        };
        let raw = self.pages[page].load(Ordering::Relaxed);
        if raw == EMPTY {
            let is_told = self.weak == Weak::NoLookAfterAMiss || is_current();
            return if is_told { Ok(None) } else { Err(()) };
        }
        if self.weak != Weak::NoLookBefore && !is_current() {
            return Err(());
        }
        assert_ne!(raw, ANOTHERS, "a slot of another subtable was asked for");
        // SAFETY: whoever stored the slot wrote the record before; the model checks it.
        #[allow(unsafe_code, reason = "a model's cell")]
        let record = self.records[raw as usize].with(|record| unsafe { *record });
        if !is_current() || self.pages[page].load(Ordering::Relaxed) != raw {
            return Err(());
        }
        Ok(Some(record))
    }

    fn find(&self) -> Option<u64> {
        // However often the writer changes something, it is soon done.
        let found = (0..20).find_map(|_| self.attempt().ok());
        found.expect("a search ends once the writer does")
    }
}

/// What a writer does.
type Write = fn(&Table);

/// A reader that searches twice for a key that is there all the time, beside a writer.
fn a_reader_beside(weak: Weak, write: Write) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let table = Table::new(weak);
        let of_writer = Arc::clone(&table);
        let writer = thread::spawn(move || write(&of_writer));
        let found = [(); 2].map(|()| table.find().expect("the key is there all the time"));
        assert!(found[0] <= found[1], "what was seen once is seen from then on: {found:?}");
        writer.join().expect("the writer has ended");
    });
}

/// The slot of a key leads to another record of it.
fn replacing(table: &Table) {
    table.record(OURS_AGAIN);
    table.set(FIRST, OURS_AGAIN);
}

/// A subtable is laid out anew in another page, twice, and another one gets its first page meanwhile.
fn growing(table: &Table) {
    table.write(NEXT, OURS);
    table.publish(0, NEXT);
    table.write(FIRST, ANOTHERS);
    table.write(THIRD, OURS);
    table.publish(0, THIRD);
}

/// The same, where the other subtable has nothing in that page.
fn growing_beside_nothing(table: &Table) {
    table.write(NEXT, OURS);
    table.publish(0, NEXT);
    table.write(FIRST, EMPTY);
}

/// Two layouts that were written ahead come one after the other.
fn publishing_twice(table: &Table) {
    table.write(NEXT, OURS);
    table.write(THIRD, OURS);
    table.publish(0, NEXT);
    table.publish(0, THIRD);
}

/// A subtable is split, the directory doubles for it, and another subtable gets its page.
fn splitting(table: &Table) {
    table.double();
    table.write(NEXT, OURS);
    table.publish(1, NEXT);
    table.write(FIRST, ANOTHERS);
}

#[test]
fn a_key_is_found_whatever_the_writer_does() {
    let all: [Write; 5] = [replacing, growing, growing_beside_nothing, publishing_twice, splitting];
    for write in all {
        a_reader_beside(Weak::Nothing, write);
    }
}

/// Whether the model finds that this was taken away.
fn is_found(weak: Weak, write: Write) -> bool {
    let run = move || std::panic::catch_unwind(|| a_reader_beside(weak, write)).is_err();
    // A model that was left in the middle is not of use to the next one of the same thread.
    std::thread::spawn(run).join().unwrap_or(true)
}

#[test]
fn whatever_is_taken_away_is_found() {
    let cases: [(Weak, Write); 11] = [
        (Weak::SlotWithoutRelease, replacing),
        (Weak::NoAcquireFence, replacing),
        (Weak::NoAcquireFence, growing),
        (Weak::NoLookBefore, growing),
        (Weak::NoLookAfterAMiss, growing_beside_nothing),
        (Weak::NoFenceBeforePages, growing),
        (Weak::NoFenceBeforeList, publishing_twice),
        (Weak::HeadWithoutRelease, growing),
        (Weak::NoLookAtTheDepth, splitting),
        (Weak::NoFenceBeforePages, splitting),
        (Weak::DepthWithoutRelease, splitting),
    ];
    let missed: Vec<_> =
        cases.into_iter().filter(|(weak, write)| !is_found(*weak, *write)).collect();
    assert!(missed.is_empty(), "{:?}", missed.iter().map(|(weak, _)| weak).collect::<Vec<_>>());
}
