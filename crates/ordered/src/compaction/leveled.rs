//! The choice for leveled trees: the level that is furthest over its target, and of it the table
//! whose compaction writes the least for what it frees.

use super::{Action, Compaction, Reason, choice::Ask, small, targets::Targets};
use crate::{KeyRange, LEVELS, TableInfo, TreeOptions};
use std::{cmp::Ordering, sync::Arc};

/// An input grows by neighbours that cost nothing more up to this many tables' size.
const INPUT_TABLES_MAX: u64 = 8;
/// A table that overlaps this many times the size of a table beneath its new level is not just
/// moved there: it is written again, and split.
pub(super) const MOVE_OVERLAP_MAX: u64 = 10;
/// How many times more each removal counts for a table than another version does.
const REMOVAL_WEIGHT: u64 = 4;

/// The compaction of the level that is furthest over its target.
pub(super) fn choose(ask: &Ask<'_>) -> Option<Compaction> {
    let targets = Targets::of(ask.levels, ask.options);
    let mut scores: Vec<(f64, usize)> =
        (0..LEVELS - 1).map(|level| (score(ask, &targets, level), level)).collect();
    scores.retain(|(score, _)| *score >= 1.0);
    scores.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
    scores.iter().find_map(|(_, level)| {
        if *level == 0 { of_level0(ask, targets.base) } else { of_level(ask, *level) }
    })
}

/// How urgent a level is, without what is on its way out of it.
fn score(ask: &Ask<'_>, targets: &Targets, level: usize) -> f64 {
    let leaving = |table: &TableInfo| {
        ask.running.iter().any(|running| running.top == level && running.takes(table.number))
    };
    let staying = ask.levels.level(level).iter().filter(|table| !leaving(table));
    let (count, bytes) =
        staying.fold((0u64, 0), |(count, bytes), table| (count + 1, bytes + table.bytes));
    if level > 0 {
        return targets.score(level, bytes);
    }
    let by_count = count as f64 / ask.options.level0_tables as f64;
    let by_bytes = bytes as f64 / ask.options.base_bytes as f64;
    // A single table of level 0 does not hurt, however large it is.
    if count < 2 { by_count } else { by_count.max(by_bytes) }
}

/// Tables of level 0 into the base level, the oldest first; or small ones into one that stays in level 0 for
/// now, where too much of the base level would be written again for them.
fn of_level0(ask: &Ask<'_>, base: usize) -> Option<Compaction> {
    let tables = ask.levels.level(0);
    let mut seen: Vec<u64> = Vec::new();
    let mut is_put_off = false;
    for oldest in tables.iter().rev().filter(|table| !ask.running.takes(table.number)) {
        if seen.contains(&oldest.number) {
            continue;
        }
        let inputs = with_overlapping(tables, small::beside(ask, oldest));
        seen.extend(inputs.iter().map(|table| table.number));
        let inputs = inputs.into_iter().map(|table| (0, table)).collect();
        let down = Compaction::into_level(ask.levels, Reason::Level0, base, inputs)?;
        let down = moved_if_possible(ask, down);
        if !small::is_put_off(ask, &down) {
            return ask.admits(&down).then_some(down);
        }
        is_put_off = true;
    }
    if is_put_off { small::of_level0(ask) } else { None }
}

/// `inputs` of level 0 and all that overlap them or each other.
fn with_overlapping(
    tables: &[Arc<TableInfo>],
    mut inputs: Vec<Arc<TableInfo>>,
) -> Vec<Arc<TableInfo>> {
    let Some(mut span) = KeyRange::span(inputs.iter().map(|table| &table.range)) else {
        return inputs;
    };
    loop {
        let before = inputs.len();
        for table in tables.iter().rev() {
            let known = inputs.iter().any(|input| input.number == table.number);
            if !known && table.range.overlaps(&span) {
                span.extend(&table.range);
                inputs.push(table.clone());
            }
        }
        if inputs.len() == before {
            break;
        }
    }
    // The newest data first, as in the level.
    inputs.sort_by_key(|table| tables.iter().position(|known| known.number == table.number));
    inputs
}

