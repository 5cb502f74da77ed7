//! The bytes of a manifest's file: its header, its frames, and the word that settles a frame. The
//! layout is described in `docs/formats/manifest.md`.

use crate::{Error, Result};
use std::path::Path;

/// The version of the manifest format that this build writes.
pub const MANIFEST_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"ANNALSMF";
const ENDIAN_MARK: u16 = 0x1234;
/// The length of a file's header.
pub(super) const HEADER_BYTES: usize = 64;
/// The length of a frame's header.
pub(super) const FRAME_HEADER_BYTES: usize = 16;
/// The length of the word behind a frame.
pub(super) const WORD_BYTES: usize = 8;
/// The shortest frame: header and word.
pub(super) const FRAME_BYTES_MIN: usize = FRAME_HEADER_BYTES + WORD_BYTES;
/// No manifest is longer: no tree has that many tables.
pub(super) const FILE_BYTES_MAX: usize = 1 << 30;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

/// What all checksums of a manifest continue from: bytes of another database, or of another
/// manifest, never pass.
pub(super) fn seed_of(database_id: u64, number: u64) -> u32 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&database_id.to_le_bytes());
    bytes[8..].copy_from_slice(&number.to_le_bytes());
    crc32c::crc32c(&bytes)
}

/// The header of a manifest's file.
pub(super) fn encode_header(database_id: u64, number: u64, file_bytes: u64) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    out[..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&MANIFEST_VERSION.to_le_bytes());
    out[10..12].copy_from_slice(&ENDIAN_MARK.to_le_bytes());
    out[16..24].copy_from_slice(&database_id.to_le_bytes());
    out[24..32].copy_from_slice(&number.to_le_bytes());
    out[32..40].copy_from_slice(&file_bytes.to_le_bytes());
    let checksum = crc32c::crc32c(&out[..HEADER_BYTES - 4]);
    out[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// Whether `file` starts with the header of this manifest and has the length that it tells.
///
/// # Errors
/// [`Error::Damaged`], [`Error::ByteOrder`], [`Error::Version`] or [`Error::Foreign`].
pub(super) fn check_header(file: &[u8], path: &Path, database_id: u64, number: u64) -> Result<()> {
    let damaged = |offset, what| Error::Damaged { path: path.to_owned(), offset, what };
    if file.len() < HEADER_BYTES {
        return Err(damaged(file.len() as u64, "the manifest is cut off in its header"));
    }
    let header = &file[..HEADER_BYTES];
    let intact = crc32c::crc32c(&header[..HEADER_BYTES - 4]) == u32_at(header, HEADER_BYTES - 4);
    if header[..8] != MAGIC {
        return Err(damaged(0, "the manifest does not start with its magic bytes"));
    }
    if u16_at(header, 10) == ENDIAN_MARK.swap_bytes() {
        return Err(Error::ByteOrder { path: path.to_owned() });
    }
    let found = u16_at(header, 8);
    if intact && found != MANIFEST_VERSION {
        return Err(Error::Version { path: path.to_owned(), found, expected: MANIFEST_VERSION });
    }
    if !intact {
        return Err(damaged(0, "the manifest's header does not match its checksum"));
    }
    let found = u64_at(header, 16);
    if found != database_id {
        return Err(Error::Foreign { path: path.to_owned(), found, expected: database_id });
    }
    let file_bytes = u64_at(header, 32);
    if u64_at(header, 24) != number {
        return Err(damaged(24, "the manifest has the name of another one"));
    }
    if file_bytes > FILE_BYTES_MAX as u64 || !file_bytes.is_multiple_of(8) {
        return Err(damaged(32, "the manifest's header tells a length that no manifest has"));
    }
    if file.len() as u64 != file_bytes {
        return Err(damaged(file.len() as u64, "the manifest does not have the length it tells"));
    }
    // What the header leaves free has no meaning yet, so a build that gives it one has a version of
    // its own.
    if encode_header(database_id, number, file_bytes) != header {
        return Err(damaged(0, "the manifest's header has bytes that mean nothing"));
    }
    Ok(())
}

/// A frame: one edit as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Its place among the file's frames, from 0.
    pub(super) ordinal: u32,
    /// How many items its payload has.
    pub(super) items: u32,
    /// The items, with up to seven zeroes behind them.
    pub(super) payload: &'a [u8],
    /// Its length, word included.
    pub(super) len: usize,
    /// Whether it is noted that it was synced.
    pub(super) settled: bool,
}

/// What stands at a place of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// No whole frame.
    Nothing,
    /// A whole frame with a word behind it that nobody wrote.
    Word,
}

/// Room for a frame with `payload_bytes` of items.
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    FRAME_HEADER_BYTES + payload_bytes.next_multiple_of(8) + WORD_BYTES
}

/// A frame that has not been settled, for the place `offset`.
pub(super) fn encode_frame(
    seed: u32,
    offset: usize,
    ordinal: u32,
    items: u32,
    payload: &[u8],
) -> Vec<u8> {
    let len = frame_bytes(payload.len());
    let mut out = vec![0; len];
    let short = u32::try_from(len).expect("a file has at most 2^30 bytes");
    out[4..8].copy_from_slice(&short.to_le_bytes());
    out[8..12].copy_from_slice(&ordinal.to_le_bytes());
    out[12..16].copy_from_slice(&items.to_le_bytes());
    out[16..16 + payload.len()].copy_from_slice(payload);
    let checksum = frame_checksum(seed, offset, &out);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// The checksum of a frame: over its place, and its bytes between the checksum and the word.
fn frame_checksum(seed: u32, offset: usize, frame: &[u8]) -> u32 {
    let placed = crc32c::crc32c_append(seed, &(offset as u64).to_le_bytes());
    crc32c::crc32c_append(placed, &frame[4..frame.len() - WORD_BYTES])
}

/// The word that stands at `offset` once the frame that ends with it was synced. It depends on
/// nothing but its place, so it is found also where the frame before it is damaged.
pub(super) fn settled_word(seed: u32, offset: usize) -> u64 {
    let low = crc32c::crc32c_append(!seed, &(offset as u64).to_le_bytes());
    let high = crc32c::crc32c_append(low, b"settled");
    u64::from(high) << 32 | u64::from(low)
}

/// What stands at `offset`.
pub(super) fn frame_at(file: &[u8], offset: usize, seed: u32) -> Found<'_> {
    frame_in(file.get(offset..).unwrap_or_default(), offset, seed)
}

/// What `rest` begins with, which stands at `offset`.
pub(super) fn frame_in(rest: &[u8], offset: usize, seed: u32) -> Found<'_> {
    if rest.len() < FRAME_BYTES_MIN {
        return Found::Nothing;
    }
    let len = u32_at(rest, 4) as usize;
    if len < FRAME_BYTES_MIN || !len.is_multiple_of(8) || len > rest.len() {
        return Found::Nothing;
    }
    let bytes = &rest[..len];
    if frame_checksum(seed, offset, bytes) != u32_at(bytes, 0) {
        return Found::Nothing;
    }
    let word_at = len - WORD_BYTES;
    let settled = match u64_at(bytes, word_at) {
        0 => false,
        word if word == settled_word(seed, offset + word_at) => true,
        _ => return Found::Word,
    };
    Found::Frame(Frame {
        ordinal: u32_at(bytes, 8),
        items: u32_at(bytes, 12),
        payload: &bytes[FRAME_HEADER_BYTES..word_at],
        len,
        settled,
    })
}
