//! A key with its value, borrowed from the log.

use annals_journal::SegmentGuard;
use std::fmt;

/// A key with its value, read in place. As a [`Guard`](crate::Guard), it keeps their segment mapped
/// while it lives; copy with [`to_vecs`](Self::to_vecs) what must be kept.
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

    /// Key and value as vectors of their own.
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