/// A table of a sorted level into the next one.
fn of_level(ask: &Ask<'_>, level: usize) -> Option<Compaction> {
    let mut candidates: Vec<(u128, &Arc<TableInfo>)> = ask
        .levels
        .level(level)
        .iter()
        .filter(|table| !ask.running.takes(table.number))
        .map(|table| (cost(ask, level, table), table))
        .collect();
    // What has been there longest first, where the cost is the same: no table waits for ever.
    candidates.sort_by_key(|(cost, table)| (*cost, table.number));
    candidates.into_iter().find_map(|(_, table)| {
        let inputs = with_neighbours(ask, level, table);
        let compaction = Compaction::into_level(ask.levels, Reason::Size, level + 1, inputs)?;
        Some(moved_if_possible(ask, compaction)).filter(|moved| ask.admits(moved))
    })
}

/// What compacting `table` costs: how much of the next level is written again for each byte that
/// goes down, less for tables that bring removals, which free space there.
fn cost(ask: &Ask<'_>, level: usize, table: &TableInfo) -> u128 {
    let below: u64 = ask.levels.overlapping(level + 1, &table.range).map(|below| below.bytes).sum();
    let removals = table.removals.saturating_add(table.range_removals);
    let weight = u128::from(table.entries) + u128::from(removals) * u128::from(REMOVAL_WEIGHT);
    let freed = u128::from(table.bytes.max(1)) * weight / u128::from(table.entries.max(1));
    u128::from(below) * 1024 / freed.max(1)
}

/// `table` and those beside it for which nothing more of the next level has to be read.
fn with_neighbours(
    ask: &Ask<'_>,
    level: usize,
    table: &Arc<TableInfo>,
) -> Vec<(usize, Arc<TableInfo>)> {
    let below = ask.levels.overlapping(level + 1, &table.range).map(|below| &below.range);
    let Some(mut span) = KeyRange::span(below) else { return vec![(level, table.clone())] };
    span.extend(&table.range);
    let inside = |other: &TableInfo| {
        let mut both = span.clone();
        both.extend(&other.range);
        both == span && !ask.running.takes(other.number)
    };
    let tables = ask.levels.level(level);
    let at = tables.iter().position(|known| known.number == table.number).unwrap_or(0);
    let limit = ask.options.table_bytes.saturating_mul(INPUT_TABLES_MAX);
    let (mut start, mut end, mut bytes) = (at, at + 1, table.bytes);
    while end < tables.len() && inside(&tables[end]) && bytes + tables[end].bytes <= limit {
        bytes += tables[end].bytes;
        end += 1;
    }
    while start > 0 && inside(&tables[start - 1]) && bytes + tables[start - 1].bytes <= limit {
        start -= 1;
        bytes += tables[start].bytes;
    }
    tables[start..end].iter().map(|table| (level, table.clone())).collect()
}

/// Tables that meet nothing on their way change their level and nothing else.
pub(super) fn moved_if_possible(ask: &Ask<'_>, mut compaction: Compaction) -> Compaction {
    let (top, output) = (compaction.top, compaction.output);
    let alone = compaction.inputs.iter().all(|(level, _)| *level == top);
    let disjoint = top > 0 || compaction.inputs.len() == 1;
    let plain = compaction.inputs.iter().all(|(_, table)| {
        let beneath: u64 = match output + 1 {
            LEVELS => 0,
            next => ask.levels.overlapping(next, &table.range).map(|table| table.bytes).sum(),
        };
        let last = ask.levels.nothing_beneath(output, &table.range);
        beneath <= ask.options.table_bytes.saturating_mul(MOVE_OVERLAP_MAX)
            // Removals that have nothing left to remove go when they are written again.
            && !(last && table.removals + table.range_removals > 0)
    });
    if alone && disjoint && plain && top != output && packs_alike(ask.options, top, output) {
        compaction.action = Action::Move;
    }
    compaction
}

