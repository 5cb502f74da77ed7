//! Aggregates: state that is what the events of its stream made of it.

mod handle;

pub use handle::Handle;

use super::{
    Category, ExpectedVersion, NewEvent, StreamId, StreamReader, Streams,
    meanwhile::{self, Moment},
    typed::EventsOf,
};
use crate::{
    Database, Error, ErrorKind, HashKeyspace, Result, WriteBatch, WriteOptions, commit::check_value,
};
use annals_events::Event;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// A snapshot is saved when so many events came since the last.
const SNAPSHOT_EVENTS: u64 = 256;
/// How often a command is decided anew when others append in between.
const ATTEMPTS_MAX: u32 = 1_000;

/// State that is what events made of it.
pub trait Aggregate: Default {
    /// The events.
    type Event: Event;

    /// What its snapshots are kept in: a hash keyspace of this name behind that of the category and a point. Of several
    /// aggregates over one category each needs its own, else one is handed what another saved.
    const SNAPSHOTS: &'static str = "snapshots";

    /// Changes the state by an event.
    fn apply(&mut self, event: <Self::Event as Event>::View<'_>);

    /// The state as bytes, to be loaded again later instead of applying all events; `None` if it is
    /// never to be saved.
    fn save(&self) -> Option<Vec<u8>> {
        None
    }

    /// The state that [`save`](Self::save) made these bytes of; `None` if they are none of this build's:
    /// the events are applied then.
    fn load(bytes: &[u8]) -> Option<Self> {
        let _ = bytes;
        None
    }
}

/// An aggregate as its stream says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded<A> {
    /// The state.
    pub state: A,
    /// How many events made it.
    pub events_count: u64,
    /// The state that was saved was made by so many.
    saved_count: u64,
}

/// The life of a stream that an aggregate was loaded in.
#[derive(Clone, Copy)]
struct Life {
    /// Its first version.
    from: u64,
    /// The version that the next event gets.
    next: u64,
}

/// The aggregates of a category.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Aggregate, Aggregates, Database, Error};
/// use annals_events::Event;
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// enum AccountEvent {
///     Deposited { cents: u64 },
///     Withdrawn { cents: u64 },
/// }
///
/// #[derive(Default)]
/// struct Account {
///     cents: u64,
/// }
///
/// impl Aggregate for Account {
///     type Event = AccountEvent;
///
///     fn apply(&mut self, event: AccountEventView<'_>) {
///         match event {
///             AccountEventView::Deposited(event) => self.cents += event.cents.to_native(),
///             AccountEventView::Withdrawn(event) => self.cents -= event.cents.to_native(),
///         }
///     }
/// }
///
/// let db = Database::open_in_memory()?;
/// let accounts = Aggregates::<Account>::new(&db, "accounts")?;
/// accounts.execute("ada", |_| Ok(vec![AccountEvent::Deposited { cents: 500 }]))?;
/// let withdraw = |cents| {
///     move |account: &Account| {
///         if account.cents < cents {
///             return Err(Error::Refused("there is not so much".into()));
///         }
///         Ok(vec![AccountEvent::Withdrawn { cents }])
///     }
/// };
/// assert_eq!(accounts.execute("ada", withdraw(20))?.state.cents, 480);
/// assert!(accounts.execute("ada", withdraw(1000)).is_err());
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Aggregates<A: Aggregate> {
    streams: Streams<A::Event>,
    snapshots: HashKeyspace,
    too_large: Mutex<TooLarge>,
}

/// Streams of aggregates that were too large to be saved, by their keys, and behind how many events.
type TooLarge = BTreeMap<Vec<u8>, u64>;

/// Of more streams it is not remembered: some are tried again then.
const TOO_LARGE_MAX: usize = 1_024;

impl<A: Aggregate> Aggregates<A> {
    /// The aggregates whose streams are in the category `name`.
    ///
    /// # Errors
    /// As [`Database::stream`], and [`Database::hash_keyspace`] for `name`, a point and [`SNAPSHOTS`](Aggregate::SNAPSHOTS).
    pub fn new(db: &Database, name: &str) -> Result<Self> {
        let streams = db.stream(name)?;
        let snapshots = db.hash_keyspace(&format!("{name}.{}", A::SNAPSHOTS))?;
        Ok(Self { streams, snapshots, too_large: Mutex::default() })
    }

