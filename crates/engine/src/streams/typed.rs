//! Streams whose events are of a Rust type.

use super::{
    Appended, Category, EventType, Events, ExpectedVersion, NewEvent, RecordedEvent, StreamId,
    StreamReader, Subscription, TypedBatch,
    batch::{Batches, Data, EventBatch, InBatches},
    new_events::Archives,
    types::TypeOf,
};
use crate::{Error, Result, WriteBatch, WriteOptions, catalog::Keyspace};
use annals_events::{Event, EventBuf, EventFormat, Known, Scratch};
use annals_journal::Seq;
use std::{cell::RefCell, fmt, ops::Deref, sync::Arc, time::Duration};

thread_local! {
    static BUFFER: RefCell<EventBuf> = RefCell::new(EventBuf::new());
}
/// Memory of a thread's buffer that is kept for the next event, in bytes.
const KEEP_BYTES: usize = 1 << 20;

/// The streams of a category whose events are of the type `E`. Made by
/// [`Database::stream`](crate::Database::stream); cheap to clone.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion};
/// use annals_events::Event;
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// enum Account {
///     Deposited { cents: u64 },
///     Withdrawn { cents: u64 },
/// }
///
/// let db = Database::open_in_memory()?;
/// let accounts = db.stream::<Account>("accounts")?;
/// accounts.append("ada", &Account::Deposited { cents: 500 })?;
/// accounts.append_expecting("ada", &Account::Withdrawn { cents: 20 }, ExpectedVersion::Exact(0))?;
///
/// let mut balance = 0;
/// for event in accounts.read("ada")? {
///     match event?.view()? {
///         AccountView::Deposited(deposited) => balance += deposited.cents.to_native(),
///         AccountView::Withdrawn(withdrawn) => balance -= withdrawn.cents.to_native(),
///     }
/// }
/// assert_eq!(balance, 480);
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Streams<E> {
    category: Category,
    /// By the numbers of types, those that were there when this was made and that `E` knows.
    known: Arc<[Option<Known<E>>]>,
}

impl<E: Event> Streams<E> {
    pub(crate) fn new(category: Category) -> Result<Self> {
        for stored in category.event_types().iter().filter(|stored| stored.layout != 0) {
            known_as::<E>(category.name(), stored).map_err(|error| match error {
                Error::Event(error) => {
                    let (category, why) = (category.name().to_owned(), error.to_string());
                    Error::EventTypes { category, why }
                }
                error => error,
            })?;
        }
        if !category.is_read_only() {
            for event_type in E::TYPES {
                category.know_type(&type_of(event_type))?;
            }
        }
        let types = category.event_types();
        let known = |stored: &Arc<EventType>| known_as(category.name(), stored).ok();
        let known = types.iter().map(known).collect();
        Ok(Self { category, known })
    }

