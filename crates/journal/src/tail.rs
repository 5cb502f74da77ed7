//! The tail: where the log ends and the next frame goes.

use crate::{
    Background, Config, Error, Result, Seq,
    durable::Progress,
    format::FRAME_HEADER_BYTES,
    frame::{FrameHeader, FrameKind, empty_frame},
    pace::Pace,
    segment::Segment,
    shared::Shared,
    space,
    way::way,
};
use annals_disk::{Disk, Via};
use std::sync::{Arc, atomic::Ordering};

/// Of so many bytes the memory is asked for ahead of the next frame: what is behind them, the processor
/// sees coming.
const EXPECTED_BYTES_MAX: usize = 512;

/// The end of the log; owned by whoever holds the writer lock.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: usize,
    /// Nothing is appended from here on; lowered while zeroes are written ahead.
    pub(crate) limit: usize,
    /// Real zeroes have been written up to here.
    pub(crate) zeroed_to: usize,
    /// Pages have been made present up to here.
    pub(crate) populated_to: usize,
    /// The same of the segment of this generation, which is expected to be the next one.
    pub(crate) populated_next: (u32, usize),
    pub(crate) next_seq: Seq,
    pub(crate) time_ms: u64,
    pub(crate) bytes: u64,
    pub(crate) spares: Vec<Arc<Segment>>,
    /// Why the last attempt to prepare a segment failed; handed to one waiting writer.
    pub(crate) space_error: Option<Error>,
    /// A background attempt to prepare a segment is under way or asked for.
    pub(crate) preparing: bool,
    /// Spares taken since segments were last let go of, and in the stretch before that.
    pub(crate) taken: usize,
    pub(crate) taken_before: usize,
    /// Whether the last frame went by a call.
    pub(crate) by_call: bool,
    /// A log that goes by calls is looked at again once it gets here.
    pub(crate) pace_at: usize,
    /// How fast the log takes segments.
    pub(crate) pace: Pace,
    /// Slots of segments that were sealed with much of their space unused.
    pub(crate) half_empty: Vec<u32>,
}

impl Tail {
    #[inline]
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            position: self.segment.position(self.offset),
            next_seq: self.next_seq,
            bytes: self.bytes,
        }
    }

    /// Which spare becomes the next segment if `need` bytes have to fit.
    pub(crate) fn next_spare(&self, need: usize) -> Option<usize> {
        (0..self.spares.len()).filter(|index| self.spares[*index].region.len() >= need).min_by_key(
            |index| {
                let spare = &self.spares[*index];
                (spare.region.len(), !spare.recycled)
            },
        )
    }

    /// Brings the pace up to date. Who has no threads prepares what is asked for and no more.
    pub(crate) fn look_at_pace(&mut self, disk: &dyn Disk, config: &Config) {
        if config.background == Background::Threads {
            self.pace.look(self.bytes, disk.monotonic_ns(), config.segment_bytes);
        }
    }

    /// Whether `bytes` and a seal behind them fit into the segment, whatever the limit is now.
    #[inline]
    pub(crate) fn fits(&self, bytes: usize, records: usize) -> bool {
        let last = self.next_seq.0 + records as u64 - self.segment.base_seq().0;
        self.offset + bytes + FRAME_HEADER_BYTES <= self.segment.region.len()
            && u32::try_from(last).is_ok()
    }
}

impl Shared {
    /// Appends a frame without records at the end of the tail. The caller made sure that it fits.
    pub(crate) fn append_empty(&self, tail: &mut Tail, kind: FrameKind) -> Result<()> {
        let synced_to = self.durable.synced.position();
        let header = FrameHeader {
            kind,
            len: FRAME_HEADER_BYTES as u32,
            first_seq: tail.next_seq,
            time_ms: tail.time_ms,
            synced_to,
            count: 0,
            epoch: self.epoch,
            term: 0,
            shard: 0,
        };
        self.write_at_tail(tail, &[&empty_frame(&header, tail.segment.seed)])?;
        self.marked.fetch_max(synced_to.to_u64(), Ordering::Relaxed);
        Ok(())
    }

    /// Writes the parts of a finished frame at the tail and publishes it.
    #[inline]
    pub(crate) fn write_at_tail(&self, tail: &mut Tail, parts: &[&[u8]]) -> Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let end = tail.offset + len;
        let bytes = tail.bytes + len as u64;
        let unsynced = bytes.saturating_sub(self.durable.synced.bytes());
        let via = way(len, unsynced, self.durable.covered.load(Ordering::Relaxed));
        tail.by_call = via == Via::Call;
        if via == Via::Memory {
            if space::wants_pages(tail, end) {
                self.signals.ask_for_pages(tail.populated_to);
            }
        } else if end >= tail.pace_at {
            tail.pace_at = end + space::LOOK_EVERY_BYTES;
            self.signals.ask_for_pace();
        }
        if let Err(error) = tail.segment.region.write_parts(tail.offset, parts, via) {
            // Part of the bytes may be there; writing on over them would be a guess.
            self.poison(&error.to_string());
            return Err(error.into());
        }
        if via == Via::Memory {
            // The next frame is expected to be like this one, up to a length.
            tail.segment.region.expect_write(end, len.min(EXPECTED_BYTES_MAX));
        }
        tail.offset = end;
        tail.bytes = bytes;
        tail.segment.publish(end);
        self.appended.store(tail.progress());
        Ok(())
    }
}
