//! Events that are to be appended together, in whatever they lie.
//!
//! To make a list of [`NewEvent`]s of many small events takes more memory than they do, and more time than to
//! encode them: where their archives lie one behind the other, each is told of when it is its turn.

use super::{NewEvent, extra::Ids};
use annals_events::{EventFormat, EventType};

/// Events in the order in which they will stand in their stream.
pub(crate) trait NewEvents {
    fn count(&self) -> usize;

    /// Runs `work` with one of them.
    fn with<R>(&self, index: usize, work: impl FnOnce(&NewEvent<'_>) -> R) -> R;

    /// Format and data of one of them, if it has nothing beside them.
    fn plain(&self, index: usize) -> Option<(EventFormat, &[u8])>;

    /// The id that one of them has.
    fn id(&self, index: usize) -> Option<u128>;

    /// The ids that they have, each with the place of its event among them.
    fn ids(&self) -> impl Iterator<Item = (usize, u128)>;

    /// Whether it is known at a glance that one of them is of the type and format of the one before it, and not too
    /// long: nobody has to look at each of many for its type.
    #[inline]
    fn is_like_before(&self, index: usize) -> bool {
        let _ = index;
        false
    }
}

impl NewEvents for [NewEvent<'_>] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn with<R>(&self, index: usize, work: impl FnOnce(&NewEvent<'_>) -> R) -> R {
        work(&self[index])
    }

    #[inline]
    fn plain(&self, index: usize) -> Option<(EventFormat, &[u8])> {
        let NewEvent { ids, pairs, format, data, .. } = &self[index];
        (pairs.is_empty() && *ids == Ids::default()).then_some((*format, *data))
    }

    #[inline]
    fn id(&self, index: usize) -> Option<u128> {
        self[index].ids.event
    }

    fn ids(&self) -> impl Iterator<Item = (usize, u128)> {
        self.iter().enumerate().filter_map(|(index, event)| Some((index, event.ids.event?)))
    }
}

/// The archives of several events, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Archives<'n> {
    bytes: Vec<u8>,
    /// Of each the type, and where its archive ends.
    events: Vec<(&'static EventType, usize)>,
    /// What they have beside their archives, up to the last one that has any: most have nothing.
    dressed: Vec<Dressed<'n>>,
}

/// What an event has beside its archive.
#[derive(Debug, Default)]
struct Dressed<'n> {
    ids: Ids,
    pairs: Vec<(&'n str, &'n str)>,
}

impl Dressed<'_> {
    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.ids == Ids::default() && self.pairs.is_empty()
    }
}

impl<'n> Archives<'n> {
    /// None, with room for so many.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { events: Vec::with_capacity(count), ..Self::default() }
    }

    /// Adds the archive of an event.
    #[inline]
    pub(crate) fn push(&mut self, event_type: &'static EventType, archive: &[u8]) {
        if self.events.is_empty() {
            // The others are expected to be like this one, up to a length.
            let expected = archive.len().saturating_mul(self.events.capacity());
            self.bytes.reserve(expected.min(EXPECTED_BYTES_MAX));
        }
        self.bytes.extend_from_slice(archive);
        self.events.push((event_type, self.bytes.len()));
    }

    /// One of them, and its type.
    #[inline]
    fn archive(&self, index: usize) -> (&'static EventType, &[u8]) {
        let start = index.checked_sub(1).map_or(0, |before| self.events[before].1);
        let (event_type, end) = self.events[index];
        (event_type, &self.bytes[start..end])
    }

    /// Lets the last of them have the ids and pairs of `dressed`.
    #[inline(always)]
    pub(crate) fn dress_last(&mut self, dressed: NewEvent<'n>) {
        let NewEvent { ids, pairs, .. } = dressed;
        let dressed = Dressed { ids, pairs };
        if !dressed.is_empty() {
            self.dressed.resize_with(self.events.len() - 1, Dressed::default);
            self.dressed.push(dressed);
        }
    }
}

/// Archives of this length are far from what is too long for a record.
const SHORT_BYTES: usize = 1 << 20;

/// Room is made at once for no more bytes than this: the first archive may be a large one among small ones.
const EXPECTED_BYTES_MAX: usize = 1 << 20;

impl NewEvents for Archives<'_> {
    #[inline]
    fn count(&self) -> usize {
        self.events.len()
    }

    #[inline]
    fn with<R>(&self, index: usize, work: impl FnOnce(&NewEvent<'_>) -> R) -> R {
        let (event_type, archive) = self.archive(index);
        let mut event = NewEvent::archive(event_type, archive);
        if let Some(Dressed { ids, pairs }) = self.dressed.get(index) {
            (event.ids, event.pairs) = (*ids, pairs.clone());
        }
        work(&event)
    }

    #[inline]
    fn is_like_before(&self, index: usize) -> bool {
        let Some([(before, start), (event_type, end)]) = self.events[..=index].last_chunk() else {
            return false;
        };
        // What stands behind the archive of an event that has nothing else is short.
        let is_short = index >= self.dressed.len() && end - start <= SHORT_BYTES;
        is_short && std::ptr::eq(*before, *event_type)
    }

    #[inline]
    fn plain(&self, index: usize) -> Option<(EventFormat, &[u8])> {
        let is_plain = self.dressed.get(index).is_none_or(Dressed::is_empty);
        is_plain.then(|| (EventFormat::Archive, self.archive(index).1))
    }

    fn ids(&self) -> impl Iterator<Item = (usize, u128)> {
        let dressed = self.dressed.iter().enumerate();
        dressed.filter_map(|(index, dressed)| Some((index, dressed.ids.event?)))
    }

    #[inline]
    fn id(&self, index: usize) -> Option<u128> {
        self.dressed.get(index).and_then(|dressed| dressed.ids.event)
    }
}
