//! Walking through the chain of a log that is being opened, and what stands behind its end.
//!
//! A torn tail and damage are told apart by how far the log is known to be synced: a place that
//! cannot be read is damage if the root, an earlier frame or a later intact frame says that it was
//! synced; otherwise it is where the log was torn.

use crate::{
    Error, Opening, Result,
    cursor::{Cursor, end_in_recycled, proof_of_damage},
    format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentKind},
    frame::{FrameFault, FrameHeader, FrameView},
    segment::Segment,
};
use std::{ops::Range, sync::Arc};

/// Where a walk ends.
enum End {
    /// Where the log was closed.
    Closed,
    /// Where no whole frame stands that goes on from the one before.
    Fault(FrameFault),
}

/// The end of what the log has left behind `from`, where the chain ends at `cursor`: of what is not
/// zero, unless that may be of an earlier life of the file.
fn content_end(segment: &Segment, cursor: &Cursor, from: usize) -> usize {
    if segment.recycled {
        return match segment.kind() {
            // By its header, which was synced before the root named it, it holds nothing yet.
            SegmentKind::Spare => from,
            SegmentKind::Log | SegmentKind::Packed => end_in_recycled(segment, cursor, from),
        };
    }
    nonzero_end(segment, from)
}

/// The end of what is not zero behind `from`.
pub(crate) fn nonzero_end(segment: &Segment, from: usize) -> usize {
    // All asked for before any is read: reading makes the kernel fill pages beyond with zeroes.
    let mut ranges = Vec::new();
    while let Some(range) =
        segment.region.filled(ranges.last().map_or(from, |last: &Range<usize>| last.end))
    {
        ranges.push(range);
    }
    let mut end = from;
    for filled in ranges {
        let bytes = segment.region.read(filled.start, filled.len());
        let zeroes = bytes.rchunks(4096).take_while(|chunk| is_zero(chunk));
        let tail: usize = zeroes.map(<[u8]>::len).sum();
        let rest = &bytes[..bytes.len() - tail];
        if let Some(last) = rest.iter().rposition(|byte| *byte != 0) {
            end = filled.start + last + 1;
        }
    }
    end
}

/// Whether all bytes are zero. Looks at every one: that is done many at a time, and what is asked
/// for is mostly zero.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) == 0
}

impl Opening {
    pub(crate) fn in_chain(&self, ordinal: u32) -> Option<Arc<Segment>> {
        let found = |s: &&Arc<Segment>| s.kind() == SegmentKind::Log && s.ordinal() == ordinal;
        self.segments.iter().find(found).cloned()
    }

    /// Where the content of a segment ends that is not part of the chain.
    fn end_beyond_chain(&self, segment: &Segment, cursor: &Cursor) -> usize {
        match self.spare_ends.get(&segment.generation) {
            Some(end) => *end.get_or_init(|| nonzero_end(segment, 0)),
            None => content_end(segment, cursor, 0),
        }
    }

