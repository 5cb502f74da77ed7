//! One event of a Rust type.

use super::known;
use crate::{Result, streams::RecordedEvent};
use annals_events::{Event, EventFormat, Known, Scratch};
use std::{fmt, ops::Deref};

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
    pub(in crate::streams) fn new(event: RecordedEvent<'a>, known: &[Option<Known<E>>]) -> Self {
        let known = known.get(event.type_number() as usize).copied().flatten();
        let known = known.filter(|_| event.format() == EventFormat::Archive);
        Self { event, known, scratch: Scratch::new() }
    }

    #[inline]
    pub(in crate::streams) fn known(&self) -> Result<Known<E>> {
        self.known.map_or_else(|| self.find(), Ok)
    }

    #[cold]
    fn find(&self) -> Result<Known<E>> {
        known::find(self.event.category(), &self.event.event_type(), self.event.format())
    }

    /// The event, read in place and checked; one of an older version is brought to the newest.
    ///
    /// # Errors
    /// [`Error::Event`](crate::Error::Event) if it is of a type that `E` does not know, or damaged; its bytes can still be
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

impl RecordedEvent<'_> {
    /// The event as a value of a Rust type, one of an older version brought to the newest: for projections and whoever
    /// else meets events of many types. Of one category, [`Streams`](crate::Streams) reads them in place.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, Seq};
    /// # use annals_events::Event;
    /// #[derive(Event, Debug, PartialEq)]
    /// #[event(crate = annals_events)]
    /// struct Deposited {
    ///     cents: u64,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// db.stream("accounts")?.append("ada", &Deposited { cents: 500 })?;
    /// let mut events = db.read_all(Seq(0))?;
    /// let event = events.next().expect("the one")?;
    /// assert_eq!(event.decode::<Deposited>()?, Deposited { cents: 500 });
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Event`](crate::Error::Event) if it is of a type that `E` does not know, or damaged,
    /// [`Error::EventTypes`](crate::Error::EventTypes) if it is no archive, or one of another layout.
    pub fn decode<E: Event>(&self) -> Result<E> {
        let known: Known<E> = known::find(self.category(), &self.event_type(), self.format())?;
        Ok(known.decode(self.data())?)
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
