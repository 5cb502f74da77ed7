//! The records of segments that are given up, in the order of their numbers.
//!
//! In each segment they are in order, and what is written of them is to be so too: reading in the order
//! of numbers is going through segments side by side.

use crate::{Result, core::Core};
use annals_journal::{Address, SegmentGuard, SegmentInfo, Seq};
use std::{cmp::Reverse, collections::BinaryHeap};

/// Goes through the records of several segments.
pub(super) struct Victims<'a> {
    all: Vec<Victim<'a>>,
    /// The next number of each that is not at its end.
    next: BinaryHeap<Reverse<(Seq, usize)>>,
}

struct Victim<'a> {
    guard: SegmentGuard<'a>,
    frame_at: u32,
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
    /// Begins with the first record of each segment that is there.
    pub(super) fn of(core: &'a Core, infos: &[&SegmentInfo]) -> Result<Self> {
        let mut victims = Self { all: Vec::new(), next: BinaryHeap::new() };
        for guard in infos.iter().filter_map(|info| core.journal.guard(info.slot)) {
            let (frame_at, records) = (guard.first_frame(), Vec::new().into_iter());
            victims.all.push(Victim { guard, frame_at, records });
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
            let Some(frame) = self.guard.next_frame(&mut self.frame_at)? else { return Ok(None) };
            let all = frame.records().map(|(address, len, record)| (record.seq, address, len));
            self.records = all.collect::<Vec<_>>().into_iter();
        }
    }
}