    /// The streams.
    #[must_use]
    pub fn streams(&self) -> &Streams<A::Event> {
        &self.streams
    }

    /// The aggregate of the stream `id`: what was saved of it, and the events since.
    ///
    /// # Errors
    /// Those of reading, and [`Error::Event`] if an event cannot be read; [`Error::AggregateIncomplete`] if events
    /// that were given up are missing, by truncating or by their age or number, and no snapshot has what they came
    /// to: [deleting](Category::delete) the stream begins a new life.
    pub fn load<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<Loaded<A>> {
        self.load_by(&id.into())
    }

    fn load_by(&self, id: &StreamId<'_>) -> Result<Loaded<A>> {
        Ok(self.load_life(id)?.0)
    }

    fn load_life(&self, id: &StreamId<'_>) -> Result<(Loaded<A>, Life)> {
        loop {
            // `None`: events were given up while they were read, and what was read is not the whole.
            if let Some(loaded) = self.try_load(id)? {
                return Ok(loaded);
            }
        }
    }

    fn try_load(&self, id: &StreamId<'_>) -> Result<Option<(Loaded<A>, Life)>> {
        let saved = self.snapshots.get(Category::key_bytes(id)?)?;
        let category_id = self.streams.category().parts().1.id;
        let saved = saved.and_then(|saved| told_snapshot::<A>(&saved, category_id));
        let (state, saved_count) = saved.unwrap_or_default();
        // Of a stream that was deleted since, or whose events since are not all there, it says nothing.
        let info = self.streams.category().info(id)?;
        meanwhile::run(Moment::StreamKnown);
        let is_known = (info.first_version..=info.next_version).contains(&saved_count)
            && (info.life_version == 0 || saved_count > info.life_version);
        let (mut state, saved_count) =
            if is_known { (state, saved_count) } else { (A::default(), 0) };
        // Also if none are left: what a command decided on an empty state would be appended behind them.
        if !is_known && info.first_version > info.life_version {
            let (first, stream) = (info.first_version, id.to_string());
            return Err(Error::AggregateIncomplete { stream, first });
        }
        let mut next = if is_known { saved_count } else { info.first_version };
        let mut events_count = saved_count;
        let events: EventsOf<A::Event, StreamReader<'_>> = self.streams.read_from(id, next)?;
        for event in events {
            let event = event?;
            if event.version() != next {
                return Ok(None);
            }
            state.apply(event.view()?);
            next += 1;
            events_count = next;
        }
        let is_whole = next >= info.next_version;
        let life = Life { from: info.life_version, next };
        Ok(is_whole.then_some((Loaded { state, events_count, saved_count }, life)))
    }

