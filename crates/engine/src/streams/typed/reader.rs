//! Reading events of a Rust type.

use super::{TypedEvent, known};
use crate::{
    Result,
    streams::{
        Events, RecordedEvent, StreamReader, Subscription, TypedBatch,
        batch::{Batches, Data, EventBatch, InBatches},
    },
};
use annals_events::{Event, EventFormat, Known, Scratch};
use annals_journal::Seq;
use std::{fmt, sync::Arc, time::Duration};

/// Reads events of the type `E` where `I` reads any: a [`StreamReader`], [`Events`] of many streams, or a
/// [`Subscription`]. What these can be told it can be told too.
pub struct EventsOf<E, I> {
    pub(super) events: I,
    pub(super) known: Arc<[Option<Known<E>>]>,
}

impl<E: Event, I> EventsOf<E, I> {
    pub(super) fn new(events: I, known: &Arc<[Option<Known<E>>]>) -> Self {
        Self { events, known: Arc::clone(known) }
    }

    /// What reads events of any type.
    #[must_use]
    pub fn into_inner(self) -> I {
        self.events
    }

    /// The same of what `change` makes of what it reads.
    fn map_inner(self, change: impl FnOnce(I) -> I) -> Self {
        Self { events: change(self.events), known: self.known }
    }

    #[inline]
    pub(super) fn typed<'a>(&self, event: RecordedEvent<'a>) -> TypedEvent<'a, E> {
        TypedEvent::new(event, &self.known)
    }

    /// The events as values of their own.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::Database;
    /// # use annals_events::Event;
    /// #[derive(Event, Debug, PartialEq)]
    /// #[event(crate = annals_events)]
    /// struct Named(String);
    ///
    /// let db = Database::open_in_memory()?;
    /// let names = db.stream::<Named>("names")?;
    /// names.append_batch("ada", &[Named("Ada".into()), Named("Ada Lovelace".into())])?;
    /// let all = names.read("ada")?.values().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(all[1], Named("Ada Lovelace".into()));
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn values<'a>(self) -> impl Iterator<Item = Result<E>>
    where
        I: Iterator<Item = Result<RecordedEvent<'a>>>,
    {
        self.map(|event| event?.decode())
    }
}

impl<E: Event, I> EventsOf<E, I>
where
    Self: InBatches,
{
    /// Reads a [batch](TypedBatch) of events at a time: the quickest way to read many.
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
    /// let mut balance = 0;
    /// for batch in accounts.read("ada")?.batches() {
    ///     for deposited in batch?.views() {
    ///         balance += deposited?.cents.to_native();
    ///     }
    /// }
    /// assert_eq!(balance, 520);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn batches(self) -> Batches<Self> {
        Batches::of(self)
    }
}

impl<E: Event, I: InBatches> EventsOf<E, I> {
    /// Calls `each` with each event, read in place and checked, as by [`TypedEvent::view`]: the quickest way
    /// through all of them, for those who do not ask when and where. Ends with the first error, whoever's it is.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, Seq};
    /// # use annals_events::Event;
    /// #[derive(Event)]
    /// #[event(crate = annals_events)]
    /// struct Deposited {
    ///     cents: u64,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let accounts = db.stream::<Deposited>("accounts")?;
    /// accounts.append("ada", &Deposited { cents: 500 })?;
    /// accounts.append("bob", &Deposited { cents: 20 })?;
    /// let mut cents = 0;
    /// accounts.read_all(Seq::ZERO)?.each_view(|deposited| {
    ///     cents += deposited.cents.to_native();
    ///     Ok(())
    /// })?;
    /// assert_eq!(cents, 520);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As reading one after the other, as [`TypedEvent::view`], and what `each` fails with.
    #[inline]
    pub fn each_view(mut self, mut each: impl FnMut(E::View<'_>) -> Result<()>) -> Result<()> {
        let (known, mut scratch) = (&*self.known, Scratch::new());
        self.events.each_data(|data| {
            let of_type = known.get(data.type_number as usize).copied().flatten();
            let known = match of_type {
                Some(known) if data.format == EventFormat::Archive => known,
                _ => known::known_of(data.category, data.type_number, data.format)?,
            };
            each(known.view(data.bytes, &scratch)?)?;
            if scratch.count() > 0 {
                scratch.clear();
            }
            Ok(())
        })
    }
}

impl<'a, E: Event, I: InBatches<Batch = EventBatch<'a>>> InBatches for EventsOf<E, I> {
    type Batch = TypedBatch<'a, E>;

