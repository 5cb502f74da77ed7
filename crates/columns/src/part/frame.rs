//! What holds the sections of a part together: header, checksums, directory, footer.

use super::{PART_VERSION, PART_VERSION_FIRST, PartIdentity};
use crate::{
    Error, Result,
    number::{put_varint, take_u32, take_varint, u16_at, u32_at, u64_at},
};

const MAGIC: [u8; 8] = *b"ANNALPRT";
const BYTE_ORDER: u16 = 0x1234;
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const FOOTER_BYTES: usize = 64;
/// Where a header says whether it has times, and which the first and the last are.
const HAS_TIMES_AT: usize = 36;
const FIRST_AT: usize = 40;
const LAST_AT: usize = 48;
/// Where a footer says again how many rows there are; older ones have a zero there.
const ROWS_AT: usize = 24;
/// Where the checksum of a header and of a footer is.
const SUM_AT: usize = 60;
/// Sections begin and end at multiples of this.
pub(super) const ALIGN: usize = 8;

/// Where a section is, and its checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) sum: u32,
}

/// The checksum of a section, into which its ordinal goes: sections that changed places are found.
pub(super) fn sum_of(seed: u32, ordinal: usize, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &(ordinal as u32).to_le_bytes()), bytes)
}

/// Writes sections one behind the other.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    seed: u32,
    sections: Vec<Section>,
}

impl Writer {
    pub(super) fn new(identity: PartIdentity, rows: usize) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[10..12].copy_from_slice(&BYTE_ORDER.to_le_bytes());
        bytes[16..24].copy_from_slice(&identity.database_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&identity.number.to_le_bytes());
        bytes[32..36].copy_from_slice(&(rows as u32).to_le_bytes());
        Self { bytes, seed: identity.seed(), sections: Vec::new() }
    }

    /// Adds a section; says its ordinal.
    pub(super) fn add(&mut self, section: &[u8]) -> u32 {
        let (offset, ordinal) = (self.bytes.len(), self.sections.len());
        self.bytes.extend_from_slice(section);
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let len = self.bytes.len() - offset;
        let sum = sum_of(self.seed, ordinal, &self.bytes[offset..]);
        self.sections.push(Section { offset, len, sum });
        ordinal as u32
    }

    /// The whole part, with what describes its columns, in this version, and with its first and its last time.
    pub(super) fn finish(
        mut self,
        columns: &[u8],
        version: u16,
        times: Option<(i64, i64)>,
    ) -> Vec<u8> {
        self.bytes[8..10].copy_from_slice(&version.to_le_bytes());
        if let Some((first, last)) = times {
            self.bytes[HAS_TIMES_AT] = 1;
            self.bytes[FIRST_AT..LAST_AT].copy_from_slice(&first.to_le_bytes());
            self.bytes[LAST_AT..LAST_AT + 8].copy_from_slice(&last.to_le_bytes());
        }
        let sum = crc32c::crc32c(&self.bytes[..SUM_AT]);
        self.bytes[SUM_AT..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
        let offset = self.bytes.len();
        put_varint(self.sections.len() as u64, &mut self.bytes);
        for section in &self.sections {
            put_varint((section.len / ALIGN) as u64, &mut self.bytes);
            self.bytes.extend_from_slice(&section.sum.to_le_bytes());
        }
        self.bytes.extend_from_slice(columns);
        let len = self.bytes.len() - offset;
        let sum = directory_sum(self.seed, offset, &self.bytes[offset..]);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&(offset as u64).to_le_bytes());
        self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        self.bytes.extend_from_slice(&((start + FOOTER_BYTES) as u64).to_le_bytes());
        self.bytes.extend_from_within(32..HAS_TIMES_AT);
        self.bytes.resize(start + SUM_AT, 0);
        let sum = crc32c::crc32c_append(self.seed, &self.bytes[start..]);
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        self.bytes
    }
}

