//! The last bytes of a table: where the rest is.

use super::handle::{Child, Handle};
use crate::number::{u32_at, u64_at};

/// Bytes of the footer.
pub(super) const FOOTER_BYTES: usize = 80;
/// Where the checksum is, and how many bytes it covers.
const CHECKSUM: usize = FOOTER_BYTES - 4;

/// Where the parts of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// The topmost index block, with a filter if it is a leaf too; none if there are no entries.
    pub(super) root: Option<Child>,
    /// How many levels the index has.
    pub(super) depth: u32,
    /// Where the block of range removals is, if there are any.
    pub(super) ranges: Option<u64>,
    /// Where the block of properties is.
    pub(super) properties: u64,
    /// How many blocks handles count.
    pub(super) blocks_count: u32,
    /// Whether there are compressed blocks of entries.
    pub(super) is_compressed: bool,
}

impl Footer {
    /// The footer of a table whose file is `file_bytes` long with it.
    pub(super) fn encode(&self, seed: u32, file_bytes: u64) -> [u8; FOOTER_BYTES] {
        let mut out = [0; FOOTER_BYTES];
        let mut put = |at: usize, number: u64| {
            out[at..at + 8].copy_from_slice(&number.to_le_bytes());
        };
        // No block is at offset 0, where the header is.
        let (root, filter) = match self.root {
            Some(root) => (Some(root.block), root.filter),
            None => (None, None),
        };
        put(0, root.map_or(0, |handle| handle.offset));
        put(8, filter.map_or(0, |handle| handle.offset));
        put(16, self.ranges.unwrap_or(0));
        put(24, self.properties);
        put(32, file_bytes);
        let mut put = |at: usize, number: u32| {
            out[at..at + 4].copy_from_slice(&number.to_le_bytes());
        };
        put(40, root.map_or(0, |handle| handle.ordinal));
        put(44, filter.map_or(0, |handle| handle.ordinal));
        put(48, self.depth);
        put(52, self.blocks_count);
        put(56, u32::from(self.is_compressed));
        let checksum = crc32c::crc32c_append(seed, &out[..CHECKSUM]);
        out[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads the last bytes of a file of `file_bytes`; `None` if they are no footer of it.
    pub(super) fn decode(bytes: &[u8], seed: u32, file_bytes: u64) -> Option<Self> {
        let checksum = u32_at(bytes, CHECKSUM)?;
        if crc32c::crc32c_append(seed, bytes.get(..CHECKSUM)?) != checksum
            || u64_at(bytes, 32)? != file_bytes
        {
            return None;
        }
        let handle = |offset: usize, ordinal: usize| {
            let found = Handle { offset: u64_at(bytes, offset)?, ordinal: u32_at(bytes, ordinal)? };
            (found.offset != 0).then_some(found)
        };
        let root = handle(0, 40).map(|block| Child { block, filter: handle(8, 44) });
        let depth = u32_at(bytes, 48)?;
        let flags = u32_at(bytes, 56)?;
        // The levels of an index of so many blocks: each has at least two times as many as the next.
        if root.is_some() != (depth > 0) || depth > u32::BITS || flags > 1 {
            return None;
        }
        Some(Self {
            root,
            depth,
            ranges: Some(u64_at(bytes, 16)?).filter(|offset| *offset != 0),
            properties: u64_at(bytes, 24)?,
            blocks_count: u32_at(bytes, 52)?,
            is_compressed: flags & 1 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footers_come_back_and_every_flip_is_found() {
        let block = Handle { offset: 1000, ordinal: 9 };
        let filter = Some(Handle { offset: 900, ordinal: 8 });
        for root in [None, Some(Child { block, filter }), Some(Child { block, filter: None })] {
            let footer = Footer {
                root,
                depth: u32::from(root.is_some()),
                ranges: root.map(|_| 1100),
                properties: 1200,
                blocks_count: 10,
                is_compressed: root.is_some(),
            };
            let bytes = footer.encode(5, 4000);
            assert_eq!(Footer::decode(&bytes, 5, 4000), Some(footer));
            assert_eq!(Footer::decode(&bytes, 6, 4000), None, "of another table");
            assert_eq!(Footer::decode(&bytes, 5, 4001), None, "of another length");
            for at in 0..bytes.len() {
                let mut bad = bytes;
                bad[at] ^= 1;
                assert_eq!(Footer::decode(&bad, 5, 4000), None, "{at}");
                assert_eq!(Footer::decode(&bytes[..at], 5, 4000), None);
            }
        }
    }
}
