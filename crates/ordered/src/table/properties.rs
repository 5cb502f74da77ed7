//! What a table says of itself.

use crate::{
    Compression,
    number::{put_bytes, put_varint, take_bytes, take_varint},
};

/// What the caller wants to be kept with a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableNotes {
    /// The level that the table was written for.
    pub level: u32,
    /// When it was written, in milliseconds since 1970.
    pub created_ms: u64,
    /// What the table's pointers point to: segments of the log by their ids, and how many bytes of
    /// each, in the order of the ids.
    pub references: Vec<(u64, u64)>,
}

/// What a table says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// What the writer's caller gave.
    pub notes: TableNotes,
    /// Entries: versions of keys.
    pub entries_count: u64,
    /// Entries that are removals of their keys.
    pub removals_count: u64,
    /// Entries that point to values kept elsewhere.
    pub pointers_count: u64,
    /// Entries that expire.
    pub expiring_count: u64,
    /// The earliest time at which one of these expires, in milliseconds since 1970; 0 without any.
    pub expires_min_ms: u64,
    /// The latest such time. If all entries expire, none is of use from then on.
    pub expires_max_ms: u64,
    /// Bytes of all keys.
    pub key_bytes: u64,
    /// Bytes of all values, as they are in the table.
    pub value_bytes: u64,
    /// The smallest key; empty without entries.
    pub smallest_key: Vec<u8>,
    /// The largest key; empty without entries.
    pub largest_key: Vec<u8>,
    /// The smallest sequence number, of entries and range removals.
    pub smallest_seq: u64,
    /// The largest sequence number, of entries and range removals.
    pub largest_seq: u64,
    /// Removals of ranges.
    pub range_removals_count: u64,
    /// The first key that one of them removes; empty without any.
    pub range_removals_from: Vec<u8>,
    /// The key behind the last one that one of them removes.
    pub range_removals_to: Vec<u8>,
    /// How the blocks of entries were to be made smaller.
    pub compression: Compression,
    /// Bytes of the blocks of entries before that.
    pub data_raw_bytes: u64,
    /// Bytes of the blocks of entries as they are stored.
    pub data_bytes: u64,
    /// Blocks of entries.
    pub data_blocks_count: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Bytes of the filters.
    pub filter_bytes: u64,
    /// Bits of a key in the filters; 0: there are none.
    pub filter_bits_per_key: u8,
    /// How many first bytes of the keys are in the filters too.
    pub filter_prefix_bytes: Option<u16>,
}

type Number = fn(&mut Properties) -> &mut u64;
type Bytes = fn(&mut Properties) -> &mut Vec<u8>;

/// The numbers of properties: a tag, where to find the number, where to put it. A tag is never used
/// for anything else; a reader passes over tags it does not know.
const NUMBERS: [(u64, Number); 17] = [
    (1, |p| &mut p.entries_count),
    (2, |p| &mut p.removals_count),
    (3, |p| &mut p.pointers_count),
    (4, |p| &mut p.expiring_count),
    (5, |p| &mut p.expires_min_ms),
    (6, |p| &mut p.expires_max_ms),
    (7, |p| &mut p.key_bytes),
    (8, |p| &mut p.value_bytes),
    (9, |p| &mut p.smallest_seq),
    (10, |p| &mut p.largest_seq),
    (11, |p| &mut p.range_removals_count),
    (12, |p| &mut p.data_raw_bytes),
    (13, |p| &mut p.data_bytes),
    (14, |p| &mut p.data_blocks_count),
    (15, |p| &mut p.index_bytes),
    (16, |p| &mut p.filter_bytes),
    (17, |p| &mut p.notes.created_ms),
];
const LEVEL: u64 = 18;
const COMPRESSION: u64 = 19;
const FILTER_BITS: u64 = 20;
const FILTER_PREFIX: u64 = 21;
/// The bytes of properties.
const BYTES: [(u64, Bytes); 4] = [
    (32, |p| &mut p.smallest_key),
    (33, |p| &mut p.largest_key),
    (34, |p| &mut p.range_removals_from),
    (35, |p| &mut p.range_removals_to),
];
const REFERENCES: u64 = 36;
/// Tags from here on are followed by bytes, those below by a number.
const BYTES_FROM: u64 = 32;

