//! Appending events of a Rust type.

use super::Streams;
use crate::{
    Result, WriteBatch, WriteOptions,
    streams::{Appended, ExpectedVersion, NewEvent, StreamId, new_events::Archives},
};
use annals_events::{Event, EventBuf};
use std::cell::RefCell;

thread_local! {
    static BUFFER: RefCell<EventBuf> = RefCell::new(EventBuf::new());
}
/// Memory of a thread's buffer that is kept for the next event, in bytes.
const KEEP_BYTES: usize = 1 << 20;

impl<E: Event> Streams<E> {
    /// Appends an event to the stream `id`.
    ///
    /// # Errors
    /// As [`Category::append`](crate::Category::append); [`Error::Event`](crate::Error::Event) if it cannot be archived.
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

    /// Appends an event, with options and with what `dress` adds to it: ids, pairs of texts. Of what `dress` gives
    /// back nothing else is used.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, Durability, ExpectedVersion, WriteOptions};
    /// # use annals_events::Event;
    /// #[derive(Event)]
    /// #[event(crate = annals_events)]
    /// struct Deposited {
    ///     cents: u64,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let accounts = db.stream::<Deposited>("accounts")?;
    /// let (options, clerk) = (WriteOptions::default().durability(Durability::Sync), "bob".to_owned());
    /// let append = || {
    ///     accounts.append_with("ada", &Deposited { cents: 5 }, ExpectedVersion::Any, options, |event| {
    ///         event.id(0x5eed).correlation(17).with("clerk", &clerk)
    ///     })
    /// };
    /// append()?;
    /// assert!(append()?.was_there, "to repeat it is harmless");
    /// assert_eq!(accounts.get("ada", 0)?.expect("the one").correlation(), Some(17));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_with<'s, 'n>(
        &self,
        id: impl Into<StreamId<'s>>,
        event: &E,
        expected: ExpectedVersion,
        options: WriteOptions,
        dress: impl FnOnce(NewEvent<'n>) -> NewEvent<'n>,
    ) -> Result<Appended> {
        with_dressed(event, dress, |event| {
            self.category.append_with(id, std::slice::from_ref(event), expected, options)
        })
    }