    /// Decides by the state of the aggregate which events are appended, and appends them, if nobody else
    /// has appended or deleted the stream since; else decides again. Returns the aggregate behind these events.
    ///
    /// When 256 events came since the aggregate was saved, it is saved in the same commit, unless that is too large
    /// or there is no space for it: that is logged, and the events are appended without. One that is too large is
    /// tried again when 256 more came, one without space at the next command.
    ///
    /// # Errors
    /// What `decide` fails with; [`Error::Event`] if one of its events cannot be archived; those of reading and
    /// appending; [`Error::Conflict`] if others were faster each time. Nothing is appended then, but as
    /// [`WriteBatch::commit`] says.
    pub fn execute<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        decide: impl FnMut(&A) -> Result<Vec<A::Event>>,
    ) -> Result<Loaded<A>> {
        self.execute_with(id, decide, WriteOptions::default(), |_, event| event)
    }

    /// As [`execute`](Self::execute), with an error of the program's own, with options, and with what `dress` adds to
    /// each event, of which it is told the place among them: ids, pairs of texts. It is asked anew when it was decided
    /// anew. If events have ids by which the command is known, events that are there already are refused:
    /// [`Error::DuplicateEvent`]. That is asked last: a command that was executed before is decided again first, on a state
    /// that has it, and what `decide` refuses then is returned. Who repeats commands whose outcome is not known
    /// keeps in the state which were executed, and decides on no events then.
    /// A time to live among the options is not heeded: that of the category is.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Aggregate, Aggregates, Database, Error, WriteOptions};
    /// # use annals_events::Event;
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Deposited { cents: u64 }
    /// # #[derive(Default)]
    /// # struct Account { cents: u64 }
    /// # impl Aggregate for Account {
    /// #     type Event = Deposited;
    /// #     fn apply(&mut self, event: <Deposited as Event>::View<'_>) {
    /// #         self.cents += event.cents.to_native();
    /// #     }
    /// # }
    /// let db = Database::open_in_memory()?;
    /// let accounts = Aggregates::<Account>::new(&db, "accounts")?;
    /// let deposit = |command: u128, cents| {
    ///     let decide = |_: &Account| Ok::<_, Error>(vec![Deposited { cents }]);
    ///     accounts.execute_with("ada", decide, WriteOptions::default(), |_, event| {
    ///         event.id(command).correlation(17)
    ///     })
    /// };
    /// assert_eq!(deposit(0x5eed, 500)?.state.cents, 500);
    /// assert!(matches!(deposit(0x5eed, 500), Err(Error::DuplicateEvent { id: 0x5eed, .. })));
    /// assert_eq!(accounts.streams().get("ada", 0)?.expect("the one").correlation(), Some(17));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn execute_with<'s, 'n, X: From<Error>>(
        &self,
        id: impl Into<StreamId<'s>>,
        mut decide: impl FnMut(&A) -> Result<Vec<A::Event>, X>,
        options: WriteOptions,
        mut dress: impl FnMut(usize, NewEvent<'n>) -> NewEvent<'n>,
    ) -> Result<Loaded<A>, X> {
        let id = id.into();
        for _ in 0..ATTEMPTS_MAX {
            let (mut loaded, life) = self.load_life(&id)?;
            let events = decide(&loaded.state)?;
            if events.is_empty() {
                return Ok(loaded);
            }
            // All that can fail does so before they are appended: who is told an error decides again, and what has
            // happened would count twice.
            loaded.events_count = life.next + events.len() as u64;
            let scratch = annals_events::Scratch::new();
            for event in &events {
                loaded.state.apply(event.to_view(&scratch).map_err(Error::from)?);
            }
            let tried_count = self.too_large_count(&id)?.max(loaded.saved_count);
            let is_due = loaded.events_count.saturating_sub(tried_count) >= SNAPSHOT_EVENTS;
            let mut saved = if is_due { loaded.state.save() } else { None };
            let mut too_large = None;
            if let Some(Err(error)) = saved.as_deref().map(check_value) {
                tracing::warn!(%error, stream = %id, "no snapshot of an aggregate is saved");
                too_large = Some(Category::key_bytes(&id)?);
                saved = None;
            }
            let mut done = self.append(&id, &events, life, saved.as_deref(), options, &mut dress);
            if let Err(error) = &done
                && is_about_size(error)
                && saved.take().is_some()
            {
                tracing::warn!(%error, stream = %id, "no snapshot of an aggregate is saved");
                if error.kind() != ErrorKind::Full {
                    too_large = Some(Category::key_bytes(&id)?);
                }
                done = self.append(&id, &events, life, None, options, &mut dress);
            }
            match done {
                Ok(true) => {}
                Ok(false) | Err(Error::VersionConflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            // Only now that there are as many events.
            if let Some(key) = too_large {
                self.is_too_large(key, loaded.events_count);
            }
            if saved.is_some() {
                loaded.saved_count = loaded.events_count;
            }
            return Ok(loaded);
        }
        Err(Error::Conflict { attempts: ATTEMPTS_MAX }.into())
    }

    /// Of how many events the aggregate was when it was found too large to be saved, if it was; else 0.
    fn too_large_count(&self, id: &StreamId<'_>) -> Result<u64> {
        let too_large = self.too_large.lock();
        // Nearly always: nobody needs the key then.
        if too_large.is_empty() {
            return Ok(0);
        }
        Ok(too_large.get(&*Category::key_bytes(id)?).copied().unwrap_or(0))
    }

    /// Remembers that it was too large: to make a state into bytes takes long, the larger the longer.
    fn is_too_large(&self, key: Vec<u8>, events_count: u64) {
        let mut too_large = self.too_large.lock();
        if too_large.len() >= TOO_LARGE_MAX && !too_large.contains_key(&key) {
            too_large.pop_first();
        }
        too_large.insert(key, events_count);
    }

    /// Appends events, if the stream is as it was when they were decided, and in the same life: false if it is in
    /// a later one. A version alone does not tell, since those of a deleted stream go on.
    ///
    /// What is `saved` of the state behind them goes into the same commit: a snapshot that came later could replace
    /// one of more events that somebody saved meanwhile, and then gave these events up.
    fn append<'n>(
        &self,
        id: &StreamId<'_>,
        events: &[A::Event],
        life: Life,
        saved: Option<&[u8]>,
        options: WriteOptions,
        dress: impl FnMut(usize, NewEvent<'n>) -> NewEvent<'n>,
    ) -> Result<bool> {
        let category = self.streams.category();
        let mut batch = WriteBatch::new(Arc::clone(category.parts().0));
        if let Some(durability) = options.durability {
            batch = batch.durability(durability);
        }
        // By its number, also of a stream whose events are all given up: others may have come and gone meanwhile.
        let expected = match life.next.checked_sub(1) {
            Some(last) => ExpectedVersion::Exact(last),
            None => ExpectedVersion::NoStream,
        };
        self.streams.append_in_with(&mut batch, id, events, expected, dress)?;
        if let Some(state) = saved {
            let snapshot = self.snapshot_of(life.next + events.len() as u64, state)?;
            batch.insert(&self.snapshots, Category::key_bytes(id)?, snapshot)?;
        }
        let is_in_it = || Ok(category.info(id)?.life_version == life.from);
        Ok(batch.commit_if(is_in_it)?.is_some())
    }

    /// Saves the aggregate as it is, so that it is loaded faster, unless it was saved with as many events or more.
    /// [`execute`](Self::execute) does so by itself when 256 events came since.
    ///
    /// # Errors
    /// Those of writing.
    pub fn save_snapshot<'s>(&self, id: impl Into<StreamId<'s>>, loaded: &Loaded<A>) -> Result<()> {
        let id = id.into();
        let Some(state) = loaded.state.save() else { return Ok(()) };
        let snapshot = self.snapshot_of(loaded.events_count, &state)?;
        let key = Category::key_bytes(&id)?;
        let mut batch = WriteBatch::new(Arc::clone(self.streams.category().parts().0));
        batch.insert(&self.snapshots, &key, snapshot)?;
        // The events up to one that somebody saved meanwhile may have been given up.
        let category_id = self.streams.category().parts().1.id;
        let is_newer = || {
            let saved = self.snapshots.get(&key)?;
            let saved = saved.as_deref().and_then(|saved| events_saved(saved, category_id));
            Ok(saved.is_none_or(|(count, _)| count < loaded.events_count))
        };
        batch.commit_if(is_newer)?;
        Ok(())
    }

    /// What is kept of a state that so many events made.
    fn snapshot_of(&self, events_count: u64, state: &[u8]) -> Result<Vec<u8>> {
        // Before it is copied.
        check_value(state)?;
        let category_id = self.streams.category().parts().1.id;
        let head = [events_count.to_le_bytes(), u64::from(category_id).to_le_bytes()];
        Ok([head.as_flattened(), state].concat())
    }
}

impl<A: Aggregate> std::fmt::Debug for Aggregates<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aggregates").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// What was saved, and of how many events; `None` if it is of a category of the same name that was dropped.
fn told_snapshot<A: Aggregate>(saved: &[u8], category_id: u32) -> Option<(A, u64)> {
    let (events_count, state) = events_saved(saved, category_id)?;
    Some((A::load(state)?, events_count))
}

/// Whether a commit may succeed that is smaller.
fn is_about_size(error: &Error) -> bool {
    let is_too_large = matches!(
        error,
        Error::Journal(annals_journal::Error::FrameTooLarge { .. }) | Error::ValueTooLong { .. }
    );
    is_too_large || error.kind() == ErrorKind::Full
}

/// Of how many events a snapshot is, and its state; `None` if it is of another category.
fn events_saved(saved: &[u8], category_id: u32) -> Option<(u64, &[u8])> {
    let (events_count, rest) = saved.split_first_chunk::<8>()?;
    let (of_category, state) = rest.split_first_chunk::<8>()?;
    let is_its = u64::from_le_bytes(*of_category) == u64::from(category_id);
    is_its.then_some((u64::from_le_bytes(*events_count), state))
}
