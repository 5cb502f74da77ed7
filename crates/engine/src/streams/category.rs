//! The handle of a category.

use super::{
    EventType, Events, ExpectedVersion, NewEvent, RecordedEvent, STREAM_ID_BYTES_MAX, StreamId,
    StreamReader, Subscription,
    event::CategoryRef,
    filter::Filter,
    find::Stream,
    hash_chain::check_built,
    id::{NumberKey, StreamKey, id_of_key},
    meanwhile::{self, Moment},
    nearby::{Near, event_in_next_frame, event_nearby},
    new_events::NewEvents,
    plan::{Append, Plan},
    types::KnownTypes,
};
use crate::{
    Error, KeyspaceOptions, Result, WriteOptions,
    catalog::{Change, Keyspace, Listed, check_name_of},
    commit::{Commit, LoneAppend, LoneEvent, with_frame},
    core::Core,
    hash::{
        hash_key,
        table::{Group, Slot, WalkPlace},
    },
    open::Open,
};
use annals_journal::{Address, Durability, Seq, VALUE_BYTES_MAX, pin};
use std::sync::Arc;

/// What has a name that an event brings.
const OF_TYPE: &str = "an event type";

/// A named set of streams. Cheap to clone; clones and other handles of the same category see the same
/// events.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent};
/// let db = Database::open_in_memory()?;
/// let orders = db.category("orders")?;
/// orders.append(7u64, &NewEvent::bytes("placed", b"apples"), ExpectedVersion::NoStream)?;
/// orders.append(7u64, &NewEvent::bytes("paid", b"12"), ExpectedVersion::Exact(0))?;
///
/// let types: Vec<String> = orders
///     .read(7u64)?
///     .map(|event| Ok(event?.event_type().name.clone()))
///     .collect::<Result<_, annals::Error>>()?;
/// assert_eq!(types, ["placed", "paid"]);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Category {
    core: Arc<Open>,
    keyspace: Arc<Keyspace>,
}

/// Where events that were appended are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The version of the first of them.
    pub first_version: u64,
    /// The version of the last of them.
    pub last_version: u64,
    /// The number of the first of them.
    pub first_seq: Seq,
    /// The number of the last of them.
    pub last_seq: Seq,
    /// Whether the stream had them already, by their ids, and nothing was written.
    pub was_there: bool,
}

impl Category {
    pub(crate) fn new(core: Arc<Open>, keyspace: Arc<Keyspace>) -> Self {
        Self { core, keyspace }
    }

    /// The database and the keyspace that it is a handle of.
    pub(crate) fn parts(&self) -> (&Arc<Open>, &Arc<Keyspace>) {
        (&self.core, &self.keyspace)
    }

    /// Whether its database only reads.
    pub(crate) fn is_read_only(&self) -> bool {
        self.core.read_only
    }

    pub(crate) fn key_of(id: &StreamId<'_>) -> Result<StreamKey> {
        key_of(id)
    }

    /// The key that a stream has in the log.
    pub(crate) fn key_bytes(id: &StreamId<'_>) -> Result<Vec<u8>> {
        Ok(key_of(id)?.bytes().to_vec())
    }

    /// Sees to it that an event type has a number.
    pub(crate) fn know_type(&self, name: &str, version: u32, layout: u64) -> Result<()> {
        match self.keyspace.types.number(name, version) {
            Some(_) => Ok(()),
            None => self.add_type(name, version, layout).map(drop),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.keyspace.name
    }

    /// Its number, by which it is told from others that have or had its name: none is used twice.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let first = db.category("orders")?.id();
    /// db.drop_keyspace("orders")?;
    /// assert_ne!(db.category("orders")?.id(), first);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> u32 {
        self.keyspace.id
    }

    /// The options it was created with.
    #[must_use]
    pub fn options(&self) -> KeyspaceOptions {
        self.keyspace.options
    }

    /// The event types that were ever appended.
    #[must_use]
    pub fn event_types(&self) -> Vec<Arc<EventType>> {
        self.keyspace.types.all()
    }

    /// Appends one event to the stream `id` if that is as `expected`.
    ///
    /// # Errors
    /// [`Error::VersionConflict`] if it is not, [`Error::StreamIdTooLong`], [`Error::InvalidName`] for the
    /// type's, [`Error::ValueTooLong`], [`Error::KeyspaceDropped`], no space, or a poisoned database;
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
    /// their ids, and not all in a row.
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
        if events.count() != 1 {
            let (key, types) = self.prepare(id, events)?;
            return self.append_prepared(&key, events, &types, expected, durability);
        }
        // What most appends are needs no list.
        let key = self.prepare_key(id, 1)?;
        let known = self.keyspace.types.known();
        let number = events.with(0, |event| type_number(&known, None, event))?;
        drop(known);
        self.append_prepared(&key, events, &[number], expected, durability)
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

