//! What a commit will append to streams: which version each event gets, and what has to be so for it.
//!
//! Events are encoded before the writer lock is taken, with the versions that they will have if nobody
//! else appends to their streams meanwhile. Under the lock that is looked at again; if somebody has,
//! they are encoded anew there.

mod planned;

pub(crate) use planned::check;
pub(super) use planned::conflict;

use super::{
    EventType, ExpectedVersion, NewEvent, encode_extra,
    event::Read,
    extra,
    find::Stream,
    hash_chain::{ContentHash, content_hash},
    id::{StreamKey, id_of_key},
    label::{LABEL_BYTES_MAX, Label},
    new_events::NewEvents,
};
use crate::{
    Error, Result,
    catalog::{Change, Keyspace},
    core::Core,
    hash::ByHash,
};
use annals_journal::{Draft, FrameBuilder, Kind, Record, Run, pin};
use planned::{PlainLabel, Planned};
use std::{cell::Cell, collections::HashSet, mem::take, sync::Arc};

/// More than the record of a new type takes beside its name.
const TYPE_BYTES: usize = 256;

/// The time of an event is that of its commit within so many milliseconds, and of one that is over some time later
/// within a part of that time: one in so many.
const LATE_MS: u64 = 1_000;
const LATE_ONE_IN: u64 = 100;

/// Memory for more streams is not kept for the next commit of the thread.
const KEPT_STREAMS: usize = 1 << 10;

thread_local! {
    static MEMORY: Cell<Memory> = Cell::new(Memory::default());
}

/// Memory of a plan that is over: most have a few streams, and would grow to it step by step.
#[derive(Default)]
struct Memory {
    streams: Vec<Planned>,
    known: ByHash<(u32, u64), usize>,
    appends: Vec<PlannedAppend>,
}

/// What a commit appends.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    streams: Vec<Planned>,
    /// Places in `streams`, by category and hash; of streams with the same hash, of the last.
    known: ByHash<(u32, u64), usize>,
    appends: Vec<PlannedAppend>,
    /// The ids that events have, with the places of their streams.
    ids: HashSet<(usize, u128)>,
    /// The same, in the order of the events' records in the frame.
    ids_in_order: Vec<PlannedId>,
    /// Types that events have and their categories did not know.
    new_types: Vec<NewType>,
    /// The events that have them: the number of the record in the frame, and the place of the type.
    of_new_types: Vec<(usize, usize)>,
    /// The hashes of the contents of events of chained categories, in their order.
    contents: Vec<ContentHash>,
    /// The time that events were given first; 0 if there are none.
    time_ms: u64,
    value: Vec<u8>,
    extra: Vec<u8>,
}

/// Events of one stream whose records stand in the frame one behind the other.
#[derive(Debug)]
struct PlannedAppend {
    /// The number of the first one's record in the frame.
    index: usize,
    count: usize,
    /// The place of their stream.
    stream: usize,
    expected: ExpectedVersion,
}

/// The id that an event has.
#[derive(Debug)]
struct PlannedId {
    /// The number of its record in the frame.
    index: usize,
    /// The place of its stream.
    stream: usize,
    id: u128,
}

/// All of a frame: events of one stream and nothing else.
pub(crate) struct PlannedRun<'a> {
    pub(crate) category: &'a Keyspace,
    pub(crate) hash: u64,
    pub(crate) key: &'a [u8],
    pub(crate) first_version: u64,
    ids: &'a [PlannedId],
}

impl PlannedRun<'_> {
    /// The ids that events have, each with the number of its record in the frame.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (usize, u128)> {
        self.ids.iter().map(|planned| (planned.index, planned.id))
    }
}

/// An event type that a category gets with the first event that has it.
#[derive(Debug)]
struct NewType {
    category: Arc<Keyspace>,
    event_type: EventType,
    /// Known under the writer lock; until then the highest there is, which is as long as any.
    number: u32,
    /// Nobody else has brought it meanwhile.
    is_new: bool,
}

