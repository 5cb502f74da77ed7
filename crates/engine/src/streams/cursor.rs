//! Going through the events of one segment.

use super::{
    event::Read,
    find::Event,
    pieces::{Class, Guide, Spot},
    take::OfLabel,
};
use crate::{Error, Result, core::Core, hash::Hit};
use annals_journal::{Address, FrameKind, Kind, Match, SegmentGuard, Seq};
use std::sync::Arc;

/// What lies so far ahead is asked for.
pub(crate) const AHEAD_BYTES: u32 = 1024;

/// An event that a cursor came by.
#[derive(Clone, Copy)]
pub(crate) struct Met {
    /// The number of its category.
    pub(crate) space: u32,
    /// Where its record begins in the segment.
    pub(crate) offset: u32,
    pub(crate) record: Match,
    pub(crate) read: Read,
}

/// A place in a segment, whose records are in the order of their numbers.
pub(crate) struct Cursor<'a> {
    guard: SegmentGuard<'a>,
    /// Where the frame begins that it is in.
    frame_from: u32,
    /// Where the next frame begins.
    frame_at: u32,
    /// Where the next record of this frame begins, and how many are left.
    record_at: u32,
    records_left: u32,
    /// The number of the event that it stands at.
    found: Option<Seq>,
    /// Whether it has come to the end of a segment that has a next one.
    is_behind: bool,
    /// Who leads it past what is not wanted, and the offset at which that one is asked.
    guide: Option<Guide<'a>>,
    ask_at: u32,
    /// Whether the guide is told of what it goes past.
    learns: bool,
}

impl<'a> Cursor<'a> {
    /// Stands in front of the frame at `frame_at`.
    pub(crate) fn new(guard: SegmentGuard<'a>, frame_at: u32) -> Self {
        let (record_at, records_left) = (0, 0);
        let frame_from = frame_at;
        let (found, is_behind, guide, ask_at, learns) = (None, false, None, u32::MAX, false);
        Self {
            guard,
            frame_from,
            frame_at,
            record_at,
            records_left,
            found,
            is_behind,
            guide,
            ask_at,
            learns,
        }
    }

    /// Is led past pieces that have no event of these classes, and notes what it meets in those that are not
    /// known if that is asked for. Called before anything was read.
    pub(crate) fn be_led(&mut self, core: &'a Core, wanted: &Arc<[Class]>, may_grow: bool) {
        self.guide = Some(Guide::new(core, &self.guard, wanted, may_grow));
        self.ask_at = 0;
    }

    /// Stands in front of the first frame.
    pub(crate) fn at_start(guard: SegmentGuard<'a>) -> Self {
        let frame_at = guard.first_frame();
        Self::new(guard, frame_at)
    }

    pub(crate) fn base_seq(&self) -> Seq {
        self.guard.base_seq()
    }

    /// The number of the event that it stands at; `None` while it stands at none.
    #[inline]
    pub(crate) fn seq(&self) -> Option<Seq> {
        self.found
    }

    /// Whether it has come to the end of a segment that has a next one.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Where what it has not gone through begins, a frame at a time.
    pub(crate) fn read_to(&self) -> u32 {
        if self.found.is_none() { self.frame_at } else { self.frame_from }
    }

    /// Where the frame begins in which it goes on.
    pub(crate) fn left_from(&self) -> u32 {
        let is_inside = self.found.is_some() || self.records_left > 0;
        if is_inside { self.frame_from } else { self.frame_at }
    }

    /// Goes on to the next event whose number is not lower than `from`; false if there is none, or none
    /// yet.
    pub(crate) fn advance(&mut self, from: Seq) -> Result<bool> {
        let none = self.next_below(from, Seq::ZERO, |_, _| true)?;
        debug_assert!(none.is_none(), "no number is below zero");
        Ok(self.found.is_some())
    }