    /// Walks the chain from `cursor` on, hands each frame to `apply`, and returns where the chain ends.
    pub(crate) fn walk(
        &mut self,
        mut cursor: Cursor,
        apply: &mut dyn FnMut(&FrameView<'_>) -> Result<()>,
    ) -> Result<Cursor> {
        cursor.synced_to = self.root.synced_to.max(self.root.clean_end.unwrap_or_default());
        cursor.time_ms = 0;
        loop {
            let Some(segment) = self.in_chain(cursor.position.ordinal) else {
                return self.end_between_segments(cursor);
            };
            if let Some(end) = self.walk_segment(&segment, &mut cursor, apply)? {
                return match end {
                    End::Closed => Ok(self.end_closed(cursor, &segment)),
                    End::Fault(fault) => self.end_at(cursor, &segment, fault.at, fault.what),
                };
            }
        }
    }

    /// Walks through the frames of one segment. None: it was sealed, and the chain goes on in the next.
    fn walk_segment(
        &mut self,
        segment: &Segment,
        cursor: &mut Cursor,
        apply: &mut dyn FnMut(&FrameView<'_>) -> Result<()>,
    ) -> Result<Option<End>> {
        let (end, len) =
            (segment.sealed_end().unwrap_or_else(|| segment.region.len()), segment.region.len());
        // Every frame from here on is checked whole before its records are looked at.
        segment.trust_from(cursor.position.offset as usize);
        loop {
            let before = cursor.position;
            if before.offset as usize > len {
                return Err(segment.damaged(len, "the segment is cut off"));
            }
            if self.root.clean_end == Some(before) {
                return Ok(Some(End::Closed));
            }
            let frame = match cursor.step(segment, end) {
                Ok(frame) => frame,
                Err(fault) => return Ok(Some(End::Fault(fault))),
            };
            self.count(&frame);
            segment.publish((before.offset + frame.header().len) as usize);
            let was_last = cursor.position.ordinal != before.ordinal;
            if was_last {
                segment.seal();
            }
            apply(&frame)?;
            if was_last {
                return Ok(None);
            }
        }
    }

    /// The chain ends where it was closed.
    fn end_closed(&mut self, cursor: Cursor, segment: &Arc<Segment>) -> Cursor {
        let offset = cursor.position.offset as usize;
        segment.publish(offset);
        if !self.read_only {
            // Frames of an interrupted backup would pass for this log's own.
            let end = content_end(segment, &cursor, offset);
            self.note_torn(&cursor, Some((Arc::clone(segment), offset, end)));
        }
        cursor
    }

    /// The chain's last frame sealed its segment, and no next segment is part of the chain.
    fn end_between_segments(&mut self, cursor: Cursor) -> Result<Cursor> {
        let what = "the log was synced beyond this segment, but the next one is not there";
        if self.read_only && cursor.synced_to <= cursor.position {
            return Ok(cursor);
        }
        let spares = self.segments.iter().filter(|s| s.kind() == SegmentKind::Spare);
        let proof = spares.into_iter().find(|s| {
            let end = self.end_beyond_chain(s, &cursor);
            end > SEGMENT_HEADER_BYTES && proof_of_damage(s, &cursor, SEGMENT_HEADER_BYTES, end)
        });
        if let Some(segment) = proof {
            return Err(segment.damaged(0, "the segment's header does not match its checksum"));
        }
        if cursor.synced_to > cursor.position {
            return Err(Error::Missing { path: self.dir.join("*.seg"), what });
        }
        // A header torn by a power cut: what stands behind it was never synced.
        self.note_torn(&cursor, None);
        Ok(cursor)
    }

    fn end_at(
        &mut self,
        cursor: Cursor,
        segment: &Arc<Segment>,
        at: usize,
        what: &'static str,
    ) -> Result<Cursor> {
        let offset = cursor.position.offset as usize;
        let known_synced = cursor.synced_to > cursor.position
            || self.root.clean_end.is_some()
            || segment.sealed_end().is_some();
        if known_synced {
            return Err(segment.damaged(offset + at, what));
        }
        segment.publish(offset);
        if self.read_only {
            // Beside a live writer the end moves. But who says in a frame behind it that this place
            // was synced found it whole: if it still is not, it was damaged since.
            let end = content_end(segment, &cursor, offset);
            let is_damaged = proof_of_damage(segment, &cursor, offset, end)
                && cursor.clone().step(segment, segment.region.len()).is_err();
            return if is_damaged { Err(segment.damaged(offset + at, what)) } else { Ok(cursor) };
        }
        // A segment keeps room for its seal, and a frame is only begun where it fits.
        let len = segment.region.len();
        let header = FrameHeader::decode(segment.region.read(offset, len - offset))
            .filter(|header| !segment.recycled || cursor.may_begin(header));
        let need = header.map_or(FRAME_HEADER_BYTES, |header| header.len as usize);
        if need > len - offset {
            return Err(segment.damaged(len, "the segment is cut off"));
        }
        let end = content_end(segment, &cursor, offset);
        let later = self
            .segments
            .iter()
            .filter(|s| s.kind() == SegmentKind::Log && s.ordinal() > cursor.position.ordinal);
        let proven = proof_of_damage(segment, &cursor, offset, end)
            || later.clone().any(|s| {
                proof_of_damage(s, &cursor, SEGMENT_HEADER_BYTES, content_end(s, &cursor, 0))
            });
        if proven {
            return Err(segment.damaged(offset + at, what));
        }
        self.note_torn(&cursor, Some((Arc::clone(segment), offset, end)));
        Ok(cursor)
    }

    /// Collects what lies behind the end of the chain.
    fn note_torn(&mut self, cursor: &Cursor, tail: Option<(Arc<Segment>, usize, usize)>) {
        if let Some((segment, from, end)) = tail
            && end > from
        {
            self.torn.push((segment, from, end));
        }
        for segment in &self.segments {
            let behind = match segment.kind() {
                SegmentKind::Log => segment.ordinal() > cursor.position.ordinal,
                SegmentKind::Spare => true,
                SegmentKind::Packed => false,
            };
            if behind {
                let end = self.end_beyond_chain(segment, cursor);
                if end > 0 {
                    self.torn.push((Arc::clone(segment), 0, end));
                }
            }
        }
    }
}
