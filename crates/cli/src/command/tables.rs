//! Figures about the tables of ordered keyspaces, as several commands show them.
//!
//! What is counted (flushes, compactions, hits of the cache, stalls) is counted from the opening of
//! the handle that is asked: of nothing there is no ratio.

use crate::{
    output::{Figure, Report, Table},
    units,
};
use annals::{LevelStats, TableStats, TreeStats};

/// How many records there are: counted, or estimated where there are ordered keyspaces.
pub(super) fn records(count: u64, is_estimate: bool) -> Figure {
    if is_estimate { Figure::Estimate(count) } else { Figure::Count(count) }
}

/// The bytes of all tables of a keyspace.
pub(super) fn bytes(tree: &TreeStats) -> u64 {
    tree.levels.iter().map(|level| level.bytes).sum()
}

/// How many versions, removals included, its tables have.
pub(super) fn entries(tree: &TreeStats) -> u64 {
    tree.levels.iter().map(|level| level.entries).sum()
}

/// How many tables it has.
pub(super) fn count(tree: &TreeStats) -> u64 {
    tree.levels.iter().map(|level| level.tables).sum()
}

/// Adds what one keyspace has and what was done for it.
pub(super) fn add_tree(report: &mut Report, tree: &TreeStats) {
    report
        .count("tables_count", count(tree))
        .bytes("tables_bytes", bytes(tree))
        .bytes("referenced_bytes", tree.referenced_bytes)
        .count("entries_count", entries(tree))
        .bytes("memtable_bytes", tree.memtable_bytes)
        .count("sealed_memtables_count", tree.sealed_memtables)
        .bytes("sealed_memtables_bytes", tree.sealed_bytes)
        .bytes("debt_bytes", tree.debt_bytes)
        .add("read_amplification", Figure::Times(tree.read_amplification as f64))
        .add("space_amplification", space_amplification(tree))
        .add("write_amplification", write_amplification(tree))
        .bytes("applied_bytes", tree.applied_bytes)
        .count("flushes_count", tree.flushes)
        .bytes("flushed_bytes", tree.flushed_bytes)
        .count("compactions_count", tree.compactions)
        .count("moves_count", tree.moves)
        .bytes("compaction_read_bytes", tree.compaction_read_bytes)
        .bytes("compaction_written_bytes", tree.compaction_written_bytes)
        .listing("levels", levels(tree));
}

/// Adds what the ordered keyspaces of a database share.
pub(super) fn add_shared(report: &mut Report, tables: &TableStats) {
    let cache = &tables.cache;
    let looks = cache.hits + cache.misses;
    report
        .bytes("memtables_bytes", tables.memtable_bytes)
        .bytes("cache_bytes", cache.used_bytes)
        .bytes("cache_capacity_bytes", cache.capacity_bytes)
        .add("cache_hits_share", ratio(cache.hits, looks, Figure::Share))
        .add("strain_share", Figure::Share(tables.strain))
        .count("stalls_count", tables.stalls_count)
        .seconds("stalled_seconds", tables.stalled_ns as f64 / 1e9);
}

/// The keyspaces of `trees` one below the other.
pub(super) fn listed<'a>(trees: impl Iterator<Item = (&'a str, &'a TreeStats)>) -> Table {
    let mut table = Table::new(&[
        "name",
        "levels",
        "tables_count",
        "tables_bytes",
        "entries_count",
        "memory_bytes",
        "read_amplification",
        "space_amplification",
        "write_amplification",
    ]);
    for (name, tree) in trees {
        table.row(vec![
            Figure::text_of(name),
            Figure::Text(brief_levels(&tree.levels)),
            Figure::Count(count(tree)),
            Figure::Bytes(bytes(tree)),
            Figure::Count(entries(tree)),
            Figure::Bytes(tree.memtable_bytes + tree.sealed_bytes),
            Figure::Times(tree.read_amplification as f64),
            space_amplification(tree),
            write_amplification(tree),
        ]);
    }
    table
}

fn levels(tree: &TreeStats) -> Table {
    let mut table = Table::new(&["level", "tables_count", "bytes", "entries_count"]);
    for (number, level) in (0..).zip(&tree.levels) {
        table.row(vec![
            Figure::Count(number),
            Figure::Count(level.tables),
            Figure::Bytes(level.bytes),
            Figure::Count(level.entries),
        ]);
    }
    table
}

/// The levels that have tables, with how much that is: `0: 4.0 MiB, 6: 1.2 GiB`.
fn brief_levels(levels: &[LevelStats]) -> String {
    let full = levels.iter().enumerate().filter(|(_, level)| level.tables > 0);
    let told: Vec<String> =
        full.map(|(number, level)| format!("{number}: {}", units::bytes(level.bytes))).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

fn write_amplification(tree: &TreeStats) -> Figure {
    match tree.flushed_bytes {
        0 => Figure::Nothing,
        _ => Figure::Times(tree.write_amplification()),
    }
}

fn space_amplification(tree: &TreeStats) -> Figure {
    match bytes(tree) {
        0 => Figure::Nothing,
        _ => Figure::Times(tree.space_amplification()),
    }
}

fn ratio(part: u64, whole: u64, figure: fn(f64) -> Figure) -> Figure {
    if whole == 0 { Figure::Nothing } else { figure(part as f64 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_told_in_few_words() {
        let level = |tables, bytes| LevelStats { tables, bytes, entries: tables };
        let levels = [level(2, 4 << 20), level(0, 0), level(1, 1 << 30)];
        assert_eq!(brief_levels(&levels), "0: 4.0 MiB, 2: 1.0 GiB");
        assert_eq!(brief_levels(&levels[1..2]), "none");
    }

    #[test]
    fn of_nothing_there_is_no_ratio() {
        let fresh = TreeStats { levels: vec![LevelStats::default(); 2], ..TreeStats::default() };
        assert_eq!(write_amplification(&fresh).text(), "-");
        assert_eq!(space_amplification(&fresh).text(), "-");
        let worked = TreeStats { flushed_bytes: 2, compaction_written_bytes: 3, ..fresh };
        assert_eq!(write_amplification(&worked).text(), "2.50");
        assert_eq!(ratio(1, 4, Figure::Share).text(), "25.0 %");
    }
}
