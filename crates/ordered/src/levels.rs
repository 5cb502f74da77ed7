//! The tables of a tree in their levels: a value that is never changed, only replaced.
//!
//! Level 0 takes what was flushed, the newest table first; its tables may overlap. The tables of
//! every other level are sorted and disjoint. Of one key, what a level says is newer than what all
//! deeper levels say; that is what lets a look-up end at the first level that knows a key. It cannot
//! be read off the tables' descriptions, so whoever moves tables down must take along everything
//! that lies in between (see `compaction`).

use crate::{KeyRange, TableInfo};
use std::{cmp::Reverse, sync::Arc};

/// How many levels a tree has; the deepest is `LEVELS - 1`.
///
/// ```
/// # use annals_ordered as annals;
/// use annals::{Compression, LEVELS, TreeOptions};
/// let options = TreeOptions { bottom_compression: Compression::Lz4, ..TreeOptions::default() };
/// assert_eq!(options.compression_of(LEVELS - 1), Compression::Lz4);
/// assert_eq!(options.compression_of(0), Compression::None);
/// ```
pub const LEVELS: usize = 7;

/// Why tables cannot stand in their levels as they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Two tables of a level overlap where none may.
    #[error("tables {first} and {second} of level {level} overlap")]
    Overlap {
        /// The level.
        level: usize,
        /// The number of the one table.
        first: u64,
        /// The number of the other.
        second: u64,
    },
    /// A table is there already.
    #[error("table {number} is there already")]
    Twice {
        /// Its number.
        number: u64,
    },
    /// A table that is to go is not there.
    #[error("there is no table {number} in level {level}")]
    NoTable {
        /// Its number.
        number: u64,
        /// Where it should be.
        level: usize,
    },
    /// A level that does not exist.
    #[error("there is no level {level}")]
    NoLevel {
        /// Its number.
        level: usize,
    },
    /// What is said of a table does not fit together.
    #[error("what is said of table {number} does not fit together")]
    Table {
        /// Its number.
        number: u64,
    },
    /// A table's number is still to come.
    #[error("table {number} has a number that was never given")]
    Number {
        /// Its number.
        number: u64,
    },
    /// A tree that is not there.
    #[error("there is no tree {tree}")]
    NoTree {
        /// Its id.
        tree: u32,
    },
    /// A tree that is to be added is there already.
    #[error("tree {tree} is there already")]
    TreeTwice {
        /// Its id.
        tree: u32,
    },
    /// What only grows would shrink.
    #[error("{what} would go back from {from} to {to}")]
    Backwards {
        /// What only grows.
        what: &'static str,
        /// Its value.
        from: u64,
        /// The value it was to take.
        to: u64,
    },
}

type Level = Arc<[Arc<TableInfo>]>;

/// The tables of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    levels: [Level; LEVELS],
}

impl Default for Levels {
    fn default() -> Self {
        Self { levels: std::array::from_fn(|_| Arc::from([])) }
    }
}

impl Levels {
    /// The tables of `level`: of level 0 the newest first, of others by their keys.
    ///
    /// # Panics
    /// If there is no such level.
    #[must_use]
    pub fn level(&self, level: usize) -> &[Arc<TableInfo>] {
        &self.levels[level]
    }

    /// All tables with their levels, from level 0 down.
    pub fn tables(&self) -> impl Iterator<Item = (usize, &Arc<TableInfo>)> {
        (0..LEVELS).flat_map(|level| self.levels[level].iter().map(move |table| (level, table)))
    }

    /// The bytes of a level's files.
    #[must_use]
    pub fn bytes(&self, level: usize) -> u64 {
        self.levels[level].iter().map(|table| table.bytes).sum()
    }

