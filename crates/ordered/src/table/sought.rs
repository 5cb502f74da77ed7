//! What is looked for in tables.

use crate::filter;

/// A key and the version of it that is looked for, with what every table needs to know of the key: it
/// is worked out once, and any number of tables of the same database are asked.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'k> {
    pub(super) key: &'k [u8],
    pub(super) seq: u64,
    pub(super) hash: u64,
}

impl<'k> Sought<'k> {
    /// Looks for the newest version of `key` that is not newer than `seq`, in tables of this
    /// database.
    #[inline]
    #[must_use]
    pub fn new(database_id: u64, key: &'k [u8], seq: u64) -> Self {
        Self { key, seq, hash: filter::hash_key(database_id, key) }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &'k [u8] {
        self.key
    }

    /// The newest version that will do.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }
}