    #[inline]
    fn typed<'a>(&self, event: RecordedEvent<'a>) -> TypedEvent<'a, E> {
        TypedEvent::new(event, &self.known)
    }

    /// The category, for events as bytes, whatever their type.
    #[must_use]
    pub fn category(&self) -> &Category {
        &self.category
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.category.name()
    }

    /// Appends an event to the stream `id`.
    ///
    /// # Errors
    /// As [`Category::append`]; [`Error::Event`] if it cannot be archived.
    pub fn append<'s>(&self, id: impl Into<StreamId<'s>>, event: &E) -> Result<Appended> {
        self.append_expecting(id, event, ExpectedVersion::Any)
    }

    /// Appends an event to the stream `id` if that is as `expected`.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_expecting<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        event: &E,
        expected: ExpectedVersion,
    ) -> Result<Appended> {
        self.append_with(id, event, expected, WriteOptions::default(), |event| event)
    }

    /// Appends an event, with options and with what `dress` adds to it: ids, pairs of texts.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_with<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        event: &E,
        expected: ExpectedVersion,
        options: WriteOptions,
        dress: impl for<'n> FnOnce(NewEvent<'n>) -> NewEvent<'n>,
    ) -> Result<Appended> {
        with_archive(event, |data| {
            let event = dress(NewEvent::archive(event.event_type(), data));
            self.category.append_with(id, std::slice::from_ref(&event), expected, options)
        })
    }

    /// Appends events to the stream `id`, all or none of them.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`Error::NoEvents`] if there are none.
    pub fn append_batch<'s>(&self, id: impl Into<StreamId<'s>>, events: &[E]) -> Result<Appended> {
        self.append_batch_expecting(id, events, ExpectedVersion::Any)
    }

    /// Appends events to the stream `id`, all or none of them, if that is as `expected`.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn append_batch_expecting<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        events: &[E],
        expected: ExpectedVersion,
    ) -> Result<Appended> {
        self.category.append_all(&id.into(), &archives_of(events)?, expected, None)
    }

    /// Will append events to the stream `id`, when `batch` is committed, if that is then as `expected`.
    ///
    /// # Errors
    /// As [`WriteBatch::append`]; [`Error::Event`] if one cannot be archived.
    pub fn append_in<'s>(
        &self,
        batch: &mut WriteBatch,
        id: impl Into<StreamId<'s>>,
        events: &[E],
        expected: ExpectedVersion,
    ) -> Result<()> {
        batch.append_all(&self.category, &id.into(), &archives_of(events)?, expected)
    }

    /// The event of this version of the stream `id`; `None` if there is none.
    ///
    /// # Errors
    /// As [`Category::get`].
    #[inline]
    pub fn get<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        version: u64,
    ) -> Result<Option<TypedEvent<'_, E>>> {
        let id = id.into();
        // Nothing that is large is moved about for who gets many in a row.
        if let Some(event) = self.category.get_nearby(&id, version, |event| self.typed(event))? {
            return Ok(Some(event));
        }
        Ok(self.category.get_afar(&id, version)?.map(|event| self.typed(event)))
    }

    /// The last event of the stream `id`; `None` if it has none.
    ///
    /// # Errors
    /// As [`Category::get`].
    pub fn last<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<Option<TypedEvent<'_, E>>> {
        Ok(self.category.last(id)?.map(|event| self.typed(event)))
    }

    /// How many events the stream `id` has had.
    ///
    /// # Errors
    /// As [`Category::get`].
    pub fn len<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<u64> {
        self.category.len(id)
    }

    /// Whether the stream `id` has events.
    ///
    /// # Errors
    /// As [`Category::get`].
    pub fn exists<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<bool> {
        self.category.exists(id)
    }

    /// Reads the stream `id` from its first event on.
    ///
    /// # Errors
    /// As [`Category::read`].
    pub fn read<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<EventsOf<E, StreamReader<'_>>> {
        Ok(EventsOf::new(self.category.read(id)?, &self.known))
    }

    /// Reads the stream `id` from `version` on.
    ///
    /// # Errors
    /// As [`Category::read`].
    pub fn read_from<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        version: u64,
    ) -> Result<EventsOf<E, StreamReader<'_>>> {
        Ok(EventsOf::new(self.category.read(id)?.from(version), &self.known))
    }

    /// Reads the stream `id` backward, from its last event on.
    ///
    /// # Errors
    /// As [`Category::read`].
    pub fn read_back<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
    ) -> Result<EventsOf<E, StreamReader<'_>>> {
        Ok(EventsOf::new(self.category.read(id)?.back(), &self.known))
    }

    /// Reads the events of all streams in the order in which they were appended, from the number `from`
    /// on.
    ///
    /// # Errors
    /// As [`Category::read_all`].
    pub fn read_all(&self, from: Seq) -> Result<EventsOf<E, Events<'_>>> {
        Ok(EventsOf::new(self.category.read_all(from)?, &self.known))
    }

    /// Reads the events that come from the number `from` on, and then those that are appended from now
    /// on.
    ///
    /// # Errors
    /// As [`Category::subscribe`].
    pub fn subscribe(&self, from: Seq) -> Result<EventsOf<E, Subscription<'_>>> {
        Ok(EventsOf::new(self.category.subscribe(from)?, &self.known))
    }
}

impl<E> Clone for Streams<E> {
    fn clone(&self) -> Self {
        Self { category: self.category.clone(), known: Arc::clone(&self.known) }
    }
}

impl<E> fmt::Debug for Streams<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("category", &self.category.name()).finish_non_exhaustive()
    }
}

/// Runs `work` with memory for archives that the thread keeps.
fn with_buffer<R>(work: impl FnOnce(&mut EventBuf) -> R) -> R {
    let mut buffer = BUFFER.try_with(RefCell::take).unwrap_or_default();
    let done = work(&mut buffer);
    buffer.clear(KEEP_BYTES);
    let _ = BUFFER.try_with(|kept| kept.replace(buffer));
    done
}

/// Runs `work` with the archive of an event.
fn with_archive<E: Event, R>(event: &E, work: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
    with_buffer(|buffer| {
        event.encode(buffer)?;
        work(buffer.as_bytes())
    })
}

/// The archives of several events.
fn archives_of<E: Event>(events: &[E]) -> Result<Archives> {
    with_buffer(|buffer| {
        let mut archives = Archives::with_capacity(events.len());
        for event in events {
            event.encode(buffer)?;
            archives.push(event.event_type(), buffer.as_bytes());
        }
        Ok(archives)
    })
}

