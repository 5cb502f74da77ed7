//! Where a block is.

use crate::number::uint_at;

/// Where a block is, and which one it is in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    /// Where its envelope begins in the file.
    pub(super) offset: u64,
    /// How many blocks were written before it. Chooses the bit that says that its checksum was
    /// found right, and so must not come from the block itself.
    pub(super) ordinal: u32,
}

/// Bytes of a handle's offset.
const OFFSET_BYTES: usize = 6;
/// Bytes of a handle.
pub(super) const HANDLE_BYTES: usize = OFFSET_BYTES + 4;
/// Files end before this offset.
pub(super) const OFFSET_MAX: u64 = 1 << (8 * OFFSET_BYTES);

impl Handle {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes()[..OFFSET_BYTES]);
        out.extend_from_slice(&self.ordinal.to_le_bytes());
    }

    #[inline(always)]
    pub(super) fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let offset = uint_at(bytes, at, OFFSET_BYTES)?;
        let ordinal = uint_at(bytes, at + OFFSET_BYTES, 4)? as u32;
        Some(Self { offset, ordinal })
    }
}

/// What an index block says of the block below it: where it is and, of a leaf, where its filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) block: Handle,
    pub(super) filter: Option<Handle>,
}

impl Child {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        self.block.put(out);
        if let Some(filter) = self.filter {
            filter.put(out);
        }
    }

    #[inline(always)]
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let filter = match value.len() {
            HANDLE_BYTES => None,
            len if len == 2 * HANDLE_BYTES => Some(Handle::at(value, HANDLE_BYTES)?),
            _ => return None,
        };
        Some(Self { block: Handle::at(value, 0)?, filter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_come_back_with_and_without_a_filter() {
        let block = Handle { offset: OFFSET_MAX - 1, ordinal: u32::MAX };
        for filter in [None, Some(Handle { offset: 64, ordinal: 0 })] {
            let mut out = Vec::new();
            Child { block, filter }.put(&mut out);
            assert_eq!(Child::read(&out), Some(Child { block, filter }));
            assert_eq!(Child::read(&out[1..]), None);
        }
    }
}
