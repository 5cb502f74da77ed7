//! The undo list of a frame that is being applied.

use super::table::Slot;
use annals_journal::{Address, Seq};
use std::sync::atomic::{AtomicU64, Ordering};

/// What slots held before a frame of several records changed them: for readers that come across a
/// record of a frame that is not published yet. Such readers see the state before the frame.
#[derive(Debug)]
pub(crate) struct Undo {
    first_seq: Seq,
    /// By the record's place in the frame: zero if the key was not there, else address and flag.
    before: Vec<AtomicU64>,
}

const UNDO_DEAD: u64 = 1 << 63;

impl Undo {
    pub(crate) fn new(first_seq: Seq, count: usize) -> Self {
        let before = std::iter::repeat_with(|| AtomicU64::new(0)).take(count).collect();
        Self { first_seq, before }
    }

    /// The number of the frame's first record.
    #[inline]
    pub(crate) fn first_seq(&self) -> Seq {
        self.first_seq
    }

    pub(super) fn note(&self, seq: Seq, slot: Slot) {
        let word = slot.address() | if slot.is_dead() { UNDO_DEAD } else { 0 };
        self.before[(seq.0 - self.first_seq.0) as usize].store(word, Ordering::Release);
    }

    /// What the key of record `seq` had before: `None` if the record is not of this frame,
    /// `Some(None)` if there was nothing.
    pub(crate) fn before(&self, seq: Seq) -> Option<Option<(Address, bool)>> {
        let index = seq.0.checked_sub(self.first_seq.0)?;
        let word = self.before.get(usize::try_from(index).ok()?)?.load(Ordering::Acquire);
        Some((word != 0).then(|| (Address::unpack(word), word & UNDO_DEAD != 0)))
    }
}
