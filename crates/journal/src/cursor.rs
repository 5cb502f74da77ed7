//! The rules by which one frame follows another, in one place: recovery, live followers and
//! verification all walk the chain with a cursor.

use crate::{
    Position, Seq,
    format::{FRAME_ALIGN, FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentKind},
    frame::{FrameFault, FrameHeader, FrameKind, FrameView},
    record,
    segment::Segment,
};

/// Bytes of a record up to its delta.
const RECORD_HEAD_BYTES: usize = 8;

/// A place in the chain and what must hold for the frame found there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub(crate) position: Position,
    /// The epoch of the frame before; a later frame's is not lower.
    pub(crate) epoch: u32,
    /// No frame of a later opening than this exists.
    pub(crate) epoch_max: u32,
    pub(crate) next_seq: Seq,
    pub(crate) time_ms: u64,
    /// The highest position that any frame said to be synced.
    pub(crate) synced_to: Position,
}

impl Cursor {
    pub(crate) fn new(position: Position, next_seq: Seq, epoch_max: u32) -> Self {
        Self { position, epoch: 0, epoch_max, next_seq, time_ms: 0, synced_to: Position::default() }
    }

    /// Reads the frame at the cursor out of its segment's bytes up to `end`, and moves behind it.
    pub(crate) fn step<'a>(
        &mut self,
        segment: &'a Segment,
        end: usize,
    ) -> Result<FrameView<'a>, FrameFault> {
        let offset = self.position.offset as usize;
        let end = end.min(segment.region.len());
        let bytes = segment.region.read(offset.min(end), end.saturating_sub(offset));
        // Of a header that an earlier life of the file left, what follows is not looked at: it may be
        // given back to the file system at any moment.
        if FrameHeader::decode(bytes).is_some_and(|header| !self.may_begin(&header)) {
            return Err(FrameFault {
                at: 0,
                what: "this frame cannot stand behind the one before",
            });
        }
        let frame =
            FrameView::check(bytes, segment.slot, offset, segment.base_seq(), segment.seed)?;
        self.follow(&frame).map_err(|what| FrameFault { at: 0, what })?;
        Ok(frame)
    }

    /// Tells a frame that was damaged from one that is still being written, beside a live writer: the
    /// frame behind it is whole and says that the cursor's place was synced, and this one is not whole
    /// even then. Looks no further than that, since it is asked often.
    pub(crate) fn damage(&self, segment: &Segment) -> Option<FrameFault> {
        let len = segment.region.len();
        let at = self.position.offset as usize;
        let begun = FrameHeader::decode(segment.region.read(at.min(len), len.saturating_sub(at)))
            .filter(|header| self.may_begin(header))?;
        let behind = at + begun.len as usize;
        let bytes = segment.region.read(behind.min(len), len.saturating_sub(behind));
        let proof = FrameView::check(bytes, segment.slot, behind, segment.base_seq(), segment.seed);
        let synced_to = proof.ok()?.header().synced_to;
        if synced_to <= self.position {
            return None;
        }
        let mut again = *self;
        again.step(segment, len).err()
    }

    /// Whether a frame with this header can have been begun at the cursor.
    pub(crate) fn may_begin(&self, header: &FrameHeader) -> bool {
        header.epoch >= self.epoch
            && header.epoch <= self.epoch_max
            && header.first_seq >= self.next_seq
            && header.time_ms >= self.time_ms
            && header.synced_to <= self.position
            && header.kind != FrameKind::Packed
    }

    /// Checks that `frame` may stand at the cursor, and moves behind it.
    fn follow(&mut self, frame: &FrameView<'_>) -> Result<(), &'static str> {
        let header = frame.header();
        if header.epoch < self.epoch || header.epoch > self.epoch_max {
            return Err("the frame is of another opening than its place allows");
        }
        let follows = if header.epoch == self.epoch {
            header.first_seq == self.next_seq
        } else {
            header.first_seq >= self.next_seq
        };
        if !follows {
            return Err("the frame's sequence number does not follow the frame before");
        }
        if header.time_ms < self.time_ms {
            return Err("the frame is older than the frame before");
        }
        if header.synced_to > self.position {
            return Err("the frame says that bytes behind it are synced");
        }
        if header.kind == FrameKind::Packed {
            return Err("a frame of moved records stands in the chain");
        }
        self.epoch = header.epoch;
        self.next_seq = header.next_seq();
        self.time_ms = header.time_ms;
        self.synced_to = self.synced_to.max(header.synced_to);
        if header.kind == FrameKind::Seal {
            self.position.ordinal += 1;
            self.position.offset = SEGMENT_HEADER_BYTES as u32;
        } else {
            self.position.offset += header.len;
        }
        Ok(())
    }
}

