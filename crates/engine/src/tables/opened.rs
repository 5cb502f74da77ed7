//! Parts that were looked up and opened, for all views of a time in which nothing becomes of them.
//!
//! They say where parts are, and hold nothing: neither segments of the log nor the files of these. A view takes guards of
//! the segments named here, and finds by their numbers, which no other segment ever has, whether these are still the
//! ones that were meant. Where log compaction has moved a part before its segment is gone, the former place has the
//! same bytes.

use super::{
    damage::{self, Lost},
    places::PartPlace,
    shape::{Known, Shape},
};
use crate::Error;
use annals_columns::{PartHead, PartView, Schema};
use annals_journal::{Journal, SegmentGuard};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

/// The parts of a table.
#[derive(Debug)]
pub(super) struct Opened {
    /// Of what was [known](Known) when they were opened.
    pub(super) generation: u64,
    pub(super) schema: Arc<Schema>,
    pub(super) parts: Vec<OpenedPart>,
    /// What cannot be read.
    pub(super) lost: Vec<Lost>,
    /// Fresh batches that are in the parts.
    pub(super) replaced: HashSet<u64>,
    /// The slots of the segments that have the parts, and the numbers of these.
    segments: Vec<(u32, u32)>,
}

/// A part.
#[derive(Clone, Debug)]
pub(super) struct OpenedPart {
    pub(super) place: Arc<PartPlace>,
    head: Arc<PartHead>,
    /// Which of the segments has it, and its offset and length there.
    segment: usize,
    range: (u32, u32),
}

impl OpenedPart {
    /// The part, by guards of all segments.
    #[inline]
    pub(super) fn view<'p>(&'p self, guards: &'p [SegmentGuard<'_>]) -> PartView<'p> {
        let bytes = guards[self.segment].bytes(self.range.0, self.range.1);
        // The head was read from these bytes.
        self.head.view(bytes).expect("of the head's length")
    }

    /// Names the file of an error about it.
    pub(super) fn named(&self, table: &str, guards: &[SegmentGuard<'_>], error: Error) -> Error {
        damage::of_part(table, self.place(guards), self.place.number, error)
    }

    /// The guard of the segment that has it, and its offset there.
    pub(super) fn place<'g, 'j>(
        &self,
        guards: &'g [SegmentGuard<'j>],
    ) -> (&'g SegmentGuard<'j>, u32) {
        (&guards[self.segment], self.range.0)
    }

    /// How many bytes it has.
    pub(super) fn bytes_count(&self) -> u64 {
        self.range.1.into()
    }
}

impl Opened {
    /// None yet.
    pub(super) fn new(known: &Known) -> Self {
        let (generation, schema) = (known.generation, Arc::clone(&known.schema));
        let (parts, replaced, segments) = (Vec::new(), HashSet::new(), Vec::new());
        let lost = Vec::clone(&known.lost);
        Self { generation, schema, parts, lost, replaced, segments }
    }

    /// Adds a part that was found in the segment of a guard, at an offset and of a length. The guard goes to the
    /// others, if there is none of that segment.
    pub(super) fn add<'t>(
        &mut self,
        (place, head): (&Arc<PartPlace>, Arc<PartHead>),
        guard: SegmentGuard<'t>,
        range: (u32, u32),
        guards: &mut Vec<SegmentGuard<'t>>,
    ) {
        let named = (guard.slot(), guard.generation());
        let segment = self.segments.iter().position(|one| *one == named);
        let segment = segment.unwrap_or_else(|| {
            self.segments.push(named);
            guards.push(guard);
            guards.len() - 1
        });
        self.parts.push(OpenedPart { place: Arc::clone(place), head, segment, range });
    }

    /// The same with those parts only whose numbers are kept.
    pub(super) fn only(&self, is_kept: impl Fn(u64) -> bool) -> Self {
        let parts = self.parts.iter().filter(|part| is_kept(part.place.number)).cloned().collect();
        let (schema, lost) = (Arc::clone(&self.schema), self.lost.clone());
        let (replaced, segments) = (self.replaced.clone(), self.segments.clone());
        Self { generation: self.generation, schema, parts, lost, replaced, segments }
    }

    /// Guards of all segments; `None` if one of them is gone.
    pub(super) fn guards<'t>(&self, journal: &'t Journal) -> Option<Vec<SegmentGuard<'t>>> {
        let mut guards = Vec::with_capacity(self.segments.len());
        for (slot, number) in &self.segments {
            guards.push(journal.guard(*slot).filter(|guard| guard.generation() == *number)?);
        }
        Some(guards)
    }
}

impl Shape {
    /// The parts as they were opened last, if nothing has become of them since.
    #[inline]
    pub(super) fn opened(&self) -> Option<Arc<Opened>> {
        let opened = self.last_opened.load();
        let is_now =
            |opened: &&Arc<Opened>| opened.generation == self.generation.load(Ordering::Acquire);
        opened.as_ref().filter(is_now).map(Arc::clone)
    }

    /// Keeps opened parts for the next view, unless something becomes of them meanwhile.
    pub(super) fn keep(&self, opened: &Arc<Opened>) {
        self.look(|known| {
            if known.generation == opened.generation && !known.is_dropping && known.coming.is_none()
            {
                self.last_opened.store(Some(Arc::clone(opened)));
            }
        });
    }
}