/// Whether tables of both levels are compressed the same way.
fn packs_alike(options: &TreeOptions, a: usize, b: usize) -> bool {
    options.compression_of(a) == options.compression_of(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Levels, compaction::Running, table_info::tests::table};

    const DEEPEST: usize = LEVELS - 1;

    fn options() -> TreeOptions {
        TreeOptions { table_bytes: 1024, base_bytes: 4096, ratio: 4, ..TreeOptions::default() }
    }

    fn levels(tables: &[(usize, u64, &str, &str)]) -> Levels {
        let added: Vec<_> = tables
            .iter()
            .map(|(level, number, first, last)| {
                let seqs = (*number * 10, *number * 10 + 9);
                (*level, Arc::new(table(*number, first.as_bytes(), last.as_bytes(), seqs)))
            })
            .collect();
        Levels::default().changed(&[], &added).unwrap()
    }

    fn choose_beside(levels: &Levels, running: &Running) -> Option<Compaction> {
        let options = options();
        let found = choose(&Ask::of(levels, &options, running))?;
        found.check(levels).unwrap();
        Some(found)
    }

    fn numbers(compaction: &Compaction) -> Vec<u64> {
        compaction.inputs.iter().map(|(_, table)| table.number).collect()
    }

    #[test]
    fn level_0_is_merged_into_the_base_once_it_has_enough_tables() {
        let mut tables = vec![(DEEPEST, 1, "a", "f"), (DEEPEST, 2, "g", "z")];
        for number in 3..6 {
            tables.push((0, number, "h", "y"));
        }
        assert_eq!(choose_beside(&levels(&tables), &Running::default()), None);
        tables.push((0, 6, "g", "i"));
        let found = choose_beside(&levels(&tables), &Running::default()).unwrap();
        assert_eq!((found.reason, found.action), (Reason::Level0, Action::Merge));
        assert_eq!((numbers(&found), found.output), (vec![6, 5, 4, 3, 2], DEEPEST));
        let mut running = Running::default();
        running.begin(Arc::new(found));
        assert_eq!(choose_beside(&levels(&tables), &running), None, "all are taken");
    }

    #[test]
    fn tables_that_meet_nothing_are_moved() {
        let tables = [
            (0, 1, "a", "b"),
            (0, 2, "c", "d"),
            (0, 3, "e", "f"),
            (0, 4, "g", "h"),
            (DEEPEST, 9, "i", "z"),
        ];
        let found = choose_beside(&levels(&tables), &Running::default()).unwrap();
        assert_eq!((numbers(&found), found.action), (vec![1], Action::Move), "the oldest first");
    }

    #[test]
    fn the_table_with_the_least_beneath_it_goes_first() {
        let mut tables = vec![
            (DEEPEST - 1, 1, "a", "f"),
            (DEEPEST - 1, 2, "g", "h"),
            (DEEPEST - 1, 3, "i", "k"),
        ];
        let keys: Vec<(String, String)> =
            ('a'..='z').map(|letter| (format!("{letter}0"), format!("{letter}9"))).collect();
        for (at, (first, last)) in keys.iter().enumerate().take(7) {
            tables.push((DEEPEST, 10 + at as u64, first, last));
        }
        // The level above the deepest may have a fourth of its 7 tables, and has three.
        let found = choose_beside(&levels(&tables), &Running::default()).unwrap();
        assert_eq!((numbers(&found), found.action), (vec![3], Action::Move));
        let running = {
            let mut running = Running::default();
            running.begin(Arc::new(found));
            running
        };
        let next = choose_beside(&levels(&tables), &running).unwrap();
        assert_eq!(numbers(&next), [2, 16], "beside what is running");
    }

    #[test]
    fn neighbours_that_cost_nothing_come_along() {
        let mut tables = vec![(DEEPEST - 1, 1, "b", "c"), (DEEPEST - 1, 2, "d", "e")];
        tables.extend([(DEEPEST - 1, 3, "x", "y"), (DEEPEST, 4, "a", "k")]);
        tables.extend([(DEEPEST, 5, "l", "m"), (DEEPEST, 6, "n", "o"), (DEEPEST, 7, "p", "q")]);
        tables.extend([(DEEPEST, 8, "r", "s"), (DEEPEST, 9, "x", "xx"), (DEEPEST, 10, "xy", "z")]);
        let found = choose_beside(&levels(&tables), &Running::default()).unwrap();
        assert_eq!(numbers(&found), [1, 2, 4]);
    }

    #[test]
    fn levels_above_the_base_are_emptied() {
        let tables = [(2, 1, "a", "f"), (DEEPEST, 2, "g", "h")];
        let found = choose_beside(&levels(&tables), &Running::default()).unwrap();
        assert_eq!((found.top, found.output, found.action), (2, 3, Action::Move));
    }
}
