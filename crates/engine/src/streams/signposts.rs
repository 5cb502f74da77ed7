//! Finding the event of a number.
//!
//! Records of a segment stand in the order of their numbers, but each is as long as it is: to come to one,
//! those in front of it are passed. What is learned on the way is kept: a *signpost* for each
//! [`STEP_BYTES`] of a segment says which record begins there. So a segment is gone through once, and a
//! look-up passes what one step has. Who goes on to the next numbers passes nothing: a thread remembers where
//! it has been.

use super::{
    RecordedEvent,
    cursor::AHEAD_BYTES,
    event::{CategoryRef, Found, Read},
    find::{Event, Stream},
    meanwhile::{self, Moment},
};
use crate::{
    Error, Result,
    catalog::Listed,
    core::Core,
    hash::{Hit, hash_key},
};
use annals_journal::{
    Address, FrameKind, Kind, Match, SegmentGuard, SegmentInfo, SegmentKind, Seq, pin,
};
use arc_swap::ArcSwap;
use std::{cell::Cell, collections::HashMap, sync::Arc};

/// One signpost for so many bytes of a segment: a five-hundredth of it in memory, once it is asked for.
const STEP_BYTES: u32 = 8 << 10;

/// The signposts of the segments that were asked for, by slot.
#[derive(Debug, Default)]
pub(crate) struct Signposts(ArcSwap<HashMap<u32, Arc<Posts>>>);

/// The signposts of a segment, in its order. Only ever grow.
#[derive(Debug)]
struct Posts {
    generation: u32,
    posts: ArcSwap<Vec<Post>>,
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, Debug)]
struct Post {
    /// The number of the record that begins there, less the segment's lowest.
    delta: u32,
    place: Place,
}

/// A place in a segment: in front of a record, or behind the last one of a frame.
#[derive(Clone, Copy, Debug)]
struct Place {
    record_at: u32,
    /// How many records of the frame are left.
    records_left: u32,
    /// Where the next frame begins.
    frame_at: u32,
}

impl Place {
    #[inline]
    fn pass(&mut self, len: u32) {
        self.record_at += len;
        self.records_left -= 1;
    }

    /// In front of the first record of the next frame; false if there is none yet. Of a frame whose records all
    /// have lower numbers than `seq` it is behind the last one, if it need not go through them.
    #[inline]
    fn next_frame(
        &mut self,
        guard: &SegmentGuard<'_>,
        seq: Seq,
        skips: impl Fn(u32) -> bool,
    ) -> Result<bool> {
        let header = loop {
            match guard.frame_header(self.frame_at) {
                Ok(Some(header)) => break header,
                Ok(None) => return Ok(false),
                // Damage in front of it keeps nobody from finding it.
                Err(error) => match guard.frame_behind_damage(self.frame_at, seq) {
                    Some(behind) => self.frame_at = behind,
                    None => return Err(error.into()),
                },
            }
        };
        let record_at = guard.first_record(self.frame_at);
        let frame_at = self.frame_at + header.len;
        // Frames of moved records say only which is the lowest number in them.
        let is_before = header.kind == FrameKind::Commit && header.next_seq() <= seq;
        let records_left = if is_before && skips(frame_at) { 0 } else { header.count };
        *self = Self { record_at, records_left, frame_at };
        Ok(true)
    }
}

/// Where a thread found an event by its number last.
#[derive(Clone, Copy)]
struct Trail {
    /// Which database, in which of its states; 0: none.
    core: u64,
    slot: u32,
    /// The segment's number: what is in the slot later has another one.
    generation: u32,
    /// Behind the record with the number before this one.
    next: Seq,
    place: Place,
}

thread_local! {
    static TRAIL: Cell<Trail> = const { Cell::new(Trail::NOTHING) };
}

/// A number that is so much higher than the one before is looked up all the same.
const TRAIL_RECORDS: u64 = 16;

impl Trail {
    const NOTHING: Self = Self {
        core: 0,
        slot: 0,
        generation: 0,
        next: Seq::ZERO,
        place: Place { record_at: 0, records_left: 0, frame_at: 0 },
    };

    /// Remembers that the record with the number `seq` stands at `place`, which is moved behind it.
    #[inline]
    fn keep(core: &Core, guard: &SegmentGuard<'_>, mut place: Place, record: &Match) {
        place.pass(record.len);
        let (slot, generation) = (guard.slot(), guard.generation());
        let trail = Self { core: core.number, slot, generation, next: record.seq.plus(1), place };
        // A thread that is ending remembers nothing.
        let _ = TRAIL.try_with(|kept| kept.set(trail));
    }
}

impl Posts {
    fn new(generation: u32) -> Self {
        Self { generation, posts: ArcSwap::default() }
    }

    /// Adds signposts behind those that were known. Of several who went the same way, who came further has
    /// said all that the others can say.
    fn add(&self, known: &[Post], laid: &[Post]) {
        let Some(last) = laid.last() else { return };
        let all = Arc::new([known, laid].concat());
        self.posts.rcu(|now| match now.last() {
            Some(furthest) if furthest.delta >= last.delta => Arc::clone(now),
            _ => Arc::clone(&all),
        });
    }

