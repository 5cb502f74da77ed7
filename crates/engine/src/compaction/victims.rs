//! The records of segments that are given up, in the order of their numbers.
//!
//! In each segment they are in order, and what is written of them is to be so too: reading in the order
//! of numbers is going through segments side by side.

use super::content::{Chosen, Content};
use crate::{Result, core::Core};
use annals_journal::{Address, SegmentGuard, Seq};
use std::{cmp::Reverse, collections::BinaryHeap};

/// Goes through the records of several segments.
pub(super) struct Victims<'a> {
    all: Vec<Victim<'a>>,
    /// The next number of each that is not at its end.
    next: BinaryHeap<Reverse<(Seq, usize)>>,
}

struct Victim<'a> {
    guard: SegmentGuard<'a>,
    /// Where the next frame is; none if all records are known.
    frame_at: Option<u32>,
    /// What is left of the frame before that: numbers, addresses and lengths.
    records: std::vec::IntoIter<(Seq, Address, u32)>,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    victim: usize,
    pub(super) address: Address,
    /// Its encoded length in bytes.
    pub(super) len: u32,
}

impl<'a> Victims<'a> {
    /// Begins with the first record of each segment that is there. One of which it is known what may survive is not
    /// read again: no more than that is gone through.
    pub(super) fn of(core: &'a Core, chosen: &[Chosen]) -> Result<Self> {
        let mut victims = Self { all: Vec::new(), next: BinaryHeap::new() };
        for Chosen { info, content } in chosen {
            let Some(guard) = core.journal.guard(info.slot) else { continue };
            let (frame_at, records) = match content {
                Content::Few(left) | Content::Whole(left) => (None, left.clone()),
                Content::Many | Content::Damaged => (Some(guard.first_frame()), Vec::new()),
            };
            victims.all.push(Victim { guard, frame_at, records: records.into_iter() });
            victims.announce(victims.all.len() - 1)?;
        }
        Ok(victims)
    }

    fn announce(&mut self, index: usize) -> Result<()> {
        if let Some(seq) = self.all[index].next_seq()? {
            self.next.push(Reverse((seq, index)));
        }
        Ok(())
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Option<Found>> {
        let Some(Reverse((_, victim))) = self.next.pop() else { return Ok(None) };
        let found = self.all[victim].records.next();
        self.announce(victim)?;
        Ok(found.map(|(_, address, len)| Found { victim, address, len }))
    }

    /// The segment that a record is in.
    pub(super) fn guard(&self, found: Found) -> &SegmentGuard<'a> {
        &self.all[found.victim].guard
    }
}

impl Victim<'_> {
    /// The number of the next record; `None` at the end.
    fn next_seq(&mut self) -> Result<Option<Seq>> {
        loop {
            if let Some((seq, ..)) = self.records.as_slice().first() {
                return Ok(Some(*seq));
            }
            let Some(frame_at) = &mut self.frame_at else { return Ok(None) };
            let Some(frame) = self.guard.next_frame(frame_at)? else { return Ok(None) };
            #[cfg(test)]
            super::reads_test::note_frame(self.guard.slot());
            let all = frame.records().map(|(address, len, record)| (record.seq, address, len));
            self.records = all.collect::<Vec<_>>().into_iter();
        }
    }
}