/// Events of one stream that are to be appended together.
pub(crate) struct Append<'a, E: ?Sized> {
    pub(crate) category: &'a Arc<Keyspace>,
    pub(crate) hash: u64,
    pub(crate) key: &'a StreamKey,
    pub(crate) events: &'a E,
    /// The numbers of the events' types; none of those that are new.
    pub(crate) types: &'a [Option<u32>],
    pub(crate) expected: ExpectedVersion,
}

impl Drop for Plan {
    fn drop(&mut self) {
        let (streams, appends) = (take(&mut self.streams), take(&mut self.appends));
        if !(1..=KEPT_STREAMS).contains(&streams.capacity()) || appends.capacity() > KEPT_STREAMS {
            return;
        }
        let mut memory = Memory { streams, known: take(&mut self.known), appends };
        memory.streams.clear();
        memory.known.clear();
        memory.appends.clear();
        // A thread that is ending keeps none.
        let _ = MEMORY.try_with(|kept| kept.set(memory));
    }
}

impl Plan {
    /// Takes the memory that the thread keeps.
    fn take_memory(&mut self) {
        let Memory { streams, known, appends } = MEMORY.try_with(Cell::take).unwrap_or_default();
        (self.streams, self.known, self.appends) = (streams, known, appends);
    }

    /// Whether it has no events.
    pub(crate) fn is_empty(&self) -> bool {
        self.appends.is_empty()
    }

