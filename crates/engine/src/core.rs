//! What all handles of an open database share.

use crate::{
    catalog::Catalog,
    clock::Clock,
    figures::Figures,
    hash::Undo,
    history::History,
    maintenance::Maintenance,
    ordered::Trees,
    snapshot::Snapshots,
    streams::{Index, Signposts},
    tables::Worker,
};
use annals_journal::{Journal, Recovery, Seq};
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// The number of the next one.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// What all handles of an open database share.
#[derive(Debug)]
pub(crate) struct Core {
    /// A number that no other one of this process ever has.
    pub(crate) number: u64,
    pub(crate) journal: Journal,
    pub(crate) hash_seed: u64,
    pub(crate) read_only: bool,
    pub(crate) catalog: ArcSwap<Catalog>,
    /// The number of the last record that the views hold and readers may see.
    visible: AtomicU64,
    /// The frame of several records that is being applied, if any.
    pub(crate) undo: ArcSwapOption<Undo>,
    pub(crate) snapshots: Snapshots,
    pub(crate) history: History,
    /// Which events are where, for scans that want some only.
    pub(crate) index: Index,
    /// The last number that a part of an event table was given.
    part: AtomicU64,
    /// Where in segments records begin, for look-ups of events by number.
    pub(crate) signposts: Signposts,
    pub(crate) clock: Clock,
    /// The latest time at which a reader was told that something is over, as far as the log knows.
    noted_ms: AtomicU64,
    /// The latest time at which a reader was told so.
    seen_ms: AtomicU64,
    pub(crate) maintenance: Maintenance,
    /// What is told to processes that read beside this one.
    pub(crate) figures: Figures,
    /// What makes parts of event tables.
    pub(crate) tables: Worker,
    /// What ordered keyspaces have.
    pub(crate) trees: Trees,
    /// Held by who changes the catalog, also while making what the change needs on disk.
    pub(crate) changing: Mutex<()>,
    pub(crate) recovery: Recovery,
    /// Held while a read-only handle applies what the writer did.
    pub(crate) following: Mutex<()>,
    /// Whether a read-only handle has loaded the database anew, and this state follows no longer.
    pub(crate) superseded: AtomicBool,
}

impl Core {
    pub(crate) fn new(
        journal: Journal,
        hash_seed: u64,
        read_only: bool,
        catalog: Catalog,
        clock_ms: u64,
        maintenance: Maintenance,
    ) -> Self {
        let clock = Clock::new(Arc::clone(journal.disk()), clock_ms);
        let figures = Figures::new(journal.disk().now_ms());
        let trees = Trees::new(&maintenance.config);
        let visible = AtomicU64::new(journal.next_seq().0.saturating_sub(1));
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            journal,
            hash_seed,
            read_only,
            catalog: ArcSwap::from_pointee(catalog),
            visible,
            undo: ArcSwapOption::empty(),
            snapshots: Snapshots::default(),
            history: History::default(),
            index: Index::default(),
            part: AtomicU64::new(0),
            signposts: Signposts::default(),
            clock,
            // Followers know what frames say; that the root or a checkpoint knows more helps none.
            noted_ms: AtomicU64::new(0),
            seen_ms: AtomicU64::new(0),
            maintenance,
            figures,
            tables: Worker::default(),
            trees,
            changing: Mutex::new(()),
            recovery: Recovery::default(),
            following: Mutex::new(()),
            superseded: AtomicBool::new(false),
        }
    }

    /// Lets go of what this state holds, which a read-only handle has left and no snapshot reads.
    /// Who is about to read it finds nothing, and looks at the newer state.
    pub(crate) fn let_go(&self) {
        let slots: Vec<u32> = self.journal.segments().iter().map(|info| info.slot).collect();
        self.journal.release(&slots);
        self.journal.reap();
        let catalog = self.catalog.swap(Arc::default());
        for listed in catalog.iter() {
            // Handles of keyspaces outlive the catalog.
            listed.keyspace.view.replace(Arc::default());
            listed.keyspace.tree.replace(Arc::default());
        }
        self.trees.let_go();
    }

    /// The number of the last record that readers may see.
    #[inline]
    pub(crate) fn visible_seq(&self) -> Seq {
        Seq(self.visible.load(Ordering::Acquire))
    }

    /// A number for a part of an event table that none has: above those of all records there are, of which a part takes
    /// some when it comes, and above `highest` that a part of the table has. Numbers are also taken for what comes to
    /// nothing, so that a part's may be above those of all records, and the next opening begins with these: the part
    /// would be written over, and its events would be gone.
    pub(crate) fn next_part(&self, highest: u64) -> u64 {
        let next = |last: u64| last.max(self.visible_seq().0).max(highest) + 1;
        let mut last = self.part.load(Ordering::Relaxed);
        loop {
            let taken = next(last);
            match self.part.compare_exchange_weak(last, taken, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return taken,
                Err(other) => last = other,
            }
        }
    }

    /// Lets readers see everything up to `seq`. Called under the writer lock.
    #[inline]
    pub(crate) fn show(&self, seq: Seq) {
        self.visible.store(seq.0, Ordering::Release);
    }

    /// Whether `expires_ms` is over. Never waits: called by readers, and under the writer lock. What
    /// was seen to be over stays over: the log is told of the time, here if its lock is free, else
    /// as soon as it is.
    pub(crate) fn is_past(&self, expires_ms: u64) -> bool {
        self.was_past(expires_ms, self.clock.now_ms())
    }

    /// Whether `expires_ms` was over at `now_ms`, a time that the clock has shown.
    pub(crate) fn was_past(&self, expires_ms: u64, now_ms: u64) -> bool {
        if now_ms < expires_ms {
            return false;
        }
        if self.noted_ms.load(Ordering::Acquire) < expires_ms {
            self.saw_past(now_ms);
            self.note_past();
        }
        true
    }

    /// Remembers that something was told to be over at `now_ms`.
    pub(crate) fn saw_past(&self, now_ms: u64) {
        self.seen_ms.fetch_max(now_ms, Ordering::AcqRel);
    }

    /// Tells the log of the latest time at which something was told to be over, if it does not know
    /// and its lock is free.
    #[inline]
    pub(crate) fn note_past(&self) {
        let seen = self.seen_ms.load(Ordering::Acquire);
        if seen > self.noted_ms.load(Ordering::Acquire)
            && !self.read_only
            && self.journal.note_time(seen)
        {
            self.noted_ms.fetch_max(seen, Ordering::AcqRel);
        }
    }
}
