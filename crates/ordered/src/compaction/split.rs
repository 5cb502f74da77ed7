//! Where the outputs of a compaction end.
//!
//! An output ends when it has its size, and earlier if it overlaps so much of the level beneath its
//! own that compacting it later would be out of proportion. It never ends between two versions of a
//! key: the tables of a sorted level are disjoint.

use crate::TableInfo;
use std::sync::Arc;

/// How many times its own size an output may overlap of the level beneath.
const OVERLAP_MAX: u64 = 10;
/// An output is ended where a table beneath begins once it has this share of its size, in percent:
/// tables whose ends coincide overlap one table less.
const ALIGN_PERCENT: u64 = 75;

/// Decides where outputs end, for keys that come in order.
#[derive(Debug)]
pub(crate) struct Splitter {
    table_bytes: u64,
    /// The tables of the level beneath the output's, in order.
    beneath: Vec<Arc<TableInfo>>,
    /// The first of them that does not end before the last key.
    at: usize,
    /// How much of them the present output has passed over, in bytes.
    passed_bytes: u64,
}

impl Splitter {
    /// Ends outputs at `table_bytes`, above the tables `beneath` (sorted, disjoint).
    pub(crate) fn new(table_bytes: u64, beneath: Vec<Arc<TableInfo>>) -> Self {
        Self { table_bytes, beneath, at: 0, passed_bytes: 0 }
    }

    /// Whether an output may end in front of any key.
    #[inline]
    pub(crate) fn may_end(&self) -> bool {
        self.table_bytes != u64::MAX || !self.beneath.is_empty()
    }

    /// Whether the output, which has `output_bytes`, ends before `key`. Keys come in order, each
    /// once.
    pub(crate) fn ends_before(&mut self, key: &[u8], output_bytes: u64) -> bool {
        let mut passed = false;
        while self.beneath.get(self.at).is_some_and(|table| table.range.ends_before(key)) {
            if output_bytes > 0 {
                self.passed_bytes += self.beneath[self.at].bytes;
            }
            self.at += 1;
            passed = true;
        }
        let full = output_bytes >= self.table_bytes;
        let aligned = passed && output_bytes >= self.table_bytes / 100 * ALIGN_PERCENT;
        let heavy = passed && self.passed_bytes > self.table_bytes.saturating_mul(OVERLAP_MAX);
        let ends = output_bytes > 0 && (full || aligned || heavy);
        if ends {
            self.passed_bytes = 0;
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_info::tests::table;

    fn beneath(tables: &[(&str, &str, u64)]) -> Vec<Arc<TableInfo>> {
        tables
            .iter()
            .enumerate()
            .map(|(number, (first, last, bytes))| {
                let mut table = table(number as u64, first.as_bytes(), last.as_bytes(), (1, 1));
                table.bytes = *bytes;
                Arc::new(table)
            })
            .collect()
    }

    #[test]
    fn outputs_end_when_they_have_their_size() {
        let mut splitter = Splitter::new(100, Vec::new());
        assert!(!splitter.ends_before(b"a", 0));
        assert!(!splitter.ends_before(b"b", 99));
        assert!(splitter.ends_before(b"c", 100));
    }

    #[test]
    fn outputs_end_where_tables_beneath_do() {
        let mut splitter = Splitter::new(100, beneath(&[("a", "c", 100), ("d", "f", 100)]));
        assert!(!splitter.ends_before(b"b", 80));
        assert!(splitter.ends_before(b"d", 80), "a table beneath ended");
        assert!(!splitter.ends_before(b"e", 50));
        assert!(!splitter.ends_before(b"g", 60), "too small yet");
    }

    #[test]
    fn outputs_end_when_they_lie_above_too_much() {
        let mut splitter = Splitter::new(100, beneath(&[("a", "b", 600), ("c", "d", 600)]));
        assert!(!splitter.ends_before(b"a", 0));
        assert!(!splitter.ends_before(b"c", 10));
        assert!(splitter.ends_before(b"e", 20));
        assert!(!splitter.ends_before(b"f", 10));
    }
}
