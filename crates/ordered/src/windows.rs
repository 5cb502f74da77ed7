//! Which table of a level has a key, told from a few numbers that lie together.

use crate::{TableInfo, number::word_of};
use std::sync::Arc;

/// A key with its first bytes as a number, to be looked for in several levels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worded<'k> {
    key: &'k [u8],
    word: u64,
}

impl<'k> Worded<'k> {
    #[inline]
    pub(crate) fn new(key: &'k [u8]) -> Self {
        Self { key, word: word_of(key) }
    }
}

/// Of each table of a level, in its order, the first bytes of the ends of its keys. Most keys are told
/// apart by these; the tables' descriptions, which lie all over memory, are asked about the others.
#[derive(Debug)]
pub(crate) struct Windows(Box<[Window]>);

#[derive(Clone, Copy, Debug)]
struct Window {
    first: u64,
    last: u64,
}

impl Windows {
    pub(crate) fn of(tables: &[Arc<TableInfo>]) -> Self {
        let window = |table: &Arc<TableInfo>| Window {
            first: word_of(&table.range.first),
            last: word_of(&table.range.last),
        };
        Self(tables.iter().map(window).collect())
    }

    /// Whether the table at `at`, one of `tables`, may know a key.
    #[inline]
    pub(crate) fn contain(&self, tables: &[Arc<TableInfo>], at: usize, key: Worded<'_>) -> bool {
        let Window { first, last } = self.0[at];
        (first < key.word && key.word < last)
            || (first <= key.word && key.word <= last && tables[at].range.contains(key.key))
    }

    /// How many of the tables of a sorted level, whose `tables` these are, end before a key.
    #[inline]
    pub(crate) fn start(&self, tables: &[Arc<TableInfo>], key: Worded<'_>) -> usize {
        let mut at = self.0.partition_point(|window| window.last < key.word);
        while self.0.get(at).is_some_and(|window| window.last == key.word)
            && tables[at].range.ends_before(key.key)
        {
            at += 1;
        }
        at
    }

    /// The place of the one table of a sorted level, whose `tables` these are, that may know a key.
    #[inline]
    pub(crate) fn find(&self, tables: &[Arc<TableInfo>], key: Worded<'_>) -> Option<usize> {
        let at = self.start(tables, key);
        (at < self.0.len() && self.contain(tables, at, key)).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyRange, Levels, table_info::tests::table};
    use proptest::prelude::*;

    /// Keys of which many begin with the same eight bytes, and some are shorter.
    fn some_key() -> impl Strategy<Value = Vec<u8>> {
        let start = prop::sample::select(vec![&b""[..], b"abcdefg", b"abcdefgh", b"abcdefgh\0"]);
        (start, prop::collection::vec(0..3_u8, 0..3))
            .prop_map(|(start, rest)| [start, &rest].concat())
    }

    proptest! {
        #[test]
        fn tables_are_found_as_by_their_whole_keys(
            ends in prop::collection::btree_set(some_key(), 0..12),
            last_included in any::<bool>(),
            keys in prop::collection::vec(some_key(), 1..20),
        ) {
            let ends: Vec<_> = ends.into_iter().collect();
            let tables: Vec<_> = ends.chunks_exact(2).zip(1..).map(|(ends, number)| {
                let mut info = table(number, &ends[0], &ends[1], (1, 9));
                info.range = KeyRange { last_included, ..info.range };
                (1, Arc::new(info))
            }).collect();
            let levels = Levels::default().changed(&[], &tables).expect("they are disjoint");
            let windows = Windows::of(levels.level(1));
            for key in keys.iter().chain(&ends) {
                let worded = Worded::new(key);
                prop_assert_eq!(windows.find(levels.level(1), worded), levels.find(1, key));
                let before = levels.level(1).iter().filter(|info| info.range.ends_before(key));
                prop_assert_eq!(windows.start(levels.level(1), worded), before.count());
                for (at, info) in levels.level(1).iter().enumerate() {
                    let contains = windows.contain(levels.level(1), at, worded);
                    prop_assert_eq!(contains, info.range.contains(key));
                }
            }
        }
    }
}
