//! Categories of event streams: what the model says of them, and reading them in every way there is.
//!
//! In the model a stream is one record: what is left of it, how much of it is kept, and for each event its time and a
//! digest of all that is in it, its number included. So a state has a stream as it was after some commit, or it differs.
//! What limits leave of it at a time is worked out when somebody looks: nothing is written when an event is over.

use crate::model::{Records, State, Value};
use annals_engine::{Category, Database, Error, RecordedEvent, Seq, StreamId, StreamInfo};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// The streams of each category.
pub(crate) const STREAMS: u8 = 4;
/// The types of events.
pub(crate) const TYPES: [(&str, u32); 3] = [("placed", 1), ("paid", 1), ("placed", 2)];
/// How many events of a stream lie between two places that its table leads to.
const SPAN: u64 = 16;
/// The category whose events live for so long.
const BRIEF: (&str, u64) = ("events-2", 150);
/// The numbers in front of those of events in the record of a stream.
const HEAD: usize = 5;

/// Whether the keyspace of this name is a category.
pub(crate) fn is_category(name: &str) -> bool {
    name.starts_with("events-")
}

/// How long events of the category of this name live, in milliseconds.
pub(crate) fn ttl_ms(name: &str) -> Option<u64> {
    (name == BRIEF.0).then_some(BRIEF.1)
}

/// Streams of each shape that an id can have.
pub(crate) fn stream_id(stream: u8) -> StreamId<'static> {
    match stream % STREAMS {
        0 => StreamId::Number(0),
        1 => StreamId::Number(u64::MAX),
        2 => StreamId::Uuid(7),
        _ => StreamId::Text("cart-3".into()),
    }
}

/// The type of the event of a version.
pub(crate) fn type_of(version: u64) -> (&'static str, u32) {
    TYPES[(version % TYPES.len() as u64) as usize]
}

/// The id of the event of a version, the same in all streams; not each has one.
pub(crate) fn id_of(version: u64) -> Option<u128> {
    version.is_multiple_of(3).then(|| u128::from(version) + 1)
}

/// The key of a stream in the model.
pub(crate) fn stream_key(id: &StreamId<'_>) -> Vec<u8> {
    format!("stream {id}").into_bytes()
}

/// The key of an event type in the model.
pub(crate) fn type_key((name, version): (&str, u32)) -> Vec<u8> {
    format!("type {name} v{version}").into_bytes()
}

/// A stream in the model: what is left of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) first: u64,
    pub(crate) is_tombstone: bool,
    pub(crate) is_archived: bool,
    pub(crate) max_count: Option<u64>,
    pub(crate) max_age_ms: Option<u64>,
    /// The time of the newest event that it has had: none that comes is older. Readers do not see it.
    newest_ms: u64,
    /// A digest of each event from the first one on, and its time.
    events: Vec<(u64, u64)>,
}

impl Chain {
    pub(crate) fn of(value: &[u8]) -> Self {
        let number = |at: usize| u64::from_le_bytes(value[at..at + 8].try_into().unwrap());
        let (first, flags) = (number(0), number(8));
        let (max_count, max_age_ms) = (number(16).checked_sub(1), number(24).checked_sub(1));
        let newest_ms = number(32);
        let event = |at: usize| (number(at), number(at + 8));
        let events = (8 * HEAD..value.len()).step_by(16).map(event).collect();
        let (is_tombstone, is_archived) = (flags & 1 != 0, flags & 2 != 0);
        Self { first, is_tombstone, is_archived, max_count, max_age_ms, newest_ms, events }
    }

