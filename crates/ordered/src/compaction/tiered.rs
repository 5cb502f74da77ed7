//! The choice for tiered trees: runs that lie side by side in time are merged when there are several
//! of like size.
//!
//! A run is a table of level 0, or all of a sorted level. The deeper a run lies, the older it is. A
//! merge puts its output as deep as the next older run lets it.

use super::{Compaction, Reason, choice::Ask};
use crate::{LEVELS, TableInfo};
use std::sync::Arc;

/// A run joins those newer than it if it is at most this many percent larger than all of them.
const SIMILAR_PERCENT: u64 = 10;
/// All runs are merged when those above the oldest have this many percent of its size.
const SUPERSEDED_PERCENT: u64 = 150;

struct Run {
    level: usize,
    tables: Vec<Arc<TableInfo>>,
    bytes: u64,
}

/// Merges runs, once there are enough of them.
pub(super) fn choose(ask: &Ask<'_>) -> Option<Compaction> {
    let runs = runs(ask);
    let busy = |run: &Run| run.tables.iter().any(|table| ask.running.takes(table.number));
    let free = runs.iter().position(busy).unwrap_or(runs.len());
    if (free as u64) < ask.options.level0_tables {
        return None;
    }
    let picked = picked(&runs[..free], free == runs.len(), ask.options.level0_tables as usize)?;
    let output = match runs.get(picked) {
        None => LEVELS - 1,
        // The output of what is running there may come to lie higher than its inputs do.
        Some(older) if busy(older) => {
            let outputs = ask.running.iter().map(|running| running.output.min(running.top));
            outputs.min()?.min(older.level).saturating_sub(1)
        }
        Some(older) => older.level.saturating_sub(1),
    };
    let inputs = runs[..picked]
        .iter()
        .flat_map(|run| run.tables.iter().map(move |table| (run.level, table.clone())))
        .collect();
    let compaction = Compaction::into_level(ask.levels, Reason::Runs, output, inputs)?;
    ask.admits(&compaction).then_some(compaction)
}

/// All runs, the newest first.
fn runs(ask: &Ask<'_>) -> Vec<Run> {
    let single =
        |table: &Arc<TableInfo>| Run { level: 0, bytes: table.bytes, tables: vec![table.clone()] };
    let mut runs: Vec<Run> = ask.levels.level(0).iter().map(single).collect();
    for level in 1..LEVELS {
        let tables = ask.levels.level(level).to_vec();
        if !tables.is_empty() {
            runs.push(Run { level, bytes: ask.levels.bytes(level), tables });
        }
    }
    runs
}

/// How many of the newest runs are merged. `all` says whether the last of them is the oldest there
/// is.
fn picked(runs: &[Run], all: bool, enough: usize) -> Option<usize> {
    let (oldest, newer) = runs.split_last()?;
    let newer_bytes: u64 = newer.iter().map(|run| run.bytes).sum();
    let superseded = u128::from(newer_bytes) * 100;
    if all && superseded >= u128::from(oldest.bytes) * u128::from(SUPERSEDED_PERCENT) {
        return Some(runs.len());
    }
    let mut bytes = runs.first()?.bytes;
    let mut similar = 1;
    for run in &runs[1..] {
        if u128::from(run.bytes) * 100 > u128::from(bytes) * u128::from(100 + SIMILAR_PERCENT) {
            break;
        }
        bytes += run.bytes;
        similar += 1;
    }
    // Where no run is like those before it, merging the newest keeps their number down.
    let least = runs.len() + 1 - enough;
    let picked = if similar > 1 { similar.max(least) } else { least };
    (picked > 1).then_some(picked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Levels, Style, TreeOptions, compaction::Running, table_info::tests::table};

    fn choose_of(runs: &[(usize, u64)], running: &Running) -> Option<(Vec<u64>, usize)> {
        let added: Vec<_> = runs
            .iter()
            .enumerate()
            .map(|(age, (level, bytes))| {
                let number = (runs.len() - age) as u64;
                let mut table = table(number, b"a", b"z", (number * 10, number * 10 + 9));
                table.bytes = *bytes;
                (*level, Arc::new(table))
            })
            .collect();
        let levels = Levels::default().changed(&[], &added).unwrap();
        let options = TreeOptions { style: Style::Tiered, ..TreeOptions::default() };
        let ask = Ask::of(&levels, &options, running);
        let found = choose(&ask)?;
        found.check(&levels).unwrap();
        Some((found.inputs.iter().map(|(_, table)| table.number).collect(), found.output))
    }

    #[test]
    fn runs_of_like_size_are_merged_as_deep_as_they_may_go() {
        let none = Running::default();
        assert_eq!(choose_of(&[(0, 10), (0, 10), (0, 10)], &none), None);
        let all = choose_of(&[(0, 10), (0, 10), (0, 10), (0, 10)], &none).unwrap();
        assert_eq!(all, (vec![4, 3, 2, 1], LEVELS - 1));
        let upper = choose_of(&[(0, 10), (0, 10), (0, 10), (6, 1000)], &none).unwrap();
        assert_eq!(upper, (vec![4, 3, 2], 5));
        let stuck = choose_of(&[(0, 10), (0, 10), (1, 100), (6, 1000)], &none).unwrap();
        assert_eq!(stuck, (vec![4, 3], 0), "there is no level in between");
        let unlike = choose_of(&[(0, 10), (0, 100), (0, 1000), (6, 100_000)], &none);
        assert_eq!(unlike, None, "four runs are no more than there may be");
        let unlike = choose_of(&[(0, 10), (0, 100), (0, 1000), (5, 9000), (6, 100_000)], &none);
        assert_eq!(unlike, Some((vec![5, 4], 0)), "five are");
    }
}
