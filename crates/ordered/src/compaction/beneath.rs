//! What lies beneath the outputs of a compaction: whether a removal has anything left to remove.

use super::Compaction;
use crate::{KeyRange, LEVELS, Levels, TableInfo, number::compare};
use std::sync::Arc;

/// The tables with older data than a compaction's outputs, where they overlap it.
#[derive(Debug, Default)]
pub(crate) struct Beneath {
    /// Of each sorted level its tables, and the first that does not end before the last key.
    sorted: Vec<(Vec<Arc<TableInfo>>, usize)>,
    /// Older tables of level 0.
    unsorted: Vec<Arc<TableInfo>>,
    /// What was last found out, and before which key (`None`: no key) it stays so.
    known: Option<(bool, Option<Box<[u8]>>)>,
}

impl Beneath {
    /// What lies beneath `compaction`. Nothing older comes to lie there while it runs: what is
    /// deeper was there before, what is higher is newer, and what lies in between is an input.
    pub(crate) fn of(levels: &Levels, compaction: &Compaction) -> Self {
        let mut beneath = Self::deeper(levels, compaction.output, &compaction.span);
        if compaction.output == 0 {
            let oldest = compaction.inputs.iter().map(|(_, table)| table.lowest_seq).min();
            // As old as the oldest are tables of the same load.
            let older = levels.overlapping(0, &compaction.span).filter(|table| {
                !compaction.takes(table.number) && Some(table.lowest_seq) <= oldest
            });
            beneath.unsorted = older.cloned().collect();
        }
        beneath
    }

    /// What lies beneath what is flushed.
    pub(crate) fn of_flush(levels: &Levels) -> Self {
        let sorted = (1..LEVELS).map(|level| (levels.level(level).to_vec(), 0)).collect();
        Self { sorted, unsorted: levels.level(0).to_vec(), known: None }
    }

    fn deeper(levels: &Levels, level: usize, span: &KeyRange) -> Self {
        let of = |level| (levels.overlapping(level, span).cloned().collect(), 0);
        let sorted = (level + 1..LEVELS).map(of).collect();
        Self { sorted, ..Self::default() }
    }

    /// Whether none of it may say anything of `key`. Keys come in order.
    #[inline]
    pub(crate) fn is_empty_at(&mut self, key: &[u8]) -> bool {
        match &self.known {
            Some((is_empty, end)) if end.as_deref().is_none_or(|end| compare(key, end).is_lt()) => {
                *is_empty
            }
            _ => self.find_out(key),
        }
    }

    /// Asks the tables about `key`, and notes how far the answer goes.
    fn find_out(&mut self, key: &[u8]) -> bool {
        for (tables, at) in &mut self.sorted {
            while tables.get(*at).is_some_and(|table| table.range.ends_before(key)) {
                *at += 1;
            }
        }
        let next = self.sorted.iter().filter_map(|(tables, at)| tables.get(*at));
        let tables = || next.clone().chain(&self.unsorted);
        let here = tables().find(|table| table.range.contains(key));
        let end = match here {
            Some(table) => Some(&table.range.last),
            None => tables().map(|table| &table.range.first).filter(|first| ***first > *key).min(),
        };
        self.known = Some((here.is_none(), end.cloned()));
        here.is_none()
    }

    /// Whether none of it may say anything of a key in `range`.
    pub(crate) fn is_empty_over(&self, range: &KeyRange) -> bool {
        let sorted = self.sorted.iter().flat_map(|(tables, _)| tables);
        !sorted.chain(&self.unsorted).any(|table| table.range.overlaps(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compaction::Reason, table_info::tests::table};
    use proptest::prelude::*;

    /// A table with the keys from one to another, with that or without.
    fn over(first: u8, last: u8, last_included: bool) -> Arc<TableInfo> {
        let mut info = table(1, &[first], &[last], (1, 1));
        info.range.last_included = last_included || first == last;
        Arc::new(info)
    }

    proptest! {
        #[test]
        fn what_was_found_out_is_so_as_long_as_it_is_kept(
            levels in prop::collection::vec(prop::collection::btree_map(0..60_u8, any::<bool>(), 0..12), 0..4),
            unsorted in prop::collection::vec((0..60_u8, 0..9_u8, any::<bool>()), 0..4),
            keys in prop::collection::btree_set((0..70_u8, any::<bool>()), 0..60),
        ) {
            let level = |ends: std::collections::BTreeMap<u8, bool>| {
                let ends: Vec<_> = ends.into_iter().collect();
                // Pairs of ends are tables that do not overlap.
                let tables = ends.as_chunks().0.iter();
                (tables.map(|&[(first, _), (last, included)]| over(first, last, included)).collect(), 0)
            };
            let mut beneath = Beneath {
                sorted: levels.into_iter().map(level).collect(),
                unsorted: unsorted.iter().map(|&(first, len, is)| over(first, first + len, is)).collect(),
                known: None,
            };
            let all = beneath.sorted.iter().flat_map(|(tables, _)| tables).chain(&beneath.unsorted);
            let all: Vec<_> = all.cloned().collect();
            for (key, is_longer) in keys {
                let key = if is_longer { vec![key, 0] } else { vec![key] };
                let plain = !all.iter().any(|table| table.range.contains(&key));
                prop_assert_eq!(beneath.is_empty_at(&key), plain, "at {:?}", key);
            }
        }
    }

    #[test]
    fn only_what_is_older_counts() {
        let add = |level, number: u64, first: &[u8], last: &[u8]| {
            (level, Arc::new(table(number, first, last, (number * 10, number * 10 + 9))))
        };
        let levels = Levels::default()
            .changed(
                &[],
                &[
                    add(0, 9, b"a", b"z"),
                    add(0, 8, b"a", b"z"),
                    add(0, 7, b"c", b"d"),
                    add(5, 3, b"e", b"f"),
                    add(6, 2, b"k", b"l"),
                ],
            )
            .unwrap();
        let of = |level: usize, numbers: &[u64], output| {
            let tables = levels.level(level).iter();
            let inputs = tables
                .filter(|table| numbers.contains(&table.number))
                .map(|table| (level, table.clone()))
                .collect();
            let compaction = Compaction::into_level(&levels, Reason::Size, output, inputs).unwrap();
            Beneath::of(&levels, &compaction)
        };
        let empty = |mut beneath: Beneath| {
            let keys: [&[u8]; 6] = [b"a", b"c", b"e", b"g", b"k", b"m"];
            keys.map(|key| beneath.is_empty_at(key))
        };
        assert_eq!(empty(of(0, &[9, 8], 0)), [true, false, false, true, false, true]);
        assert_eq!(empty(of(0, &[9, 8, 7], 5)), [true, true, true, true, false, true]);
        assert_eq!(empty(of(5, &[3], 6)), [true; 6]);
        assert_eq!(empty(Beneath::of_flush(&levels)), [false; 6]);
        let beneath = of(0, &[9, 8, 7], 5);
        assert!(beneath.is_empty_over(&KeyRange::until(b"a", b"k")));
        assert!(!beneath.is_empty_over(&KeyRange::closed(b"a", b"k")));
    }
}
