//! Streams whose events are of a Rust type.

mod append;
mod event;
mod follower;
mod known;
mod reader;

pub use event::TypedEvent;
pub use follower::TypedFollower;
pub use reader::EventsOf;

use self::known::{known_as, type_of};
use super::{Category, EventType, Events, RecordedEvent, StreamId, StreamReader, Subscription};
use crate::{Error, Result};
use annals_events::{Event, Known};
use annals_journal::Seq;
use std::{fmt, sync::Arc};

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
        let knows = |stored: &EventType| match known_as::<E>(category.name(), stored) {
            Err(Error::Event(error)) if stored.layout != 0 => {
                let (category, why) = (category.name().to_owned(), error.to_string());
                Err(Error::EventTypes { category, why })
            }
            Err(error) if stored.layout != 0 => Err(error),
            _ => Ok(()),
        };
        category.event_types().iter().try_for_each(|stored| knows(stored))?;
        if !category.is_read_only() {
            for event_type in E::TYPES {
                category.know_type(&type_of(event_type), knows)?;
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

    /// The event of this version of the stream `id`; `None` if there is none.
    ///
    /// # Errors
    /// As [`Category::get`].
    // An event that is handed from a call to its caller is written and read again in pieces of other sizes, for which
    // the processor waits: a third of the time of who gets many in a row.
    #[inline(always)]
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

    /// The event of the stream `id` that was appended with this id, as [`Category::find`] finds it.
    ///
    /// # Errors
    /// As [`Category::get`].
    pub fn find<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        event_id: u128,
    ) -> Result<Option<TypedEvent<'_, E>>> {
        Ok(self.category.find(id, event_id)?.map(|event| self.typed(event)))
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
        Ok(self.read(id)?.from(version))
    }

    /// Reads the stream `id` backward, from its last event on.
    ///
    /// # Errors
    /// As [`Category::read`].
    pub fn read_back<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
    ) -> Result<EventsOf<E, StreamReader<'_>>> {
        Ok(self.read(id)?.back())
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

    /// Reads the events of the stream `id` that come from the number `from` on, and then those that are
    /// appended from now on.
    ///
    /// # Errors
    /// As [`Category::subscribe_to`].
    pub fn subscribe_to<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        from: Seq,
    ) -> Result<EventsOf<E, Subscription<'_>>> {
        Ok(EventsOf::new(self.category.subscribe_to(id, from)?, &self.known))
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