fn directory_sum(seed: u32, offset: usize, directory: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &(offset as u64).to_le_bytes()), directory)
}

pub(super) fn damaged(part: u64, section: &str, offset: usize, what: &'static str) -> Error {
    Error::Damaged { part, section: section.to_owned(), offset: offset as u64, what }
}

/// What a part says of itself.
pub(super) struct Opened<'p> {
    pub(super) rows: usize,
    /// What is wrong with the header, if the footer took its place.
    pub(super) damage: Option<Error>,
    pub(super) sections: Vec<Section>,
    /// What describes the columns.
    pub(super) columns: &'p [u8],
    /// Where that begins.
    pub(super) columns_at: usize,
}

/// What a part says of itself in front of everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartOutline {
    /// How many rows it has.
    pub rows: usize,
    /// The first and the last time; `None` if events have none, or if an older build wrote it.
    pub times: Option<(i64, i64)>,
}

/// Checks header, footer and directory.
pub(super) fn open(bytes: &[u8], expected: PartIdentity) -> Result<Opened<'_>> {
    let header = check_header(bytes, expected);
    if let Err(error) = &header
        && (!matches!(error, Error::Damaged { .. } | Error::NotAPart)
            || bytes.len() < HEADER_BYTES + FOOTER_BYTES)
    {
        return Err(error.clone());
    }
    let seed = expected.seed();
    let number = expected.number;
    let cut =
        || damaged(number, "footer", bytes.len(), "the part is cut off, or its end is damaged");
    let start = bytes.len().checked_sub(FOOTER_BYTES).filter(|start| *start >= HEADER_BYTES);
    let start = start.ok_or_else(cut)?;
    let footer = &bytes[start..];
    let field = |at| u64_at(footer, at).ok_or_else(cut);
    let sum = u32_at(footer, SUM_AT).ok_or_else(cut)?;
    if sum != crc32c::crc32c_append(seed, &footer[..SUM_AT]) || field(16)? != bytes.len() as u64 {
        return Err(header.err().unwrap_or_else(cut));
    }
    let said = u32_at(footer, ROWS_AT).map_or(0, |rows| rows as usize);
    let (rows, damage) = match header {
        Ok(outline) if said == 0 || said == outline.rows => (outline.rows, None),
        Ok(_) => return Err(damaged(number, "footer", start, "the header has other rows")),
        // Older footers do not say it.
        Err(error) if (1..=crate::ROWS_MAX).contains(&said) => (said, Some(error)),
        Err(error) => return Err(error),
    };
    let offset = usize::try_from(field(0)?).map_err(|_| cut())?;
    let len = u32_at(footer, 8).ok_or_else(cut)? as usize;
    let broken = |what| damaged(number, "directory", offset.min(bytes.len()), what);
    if offset.checked_add(len) != Some(start) || offset < HEADER_BYTES {
        return Err(broken("it does not end where the footer begins"));
    }
    let directory = &bytes[offset..start];
    if u32_at(footer, 12) != Some(directory_sum(seed, offset, directory)) {
        return Err(broken("its checksum does not match"));
    }
    let mut rest = directory;
    let sections =
        take_sections(&mut rest, offset).ok_or_else(|| broken("its sections make no sense"))?;
    Ok(Opened { rows, damage, sections, columns: rest, columns_at: start - rest.len() })
}

