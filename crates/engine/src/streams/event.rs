//! Events: as they are appended, and as they are read.

use super::{
    extra::{self, Ids},
    hash_chain::{Content, ContentHash, EventHash, Link},
    id::{StreamId, id_of_key},
    label::{LABEL_BYTES_MAX, Label},
    types::TypeOf,
};
use crate::catalog::Keyspace;
use annals_events::{ARCHIVE_ALIGN_BYTES, EventFormat};
use annals_journal::{Match, SegmentGuard, Seq, ValueGuard};
use std::{fmt, sync::Arc};

/// The type of an event: a name, and which of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType {
    /// The name: what a keyspace may be named.
    pub name: String,
    /// Counts up when the shape of the data changes.
    pub version: u32,
    /// The [fingerprint](annals_events::EventType::fingerprint) of its layout; 0 if that is not known, as of
    /// events that are appended as bytes. One name and version may be there without it and with one layout, never
    /// with two.
    pub layout: u64,
}

impl EventType {
    /// Stands for a type that nobody knows.
    pub(crate) fn unknown() -> Arc<Self> {
        Arc::new(Self { name: String::new(), version: 0, layout: 0 })
    }

    /// The same, to be looked for.
    pub(crate) fn wanted(&self) -> TypeOf<'_> {
        TypeOf { name: &self.name, version: self.version, layout: self.layout }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.name, self.version)
    }
}

/// An event that is to be appended.
///
/// ```
/// # use annals_engine as annals;
/// use annals::NewEvent;
/// let event = NewEvent::json("order-placed", r#"{"apples":7}"#).version(2).id(17).with("user", "ada");
/// # let _ = event;
/// ```
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    pub(crate) type_name: &'a str,
    pub(crate) type_version: u32,
    pub(crate) layout: u64,
    pub(crate) format: EventFormat,
    pub(crate) data: &'a [u8],
    pub(crate) ids: Ids,
    pub(crate) pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> NewEvent<'a> {
    /// An event of the type `type_name`, version 1, with these data.
    #[must_use]
    #[inline]
    pub fn new(type_name: &'a str, format: EventFormat, data: &'a [u8]) -> Self {
        let (ids, pairs) = (Ids::default(), Vec::new());
        Self { type_name, type_version: 1, layout: 0, format, data, ids, pairs }
    }

    /// An event whose data only the user understands.
    #[must_use]
    pub fn bytes(type_name: &'a str, data: &'a [u8]) -> Self {
        Self::new(type_name, EventFormat::Bytes, data)
    }

    /// An event whose data are JSON. Not checked.
    #[must_use]
    pub fn json(type_name: &'a str, data: &'a str) -> Self {
        Self::new(type_name, EventFormat::Json, data.as_bytes())
    }

    /// An event of the type `event_type`, whose archive `data` is.
    #[must_use]
    #[inline]
    pub fn archive(event_type: &'static annals_events::EventType, data: &'a [u8]) -> Self {
        let event = Self::new(event_type.name(), EventFormat::Archive, data);
        let layout = event_type.fingerprint().as_u64();
        Self { layout, ..event.version(event_type.version()) }
    }

    /// Sets the version of its type.
    #[must_use]
    #[inline]
    pub fn version(mut self, version: u32) -> Self {
        self.type_version = version;
        self
    }

    /// Says of an archive which layout it has: the [`layout`](EventType::layout) that the type of an event has which is
    /// copied. Without it, who reads the copy is not told if their type has another one.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, EventFormat, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let (orders, copies) = (db.category("orders")?, db.category("copies")?);
    /// let event = NewEvent::new("paid", EventFormat::Archive, &[7; 8]).layout(0x1234);
    /// orders.append(7u64, &event, ExpectedVersion::Any)?;
    /// for event in orders.read(7u64)? {
    ///     let event = event?;
    ///     let event_type = event.event_type();
    ///     let copy = NewEvent::new(&event_type.name, event.format(), event.data());
    ///     let copy = copy.version(event_type.version).layout(event_type.layout);
    ///     copies.append(event.stream(), &copy, ExpectedVersion::Any)?;
    /// }
    /// assert_eq!(copies.event_types(), orders.event_types());
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn layout(mut self, layout: u64) -> Self {
        self.layout = layout;
        self
    }

    /// Gives it an id. Appending an event with an id that its stream has already changes nothing, and
    /// tells where it is: a retry is harmless.
    #[must_use]
    pub fn id(mut self, id: u128) -> Self {
        self.ids.event = Some(id);
        self
    }

    /// Says to which conversation it belongs.
    #[must_use]
    pub fn correlation(mut self, id: u128) -> Self {
        self.ids.correlation = Some(id);
        self
    }

    /// Says which event or command caused it.
    #[must_use]
    pub fn causation(mut self, id: u128) -> Self {
        self.ids.causation = Some(id);
        self
    }

    /// Its type, to be looked for.
    #[inline]
    pub(crate) fn type_of(&self) -> TypeOf<'a> {
        let (version, layout) = (self.type_version, self.layout);
        TypeOf { name: self.type_name, version, layout }
    }

    /// Its type.
    pub(crate) fn event_type(&self) -> EventType {
        let (version, layout) = (self.type_version, self.layout);
        EventType { name: self.type_name.to_owned(), version, layout }
    }

    /// The value of its record is not longer than this, in bytes.
    pub(crate) fn value_bytes_max(&self) -> usize {
        let texts = self.pairs.iter().map(|(name, value)| name.len() + value.len());
        self.data.len() + extra::bytes_of(texts) + LABEL_BYTES_MAX
    }

    /// Adds a pair of texts. One name may have several: all of them are kept, in their order.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.pairs.push((name, value));
        self
    }
}

