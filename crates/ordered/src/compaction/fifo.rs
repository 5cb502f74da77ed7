//! The choice for trees whose oldest records go first: whole tables are dropped from the old end,
//! and small ones that lie side by side are merged. All tables are in level 0.

use super::{Action, Compaction, Reason, choice::Ask};
use crate::{KeyRange, TableInfo};
use std::sync::Arc;

/// Drops what is too old or too much, else merges small tables.
pub(super) fn choose(ask: &Ask<'_>, keep_ms: u64, bytes_max: u64) -> Option<Compaction> {
    dropped(ask, keep_ms, bytes_max).or_else(|| merged(ask))
}

/// The oldest tables, as far as they are too old, expired or too much. Nothing newer than a table
/// that stays is dropped: it may hide what that one says. What somebody holds stays, but for what had
/// expired for him too.
fn dropped(ask: &Ask<'_>, keep_ms: u64, bytes_max: u64) -> Option<Compaction> {
    // What they refer to goes with them.
    let bytes_of = |table: &TableInfo| table.bytes.saturating_add(table.referenced_bytes());
    let mut total =
        ask.levels.level(0).iter().fold(0u64, |sum, table| sum.saturating_add(bytes_of(table)));
    let mut inputs = Vec::new();
    for table in ask.levels.level(0).iter().rev() {
        let old = keep_ms > 0 && table.newest_ms.saturating_add(keep_ms) <= ask.now_ms;
        let much = bytes_max > 0 && total > bytes_max;
        let expired = table.is_expired(ask.now_ms);
        let held = ask.held_seq.is_some_and(|seq| table.lowest_seq <= seq);
        let goes = expired || (old || much) && !held;
        // What was set aside goes too: nobody reads it for that.
        if !goes || ask.running.works_on(table.number) {
            break;
        }
        total = total.saturating_sub(bytes_of(table));
        inputs.push((0, table.clone()));
    }
    inputs.reverse();
    let span = KeyRange::span(inputs.iter().map(|(_, table): &(_, Arc<TableInfo>)| &table.range))?;
    let (reason, action) = (Reason::Age, Action::Drop);
    Some(Compaction { reason, action, top: 0, output: 0, inputs, span })
}

/// Enough small tables side by side to make one of the usual size.
fn merged(ask: &Ask<'_>) -> Option<Compaction> {
    let limit = ask.options.table_bytes;
    let (mut inputs, mut bytes) = (Vec::new(), 0);
    // From the oldest on: it is the one that gets no neighbours any more.
    for table in ask.levels.level(0).iter().rev() {
        let fits = table.bytes <= limit / 2 && bytes + table.bytes <= limit;
        if !fits || ask.running.takes(table.number) {
            if inputs.len() as u64 >= ask.options.level0_tables {
                break;
            }
            (inputs, bytes) = (Vec::new(), 0);
        }
        if table.bytes <= limit / 2 && !ask.running.takes(table.number) {
            bytes += table.bytes;
            inputs.push((0, table.clone()));
        }
    }
    if (inputs.len() as u64) < ask.options.level0_tables {
        return None;
    }
    inputs.reverse();
    let compaction = Compaction::into_level(ask.levels, Reason::Runs, 0, inputs)?;
    ask.admits(&compaction).then_some(compaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Levels, Style, TreeOptions, compaction::Running, table_info::tests::table};

    /// Tables with these sizes, the oldest first, each a hundred milliseconds later.
    fn choose_of(bytes: &[u64], style: Style, now_ms: u64) -> Option<(Vec<u64>, Action)> {
        choose_held(bytes, style, now_ms, None)
    }

    fn choose_held(
        bytes: &[u64],
        style: Style,
        now_ms: u64,
        held_seq: Option<u64>,
    ) -> Option<(Vec<u64>, Action)> {
        let added: Vec<_> = (1..)
            .zip(bytes)
            .map(|(number, bytes)| {
                let mut table = table(number, b"a", b"z", (number * 10, number * 10 + 9));
                (table.bytes, table.oldest_ms, table.newest_ms) =
                    (*bytes, number * 100, number * 100);
                (0, Arc::new(table))
            })
            .collect();
        let levels = Levels::default().changed(&[], &added).unwrap();
        let options = TreeOptions { style, table_bytes: 1024, ..TreeOptions::default() };
        let running = &Running::default();
        let found = super::super::choice::choose(&Ask {
            levels: &levels,
            options: &options,
            running,
            settled_seq: 0,
            held_seq,
            now_ms,
            input_bytes_max: u64::MAX,
        })?;
        Some((found.inputs.iter().map(|(_, table)| table.number).collect(), found.action))
    }

    #[test]
    fn the_oldest_are_dropped_by_age_and_by_size() {
        let by_age = Style::Fifo { keep_ms: 1000, bytes_max: 0 };
        let sizes = [800, 800, 800, 800];
        assert_eq!(choose_of(&sizes, by_age, 1099), None);
        assert_eq!(choose_of(&sizes, by_age, 1200), Some((vec![2, 1], Action::Drop)));
        let by_size = Style::Fifo { keep_ms: 0, bytes_max: 2400 };
        assert_eq!(choose_of(&sizes, by_size, 0), Some((vec![1], Action::Drop)));
        assert_eq!(choose_of(&sizes[1..], by_size, u64::MAX), None);
    }

    #[test]
    fn what_somebody_holds_is_not_dropped() {
        let by_age = Style::Fifo { keep_ms: 1000, bytes_max: 0 };
        let by_size = Style::Fifo { keep_ms: 0, bytes_max: 900 };
        let sizes = [800, 800, 800, 800];
        for (style, now_ms) in [(by_age, 1200), (by_size, 0)] {
            // The numbers of the first table begin at 10.
            let held = |seq| choose_held(&sizes, style, now_ms, Some(seq));
            assert_eq!(held(10), None);
            assert_eq!(held(99), None);
            assert!(held(9).is_some_and(|(tables, _)| tables.contains(&1)));
        }
    }

    #[test]
    fn what_tables_refer_to_counts() {
        let mut table = table(1, b"a", b"z", (1, 9));
        table.references = vec![(1, 2000)];
        let newer = (0, Arc::new(crate::table_info::tests::table(2, b"a", b"z", (10, 19))));
        let levels = Levels::default().changed(&[], &[(0, Arc::new(table)), newer]).unwrap();
        let running = &Running::default();
        for (bytes_max, drops) in [(4000, false), (3999, true)] {
            let style = Style::Fifo { keep_ms: 0, bytes_max };
            let options = &TreeOptions { style, ..TreeOptions::default() };
            let levels = &levels;
            let ask = Ask::of(levels, options, running);
            assert_eq!(dropped(&ask, 0, bytes_max).is_some(), drops, "{bytes_max}");
        }
    }

    #[test]
    fn small_tables_side_by_side_are_merged() {
        let style = Style::Fifo { keep_ms: 0, bytes_max: 0 };
        assert_eq!(choose_of(&[900, 100, 100, 100, 900, 100], style, 0), None);
        let merged = choose_of(&[900, 100, 100, 100, 100, 900, 100], style, 0);
        assert_eq!(merged, Some((vec![5, 4, 3, 2], Action::Merge)));
        let full = choose_of(&[300, 300, 300, 100, 100, 100, 100, 100], style, 0);
        assert_eq!(full, Some((vec![4, 3, 2, 1], Action::Merge)), "as many as make a table");
    }
}
