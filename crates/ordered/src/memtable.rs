//! Versions in memory: one writer at a time, any number of readers that take no lock and never wait.
//!
//! Records are appended to memory that never moves and is never written again, and found through a tree
//! of narrow nodes over their addresses. A node holds eight bytes of each key, taken from where the keys of
//! its range begin to differ, and one word that says how its slots are sorted: a version becomes visible
//! by one store to that word.
//!
//! Why a tree: a search in a skip list of the same versions waits for memory at each of some twenty
//! steps, one after the other, and so does each step of a scan; here it waits once a level, and the
//! records that a scan comes to next are known beforehand.
//!
//! What a memtable takes is given back when the last of its readers and its writer are gone, and not
//! before; so nobody has to say when they look. It is given to the next memtables first ([`SpareMemory`]).

mod bytes;
mod cursor;
mod groups;
mod node;
mod record;
mod spare;
mod tree;
mod writer;

pub use cursor::MemtableCursor;
pub(crate) use spare::SpareMemory;
pub use writer::MemtableWriter;

use arc_swap::ArcSwap;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{Entry, RangeRemoval, Removals};
use node::Target;
use tree::Tree;

/// Versions in memory, as readers see them. [`MemtableWriter`] makes them.
///
/// ```
/// use annals_ordered::{Cursor, Entry, EntryKind, MemtableWriter};
///
/// let mut writer = MemtableWriter::new();
/// let put = |seq, value| Entry { key: b"key", seq, kind: EntryKind::Put, expires_ms: None, value };
/// writer.put(&put(1, b"old"));
/// writer.put(&put(2, b"new"));
///
/// let memtable = writer.memtable();
/// assert_eq!(memtable.find(b"key", u64::MAX), Some(put(2, b"new")));
/// assert_eq!(memtable.find(b"key", 1), Some(put(1, b"old")));
///
/// let mut cursor = memtable.cursor();
/// cursor.to_last()?;
/// assert_eq!(cursor.entry(), Some(put(1, b"old")));
/// # Ok::<(), annals_ordered::Error>(())
/// ```
pub struct Memtable {
    tree: Tree,
    removals: ArcSwap<Removals>,
    /// Whether there is a range removal: a look at this spares the one at them.
    has_removals: AtomicBool,
    counts: Counts,
}

/// What changes with each version, away from what readers need.
#[repr(align(128))]
struct Counts {
    versions: AtomicU64,
    payload_bytes: AtomicU64,
    oldest_seq: AtomicU64,
    newest_seq: AtomicU64,
}

impl fmt::Debug for Memtable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memtable({} versions in {} bytes)", self.versions(), self.memory_bytes())
    }
}

impl Memtable {
    fn new(tree: Tree) -> Self {
        let counts = Counts {
            versions: AtomicU64::new(0),
            payload_bytes: AtomicU64::new(0),
            oldest_seq: AtomicU64::new(u64::MAX),
            newest_seq: AtomicU64::new(0),
        };
        let removals = ArcSwap::default();
        Self { tree, removals, has_removals: AtomicBool::new(false), counts }
    }

    /// The newest version of a key that is not newer than `seq`, if there is one. It may be a removal, or
    /// have expired, or be covered by a range removal: see [`Memtable::removed_at`]. The version is read
    /// where it lies.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &[u8], seq: u64) -> Option<Entry<'_>> {
        self.tree.find(Target { key, seq })
    }

    /// The newest range removal not newer than `seq` whose range a key is in: versions of the key that are
    /// older than that are removed.
    #[inline]
    #[must_use]
    pub fn removed_at(&self, key: &[u8], seq: u64) -> Option<u64> {
        if !self.has_removals.load(Ordering::Acquire) {
            return None;
        }
        self.removals.load().newest_over(key, seq)
    }

    /// The range removals that are there now.
    #[must_use]
    pub fn removals(&self) -> Removals {
        if self.has_removals.load(Ordering::Acquire) {
            Removals::clone(&self.removals.load())
        } else {
            Removals::default()
        }
    }

    /// A cursor over all versions. It keeps the memtable in memory.
    ///
    /// While the writer goes on, each step sees all versions that were there when the cursor was last
    /// told to go to a place or, at the latest, when it was made; it may or may not see newer ones.
    #[must_use]
    pub fn cursor(self: &Arc<Self>) -> MemtableCursor {
        MemtableCursor::new(Arc::clone(self))
    }

    /// How many versions there are, without range removals.
    #[must_use]
    pub fn versions(&self) -> u64 {
        self.counts.versions.load(Ordering::Relaxed)
    }

    /// Whether there is nothing: no version and no range removal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions() == 0 && !self.has_removals.load(Ordering::Acquire)
    }

    /// The bytes of all keys and values.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.counts.payload_bytes.load(Ordering::Relaxed)
    }

    /// The lowest and the highest sequence number of all versions and range removals. `None` if there are
    /// none.
    #[must_use]
    pub fn seqs(&self) -> Option<(u64, u64)> {
        let oldest = self.counts.oldest_seq.load(Ordering::Relaxed);
        let newest = self.counts.newest_seq.load(Ordering::Relaxed);
        (oldest <= newest).then_some((oldest, newest))
    }

    /// The memory that was taken from the system for this, in bytes. Memory that comes in large pages
    /// counts in large pages.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let removals = if self.has_removals.load(Ordering::Relaxed) {
            self.removals.load().memory_bytes()
        } else {
            0
        };
        size_of::<Self>() + self.tree.bytes.taken_bytes() + self.tree.nodes.taken_bytes() + removals
    }

    /// Counts what the writer added.
    #[inline]
    fn count(&self, entry: &Entry<'_>) {
        // There is one writer, so nothing comes between a load and its store.
        let add = |to: &AtomicU64, more| {
            to.store(to.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        };
        add(&self.counts.versions, 1);
        add(&self.counts.payload_bytes, (entry.key.len() + entry.value.len()) as u64);
        self.count_seq(entry.seq);
    }

    #[inline]
    fn count_seq(&self, seq: u64) {
        if seq < self.counts.oldest_seq.load(Ordering::Relaxed) {
            self.counts.oldest_seq.store(seq, Ordering::Relaxed);
        }
        if seq > self.counts.newest_seq.load(Ordering::Relaxed) {
            self.counts.newest_seq.store(seq, Ordering::Relaxed);
        }
    }

    /// Adds a range removal. Called by the one writer.
    fn add_removal(&self, removal: RangeRemoval) {
        self.count_seq(removal.seq);
        let more = self.removals.load().with(removal);
        self.removals.store(Arc::new(more));
        self.has_removals.store(true, Ordering::Release);
    }
}