/// Looks behind an unreadable place for a frame that proves the place was synced. Such a frame is
/// intact, was written after the place, and says that the log was synced beyond it: the place is
/// then damaged, and not where the log was torn. No frame starts at or behind `end`; the last one
/// may reach beyond it, since a frame may end in zeroes.
pub(crate) fn proof_of_damage(segment: &Segment, at: &Cursor, from: usize, end: usize) -> bool {
    frames_behind(segment, at, from, end).any(|(_, header)| header.synced_to > at.position)
}

/// Where what the log has left from `from` on ends in a segment whose file had an earlier life: what
/// is not zero may be of that, so only what can be told to be the log's counts. That is the header,
/// every whole frame behind the unreadable place `at`, and at the place itself one that was begun.
///
/// Frames of a later opening than the log's own count too: an interrupted backup brings them, and in the
/// epoch that this opening takes they would pass.
pub(crate) fn end_in_recycled(segment: &Segment, at: &Cursor, from: usize) -> usize {
    let at = &Cursor { epoch_max: u32::MAX, ..*at };
    let len = segment.region.len();
    let first = from.max(SEGMENT_HEADER_BYTES);
    let begun = FrameHeader::decode(segment.region.read(first, len - first))
        .filter(|header| at.may_begin(header))
        .map_or(first, |header| len.min(first + header.len as usize));
    let whole = frames_behind(segment, at, first, len);
    whole.map(|(offset, header)| offset + header.len as usize).fold(begun, usize::max)
}

/// The whole frames between `from` and `end` that were written after the place `at`.
fn frames_behind<'a>(
    segment: &'a Segment,
    at: &'a Cursor,
    from: usize,
    end: usize,
) -> impl Iterator<Item = (usize, FrameHeader)> + 'a {
    let len = segment.region.len();
    let mut offset = from;
    std::iter::from_fn(move || {
        while offset < end && offset + FRAME_HEADER_BYTES <= len {
            let here = offset;
            let bytes = segment.region.read(here, len - here);
            // The header is looked at first, and of it what refuses most other bytes.
            let header = FrameHeader::may_start(bytes).then(|| FrameHeader::decode(bytes));
            let header = header.flatten().filter(|header| {
                header.epoch >= at.epoch
                    && header.epoch <= at.epoch_max
                    && header.first_seq >= at.next_seq
            });
            let base_seq = match header {
                // A segment whose header is not on the device does not tell where it starts.
                Some(header) if segment.kind() == SegmentKind::Spare => base_of(&header, bytes),
                _ => segment.base_seq(),
            };
            let whole = header.filter(|_| {
                FrameView::check(bytes, segment.slot, here, base_seq, segment.seed).is_ok()
            });
            offset += whole.map_or(FRAME_ALIGN, |header| header.len as usize);
            if let Some(header) = whole {
                return Some((here, header));
            }
        }
        None
    })
}

/// The base number of the segment in which a frame like this was written.
fn base_of(header: &FrameHeader, frame: &[u8]) -> Seq {
    let delta = match frame.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + RECORD_HEAD_BYTES) {
        Some(record) if header.count > 0 => record::stored_delta(record),
        _ => 0,
    };
    Seq(header.first_seq.0.saturating_sub(u64::from(delta)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Draft, FrameBuilder, Kind,
        segment::{Segment, SegmentParts},
    };
    use annals_disk::{Disk, RealDisk, Via};

    /// The file's end may have been given back: touching the body would be the end of the process.
    #[test]
    fn of_an_earlier_lifes_frame_only_the_header_is_read() {
        const LEN: u64 = 64 << 10;
        let dir = tempfile::tempdir().expect("a directory");
        let region = RealDisk::new().create_region(&dir.path().join("a.seg"), LEN).expect("a file");
        let mut frame = FrameBuilder::new();
        let value = vec![7; 40_000];
        let (kind, key) = (Kind::Put, &b"k"[..]);
        let draft = Draft { kind, space: 1, key, value: &value, expires_ms: None, aligned: false };
        frame.push(&draft).expect("a record");
        let header = FrameHeader {
            kind: FrameKind::Commit,
            len: frame.len_bytes() as u32,
            first_seq: Seq(5),
            time_ms: 1,
            synced_to: Position::default(),
            count: 1,
            epoch: 1,
            term: 0,
            shard: 0,
        };
        let parts = frame.finish(&header, Seq(5), 99);
        region.write_parts(SEGMENT_HEADER_BYTES, &parts, Via::Call).expect("written");
        region.truncate(4096).expect("cut");
        let segment = Segment::new(SegmentParts {
            region,
            slot: 0,
            generation: 2,
            database_id: 1,
            kind: SegmentKind::Log,
            ordinal: 1,
            base_seq: Seq(5),
            published: SEGMENT_HEADER_BYTES,
            trusted_from: 0,
            recycled: true,
        });
        let position = Position { ordinal: 1, offset: SEGMENT_HEADER_BYTES as u32 };
        let mut cursor = Cursor::new(position, Seq(6), u32::MAX);
        assert!(cursor.step(&segment, LEN as usize).is_err());
        assert_eq!(cursor.position, position);
    }
}
