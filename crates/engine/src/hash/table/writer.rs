//! The writer: what only the one who changes the table needs, and how subtables grow and split.
//!
//! A subtable that has to grow is laid out anew on the [`Stage`], written into free pages, published in the
//! directory, and only then its former pages are free. The pages written into may have been another subtable's
//! before: a release fence after the change that freed them, and before the first store into them, is what lets
//! the readers of that other subtable find out.

use std::sync::atomic::{Ordering, fence};

use super::arena::Arena;
use super::bucket::SLOTS;
use super::entry::{Head, Roots};
use super::marks::Passed;
use super::pool::Pool;
use super::shape::{self, FANOUT, FULL, LARGEST, MIN_PRECISION, PAGE, ROOTS, TAG_BITS, TAG_MASK};
use super::slot::Slot;
use super::stage::Stage;
use super::view::{Outdated, View};
use super::{Rehash, Table};

/// How many words of a subtable are in use.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    /// Words that are not empty.
    pub(super) used: u32,
    /// Of these, the vacated ones.
    pub(super) vacated: u32,
}

/// The writer's own state.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) pool: Pool,
    /// For each subtable, at the index of its first directory entry.
    counts: Vec<Count>,
    subtables: usize,
    directory_bytes: usize,
    stage: Stage,
    slots: Vec<u64>,
    pages: Vec<u32>,
    retired: Vec<u32>,
}

impl Writer {
    /// The state for a directory that was made with this depth and has no subtables yet.
    pub(super) fn new(pool: Pool, depth: u32, directory_bytes: usize) -> Self {
        Self {
            pool,
            counts: vec![Count::default(); 1 << depth],
            directory_bytes,
            ..Self::default()
        }
    }

    /// Notes a new subtable.
    pub(super) fn add(&mut self, index: usize, used: usize) {
        self.subtables += 1;
        self.counts[index] = Count { used: used as u32, vacated: 0 };
    }

    /// The counts of a subtable.
    #[inline]
    pub(super) fn count(&mut self, hash: u64, view: &View<'_>) -> &mut Count {
        let index = shape::index(shape::prefix(hash, view.head().depth()), view.directory_depth());
        &mut self.counts[index]
    }