    /// How many events it has had.
    pub(crate) fn len(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Whether events are left.
    pub(crate) fn exists(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_tombstone || self.is_archived
    }

    /// The stream with one event more.
    pub(crate) fn add(
        mut self,
        (seq, time_ms): (u64, u64),
        (name, version): (&str, u32),
        data: &[u8],
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        let len = self.len();
        (len, seq, name, version, id_of(len), data).hash(&mut hasher);
        // A clock that was set back over a crash does not change the order of events.
        self.newest_ms = self.newest_ms.max(time_ms);
        self.events.push((hasher.finish(), self.newest_ms));
        self
    }

    /// The stream without events in front of `version`.
    pub(crate) fn truncate_before(&mut self, version: u64) {
        let version = version.clamp(self.first, self.len());
        self.events.drain(..(version - self.first) as usize);
        self.first = version;
    }

    /// The first version that its count leaves, and the first one that its age leaves as well.
    fn limits(&self, ttl_ms: Option<u64>, clock_ms: u64) -> (u64, u64) {
        let by_count = self.max_count.map_or(0, |count| self.len().saturating_sub(count));
        let by_count = by_count.max(self.first);
        let Some(age_ms) = self.age_ms(ttl_ms) else { return (by_count, by_count) };
        let left = &self.events[(by_count - self.first) as usize..];
        let over = left.iter().take_while(|(_, time_ms)| time_ms + age_ms <= clock_ms).count();
        (by_count, by_count + over as u64)
    }

    fn age_ms(&self, ttl_ms: Option<u64>) -> Option<u64> {
        [self.max_age_ms, ttl_ms].into_iter().flatten().min()
    }

    /// The stream as readers find it at a time, in a category whose events live for so long.
    pub(crate) fn left_at(mut self, ttl_ms: Option<u64>, clock_ms: u64) -> Self {
        let (_, first) = self.limits(ttl_ms, clock_ms);
        self.truncate_before(first);
        self.newest_ms = 0;
        self
    }

    /// When the last event was over that readers miss for its age at a time.
    pub(crate) fn latest_over(&self, ttl_ms: Option<u64>, clock_ms: u64) -> Option<u64> {
        let (by_count, first) = self.limits(ttl_ms, clock_ms);
        let last = (first > by_count).then(|| self.events[(first - 1 - self.first) as usize])?;
        Some(last.1 + self.age_ms(ttl_ms)?)
    }

    pub(crate) fn to_value(&self) -> Value {
        let flags = u64::from(self.is_tombstone) | u64::from(self.is_archived) << 1;
        let limits =
            [self.max_count, self.max_age_ms].map(|limit| limit.map_or(0, |limit| limit + 1));
        let head: [u64; HEAD] = [self.first, flags, limits[0], limits[1], self.newest_ms];
        let events = self.events.iter().flat_map(|(digest, time_ms)| [*digest, *time_ms]);
        head.into_iter().chain(events).flat_map(u64::to_le_bytes).collect::<Vec<u8>>().into()
    }
}

/// The stream in a record of a category; `None` of an event type.
pub(crate) fn chain_in(key: &[u8], value: &[u8]) -> Option<Chain> {
    key.starts_with(b"stream ").then(|| Chain::of(value))
}

/// How streams of a category differ from what they should be.
pub(crate) fn difference(expected: &Records, found: &Records) -> String {
    let mut out = String::new();
    for key in expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key))) {
        let (expected, found) = (expected.get(key), found.get(key));
        if expected == found {
            continue;
        }
        let left = |value: Option<&Value>| {
            let chain = chain_in(key, value?)?;
            let kept = (chain.max_count, chain.max_age_ms);
            let times: Vec<u64> = chain.events.iter().map(|(_, time_ms)| *time_ms).collect();
            Some((chain.first..chain.len(), chain.is_tombstone, chain.is_archived, kept, times))
        };
        let name = key.escape_ascii();
        out += &format!("{name}: {:?} expected, {:?} found; ", left(expected), left(found));
    }
    out
}

/// The categories of a database as the model has them, each stream read once.
pub(crate) fn categories(db: &Database, names: &[String]) -> Result<State, String> {
    let mut state = State::new();
    for name in names.iter().filter(|name| is_category(name)) {
        let read = || -> Result<Result<Records, String>, Error> {
            let category = db.open_category(name)?;
            records(&category)
        };
        let records = read().map_err(|error| format!("reading {name}: {error}"))??;
        state.insert(name.clone(), records);
    }
    Ok(state)
}

fn records(category: &Category) -> Result<Result<Records, String>, Error> {
    let mut found = Records::new();
    for of_type in category.event_types() {
        found.insert(type_key((&of_type.name, of_type.version)), Value::from([]));
    }
    let mut last_versions = BTreeMap::new();
    let mut told_twice = None;
    category.each_stream(|id, last| {
        if last_versions.insert(id.to_string(), (id.into_owned(), last)).is_some() {
            told_twice = Some(last);
        }
        Ok(())
    })?;
    if let Some(last) = told_twice {
        return Ok(Err(format!("a stream was told twice, with version {last}")));
    }
    for (id, last) in last_versions.into_values() {
        let mut chain = chain_of(category, &id)?;
        for event in category.read(&id)? {
            let event = event?;
            if event.version() != chain.len() {
                let (found, wanted) = (event.version(), chain.len());
                return Ok(Err(format!("{id} has version {found} where {wanted} comes")));
            }
            chain = with(chain, &event);
        }
        if chain.len() != last + 1 {
            let len = chain.len();
            return Ok(Err(format!("{id} ends at {last} and has {len} events")));
        }
        chain.newest_ms = 0;
        found.insert(stream_key(&id), chain.to_value());
    }
    // Those that none is left of.
    for id in (0..STREAMS).map(stream_id) {
        let chain = chain_of(category, &id)?;
        if chain != Chain::default() && !found.contains_key(&stream_key(&id)) {
            found.insert(stream_key(&id), chain.to_value());
        }
    }
    Ok(Ok(found))
}