    /// In front of the record with this number; `None` if it is not in the segment.
    fn find(&self, guard: &SegmentGuard<'_>, seq: Seq) -> Result<Option<Place>> {
        let (base, known) = (guard.base_seq(), self.posts.load());
        let delta = |seq: Seq| u32::try_from(seq.0.saturating_sub(base.0)).unwrap_or(u32::MAX);
        let passed = known.partition_point(|post| post.delta <= delta(seq));
        let start = Place { record_at: 0, records_left: 0, frame_at: guard.first_frame() };
        let mut place = passed.checked_sub(1).map_or(start, |last| known[last].place);
        // Behind the last one nobody has gone yet.
        let mut next_post = match passed == known.len() {
            true => place.record_at.saturating_add(STEP_BYTES),
            false => u32::MAX,
        };
        let mut laid = Vec::new();
        let found = loop {
            if place.records_left == 0 {
                if !place.next_frame(guard, seq, |end| end < next_post)? {
                    break None;
                }
                continue;
            }
            guard.prefetch(place.record_at.saturating_add(AHEAD_BYTES));
            let (_, record) = guard.match_in_frame(place.record_at)?;
            if record.seq >= seq {
                break (record.seq == seq).then_some(place);
            }
            if place.record_at >= next_post {
                laid.push(Post { delta: delta(record.seq), place });
                next_post = place.record_at.saturating_add(STEP_BYTES);
            }
            place.pass(record.len);
        };
        self.add(&known, &laid);
        Ok(found)
    }
}

impl Signposts {
    /// Those of a segment. What is known of segments that are gone is forgotten when one comes.
    fn of(
        &self,
        guard: &SegmentGuard<'_>,
        segments: impl FnOnce() -> Vec<SegmentInfo>,
    ) -> Arc<Posts> {
        let (slot, generation) = (guard.slot(), guard.generation());
        let known = |all: &HashMap<u32, Arc<Posts>>| {
            all.get(&slot).filter(|of| of.generation == generation).cloned()
        };
        if let Some(known) = known(&self.0.load()) {
            return known;
        }
        let (new, segments) = (Arc::new(Posts::new(generation)), segments());
        self.0.rcu(|all| {
            let is_there = |(slot, of): &(&u32, &Arc<Posts>)| {
                segments.iter().any(|info| info.slot == **slot && info.generation == of.generation)
            };
            let left = all.iter().filter(is_there).map(|(slot, of)| (*slot, Arc::clone(of)));
            let mut next: HashMap<_, _> = left.collect();
            let of = known(all).unwrap_or_else(|| Arc::clone(&new));
            next.insert(slot, of);
            next
        });
        known(&self.0.load()).unwrap_or(new)
    }
}

impl Core {
    /// The event with this number, and its category. Published ones only.
    pub(crate) fn event_at_seq(&self, seq: Seq) -> Result<Option<(u32, Event<'_>)>> {
        if seq > self.visible_seq() {
            return Ok(None);
        }
        match self.place_on_trail(seq)? {
            Some((guard, offset, space, record)) => event_of(guard, offset, space, record),
            None => self.event_at_posts(seq),
        }
    }

    /// Where the record is, if this thread was right in front of it, and its category.
    #[inline(always)]
    fn place_on_trail(&self, seq: Seq) -> Result<Option<(SegmentGuard<'_>, u32, u32, Match)>> {
        let Ok(Trail { core, slot, generation, next, mut place }) = TRAIL.try_with(Cell::get)
        else {
            return Ok(None);
        };
        let is_near = seq.0.checked_sub(next.0).is_some_and(|ahead| ahead < TRAIL_RECORDS);
        if core != self.number || !is_near {
            return Ok(None);
        }
        let guard = self.journal.guard(slot).filter(|guard| guard.generation() == generation);
        let Some(guard) = guard else { return Ok(None) };
        loop {
            if place.records_left == 0 {
                if !place.next_frame(&guard, seq, |_| true)? {
                    return Ok(None);
                }
                continue;
            }
            guard.prefetch(place.record_at.saturating_add(AHEAD_BYTES));
            let (space, record) = guard.match_in_frame(place.record_at)?;
            if record.seq < seq {
                place.pass(record.len);
                continue;
            }
            if record.seq > seq {
                return Ok(None);
            }
            Trail::keep(self, &guard, place, &record);
            return Ok(Some((guard, place.record_at, space, record)));
        }
    }

    #[cold]
    fn event_at_posts(&self, seq: Seq) -> Result<Option<(u32, Event<'_>)>> {
        for guard in self.guards_by_number(seq) {
            let posts = self.signposts.of(&guard, || self.journal.segments());
            if let Some(place) = posts.find(&guard, seq)? {
                let (space, record) = guard.match_in_frame(place.record_at)?;
                Trail::keep(self, &guard, place, &record);
                return event_of(guard, place.record_at, space, record);
            }
        }
        Ok(None)
    }

