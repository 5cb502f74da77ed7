//! Writing moved records: log compaction's output.
//!
//! A packed segment is not part of the chain. Its records keep their sequence numbers, so a view
//! rebuilt from the whole log comes out the same. Until it is complete, synced, and named by the
//! root as packed, nothing durable refers to it.

use crate::{
    Address, Error, FrameBuilder, Journal, Result, Seq,
    format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentKind},
    frame::{FrameHeader, FrameKind},
    segment::Segment,
    space, writer,
};
use annals_disk::Via;
use std::sync::Arc;

/// Writes moved records into segments of their own.
#[derive(Debug)]
pub struct Packer<'a> {
    journal: &'a Journal,
    /// No record that comes has a lower number.
    lowest: Seq,
    current: Option<(Arc<Segment>, usize)>,
    finished: Vec<u32>,
    bytes: u64,
}

impl Journal {
    /// Starts writing moved records, none of which has a number lower than `lowest`.
    #[must_use]
    pub fn packer(&self, lowest: Seq) -> Packer<'_> {
        Packer { journal: self, lowest, current: None, finished: Vec::new(), bytes: 0 }
    }
}

impl Packer<'_> {
    /// Appends a frame of moved records; returns the address of the frame. Records lie at their
    /// own offsets behind it.
    ///
    /// # Errors
    /// [`Error::Full`](crate::Error::Full) or what the file system refuses. What was appended
    /// before stays good, and needs [`finish`](Self::finish) if anything refers to it.
    pub fn append(&mut self, frame: &mut FrameBuilder<'_>) -> Result<Address> {
        let shared = &*self.journal.shared;
        shared.check_writable()?;
        let (first, last) = frame.moved_range().unwrap_or_default();
        let len = frame.len_bytes();
        let full = self.current.as_ref().is_some_and(|(segment, at)| {
            let base = segment.base_seq();
            at + len + FRAME_HEADER_BYTES > segment.region.len()
                || first < base
                || u32::try_from(last.0 - base.0).is_err()
        });
        if full {
            self.complete()?;
        }
        if self.current.is_none() {
            let need = SEGMENT_HEADER_BYTES + len + FRAME_HEADER_BYTES;
            let size = need.max(shared.config.segment_bytes as usize).next_multiple_of(4096);
            let segment = match space::prepare(shared, size) {
                // What is moved may be little, and what it frees much: a full disk is when
                // compaction is needed most.
                Err(Error::Full { .. }) => space::prepare(shared, need.next_multiple_of(4096))?,
                prepared => prepared?,
            };
            // Numbers far apart do not fit one segment.
            let near = u32::try_from(last.0 - self.lowest.min(first).0).is_ok();
            let base = if near { self.lowest.min(first) } else { first };
            let ordinal = segment.generation;
            let kind = SegmentKind::Packed;
            writer::write_header(&segment, shared.database_id, kind, ordinal, base, shared.epoch)?;
            segment.activate(kind, ordinal, base);
            self.current = Some((segment, SEGMENT_HEADER_BYTES));
        }
        let (segment, at) = self.current.as_mut().expect("made just now");
        let header = FrameHeader {
            kind: FrameKind::Packed,
            len: len as u32,
            first_seq: first,
            time_ms: 0,
            synced_to: crate::Position::default(),
            count: frame.count() as u32,
            epoch: shared.epoch,
            term: 0,
            shard: 0,
        };
        let parts = frame.finish(&header, segment.base_seq(), segment.seed);
        segment.region.write_parts(*at, &parts, Via::Memory)?;
        let address = segment.address(*at as u32);
        *at += len;
        self.bytes += len as u64;
        segment.publish(*at);
        Ok(address)
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn complete(&mut self) -> Result<()> {
        let Some((segment, at)) = self.current.take() else { return Ok(()) };
        if let Err(error) = segment.cut(at.next_multiple_of(4096)) {
            // Only space is lost.
            tracing::warn!(%error, "a packed segment keeps its full length");
        }
        // The views may refer to its records already, and they cannot be relied on.
        let synced = segment.region.sync();
        synced.inspect_err(|error| self.journal.poison(&error.to_string()))?;
        segment.seal();
        self.finished.push(segment.slot);
        Ok(())
    }

    /// Completes and syncs the last segment. Returns the slots of all segments written. The next
    /// root names them.
    ///
    /// # Errors
    /// What the device refuses.
    pub fn finish(mut self) -> Result<Vec<u32>> {
        self.complete()?;
        Ok(std::mem::take(&mut self.finished))
    }
}