    /// The stream whose events, and nothing else, the frame is, which has so many records; `None` if it is
    /// anything else, or brings a new type.
    pub(crate) fn only_run(&self, records: usize) -> Option<PlannedRun<'_>> {
        let ([append], true) = (&self.appends[..], self.new_types.is_empty()) else { return None };
        if append.count != records {
            return None;
        }
        let Planned { category, hash, key, next, .. } = &self.streams[append.stream];
        let (key, first_version) = (key.bytes(), next - records as u64);
        Some(PlannedRun { category, hash: *hash, key, first_version, ids: &self.ids_in_order })
    }

    /// How much longer the frame may get when it is encoded anew.
    pub(crate) fn slack_bytes(&self) -> usize {
        let types = self.new_types.iter();
        let types_bytes: usize = types.map(|new| TYPE_BYTES + 2 * new.event_type.name.len()).sum();
        let events: usize = self.appends.iter().map(|append| append.count).sum();
        events * LABEL_BYTES_MAX.next_multiple_of(8) + types_bytes
    }

    /// How many records of its own the frame may get in front of the others.
    pub(crate) fn slack_records(&self) -> usize {
        self.new_types.len()
    }

    /// What the commit changes in the catalog: a record each, in front of the others.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&Arc<Keyspace>, Change)> {
        self.new_types.iter().filter(|new| new.is_new).map(|new| {
            let (id, number, event_type) = (new.category.id, new.number, new.event_type.clone());
            (&new.category, Change::EventType { id, number, event_type })
        })
    }

    /// The last version that a commit of one stream's events gives.
    pub(crate) fn last_version(&self) -> u64 {
        self.streams.first().map_or(0, |stream| stream.next.saturating_sub(1))
    }

    /// Adds events to the frame.
    ///
    /// # Errors
    /// If the stream is not as expected, an event's id is there already, or the frame outgrows what
    /// one commit may have. The frame is then as it was.
    pub(crate) fn push<E: NewEvents + ?Sized>(
        &mut self,
        core: &Core,
        frame: &mut FrameBuilder<'_>,
        append: &Append<'_, E>,
    ) -> Result<()> {
        let (events, expected, place) = (append.events, append.expected, self.place(core, append)?);
        self.streams[place].check(expected)?;
        self.note_ids(core, place, events)?;
        let (index, contents) = (frame.count(), self.contents.len());
        let (new_types, of_new_types) = (self.new_types.len(), self.of_new_types.len());
        let Planned { next, last_at, last_hash, standing, .. } = self.streams[place];
        let now_ms = core.clock.now_ms();
        if self.appends.is_empty() {
            self.time_ms = now_ms;
        }
        let time_ms = self.streams[place].time_ms(now_ms);
        let mut run = Run::aligned(Kind::Event, append.category.id, append.key.bytes());
        let is_chained = append.category.is_chained();
        for (at, type_number) in append.types.iter().enumerate() {
            let plain = if is_chained { None } else { events.plain(at) };
            let pushed = match (plain, *type_number) {
                (Some((format, data)), Some(type_number)) => {
                    let label = PlainLabel { type_number, time_ms, format };
                    self.streams[place].push_plain(frame, &mut run, data, label)
                }
                (_, type_number) => events.with(at, |event| {
                    self.push_one(frame, &mut run, place, event, type_number, time_ms)
                }),
            };
            if let Err(error) = pushed {
                frame.truncate(index);
                self.contents.truncate(contents);
                self.new_types.truncate(new_types);
                self.of_new_types.truncate(of_new_types);
                self.forget_ids(place, events.ids());
                let stream = &mut self.streams[place];
                (stream.next, stream.last_at) = (next, last_at);
                (stream.last_hash, stream.standing) = (last_hash, standing);
                return Err(error);
            }
        }
        let planned = |(at, id)| PlannedId { index: index + at, stream: place, id };
        self.ids_in_order.extend(events.ids().map(planned));
        self.appends.push(PlannedAppend { index, count: events.count(), stream: place, expected });
        Ok(())
    }

    fn push_one(
        &mut self,
        frame: &mut FrameBuilder<'_>,
        run: &mut Run<'_>,
        place: usize,
        event: &NewEvent<'_>,
        type_number: Option<u32>,
        time_ms: u64,
    ) -> Result<()> {
        if type_number.is_none() {
            let new_type = self.place_of_type(place, event)?;
            self.of_new_types.push((frame.count(), new_type));
        }
        let stream = &mut self.streams[place];
        self.extra.clear();
        encode_extra(event, stream.category.is_chained(), &mut self.extra);
        let (category, key) = (&stream.category, stream.key.bytes());
        if let Some(content) = content_hash(category, key, event, type_number, &self.extra)? {
            stream.link(&content, time_ms, &mut self.extra);
            self.contents.push(content);
        }
        let at = frame.next_offset();
        let label = Label {
            type_number: type_number.unwrap_or(u32::MAX),
            version: stream.next,
            time_ms,
            format: event.format,
            before: stream.before(at),
            extra: &self.extra,
        };
        self.value.clear();
        label.encode(&mut self.value);
        frame.push_in(run, event.data, &self.value)?;
        stream.note_event(at);
        Ok(())
    }

    /// The place of an event's type among those that are new.
    fn place_of_type(&mut self, place: usize, event: &NewEvent<'_>) -> Result<usize> {
        let (category, wanted) = (&self.streams[place].category, event.type_of());
        let is_beside = |new: &NewType| Arc::ptr_eq(&new.category, category);
        for (place, new) in self.new_types.iter().enumerate().filter(|(_, new)| is_beside(new)) {
            // One whose layout is not known is a type of its own: its hash is made without any.
            if new.event_type.layout == wanted.layout && wanted.is_named(&new.event_type) {
                return Ok(place);
            }
            if wanted.excludes(&new.event_type) {
                return Err(wanted.differs(&category.name, &new.event_type));
            }
        }
        let (category, event_type) = (Arc::clone(category), event.event_type());
        self.new_types.push(NewType { category, event_type, number: u32::MAX, is_new: true });
        Ok(self.new_types.len() - 1)
    }

    /// The place of a stream, which is looked up when it comes for the first time.
    fn place<E: ?Sized>(&mut self, core: &Core, append: &Append<'_, E>) -> Result<usize> {
        let Append { category, hash, key, .. } = *append;
        let by = (category.id, hash);
        let is_it = |stream: &Planned| {
            stream.hash == hash
                && Arc::ptr_eq(&stream.category, category)
                && stream.key.bytes() == key.bytes()
        };
        match self.known.get(&by) {
            Some(place) if is_it(&self.streams[*place]) => return Ok(*place),
            Some(_) => {
                if let Some(place) = self.streams.iter().position(is_it) {
                    return Ok(place);
                }
            }
            None => {}
        }
        if self.streams.capacity() == 0 {
            self.take_memory();
        }
        let mut stream = Planned::new(Arc::clone(category), hash, key.clone());
        let found = match stream.look(core) {
            // Else the category would be told as one that is read anew: it is dropped, and its log given up.
            Err(Error::Stale) => {
                return Err(stream.category.check_alive().err().unwrap_or(Error::Stale));
            }
            found => found?,
        };
        stream.begin(found);
        self.streams.push(stream);
        self.known.insert(by, self.streams.len() - 1);
        Ok(self.streams.len() - 1)
    }

    /// Notes the ids of events that go to a stream, if none of them is in it, or will be.
    fn note_ids<E: NewEvents + ?Sized>(
        &mut self,
        core: &Core,
        place: usize,
        events: &E,
    ) -> Result<()> {
        for (noted, (_, id)) in events.ids().enumerate() {
            let checked = self.check_id(core, place, id);
            if checked.is_ok() && self.ids.insert((place, id)) {
                continue;
            }
            self.forget_ids(place, events.ids().take(noted));
            return checked.and_then(|()| Err(self.duplicate(place, id)));
        }
        Ok(())
    }

    /// Forgets ids of events that go to a stream.
    fn forget_ids(&mut self, place: usize, ids: impl Iterator<Item = (usize, u128)>) {
        for (_, id) in ids {
            self.ids.remove(&(place, id));
        }
    }

    /// Whether no event of this id is in the stream.
    fn check_id(&self, core: &Core, place: usize, id: u128) -> Result<()> {
        let stream = &self.streams[place];
        let pin = pin();
        let view = stream.category.view.read(&pin);
        let (space, hash, key) = (stream.category.id, stream.hash, stream.key.bytes());
        match core.event_of_id(&stream.category, &Stream { view, space, hash, key }, id)? {
            Some(_) => Err(self.duplicate(place, id)),
            None => Ok(()),
        }
    }

    #[cold]
    fn duplicate(&self, place: usize, id: u128) -> Error {
        let key = self.streams[place].key.bytes();
        let stream = id_of_key(key).map_or_else(String::new, |id| id.to_string());
        Error::DuplicateEvent { stream, id }
    }

    /// Makes the frame right for the streams as they are. Called under the writer lock.
    ///
    /// # Errors
    /// If a stream is not as expected any more, or a category has got archives of another layout.
    pub(crate) fn settle(
        &mut self,
        core: &Core,
        frame: &mut FrameBuilder<'_>,
        moved: bool,
    ) -> Result<()> {
        for PlannedId { stream, id, .. } in &self.ids_in_order {
            self.check_id(core, *stream, *id)?;
        }
        let has_new_types = !self.new_types.is_empty();
        self.number_types()?;
        let now_ms = core.clock.now_ms();
        if moved
            || has_new_types
            || self.is_late(now_ms)
            || !self.streams.iter().all(|stream| stream.is_as_it_was(core))
        {
            self.encode_anew(core, frame, now_ms)?;
        }
        Ok(())
    }

    /// Whether events were planned so long ago that they need the time at which they are appended: where they are
    /// over some time after it, they might be so already, and what the stream was taken for may have gone.
    fn is_late(&self, now_ms: u64) -> bool {
        let late_ms = now_ms.saturating_sub(self.time_ms);
        // Most commits have not been waiting.
        let is_late = |age_ms: u64| late_ms > age_ms / LATE_ONE_IN;
        late_ms > LATE_MS
            || late_ms > 0 && self.streams.iter().filter_map(Planned::age_ms).any(is_late)
    }

    /// Gives new types the numbers that they get now.
    ///
    /// # Errors
    /// [`Error::EventTypes`] if somebody has brought another layout of one of them meanwhile.
    fn number_types(&mut self) -> Result<()> {
        for index in 0..self.new_types.len() {
            let (before, [new, ..]) = self.new_types.split_at_mut(index) else { break };
            let types = &new.category.types;
            let known = types.known().own_number(&new.category.name, &new.event_type)?;
            let is_beside =
                |other: &&NewType| other.is_new && Arc::ptr_eq(&other.category, &new.category);
            let next = || types.count() + before.iter().filter(is_beside).count() as u32;
            (new.number, new.is_new) = (known.unwrap_or_else(next), known.is_none());
        }
        Ok(())
    }

    #[cold]
    fn encode_anew(
        &mut self,
        core: &Core,
        frame: &mut FrameBuilder<'_>,
        now_ms: u64,
    ) -> Result<()> {
        for stream in &mut self.streams {
            let found = stream.look(core)?;
            stream.begin(found);
        }
        let with_previous = frame.has_room_for_previous();
        let mut anew = FrameBuilder::new();
        anew.reserve_previous(false);
        for (_, change) in self.changes() {
            anew.push(&catalog_draft(&change.id().to_le_bytes(), &change.encode()))?;
        }
        let mut appends = self.appends.iter().peekable();
        let mut of_new_types = self.of_new_types.iter().peekable();
        let mut contents = self.contents.iter();
        for index in 0..frame.count() {
            let record = frame.record(index);
            let is_behind = |append: &&PlannedAppend| append.index + append.count <= index;
            while appends.next_if(is_behind).is_some() {}
            let Some(append) = appends.peek().filter(|append| append.index <= index) else {
                let Record { kind, space, key, value, expires_ms, aligned, .. } = record;
                anew.reserve_previous(with_previous);
                anew.push(&Draft { kind, space, key, value, expires_ms, aligned })?;
                continue;
            };
            let stream = &mut self.streams[append.stream];
            if index == append.index {
                stream.check(append.expected)?;
            }
            let at = anew.next_offset();
            let (data_len, label) =
                Label::split(record.value).expect("an event that was just encoded");
            let time_ms = stream.time_ms(now_ms);
            self.extra.clear();
            self.extra.extend_from_slice(label.extra);
            if stream.category.is_chained() {
                let content = contents.next().expect("each event of a chained category has one");
                stream.link(content, time_ms, &mut self.extra);
            }
            let (version, before, extra) = (stream.next, stream.before(at), &*self.extra);
            let new_type = of_new_types.next_if(|(of, _)| *of == index);
            let new_type = new_type.map(|(_, place)| self.new_types[*place].number);
            let type_number = new_type.unwrap_or(label.type_number);
            let label = Label { type_number, version, time_ms, before, extra, ..label };
            encode(&record.value[..data_len], &label, &mut self.value);
            anew.reserve_previous(false);
            push_event(&mut anew, stream, &self.value)?;
            stream.note_event(at);
        }
        anew.reserve_previous(with_previous);
        *frame = anew;
        Ok(())
    }
}

