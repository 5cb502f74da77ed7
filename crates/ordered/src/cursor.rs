//! A place in a sorted run of entries.

use crate::{Entry, Result};

/// A place in a sorted run of entries, or outside of it. A run is sorted by [`Entry::order`] and has
/// each pair of key and sequence number once.
///
/// A cursor that stands outside of its run (fresh, or moved beyond an end) has no entry; moving it
/// by one step then leaves it there. After an error it stands outside too.
pub trait Cursor {
    /// The entry at the place; `None` outside of the run.
    fn entry(&self) -> Option<Entry<'_>>;
    /// Whether there is an entry at the place: cheaper than a look at it, where somebody knows.
    #[inline]
    fn has_entry(&self) -> bool {
        self.entry().is_some()
    }
    /// Goes to the first entry.
    fn to_first(&mut self) -> Result<()>;
    /// Goes to the last entry.
    fn to_last(&mut self) -> Result<()>;
    /// Goes to the first entry at or behind the version `seq` of `key`: the newest version of `key`
    /// that is not newer than `seq`, or, if there is none, the newest version of the next key.
    fn seek(&mut self, key: &[u8], seq: u64) -> Result<()>;
    /// Goes to the last entry at or before the version `seq` of `key`.
    fn seek_back(&mut self, key: &[u8], seq: u64) -> Result<()>;
    /// Goes one entry on.
    fn advance(&mut self) -> Result<()>;
    /// Goes one entry back.
    fn retreat(&mut self) -> Result<()>;

    /// How many of the entries directly behind the place are *plain*, as far as that is easily told:
    /// each is a put or a pointer that never expires, has `seq` as its number at most, and a key lower
    /// than `end` (`None`: any). 0 is always right.
    #[inline]
    fn stretch(&self, seq: u64, end: Option<&[u8]>) -> usize {
        let _ = (seq, end);
        0
    }

    /// Goes one entry on, to one that [`stretch`](Self::stretch) has counted, from one that it has
    /// counted or was asked at. `false`: the cursor stays where it is, for the next entry has the same key
    /// or is damaged; [`advance`](Self::advance) goes there, or tells.
    #[inline]
    fn follow(&mut self) -> bool {
        false
    }
}
