//! What stands before each block: checksum, length, kind, compression.

use super::{TableIdentity, footer::FOOTER_BYTES, header::HEADER_BYTES};
use crate::{compress::Codec, number::u32_at};

/// Bytes before a block.
pub(super) const ENVELOPE_BYTES: usize = 12;

/// What a block has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BlockKind {
    Data = 1,
    Index = 2,
    Filter = 3,
    Ranges = 4,
    Properties = 5,
}

impl BlockKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Data, Self::Index, Self::Filter, Self::Ranges, Self::Properties]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What stands before a block, but for the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) kind: BlockKind,
    pub(super) codec: Codec,
    /// Bytes of the block as it is stored, the envelope not counted.
    pub(super) len: u32,
}

impl Envelope {
    /// The bytes before `body`, which stands at `offset` with them.
    pub(super) fn seal(&self, seed: u32, offset: u64, body: &[u8]) -> [u8; ENVELOPE_BYTES] {
        let mut out = [0; ENVELOPE_BYTES];
        out[4..8].copy_from_slice(&self.len.to_le_bytes());
        out[8] = self.kind as u8;
        out[9] = self.codec as u8;
        let checksum = checksum(seed, offset, &out, body);
        out[..4].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads what stands before a block; `None` if it has no meaning. The checksum is not looked at.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.get(10..12)? != [0, 0] {
            return None;
        }
        Some(Self {
            kind: BlockKind::from_byte(bytes[8])?,
            codec: Codec::from_byte(bytes[9])?,
            len: u32_at(bytes, 4)?,
        })
    }

    /// Whether `body` is what was sealed at `offset` in the table of this seed.
    pub(super) fn is_intact(seed: u32, offset: u64, envelope: &[u8], body: &[u8]) -> bool {
        u32_at(envelope, 0) == Some(checksum(seed, offset, envelope, body))
    }
}

/// Bound to the table by the seed and to the place by the offset, so that a block that took another's
/// place is found.
fn checksum(seed: u32, offset: u64, envelope: &[u8], body: &[u8]) -> u32 {
    let place = crc32c::crc32c_append(seed, &offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(place, &envelope[4..ENVELOPE_BYTES]), body)
}

/// Makes the checksums of a table's bytes right, as far as they have the shape of one: for tests of
/// what a checksum cannot keep out.
pub(crate) fn mend(bytes: &mut [u8], identity: TableIdentity) {
    let seed = identity.seed();
    if let Some((header, _)) = bytes.split_at_mut_checked(HEADER_BYTES) {
        let found = crc32c::crc32c(&header[..HEADER_BYTES - 4]);
        header[HEADER_BYTES - 4..].copy_from_slice(&found.to_le_bytes());
    }
    let Some(end) = bytes.len().checked_sub(FOOTER_BYTES) else { return };
    let footer = &mut bytes[end..];
    let found = crc32c::crc32c_append(seed, &footer[..FOOTER_BYTES - 4]);
    footer[FOOTER_BYTES - 4..].copy_from_slice(&found.to_le_bytes());
    let mut at = HEADER_BYTES;
    while at + ENVELOPE_BYTES <= end {
        let len = u32_at(bytes, at + 4).map_or(usize::MAX, |len| len as usize);
        let body = at + ENVELOPE_BYTES;
        if len > end - body {
            return;
        }
        let found = checksum(seed, at as u64, &bytes[at..body], &bytes[body..body + len]);
        bytes[at..at + 4].copy_from_slice(&found.to_le_bytes());
        at = body + len;
    }
}
