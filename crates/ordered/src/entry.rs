//! One version of a key, and the order in which versions stand.

use std::cmp::Ordering;

/// What a version says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The key has this value.
    Put,
    /// The key has a value that is kept elsewhere; the entry's value says where: it is a
    /// [`Reference`](crate::Reference).
    Pointer,
    /// The key is not there.
    Remove,
}

/// One version of a key, borrowed from where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The sequence number of the record that brought it. Zero stands for "older than anything that
    /// anybody can ask for".
    pub seq: u64,
    /// What it says about the key.
    pub kind: EntryKind,
    /// From which millisecond since 1970 on the version counts as a removal.
    pub expires_ms: Option<u64>,
    /// The value; empty for removals.
    pub value: &'a [u8],
}

impl Entry<'_> {
    /// The order in every run of entries: keys upwards, and of one key the newest version first.
    #[must_use]
    pub fn order(&self, other: &Entry<'_>) -> Ordering {
        self.key.cmp(other.key).then(other.seq.cmp(&self.seq))
    }
}
