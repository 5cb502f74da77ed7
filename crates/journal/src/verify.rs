//! Reading every byte of the log and naming what is not as it was written.

use crate::{
    Journal,
    cursor::Cursor,
    format::{FRAME_ALIGN, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind},
    frame::{FrameHeader, FrameView},
    segment::Segment,
};
use std::path::PathBuf;

/// A place that is not as it was written.
///
/// ```
/// # use annals_journal as annals;
/// use annals::Damage;
/// let damage = Damage { path: "1.seg".into(), offset: 4096, what: "checksum".into() };
/// let told = format!("{} at byte {}: {}", damage.path.display(), damage.offset, damage.what);
/// assert_eq!(told, "1.seg at byte 4096: checksum");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The byte offset in it.
    pub offset: u64,
    /// What does not hold there.
    pub what: String,
}

/// What reading the whole log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// Segments read.
    pub segments_count: u64,
    /// Frames found intact.
    pub frames_count: u64,
    /// Records found intact.
    pub records_count: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is damaged.
    pub damages: Vec<Damage>,
}

impl Journal {
    /// How many bytes [`verify`](Self::verify) will read.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.segments().iter().map(|info| info.content_bytes).sum()
    }

    /// Reads every byte of the log. `progress` is told the bytes read since it was told last.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> LogReport {
        let mut report = LogReport::default();
        for guard in self.shared.segments.iter() {
            if guard.segment().kind() != SegmentKind::Spare {
                verify_segment(guard.segment(), self.shared.database_id, &mut report, progress);
            }
        }
        report
    }
}

fn verify_segment(
    segment: &Segment,
    database_id: u64,
    report: &mut LogReport,
    progress: &mut dyn FnMut(u64),
) {
    let damage = |offset: usize, what: &str| Damage {
        path: segment.region.path().to_owned(),
        offset: offset as u64,
        what: what.to_owned(),
    };
    report.segments_count += 1;
    let head = segment.region.read(0, SEGMENT_HEADER_BYTES);
    if SegmentHeader::decode(head, database_id).is_err() {
        report.damages.push(damage(0, "the segment's header does not match its checksum"));
    }
    let end = segment.published();
    let chained = segment.kind() == SegmentKind::Log;
    let mut cursor =
        Cursor::new(segment.position(SEGMENT_HEADER_BYTES), crate::Seq::ZERO, u32::MAX);
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut told = 0;
    while offset < end {
        cursor.position.offset = offset as u32;
        let checked = if chained {
            cursor.step(segment, end)
        } else {
            let bytes = segment.content(offset);
            FrameView::check(bytes, segment.slot, offset, segment.base_seq(), segment.seed)
        };
        match checked {
            Ok(frame) => {
                report.frames_count += 1;
                report.records_count += u64::from(frame.header().count);
                offset += frame.header().len as usize;
            }
            Err(fault) => {
                report.damages.push(damage(offset + fault.at, fault.what));
                let next = next_frame(segment, offset, end);
                // What follows is judged by itself: the frame before it is not known.
                cursor = Cursor::new(segment.position(next), crate::Seq::ZERO, u32::MAX);
                offset = next;
            }
        }
        if offset - told > 1 << 20 {
            progress((offset - told) as u64);
            told = offset;
        }
    }
    progress((end.max(told) - told) as u64);
    report.bytes += end as u64;
}

/// The next place behind `offset` where a frame stands, or the end.
fn next_frame(segment: &Segment, offset: usize, end: usize) -> usize {
    // Most often only a record is damaged, and the header still tells the length.
    if let Some(header) = FrameHeader::decode(segment.content(offset)) {
        let next = offset + header.len as usize;
        if next == end || (next < end && is_frame(segment, next)) {
            return next;
        }
    }
    (offset + FRAME_ALIGN..end)
        .step_by(FRAME_ALIGN)
        .find(|at| is_frame(segment, *at))
        .unwrap_or(end)
}

fn is_frame(segment: &Segment, at: usize) -> bool {
    let bytes = segment.content(at);
    FrameView::check(bytes, segment.slot, at, segment.base_seq(), segment.seed).is_ok()
}