/// An event of the type `E` as it stands in the log. What it [records](RecordedEvent) beside its data can be
/// asked of it too.
pub struct TypedEvent<'a, E> {
    event: RecordedEvent<'a>,
    known: Option<Known<E>>,
    /// What older versions become.
    scratch: Scratch,
}

impl<'a, E: Event> TypedEvent<'a, E> {
    #[inline(always)]
    pub(super) fn new(event: RecordedEvent<'a>, known: &[Option<Known<E>>]) -> Self {
        let known = known.get(event.type_number() as usize).copied().flatten();
        let known = known.filter(|_| event.format() == EventFormat::Archive);
        Self { event, known, scratch: Scratch::new() }
    }

    #[inline]
    pub(super) fn known(&self) -> Result<Known<E>> {
        self.known.map_or_else(|| self.find(), Ok)
    }

    #[cold]
    fn find(&self) -> Result<Known<E>> {
        find(self.event.category(), &self.event.event_type(), self.event.format())
    }

    /// The event, read in place and checked; one of an older version is brought to the newest.
    ///
    /// # Errors
    /// [`Error::Event`] if it is of a type that `E` does not know, or damaged; its bytes can still be
    /// [had](RecordedEvent::data).
    #[inline]
    pub fn view(&self) -> Result<E::View<'_>> {
        Ok(self.known()?.view(self.event.data(), &self.scratch)?)
    }

    /// The event as a value of its own.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    pub fn decode(&self) -> Result<E> {
        Ok(self.known()?.decode(self.event.data())?)
    }

    /// What was recorded.
    #[must_use]
    pub fn into_recorded(self) -> RecordedEvent<'a> {
        self.event
    }
}

impl<'a, E> Deref for TypedEvent<'a, E> {
    type Target = RecordedEvent<'a>;

    fn deref(&self) -> &RecordedEvent<'a> {
        &self.event
    }
}

impl<E> fmt::Debug for TypedEvent<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}

/// Reads events of the type `E` where `I` reads any.
pub struct EventsOf<E, I> {
    events: I,
    known: Arc<[Option<Known<E>>]>,
}

impl<E: Event, I> EventsOf<E, I> {
    fn new(events: I, known: &Arc<[Option<Known<E>>]>) -> Self {
        Self { events, known: Arc::clone(known) }
    }

    /// What reads events of any type.
    #[must_use]
    pub fn into_inner(self) -> I {
        self.events
    }

    #[inline]
    fn typed<'a>(&self, event: RecordedEvent<'a>) -> TypedEvent<'a, E> {
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
                _ => known_of(data.category, data.type_number, data.format)?,
            };
            each(known.view(data.bytes, &scratch)?)?;
            if scratch.count() > 0 {
                scratch.clear();
            }
            Ok(())
        })
    }
}

/// The type of a program, to be looked for.
fn type_of(event_type: &annals_events::EventType) -> TypeOf<'_> {
    let (name, version) = (event_type.name(), event_type.version());
    TypeOf { name, version, layout: event_type.fingerprint().as_u64() }
}

/// What `E` has for archives of a type of the category.
///
/// # Errors
/// [`Error::Event`] if it has nothing of that name and version, [`Error::EventTypes`] if it has another layout: a
/// check of the bytes may well find them in order, and what is read is not what was written.
fn known_as<E: Event>(category: &str, stored: &EventType) -> Result<Known<E>> {
    let known = E::find(&stored.name, stored.version)?;
    let own = type_of(known.event_type());
    if own.excludes(stored) { Err(own.differs(category, stored)) } else { Ok(known) }
}

/// The type of an event that came after the handle was made, or why it cannot be read.
#[cold]
fn known_of<E: Event>(
    category: &Keyspace,
    type_number: u32,
    format: EventFormat,
) -> Result<Known<E>> {
    let stored = category.types.get(type_number).unwrap_or_else(EventType::unknown);
    find(&category.name, &stored, format)
}

fn find<E: Event>(category: &str, stored: &EventType, format: EventFormat) -> Result<Known<E>> {
    if format != EventFormat::Archive {
        let category = category.to_owned();
        let why = format!("an event of the type `{stored}` is no archive; read its data as bytes");
        return Err(Error::EventTypes { category, why });
    }
    known_as(category, stored)
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

impl<'a, E: Event> EventsOf<E, Subscription<'a>> {
    /// Lets a thread that waits look for so long before it sleeps, as
    /// [`Subscription::stay_awake`] says.
    #[must_use]
    pub fn stay_awake(mut self, awake: Duration) -> Self {
        self.events = self.events.stay_awake(awake);
        self
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

impl<E, I: fmt::Debug> fmt::Debug for EventsOf<E, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.fmt(f)
    }
}
