//! What a thread remembers of the span in which it looked an event up last.
//!
//! To get an event is to walk to it from the end of its span. Who gets one often gets its neighbours next, and
//! the walk came by these.

use super::{chains::SPAN, event::Found, find::Stream};
use crate::core::Core;
use annals_journal::SegmentGuard;
use std::cell::RefCell;

/// Where events of one span are that lie in one segment.
#[derive(Clone, Copy)]
pub(crate) struct Nearby {
    /// Which database, in which of its states; 0: none.
    core: u64,
    space: u32,
    hash: u64,
    span: u64,
    slot: u32,
    /// The segment's number: what is in the slot later has another one.
    generation: u32,
    /// The offsets of events; 0 of those that it does not know.
    offsets: [u32; SPAN as usize],
}

thread_local! {
    static NEARBY: RefCell<Nearby> = const { RefCell::new(Nearby::NOTHING) };
}

impl Nearby {
    const NOTHING: Self = Self {
        core: 0,
        space: 0,
        hash: 0,
        span: 0,
        slot: 0,
        generation: 0,
        offsets: [0; SPAN as usize],
    };

    /// What will be remembered of the span with this version.
    pub(crate) fn new(core: &Core, stream: &Stream<'_>, version: u64) -> Self {
        let (space, hash, span) = (stream.space, stream.hash, version / SPAN);
        Self { core: core.number, space, hash, span, ..Self::NOTHING }
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

    fn offset_of(&self, core: &Core, stream: &Stream<'_>, version: u64) -> Option<u32> {
        let is_it = self.hash == stream.hash
            && self.span == version / SPAN
            && self.space == stream.space
            && self.core == core.number;
        Some(self.offsets[(version % SPAN) as usize]).filter(|offset| is_it && *offset != 0)
    }
}

/// The event of this version, if this thread came by it. It may have been moved since; it is the same.
#[inline(always)]
pub(crate) fn event_nearby<'c>(
    core: &'c Core,
    stream: &Stream<'_>,
    version: u64,
) -> Option<(SegmentGuard<'c>, Found)> {
    let (slot, generation, offset) = NEARBY
        .try_with(|kept| {
            let kept = kept.try_borrow().ok()?;
            Some((kept.slot, kept.generation, kept.offset_of(core, stream, version)?))
        })
        .ok()??;
    let guard = core.journal.guard(slot).filter(|guard| guard.generation() == generation)?;
    let (record, read) = stream.event_in(&guard, offset, version)?;
    // Who goes on comes to the end of the next span, which is as far ahead if nothing is in between.
    guard.prefetch(offset.saturating_add(record.len.saturating_mul(SPAN as u32)));
    Some((guard, Found::of(&record, &read, 0)))
}
