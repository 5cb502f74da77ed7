//! Which compaction is done next: the style's own choice, then tables with much to drop, then small ones.

use super::{Action, Compaction, Reason, Running, fifo, leveled, small, tiered};
use crate::{LEVELS, Levels, Style, TableInfo, TreeOptions};
use std::sync::Arc;

/// A table is compacted for its removals from this share of its versions on: one in so many.
const REMOVALS_ONE_IN: u64 = 4;
/// A table is compacted for what has expired from this share of its versions on: one in so many.
const EXPIRED_ONE_IN: u64 = 2;

/// What a choice goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) levels: &'a Levels,
    pub(crate) options: &'a TreeOptions,
    pub(crate) running: &'a Running,
    /// Nobody asks for what was so before this sequence number: of the versions up to it only the
    /// newest of a key is needed, and that not if it is a removal and nothing lies beneath.
    pub(crate) settled_seq: u64,
    /// The highest sequence number that somebody holds; `None` if nobody does. What is not newer may be
    /// seen by who holds it.
    pub(crate) held_seq: Option<u64>,
    /// Nobody asks as of a time before this one, in milliseconds since 1970: what has expired by
    /// then counts as removed for all.
    pub(crate) now_ms: u64,
    /// Nothing is merged that reads more bytes.
    pub(crate) input_bytes_max: u64,
}

#[cfg(test)]
impl<'a> Ask<'a> {
    /// Asks where nobody holds anything, at time 0, and for as much as there is.
    pub(super) fn of(levels: &'a Levels, options: &'a TreeOptions, running: &'a Running) -> Self {
        let (settled_seq, held_seq, now_ms, input_bytes_max) = (0, None, 0, u64::MAX);
        Self { levels, options, running, settled_seq, held_seq, now_ms, input_bytes_max }
    }
}

impl Ask<'_> {
    /// Whether `compaction` can be begun: beside what is running, and without reading more than it may.
    pub(super) fn admits(&self, compaction: &Compaction) -> bool {
        let reads = compaction.action == Action::Merge;
        (!reads || compaction.bytes() <= self.input_bytes_max) && self.running.admits(compaction)
    }
}

/// The compaction that is to be done next; `None` if there is nothing to do, or nothing that can be
/// done beside what is running.
pub(crate) fn choose(ask: &Ask<'_>) -> Option<Compaction> {
    match ask.options.style {
        Style::Leveled => leveled::choose(ask)
            .or_else(|| superfluous(ask))
            .or_else(|| small::of_sorted_levels(ask)),
        Style::Tiered => tiered::choose(ask),
        Style::Fifo { keep_ms, bytes_max } => fifo::choose(ask, keep_ms, bytes_max),
    }
}

/// A table of a sorted level with much that can be dropped.
fn superfluous(ask: &Ask<'_>) -> Option<Compaction> {
    let mut best: Option<(u64, Compaction)> = None;
    for level in 1..LEVELS {
        for table in ask.levels.level(level) {
            let Some(compaction) = dropping(ask, level, table) else { continue };
            let gain = table.removals + table.range_removals + table.expired_estimate(ask.now_ms);
            if best.as_ref().is_none_or(|(most, _)| gain > *most) && ask.admits(&compaction) {
                best = Some((gain, compaction));
            }
        }
    }
    best.map(|(_, compaction)| compaction)
}

/// The compaction that lets `table` drop what it has to drop, if that is worth it.
fn dropping(ask: &Ask<'_>, level: usize, table: &Arc<TableInfo>) -> Option<Compaction> {
    let removals = table.removals.saturating_add(table.range_removals);
    let expired = table.expired_estimate(ask.now_ms);
    let reason = if expired > 0 && expired.saturating_mul(EXPIRED_ONE_IN) >= table.entries {
        Reason::Expiry
    } else if removals > 0 && removals.saturating_mul(REMOVALS_ONE_IN) >= table.entries {
        Reason::Removals
    } else {
        return None;
    };
    if !ask.levels.nothing_beneath(level, &table.range) {
        // What it removes lies beneath: both are merged.
        return Compaction::into_level(ask.levels, reason, level + 1, vec![(level, table.clone())]);
    }
    // Else it is written again where it is, once nobody needs its removals: earlier it would come
    // out as it went in, again and again.
    if table.highest_seq > ask.settled_seq {
        return None;
    }
    let mut again =
        Compaction::into_level(ask.levels, reason, level, vec![(level, table.clone())])?;
    if table.is_expired(ask.now_ms) {
        again.action = Action::Drop;
    }
    Some(again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_info::tests::table;

    fn choose_of(levels: &Levels, settled_seq: u64, now_ms: u64) -> Option<Compaction> {
        let compaction = choose(&Ask {
            levels,
            options: &TreeOptions::default(),
            running: &Running::default(),
            settled_seq,
            held_seq: None,
            now_ms,
            input_bytes_max: u64::MAX,
        })?;
        compaction.check(levels).unwrap();
        Some(compaction)
    }

    fn levels(tables: &[(usize, &TableInfo)]) -> Levels {
        let added: Vec<_> =
            tables.iter().map(|(level, table)| (*level, Arc::new((*table).clone()))).collect();
        Levels::default().changed(&[], &added).unwrap()
    }

    const DEEPEST: usize = LEVELS - 1;

    #[test]
    fn a_table_of_removals_is_merged_with_what_they_remove() {
        let plain = table(1, b"a", b"m", (1, 9));
        let mut removing = table(2, b"b", b"c", (10, 19));
        removing.removals = 3;
        // In the base level, so that its size is no reason.
        let tree = levels(&[(DEEPEST, &removing)]);
        let found = choose_of(&tree, 19, 0).unwrap();
        assert_eq!((found.reason, found.action), (Reason::Removals, Action::Merge));
        assert_eq!((found.top, found.output), (DEEPEST, DEEPEST));
        assert_eq!(choose_of(&tree, 18, 0), None, "a snapshot needs them");
        removing.removals = 2;
        assert_eq!(choose_of(&levels(&[(DEEPEST, &removing)]), 19, 0), None, "too few");
        assert_eq!(choose_of(&levels(&[(DEEPEST, &plain)]), 19, 0), None);
    }

    #[test]
    fn an_expired_table_is_dropped_and_a_half_expired_one_written_again() {
        let mut expiring = table(1, b"a", b"m", (1, 9));
        (expiring.expiring, expiring.first_expiry_ms, expiring.last_expiry_ms) = (10, 100, 200);
        let tree = levels(&[(DEEPEST, &expiring)]);
        assert_eq!(choose_of(&tree, 9, 149), None);
        let half = choose_of(&tree, 9, 150).unwrap();
        assert_eq!((half.reason, half.action), (Reason::Expiry, Action::Merge));
        let whole = choose_of(&tree, 9, 200).unwrap();
        assert_eq!((whole.reason, whole.action), (Reason::Expiry, Action::Drop));
        assert_eq!(choose_of(&tree, 8, 200), None, "a snapshot may need what it hides");
    }
}