impl Properties {
    /// Appends the properties to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut copy = self.clone();
        for (tag, field) in NUMBERS {
            put_varint(tag, out);
            put_varint(*field(&mut copy), out);
        }
        let (codec, level) = match self.compression {
            Compression::None => (0, 0),
            Compression::Lz4 => (1, 0),
            Compression::Zstd { level } => (2, level),
        };
        for (tag, number) in [
            (LEVEL, u64::from(self.notes.level)),
            (COMPRESSION, codec | u64::from(level) << 8),
            (FILTER_BITS, self.filter_bits_per_key.into()),
            (FILTER_PREFIX, self.filter_prefix_bytes.unwrap_or(0).into()),
        ] {
            put_varint(tag, out);
            put_varint(number, out);
        }
        for (tag, field) in BYTES {
            put_varint(tag, out);
            put_bytes(field(&mut copy), out);
        }
        let mut references = Vec::new();
        for (segment, bytes) in &self.notes.references {
            put_varint(*segment, &mut references);
            put_varint(*bytes, &mut references);
        }
        put_varint(REFERENCES, out);
        put_bytes(&references, out);
    }

    /// Reads properties; `None` if these bytes are none.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        while !bytes.is_empty() {
            let tag = take_varint(&mut bytes)?;
            if tag >= BYTES_FROM {
                found.take_bytes(tag, take_bytes(&mut bytes)?)?;
            } else {
                found.take_number(tag, take_varint(&mut bytes)?)?;
            }
        }
        Some(found)
    }

    fn take_number(&mut self, tag: u64, number: u64) -> Option<()> {
        match tag {
            LEVEL => self.notes.level = u32::try_from(number).ok()?,
            COMPRESSION => {
                self.compression = match (number & 0xff, number >> 8) {
                    (0, 0) => Compression::None,
                    (1, 0) => Compression::Lz4,
                    (2, level) => Compression::Zstd { level: u8::try_from(level).ok()? },
                    _ => return None,
                };
            }
            FILTER_BITS => self.filter_bits_per_key = u8::try_from(number).ok()?,
            FILTER_PREFIX => {
                let len = u16::try_from(number).ok()?;
                self.filter_prefix_bytes = (len > 0).then_some(len);
            }
            _ => {
                if let Some((_, field)) = NUMBERS.iter().find(|(of, _)| *of == tag) {
                    *field(self) = number;
                }
            }
        }
        Some(())
    }

    fn take_bytes(&mut self, tag: u64, mut bytes: &[u8]) -> Option<()> {
        if tag == REFERENCES {
            while !bytes.is_empty() {
                let reference = (take_varint(&mut bytes)?, take_varint(&mut bytes)?);
                self.notes.references.push(reference);
            }
        } else if let Some((_, field)) = BYTES.iter().find(|(of, _)| *of == tag) {
            *field(self) = bytes.to_vec();
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Properties {
        let mut sample = Properties::default();
        for (number, (_, field)) in (1000..).zip(NUMBERS) {
            *field(&mut sample) = number;
        }
        for (letter, (_, field)) in (b'a'..).zip(BYTES) {
            *field(&mut sample) = vec![letter; 3];
        }
        sample.notes.level = 3;
        sample.notes.references = vec![(1, 100), (7, u64::MAX)];
        sample.compression = Compression::Zstd { level: 9 };
        sample.filter_bits_per_key = 10;
        sample.filter_prefix_bytes = Some(300);
        sample
    }

    #[test]
    fn properties_come_back_and_unknown_ones_are_passed_over() {
        for sample in [sample(), Properties::default()] {
            let mut out = Vec::new();
            sample.encode(&mut out);
            assert_eq!(Properties::decode(&out).as_ref(), Some(&sample));
            put_varint(31, &mut out);
            put_varint(5, &mut out);
            put_varint(4000, &mut out);
            put_bytes(b"of a later build", &mut out);
            assert_eq!(Properties::decode(&out).as_ref(), Some(&sample));
        }
    }

    #[test]
    fn what_is_cut_off_in_a_field_is_nothing() {
        let mut out = Vec::new();
        sample().encode(&mut out);
        let whole = out.len();
        let read = (0..whole).filter(|len| Properties::decode(&out[..*len]).is_some()).count();
        assert_eq!(read, NUMBERS.len() + 4 + BYTES.len() + 1, "only between two fields");
    }
}