/// A stream as a whole, without its events.
fn chain_of(category: &Category, id: &StreamId<'_>) -> Result<Chain, Error> {
    let StreamInfo { first_version: first, is_tombstone, is_archived, retention, .. } =
        category.info(id)?;
    let max_age_ms = retention.max_age.map(|age| age.as_millis() as u64);
    let max_count = retention.max_count;
    Ok(Chain { first, is_tombstone, is_archived, max_count, max_age_ms, ..Chain::default() })
}

fn with(chain: Chain, event: &RecordedEvent<'_>) -> Chain {
    let of_type = event.event_type();
    assert_eq!(event.id(), id_of(event.version()), "the id of {event:?}");
    let correlation = event.id().map(|id| id + 1);
    assert_eq!(event.correlation(), correlation, "the correlation of {event:?}");
    let place = (event.seq().0, event.time_ms());
    chain.add(place, (&of_type.name, of_type.version), event.data())
}

/// All ways to read a category agree.
pub(crate) fn agree(db: &Database, name: &str, records: &Records) -> Result<(), String> {
    let compare = || -> Result<(), Error> {
        let category = db.open_category(name)?;
        let mut in_order: BTreeMap<Seq, (String, u64)> = BTreeMap::new();
        let mut streams_count = 0;
        for id in (0..STREAMS).map(stream_id) {
            let stored = records.get(&stream_key(&id));
            let chain = stored.map(|value| Chain::of(value)).unwrap_or_default();
            let (len, exists) = (chain.len(), chain.exists());
            streams_count += u64::from(len > 0);
            let here = format!("{name}, {id}");
            assert_eq!(category.len(&id)?, len, "{here}: its length");
            assert_eq!(category.exists(&id)?, exists, "{here}: whether it is there");
            let last = category.last(&id)?.map(|event| event.version());
            assert_eq!(last, exists.then(|| len - 1), "{here}: its last version");
            let forward: Vec<_> = category.read(&id)?.collect::<Result<_, _>>()?;
            let mut back: Vec<_> = category.read(&id)?.back().collect::<Result<_, _>>()?;
            back.reverse();
            let same = |one: &RecordedEvent<'_>, other: &RecordedEvent<'_>| {
                (one.version(), one.seq(), one.time_ms(), one.data())
                    == (other.version(), other.seq(), other.time_ms(), other.data())
            };
            assert_eq!(back.len() as u64, len - chain.first, "{here}: backward");
            assert!(forward.iter().zip(&back).all(|(one, other)| same(one, other)), "{here}");
            let (first, last) = (chain.first, len.saturating_sub(1));
            for version in
                [0, 1, SPAN - 1, SPAN, len / 2, first, first.saturating_sub(1), last, len]
            {
                let got = category.get(&id, version)?;
                let index = version.checked_sub(chain.first);
                let expected = index.and_then(|index| forward.get(index as usize));
                assert_eq!(got.is_some(), expected.is_some(), "{here}: version {version}");
                let both = got.iter().zip(expected);
                assert!(both.into_iter().all(|(one, other)| same(one, other)), "{here}: get");
            }
            // Who reads many streams does not come across what is archived.
            for event in forward.iter().filter(|_| !chain.is_archived) {
                let there = in_order.insert(event.seq(), (id.to_string(), event.version()));
                assert_eq!(there, None, "{here}: two events of one number");
            }
        }
        assert_eq!(category.streams_count()?, streams_count, "{name}: streams");
        let place =
            |event: RecordedEvent<'_>| (event.seq(), (event.stream().to_string(), event.version()));
        let all: Vec<_> = in_order.into_iter().collect();
        let read = |from: Seq| -> Result<Vec<_>, Error> {
            category.read_all(from)?.map(|event| Ok(place(event?))).collect()
        };
        assert_eq!(read(Seq::ZERO)?, all, "{name}: in global order");
        if let Some((middle, _)) = all.get(all.len() / 2) {
            let tail = all.iter().filter(|(seq, _)| seq >= middle).cloned().collect::<Vec<_>>();
            assert_eq!(read(*middle)?, tail, "{name}: from the middle");
        }
        let of_db = |event: &RecordedEvent<'_>| event.category() == name;
        let of_all: Vec<_> = db
            .read_all(Seq::ZERO)?
            .filter(|event| event.as_ref().map_or(true, of_db))
            .map(|event| Ok(place(event?)))
            .collect::<Result<_, Error>>()?;
        assert_eq!(of_all, all, "{name}: among all categories");
        let of_type: Vec<_> = category
            .read_all(Seq::ZERO)?
            .of_type("paid")
            .map(|event| Ok(place(event?)))
            .collect::<Result<_, Error>>()?;
        let is_paid = |version: u64| type_of(version).0 == "paid";
        let paid = all.iter().filter(|(_, (_, version))| is_paid(*version));
        assert!(of_type.iter().eq(paid), "{name}: by type");
        Ok(())
    };
    compare().map_err(|error| format!("reading {name}: {error}"))
}
