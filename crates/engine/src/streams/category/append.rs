//! Appending to the streams of a category.

use super::{Appended, Category, key_of};
use crate::{
    Error, Result, WriteOptions,
    catalog::{Change, check_name_of},
    commit::{Commit, LoneAppend, LoneEvent, with_frame},
    hash::hash_key,
    streams::{
        EventType, ExpectedVersion, NewEvent, StreamId,
        hash_chain::check_built,
        id::StreamKey,
        meanwhile::{self, Moment},
        new_events::NewEvents,
        plan::{Append, Plan},
        types::{KnownTypes, TypeOf},
    },
};
use annals_events::EventFormat;
use annals_journal::{Durability, VALUE_BYTES_MAX};

/// What has a name that an event brings.
const OF_TYPE: &str = "an event type";

impl Category {
    /// Appends one event to the stream `id` if that is as `expected`.
    ///
    /// # Errors
    /// [`Error::VersionConflict`] if it is not, [`Error::StreamIdTooLong`], [`Error::InvalidName`] for the
    /// type's, [`Error::EventTypes`] if it is an archive and the category has some of another layout under the same
    /// name and version, [`Error::ValueTooLong`], [`Error::KeyspaceDropped`], no space, or a poisoned database;
    /// nothing was written then.
    pub fn append<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        event: &NewEvent<'_>,
        expected: ExpectedVersion,
    ) -> Result<Appended> {
        self.append_with(id, std::slice::from_ref(event), expected, WriteOptions::default())
    }

    /// Appends events to the stream `id`, all or none of them, if that is as `expected`.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`Error::DuplicateEvent`] if the stream has some of them already, by
    /// their ids, and not all in a row: who may have to repeat it gives each of them an id.
    pub fn append_many<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        events: &[NewEvent<'_>],
        expected: ExpectedVersion,
    ) -> Result<Appended> {
        self.append_with(id, events, expected, WriteOptions::default())
    }

    /// Appends events to the stream `id`, with options. Their time to live is not used: events stay
    /// until they are given up.
    ///
    /// # Errors
    /// As [`append_many`](Self::append_many); [`Error::NoEvents`] if there are none.
    pub fn append_with<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        events: &[NewEvent<'_>],
        expected: ExpectedVersion,
        options: WriteOptions,
    ) -> Result<Appended> {
        self.append_all(&id.into(), events, expected, options.durability)
    }

    pub(crate) fn append_all<E: NewEvents + ?Sized>(
        &self,
        id: &StreamId<'_>,
        events: &E,
        expected: ExpectedVersion,
        durability: Option<Durability>,
    ) -> Result<Appended> {
        self.prepared(id, events, |key, types| {
            self.append_prepared(key, events, types, expected, durability)
        })
    }

    fn append_prepared<E: NewEvents + ?Sized>(
        &self,
        key: &StreamKey,
        events: &E,
        types: &[Option<u32>],
        expected: ExpectedVersion,
        durability: Option<Durability>,
    ) -> Result<Appended> {
        let hash = hash_key(self.core.hash_seed, key.bytes());
        loop {
            if let Some(there) = self.appended_before(key, hash, events)? {
                self.make_durable(durability)?;
                return Ok(there);
            }
            meanwhile::run(Moment::EventSought);
            // `None`: they were there, and may have been given up since.
            if let Some(appended) =
                self.append_now((key, hash), events, types, expected, durability)?
            {
                return Ok(appended);
            }
        }
    }

    /// Appends events; `None` if the stream has one of them, which was not told when it was asked for before.
    fn append_now<E: NewEvents + ?Sized>(
        &self,
        (key, hash): (&StreamKey, u64),
        events: &E,
        types: &[Option<u32>],
        expected: ExpectedVersion,
        durability: Option<Durability>,
    ) -> Result<Option<Appended>> {
        if let [Some(type_number)] = types {
            let (category, key, type_number) = (&*self.keyspace, key.bytes(), *type_number);
            let append = |event: &NewEvent<'_>| {
                let lone = LoneEvent { category, hash, key, event, type_number, expected };
                self.core.append_lone(&lone, durability)
            };
            match events.with(0, append) {
                Some(Ok(LoneAppend::Appended(commit, version))) => {
                    return Ok(Some(appended(commit, version, 1)));
                }
                Some(Ok(LoneAppend::WasThere)) => return Ok(None),
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
        let append = Append { category: &self.keyspace, hash, key, events, types, expected };
        self.append_planned(&append, durability)
    }

    fn append_planned<E: NewEvents + ?Sized>(
        &self,
        append: &Append<'_, E>,
        durability: Option<Durability>,
    ) -> Result<Option<Appended>> {
        let count = append.events.count() as u64;
        let mut plan = Plan::default();
        let done = with_frame(|frame| {
            plan.push(&self.core, frame, append)?;
            let targets = (&*self.keyspace, append.hash);
            self.core.commit_planned(frame, &targets, &mut plan, durability, |_| Ok(true))
        });
        match done {
            Ok(Some(commit)) => Ok(Some(appended(commit, plan.last_version(), count))),
            Ok(None) => Err(Error::Conflict { attempts: 1 }),
            // Somebody may have appended the same events in between.
            Err(Error::DuplicateEvent { stream, id }) => {
                // Of events that come together some are found by their ids before the others: not all, it would
                // seem. Whoever appends them has noted all before letting go of the lock.
                drop(self.core.journal.quiesce());
                match self.appended_before(append.key, append.hash, append.events)? {
                    Some(there) => self.make_durable(durability).map(|()| Some(there)),
                    None if self.has_event(append, id)? => {
                        Err(Error::DuplicateEvent { stream, id })
                    }
                    None => Ok(None),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the stream has an event of this id, or will have two if these are appended.
    fn has_event<E: NewEvents + ?Sized>(&self, append: &Append<'_, E>, id: u128) -> Result<bool> {
        let is_it = |index: &usize| append.events.id(*index) == Some(id);
        if (0..append.events.count()).filter(is_it).count() > 1 {
            return Ok(true);
        }
        self.with_stream(append.key.bytes(), append.hash, |core, category, stream| {
            Ok(core.event_of_id(category, stream, id)?.is_some())
        })
    }

    /// Waits until what was appended before is as durable as asked for.
    fn make_durable(&self, durability: Option<Durability>) -> Result<()> {
        let journal = &self.core.journal;
        let durability = durability.unwrap_or(journal.config().durability);
        Ok(journal.make_durable(journal.end(), durability)?)
    }

    /// Where the events are, if the stream has all of them already, in a row, by their ids.
    fn appended_before<E: NewEvents + ?Sized>(
        &self,
        key: &StreamKey,
        hash: u64,
        events: &E,
    ) -> Result<Option<Appended>> {
        let Some(first_id) = events.id(0) else { return Ok(None) };
        let there = self.with_stream(key.bytes(), hash, |core, category, stream| {
            let of_id = |id| core.event_of_id(category, stream, id);
            let Some(first) = of_id(first_id)? else { return Ok(None) };
            let (first_version, first_seq) = (first.version(), first.hit.record.seq);
            let mut last_seq = first_seq;
            for index in 1..events.count() {
                let found = events.id(index).map_or(Ok(None), of_id)?;
                match found {
                    Some(found) if found.version() == first_version + index as u64 => {
                        last_seq = found.hit.record.seq;
                    }
                    _ => return Ok(None),
                }
            }
            let last_version = first_version + events.count() as u64 - 1;
            Ok(Some(Appended { first_version, last_version, first_seq, last_seq, was_there: true }))
        })?;
        // Who is told of an event can read it: whoever commits it shows it, and only then lets go of the lock.
        if there.is_some_and(|there| there.last_seq > self.core.visible_seq()) {
            drop(self.core.journal.quiesce());
        }
        Ok(there)
    }

    /// Runs `work` with the key of a stream, and the numbers of the types of events that are to be appended to it; `None` for
    /// those that the category does not know.
    pub(crate) fn prepared<E: NewEvents + ?Sized, R>(
        &self,
        id: &StreamId<'_>,
        events: &E,
        work: impl FnOnce(&StreamKey, &[Option<u32>]) -> Result<R>,
    ) -> Result<R> {
        let key = self.prepare_key(id, events.count())?;
        if events.count() != 1 {
            return work(&key, &self.type_numbers(events)?);
        }
        // What most appends are needs no list.
        let known = self.keyspace.types.known();
        let number = events.with(0, |event| self.type_number(&known, None, event))?;
        drop(known);
        work(&key, &[number])
    }

    fn type_numbers<E: NewEvents + ?Sized>(&self, events: &E) -> Result<Vec<Option<u32>>> {
        let mut types: Vec<Option<u32>> = Vec::with_capacity(events.count());
        let known = self.keyspace.types.known();
        let mut last = None;
        for index in 0..events.count() {
            if !events.is_like_before(index) {
                last = events.with(index, |event| self.type_number(&known, last, event))?;
            }
            types.push(last);
        }
        Ok(types)
    }

    /// The key of a stream to which so many events are to be appended.
    fn prepare_key(&self, id: &StreamId<'_>, count: usize) -> Result<StreamKey> {
        let key = key_of(id)?;
        if count == 0 {
            return Err(Error::NoEvents);
        }
        self.keyspace.check_alive()?;
        check_built(&self.keyspace.name, self.keyspace.is_chained())?;
        Ok(key)
    }

    /// Gives an event type a number.
    #[cold]
    pub(crate) fn add_type(
        &self,
        wanted: &TypeOf<'_>,
        agrees: impl Fn(&EventType) -> Result<()>,
    ) -> Result<()> {
        check_name_of(wanted.name, OF_TYPE)?;
        let types = &self.keyspace.types;
        self.core.change_catalog_if(|catalog| {
            let alive = catalog.by_id(self.keyspace.id).is_some();
            if !alive {
                self.keyspace.check_alive()?;
            }
            if types.known().number(self.name(), wanted)?.is_some() {
                return Ok(None);
            }
            types.all().iter().try_for_each(|known| agrees(known))?;
            let (id, number) = (self.keyspace.id, types.count());
            let TypeOf { name, version, layout } = *wanted;
            let event_type = EventType { name: name.to_owned(), version, layout };
            Ok(Some(Change::EventType { id, number, event_type }))
        })?;
        match types.known().number(self.name(), wanted)? {
            Some(_) => Ok(()),
            None => Err(Error::KeyspaceDropped { name: self.name().into() }),
        }
    }

    /// The number of an event's type, which may be that of the one before it; `None` if the category does not know it.
    #[inline]
    fn type_number(
        &self,
        known: &KnownTypes,
        last: Option<u32>,
        event: &NewEvent<'_>,
    ) -> Result<Option<u32>> {
        check_size(event)?;
        let wanted = event.type_of();
        let is_untold = event.format == EventFormat::Archive && wanted.layout == 0;
        let is = |last: &u32| {
            if is_untold { known.is_untold(*last, &wanted) } else { known.is(*last, &wanted) }
        };
        if let Some(last) = last.filter(is) {
            return Ok(Some(last));
        }
        let number = if is_untold {
            known.untold_number(&wanted)
        } else {
            known.number(&self.keyspace.name, &wanted)?
        };
        if number.is_none() {
            check_name_of(wanted.name, OF_TYPE)?;
        }
        Ok(number)
    }
}

/// An event's data and all that stands behind them are one value.
#[inline]
fn check_size(event: &NewEvent<'_>) -> Result<()> {
    let bytes = event.value_bytes_max();
    if bytes > VALUE_BYTES_MAX {
        let (bytes, limit) = (bytes as u64, VALUE_BYTES_MAX as u64);
        return Err(Error::ValueTooLong { bytes, limit });
    }
    Ok(())
}

fn appended(commit: Commit, last_version: u64, count: u64) -> Appended {
    Appended {
        first_version: last_version + 1 - count,
        last_version,
        first_seq: commit.first_seq,
        last_seq: commit.last_seq,
        was_there: false,
    }
}
