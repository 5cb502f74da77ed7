//! A key with its value, borrowed from the log.

use annals_journal::SegmentGuard;
use std::fmt;

/// A key with its value, read in place. As a [`Guard`](crate::Guard), it keeps their segment mapped
/// while it lives; copy with [`to_vecs`](Self::to_vecs) what must be kept.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// users.insert("ada", "1815")?;
/// let entry = users.iter()?.next().expect("there is one")?;
/// assert_eq!((entry.key(), entry.value()), (&b"ada"[..], &b"1815"[..]));
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Entry<'a> {
    segment: SegmentGuard<'a>,
    key: (u32, u32),
    value: (u32, u32),
}

impl<'a> Entry<'a> {
    pub(crate) fn new(segment: SegmentGuard<'a>, key: (u32, u32), value: (u32, u32)) -> Self {
        Self { segment, key, value }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.segment.bytes(self.key.0, self.key.1)
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.segment.bytes(self.value.0, self.value.1)
    }

    /// Key and value as vectors of their own, which hold nothing back: two allocations and two copies.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert_many([("ada", "1815"), ("charles", "1791")])?;
    /// // What is kept for long is copied, so that it keeps no disk space from being reclaimed.
    /// let mut all = users.iter()?.map(|e| Ok(e?.to_vecs())).collect::<annals::Result<Vec<_>>>()?;
    /// all.sort();
    /// assert_eq!(all[0], (b"ada".to_vec(), b"1815".to_vec()));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn to_vecs(&self) -> (Vec<u8>, Vec<u8>) {
        (self.key().to_vec(), self.value().to_vec())
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry(key of {} bytes, value of {} bytes)", self.key.1, self.value.1)
    }
}