    /// The segment that it goes through.
    #[inline]
    pub(crate) fn guard(&self) -> &SegmentGuard<'a> {
        &self.guard
    }

    /// An event that it came by, by itself.
    #[inline(always)]
    pub(crate) fn event(&self, met: Met) -> Event<'a> {
        let address = Address { slot: self.guard.slot(), offset: met.offset };
        Event { hit: Hit::new(self.guard.again(), address, met.record), read: met.read }
    }

    /// The next event whose number is not lower than `from` and lower than `below`, if `wanted` says so of
    /// its category and key. `None` if it stands at one with a higher number then, or at none.
    #[inline(always)]
    pub(crate) fn next_below(
        &mut self,
        from: Seq,
        below: Seq,
        wanted: impl Fn(u32, &[u8]) -> bool,
    ) -> Result<Option<Met>> {
        if self.found.is_some_and(|seq| seq >= from.max(below)) {
            return Ok(None);
        }
        self.found = None;
        loop {
            while self.records_left > 0 {
                let offset = self.record_at;
                if offset >= self.ask_at {
                    self.ask();
                    continue;
                }
                // What the processor does not see coming: pages end often, and records may be skipped.
                self.guard.prefetch(offset.saturating_add(AHEAD_BYTES));
                let met = self.guard.match_in_frame(offset);
                let (space, record) = met.map_err(|error| self.damaged(error))?;
                if record.kind == Kind::Event && record.seq >= from {
                    if record.seq >= below {
                        self.found = Some(record.seq);
                        return Ok(None);
                    }
                    if wanted(space, self.guard.bytes(record.key.0, record.key.1)) {
                        let read = self.read(&record, offset)?;
                        self.pass(space, &record);
                        return Ok(Some(Met { space, offset, record, read }));
                    }
                }
                self.pass(space, &record);
            }
            if self.frame_at >= self.ask_at {
                self.ask();
            } else if !self.next_frame(from)? {
                return Ok(None);
            }
        }
    }

    /// Goes on behind `met`, which it came by last, as long as events of the same category follow in the same
    /// frame, whose numbers are lower than `below`: of any type, or of the same one. `each` takes them, no more
    /// than `room`. Returns the number of the last one that was taken.
    #[inline(always)]
    pub(crate) fn run<R: OfLabel>(
        &mut self,
        met: &Met,
        below: Seq,
        is_of_any_type: bool,
        room: usize,
        mut each: impl FnMut(&[u8], &Match, &R) -> Result<()>,
    ) -> Result<Option<Seq>> {
        // Who leads it was told of the first one's type.
        let is_of_any_type = is_of_any_type && !self.learns;
        let content = self.guard.content();
        let (mut at, mut left, mut last) = (self.record_at, self.records_left, Ok(None));
        let end = left.saturating_sub(u32::try_from(room).unwrap_or(u32::MAX));
        while left > end && at < self.ask_at {
            self.guard.prefetch(at.saturating_add(AHEAD_BYTES));
            // What cannot be read is told of when it is looked for by itself.
            let Some((space, record)) = content.match_at(at) else { break };
            if space != met.space || record.kind != Kind::Event || record.seq >= below {
                break;
            }
            let Some(value) = content.bytes(record.value) else { break };
            let Some(read) = R::of(value) else { break };
            if !is_of_any_type && read.type_number() != met.read.label.type_number {
                break;
            }
            at += record.len;
            left -= 1;
            if let Err(error) = each(value, &record, &read) {
                last = Err(error);
                break;
            }
            last = Ok(Some(record.seq));
        }
        (self.record_at, self.records_left) = (at, left);
        last
    }

    #[inline(always)]
    fn read(&self, record: &Match, offset: u32) -> Result<Read> {
        Read::of(self.guard.bytes(record.value.0, record.value.1))
            .ok_or_else(|| self.damaged(self.guard.damage(offset, "the event has no label")))
    }

    /// Damage in the frame that it is in or in front of, with the number to go on from behind it: else who reads
    /// the log in order would have to guess one to get past a single bad byte.
    #[cold]
    fn damaged(&self, cause: annals_journal::Error) -> Error {
        let at = if self.records_left > 0 { self.frame_from } else { self.frame_at };
        match self.guard.number_behind_damage(at) {
            Some(readable_from) => Error::DamagedEvents { cause, readable_from },
            None => cause.into(),
        }
    }

    /// Goes to where its guide leads it.
    #[cold]
    fn ask(&mut self) {
        let Self { frame_from, frame_at, records_left, .. } = *self;
        let record_at = if records_left > 0 { self.record_at } else { 0 };
        let here = Spot { frame_from, frame_at, record_at, records_left };
        let Some(guide) = &mut self.guide else { return };
        let (there, ask_at) = guide.lead(here);
        self.learns = guide.learns();
        (self.frame_from, self.frame_at) = (there.frame_from, there.frame_at);
        (self.record_at, self.records_left) = (there.record_at, there.records_left);
        self.ask_at = ask_at;
    }

    /// Goes into the next frame; false if there is none yet.
    fn next_frame(&mut self, from: Seq) -> Result<bool> {
        let header = loop {
            match self.guard.frame_header(self.frame_at) {
                Ok(Some(header)) => break header,
                Ok(None) => return Ok(false),
                // Damage in front of what is wanted keeps nobody from reading that.
                Err(error) => match self.guard.frame_behind_damage(self.frame_at, from) {
                    Some(behind) => self.frame_at = behind,
                    None => return Err(self.damaged(error)),
                },
            }
            // Of a piece with damage the index says nothing.
            if let Some(guide) = &mut self.guide {
                guide.note(None);
            }
        };
        self.record_at = self.guard.first_record(self.frame_at);
        // Frames of moved records say only which is the lowest number in them.
        let is_before = header.kind == FrameKind::Commit && header.next_seq() <= from;
        self.records_left = if is_before && !self.learns { 0 } else { header.count };
        self.frame_from = self.frame_at;
        self.is_behind = header.kind == FrameKind::Seal;
        self.frame_at += header.len;
        Ok(true)
    }

    /// Goes on behind the event with this number, at which it stands; false if none follows.
    pub(crate) fn pass_by(&mut self, seq: Seq) -> Result<bool> {
        self.advance(seq.plus(1))
    }

    /// Goes behind the record at which it stands.
    #[inline]
    fn pass(&mut self, space: u32, record: &Match) {
        if self.learns && record.kind == Kind::Event {
            self.note(space, record);
        }
        self.record_at += record.len;
        self.records_left -= 1;
    }

    #[inline(never)]
    fn note(&mut self, space: u32, record: &Match) {
        let read = Read::of(self.guard.bytes(record.value.0, record.value.1));
        if let Some(guide) = &mut self.guide {
            guide.note(read.map(|read| (space, read.label.type_number)));
        }
    }
}

impl Clone for Cursor<'_> {
    fn clone(&self) -> Self {
        let (guard, guide, learns) = (self.guard.again(), self.guide.clone(), false);
        Self { guard, guide, learns, ..*self }
    }
}