    /// All memory of the table but the struct itself.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pool.memory_bytes()
            + self.directory_bytes
            + self.counts.capacity() * size_of::<Count>()
            + self.stage.memory_bytes()
            + self.slots.capacity() * size_of::<u64>()
            + (self.pages.capacity() + self.retired.capacity()) * size_of::<u32>()
    }

    /// Gives the subtable of a hash more room: drops its vacated words if they are many, else lets it grow, else
    /// splits it. A split may put all slots on one side; the caller looks again.
    pub(super) fn make_room(
        &mut self,
        table: &Table,
        hash: u64,
        rehash: &mut impl Rehash,
    ) -> Result<(), Outdated> {
        let view = View::of(table, hash)?;
        let head = view.head();
        let count = *self.count(hash, &view);
        self.take_slots(&view)?;
        self.take_pages(table, &view)?;
        if count.vacated >= count.used.div_ceil(8) {
            self.rebuild(table, hash, head, head.buckets());
        } else if head.buckets() >= FULL
            && let Ok(hashes) = self.hashes_for_split(head, rehash)
            && self.deepen(table, head.depth())
        {
            self.split(table, hash, head, hashes.as_deref());
        } else {
            self.rebuild(table, hash, head, shape::next(head.buckets()));
        }
        self.pool.give(&self.retired);
        if head.buckets() > FULL {
            (self.stage, self.slots) = Default::default();
            (self.pages, self.retired) = Default::default();
        }
        Ok(())
    }

    fn take_slots(&mut self, view: &View<'_>) -> Result<(), Outdated> {
        self.slots.clear();
        self.slots.resize(view.head().buckets() * SLOTS, 0);
        let mut taken = 0;
        for at in 0..view.head().buckets() {
            for raw in view.bucket(at)?.read() {
                // Whether a word is a slot cannot be predicted: if not, the next is written over it.
                self.slots[taken] = raw;
                taken += usize::from(Slot::from_raw(raw).is_some());
            }
        }
        self.slots.truncate(taken);
        Ok(())
    }

    /// Notes the pages of a subtable, which are free when it has been replaced.
    fn take_pages(&mut self, table: &Table, view: &View<'_>) -> Result<(), Outdated> {
        self.retired.clear();
        let pages = view.head().buckets().div_ceil(PAGE);
        let mut span = shape::index_span(view.head().buckets());
        self.retired.extend(view.roots().iter().take(pages.div_ceil(span)));
        let mut parents = 0;
        while span > 1 {
            span /= FANOUT;
            let mut children = pages.div_ceil(span);
            let end = self.retired.len();
            for parent in parents..end {
                for word in 0..children.min(FANOUT) {
                    let bucket =
                        table.arena.bucket(self.retired[parent], word / SLOTS).ok_or(Outdated)?;
                    self.retired.push(bucket.word(word % SLOTS) as u32);
                }
                children -= children.min(FANOUT);
            }
            parents = end;
        }
        Ok(())
    }

    /// Whether a subtable may become one bit deeper; doubles the directory if that takes it.
    fn deepen(&mut self, table: &Table, depth: u32) -> bool {
        let directory_depth = table.directory.depth_again();
        if depth < directory_depth {
            return true;
        }
        if !shape::is_proportionate(depth + 1, self.subtables) {
            return false;
        }
        self.directory_bytes += table.directory.double();
        let mut counts = Vec::with_capacity(self.counts.len() * 2);
        counts.extend(self.counts.iter().flat_map(|&count| [count, Count::default()]));
        self.counts = counts;
        true
    }

    fn rebuild(&mut self, table: &Table, hash: u64, head: Head, buckets: usize) {
        self.stage.begin(buckets, head.precision());
        self.stage.place(self.slots.iter().filter_map(|&raw| Slot::from_raw(raw)));
        let laid = lay_out(&self.stage, &mut self.pool, &mut self.pages, &table.arena);
        let prefix = shape::prefix(hash, head.depth());
        let head = Head::new(head.depth(), head.precision(), buckets);
        put(table, &mut self.counts, prefix, head, &laid, self.slots.len());
    }

    /// The hashes of all slots, if the split has to fill the tags again. An error if one of the
    /// records cannot be read: its slot must keep the tag it has, or it would not be found any more,
    /// so the subtable grows without being split.
    fn hashes_for_split(
        &self,
        head: Head,
        rehash: &mut impl Rehash,
    ) -> Result<Option<Vec<u64>>, Unreadable> {
        if head.precision() > MIN_PRECISION {
            return Ok(None);
        }
        let slots = self.slots.iter().filter_map(|&raw| Slot::from_raw(raw));
        // The records are anywhere in the log: asked for one by one, each would be waited for.
        slots.clone().for_each(|slot| rehash.ahead(slot.address()));
        let hashes = slots.map(|slot| rehash.hash(slot.address()).ok_or(Unreadable));
        hashes.collect::<Result<_, _>>().map(Some)
    }

    /// Splits a subtable. With `hashes`, those of its slots in their order, the tags are filled again.
    fn split(&mut self, table: &Table, hash: u64, head: Head, hashes: Option<&[u64]>) {
        let depth = head.depth() + 1;
        let precision = if hashes.is_some() { TAG_BITS } else { head.precision() - 1 };
        let low = shape::prefix(hash, head.depth());
        let side_of = |slot: &Slot| slot.tag() >> (TAG_BITS - 1);
        let slots = self.slots.iter().filter_map(|&raw| Slot::from_raw(raw)).enumerate();
        let upper = slots.clone().filter(|(_, slot)| side_of(slot) == 1).count();
        // Both halves are written before one is published.
        let halves = [(1, upper), (0, self.slots.len() - upper)].map(|(side, used)| {
            let buckets = shape::size(used);
            self.stage.begin(buckets, precision);
            let half = slots.clone().filter(|(_, slot)| side_of(slot) == side);
            match hashes {
                Some(hashes) => self.stage.place(
                    half.map(|(index, slot)| slot.with_tag(shape::tag(hashes[index], depth))),
                ),
                None => self
                    .stage
                    .place(half.map(|(_, slot)| slot.with_tag((slot.tag() << 1) & TAG_MASK))),
            }
            let laid = lay_out(&self.stage, &mut self.pool, &mut self.pages, &table.arena);
            let prefix = low | (side << (u64::BITS - depth));
            (prefix, Head::new(depth, precision, buckets), laid, used)
        });
        // The upper half first: while it is published and the lower one is not, a walk that comes to the lower
        // half still finds the whole.
        for (prefix, head, laid, used) in &halves {
            put(table, &mut self.counts, *prefix, *head, laid, *used);
        }
        self.subtables += 1;
    }
}

/// A record's key cannot be read.
struct Unreadable;

/// Where a subtable was laid out.
struct Laid {
    roots: Roots,
    passed: Passed,
}

/// Writes what is on the stage into free pages.
fn lay_out(stage: &Stage, pool: &mut Pool, pages: &mut Vec<u32>, arena: &Arena) -> Laid {
    let roots = write(stage, pool, pages, arena);
    Laid { roots, passed: Passed::of(stage.counts()) }
}

/// Puts a subtable in place of what the directory has.
fn put(table: &Table, counts: &mut [Count], prefix: u64, head: Head, laid: &Laid, used: usize) {
    table.directory.publish(prefix, head, &laid.roots, laid.passed);
    let index = shape::index(prefix, table.directory.depth_again());
    counts[index] = Count { used: used as u32, vacated: 0 };
}

/// Writes a staged subtable into free pages. A large one gets index pages, each naming [`FANOUT`] pages, in as
/// many layers as it takes until there are no more than [`ROOTS`].
pub(super) fn write(stage: &Stage, pool: &mut Pool, pages: &mut Vec<u32>, arena: &Arena) -> Roots {
    assert!(stage.counts().len() <= LARGEST, "too many equal hashes");
    // Whatever freed the pages comes before what is stored into them, for all who see one of these stores.
    fence(Ordering::Release);
    pages.clear();
    for words in stage.words().chunks(FANOUT) {
        pages.push(fill(words, pool, arena));
    }
    while pages.len() > ROOTS {
        let layer = std::mem::take(pages);
        for children in layer.chunks(FANOUT) {
            let words: Vec<u64> = children.iter().map(|&page| u64::from(page)).collect();
            pages.push(fill(&words, pool, arena));
        }
    }
    std::array::from_fn(|at| pages.get(at).copied().unwrap_or_default())
}

fn fill(words: &[u64], pool: &mut Pool, arena: &Arena) -> u32 {
    let page = pool.take(arena);
    for (at, words) in words.chunks(SLOTS).enumerate() {
        if let Some(bucket) = arena.bucket(page, at) {
            bucket.fill(words);
        }
    }
    page
}
