//! Batches of events of a Rust type.

use super::{
    TypedEvent,
    batch::{BatchEvents, EventBatch},
    event::Found,
};
use crate::Result;
use annals_events::{Event, EventFormat, Known, Scratch};
use std::{fmt, ops::Deref, sync::Arc};

/// Events of the type `E` that were looked up together, in the order in which they are read: an
/// [`EventBatch`] that knows their type.
///
/// ```
/// # use annals_engine as annals;
/// # use annals::Database;
/// # use annals_events::Event;
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// struct Deposited {
///     cents: u64,
/// }
///
/// let db = Database::open_in_memory()?;
/// let accounts = db.stream::<Deposited>("accounts")?;
/// accounts.append_batch("ada", &[Deposited { cents: 500 }, Deposited { cents: 20 }])?;
/// let batch = accounts.read("ada")?.batches().next().expect("a batch")?;
/// for event in &batch {
///     println!("{}: {}", event.version(), event.view()?.cents);
/// }
/// assert_eq!(batch.len(), 2);
/// assert_eq!(batch.view(1).expect("an event")?.cents, 20);
/// # Ok::<(), annals::Error>(())
/// ```
pub struct TypedBatch<'a, E> {
    batch: EventBatch<'a>,
    known: Arc<[Option<Known<E>>]>,
    /// What older versions become.
    scratch: Scratch,
}

impl<'a, E: Event> TypedBatch<'a, E> {
    pub(super) fn new(batch: EventBatch<'a>, known: &Arc<[Option<Known<E>>]>) -> Self {
        Self { batch, known: Arc::clone(known), scratch: Scratch::new() }
    }

    /// One of its events.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<TypedEvent<'_, E>> {
        self.batch.get(index).map(|event| TypedEvent::new(event, &self.known))
    }

    /// Its events.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> TypedBatchEvents<'_, E> {
        TypedBatchEvents { events: self.batch.iter(), known: &self.known }
    }

    /// One of its events, read in place and checked, as by [`TypedEvent::view`].
    #[inline]
    #[must_use]
    pub fn view(&self, index: usize) -> Option<Result<E::View<'_>>> {
        self.batch.found().get(index).map(|found| self.view_of(found))
    }

    /// Its events, each read in place and checked, as by [`TypedEvent::view`]: the quickest way to what happened,
    /// for those who do not ask when and where. What is made of events of older versions is kept until the batch
    /// is dropped.
    #[inline]
    pub fn views(
        &self,
    ) -> impl DoubleEndedIterator<Item = Result<E::View<'_>>> + ExactSizeIterator {
        self.batch.found().iter().map(|found| self.view_of(found))
    }

    /// Its events as values of their own.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = Result<E>> + ExactSizeIterator {
        self.iter().map(|event| event.decode())
    }

    #[inline]
    fn view_of(&self, found: &Found) -> Result<E::View<'_>> {
        let known = self.known.get(found.type_number as usize).copied().flatten();
        match known {
            Some(known) if found.format == EventFormat::Archive => {
                Ok(known.view(self.batch.data(found), &self.scratch)?)
            }
            _ => self.view_of_unknown(found),
        }
    }

    /// The same of a type that came after the handle was made, or of no archive.
    #[cold]
    fn view_of_unknown(&self, found: &Found) -> Result<E::View<'_>> {
        let known = TypedEvent::new(self.batch.event(found), &self.known).known()?;
        Ok(known.view(self.batch.data(found), &self.scratch)?)
    }

    /// The batch, for events as bytes.
    #[must_use]
    pub fn into_inner(self) -> EventBatch<'a> {
        self.batch
    }
}

impl<'a, E> Deref for TypedBatch<'a, E> {
    type Target = EventBatch<'a>;

    fn deref(&self) -> &EventBatch<'a> {
        &self.batch
    }
}

impl<E> fmt::Debug for TypedBatch<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.batch.fmt(f)
    }
}

impl<'b, E: Event> IntoIterator for &'b TypedBatch<'_, E> {
    type Item = TypedEvent<'b, E>;
    type IntoIter = TypedBatchEvents<'b, E>;

    #[inline]
    fn into_iter(self) -> TypedBatchEvents<'b, E> {
        self.iter()
    }
}

/// The events of a [`TypedBatch`].
#[derive(Debug)]
pub struct TypedBatchEvents<'b, E: Event> {
    events: BatchEvents<'b>,
    known: &'b [Option<Known<E>>],
}

impl<'b, E: Event> Iterator for TypedBatchEvents<'b, E> {
    type Item = TypedEvent<'b, E>;

    #[inline]
    fn next(&mut self) -> Option<TypedEvent<'b, E>> {
        self.events.next().map(|event| TypedEvent::new(event, self.known))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.events.size_hint()
    }
}

impl<E: Event> DoubleEndedIterator for TypedBatchEvents<'_, E> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.events.next_back().map(|event| TypedEvent::new(event, self.known))
    }
}

impl<E: Event> ExactSizeIterator for TypedBatchEvents<'_, E> {}