/// What a header says of the part.
pub(super) fn check_header(bytes: &[u8], expected: PartIdentity) -> Result<PartOutline> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(damaged(expected.number, "header", bytes.len(), "the part is cut off"));
    };
    if header[..8] != MAGIC {
        return Err(Error::NotAPart);
    }
    let broken = || damaged(expected.number, "header", 0, "its checksum does not match");
    let is_whole = u32_at(header, SUM_AT) == Some(crc32c::crc32c(&header[..SUM_AT]));
    // A later version may have its checksum elsewhere; a flipped bit is no other version.
    let version = u16_at(header, 8).ok_or_else(broken)?;
    if !is_whole {
        return Err(broken());
    }
    if !(PART_VERSION_FIRST..=PART_VERSION).contains(&version) {
        return Err(Error::Version { kind: "part", found: version, expected: PART_VERSION });
    }
    if u16_at(header, 10) != Some(BYTE_ORDER) {
        return Err(Error::ByteOrder);
    }
    let number = |at| u64_at(header, at).ok_or_else(broken);
    let found = PartIdentity { database_id: number(16)?, number: number(24)? };
    if found != expected {
        return Err(Error::OtherPart { found, expected });
    }
    let rows = u32_at(header, 32).ok_or_else(broken)? as usize;
    let is_sound = (1..=crate::ROWS_MAX).contains(&rows);
    let no_rows = || damaged(expected.number, "header", 32, "there are no rows, or too many");
    let has_times = header[HAS_TIMES_AT] == 1;
    let time = |at| Ok::<_, Error>(number(at)?.cast_signed());
    let times = if has_times { Some((time(FIRST_AT)?, time(LAST_AT)?)) } else { None };
    if is_sound { Ok(PartOutline { rows, times }) } else { Err(no_rows()) }
}

/// The sections, which fill all from the header to the directory.
fn take_sections(rest: &mut &[u8], end: usize) -> Option<Vec<Section>> {
    let count = usize::try_from(take_varint(rest)?).ok()?;
    // Each takes five bytes in the directory at least.
    if count > rest.len() / 5 {
        return None;
    }
    let mut sections = Vec::with_capacity(count);
    let mut offset = HEADER_BYTES;
    for _ in 0..count {
        let len = usize::try_from(take_varint(rest)?).ok()?.checked_mul(ALIGN)?;
        let sum = take_u32(rest)?;
        sections.push(Section { offset, len, sum });
        offset = offset.checked_add(len).filter(|next| *next <= end)?;
    }
    (offset == end).then_some(sections)
}

/// Makes all checksums of a part right, for tests of what checksums keep out otherwise.
pub(crate) fn mend(bytes: &mut [u8], identity: PartIdentity) {
    let seed = identity.seed();
    if bytes.len() < HEADER_BYTES + FOOTER_BYTES {
        return;
    }
    let sum = crc32c::crc32c(&bytes[..SUM_AT]);
    bytes[SUM_AT..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    let start = bytes.len() - FOOTER_BYTES;
    let offset = u64_at(bytes, start).and_then(|offset| usize::try_from(offset).ok());
    if let Some(offset) = offset.filter(|offset| (HEADER_BYTES..start).contains(offset)) {
        let mut rest = &bytes[offset..start];
        if let Some(sections) = take_sections(&mut rest, offset) {
            let sums_at = |bytes: &[u8]| -> Option<Vec<usize>> {
                let mut rest = &bytes[offset..start];
                let count = take_varint(&mut rest)?;
                let mut places = Vec::new();
                for _ in 0..count {
                    take_varint(&mut rest)?;
                    places.push(start - rest.len());
                    take_u32(&mut rest)?;
                }
                Some(places)
            };
            for (ordinal, at) in sums_at(bytes).unwrap_or_default().into_iter().enumerate() {
                let section = sections[ordinal];
                let sum = sum_of(seed, ordinal, &bytes[section.offset..][..section.len]);
                bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        let sum = directory_sum(seed, offset, &bytes[offset..start]);
        bytes[start + 8..start + 12].copy_from_slice(&((start - offset) as u32).to_le_bytes());
        bytes[start + 12..start + 16].copy_from_slice(&sum.to_le_bytes());
    }
    let len = bytes.len() as u64;
    bytes[start + 16..start + 24].copy_from_slice(&len.to_le_bytes());
    let sum = crc32c::crc32c_append(seed, &bytes[start..start + SUM_AT]);
    bytes[start + SUM_AT..].copy_from_slice(&sum.to_le_bytes());
}
