//! How large the levels of a leveled tree may be.
//!
//! Sizes are set from the bottom up: the deepest level may have what it has, each one above a
//! `ratio`-th of the one beneath it. So, whatever the amount of data, at most about one part in
//! `ratio - 1` of it is superseded. Where a level would get smaller than `base_bytes` the levels end:
//! that one is the *base*, into which level 0 is compacted, and those above it are empty.

use crate::{LEVELS, Levels, TreeOptions};

/// How large the levels of a tree may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Targets {
    /// The level into which level 0 is compacted.
    pub(crate) base: usize,
    /// The size in bytes at which each level calls for a compaction; of level 0 and of levels above
    /// the base 0, of the deepest `u64::MAX`.
    pub(crate) bytes: [u64; LEVELS],
}

impl Targets {
    /// What the levels of a tree may have.
    pub(crate) fn of(levels: &Levels, options: &TreeOptions) -> Self {
        let deepest = LEVELS - 1;
        let largest = (1..LEVELS).map(|level| levels.bytes(level)).max().unwrap_or(0);
        let mut bytes = [0; LEVELS];
        bytes[deepest] = u64::MAX;
        let (mut base, mut target) = (deepest, largest);
        while target > options.base_bytes && base > 1 {
            base -= 1;
            target /= options.ratio;
            // The base has at least what one compaction of level 0 brings, or each would have to be
            // carried on at once.
            bytes[base] = target.max(options.base_bytes / options.ratio);
        }
        // Nothing may be carried past a level that has tables; one above the base, left from when
        // there was more data, takes the base's place until it is empty.
        let filled = (1..base).find(|level| !levels.level(*level).is_empty());
        Self { base: filled.unwrap_or(base), bytes }
    }

    /// How urgently `level`, with `bytes` that are not on their way out, is to be compacted: from
    /// 1.0 on it is.
    pub(crate) fn score(&self, level: usize, bytes: u64) -> f64 {
        match self.bytes[level] {
            u64::MAX => 0.0,
            0 if bytes > 0 => 2.0,
            0 => 0.0,
            target => bytes as f64 / target as f64,
        }
    }

    /// How many bytes compactions would have to write until no level is too large: a measure of how
    /// far they are behind.
    pub(crate) fn debt_bytes(&self, levels: &Levels, options: &TreeOptions) -> u64 {
        let mut debt = 0u64;
        let level0 = levels.bytes(0);
        if levels.level(0).len() as u64 >= options.level0_tables {
            debt = level0.saturating_add(levels.bytes(self.base));
        }
        for level in 1..LEVELS - 1 {
            let over = levels.bytes(level).saturating_sub(self.bytes[level]);
            debt = debt.saturating_add(over.saturating_mul(options.ratio + 1));
        }
        debt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_info::tests::table;
    use std::sync::Arc;

    const MIB: u64 = 1 << 20;

    fn levels(bytes: &[(usize, u64)]) -> Levels {
        let added: Vec<_> = bytes
            .iter()
            .map(|&(level, bytes)| {
                let mut table = table(level as u64 + 1, b"a", b"z", (1, 1));
                table.bytes = bytes;
                (level, Arc::new(table))
            })
            .collect();
        Levels::default().changed(&[], &added).unwrap()
    }

    fn targets(bytes: &[(usize, u64)]) -> Targets {
        let options = TreeOptions { base_bytes: 64 * MIB, ratio: 10, ..TreeOptions::default() };
        Targets::of(&levels(bytes), &options)
    }

    #[test]
    fn small_trees_have_one_level_and_grow_upwards() {
        let deepest = LEVELS - 1;
        assert_eq!(targets(&[]).base, deepest);
        assert_eq!(targets(&[(deepest, 64 * MIB)]).base, deepest);
        let two = targets(&[(deepest, 600 * MIB)]);
        assert_eq!((two.base, two.bytes[deepest - 1]), (deepest - 1, 60 * MIB));
        let three = targets(&[(deepest, 6400 * MIB)]);
        assert_eq!(three.base, deepest - 2, "640 MiB are too much for a base, 64 are not");
        assert_eq!(three.bytes[deepest - 2..], [64 * MIB, 640 * MIB, u64::MAX]);
        let four = targets(&[(deepest, 6500 * MIB)]);
        assert_eq!((four.base, four.bytes[deepest - 3]), (deepest - 3, 6500 * MIB / 1000));
        let huge = targets(&[(deepest, 1 << 60)]);
        assert_eq!(huge.base, 1);
    }

    #[test]
    fn a_level_above_the_base_is_emptied_first() {
        let deepest = LEVELS - 1;
        let targets = targets(&[(2, MIB), (deepest, 600 * MIB)]);
        assert_eq!(targets.base, 2);
        assert!(targets.score(2, MIB) >= 1.0);
        assert!(targets.score(3, 0) < 1.0 && targets.score(deepest, 1 << 60) < 1.0);
        let score = targets.score(deepest - 1, 30 * MIB);
        assert!((score - 0.5).abs() < 0.01, "{score}");
    }
}
