//! Small tables, and when several of them are merged into one.
//!
//! Who opens a database for a record at a time leaves a table each time. Moved down one by one they would stay
//! as many: each a file, a place in the manifest, and work for every opening. Merged at once with all that they
//! overlap, a few records would have the whole base level written again.
//!
//! So tables that lie side by side become one where the largest of them has no more than a share of all of their
//! bytes. What is merged comes to lie in a table that is larger by a factor, so no record is written again for
//! this more often than tables can grow by it before they are small no more; and what is left side by side
//! grows by a factor from table to table.

use super::{Action, Compaction, Reason, choice::Ask, leveled::MOVE_OVERLAP_MAX};
use crate::{KeyRange, LEVELS, TableInfo, TreeOptions};
use std::sync::Arc;

/// A table is small under this share of a table's size: one in so many.
const SMALL_ONE_IN: u64 = 16;
/// Small tables become one of this share of a table's size at most: one in so many.
const MERGED_ONE_IN: u64 = 8;
/// The largest of those that become one has at most this share of all of them, in percent.
const LARGEST_PERCENT: u64 = 60;
/// Of a sorted level at least so many tables become one: it hardly matters to reads how many it has.
const SORTED_TABLES_MIN: usize = 4;
/// Small tables of level 0 go down when they overlap this many times their size of the base level at most.
const OVERLAP_MAX: u64 = 4;
/// Level 0 has at most this many times the tables that call for a compaction before they go down, whatever they
/// overlap.
const LEVEL0_MAX: u64 = 4;

/// The bytes below which a table is small.
fn small_bytes(options: &TreeOptions) -> u64 {
    options.table_bytes / SMALL_ONE_IN
}

/// The bytes that small tables may have together to become one.
fn merged_bytes(options: &TreeOptions) -> u64 {
    options.table_bytes / MERGED_ONE_IN
}

/// `oldest`, a table of level 0 that nothing works on, and if it is small those of the same kind that follow it.
pub(super) fn beside(ask: &Ask<'_>, oldest: &Arc<TableInfo>) -> Vec<Arc<TableInfo>> {
    let newer = ask.levels.level(0).iter().rev().skip_while(|table| table.number != oldest.number);
    let small = newer.take_while(|table| is_free(ask, table));
    let small: Vec<_> = small.cloned().collect();
    if small.is_empty() { vec![Arc::clone(oldest)] } else { small }
}

/// Whether `down`, of level 0 into the base level, is left for later: it has too little of level 0 for what it has
/// written again, or reads more than may be read now.
pub(super) fn is_put_off(ask: &Ask<'_>, down: &Compaction) -> bool {
    let upper = down.inputs.iter().filter(|(level, _)| *level == 0);
    let upper_bytes: u64 = upper.map(|(_, table)| table.bytes).sum();
    let lower_bytes = down.bytes() - upper_bytes;
    let tables_max = ask.options.level0_tables.saturating_mul(LEVEL0_MAX);
    let is_too_much = down.action == Action::Merge && down.bytes() > ask.input_bytes_max;
    let is_costly = upper_bytes < merged_bytes(ask.options)
        && lower_bytes > upper_bytes.saturating_mul(OVERLAP_MAX);
    is_too_much || is_costly && (ask.levels.level(0).len() as u64) < tables_max
}

/// Small tables of level 0 that come to be one there.
pub(super) fn of_level0(ask: &Ask<'_>) -> Option<Compaction> {
    let tables = ask.levels.level(0);
    let run = runs(ask, tables, 2).find(|run| keeps_order(tables, run))?;
    let inputs = run.iter().map(|table| (0, Arc::clone(table))).collect();
    let merged = Compaction::into_level(ask.levels, Reason::Small, 0, inputs)?;
    ask.admits(&merged).then_some(merged)
}

/// Small tables side by side in a sorted level that come to be one there.
pub(super) fn of_sorted_levels(ask: &Ask<'_>) -> Option<Compaction> {
    (1..LEVELS).find_map(|level| {
        runs(ask, ask.levels.level(level), SORTED_TABLES_MIN).find_map(|run| {
            let inputs = run.iter().map(|table| (level, Arc::clone(table))).collect();
            let merged = Compaction::into_level(ask.levels, Reason::Small, level, inputs)?;
            // Else the output would be cut in pieces again, for what lies beneath.
            let fits = beneath_bytes(ask, level, &merged.span)
                <= ask.options.table_bytes.saturating_mul(MOVE_OVERLAP_MAX);
            (fits && ask.admits(&merged)).then_some(merged)
        })
    })
}

fn beneath_bytes(ask: &Ask<'_>, level: usize, span: &KeyRange) -> u64 {
    match level + 1 {
        LEVELS => 0,
        next => ask.levels.overlapping(next, span).map(|table| table.bytes).sum(),
    }
}

