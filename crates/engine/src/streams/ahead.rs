//! Looking up events of a stream ahead of who reads it.
//!
//! Each event says where the one before it is, so of one span every look waits for the one before. Of several
//! spans one event each is looked at in turn: while the first one is on its way from memory, so are the others.
//!
//! Where a stream stands in the log in one [stretch](Stretch), events are read one behind the other instead.

use super::{
    batch::{EVENTS_MAX, EventBatch},
    chains::{SPAN, version_hash, waypoint_of},
    event::{CategoryRef, Found, RecordedEvent},
    find::{Event, Stream},
    stretch::Stretch,
};
use crate::{Result, core::Core};
use annals_journal::{Address, SegmentGuard, pin};
use std::mem;

/// So many spans are looked up together.
const SPANS: usize = 8;
/// In one stretch so many at most, and not fewer than these: what leads to it has to be worth it.
const STRETCH_SPANS: u64 = EVENTS_MAX as u64 / SPAN;
const STRETCH_SPANS_MIN: u64 = 4;

/// Events of one stream that were looked up, of versions in a row.
pub(crate) struct Ahead<'a> {
    category: CategoryRef<'a>,
    /// What keeps them where they are.
    guards: Vec<SegmentGuard<'a>>,
    found: Vec<Found>,
    /// The version of the first of them, and how many there are.
    first: u64,
    len: usize,
}

/// A span that is walked, from its end.
#[derive(Clone, Copy)]
struct Walk {
    /// Where the next event is, and of which version it has to be.
    at: Address,
    version: u64,
    /// The versions that are wanted.
    from: u64,
    to: u64,
    /// The guard of the segment that it was in last.
    guard: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    OnItsWay,
    Done,
    /// What is there is not what should be: it was moved, or is damaged.
    Lost,
}

impl<'a> Ahead<'a> {
    pub(crate) fn new() -> Self {
        let (category, guards, found) = (CategoryRef::default(), Vec::new(), Vec::new());
        Self { category, guards, found, first: 0, len: 0 }
    }

    /// Forgets what was looked up.
    pub(crate) fn clear(&mut self) {
        self.guards.clear();
        self.len = 0;
    }

    /// Whether the event of this version was looked up.
    #[inline]
    pub(crate) fn has(&self, version: u64) -> bool {
        version.checked_sub(self.first).is_some_and(|index| index < self.len as u64)
    }