    /// The key of a stream, and the numbers of the events' types; none of those that the category does not know.
    pub(crate) fn prepare<E: NewEvents + ?Sized>(
        &self,
        id: &StreamId<'_>,
        events: &E,
    ) -> Result<(StreamKey, Vec<Option<u32>>)> {
        let key = self.prepare_key(id, events.count())?;
        let mut types: Vec<Option<u32>> = Vec::with_capacity(events.count());
        let known = self.keyspace.types.known();
        let mut last = None;
        for index in 0..events.count() {
            last = events.with(index, |event| type_number(&known, last, event))?;
            types.push(last);
        }
        Ok((key, types))
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
    pub(crate) fn add_type(&self, name: &str, version: u32, layout: u64) -> Result<u32> {
        check_name_of(name, OF_TYPE)?;
        let types = &self.keyspace.types;
        let added = self.core.change_catalog_if(|catalog| {
            let alive = catalog.by_id(self.keyspace.id).is_some();
            if !alive {
                self.keyspace.check_alive()?;
            }
            if types.number(name, version).is_some() {
                return Ok(None);
            }
            let (id, number) = (self.keyspace.id, types.count());
            let event_type = EventType { name: name.to_owned(), version, layout };
            Ok(Some(Change::EventType { id, number, event_type }))
        });
        added?;
        types
            .number(name, version)
            .ok_or_else(|| Error::KeyspaceDropped { name: self.name().into() })
    }

    /// Runs `read` with the newest state of the category.
    pub(crate) fn with_listed<'a, R>(
        &'a self,
        mut read: impl FnMut(&'a Core, &Listed) -> Result<R>,
    ) -> Result<R> {
        loop {
            self.core.follow_if_read_only()?;
            let outcome =
                self.core.newest(|core| match core.catalog.load().by_id(self.keyspace.id) {
                    Some(listed) => read(core, listed),
                    // A reader that loaded the database anew has not read that it was dropped.
                    None => Err(Error::KeyspaceDropped { name: self.keyspace.name.clone() }),
                });
            match outcome {
                // Cleared, or loaded anew, in between.
                Err(Error::Stale) => self.keyspace.check_alive()?,
                outcome => return outcome,
            }
        }
    }

    /// The category as events have it that were read through this handle.
    pub(crate) fn category_ref(&self, category: &Arc<Keyspace>) -> CategoryRef<'_> {
        CategoryRef::of(category, Some(&self.keyspace))
    }