/// A record that changes the catalog.
pub(crate) fn catalog_draft<'a>(key: &'a [u8], value: &'a [u8]) -> Draft<'a> {
    let (kind, space, expires_ms) = (Kind::Catalog, 0, None);
    Draft { kind, space, key, value, expires_ms, aligned: false }
}

/// Data and label, as the value of a record.
fn encode(data: &[u8], label: &Label<'_>, value: &mut Vec<u8>) {
    value.clear();
    value.extend_from_slice(data);
    label.encode(value);
}

fn push_event(frame: &mut FrameBuilder<'_>, stream: &Planned, value: &[u8]) -> Result<()> {
    let (space, key) = (stream.category.id, stream.key.bytes());
    let (kind, expires_ms) = (Kind::Event, None);
    frame.push(&Draft { kind, space, key, value, expires_ms, aligned: true })?;
    Ok(())
}

/// What an event's record says of it, and its id.
pub(crate) fn read_record(record: &Record<'_>) -> Option<(Read, Option<u128>)> {
    let (data_len, label) = Label::split(record.value)?;
    let id = if label.extra.is_empty() { None } else { extra::ids(label.extra)?.0.event };
    let read = Read { label: Label { extra: &[], ..label }, data_len: data_len as u32 };
    Some((read, id))
}
