//! Which table a file is.

/// Which table a file is: of which database, and which of its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableIdentity {
    /// The database's id.
    pub database_id: u64,
    /// The table's number, never used twice in a database.
    pub number: u64,
}

impl TableIdentity {
    /// What all checksums of the table's blocks continue from: bytes of another table never pass.
    pub(super) fn seed(self) -> u32 {
        let mut both = [0; 16];
        both[..8].copy_from_slice(&self.database_id.to_le_bytes());
        both[8..].copy_from_slice(&self.number.to_le_bytes());
        crc32c::crc32c(&both)
    }
}
