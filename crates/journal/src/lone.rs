//! A frame of one short record, as most commits are.
//!
//! It lies in one piece on the stack of who commits, so it asks for no memory, needs no list of its
//! records, and is complete but for what depends on its place before the writer lock is taken. In the
//! log it is a frame like every other.

use crate::{
    Seq, checksum,
    format::{FRAME_ALIGN, FRAME_HEADER_BYTES},
    frame::FrameHeader,
    record::{self, Draft, RECORD_ALIGN},
};

/// The longest frame that is put together here.
const LONE_BYTES: usize = 512;
/// The longest key and value together: with everything around them they fit.
const CONTENT_BYTES_MAX: usize = LONE_BYTES - FRAME_HEADER_BYTES - record::HEAD_BYTES - FRAME_ALIGN;

/// A frame of one short record.
///
/// ```
/// # use annals_journal::{Draft, Kind, LoneFrame};
/// let mut frame = LoneFrame::new();
/// let draft = Draft { kind: Kind::Put, space: 1, key: b"k", value: b"v", expires_ms: None, aligned: false };
/// assert!(frame.hold(&draft));
/// assert!(!frame.hold(&Draft { value: &[0; 600], ..draft }), "too long");
/// ```
#[derive(Debug)]
pub struct LoneFrame {
    bytes: [u8; LONE_BYTES],
    /// Where the record ends; 0 while there is none.
    end: usize,
    body_checksum: u32,
}

impl Default for LoneFrame {
    fn default() -> Self {
        Self::new()
    }
}

impl LoneFrame {
    /// A frame without its record.
    #[inline]
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: [0; LONE_BYTES], end: 0, body_checksum: 0 }
    }

    /// No frame is longer than this, in bytes.
    pub const BYTES_MAX: usize = LONE_BYTES;

    /// Whether a record with a key and a value of these lengths is short enough.
    #[inline]
    #[must_use]
    pub fn fits(key_bytes: usize, value_bytes: usize) -> bool {
        key_bytes + value_bytes <= CONTENT_BYTES_MAX
    }

    /// Takes the one record in. False if it is too long for that: a
    /// [`FrameBuilder`](crate::FrameBuilder) takes it then.
    #[inline]
    #[must_use]
    pub fn hold(&mut self, draft: &Draft<'_>) -> bool {
        let (key, value) = (draft.key, draft.value);
        if self.end != 0 || !Self::fits(key.len(), value.len()) {
            return false;
        }
        let out = &mut self.bytes[FRAME_HEADER_BYTES..];
        // What is zero behind the head and behind the value stays so: it is the padding.
        let (head, record::Head { key_at, .. }) = record::head(draft, false);
        out[..head.len()].copy_from_slice(&head);
        let key_end = key_at + key.len();
        out[key_at..key_end].copy_from_slice(key);
        let value_at = record::value_at(key_end, draft.aligned);
        out[value_at..value_at + value.len()].copy_from_slice(value);
        let len = (value_at + value.len()).next_multiple_of(RECORD_ALIGN);
        self.body_checksum = record::body_checksum(&out[..len]);
        self.end = FRAME_HEADER_BYTES + len;
        true
    }

    /// The length in the log, header and padding included.
    #[must_use]
    #[inline]
    pub fn len_bytes(&self) -> usize {
        self.end.next_multiple_of(FRAME_ALIGN)
    }

    /// The offset of the record from the start of the frame, in bytes.
    #[must_use]
    #[inline]
    pub fn offset(&self) -> u32 {
        FRAME_HEADER_BYTES as u32
    }

    /// The encoded length of the record, padding included.
    #[must_use]
    #[inline]
    pub fn record_len(&self) -> u32 {
        (self.end - FRAME_HEADER_BYTES) as u32
    }

    /// Completes the frame for its place and returns its bytes.
    #[inline]
    pub(crate) fn finish(&mut self, header: &FrameHeader, base_seq: Seq, seed: u32) -> &[u8] {
        let (to_header, rest) =
            self.bytes.split_first_chunk_mut().expect("there is room for a header");
        let of_header = header.encode(to_header, seed);
        let delta =
            u32::try_from(header.first_seq.0 - base_seq.0).expect("the writer keeps deltas small");
        let of_record = record::finish(rest, self.body_checksum, seed, delta);
        let checksum = checksum::append(of_header, &of_record.to_le_bytes());
        to_header[0..4].copy_from_slice(&checksum.to_le_bytes());
        &self.bytes[..header.len as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        FrameBuilder, Kind, Position,
        frame::{FrameKind, FrameView},
    };

    fn header(len: usize) -> FrameHeader {
        FrameHeader {
            kind: FrameKind::Commit,
            len: len as u32,
            first_seq: Seq(1_000_007),
            time_ms: 77,
            synced_to: Position { ordinal: 3, offset: 64 },
            count: 1,
            epoch: 9,
            term: 0,
            shard: 0,
        }
    }

    /// What a builder makes of the same record.
    fn built(draft: &Draft<'_>) -> Vec<u8> {
        let mut builder = FrameBuilder::new();
        builder.push(draft).expect("a short record");
        let header = header(builder.len_bytes());
        builder.finish(&header, Seq(1_000_000), 0xabc).concat()
    }

    #[test]
    fn it_is_a_frame_like_every_other() {
        let bytes: Vec<u8> = (0..20_000u32).map(|at| (at * 31 % 251) as u8 + 1).collect();
        let lengths = [0, 1, 7, 8, 9, 16, 100, 127, 128, 200, 300, 399, 400, 16_383, 16_384];
        let mut held_count = 0;
        for key in lengths.map(|len| &bytes[..len]) {
            for value in lengths.map(|len| &bytes[5..][..len]) {
                for (space, expires_ms, aligned) in [
                    (1, None, false),
                    (127, Some(u64::MAX), true),
                    (128, Some(5), false),
                    (2, None, true),
                ] {
                    let kind = if value.is_empty() { Kind::Remove } else { Kind::Put };
                    let draft = Draft { kind, space, key, value, expires_ms, aligned };
                    let expected = built(&draft);
                    let view = FrameView::check(&expected, 0, 64, Seq(1_000_000), 0xabc)
                        .expect("a whole frame");
                    let (_, _, record) = view.records().next().expect("its record");
                    assert_eq!((record.space, record.expires_ms), (space, expires_ms));
                    assert!(record.key == key && record.value == value && record.kind == kind);

                    let mut lone = LoneFrame::new();
                    let held = lone.hold(&draft);
                    assert_eq!(held, key.len() + value.len() <= CONTENT_BYTES_MAX);
                    if !held {
                        assert_eq!(lone.len_bytes(), 0);
                        continue;
                    }
                    held_count += 1;
                    assert_eq!(lone.len_bytes(), expected.len());
                    let header = header(lone.len_bytes());
                    assert_eq!(lone.finish(&header, Seq(1_000_000), 0xabc), expected);
                    assert!(!lone.hold(&draft), "it has its record");
                }
            }
        }
        assert!(held_count > 100);
    }
}