/// The category of an event: borrowed of the handle that it was read through, or shared. Counts of what is
/// shared are memory that all threads write to.
#[derive(Clone, Debug, Default)]
pub(crate) struct CategoryRef<'a> {
    borrowed: Option<&'a Keyspace>,
    /// There if nothing is borrowed.
    shared: Option<Arc<Keyspace>>,
}

impl<'a> CategoryRef<'a> {
    /// Borrows from a handle if that is of the same category.
    #[inline]
    pub(crate) fn of(category: &Arc<Keyspace>, handle: Option<&'a Arc<Keyspace>>) -> Self {
        match handle {
            Some(handle) if Arc::ptr_eq(handle, category) => Self::borrowed(handle),
            _ => Self { borrowed: None, shared: Some(Arc::clone(category)) },
        }
    }

    #[inline]
    pub(crate) fn borrowed(category: &'a Keyspace) -> Self {
        Self { borrowed: Some(category), shared: None }
    }

    /// Whether it is the category of this number.
    #[inline]
    pub(crate) fn is(&self, space: u32) -> bool {
        self.get().is_some_and(|category| category.id == space)
    }

    /// The category; `None` of a default.
    #[inline]
    pub(crate) fn get(&self) -> Option<&Keyspace> {
        self.borrowed.or(self.shared.as_deref())
    }
}

/// An event as it stands in the log, read in place. The segment it lies in stays mapped while this
/// lives, so one that is kept for long keeps disk space from being reclaimed.
pub struct RecordedEvent<'a> {
    category: CategoryRef<'a>,
    seq: Seq,
    version: u64,
    /// The stream's key, perhaps some padding, the data and the label.
    bytes: ValueGuard<'a>,
    type_number: u32,
    key_len: u32,
    data_at: u32,
    data_len: u32,
    format: EventFormat,
}

impl<'a> RecordedEvent<'a> {
    /// The event that was found in the segment of `guard`.
    #[inline(always)]
    pub(crate) fn new(category: CategoryRef<'a>, guard: SegmentGuard<'a>, found: &Found) -> Self {
        Self::of(category, guard.into_value(found.range()), found)
    }

    /// The same while the guard is kept by somebody else.
    #[inline(always)]
    pub(crate) fn lent(
        category: CategoryRef<'a>,
        guard: &'a SegmentGuard<'_>,
        found: &Found,
    ) -> Self {
        Self::of(category, guard.value(found.range()), found)
    }

