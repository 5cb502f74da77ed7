//! What stands in a tree in place of a value that its owner keeps in a log.

use std::collections::BTreeMap;

/// Where the value of an [`EntryKind::Pointer`](crate::EntryKind::Pointer) is. A tree only counts: how many
/// bytes of which segment its tables refer to. The rest is for the owner of the log, who finds the value.
///
/// A reference never changes, also when the value is moved to another segment: the tables need not be
/// written again for that, and a reader of old tables finds what a reader of new ones does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The segment of the log in which the value was written.
    pub segment: u32,
    /// What it takes there, in bytes.
    pub bytes: u32,
    /// The number of the record that brought it: in tables, that of the entry may be lost.
    pub seq: u64,
    /// Where in the segment it was written, in the words of the log.
    pub place: u64,
}

impl Reference {
    /// The length of an encoded reference.
    pub const BYTES: usize = 24;

    /// The reference as the value of an entry.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..4].copy_from_slice(&self.segment.to_le_bytes());
        out[4..8].copy_from_slice(&self.bytes.to_le_bytes());
        out[8..16].copy_from_slice(&self.seq.to_le_bytes());
        out[16..].copy_from_slice(&self.place.to_le_bytes());
        out
    }

    /// Reads the value of an entry; `None` if it is no reference.
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<Self> {
        let value: &[u8; Self::BYTES] = value.try_into().ok()?;
        Some(Self {
            segment: u32::from_le_bytes(*value.first_chunk()?),
            bytes: u32::from_le_bytes(value[4..8].try_into().ok()?),
            seq: u64::from_le_bytes(value[8..16].try_into().ok()?),
            place: u64::from_le_bytes(value[16..].try_into().ok()?),
        })
    }
}

/// How many bytes of which segments something refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferencedBytes(BTreeMap<u64, u64>);

impl ReferencedBytes {
    /// Counts a reference.
    pub fn add(&mut self, reference: &Reference) {
        self.add_bytes(reference.segment.into(), reference.bytes.into());
    }

    /// Counts bytes of a segment.
    pub fn add_bytes(&mut self, segment: u64, bytes: u64) {
        let sum = self.0.entry(segment).or_default();
        *sum = sum.saturating_add(bytes);
    }

    /// The segments with their bytes, in the order of the segments.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(segment, bytes)| (*segment, *bytes))
    }

    /// The bytes of a segment.
    #[must_use]
    pub fn of(&self, segment: u64) -> u64 {
        self.0.get(&segment).copied().unwrap_or(0)
    }

    /// As pairs, in the order of the segments.
    pub(crate) fn into_pairs(self) -> Vec<(u64, u64)> {
        self.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip_and_nothing_else_is_one() {
        let one = Reference { segment: 1, bytes: u32::MAX, seq: u64::MAX - 1, place: 1 << 63 | 8 };
        let bytes = one.encode();
        assert_eq!(Reference::decode(&bytes), Some(one));
        assert_eq!(Reference::decode(&bytes[1..]), None);
        assert_eq!(Reference::decode(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Reference::decode(b""), None);
    }

    #[test]
    fn bytes_add_up_by_segment() {
        let mut all = ReferencedBytes::default();
        let one = Reference { segment: 7, bytes: 10, seq: 1, place: 0 };
        all.add(&one);
        all.add(&Reference { bytes: 5, ..one });
        all.add(&Reference { segment: 2, ..one });
        assert_eq!(all.iter().collect::<Vec<_>>(), [(2, 10), (7, 15)]);
        assert_eq!((all.of(7), all.of(8)), (15, 0));
    }
}