/// Whether a table is small and nothing works on it.
fn is_free(ask: &Ask<'_>, table: &TableInfo) -> bool {
    table.bytes < small_bytes(ask.options) && !ask.running.takes(table.number)
}

/// Runs of at least `count_min` small tables out of `tables`, side by side, that are worth being merged.
fn runs<'a>(
    ask: &'a Ask<'_>,
    tables: &'a [Arc<TableInfo>],
    count_min: usize,
) -> impl Iterator<Item = &'a [Arc<TableInfo>]> {
    let limit = merged_bytes(ask.options);
    let free = tables
        .chunk_by(move |one, next| is_free(ask, one) && is_free(ask, next))
        .filter(move |free| free.len() >= count_min);
    free.flat_map(move |free| {
        (0..=free.len() - count_min).filter_map(move |start| run_at(&free[start..], limit))
    })
    .filter(move |run| run.len() >= count_min)
}

/// The longest run from the first of `tables` on that has at most `limit` bytes, and of which the largest has no
/// more than its share.
fn run_at(tables: &[Arc<TableInfo>], limit: u64) -> Option<&[Arc<TableInfo>]> {
    let (mut longest, mut bytes, mut largest) = (0, 0u64, 0u64);
    for (at, table) in tables.iter().enumerate() {
        bytes = bytes.saturating_add(table.bytes);
        largest = largest.max(table.bytes);
        if bytes > limit {
            break;
        }
        if largest.saturating_mul(100) <= bytes.saturating_mul(LARGEST_PERCENT) {
            longest = at + 1;
        }
    }
    (longest > 0).then(|| &tables[..longest])
}