    #[inline(always)]
    fn of(category: CategoryRef<'a>, bytes: ValueGuard<'a>, found: &Found) -> Self {
        let Found { seq, version, key, value, type_number, data_len, format, .. } = *found;
        let (key_len, data_at) = (key.1, value.0 - key.0);
        Self { category, seq, version, bytes, type_number, key_len, data_at, data_len, format }
    }

    /// What it carries beside its data.
    fn label(&self) -> Label<'_> {
        let (_, label) = Label::split(&self.bytes[self.data_at as usize..])
            .expect("the label was read when the event was found");
        label
    }

    /// The name of its category.
    #[must_use]
    pub fn category(&self) -> &str {
        self.category.get().map_or("", |category| &category.name)
    }

    /// The number of its category.
    pub(crate) fn space(&self) -> u32 {
        self.category.get().map_or(0, |category| category.id)
    }

    /// The stream it belongs to.
    ///
    /// # Panics
    /// Never: only what was written as a stream's key is found as one.
    #[must_use]
    pub fn stream(&self) -> StreamId<'_> {
        let key = &self.bytes[..self.key_len as usize];
        id_of_key(key).unwrap_or(StreamId::Text("".into()))
    }

    /// Its place in the stream, counted from zero.
    #[must_use]
    #[inline]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Its place among all records of the database.
    #[must_use]
    #[inline]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// When it was appended, in milliseconds since 1970.
    #[must_use]
    #[inline]
    pub fn time_ms(&self) -> u64 {
        self.label().time_ms
    }

    /// Its type. Costs a look at a list that the category keeps.
    #[must_use]
    pub fn event_type(&self) -> Arc<EventType> {
        let category = self.category.get();
        category.and_then(|of| of.types.get(self.type_number)).unwrap_or_else(EventType::unknown)
    }

    /// The number of its type in its category.
    pub(crate) fn type_number(&self) -> u32 {
        self.type_number
    }

    /// How its data are to be read.
    #[must_use]
    pub fn format(&self) -> EventFormat {
        self.format
    }

    /// Its data, read in place. They begin at a multiple of eight bytes.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.data_at as usize..][..self.data_len as usize]
    }

    /// Its data, if they were appended as an archive of exactly this type: of its name, version and layout, and where
    /// an archive has to lie. `None` of any other event: of JSON under the same name, of an older version, of an archive
    /// whose layout was not told.
    ///
    /// [`TypedEvent::view`](crate::TypedEvent::view) checks the bytes of an archive each time, and costs little for
    /// small ones. Who knows that they are whole, and has large ones, can leave the check out: these are the bytes
    /// for rkyv's `access_unchecked`. Calling that is the caller's `unsafe`, and what is left to argue is the
    /// caller's: that only typed appends of this program brought archives of this type, not bytes that were said to be
    /// some; that nobody has changed the files since (the log's checksums are not looked at for each event); that
    /// no type within has changed without its name; and that nothing behind a pointer has to lie on a multiple of
    /// sixteen, as a `u128` in a list does.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::Database;
    /// use annals_events::{Event, rkyv};
    /// #[derive(Event)]
    /// #[event(crate = annals_events)]
    /// struct Measured {
    ///     points: Vec<u32>,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let series = db.stream::<Measured>("series")?;
    /// series.append(7u64, &Measured { points: (0..10_000).collect() })?;
    /// for event in series.read(7u64)? {
    ///     let event = event?;
    ///     let Some(archive) = event.archive_of(&Measured::TYPES[0]) else { continue };
    ///     // SAFETY: the type, its layout and the place are as they have to be. This program alone appends to this
    ///     // database, in memory, and only by `series`; a list of numbers has nothing that lies on sixteen.
    ///     let measured = unsafe { rkyv::access_unchecked::<ArchivedMeasured>(archive) };
    ///     assert_eq!(measured.points.len(), 10_000);
    /// }
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn archive_of(&self, event_type: &annals_events::EventType) -> Option<&[u8]> {
        let (stored, data) = (self.event_type(), self.data());
        let is_one = self.format == EventFormat::Archive
            && stored.layout == event_type.fingerprint().as_u64()
            && stored.version == event_type.version()
            && stored.name == event_type.name();
        let fits = || data.as_ptr().addr().is_multiple_of(ARCHIVE_ALIGN_BYTES);
        (is_one && fits()).then_some(data)
    }

    fn ids(&self) -> Ids {
        extra::ids(self.label().extra).map(|(ids, _)| ids).unwrap_or_default()
    }

    /// The id that it was given.
    #[must_use]
    pub fn id(&self) -> Option<u128> {
        self.ids().event
    }

    /// The conversation that it belongs to.
    #[must_use]
    pub fn correlation(&self) -> Option<u128> {
        self.ids().correlation
    }

    /// The event or command that caused it.
    #[must_use]
    pub fn causation(&self) -> Option<u128> {
        self.ids().causation
    }

    /// Its hash and that of the event before it.
    pub(crate) fn link(&self) -> Option<Link> {
        extra::link(self.label().extra)
    }

    /// Its hash, as it stands in it; `None` in a category that is not
    /// [chained](crate::KeyspaceOptions::chained). Whether it is right says
    /// [`Category::verify_chain`](crate::Category::verify_chain).
    #[must_use]
    pub fn hash(&self) -> Option<EventHash> {
        self.link().map(|link| link.own)
    }

    /// The hash of the content that it has.
    pub(crate) fn content_hash(&self) -> crate::Result<Option<ContentHash>> {
        let (category, key) = (self.category(), &self.bytes[..self.key_len as usize]);
        let (event_type, format) = (&*self.event_type(), self.format);
        let (extra, data) = (self.label().extra, self.data());
        ContentHash::of(&Content { category, key, event_type, format, extra, data })
    }

    /// The pairs of texts that it was given, in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let rest = extra::ids(self.label().extra).map_or(&[][..], |(_, rest)| rest);
        extra::pairs(rest)
    }
}

