//! A value in a segment that is kept by itself, without a borrow of the journal.
//!
//! A [guard](crate::ValueGuard) is counted by its thread, and borrows the table of segments. A held value
//! shares the segment instead, which costs a few counts: for large values, and for those that are kept
//! beside what they were found through. A segment with held values is neither unmapped nor recycled; its
//! file may be gone.

use crate::{Journal, Kind, SegmentGuard, Seq, segment::Segment, shared::Shared};
use std::{fmt, ops::Deref, sync::Arc};

/// Bytes of a segment, read in place. Whoever holds them keeps the segment mapped and its space from being
/// used again, and other openers from recycling it, also when the journal was closed.
pub struct HeldValue {
    segment: Arc<Segment>,
    /// Shares the readers' lock once the journal was closed.
    shared: Arc<Shared>,
    start: u32,
    len: u32,
}

impl Journal {
    /// Holds the value of the record at `offset` in the segment of `guard`, if it is the one that gives
    /// `key` its value at `seq`: checked on first touch. `None` if it is another record.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the bytes are not what was written.
    pub fn held_value(
        &self,
        guard: &SegmentGuard<'_>,
        offset: u32,
        key: &[u8],
        seq: Seq,
    ) -> crate::Result<Option<HeldValue>> {
        let record = guard.record(offset)?;
        if record.kind != Kind::Put || record.seq != seq || record.key != key {
            return Ok(None);
        }
        let first = guard.bytes(0, 0).as_ptr().addr();
        let start = (record.value.as_ptr().addr() - first) as u32;
        let len = record.value.len() as u32;
        let segment = guard.share();
        segment.hold();
        Ok(Some(HeldValue { segment, shared: Arc::clone(&self.shared), start, len }))
    }
}

impl Deref for HeldValue {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // Published when the value was found; what is published does not change while it is held.
        self.segment.region.read(self.start as usize, self.len as usize)
    }
}

impl Clone for HeldValue {
    fn clone(&self) -> Self {
        self.segment.hold();
        let (segment, shared) = (Arc::clone(&self.segment), Arc::clone(&self.shared));
        Self { segment, shared, ..*self }
    }
}

impl Drop for HeldValue {
    fn drop(&mut self) {
        self.segment.let_go();
    }
}

impl fmt::Debug for HeldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldValue({} bytes)", self.len)
    }
}