/// Whether a run of tables of level 0 can be one without coming to lie across another table in time: the tables
/// of one bulk load have a number in common, and those beside them in the level may have keys in between.
fn keeps_order(tables: &[Arc<TableInfo>], run: &[Arc<TableInfo>]) -> bool {
    let Some(span) = KeyRange::span(run.iter().map(|table| &table.range)) else { return false };
    let lowest = run.iter().map(|table| table.lowest_seq).min().unwrap_or(0);
    let highest = run.iter().map(|table| table.highest_seq).max().unwrap_or(u64::MAX);
    tables.iter().all(|table| {
        run.iter().any(|taken| taken.number == table.number)
            || !table.range.overlaps(&span)
            || table.highest_seq <= lowest
            || table.lowest_seq > highest
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Levels,
        compaction::{Running, choice::choose},
        table_info::tests::table,
    };

    const DEEPEST: usize = LEVELS - 1;

    /// A table is small under 64 bytes, and is merged up to 128.
    fn options() -> TreeOptions {
        TreeOptions { table_bytes: 1024, base_bytes: 4096, ratio: 4, ..TreeOptions::default() }
    }

    /// Tables by level, number, keys and bytes; of level 0 the numbers say which is newer.
    fn levels(tables: &[(usize, u64, &str, &str, u64)]) -> Levels {
        let added: Vec<_> = tables
            .iter()
            .map(|&(level, number, first, last, bytes)| {
                let seqs = (number * 10, number * 10 + 9);
                let mut table = table(number, first.as_bytes(), last.as_bytes(), seqs);
                table.bytes = bytes;
                (level, Arc::new(table))
            })
            .collect();
        Levels::default().changed(&[], &added).unwrap()
    }

    fn choose_up_to(
        levels: &Levels,
        running: &Running,
        input_bytes_max: u64,
    ) -> Option<(Vec<u64>, usize, Action)> {
        let options = options();
        let found = choose(&Ask { input_bytes_max, ..Ask::of(levels, &options, running) })?;
        found.check(levels).unwrap();
        let numbers = found.inputs.iter().map(|(_, table)| table.number).collect();
        Some((numbers, found.output, found.action))
    }

    fn choose_of(levels: &Levels) -> Option<(Vec<u64>, usize, Action)> {
        choose_up_to(levels, &Running::default(), u64::MAX)
    }

    #[test]
    fn small_tables_go_down_as_one() {
        let tree = levels(&[
            (0, 1, "a", "b", 20),
            (0, 2, "c", "d", 20),
            (0, 3, "e", "f", 20),
            (0, 4, "g", "h", 20),
        ]);
        assert_eq!(choose_of(&tree), Some((vec![4, 3, 2, 1], DEEPEST, Action::Merge)));
        let large = levels(&[
            (0, 1, "a", "b", 64),
            (0, 2, "c", "d", 20),
            (0, 3, "e", "f", 20),
            (0, 4, "g", "h", 20),
        ]);
        assert_eq!(
            choose_of(&large),
            Some((vec![1], DEEPEST, Action::Move)),
            "a large one as it is"
        );
    }

    #[test]
    fn what_would_have_too_much_written_again_stays_in_level_0_as_one() {
        let mut tables = vec![
            (0, 1, "a", "b", 10),
            (0, 2, "y", "z", 10),
            (0, 3, "c", "d", 10),
            (0, 4, "g", "h", 10),
        ];
        tables.push((DEEPEST, 9, "b", "x", 160));
        assert_eq!(
            choose_of(&levels(&tables)),
            Some((vec![4, 3, 2, 1, 9], DEEPEST, Action::Merge)),
            "four times as much"
        );
        tables[4].4 = 161;
        assert_eq!(choose_of(&levels(&tables)), Some((vec![4, 3, 2, 1], 0, Action::Merge)));
        // The oldest is already much larger than the others.
        tables[0].4 = 60;
        tables[4].4 = 1000;
        assert_eq!(choose_of(&levels(&tables)), Some((vec![4, 3, 2], 0, Action::Merge)));
        // What is put off keeps nothing else up.
        tables.push((0, 5, "zz", "zzz", 2000));
        let found = choose_of(&levels(&tables));
        assert_eq!(found, Some((vec![5], DEEPEST, Action::Move)));
    }

    #[test]
    fn level_0_does_not_grow_without_end() {
        let mut tables = vec![(DEEPEST, 99, "a", "z", 4000)];
        tables.extend((1..=16).map(|number| (0, number, "b", "c", 1)));
        let mut running = Running::default();
        let tree = levels(&tables);
        let aside = crate::Error::Dropped { tree: 1 };
        (1..16).step_by(2).for_each(|number| running.set_aside(number, aside.clone()));
        assert_eq!(
            choose_up_to(&tree, &running, u64::MAX),
            None,
            "one that cannot be read is in the way"
        );
        let down = choose_of(&tree).unwrap();
        assert_eq!((down.0.len(), down.1), (17, DEEPEST), "sixteen go, whatever it costs");
        let fewer = choose_of(&levels(&tables[..16])).unwrap();
        assert_eq!((fewer.0.len(), fewer.1), (15, 0));
    }

    #[test]
    fn small_neighbours_of_a_sorted_level_become_one() {
        let of = |bytes: &[u64]| {
            let keys: Vec<String> = (10..99).map(|number| number.to_string()).collect();
            let tables: Vec<_> = bytes
                .iter()
                .zip(1..)
                .map(|(bytes, number)| {
                    let key = keys[number as usize].as_str();
                    (DEEPEST, number, key, key, *bytes)
                })
                .collect();
            choose_of(&levels(&tables)).map(|(numbers, output, action)| {
                assert_eq!((output, action), (DEEPEST, Action::Merge));
                numbers
            })
        };
        assert_eq!(of(&[9, 9, 9]), None, "three hardly matter");
        assert_eq!(of(&[9, 9, 9, 9]), Some(vec![1, 2, 3, 4]));
        assert_eq!(of(&[500, 9, 9, 9, 500, 9, 9, 9]), None, "large ones lie in between");
        assert_eq!(of(&[60, 9, 9, 9]), None, "one has most of it");
        assert_eq!(of(&[60, 9, 9, 9, 9]), Some(vec![2, 3, 4, 5]));
        assert_eq!(of(&[60, 1, 1, 1, 60]), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(of(&[63, 63, 63, 63]), None, "that would be large");
        assert_eq!(of(&[1, 2, 5, 13, 40]), None, "each has most of those before it");
    }

    #[test]
    fn nothing_is_merged_that_would_be_cut_again_or_is_too_much() {
        let mut tables: Vec<_> = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]
            .iter()
            .zip(1..)
            .map(|((first, last), number)| (DEEPEST - 1, number, *first, *last, 9))
            .collect();
        tables.push((DEEPEST, 9, "a", "z", 10_240));
        let found = choose_of(&levels(&tables));
        assert_eq!(found, Some((vec![1, 2, 3, 4], DEEPEST - 1, Action::Merge)));
        let none = Running::default();
        assert_eq!(choose_up_to(&levels(&tables), &none, 35), None);
        tables[4].4 = 10_241;
        assert_eq!(choose_of(&levels(&tables)), None);
    }

    /// Two loads, cut in tables that share a number, and keys of one between those of another.
    #[test]
    fn tables_are_not_merged_across_others_in_time() {
        let with = |number, key: &[u8], seqs| {
            let mut table = table(number, key, key, seqs);
            table.bytes = 1;
            Arc::new(table)
        };
        let (first, middle, last) =
            (with(1, b"a", (5, 20)), with(2, b"m", (10, 15)), with(3, b"z", (25, 25)));
        let tables = [last.clone(), first.clone(), middle];
        assert!(!keeps_order(&tables, &tables[..2]), "the one in between lies between them");
        assert!(keeps_order(&tables, &tables));
        assert!(keeps_order(&[last.clone(), first.clone()], &[last, first]));
    }
}