    /// The bytes of all files.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        (0..LEVELS).map(|level| self.bytes(level)).sum()
    }

    /// Whether there are no tables.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.iter().all(|level| level.is_empty())
    }

    /// The index of the one table of a sorted level that may know `key`.
    ///
    /// # Panics
    /// If `level` is 0 or does not exist.
    #[must_use]
    pub fn find(&self, level: usize, key: &[u8]) -> Option<usize> {
        let at = self.first_not_before(level, key);
        self.levels[level].get(at).is_some_and(|table| table.range.contains(key)).then_some(at)
    }

    /// The index of the first table of a sorted level that does not end before `key`.
    ///
    /// # Panics
    /// If `level` is 0 or does not exist.
    #[must_use]
    pub fn first_not_before(&self, level: usize, key: &[u8]) -> usize {
        assert!(level > 0, "level 0 is not sorted by keys");
        self.levels[level].partition_point(|table| table.range.ends_before(key))
    }

    /// The tables of `level` that overlap `range`, in the level's order.
    pub fn overlapping<'a>(
        &'a self,
        level: usize,
        range: &'a KeyRange,
    ) -> impl Iterator<Item = &'a Arc<TableInfo>> {
        let tables = &self.levels[level];
        let window = if level == 0 {
            0..tables.len()
        } else {
            let start = tables.partition_point(|table| table.range.is_before(range));
            let len = tables[start..].partition_point(|table| !range.is_before(&table.range));
            start..start + len
        };
        tables[window].iter().filter(move |table| table.range.overlaps(range))
    }

    /// Whether no level deeper than `level` has a table that overlaps `range`.
    #[must_use]
    pub fn nothing_beneath(&self, level: usize, range: &KeyRange) -> bool {
        (level + 1..LEVELS).all(|deeper| self.overlapping(deeper, range).next().is_none())
    }

    /// The deepest level that has tables.
    #[must_use]
    pub fn deepest(&self) -> Option<usize> {
        (0..LEVELS).rev().find(|level| !self.levels[*level].is_empty())
    }

    /// These levels without the tables `removed` (level and number) and with `added`. Who moves a
    /// table removes it and adds it.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn changed(
        &self,
        removed: &[(usize, u64)],
        added: &[(usize, Arc<TableInfo>)],
    ) -> Result<Self, ShapeError> {
        let mut levels: [Option<Vec<Arc<TableInfo>>>; LEVELS] = Default::default();
        for &(level, number) in removed {
            let tables = self.opened(&mut levels, level)?;
            let at = tables.iter().position(|table| table.number == number);
            tables.remove(at.ok_or(ShapeError::NoTable { number, level })?);
        }
        for (level, table) in added {
            if !table.is_consistent() {
                return Err(ShapeError::Table { number: table.number });
            }
            self.opened(&mut levels, *level)?.push(table.clone());
        }
        let mut changed = self.clone();
        for (level, tables) in levels.into_iter().enumerate() {
            let Some(mut tables) = tables else { continue };
            if level == 0 {
                tables.sort_by_key(|table| Reverse((table.highest_seq, table.number)));
            } else {
                tables.sort_by(|a, b| (&a.range.first, a.number).cmp(&(&b.range.first, b.number)));
            }
            check_level(level, &tables)?;
            changed.levels[level] = tables.into();
        }
        changed.check_numbers()?;
        Ok(changed)
    }

    /// The tables of `level` in `copies`, copied from here when they are first asked for.
    fn opened<'a>(
        &self,
        copies: &'a mut [Option<Vec<Arc<TableInfo>>>; LEVELS],
        level: usize,
    ) -> Result<&'a mut Vec<Arc<TableInfo>>, ShapeError> {
        let slot = copies.get_mut(level).ok_or(ShapeError::NoLevel { level })?;
        Ok(slot.get_or_insert_with(|| self.levels[level].to_vec()))
    }

    /// Whether everything holds that the module's header says of one tree's tables.
    ///
    /// # Errors
    /// What does not hold.
    pub fn validate(&self) -> Result<(), ShapeError> {
        for (level, tables) in self.levels.iter().enumerate() {
            check_level(level, tables)?;
        }
        self.check_numbers()
    }

    /// No table stands in two places.
    fn check_numbers(&self) -> Result<(), ShapeError> {
        let mut numbers: Vec<u64> = self.tables().map(|(_, table)| table.number).collect();
        numbers.sort_unstable();
        match numbers.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ShapeError::Twice { number: pair[0] }),
            None => Ok(()),
        }
    }
}

