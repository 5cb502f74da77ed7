//! A follower whose events are of a Rust type.

use super::{EventsOf, TypedEvent};
use crate::{
    Result,
    streams::{Follower, Following, Subscription},
};
use annals_events::{Event, Known};
use annals_journal::Seq;
use std::{fmt, sync::Arc, time::Duration};

/// A [`Follower`] whose events are of the type `E`: it borrows nothing while it is not read from, so it can be kept in
/// a struct or moved into a task. Made by [`into_follower`](EventsOf::into_follower) of what
/// [`Streams::subscribe`](crate::Streams::subscribe) returns.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, Seq, TypedFollower};
/// use annals_events::Event;
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// struct Deposited {
///     cents: u64,
/// }
///
/// struct Till {
///     deposits: TypedFollower<Deposited>,
///     cents: u64,
/// }
///
/// impl Till {
///     fn count(&mut self) -> annals::Result<u64> {
///         let mut events = self.deposits.resume()?;
///         while let Some(event) = events.try_next()? {
///             self.cents += event.view()?.cents.to_native();
///         }
///         Ok(self.cents)
///     }
/// }
///
/// let db = Database::open_in_memory()?;
/// let accounts = db.stream::<Deposited>("accounts")?;
/// let mut till = Till { deposits: accounts.subscribe(Seq::ZERO)?.into_follower(), cents: 0 };
/// accounts.append("ada", &Deposited { cents: 500 })?;
/// assert_eq!(till.count()?, 500);
/// accounts.append("bob", &Deposited { cents: 20 })?;
/// assert_eq!(till.count()?, 520);
/// # Ok::<(), annals::Error>(())
/// ```
pub struct TypedFollower<E> {
    follower: Follower,
    known: Arc<[Option<Known<E>>]>,
}

impl<E: Event> TypedFollower<E> {
    /// The number from which it goes on, as [`Follower::position`] says.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.follower.position()
    }

    /// Goes on reading, as [`Follower::resume`] does.
    ///
    /// # Errors
    /// As there.
    pub fn resume(&mut self) -> Result<EventsOf<E, Following<'_>>> {
        Ok(EventsOf::new(self.follower.resume()?, &self.known))
    }

    /// What follows events of any type.
    #[must_use]
    pub fn into_inner(self) -> Follower {
        self.follower
    }
}

impl<E> Clone for TypedFollower<E> {
    fn clone(&self) -> Self {
        Self { follower: self.follower.clone(), known: Arc::clone(&self.known) }
    }
}

impl<E> fmt::Debug for TypedFollower<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.follower.fmt(f)
    }
}

impl<E: Event> EventsOf<E, Subscription<'_>> {
    /// Lets go of what it borrows, as [`Subscription::into_follower`] does. [`TypedFollower`] has an example.
    #[must_use]
    pub fn into_follower(self) -> TypedFollower<E> {
        let Self { events, known } = self;
        TypedFollower { follower: events.into_follower(), known }
    }
}

/// What is there, and then what comes, for as long as a follower reads.
impl<'f, E: Event> EventsOf<E, Following<'f>> {
    /// The number from which it goes on, as [`Subscription::position`] says.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.events.position()
    }

    /// The next event if there is one now.
    ///
    /// # Errors
    /// As [`Subscription::try_next`].
    pub fn try_next(&mut self) -> Result<Option<TypedEvent<'f, E>>> {
        let event = self.events.try_next()?;
        Ok(event.map(|event| self.typed(event)))
    }

    /// The next event, for which it waits no longer than `timeout`.
    ///
    /// # Errors
    /// As [`Subscription::next_within`].
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<TypedEvent<'f, E>>> {
        let event = self.events.next_within(timeout)?;
        Ok(event.map(|event| self.typed(event)))
    }

    /// The next event, to be awaited; `None` if the database was closed.
    ///
    /// # Errors
    /// As [`Subscription::next_async`].
    pub async fn next_async(&mut self) -> Result<Option<TypedEvent<'f, E>>> {
        let event = self.events.next_async().await?;
        Ok(event.map(|event| self.typed(event)))
    }
}

/// As [`Subscription`] does, it waits for more, and ends when the database is closed.
impl<'f, E: Event> Iterator for EventsOf<E, Following<'f>> {
    type Item = Result<TypedEvent<'f, E>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.events.next()? {
            Ok(event) => Some(Ok(self.typed(event))),
            Err(error) => Some(Err(error)),
        }
    }
}
