//! Which segments to compact: a pure function of what is known of them.

use annals_journal::{SegmentInfo, SegmentKind};

/// A segment that may be compacted.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) info: SegmentInfo,
    /// Bytes of records in it that are current.
    pub(crate) live_bytes: u64,
    /// Whether a slot holds it back.
    pub(crate) held: bool,
}

/// The segments whose live share is below `below`, in the order of the log. Segments that are
/// still written to, spares, and what slots hold back are never chosen.
///
/// While the log as a whole is better filled than `below`, moving records would cost more than it
/// gives: then only segments with nothing current in them are chosen, which cost nothing.
pub(crate) fn choose(candidates: &[Candidate], below: f64) -> Vec<SegmentInfo> {
    let used = || candidates.iter().filter(|one| one.info.kind != SegmentKind::Spare);
    let content_bytes: u64 = used().map(|one| one.info.content_bytes).sum();
    let live_bytes: u64 = used().map(|one| one.live_bytes).sum();
    let worthwhile = (live_bytes as f64) < content_bytes as f64 * below;
    let mut chosen: Vec<SegmentInfo> = used()
        .filter(|candidate| {
            let info = &candidate.info;
            let share = candidate.live_bytes as f64 / info.content_bytes.max(1) as f64;
            let enough = candidate.live_bytes == 0 || (worthwhile && share < below);
            info.sealed && !candidate.held && enough && below > 0.0
        })
        .map(|candidate| candidate.info.clone())
        .collect();
    chosen.sort_unstable_by_key(|info| (info.base_seq, info.slot));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_journal::Seq;

    fn candidate(slot: u32, live_bytes: u64) -> Candidate {
        let info = SegmentInfo {
            slot,
            generation: slot,
            kind: SegmentKind::Log,
            ordinal: slot,
            base_seq: Seq(u64::from(slot)),
            content_bytes: 100,
            file_bytes: 100,
            sealed: true,
        };
        Candidate { info, live_bytes, held: false }
    }

    #[test]
    fn only_sealed_free_and_mostly_dead_segments_are_chosen() {
        let mut open = candidate(1, 0);
        open.info.sealed = false;
        let mut spare = candidate(2, 0);
        spare.info.kind = SegmentKind::Spare;
        let mut held = candidate(3, 0);
        held.held = true;
        let all = [candidate(6, 10), open, spare, held, candidate(4, 49), candidate(5, 50)];
        let slots: Vec<u32> = choose(&all, 0.5).iter().map(|info| info.slot).collect();
        assert_eq!(slots, [4, 6]);
        assert!(choose(&all, 0.0).is_empty());
    }

    #[test]
    fn a_log_that_is_well_filled_gives_up_only_what_costs_nothing() {
        let all = [candidate(1, 100), candidate(2, 100), candidate(3, 10), candidate(4, 0)];
        let slots: Vec<u32> = choose(&all, 0.5).iter().map(|info| info.slot).collect();
        assert_eq!(slots, [4]);
    }
}
