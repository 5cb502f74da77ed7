//! Figures about the tables of ordered keyspaces, as several commands show them.
//!
//! Only what the files say, and the memory of what is not in them yet. What the engine counts from an opening on (flushes,
//! compactions, hits of the cache, stalls) is nothing in a process that has just opened the database: it would
//! tell who reads it that nothing ever happened. `bench` shows it of the databases that it has written itself, and
//! `stats` what the process that writes has published.

use crate::{
    output::{Figure, Report, Table},
    units,
};
use annals::{LevelStats, TableStats, TreeStats, TreeTraffic};

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

/// Adds what one keyspace has.
pub(super) fn add_tree(report: &mut Report, tree: &TreeStats) {
    report
        .count("tables_count", count(tree))
        .bytes("table_files_bytes", bytes(tree))
        .bytes("referenced_bytes", tree.referenced_bytes)
        .count("entries_count", entries(tree))
        .bytes("memory_bytes", in_memory(tree))
        .bytes("debt_bytes", tree.debt_bytes)
        .add("read_amplification", Figure::Times(tree.read_amplification as f64))
        .add("space_amplification", space_amplification(tree))
        .add("write_amplification", write_amplification(&tree.life))
        .listing("levels", levels(tree));
}

/// What it has in memory.
fn in_memory(tree: &TreeStats) -> u64 {
    tree.memtable_bytes + tree.sealed_bytes
}

/// The keyspaces of `trees` one below the other.
pub(super) fn listed<'a>(trees: impl Iterator<Item = (&'a str, &'a TreeStats)>) -> Table {
    let mut table = Table::new(&[
        "name",
        "levels",
        "tables_count",
        "table_files_bytes",
        "entries_count",
        "memory_bytes",
        "read_amplification",
        "space_amplification",
        "write_amplification",
    ]);
    for (name, tree) in trees {
        table.row(vec![
            Figure::text_of(name),
            Figure::Listing { brief: brief_levels(&tree.levels), table: levels(tree) },
            Figure::Count(count(tree)),
            Figure::Bytes(bytes(tree)),
            Figure::Count(entries(tree)),
            Figure::Bytes(in_memory(tree)),
            Figure::Times(tree.read_amplification as f64),
            space_amplification(tree),
            write_amplification(&tree.life),
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

fn space_amplification(tree: &TreeStats) -> Figure {
    match bytes(tree) {
        0 => Figure::Nothing,
        _ => Figure::Times(tree.space_amplification()),
    }
}

pub(super) fn write_amplification(traffic: &TreeTraffic) -> Figure {
    traffic.write_amplification().map_or(Figure::Nothing, Figure::Times)
}

/// The columns of [`counted`], by their names.
pub(super) const COUNTED: [&str; 4] =
    ["write_amplification", "cache_hit_rate", "stalls_count", "stalled_seconds"];

/// What a process that works on a database has counted since it opened it.
pub(super) fn counted(tables: &TableStats, tree: &TreeStats) -> [Figure; 4] {
    let looks = tables.cache.hits as f64 + tables.cache.misses as f64;
    let hit_rate = Some(tables.cache.hits as f64 / looks).filter(|_| looks > 0.0);
    [
        write_amplification(&tree.since_opening),
        hit_rate.map_or(Figure::Nothing, Figure::Share),
        Figure::Count(tables.stalls_count),
        Figure::Seconds(tables.stalled_ns as f64 / 1e9),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals::CacheStats;

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
        assert_eq!(space_amplification(&fresh).text(), "-");
        let told = counted(&TableStats::default(), &fresh).map(|figure| figure.text());
        assert_eq!(told[..3], ["-", "-", "0"]);
    }

    #[test]
    fn what_was_counted_is_told_in_its_units() {
        let cache = CacheStats { hits: 3, misses: 1, ..CacheStats::default() };
        let tables = TableStats {
            cache,
            stalls_count: 2,
            stalled_ns: 1_500_000_000,
            ..TableStats::default()
        };
        let since_opening = TreeTraffic {
            flushed_bytes: 100,
            compaction_written_bytes: 150,
            ..TreeTraffic::default()
        };
        let tree = TreeStats { since_opening, ..TreeStats::default() };
        let told = counted(&tables, &tree).map(|figure| figure.text());
        assert_eq!(told, ["2.50", "75.0%", "2", &units::seconds(1.5)]);
    }
}
