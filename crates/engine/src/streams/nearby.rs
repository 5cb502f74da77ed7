//! What a thread remembers of the span in which it looked an event up last.
//!
//! To get an event is to walk to it from the end of its span. Who gets one often gets its neighbours next, and
//! the walk came by these. Where the stream stands in the log in one [stretch](Stretch), what comes next is right
//! behind.

use super::{
    chains::{SPAN, is_waypoint},
    cursor::AHEAD_BYTES,
    event::{Found, Read},
    find::Stream,
    stretch::Stretch,
};
use crate::{core::Core, hash::hash_key};
use annals_journal::{Address, Match, SegmentGuard};
use std::cell::RefCell;

/// Where events of one span are that lie in one segment.
#[derive(Clone, Copy)]
pub(crate) struct Nearby {
    /// Which database, in which of its states; 0: none.
    core: u64,
    space: u32,
    hash: u64,
    /// The stream's key, if it is not longer than that: who gets many events of a stream is spared its hash.
    key: [u8; KEY_BYTES],
    key_len: u32,
    span: u64,
    slot: u32,
    /// The segment's number: what is in the slot later has another one.
    generation: u32,
    /// The offsets of events; 0 of those that it does not know.
    offsets: [u32; SPAN as usize],
    /// What comes behind the last event that was got, if that is known.
    stretch: Stretch,
}

/// Longer keys are told by their hashes. That of a UUID is not longer.
const KEY_BYTES: usize = 24;
/// A stretch has so many spans at most: what leads to it is looked up once for all of them.
const STRETCH_SPANS: u64 = 16;

thread_local! {
    static NEARBY: RefCell<Nearby> = const { RefCell::new(Nearby::NOTHING) };
}

impl Nearby {
    const NOTHING: Self = Self {
        core: 0,
        space: 0,
        hash: 0,
        key: [0; KEY_BYTES],
        key_len: u32::MAX,
        span: 0,
        slot: 0,
        generation: 0,
        offsets: [0; SPAN as usize],
        stretch: Stretch::NOTHING,
    };

    /// What will be remembered of the span with this version.
    pub(crate) fn new(core: &Core, stream: &Stream<'_>, version: u64) -> Self {
        let (space, hash, span) = (stream.space, stream.hash, version / SPAN);
        let mut nearby = Self { core: core.number, space, hash, span, ..Self::NOTHING };
        if let Some(key) = nearby.key.get_mut(..stream.key.len()) {
            key.copy_from_slice(stream.key);
            nearby.key_len = stream.key.len() as u32;
        }
        nearby
    }

    /// Notes where an event is that a walk came by.
    #[inline]
    pub(crate) fn note(&mut self, guard: &SegmentGuard<'_>, offset: u32, version: u64) {
        if version / SPAN != self.span {
            return;
        }
        if self.generation == 0 {
            (self.slot, self.generation) = (guard.slot(), guard.generation());
        }
        if (self.slot, self.generation) == (guard.slot(), guard.generation()) {
            self.offsets[(version % SPAN) as usize] = offset;
        }
    }

    /// Remembers it, and nothing else.
    pub(crate) fn keep(self) {
        // A thread that is ending remembers nothing.
        let _ = NEARBY.try_with(|kept| kept.replace(self));
    }

    fn is_of(&self, core: &Core, stream: &Stream<'_>) -> bool {
        self.hash == stream.hash && self.space == stream.space && self.core == core.number
    }

    /// The stream's hash, if this is of the stream with this key.
    #[inline(always)]
    fn hash_of(&self, core: &Core, space: u32, key: &[u8]) -> Option<u64> {
        if self.space != space || self.core != core.number {
            return None;
        }
        if key.len() > KEY_BYTES {
            return Some(hash_key(core.hash_seed, key)).filter(|hash| *hash == self.hash);
        }
        let is_it = self.key_len as usize == key.len() && is_same(&self.key[..key.len()], key);
        is_it.then_some(self.hash)
    }

    /// Where the event of this version may be, if that is known, and whether it is the next one of the stretch.
    #[inline(always)]
    fn place_of(&self, version: u64) -> Option<(u32, bool)> {
        let is_next = self.stretch.version() == version && !self.stretch.is_read();
        let offset = if is_next { self.stretch.offset() } else { self.offset_of(version)? };
        Some((offset, is_next))
    }

    fn offset_of(&self, version: u64) -> Option<u32> {
        let offset = self.offsets[(version % SPAN) as usize];
        Some(offset).filter(|offset| self.span == version / SPAN && *offset != 0)
    }
}