    /// Runs `read` with the newest state of a stream.
    #[inline]
    pub(crate) fn with_stream<'a, R>(
        &'a self,
        key: &[u8],
        hash: u64,
        mut read: impl FnMut(&'a Core, &Arc<Keyspace>, &Stream<'_>) -> Result<R>,
    ) -> Result<R> {
        if !self.core.read_only {
            // First: from here on what the category has is used for nothing else, if it is there now.
            let pin = pin();
            self.keyspace.check_alive()?;
            meanwhile::run(Moment::CategoryThere);
            let (view, space) = (self.keyspace.view.read(&pin), self.keyspace.id);
            let stream = Stream { view, space, hash, key };
            match read(self.core.core(), &self.keyspace, &stream) {
                // Dropped in between.
                Err(Error::Stale) => {}
                outcome => return outcome,
            }
        }
        self.with_listed(|core, listed| {
            let (view, space) = (&*listed.view, self.keyspace.id);
            read(core, &listed.keyspace, &Stream { view, space, hash, key })
        })
    }

    #[inline]
    fn with_id<'a, R>(
        &'a self,
        id: &StreamId<'_>,
        read: impl FnMut(&'a Core, &Arc<Keyspace>, &Stream<'_>) -> Result<R>,
    ) -> Result<R> {
        self.with_key(&key_of(id)?, read)
    }

    /// Runs `read` with the newest state of the stream that has this key.
    pub(crate) fn with_key<'a, R>(
        &'a self,
        key: &StreamKey,
        read: impl FnMut(&'a Core, &Arc<Keyspace>, &Stream<'_>) -> Result<R>,
    ) -> Result<R> {
        self.with_stream(key.bytes(), self.hash_of(key), read)
    }

    pub(crate) fn hash_of(&self, key: &StreamKey) -> u64 {
        hash_key(self.core.hash_seed, key.bytes())
    }

    /// The event of this version of the stream `id`; `None` if there is none. Looks at eight events on
    /// average, or at this one alone if the thread has just got one near it.
    ///
    /// # Errors
    /// [`Error::StreamIdTooLong`], [`Error::KeyspaceDropped`], or damage.
    #[inline]
    pub fn get<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        version: u64,
    ) -> Result<Option<RecordedEvent<'_>>> {
        let id = id.into();
        match self.get_nearby(&id, version, |event| event)? {
            Some(event) => Ok(Some(event)),
            None => self.get_afar(&id, version),
        }
    }

    /// What `make` makes of the event, if the thread has just got one near it.
    #[inline(always)]
    pub(crate) fn get_nearby<'a, T>(
        &'a self,
        id: &StreamId<'_>,
        version: u64,
        make: impl Fn(RecordedEvent<'a>) -> T,
    ) -> Result<Option<T>> {
        match id {
            StreamId::Number(number) => {
                self.get_nearby_by_key(NumberKey::of(*number).bytes(), version, make)
            }
            id => self.get_nearby_by_key(key_of(id)?.bytes(), version, make),
        }
    }

    #[inline(always)]
    fn get_nearby_by_key<'a, T>(
        &'a self,
        key: &[u8],
        version: u64,
        make: impl Fn(RecordedEvent<'a>) -> T,
    ) -> Result<Option<T>> {
        if self.core.read_only {
            return Ok(None);
        }
        let (core, space) = (self.core.core(), self.keyspace.id);
        let Some(near) = Near::find(core, space, key, version) else { return Ok(None) };
        let (pin, hash) = (pin(), near.hash);
        self.keyspace.check_alive()?;
        let view = self.keyspace.view.read(&pin);
        let stream = Stream { view, space, hash, key };
        if core.limits_of(&self.keyspace, &stream)?.is_some() {
            return Ok(None);
        }
        let category = || CategoryRef::borrowed(&self.keyspace);
        if let Some((guard, found)) = event_nearby(core, &stream, version, &near)
            && found.seq <= core.visible_seq()
        {
            return Ok(Some(make(RecordedEvent::new(category(), guard, &found))));
        }
        if let Some((guard, found)) = event_in_next_frame(core, &stream, version, &near)
            && found.seq <= core.visible_seq()
        {
            return Ok(Some(make(RecordedEvent::new(category(), guard, &found))));
        }
        Ok(None)
    }

    /// The same of an event that the thread did not come by when it got another.
    #[inline(never)]
    pub(crate) fn get_afar(
        &self,
        id: &StreamId<'_>,
        version: u64,
    ) -> Result<Option<RecordedEvent<'_>>> {
        self.with_id(id, |core, category, stream| {
            let found = core.event_left(category, stream, version)?;
            let category = || self.category_ref(category);
            Ok(found.map(|(guard, found)| RecordedEvent::new(category(), guard, &found)))
        })
    }

    /// The last event of the stream `id`; `None` if it has none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn last<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<Option<RecordedEvent<'_>>> {
        self.with_id(&id.into(), |core, category, stream| {
            let Some((last, first)) = core.ends(category, stream)? else { return Ok(None) };
            let is_left = first <= last.version();
            Ok(is_left.then(|| Core::recorded(self.category_ref(category), last)))
        })
    }

    /// How many events the stream `id` has had, those that were given up included: the version that the next one
    /// gets.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn len<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<u64> {
        self.with_id(&id.into(), |core, _, stream| {
            Ok(core.last_event(stream)?.map_or(0, |event| event.version() + 1))
        })
    }

    /// Whether the stream `id` has events.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn exists<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<bool> {
        self.with_id(&id.into(), |core, category, stream| {
            Ok(core.ends(category, stream)?.is_some_and(|(last, first)| first <= last.version()))
        })
    }

    /// Reads the stream `id` from the first event that it has left on; the reader can be told to begin elsewhere, or to
    /// go back. It ends with the event that is the last one now.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn read<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<StreamReader<'_>> {
        let key = key_of(&id.into())?;
        let hash = hash_key(self.core.hash_seed, key.bytes());
        StreamReader::new(self, key, hash)
    }

    /// Reads the events of all streams of this category in the order in which they were appended, from
    /// the number `from` on, up to what is the last one now.
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`].
    pub fn read_all(&self, from: Seq) -> Result<Events<'_>> {
        self.core.follow_if_read_only()?;
        self.keyspace.check_alive()?;
        self.core.follow_if_read_only()?;
        Events::of(&self.core, from, self.filter(None), Some(&self.keyspace))
    }

    /// Reads the events of this category that come from the number `from` on, and then those that are
    /// appended from now on.
    ///
    /// # Errors
    /// As [`read_all`](Self::read_all).
    pub fn subscribe(&self, from: Seq) -> Result<Subscription<'_>> {
        self.keyspace.check_alive()?;
        Subscription::new(&self.core, from, self.filter(None), Some(&self.keyspace))
    }

    /// Reads the events of the stream `id` that come from the number `from` on, and then those that are
    /// appended from now on.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn subscribe_to<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        from: Seq,
    ) -> Result<Subscription<'_>> {
        self.keyspace.check_alive()?;
        let filter = self.filter(Some(key_of(&id.into())?));
        Subscription::new(&self.core, from, filter, Some(&self.keyspace))
    }

    fn filter(&self, stream: Option<StreamKey>) -> Filter {
        Filter::of(self.keyspace.id, stream)
    }

    /// How many streams have had events: those that were deleted count.
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`].
    pub fn streams_count(&self) -> Result<u64> {
        self.with_listed(|core, listed| Ok(listed.view.len(|| core.visible_seq())))
    }

    /// Calls `each` with the id of each stream that has events and its last version, in no particular
    /// order; streams that come or grow meanwhile may be told as they were or as they are.
    ///
    /// # Errors
    /// As [`get`](Self::get), and what `each` fails with.
    pub fn each_stream(&self, mut each: impl FnMut(StreamId<'_>, u64) -> Result<()>) -> Result<()> {
        self.each_key(|key| {
            let key = key?;
            let hash = hash_key(self.core.hash_seed, key.bytes());
            let last = self.with_stream(key.bytes(), hash, |core, category, stream| {
                let left =
                    core.ends(category, stream)?.map(|(last, first)| (last.version(), first));
                Ok(left.filter(|(last, first)| first <= last).map(|(last, _)| last))
            })?;
            match (last, id_of_key(key.bytes())) {
                (Some(last), Some(id)) => each(id, last),
                _ => Ok(()),
            }
        })
    }

    /// Calls `each` with the key of each stream, or with why it cannot be read.
    pub(crate) fn each_key(
        &self,
        mut each: impl FnMut(Result<StreamKey>) -> Result<()>,
    ) -> Result<()> {
        self.core.follow_if_read_only()?;
        // It may load the database anew meanwhile: what it walks through then stays as it is.
        let (kept, core) = self.core.keep();
        let catalog = core.catalog.load_full();
        let Some(Listed { view, .. }) = catalog.by_id(self.keyspace.id) else {
            return Err(Error::KeyspaceDropped { name: self.keyspace.name.clone() });
        };
        let (mut place, mut group) = (WalkPlace::live_only(), Group::default());
        let mut keys: Vec<Result<StreamKey>> = Vec::new();
        loop {
            {
                // Until the pin is gone what the slots lead to is used for nothing else, if the category is there.
                let _pin = pin();
                if kept.is_none() {
                    self.keyspace.check_alive()?;
                }
                if !view.table.walk_from(&mut place, &mut group) {
                    return Ok(());
                }
                for slot in group.slots.iter().filter_map(|raw| Slot::from_raw(*raw)) {
                    keys.extend(key_at(core, Address::unpack(slot.address())).transpose());
                }
            }
            keys.drain(..).try_for_each(&mut each)?;
        }
    }
}

/// The key of the stream whose event is at `address`; `None` if that segment is gone.
fn key_at(core: &Core, address: Address) -> Result<Option<StreamKey>> {
    let Some(guard) = core.journal.guard(address.slot) else { return Ok(None) };
    let record = guard.record(address.offset)?;
    Ok(id_of_key(record.key).and_then(|id| StreamKey::of(&id)))
}

/// The number of an event's type, which may be that of the one before it; `None` if the category does not know it.
#[inline]
fn type_number(known: &KnownTypes, last: Option<u32>, event: &NewEvent<'_>) -> Result<Option<u32>> {
    check_size(event)?;
    let (name, version) = (event.type_name, event.type_version);
    let number = last.filter(|last| known.is(*last, name, version));
    let number = number.or_else(|| known.number(name, version));
    if number.is_none() {
        check_name_of(name, OF_TYPE)?;
    }
    Ok(number)
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

#[inline]
fn key_of(id: &StreamId<'_>) -> Result<StreamKey> {
    StreamKey::of(id).ok_or_else(|| {
        let bytes = if let StreamId::Text(text) = id { text.len() as u64 } else { 0 };
        Error::StreamIdTooLong { bytes, limit: STREAM_ID_BYTES_MAX as u64 }
    })
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
