//! Commands: what is asked of an aggregate, and comes to events or to why not.

use super::{Aggregate, Aggregates, Loaded};
use crate::{Error, WriteOptions, streams::StreamId};

/// What a command of the type `C` comes to: one is implemented for each type of commands, with an error of the
/// program's own.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Aggregate, Aggregates, Database, Handle};
/// use annals_events::Event;
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// struct Sold {
///     count: u64,
/// }
///
/// #[derive(Default)]
/// struct Show {
///     sold: u64,
/// }
///
/// impl Aggregate for Show {
///     type Event = Sold;
///
///     fn apply(&mut self, sold: <Sold as Event>::View<'_>) {
///         self.sold += sold.count.to_native();
///     }
/// }
///
/// struct Sell {
///     count: u64,
/// }
///
/// #[derive(Debug)]
/// enum Refusal {
///     SeatsLeft(u64),
///     Failed(annals::Error),
/// }
///
/// impl From<annals::Error> for Refusal {
///     fn from(error: annals::Error) -> Self {
///         Self::Failed(error)
///     }
/// }
///
/// impl Handle<Sell> for Show {
///     type Error = Refusal;
///
///     fn handle(&self, sell: &Sell) -> Result<Vec<Sold>, Refusal> {
///         match 100 - self.sold {
///             left if left < sell.count => Err(Refusal::SeatsLeft(left)),
///             _ => Ok(vec![Sold { count: sell.count }]),
///         }
///     }
/// }
///
/// let db = Database::open_in_memory()?;
/// let shows = Aggregates::<Show>::new(&db, "shows")?;
/// assert_eq!(shows.handle("hamlet", &Sell { count: 98 }).expect("it is empty").state.sold, 98);
/// assert!(matches!(shows.handle("hamlet", &Sell { count: 3 }), Err(Refusal::SeatsLeft(2))));
/// # Ok::<(), annals::Error>(())
/// ```
pub trait Handle<C: ?Sized>: Aggregate {
    /// Why a command comes to nothing: the program's reasons, and what the database fails with.
    type Error: From<Error>;

    /// The events that the command comes to in this state; none if it changes nothing. Called again when others have
    /// changed the aggregate meanwhile, so it does nothing but decide.
    ///
    /// # Errors
    /// Why it comes to nothing.
    fn handle(&self, command: &C) -> Result<Vec<Self::Event>, Self::Error>;
}

impl<A: Aggregate> Aggregates<A> {
    /// Handles a command, as [`execute`](Self::execute) does what a closure decides. Whose events are to have ids or
    /// pairs, or a durability of their own, calls [`execute_with`](Self::execute_with) with
    /// `|state| state.handle(command)`.
    ///
    /// # Errors
    /// What [`Handle::handle`] fails with, and as [`execute`](Self::execute).
    pub fn handle<'s, C: ?Sized>(
        &self,
        id: impl Into<StreamId<'s>>,
        command: &C,
    ) -> Result<Loaded<A>, A::Error>
    where
        A: Handle<C>,
    {
        let decide = |state: &A| state.handle(command);
        self.execute_with(id, decide, WriteOptions::default(), |_, event| event)
    }
}
