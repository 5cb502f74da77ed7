//! A subscription that borrows nothing while it is not read from.

use super::{Subscription, filter::Filter, subscription::Place};
use crate::{Result, open::Open};
use annals_journal::Seq;
use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

/// Where a [`Subscription`] goes on, with a handle of the database of its own: it can be kept in a struct, beside
/// that handle or without, and be moved to another thread or into a task of any runtime. To read, it is
/// [resumed](Self::resume). Made by [`Subscription::into_follower`]; clones go on by themselves.
///
/// It keeps the database open as any handle does, and neither segments nor space. To be resumed takes a look at the
/// last segments; if there was more to read of what was there when it began, it is sought again, which costs as much as
/// [subscribing](crate::Database::subscribe): read more than one event before it is let go.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, Follower, NewEvent, Seq};
///
/// struct Mailer {
///     placed: Follower,
///     sent: Vec<u64>,
/// }
///
/// impl Mailer {
///     fn new(db: &Database) -> annals::Result<Self> {
///         let placed = db.category("orders")?.subscribe(Seq::ZERO)?.of_type("placed").into_follower();
///         Ok(Self { placed, sent: Vec::new() })
///     }
///
///     fn send(&mut self) -> annals::Result<()> {
///         let mut events = self.placed.resume()?;
///         while let Some(event) = events.try_next()? {
///             self.sent.push(event.version());
///         }
///         Ok(())
///     }
/// }
///
/// let db = Database::open_in_memory()?;
/// let mut mailer = Mailer::new(&db)?;
/// let orders = db.category("orders")?;
/// for name in ["placed", "paid", "placed"] {
///     orders.append(7u64, &NewEvent::json(name, "{}"), ExpectedVersion::Any)?;
///     mailer.send()?;
/// }
/// assert_eq!(mailer.sent, [0, 2]);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Follower {
    open: Arc<Open>,
    place: Place,
    filter: Filter,
    awake: Duration,
}

impl Follower {
    pub(super) fn new(open: Arc<Open>, place: Place, filter: Filter, awake: Duration) -> Self {
        Self { open, place, filter, awake }
    }

    /// The number from which it goes on: what a subscription that is to go on here in a later opening has to be begun
    /// with.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.place.next()
    }

    /// Goes on reading. What was read is noted when what is returned is dropped; until then, and until the events that
    /// it gave out are, this is borrowed.
    ///
    /// # Errors
    /// As [`Database::subscribe`](crate::Database::subscribe).
    pub fn resume(&mut self) -> Result<Following<'_>> {
        let Self { open, place, filter, awake } = self;
        let events = Subscription::resume(open, *place, filter.clone())?.stay_awake(*awake);
        Ok(Following { events: Some(events), open, place, filter })
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("place", &self.place)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

/// The [`Subscription`] that a [`Follower`] is while it reads.
pub struct Following<'f> {
    /// There until this is dropped.
    events: Option<Subscription<'f>>,
    open: &'f Arc<Open>,
    place: &'f mut Place,
    filter: &'f mut Filter,
}

const THERE: &str = "it is there until this is dropped";

impl<'f> Deref for Following<'f> {
    type Target = Subscription<'f>;

    fn deref(&self) -> &Subscription<'f> {
        self.events.as_ref().expect(THERE)
    }
}

impl DerefMut for Following<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.events.as_mut().expect(THERE)
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        // One that was put in its place may be of another database, where places mean something else.
        if let Some(events) = self.events.take().filter(|events| events.is_of(self.open)) {
            (*self.place, *self.filter) = events.leave();
        }
    }
}

impl fmt::Debug for Following<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.fmt(f)
    }
}
