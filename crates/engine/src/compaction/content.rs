//! What is in a segment that may be given up, found out by reading it once.

use super::victim_trees::VictimTrees;
use crate::core::Core;
use annals_journal::{Address, Kind, Record, SegmentInfo, SegmentKind, Seq};

/// So many records are noted at most of those that may survive.
const FEW: usize = 1 << 10;

/// A segment that is to be given up.
pub(super) struct Chosen {
    pub(super) info: SegmentInfo,
    pub(super) content: Content,
}

/// What may survive of a segment.
pub(super) enum Content {
    /// Frames are not as they were written.
    Damaged,
    /// At most these records, with their addresses and encoded lengths: nobody needs another one, for certain and
    /// for ever, so the segment need not be read again.
    Few(Vec<(Seq, Address, u32)>),
    /// Nothing but records of the catalog, these: they are all moved, and stay as many.
    Whole(Vec<(Seq, Address, u32)>),
    /// Perhaps more than is noted.
    Many,
}

impl Content {
    /// Reads a segment, each frame of which is checked.
    pub(super) fn of(core: &Core, info: &SegmentInfo) -> Self {
        let Some(guard) = core.journal.guard(info.slot) else { return Self::Damaged };
        let (catalog, trees) = (core.catalog.load(), VictimTrees::of(core));
        // Of hash keyspaces nothing is certain here: what hides older records depends on which segments go.
        let is_over = |record: &Record<'_>| {
            record.kind != Kind::Catalog
                && catalog.by_id(record.space).is_none_or(|listed| listed.keyspace.is_ordered())
                && trees.as_ref().is_none_or(|trees| matches!(trees.reference(record), Ok(None)))
        };
        let mut offset = guard.first_frame();
        let (mut left, mut is_whole) = (Vec::new(), info.kind == SegmentKind::Packed);
        loop {
            let frame = match guard.next_frame(&mut offset) {
                Ok(Some(frame)) => frame,
                Ok(None) if left.len() > FEW => return Self::Many,
                Ok(None) if is_whole => return Self::Whole(left),
                Ok(None) => return Self::Few(left),
                Err(error) => {
                    tracing::warn!(%error, "a damaged segment is not compacted");
                    return Self::Damaged;
                }
            };
            #[cfg(test)]
            super::reads_test::note_frame(info.slot);
            for (address, len, record) in frame.records() {
                if left.len() > FEW {
                    break;
                }
                is_whole = is_whole && record.kind == Kind::Catalog;
                if !is_over(&record) {
                    left.push((record.seq, address, len));
                }
            }
        }
    }
}

/// Leaves a segment out that would be written again as it is, if it is the only one of which anything survives:
/// it would be chosen again after every checkpoint, and each time take another checkpoint and a root. With others
/// it becomes one.
pub(super) fn leave_whole(victims: &mut Vec<Chosen>) {
    let is_empty = |content: &Content| matches!(content, Content::Few(left) if left.is_empty());
    if victims.iter().filter(|victim| !is_empty(&victim.content)).count() == 1 {
        victims.retain(|victim| !matches!(victim.content, Content::Whole(_)));
    }
}