    /// The event of this version, if it was looked up.
    #[inline]
    pub(crate) fn event(&self, version: u64) -> Option<RecordedEvent<'a>> {
        if !self.has(version) {
            return None;
        }
        let found = &self.found[(version - self.first) as usize];
        let guard = self.guards[usize::from(found.guard)].again();
        Some(RecordedEvent::new(self.category.clone(), guard, found))
    }

    /// Takes what was looked up of versions from `from` up to, and without, `to`, which are some: a batch in
    /// the order of the versions, or the other one. `None` if nothing was.
    pub(crate) fn take(&mut self, from: u64, to: u64, is_back: bool) -> Option<EventBatch<'a>> {
        let end = self.first + self.len as u64;
        let (from, to) = (from.max(self.first), to.min(end));
        self.len = 0;
        if from >= to {
            return None;
        }
        let (guards, mut found) = (mem::take(&mut self.guards), mem::take(&mut self.found));
        found.truncate((to - self.first) as usize);
        found.drain(..(from - self.first) as usize);
        if is_back {
            found.reverse();
        }
        Some(EventBatch::of(self.category.clone(), guards, found))
    }

    /// Looks up events from version `first` to version `last`, of which there are both: as many as are
    /// looked up together, beginning with the last one if the reader goes back, else with the first one.
    pub(crate) fn fill(
        &mut self,
        core: &'a Core,
        category: CategoryRef<'a>,
        stream: &Stream<'_>,
        (first, last): (u64, u64),
        is_back: bool,
    ) -> Result<()> {
        self.clear();
        self.category = category;
        if self.read_stretch(core, stream, first, last, is_back).is_some() {
            return Ok(());
        }
        self.clear();
        let reach = (SPANS as u64 - 1) * SPAN;
        let (first, last) = if is_back {
            (first.max((last & !(SPAN - 1)).saturating_sub(reach)), last)
        } else {
            (first, last.min(waypoint_of(first).saturating_add(reach)))
        };
        let (first, last) = self.walk_all(core, stream, first, last, is_back);
        if self.len > 0 {
            return Ok(());
        }
        self.walk_one(core, stream, first, last)
    }

    /// Reads the events between two waypoints, if they are one stretch. `None` if they do not, or are too few:
    /// what was kept then is none of them.
    fn read_stretch(
        &mut self,
        core: &'a Core,
        stream: &Stream<'_>,
        first: u64,
        last: u64,
        is_back: bool,
    ) -> Option<()> {
        // The waypoint in front of them, and the last of them: the versions lie between spans.
        let (before, end) = if is_back {
            let end = last.checked_add(1)? / SPAN;
            (end.saturating_sub(STRETCH_SPANS).max(first.div_ceil(SPAN)), end)
        } else {
            let before = first / SPAN;
            (before, (last.checked_add(1)? / SPAN).min(before + STRETCH_SPANS))
        };
        let is_at_end = if is_back { end * SPAN == last + 1 } else { before * SPAN == first };
        if before == 0 || end < before + STRETCH_SPANS_MIN || !is_at_end {
            return None;
        }
        let _pin = pin();
        let (mut stretch, guard) =
            Stretch::between(core, stream, before * SPAN - 1, end * SPAN - 1)?;
        let first = stretch.version();
        self.found.clear();
        self.found.reserve_exact((end - before) as usize * SPAN as usize);
        while !stretch.is_read() {
            let (record, read) = stretch.next(stream, &guard)?;
            self.found.push(Found::of(&record, &read, 0));
        }
        self.guards.push(guard);
        (self.first, self.len) = (first, self.found.len());
        Some(())
    }

    /// Walks all spans of the versions, and keeps those that can be given out. If the one that is to be given
    /// out first was lost, nothing is kept: its versions are returned.
    fn walk_all(
        &mut self,
        core: &'a Core,
        stream: &Stream<'_>,
        first: u64,
        last: u64,
        is_back: bool,
    ) -> (u64, u64) {
        // Until the pin is gone no segment that is left is used for anything else.
        let _pin = pin();
        let spans = (last / SPAN - first / SPAN + 1) as usize;
        let span = |index: usize| {
            let begin = (first / SPAN + index as u64) * SPAN;
            (begin.max(first), waypoint_of(begin).min(last))
        };
        let needed = if is_back { span(spans - 1) } else { span(0) };
        // What strays is asked for at each step.
        if !stream.view.chains().strays.is_empty() {
            return needed;
        }
        self.approach(core, stream, first, spans);
        let total = (last - first + 1) as usize;
        if self.found.len() < total {
            self.found.resize(total, Found::default());
        }
        self.first = first;
        let mut walks = [None; SPANS];
        for (index, walk) in walks.iter_mut().enumerate().take(spans) {
            *walk = self.begin(core, stream, span(index));
        }
        let mut on_their_way = true;
        while on_their_way {
            on_their_way = false;
            for walk in walks.iter_mut().flatten() {
                if walk.state == State::OnItsWay {
                    self.step(core, stream, walk);
                    on_their_way |= walk.state == State::OnItsWay;
                }
            }
        }
        let is_done = |walk: &Option<Walk>| walk.is_some_and(|walk| walk.state == State::Done);
        let walks = &walks[..spans];
        if is_back {
            let good = walks.iter().rev().take_while(|walk| is_done(walk)).count();
            if good > 0 {
                let lost = (span(spans - good).0 - first) as usize;
                self.found.copy_within(lost..total, 0);
                (self.first, self.len) = (first + lost as u64, total - lost);
            }
        } else {
            let good = walks.iter().take_while(|walk| is_done(walk)).count();
            self.len = if good > 0 { (span(good - 1).1 - first + 1) as usize } else { 0 };
        }
        needed
    }

    /// Asks for what leads to the ends of spans, and then for these.
    fn approach(&self, core: &Core, stream: &Stream<'_>, first: u64, spans: usize) {
        if spans == 1 {
            return;
        }
        let waypoints = &stream.view.chains().waypoints;
        let mut approached = [const { None }; SPANS];
        for (index, approached) in approached.iter_mut().enumerate().take(spans) {
            let waypoint = waypoint_of(first + index as u64 * SPAN);
            *approached = Some(waypoints.approach(version_hash(stream.hash, waypoint)));
        }
        for address in approached.into_iter().flatten().filter_map(|found| found.candidate()) {
            core.journal.prefetch(Address::unpack(address));
        }
    }

    /// The walk through the versions of a span; `None` if its end is not found.
    fn begin(
        &mut self,
        core: &'a Core,
        stream: &Stream<'_>,
        (from, to): (u64, u64),
    ) -> Option<Walk> {
        let event = core.event_from(stream, to).ok()??;
        let (at, version) = (event.hit.address, event.version());
        let guard = self.keep(event.hit.guard);
        Some(Walk { at, version, from, to, guard, state: State::OnItsWay })
    }

    /// Looks at the event that a walk is at, and goes on to the one before it.
    #[inline]
    fn step(&mut self, core: &'a Core, stream: &Stream<'_>, walk: &mut Walk) {
        walk.state = State::Lost;
        if self.guards[walk.guard].slot() != walk.at.slot {
            let Some(guard) = core.journal.guard(walk.at.slot) else { return };
            walk.guard = self.keep(guard);
        }
        let seen = stream.event_in(&self.guards[walk.guard], walk.at.offset, walk.version);
        let Some((record, read)) = seen else { return };
        if walk.version <= walk.to {
            let index = (walk.version - self.first) as usize;
            self.found[index] = Found::of(&record, &read, walk.guard);
        }
        if walk.version == walk.from {
            walk.state = State::Done;
            return;
        }
        let Some(before) = read.label.address_before(walk.at) else { return };
        core.journal.prefetch(before);
        (walk.at, walk.version, walk.state) = (before, walk.version - 1, State::OnItsWay);
    }

    /// Looks up the versions of one span in the way that finds also what was moved, or tells why it does not.
    #[cold]
    fn walk_one(
        &mut self,
        core: &'a Core,
        stream: &Stream<'_>,
        first: u64,
        last: u64,
    ) -> Result<()> {
        self.clear();
        self.found.clear();
        let keep = |event: Event<'a>| {
            let Event { hit, read } = event;
            let guard = self.keep(hit.guard);
            self.found.push(Found::of(&hit.record, &read, guard));
        };
        core.each_back(stream, first, last, keep)?;
        self.found.reverse();
        self.len = self.found.len();
        self.first = self.found.first().map_or(first, |found| found.version);
        Ok(())
    }

    /// Keeps a guard, unless the one that was kept last is of the same segment.
    fn keep(&mut self, guard: SegmentGuard<'a>) -> usize {
        let is_same = |last: &SegmentGuard<'_>| {
            last.slot() == guard.slot() && last.generation() == guard.generation()
        };
        if !self.guards.last().is_some_and(is_same) {
            self.guards.push(guard);
        }
        self.guards.len() - 1
    }
}
