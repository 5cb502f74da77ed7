//! Events of a stream that stand in the log one behind the other.
//!
//! So do those that were appended at once, and all of a stream to which nothing but itself was appended for a
//! while. Two of its waypoints tell: if as many numbers lie between theirs as versions, no other record was
//! written meanwhile. What was moved by compaction since is not where it should be then, which shows.

use super::{chains::is_waypoint, cursor::AHEAD_BYTES, event::Read, find::Stream};
use crate::core::Core;
use annals_journal::{FrameKind, Match, SegmentGuard, Seq};

/// Where the next event of a stream is, up to the last one that is known to be in the same stretch.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    /// The next event's version and number, and where its record, or its frame, begins.
    version: u64,
    seq: Seq,
    offset: u32,
    /// The last one's.
    last_version: u64,
    last_offset: u32,
}

impl Stretch {
    pub(crate) const NOTHING: Self =
        Self { version: 1, seq: Seq::ZERO, offset: 0, last_version: 0, last_offset: 0 };

    /// The stretch between the waypoints of these versions, without the first one. `None` if it is not one.
    /// The caller is pinned.
    pub(crate) fn between<'c>(
        core: &'c Core,
        stream: &Stream<'_>,
        before: u64,
        last: u64,
    ) -> Option<(Self, SegmentGuard<'c>)> {
        debug_assert!(is_waypoint(before) && is_waypoint(last));
        let waypoints = &stream.view.chains().waypoints;
        let end = core.event_of(stream, waypoints, last)?.hit;
        let before = core.event_of(stream, waypoints, before)?;
        let (version, before) = (before.version(), before.hit);
        let numbers = end.record.seq.0.checked_sub(before.record.seq.0)?;
        let is_one = numbers == last - version
            && before.guard.slot() == end.guard.slot()
            && before.guard.generation() == end.guard.generation()
            && before.address.offset < end.address.offset;
        let stretch = Self {
            version: version + 1,
            seq: before.record.seq.plus(1),
            offset: before.address.offset + before.record.len,
            last_version: last,
            last_offset: end.address.offset,
        };
        is_one.then_some((stretch, end.guard))
    }

    /// The version of the next event.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether no event of it is left.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        self.version > self.last_version
    }

    /// Where the next event is, if it is in the same frame as the one before it.
    #[inline]
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    /// Goes behind a record of the stream that was found where the next event is; `None` if it is not that.
    #[inline]
    pub(crate) fn pass(&mut self, record: &Match) -> Option<()> {
        let is_at_end = self.version == self.last_version;
        if record.seq != self.seq || is_at_end && self.offset != self.last_offset {
            return None;
        }
        self.offset += record.len;
        (self.version, self.seq) = (self.version + 1, self.seq.plus(1));
        Some(())
    }

    /// The next event, one of which is left. `None` if it is not where it was written.
    #[inline(always)]
    pub(crate) fn next(
        &mut self,
        stream: &Stream<'_>,
        guard: &SegmentGuard<'_>,
    ) -> Option<(Match, Read)> {
        guard.prefetch(self.offset.saturating_add(AHEAD_BYTES));
        let found = stream.event_in(guard, self.offset, self.version);
        if let Some((record, read)) = found
            && self.pass(&record).is_some()
        {
            return Some((record, read));
        }
        self.offset = first_of_frame(guard, self.offset, self.seq)?;
        let (record, read) = stream.event_in(guard, self.offset, self.version)?;
        self.pass(&record)?;
        Some((record, read))
    }
}

/// Where the record with the number `seq` begins, if a frame begins with it behind `offset`, and no other record
/// stands in between.
fn first_of_frame(guard: &SegmentGuard<'_>, offset: u32, seq: Seq) -> Option<u32> {
    let mut frame_at = guard.frame_behind(offset);
    loop {
        let header = guard.frame_header(frame_at).ok()??;
        if header.first_seq != seq {
            return None;
        }
        if header.count > 0 {
            return (header.kind == FrameKind::Commit).then(|| guard.first_record(frame_at));
        }
        frame_at = frame_at.checked_add(header.len)?;
    }
}