    fn next_batch(&mut self) -> Option<Result<TypedBatch<'a, E>>> {
        let batch = self.events.next_batch()?;
        Some(batch.map(|batch| TypedBatch::new(batch, &self.known)))
    }

    fn each_data(&mut self, each: impl FnMut(&Data<'_>) -> Result<()>) -> Result<()> {
        self.events.each_data(each)
    }
}

/// One stream: where it begins, which way it goes, and how it goes on.
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
/// for cents in 0..10 {
///     accounts.append("ada", &Deposited { cents })?;
/// }
/// let back = accounts.read("ada")?.back_from(7);
/// assert_eq!(back.left(), (0, 8));
/// let read = back.take(2).map(|event| Ok(event?.view()?.cents.to_native()));
/// assert_eq!(read.collect::<annals::Result<Vec<_>>>()?, [7, 6]);
///
/// let mut events = accounts.read("ada")?.from(9);
/// assert_eq!(events.by_ref().count(), 1);
/// accounts.append("ada", &Deposited { cents: 10 })?;
/// assert!(events.next().is_none(), "it ends where the stream ended");
/// events.refresh()?;
/// assert_eq!(events.next().expect("the new one")?.version(), 10);
/// # Ok::<(), annals::Error>(())
/// ```
impl<E: Event> EventsOf<E, StreamReader<'_>> {
    /// Reads forward, from `version` on, as [`StreamReader::from`] does.
    #[must_use]
    pub fn from(self, version: u64) -> Self {
        self.map_inner(|events| events.from(version))
    }

    /// Reads backward, from the last event on, as [`StreamReader::back`] does.
    #[must_use]
    pub fn back(self) -> Self {
        self.map_inner(StreamReader::back)
    }

    /// Reads backward, from `version` on, as [`StreamReader::back_from`] does.
    #[must_use]
    pub fn back_from(self, version: u64) -> Self {
        self.map_inner(|events| events.back_from(version))
    }

    /// The versions that are left to read: from the first up to, and without, the second.
    #[must_use]
    pub fn left(&self) -> (u64, u64) {
        self.events.left()
    }

    /// Goes on with what was appended since, as [`StreamReader::refresh`] does.
    ///
    /// # Errors
    /// As there.
    pub fn refresh(&mut self) -> Result<()> {
        self.events.refresh()
    }
}

/// Many streams: of which types, and up to where.
///
/// ```
/// # use annals_engine as annals;
/// # use annals::{Database, Seq};
/// # use annals_events::Event;
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// enum Account {
///     #[event(name = "deposited")]
///     Deposited { cents: u64 },
///     #[event(name = "closed")]
///     Closed,
/// }
///
/// let db = Database::open_in_memory()?;
/// let accounts = db.stream::<Account>("accounts")?;
/// let first = accounts.append("ada", &Account::Deposited { cents: 500 })?;
/// accounts.append("ada", &Account::Closed)?;
/// accounts.append("bob", &Account::Deposited { cents: 20 })?;
/// let deposits = accounts.read_all(Seq::ZERO)?.of_type("deposited");
/// assert_eq!(deposits.until(), db.last_seq());
/// assert_eq!(deposits.count(), 2);
/// assert_eq!(accounts.read_all(Seq::ZERO)?.end_at(first.last_seq).count(), 1);
/// # Ok::<(), annals::Error>(())
/// ```
impl<E: Event> EventsOf<E, Events<'_>> {
    /// Reads events of types of this name only, as [`Events::of_type`] does.
    #[must_use]
    pub fn of_type(self, name: &str) -> Self {
        self.map_inner(|events| events.of_type(name))
    }

    /// Reads events of types of these names only, as [`Events::of_types`] does.
    #[must_use]
    pub fn of_types<T: AsRef<str>>(self, names: impl IntoIterator<Item = T>) -> Self {
        self.map_inner(|events| events.of_types(names))
    }

    /// Reads the events of streams that are archived too, as [`Events::with_archived`] does.
    #[must_use]
    pub fn with_archived(self) -> Self {
        self.map_inner(Events::with_archived)
    }

    /// Reads no further than the event with this number.
    #[must_use]
    pub fn end_at(self, until: Seq) -> Self {
        self.map_inner(|events| events.end_at(until))
    }

    /// The number of the last event that this may read.
    #[must_use]
    pub fn until(&self) -> Seq {
        self.events.until()
    }
}