impl fmt::Debug for RecordedEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedEvent")
            .field("category", &self.category())
            .field("stream", &self.stream())
            .field("version", &self.version)
            .field("seq", &self.seq)
            .field("type", &self.event_type())
            .field("data_bytes", &self.data_len)
            .finish_non_exhaustive()
    }
}

/// What was read of an event's record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    /// Without its extra part.
    pub(crate) label: Label<'static>,
    pub(crate) data_len: u32,
}

impl Read {
    /// Reads the label of an event's value. `None` if it has none.
    #[inline(always)]
    pub(crate) fn of(value: &[u8]) -> Option<Self> {
        let (data_len, label) = Label::split(value)?;
        Some(Self { label: Label { extra: &[], ..label }, data_len: data_len as u32 })
    }
}

/// What is to be known of an event to give it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) seq: Seq,
    pub(crate) version: u64,
    /// Where the key and the value lie in their segment.
    key: (u32, u32),
    value: (u32, u32),
    pub(crate) type_number: u32,
    data_len: u32,
    /// Which guard keeps it, if several do.
    pub(crate) guard: u16,
    /// Of which category it is, if it was found among those of several.
    pub(crate) category: u16,
    pub(crate) format: EventFormat,
}

impl Found {
    #[inline(always)]
    pub(crate) fn of(record: &Match, read: &Read, guard: usize) -> Self {
        let Match { seq, key, value, .. } = *record;
        let Label { type_number, version, format, .. } = read.label;
        let (data_len, guard, category) = (read.data_len, guard as u16, 0);
        Self { seq, version, key, value, type_number, data_len, guard, category, format }
    }

    /// Where its key, its data and its label lie, in one: offset and length.
    #[inline(always)]
    fn range(&self) -> (u32, u32) {
        (self.key.0, self.value.0 + self.value.1 - self.key.0)
    }

    /// Where its data lie: offset and length.
    #[inline(always)]
    pub(crate) fn data_range(&self) -> (u32, u32) {
        (self.value.0, self.data_len)
    }
}

impl Default for Found {
    fn default() -> Self {
        let (seq, format) = (Seq::ZERO, EventFormat::Bytes);
        let (key, value, guard, category) = ((0, 0), (0, 0), 0, 0);
        let (version, type_number, data_len) = (0, 0, 0);
        Self { seq, version, key, value, type_number, data_len, guard, category, format }
    }
}