/// Whether the tables of a level, in its order, may stand together.
fn check_level(level: usize, tables: &[Arc<TableInfo>]) -> Result<(), ShapeError> {
    let overlap = |a: &TableInfo, b: &TableInfo| ShapeError::Overlap {
        level,
        first: a.number,
        second: b.number,
    };
    if level > 0 {
        return match tables.windows(2).find(|pair| !pair[0].range.is_before(&pair[1].range)) {
            Some(pair) => Err(overlap(&pair[0], &pair[1])),
            None => Ok(()),
        };
    }
    // Two tables of level 0 that may know the same key must not be mixed in time, else "the newest
    // first" would mean nothing for that key. One number may be in both: the tables of a load have it
    // in common, each for other keys, and merging one of them with newer tables makes it reach over
    // the others.
    let mut lowest = u64::MAX;
    for (at, table) in tables.iter().enumerate() {
        if table.highest_seq > lowest {
            let mixed = tables[..at].iter().find(|newer| {
                newer.lowest_seq < table.highest_seq && newer.range.overlaps(&table.range)
            });
            if let Some(newer) = mixed {
                return Err(overlap(newer, table));
            }
        }
        lowest = lowest.min(table.lowest_seq);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_info::tests::table;

    fn numbers(levels: &Levels, level: usize) -> Vec<u64> {
        levels.level(level).iter().map(|table| table.number).collect()
    }

    #[test]
    fn levels_are_kept_in_their_orders() {
        let add = |level, number, first: &[u8], last: &[u8], seqs| {
            (level, Arc::new(table(number, first, last, seqs)))
        };
        let levels = Levels::default()
            .changed(
                &[],
                &[
                    add(0, 1, b"a", b"z", (10, 19)),
                    add(0, 2, b"a", b"z", (20, 29)),
                    add(1, 3, b"m", b"p", (1, 9)),
                    add(1, 4, b"a", b"c", (1, 9)),
                ],
            )
            .unwrap();
        assert_eq!((numbers(&levels, 0), numbers(&levels, 1)), (vec![2, 1], vec![4, 3]));
        assert_eq!(levels.find(1, b"b"), Some(0));
        assert_eq!(levels.find(1, b"d"), None);
        assert_eq!(levels.find(1, b"p"), Some(1));
        let over = |first: &[u8], last: &[u8]| {
            let range = KeyRange::closed(first, last);
            levels.overlapping(1, &range).map(|table| table.number).collect::<Vec<_>>()
        };
        assert_eq!(over(b"c", b"m"), [4, 3]);
        assert_eq!(over(b"d", b"l"), []);
        assert_eq!(over(b"p", b"z"), [3]);
        assert!(!levels.nothing_beneath(0, &KeyRange::closed(b"c", b"d")));
        assert!(levels.nothing_beneath(0, &KeyRange::closed(b"d", b"e")));
        assert!(levels.nothing_beneath(1, &KeyRange::closed(b"a", b"z")));
        levels.validate().unwrap();
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let one =
            Levels::default().changed(&[], &[(1, Arc::new(table(1, b"c", b"m", (1, 9))))]).unwrap();
        let add = |level, table: TableInfo| one.changed(&[], &[(level, Arc::new(table))]);
        assert_eq!(
            add(1, table(2, b"m", b"n", (1, 9))).unwrap_err(),
            ShapeError::Overlap { level: 1, first: 1, second: 2 }
        );
        assert_eq!(
            add(2, table(1, b"a", b"b", (1, 9))).unwrap_err(),
            ShapeError::Twice { number: 1 }
        );
        assert_eq!(
            add(LEVELS, table(2, b"a", b"b", (1, 9))).unwrap_err(),
            ShapeError::NoLevel { level: LEVELS }
        );
        assert_eq!(
            add(2, table(2, b"b", b"a", (1, 9))).unwrap_err(),
            ShapeError::Table { number: 2 }
        );
        assert_eq!(
            one.changed(&[(2, 1)], &[]).unwrap_err(),
            ShapeError::NoTable { number: 1, level: 2 }
        );
        let moved = one.changed(&[(1, 1)], &[(2, Arc::new(table(1, b"c", b"m", (1, 9))))]).unwrap();
        assert_eq!((numbers(&moved, 1), numbers(&moved, 2)), (vec![], vec![1]));
    }

    #[test]
    fn tables_of_level_0_that_share_keys_are_not_mixed_in_time() {
        let newest = Levels::default()
            .changed(&[], &[(0, Arc::new(table(1, b"c", b"m", (10, 30))))])
            .unwrap();
        let add = |table: TableInfo| newest.changed(&[], &[(0, Arc::new(table))]);
        assert!(add(table(2, b"a", b"d", (20, 25))).is_err());
        assert!(add(table(2, b"a", b"d", (29, 35))).is_err());
        assert!(add(table(2, b"a", b"d", (30, 35))).is_ok(), "a load, cut in tables");
        assert!(add(table(2, b"a", b"b", (20, 25))).is_ok(), "other keys");
        assert!(add(table(2, b"a", b"d", (31, 35))).is_ok(), "later");
    }
}