/// What is there, and then what comes.
///
/// ```
/// # use annals_engine as annals;
/// # use annals::{Database, Seq};
/// # use annals_events::Event;
/// # use std::time::Duration;
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// struct Deposited {
///     cents: u64,
/// }
///
/// let db = Database::open_in_memory()?;
/// let accounts = db.stream::<Deposited>("accounts")?;
/// accounts.append("ada", &Deposited { cents: 500 })?;
/// let mut events = accounts.subscribe(Seq::ZERO)?;
/// assert_eq!(events.try_next()?.expect("the one there is").view()?.cents, 500);
/// assert!(events.try_next()?.is_none());
///
/// // Who begins at the position of another gets what that one would.
/// let mut later = accounts.subscribe_to("bob", events.position())?;
/// accounts.append("ada", &Deposited { cents: 1 })?;
/// accounts.append("bob", &Deposited { cents: 20 })?;
/// let next = later.next_within(Duration::from_secs(60))?.expect("bob's");
/// assert_eq!(next.decode()?.cents, 20);
/// # Ok::<(), annals::Error>(())
/// ```
impl<'a, E: Event> EventsOf<E, Subscription<'a>> {
    /// Reads events of types of this name only, as [`Subscription::of_type`] does.
    #[must_use]
    pub fn of_type(self, name: &str) -> Self {
        self.map_inner(|events| events.of_type(name))
    }

    /// Reads events of types of these names only, as [`Subscription::of_types`] does.
    #[must_use]
    pub fn of_types<T: AsRef<str>>(self, names: impl IntoIterator<Item = T>) -> Self {
        self.map_inner(|events| events.of_types(names))
    }

    /// Reads the events of streams that are archived too, as [`Subscription::with_archived`] does.
    #[must_use]
    pub fn with_archived(self) -> Self {
        self.map_inner(Subscription::with_archived)
    }

    /// The number from which it goes on, as [`Subscription::position`] says.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.events.position()
    }

    /// Lets a thread that waits look for so long before it sleeps, as
    /// [`Subscription::stay_awake`] says.
    #[must_use]
    pub fn stay_awake(self, awake: Duration) -> Self {
        self.map_inner(|events| events.stay_awake(awake))
    }

    /// The next event if there is one now.
    ///
    /// # Errors
    /// As [`Subscription::try_next`].
    pub fn try_next(&mut self) -> Result<Option<TypedEvent<'a, E>>> {
        let event = self.events.try_next()?;
        Ok(event.map(|event| self.typed(event)))
    }

    /// The next event, for which it waits no longer than `timeout`.
    ///
    /// # Errors
    /// As [`Subscription::next_within`].
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<TypedEvent<'a, E>>> {
        let event = self.events.next_within(timeout)?;
        Ok(event.map(|event| self.typed(event)))
    }

    /// The next event, to be awaited; `None` if the database was closed.
    ///
    /// # Errors
    /// As [`Subscription::next_async`].
    pub async fn next_async(&mut self) -> Result<Option<TypedEvent<'a, E>>> {
        let event = self.events.next_async().await?;
        Ok(event.map(|event| self.typed(event)))
    }
}

impl<'a, E: Event, I: Iterator<Item = Result<RecordedEvent<'a>>>> Iterator for EventsOf<E, I> {
    type Item = Result<TypedEvent<'a, E>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.events.next()? {
            Ok(event) => Some(Ok(self.typed(event))),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<E, I: Clone> Clone for EventsOf<E, I> {
    fn clone(&self) -> Self {
        Self { events: self.events.clone(), known: Arc::clone(&self.known) }
    }
}

impl<E, I: fmt::Debug> fmt::Debug for EventsOf<E, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.fmt(f)
    }
}
