//! The handle of a category.

mod append;

use super::{
    EventType, Events, RecordedEvent, STREAM_ID_BYTES_MAX, StreamId, StreamReader, Subscription,
    event::CategoryRef,
    filter::Filter,
    find::Stream,
    id::{NumberKey, StreamKey, id_of_key},
    meanwhile::{self, Moment},
    nearby::{Near, event_in_next_frame, event_nearby},
    types::TypeOf,
};
use crate::{
    Error, ErrorKind, KeyspaceOptions, Result,
    catalog::{Keyspace, Listed},
    core::Core,
    hash::{
        hash_key,
        table::{Group, Slot, WalkPlace},
    },
    open::Open,
};
use annals_journal::{Address, Seq, pin};
use std::sync::Arc;

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

    /// Sees to it that an event type has a number. Before it gets one, `agrees` is asked about each that has one,
    /// while nobody else brings any.
    pub(crate) fn know_type(
        &self,
        wanted: &TypeOf<'_>,
        agrees: impl Fn(&EventType) -> Result<()>,
    ) -> Result<()> {
        match self.keyspace.types.known().number(self.name(), wanted)? {
            Some(_) => Ok(()),
            None => self.add_type(wanted, agrees),
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

    /// The event types that were ever appended, and those of a Rust type that it was [opened](crate::Database::stream)
    /// with. Where events without a [layout](EventType::layout) came before the
    /// first archive, there are two of the same name and version.
    #[must_use]
    pub fn event_types(&self) -> Vec<Arc<EventType>> {
        self.keyspace.types.all()
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

    /// The event of the stream `id` that was appended with the [id](crate::NewEvent::id) `event_id`; `None` if it
    /// has none, or that was given up. One look at the table by which a repeated append is told from a first one,
    /// however long the stream is.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let orders = db.category("orders")?;
    /// let placed = NewEvent::json("placed", r#"{"apples":7}"#).id(0x5eed);
    /// orders.append(17u64, &placed, ExpectedVersion::NoStream)?;
    /// assert_eq!(orders.find(17u64, 0x5eed)?.expect("the event").version(), 0);
    /// assert!(orders.find(18u64, 0x5eed)?.is_none(), "that is another stream");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn find<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        event_id: u128,
    ) -> Result<Option<RecordedEvent<'_>>> {
        self.with_id(&id.into(), |core, category, stream| {
            let found = core.event_of_id_left(category, stream, event_id)?;
            Ok(found.map(|event| Core::recorded(self.category_ref(category), event)))
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
    /// appended from now on. What is there already is found by going through all events of the category from
    /// `from` on: in a large one read the stream by [`read`](Self::read) and subscribe behind what that found.
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
    /// order; streams that come or grow meanwhile may be told as they were or as they are. One that cannot be read is
    /// in the way of no other: the first damage is told when all others have been.
    ///
    /// # Errors
    /// As [`get`](Self::get), and what `each` fails with.
    pub fn each_stream(&self, mut each: impl FnMut(StreamId<'_>, u64) -> Result<()>) -> Result<()> {
        let mut damage = None;
        self.each_key(|key| {
            let read = key.and_then(|key| Ok((self.last_version(&key)?, key)));
            match read {
                Ok((Some(last), key)) => id_of_key(key.bytes()).map_or(Ok(()), |id| each(id, last)),
                Ok((None, _)) => Ok(()),
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    damage.get_or_insert(error);
                    Ok(())
                }
                Err(error) => Err(error),
            }
        })?;
        damage.map_or(Ok(()), Err)
    }

    /// The version of the last event of a stream; `None` if none is left.
    fn last_version(&self, key: &StreamKey) -> Result<Option<u64>> {
        self.with_key(key, |core, category, stream| {
            let ends = core.ends(category, stream)?;
            let left = ends.map(|(last, first)| (last.version(), first));
            Ok(left.filter(|(last, first)| first <= last).map(|(last, _)| last))
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

#[inline]
fn key_of(id: &StreamId<'_>) -> Result<StreamKey> {
    StreamKey::of(id).ok_or_else(|| {
        let bytes = if let StreamId::Text(text) = id { text.len() as u64 } else { 0 };
        Error::StreamIdTooLong { bytes, limit: STREAM_ID_BYTES_MAX as u64 }
    })
}
