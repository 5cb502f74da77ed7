//! Finding the event of a number.
//!
//! Records of a segment stand in the order of their numbers, but each is as long as it is: to come to one,
//! those in front of it are passed. What is learned on the way is kept: a *signpost* for each
//! [`STEP_BYTES`] of a segment says which record begins there. So a segment is gone through once, and a
//! look-up passes what one step has.

use super::{
    RecordedEvent,
    event::{CategoryRef, Read},
    find::{Event, Stream},
};
use crate::{
    Error, Result,
    catalog::Listed,
    core::Core,
    hash::{Hit, hash_key},
};
use annals_journal::{Address, FrameKind, Kind, SegmentGuard, SegmentInfo, SegmentKind, Seq};
use arc_swap::ArcSwap;
use std::{collections::HashMap, sync::Arc};

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
    fn pass(&mut self, len: u32) {
        self.record_at += len;
        self.records_left -= 1;
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

    /// Where the record with this number begins; `None` if it is not in the segment.
    fn find(&self, guard: &SegmentGuard<'_>, seq: Seq) -> Result<Option<u32>> {
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
                let Some(header) = guard.frame_header(place.frame_at)? else { break None };
                let record_at = guard.first_record(place.frame_at);
                let frame_at = place.frame_at + header.len;
                place = Place { record_at, records_left: header.count, frame_at };
                // Frames of moved records say only which is the lowest number in them.
                let is_before = header.kind == FrameKind::Commit && header.next_seq() <= seq;
                if is_before && frame_at < next_post {
                    place.records_left = 0;
                }
                continue;
            }
            let (_, record) = guard.match_at(place.record_at)?;
            if record.seq >= seq {
                break (record.seq == seq).then_some(place.record_at);
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
    fn of(&self, guard: &SegmentGuard<'_>, segments: &[SegmentInfo]) -> Arc<Posts> {
        let (slot, generation) = (guard.slot(), guard.generation());
        let known = |all: &HashMap<u32, Arc<Posts>>| {
            all.get(&slot).filter(|of| of.generation == generation).cloned()
        };
        if let Some(known) = known(&self.0.load()) {
            return known;
        }
        let new = Arc::new(Posts::new(generation));
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
        const ATTEMPTS: usize = 64;
        if seq > self.visible_seq() {
            return Ok(None);
        }
        let mut segments = self.journal.segments();
        for _ in 0..ATTEMPTS {
            let mut is_whole = true;
            for info in in_order(&segments, seq) {
                let guard = self.journal.guard(info.slot);
                match guard.filter(|guard| guard.generation() == info.generation) {
                    Some(guard) => {
                        let posts = self.signposts.of(&guard, &segments);
                        if let Some(offset) = posts.find(&guard, seq)? {
                            return event_of(guard, offset);
                        }
                    }
                    None => is_whole = false,
                }
            }
            // Where segments came and went meanwhile, it may have gone from one that was not looked at yet to
            // one that was not there yet.
            let now = self.journal.segments();
            let is_same = |(one, other): (&SegmentInfo, &SegmentInfo)| {
                (one.slot, one.generation, one.kind) == (other.slot, other.generation, other.kind)
            };
            if is_whole && now.len() == segments.len() && now.iter().zip(&segments).all(is_same) {
                return Ok(None);
            }
            segments = now;
        }
        Err(Error::Conflict { attempts: ATTEMPTS as u32 })
    }
}

impl Core {
    /// The event with this number, if readers may see it.
    pub(crate) fn recorded_at(&self, seq: Seq) -> Result<Option<RecordedEvent<'_>>> {
        let Some((space, event)) = self.event_at_seq(seq)? else { return Ok(None) };
        // Of a category that was dropped nothing is read.
        let catalog = self.catalog.load();
        let Some(listed) = catalog.by_id(space) else { return Ok(None) };
        let is_left = self.is_event_left(listed, &event)?;
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
fn event_of(guard: SegmentGuard<'_>, offset: u32) -> Result<Option<(u32, Event<'_>)>> {
    let (space, record) = guard.match_at(offset)?;
    if record.kind != Kind::Event {
        return Ok(None);
    }
    let Some(read) = Read::of(guard.bytes(record.value.0, record.value.1)) else {
        return Err(guard.damage(offset, "the event has no label").into());
    };
    let address = Address { slot: guard.slot(), offset };
    Ok(Some((space, Event { hit: Hit::new(guard, address, record), read })))
}
