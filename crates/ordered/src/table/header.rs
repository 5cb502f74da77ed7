//! The first bytes of a table: what the file is.

use super::TableIdentity;
use crate::{
    Error, Result,
    number::{u16_at, u32_at, u64_at},
};
use std::path::Path;

/// Bytes of the header; the first block starts behind it.
pub(super) const HEADER_BYTES: usize = 64;
/// First bytes of a table.
const MAGIC: [u8; 8] = *b"ANNALSST";
/// The version of the table format that this build writes.
pub(super) const VERSION: u16 = 1;
/// A number whose bytes tell in which order the writer put them.
const ENDIAN_MARK: u16 = 0x1234;
/// Where the checksum is, and how many bytes it covers.
const CHECKSUM: usize = HEADER_BYTES - 4;

pub(super) fn encode(identity: TableIdentity) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    out[..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&VERSION.to_le_bytes());
    out[10..12].copy_from_slice(&ENDIAN_MARK.to_le_bytes());
    out[16..24].copy_from_slice(&identity.database_id.to_le_bytes());
    out[24..32].copy_from_slice(&identity.number.to_le_bytes());
    let checksum = crc32c::crc32c(&out[..CHECKSUM]);
    out[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// Checks that `bytes`, the start of a file, are of the table that is expected.
pub(super) fn check(bytes: &[u8], expected: TableIdentity, path: &Path) -> Result<()> {
    let path = || path.to_owned();
    let damaged = |what| Err(Error::Damaged { path: path(), offset: 0, what });
    if !bytes.starts_with(&MAGIC) {
        return Err(Error::NotATable { path: path() });
    }
    let (Some(version), Some(mark), Some(database_id), Some(number), Some(checksum)) = (
        u16_at(bytes, 8),
        u16_at(bytes, 10),
        u64_at(bytes, 16),
        u64_at(bytes, 24),
        u32_at(bytes, CHECKSUM),
    ) else {
        return damaged("the file is cut off in its header");
    };
    if mark == ENDIAN_MARK.swap_bytes() {
        return Err(Error::ByteOrder { path: path() });
    }
    // A flipped bit in the version of an intact header is told apart by the checksum.
    if crc32c::crc32c(&bytes[..CHECKSUM]) != checksum || mark != ENDIAN_MARK {
        return damaged("the checksum of the header does not match");
    }
    if version != VERSION {
        return Err(Error::Version { path: path(), found: version, expected: VERSION });
    }
    if database_id != expected.database_id {
        let (found, expected) = (database_id, expected.database_id);
        return Err(Error::Foreign { path: path(), found, expected });
    }
    if number != expected.number {
        return Err(Error::OtherTable { path: path(), found: number, expected: expected.number });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TableIdentity = TableIdentity { database_id: 7, number: 3 };

    fn check(bytes: &[u8], id: TableIdentity) -> Result<()> {
        super::check(bytes, id, Path::new("3.sst"))
    }

    #[test]
    fn every_flip_and_every_cut_is_found() {
        let bytes = encode(ID);
        assert!(check(&bytes, ID).is_ok());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes;
                bad[at] ^= 1 << bit;
                assert!(check(&bad, ID).is_err(), "byte {at} bit {bit}");
            }
            assert!(check(&bytes[..at], ID).is_err());
        }
    }

    #[test]
    fn each_mismatch_has_its_own_error() {
        let bytes = encode(ID);
        let other = |id| check(&bytes, id).expect_err("another");
        assert!(matches!(
            other(TableIdentity { database_id: 8, ..ID }),
            Error::Foreign { found: 7, expected: 8, .. }
        ));
        assert!(matches!(
            other(TableIdentity { number: 4, ..ID }),
            Error::OtherTable { found: 3, expected: 4, .. }
        ));
        let changed = |at: usize, new: [u8; 2]| {
            let mut bytes = bytes;
            bytes[at..at + 2].copy_from_slice(&new);
            let checksum = crc32c::crc32c(&bytes[..CHECKSUM]);
            bytes[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
            check(&bytes, ID).expect_err("changed")
        };
        assert!(matches!(changed(8, [2, 0]), Error::Version { found: 2, expected: 1, .. }));
        assert!(matches!(changed(10, [0x12, 0x34]), Error::ByteOrder { .. }));
        assert!(matches!(changed(0, *b"no"), Error::NotATable { .. }));
    }
}
