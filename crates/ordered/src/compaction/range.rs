//! Compaction of a range that somebody asked for: level by level downwards, in pieces, until all of
//! it lies in one level and was written since it was asked for.

use super::{Compaction, Reason, choice::Ask, targets::Targets};
use crate::{KeyRange, TableInfo};
use std::sync::Arc;

/// One piece takes tables of a sorted level up to this many tables' size.
const PIECE_TABLES: u64 = 8;

/// How far the compaction of a range has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeCompaction {
    /// The keys; `None` for all.
    range: Option<KeyRange>,
    /// The level that is being emptied.
    level: usize,
    /// Tables with this number or a higher one came after the level was begun, and stay.
    before: u64,
    /// Tables with this number or a higher one were written after it was asked for.
    asked: u64,
}

/// What is next in the compaction of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This piece.
    Piece(Compaction),
    /// Nothing until something that is running has ended.
    Wait,
    /// Nothing any more.
    Done,
}

impl RangeCompaction {
    /// The compaction of `range`, or of everything, for which files from `next_number` on do not
    /// count.
    pub(crate) fn new(range: Option<KeyRange>, next_number: u64) -> Self {
        Self { range, level: 0, before: next_number, asked: next_number }
    }

    /// What is to be done next, where `next_number` is the number of the next file now.
    pub(crate) fn next(&mut self, ask: &Ask<'_>, next_number: u64) -> Next {
        loop {
            let inside: Vec<&Arc<TableInfo>> = ask
                .levels
                .level(self.level)
                .iter()
                .filter(|table| {
                    self.range.as_ref().is_none_or(|range| range.overlaps(&table.range))
                })
                .collect();
            let last = self.level >= ask.levels.deepest().unwrap_or(0);
            // The last level is written again, but not what this compaction has just written.
            let before = if last && self.level > 0 { self.asked } else { self.before };
            let old: Vec<_> = inside.into_iter().filter(|table| table.number < before).collect();
            if !old.is_empty() {
                return self.piece(ask, &old, last);
            }
            if last {
                return Next::Done;
            }
            self.level += 1;
            self.before = next_number;
        }
    }

    fn piece(&self, ask: &Ask<'_>, old: &[&Arc<TableInfo>], last: bool) -> Next {
        let mut inputs: Vec<(usize, Arc<TableInfo>)> = Vec::new();
        let output = if self.level == 0 {
            let newest = old.first().map_or(0, |table| table.highest_seq);
            // Everything of level 0 that is not newer, so that nothing older stays behind.
            let taken = ask.levels.level(0).iter().filter(|table| table.highest_seq <= newest);
            inputs.extend(taken.map(|table| (0, table.clone())));
            Targets::of(ask.levels, ask.options).base
        } else {
            let limit = ask.options.table_bytes.saturating_mul(PIECE_TABLES);
            let mut bytes = 0;
            for table in old {
                if bytes > 0 && (last || bytes + table.bytes > limit) {
                    break;
                }
                bytes += table.bytes;
                inputs.push((self.level, (*table).clone()));
            }
            if last { self.level } else { self.level + 1 }
        };
        match Compaction::into_level(ask.levels, Reason::Range, output, inputs) {
            Some(compaction) if ask.running.admits(&compaction) => Next::Piece(compaction),
            _ => Next::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LEVELS, Levels, TreeOptions, compaction::Running, table_info::tests::table};

    #[test]
    fn all_of_a_range_comes_to_lie_in_one_level_and_the_rest_stays() {
        let deepest = LEVELS - 1;
        let add = |level, number, first: &[u8], last: &[u8]| {
            (level, Arc::new(table(number, first, last, (number * 10, number * 10))))
        };
        let mut levels = Levels::default()
            .changed(
                &[],
                &[
                    add(deepest, 1, b"a", b"c"),
                    add(deepest, 2, b"d", b"f"),
                    add(deepest, 3, b"x", b"z"),
                    add(deepest - 1, 4, b"b", b"d"),
                    add(0, 5, b"a", b"e"),
                    add(0, 6, b"x", b"z"),
                ],
            )
            .unwrap();
        let options = TreeOptions { base_bytes: 1024, ratio: 2, ..TreeOptions::default() };
        let running = Running::default();
        let mut number = 7;
        let mut manual = RangeCompaction::new(Some(KeyRange::closed(b"b", b"e")), number);
        let mut pieces = 0;
        loop {
            let ask = Ask::of(&levels, &options, &running);
            let piece = match manual.next(&ask, number) {
                Next::Piece(piece) => piece,
                Next::Wait => panic!("nothing is running"),
                Next::Done => break,
            };
            piece.check(&levels).unwrap();
            let removed: Vec<_> =
                piece.inputs.iter().map(|(level, table)| (*level, table.number)).collect();
            let seq = piece.inputs.iter().map(|(_, table)| table.highest_seq).max().unwrap();
            let out = table(number, &piece.span.first, &piece.span.last, (seq, seq));
            levels = levels.changed(&removed, &[(piece.output, Arc::new(out))]).unwrap();
            number += 1;
            pieces += 1;
            assert!(pieces < 10);
        }
        let found: Vec<_> = levels.tables().map(|(level, table)| (level, table.number)).collect();
        assert!(found.contains(&(deepest, 3)), "{found:?}");
        let range = KeyRange::closed(b"b", b"e");
        for level in 0..deepest {
            assert_eq!(levels.overlapping(level, &range).count(), 0, "{found:?}");
        }
        assert!(levels.overlapping(deepest, &range).all(|table| table.number >= 7), "{found:?}");
    }
}
