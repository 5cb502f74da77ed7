//! Events that were looked up together.
//!
//! An event that is given out by itself is counted among those that keep its segment, and has its category
//! and all that its record says with it. For a small event that costs more than reading it. Of a batch all
//! events share what keeps them.

use super::{
    RecordedEvent,
    cursor::Met,
    event::{CategoryRef, Found, Read},
};
use crate::{Result, catalog::Keyspace};
use annals_events::EventFormat;
use annals_journal::{Match, SegmentGuard};
use std::{fmt, ops::Range};

/// A batch has no more events than this: what was found of them, and they themselves if they are small, stay
/// near the processor until they are read.
pub(crate) const EVENTS_MAX: usize = 256;

/// Events that were looked up together, in the order in which they are read. Keeps them where they are, and may
/// be sent to other threads.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent};
/// let db = Database::open_in_memory()?;
/// let orders = db.category("orders")?;
/// orders.append("ada", &NewEvent::bytes("placed", b"7"), ExpectedVersion::Any)?;
/// orders.append("ada", &NewEvent::bytes("paid", b"12"), ExpectedVersion::Any)?;
/// let batch = orders.read("ada")?.batches().next().expect("a batch")?;
/// assert_eq!(batch.len(), 2);
/// assert_eq!(batch.get(1).map(|event| event.version()), Some(1));
/// assert_eq!(batch.iter().map(|event| event.data().len()).sum::<usize>(), 3);
/// # Ok::<(), annals::Error>(())
/// ```
pub struct EventBatch<'a> {
    categories: Vec<CategoryRef<'a>>,
    /// What keeps the events where they are.
    guards: Vec<SegmentGuard<'a>>,
    found: Vec<Found>,
}

/// Which of a batch's categories an event is of, and which of its guards keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Among {
    guard: usize,
    category: u16,
}

impl<'a> EventBatch<'a> {
    pub(crate) fn new() -> Self {
        Self { categories: Vec::new(), guards: Vec::new(), found: Vec::new() }
    }

    /// A batch of events of one category, each of which one of `guards` keeps.
    pub(crate) fn of(
        category: CategoryRef<'a>,
        guards: Vec<SegmentGuard<'a>>,
        found: Vec<Found>,
    ) -> Self {
        Self { categories: vec![category], guards, found }
    }

    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether it has none. The batches that readers give out have some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// One of its events.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<RecordedEvent<'_>> {
        self.found.get(index).map(|found| self.event(found))
    }

    /// Its events.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> BatchEvents<'_> {
        BatchEvents { batch: self, left: 0..self.len() }
    }

    /// What is known of its events.
    #[inline]
    pub(crate) fn found(&self) -> &[Found] {
        &self.found
    }

    #[inline]
    pub(crate) fn event(&self, found: &Found) -> RecordedEvent<'_> {
        let category = self.categories[usize::from(found.category)].get();
        let category = category.map_or_else(CategoryRef::default, CategoryRef::borrowed);
        RecordedEvent::lent(category, self.guard(found), found)
    }

    /// The data of an event.
    #[inline]
    pub(crate) fn data(&self, found: &Found) -> &[u8] {
        let (start, len) = found.data_range();
        self.guard(found).bytes(start, len)
    }

    /// Calls `each` with the data of each event.
    #[inline]
    pub(crate) fn each_data(&self, mut each: impl FnMut(&Data<'_>) -> Result<()>) -> Result<()> {
        self.found.iter().try_for_each(|found| {
            let category = self.categories[usize::from(found.category)].get();
            let (type_number, format) = (found.type_number, found.format);
            let data = |category| Data { category, type_number, format, bytes: self.data(found) };
            category.map_or(Ok(()), |category| each(&data(category)))
        })
    }

    #[inline]
    fn guard(&self, found: &Found) -> &SegmentGuard<'a> {
        &self.guards[usize::from(found.guard)]
    }

    /// Adds an event of this category, which was found in the segment of `guard`. Returns where others of the
    /// same category and segment go.
    #[inline]
    pub(crate) fn push(
        &mut self,
        category: &CategoryRef<'a>,
        guard: &SegmentGuard<'a>,
        met: &Met,
    ) -> Among {
        let is_same = |last: &SegmentGuard<'_>| {
            last.slot() == guard.slot() && last.generation() == guard.generation()
        };
        if !self.guards.last().is_some_and(is_same) {
            self.guards.push(guard.again());
        }
        if self.found.is_empty() {
            self.found.reserve_exact(EVENTS_MAX);
        }
        let of_last = self.found.last().map_or(0, |last| last.category);
        let category = match self.categories.get(usize::from(of_last)) {
            Some(last) if last.is(met.space) => of_last,
            _ => self.number_of(category, met.space),
        };
        let among = Among { guard: self.guards.len() - 1, category };
        self.push_at(among, &met.record, &met.read);
        among
    }

    /// Adds an event. It is not full.
    #[inline(always)]
    pub(crate) fn push_at(&mut self, among: Among, record: &Match, read: &Read) {
        let mut found = Found::of(record, read, among.guard);
        found.category = among.category;
        self.found.push(found);
    }

    /// How many more events it takes.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        EVENTS_MAX - self.found.len()
    }

    #[cold]
    fn number_of(&mut self, category: &CategoryRef<'a>, space: u32) -> u16 {
        let known = self.categories.iter().position(|known| known.is(space));
        let number = known.unwrap_or_else(|| {
            self.categories.push(category.clone());
            self.categories.len() - 1
        });
        number as u16
    }
}

impl fmt::Debug for EventBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'b> IntoIterator for &'b EventBatch<'_> {
    type Item = RecordedEvent<'b>;
    type IntoIter = BatchEvents<'b>;

    #[inline]
    fn into_iter(self) -> BatchEvents<'b> {
        self.iter()
    }
}

/// The events of a batch.
#[derive(Clone, Debug)]
pub struct BatchEvents<'b> {
    batch: &'b EventBatch<'b>,
    left: Range<usize>,
}

impl<'b> Iterator for BatchEvents<'b> {
    type Item = RecordedEvent<'b>;

    #[inline]
    fn next(&mut self) -> Option<RecordedEvent<'b>> {
        self.left.next().and_then(|index| self.batch.get(index))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl DoubleEndedIterator for BatchEvents<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left.next_back().and_then(|index| self.batch.get(index))
    }
}

impl ExactSizeIterator for BatchEvents<'_> {}

/// What can be read in batches.
pub trait InBatches {
    /// What it is read in.
    type Batch;

    /// The next batch, which is not empty; `None` if nothing is left.
    fn next_batch(&mut self) -> Option<Result<Self::Batch>>;

    /// Calls `each` with the data of each event that is left, until that fails.
    fn each_data(&mut self, each: impl FnMut(&Data<'_>) -> Result<()>) -> Result<()>;
}

/// The data of an event, and what they are.
pub struct Data<'b> {
    pub(crate) category: &'b Keyspace,
    pub(crate) type_number: u32,
    pub(crate) format: EventFormat,
    pub(crate) bytes: &'b [u8],
}

/// Reads what `I` reads a batch at a time, some hundred events each if so many are left. What is given up while a
/// batch is read may still be in that.
#[derive(Debug)]
pub struct Batches<I>(I);

impl<I> Batches<I> {
    pub(crate) fn of(events: I) -> Self {
        Self(events)
    }
}

impl<I: InBatches> Iterator for Batches<I> {
    type Item = Result<I::Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_batch()
    }
}
