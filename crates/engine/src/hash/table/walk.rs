//! The walk: copies of all subtables, in the order of hashes, while the writer goes on.
//!
//! The walk remembers the hash it has come to. That is where some subtable ended when it was copied, and as
//! subtables only ever split, it is where one begins now. Memory orderings are those of a search; besides, the
//! words are read twice, and if both copies are the same they are what the subtable was at the moment between.

use std::fmt;
use std::sync::atomic::{Ordering, fence};

use super::Table;
use super::bucket::SLOTS;
use super::group::Group;
use super::shape;
use super::slot::{Slot, VACATED};
use super::stage::Stage;
use super::view::{Outdated, View};

/// How often the walk tries to copy a subtable before it makes the writer wait for it.
const PATIENCE: usize = 16;

/// How far a walk has come, for walks that do not borrow the table between two steps.
pub(crate) struct WalkPlace {
    /// The first hash not yet walked over; `None` at the end.
    next: Option<u64>,
    /// Whether slots of removed keys are left out.
    live_only: bool,
    words: Vec<u64>,
    stage: Stage,
}

impl Default for WalkPlace {
    fn default() -> Self {
        Self { next: Some(0), live_only: false, words: Vec::new(), stage: Stage::default() }
    }
}

impl fmt::Debug for WalkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalkPlace").field("next", &self.next).finish_non_exhaustive()
    }
}

impl WalkPlace {
    /// The start of a walk that leaves out the slots of removed keys.
    pub(crate) fn live_only() -> Self {
        Self { live_only: true, ..Self::default() }
    }

    /// Copies the next subtable into `group`; `false` if there are no more.
    ///
    /// Waits for nobody, unless a subtable changes so fast that it cannot be copied: then for the operation the
    /// writer is at, and the writer for the copy, which takes a microsecond.
    pub(super) fn step(&mut self, table: &Table, group: &mut Group) -> bool {
        let Some(hash) = self.next else { return false };
        let mut tries = 0;
        let (depth, precision, buckets) = loop {
            let pause = (tries >= PATIENCE).then(|| table.writer.lock());
            if let Ok(copied) = self.copy(table, hash) {
                break copied;
            }
            drop(pause);
            tries += 1;
        };
        self.next = 1u64
            .checked_shl(u64::BITS - depth)
            .and_then(|range| shape::prefix(hash, depth).checked_add(range));
        self.fill(group, precision, buckets);
        group.prefix = hash;
        group.depth = depth as u8;
        true
    }

    /// Reads the words of a subtable as they were at one moment.
    fn copy(&mut self, table: &Table, hash: u64) -> Result<(u32, u32, usize), Outdated> {
        let view = View::of(table, hash)?;
        let head = view.head();
        if shape::prefix(hash, head.depth()) != hash {
            return Err(Outdated);
        }
        self.words.clear();
        for at in 0..head.buckets() {
            self.words.extend(view.bucket(at)?.read());
        }
        fence(Ordering::Acquire);
        for (at, words) in self.words.chunks_exact(SLOTS).enumerate() {
            if view.bucket(at)?.read() != words {
                return Err(Outdated);
            }
        }
        if view.is_current() {
            Ok((head.depth(), head.precision(), head.buckets()))
        } else {
            Err(Outdated)
        }
    }

    fn fill(&mut self, group: &mut Group, precision: u32, buckets: usize) {
        group.precision = precision as u8;
        group.buckets = buckets as u32;
        group.counts.clear();
        group.slots.clear();
        let left_out = |raw: &u64| {
            *raw == VACATED || (self.live_only && Slot::from_raw(*raw).is_some_and(Slot::is_dead))
        };
        if self.words.iter().any(left_out) {
            self.words.iter_mut().filter(|raw| left_out(raw)).for_each(|raw| *raw = VACATED);
            // Without the vacated words some buckets are no longer full, and what was beyond them moves up.
            self.stage.begin(buckets, precision);
            self.stage.place(self.words.iter().filter_map(|&raw| Slot::from_raw(raw)));
            self.words.clear();
            self.words.extend(self.stage.words());
        }
        for bucket in self.words.chunks_exact(SLOTS) {
            let before = group.slots.len();
            group.slots.extend(bucket.iter().filter_map(|&raw| Slot::from_raw(raw)).map(Slot::raw));
            group.counts.push((group.slots.len() - before) as u8);
        }
    }
}