    /// Appends events to the stream `id`, all or none of them.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`Error::NoEvents`](crate::Error::NoEvents) if there are none.
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
        self.append_batch_with(id, events, expected, WriteOptions::default(), |_, event| event)
    }

    /// Appends events to the stream `id`, all or none of them, with options and with what `dress` adds to each, of
    /// which it is told the place in `events`: ids, pairs of texts. It is asked once for each, in their order; of what
    /// it gives back nothing else is used. Events with ids can be appended again: if the stream has all of them already,
    /// nothing is written, and where they are is told.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, ExpectedVersion, WriteOptions};
    /// # use annals_events::Event;
    /// #[derive(Event)]
    /// #[event(crate = annals_events)]
    /// struct Deposited {
    ///     cents: u64,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let accounts = db.stream::<Deposited>("accounts")?;
    /// let (any, command) = (ExpectedVersion::Any, 0x5eed_0000);
    /// let deposits = [Deposited { cents: 500 }, Deposited { cents: 20 }];
    /// for is_repeated in [false, true] {
    ///     let done = accounts.append_batch_with("ada", &deposits, any, WriteOptions::default(), |n, event| {
    ///         event.id(command + n as u128).causation(command)
    ///     })?;
    ///     assert_eq!((done.first_version, done.was_there), (0, is_repeated));
    /// }
    /// assert_eq!(accounts.len("ada")?, 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch); [`Error::DuplicateEvent`](crate::Error::DuplicateEvent) if the stream
    /// has some of them already, by their ids, and not all in a row.
    pub fn append_batch_with<'s, 'n>(
        &self,
        id: impl Into<StreamId<'s>>,
        events: &[E],
        expected: ExpectedVersion,
        options: WriteOptions,
        dress: impl FnMut(usize, NewEvent<'n>) -> NewEvent<'n>,
    ) -> Result<Appended> {
        let archives = archives_of(events, dress)?;
        self.category.append_all(&id.into(), &archives, expected, options.durability)
    }

    /// Will append events to the stream `id`, when `batch` is committed, if that is then as `expected`.
    ///
    /// # Errors
    /// As [`WriteBatch::append`]; [`Error::Event`](crate::Error::Event) if one cannot be archived.
    pub fn append_in<'s>(
        &self,
        batch: &mut WriteBatch,
        id: impl Into<StreamId<'s>>,
        events: &[E],
        expected: ExpectedVersion,
    ) -> Result<()> {
        self.append_in_with(batch, id, events, expected, |_, event| event)
    }

    /// Will append events to the stream `id`, when `batch` is committed, with what `dress` adds to each, as
    /// [`append_batch_with`](Self::append_batch_with) says. How durable they are then the batch says.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, Error, ExpectedVersion};
    /// # use annals_events::Event;
    /// #[derive(Event)]
    /// #[event(crate = annals_events)]
    /// struct Moved {
    ///     cents: i64,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let (accounts, any) = (db.stream::<Moved>("accounts")?, ExpectedVersion::Any);
    /// let transfer = 0x5eed;
    /// let mut batch = db.batch();
    /// for (account, cents) in [("ada", -20), ("bob", 20)] {
    ///     accounts.append_in_with(&mut batch, account, &[Moved { cents }], any, |_, event| {
    ///         event.id(transfer)
    ///     })?;
    /// }
    /// batch.commit()?;
    ///
    /// // Unlike an append, a batch that has an event which is there already is refused.
    /// let mut again = db.batch();
    /// let refused = accounts.append_in_with(&mut again, "ada", &[Moved { cents: -20 }], any, |_, event| {
    ///     event.id(transfer)
    /// });
    /// assert!(matches!(refused, Err(Error::DuplicateEvent { id: 0x5eed, .. })));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`append_in`](Self::append_in).
    pub fn append_in_with<'s, 'n>(
        &self,
        batch: &mut WriteBatch,
        id: impl Into<StreamId<'s>>,
        events: &[E],
        expected: ExpectedVersion,
        mut dress: impl FnMut(usize, NewEvent<'n>) -> NewEvent<'n>,
    ) -> Result<()> {
        let id = id.into();
        if let [event] = events {
            // What most of them are needs no list.
            return with_dressed(
                event,
                |event| dress(0, event),
                |event| {
                    batch.append_all(&self.category, &id, std::slice::from_ref(event), expected)
                },
            );
        }
        batch.append_all(&self.category, &id, &archives_of(events, dress)?, expected)
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

/// Runs `work` with an event of which there is an archive, and what `dress` adds to it.
fn with_dressed<'n, E: Event, R>(
    event: &E,
    dress: impl FnOnce(NewEvent<'n>) -> NewEvent<'n>,
    work: impl FnOnce(&NewEvent<'_>) -> Result<R>,
) -> Result<R> {
    with_buffer(|buffer| {
        event.encode(buffer)?;
        let event_type = event.event_type();
        let NewEvent { ids, pairs, .. } = dress(NewEvent::archive(event_type, &[]));
        work(&NewEvent { ids, pairs, ..NewEvent::archive(event_type, buffer.as_bytes()) })
    })
}

/// The archives of several events, and what `dress` adds to each.
fn archives_of<'n, E: Event>(
    events: &[E],
    mut dress: impl FnMut(usize, NewEvent<'n>) -> NewEvent<'n>,
) -> Result<Archives<'n>> {
    with_buffer(|buffer| {
        let mut archives = Archives::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            event.encode(buffer)?;
            let event_type = event.event_type();
            archives.push(event_type, buffer.as_bytes());
            archives.dress_last(dress(index, NewEvent::archive(event_type, &[])));
        }
        Ok(archives)
    })
}