/// Whether two keys of the same length are the same, byte by byte: most are a few bytes long.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// Where an event may be, as the thread remembers it.
#[derive(Clone, Copy)]
pub(crate) struct Near {
    /// The hash of its stream.
    pub(crate) hash: u64,
    slot: u32,
    generation: u32,
    offset: u32,
    /// Whether it is the next one of the stretch.
    is_next: bool,
}

impl Near {
    /// The place of the event of this version of the stream with this key, if this thread came by it, or it may be
    /// right behind the last one.
    #[inline(always)]
    pub(crate) fn find(core: &Core, space: u32, key: &[u8], version: u64) -> Option<Self> {
        let look = |kept: &RefCell<Nearby>| {
            let kept = kept.try_borrow().ok()?;
            let hash = kept.hash_of(core, space, key)?;
            let (offset, is_next) = kept.place_of(version)?;
            let Nearby { slot, generation, .. } = *kept;
            Some(Self { hash, slot, generation, offset, is_next })
        };
        NEARBY.try_with(look).ok()?
    }
}

/// The event of this version, if it is there, or right behind the last one in the same frame. It may have been moved
/// since; it is the same.
///
/// What it finds goes through no memory on the way out: whoever gets many in a row would wait for that longer than
/// for all else.
#[inline(always)]
pub(crate) fn event_nearby<'c>(
    core: &'c Core,
    stream: &Stream<'_>,
    version: u64,
    near: &Near,
) -> Option<(SegmentGuard<'c>, Found)> {
    let Near { slot, generation, offset, is_next, .. } = *near;
    core.journal.prefetch(Address { slot, offset: offset.saturating_add(AHEAD_BYTES) });
    let guard = core.journal.guard(slot)?;
    if guard.generation() != generation {
        return None;
    }
    let (record, read) = stream.event_in(&guard, offset, version)?;
    if is_next && !passes(&record) {
        return None;
    }
    Some((guard, Found::of(&record, &read, 0)))
}

/// Goes behind a record of the stretch that the thread is in; false if it is not the next one of that.
#[inline(always)]
fn passes(record: &Match) -> bool {
    let pass = |kept: &RefCell<Nearby>| {
        kept.try_borrow_mut().is_ok_and(|mut kept| kept.stretch.pass(record).is_some())
    };
    NEARBY.try_with(pass).unwrap_or(false)
}

/// The same, if it is right behind the last one, and a frame begins with it.
#[inline(never)]
pub(crate) fn event_in_next_frame<'c>(
    core: &'c Core,
    stream: &Stream<'_>,
    version: u64,
    near: &Near,
) -> Option<(SegmentGuard<'c>, Found)> {
    if !near.is_next {
        return None;
    }
    let look = |kept: &RefCell<Nearby>| {
        let mut kept = kept.try_borrow_mut().ok()?;
        if !kept.is_of(core, stream) || !kept.place_of(version)?.1 {
            return None;
        }
        let guard = core.journal.guard(kept.slot)?;
        if guard.generation() != kept.generation {
            return None;
        }
        let (record, read) = kept.stretch.next(stream, &guard)?;
        Some((guard, Found::of(&record, &read, 0)))
    };
    NEARBY.try_with(look).ok()?
}

/// The event of this version, if it is the first of a span, this thread was in the one in front of that, and the
/// stream is one stretch there: then those that follow are nearby. The caller is pinned.
#[inline(never)]
pub(crate) fn begin_stretch<'c>(
    core: &'c Core,
    stream: &Stream<'_>,
    version: u64,
) -> Option<(SegmentGuard<'c>, Match, Read)> {
    let before = version.checked_sub(1).filter(|before| is_waypoint(*before))?;
    let kept = |kept: &RefCell<Nearby>| {
        let mut kept = kept.try_borrow_mut().ok()?;
        let was_in_front = kept.span == before / SPAN || kept.stretch.version() == version;
        if !was_in_front || !kept.is_of(core, stream) {
            return None;
        }
        let last = version.checked_add(STRETCH_SPANS * SPAN)? - 1;
        let (mut stretch, guard) = Stretch::between(core, stream, before, last)?;
        let (record, read) = stretch.next(stream, &guard)?;
        let (slot, generation) = (guard.slot(), guard.generation());
        *kept = Nearby { slot, generation, stretch, ..Nearby::new(core, stream, version) };
        Some((guard, record, read))
    };
    NEARBY.try_with(kept).ok()?
}
