//! Named offsets and sizes of the log's files. The layout itself is described once, in
//! `docs/formats/journal.md`; this file is its image in code.

use crate::{Seq, checksum};

/// First bytes of a segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"ANNALSEG";
/// The version of the segment format that this build writes.
pub const SEGMENT_VERSION: u16 = 1;
/// A number whose bytes tell in which order the writer put them.
pub(crate) const ENDIAN_MARK: u16 = 0x1234;
/// Bytes of a segment's header; the first frame starts behind it.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
/// Frames start on multiples of this many bytes.
pub(crate) const FRAME_ALIGN: usize = 16;
/// The largest segment file; offsets are 32 bits.
pub(crate) const SEGMENT_BYTES_MAX: usize = u32::MAX as usize & !4095;
/// The largest frame.
pub(crate) const FRAME_BYTES_MAX: usize =
    SEGMENT_BYTES_MAX - SEGMENT_HEADER_BYTES - FRAME_HEADER_BYTES;

const _: () = assert!(SEGMENT_HEADER_BYTES.is_multiple_of(FRAME_ALIGN));
const _: () = assert!(FRAME_HEADER_BYTES.is_multiple_of(FRAME_ALIGN));

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SegmentKind {
    /// Prepared for the chain, not yet part of it.
    Spare = 0,
    /// Part of the chain that commits are appended to.
    Log = 1,
    /// Written by log compaction: the surviving records of other segments.
    Packed = 2,
}

impl SegmentKind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Spare, Self::Log, Self::Packed].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The header of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) kind: SegmentKind,
    pub(crate) database_id: u64,
    pub(crate) generation: u32,
    pub(crate) ordinal: u32,
    pub(crate) base_seq: Seq,
    pub(crate) epoch: u32,
    /// Whether the file had an earlier life, whose bytes may stand behind the content.
    pub(crate) recycled: bool,
}

const FLAG_RECYCLED: u8 = 1;

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Magic,
    Endian,
    Version(u16),
    Checksum,
    Foreign(u64),
    Kind,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[0..8].copy_from_slice(&SEGMENT_MAGIC);
        out[8..10].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
        out[10..12].copy_from_slice(&ENDIAN_MARK.to_le_bytes());
        out[12] = self.kind as u8;
        out[13] = if self.recycled { FLAG_RECYCLED } else { 0 };
        out[16..24].copy_from_slice(&self.database_id.to_le_bytes());
        out[24..28].copy_from_slice(&self.generation.to_le_bytes());
        out[28..32].copy_from_slice(&self.ordinal.to_le_bytes());
        out[32..40].copy_from_slice(&self.base_seq.0.to_le_bytes());
        out[40..44].copy_from_slice(&self.epoch.to_le_bytes());
        let checksum = checksum::of(&out[..60]);
        out[60..64].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8], database_id: u64) -> Result<Self, HeaderFault> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else { return Err(HeaderFault::Magic) };
        if bytes[0..8] != SEGMENT_MAGIC {
            return Err(HeaderFault::Magic);
        }
        if u16_at(bytes, 10) == ENDIAN_MARK.swap_bytes() {
            return Err(HeaderFault::Endian);
        }
        // The version comes before the checksum: another version may lay the rest out otherwise.
        // A flipped bit in the version of an intact header is told apart by the checksum.
        let version = u16_at(bytes, 8);
        let intact = checksum::of(&bytes[..60]) == u32_at(bytes, 60);
        if version != SEGMENT_VERSION {
            return Err(if intact { HeaderFault::Version(version) } else { HeaderFault::Checksum });
        }
        if !intact || u16_at(bytes, 10) != ENDIAN_MARK {
            return Err(HeaderFault::Checksum);
        }
        let found = u64_at(bytes, 16);
        if found != database_id {
            return Err(HeaderFault::Foreign(found));
        }
        Ok(Self {
            kind: SegmentKind::from_byte(bytes[12]).ok_or(HeaderFault::Kind)?,
            database_id: found,
            generation: u32_at(bytes, 24),
            ordinal: u32_at(bytes, 28),
            base_seq: Seq(u64_at(bytes, 32)),
            epoch: u32_at(bytes, 40),
            recycled: bytes[13] & FLAG_RECYCLED != 0,
        })
    }
}

/// The seed of all checksums in a segment: bytes of another database or of an earlier life of the
/// file do not pass.
pub(crate) fn segment_seed(database_id: u64, generation: u32) -> u32 {
    let mut both = [0; 12];
    both[..8].copy_from_slice(&database_id.to_le_bytes());
    both[8..].copy_from_slice(&generation.to_le_bytes());
    checksum::of(&both)
}

/// The file name of a segment.
pub(crate) fn segment_name(generation: u32) -> String {
    format!("{generation:08}.seg")
}

/// The generation a segment's file name tells, if it is one.
pub(crate) fn parse_segment_name(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    let generation = digits.parse().ok()?;
    // Only names of our own form are ours: anything else in the directory is left alone.
    (segment_name(generation) == name).then_some(generation)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            kind: SegmentKind::Log,
            database_id: 7,
            generation: 3,
            ordinal: 9,
            base_seq: Seq(1 << 40),
            epoch: 2,
            recycled: true,
        }
    }

    #[test]
    fn headers_round_trip_and_every_flip_is_found() {
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes, 7), Ok(header()));
        assert_eq!(SegmentHeader::decode(&bytes, 8), Err(HeaderFault::Foreign(7)));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes;
                bad[at] ^= 1 << bit;
                assert!(SegmentHeader::decode(&bad, 7).is_err(), "byte {at} bit {bit}");
            }
            assert!(SegmentHeader::decode(&bytes[..at], 7).is_err());
        }
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let mut bytes = header().encode();
        bytes[8..10].copy_from_slice(&2u16.to_le_bytes());
        let checksum = checksum::of(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes, 7), Err(HeaderFault::Version(2)));
    }
}