    /// The segments that may have the record with this number, the likeliest first.
    fn guards_by_number(&self, seq: Seq) -> Vec<SegmentGuard<'_>> {
        // What of segments that are given up from here on is moved is in others that were complete before: the
        // record is in one of those that are found, or gone.
        let _pin = pin();
        loop {
            let segments = self.journal.segments();
            meanwhile::run(Moment::SegmentsListed);
            let guard = |info: &SegmentInfo| {
                let guard = self.journal.guard(info.slot)?;
                (guard.generation() == info.generation).then_some(guard)
            };
            // One that was given up before may have gone in between: of those there are only so many.
            if let Some(guards) = in_order(&segments, seq).into_iter().map(guard).collect() {
                return guards;
            }
        }
    }
}

impl Core {
    /// The event with this number, if readers may see it.
    pub(crate) fn recorded_at(&self, seq: Seq) -> Result<Option<RecordedEvent<'_>>> {
        if seq > self.visible_seq() {
            return Ok(None);
        }
        if let Some((guard, offset, space, record)) = self.place_on_trail(seq)? {
            if record.kind != Kind::Event {
                return Ok(None);
            }
            let catalog = self.catalog.load();
            let Some(listed) = catalog.by_id(space) else { return Ok(None) };
            let read = Read::of(guard.bytes(record.value.0, record.value.1));
            if let Some(read) = read
                && self.shows_all(&listed.keyspace)
            {
                let found = Found::of(&record, &read, 0);
                let category = CategoryRef::of(&listed.keyspace, None);
                return Ok(Some(RecordedEvent::new(category, guard, &found)));
            }
            let event = event_of(guard, offset, space, record)?;
            return event.map_or(Ok(None), |(space, event)| self.recorded_of(space, event));
        }
        let event = self.event_at_posts(seq)?;
        event.map_or(Ok(None), |(space, event)| self.recorded_of(space, event))
    }

    /// The event, if readers may see it.
    #[cold]
    fn recorded_of<'c>(&self, space: u32, event: Event<'c>) -> Result<Option<RecordedEvent<'c>>> {
        // Of a category that was dropped nothing is read.
        let catalog = self.catalog.load();
        let Some(listed) = catalog.by_id(space) else { return Ok(None) };
        meanwhile::run(Moment::EventScanned);
        let is_left = match self.is_event_left(listed, &event) {
            // It was dropped since.
            Err(Error::Stale) if !listed.keyspace.is_alive() => false,
            is_left => is_left?,
        };
        let category = CategoryRef::of(&listed.keyspace, None);
        Ok(is_left.then(|| Self::recorded(category, event)))
    }

    /// Whether readers may still see this event.
    fn is_event_left(&self, listed: &Listed, event: &Event<'_>) -> Result<bool> {
        let (at, len) = event.hit.record.key;
        let (view, space, key) =
            (&*listed.view, listed.keyspace.id, event.hit.guard.bytes(at, len));
        let stream = Stream { view, space, hash: hash_key(self.hash_seed, key), key };
        let Some(limits) = self.limits_of(&listed.keyspace, &stream)? else { return Ok(true) };
        let (version, time_ms) = (event.version(), event.read.label.time_ms);
        let last = self.last_event(&stream)?.map_or(version, |last| last.version());
        Ok(self.is_left(&limits, (version, time_ms), last))
    }
}

/// The segments that may have the record with this number, the likeliest first: the one of the chain that
/// was in use then, and of those with moved records the youngest that begins in front of it.
fn in_order(segments: &[SegmentInfo], seq: Seq) -> Vec<&SegmentInfo> {
    let is_next = |info: &SegmentInfo, other: &SegmentInfo| {
        other.kind == SegmentKind::Log && other.ordinal == info.ordinal + 1
    };
    let may_have = |info: &&SegmentInfo| match info.kind {
        _ if info.base_seq > seq => false,
        SegmentKind::Spare => false,
        SegmentKind::Log => {
            let next = segments.iter().find(|other| is_next(info, other));
            next.is_none_or(|next| next.base_seq > seq)
        }
        _ => true,
    };
    let mut found: Vec<_> = segments.iter().filter(may_have).collect();
    found.sort_by_key(|info| (info.kind != SegmentKind::Log, std::cmp::Reverse(info.base_seq)));
    found
}

/// The event whose record begins at `offset`; `None` if the record is of another kind.
#[inline]
fn event_of(
    guard: SegmentGuard<'_>,
    offset: u32,
    space: u32,
    record: Match,
) -> Result<Option<(u32, Event<'_>)>> {
    if record.kind != Kind::Event {
        return Ok(None);
    }
    let Some(read) = Read::of(guard.bytes(record.value.0, record.value.1)) else {
        return Err(guard.damage(offset, "the event has no label").into());
    };
    let address = Address { slot: guard.slot(), offset };
    Ok(Some((space, Event { hit: Hit::new(guard, address, record), read })))
}
