//! What tables a tree has: its levels with their open files. A version is never changed; readers
//! keep the one they began with, and with it all its files.

use crate::{
    LEVELS, Levels, Style, TableInfo, TreeOptions, TreeTraffic,
    compaction::targets::Targets,
    manifest::TreeState,
    table_file::TableFile,
    windows::{Windows, Worded},
};
use std::{collections::HashMap, sync::Arc};

/// The tables of a tree.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) levels: Arc<Levels>,
    /// The files, in each level in the order of `levels`.
    files: [Arc<[Arc<TableFile>]>; LEVELS],
    windows: [Windows; LEVELS],
    /// The deepest level that has tables.
    deepest: Option<usize>,
    /// The levels behind the first that have tables: every look-up goes through them.
    filled: Box<[usize]>,
    /// Versions of keys in all tables, removals included.
    pub(crate) entries: u64,
    /// How many of them are removals.
    pub(crate) removals: u64,
    /// Whether any table has removed ranges.
    pub(crate) has_range_removals: bool,
    /// How far compactions are behind, in bytes. Every commit asks.
    pub(crate) debt_bytes: u64,
    /// How many tables level 0 has, as if it were compacted from the usual number on.
    pub(crate) strain_tables: u64,
    /// What was written for the tree in all its life.
    pub(crate) traffic: TreeTraffic,
}

impl Version {
    /// The version that `state` describes, with the files of `former` and `fresh` ones.
    ///
    /// # Panics
    /// If a file is in neither.
    pub(crate) fn new(state: &TreeState, former: Option<&Self>, fresh: &[Arc<TableFile>]) -> Self {
        let TreeState { options, levels, traffic, .. } = state;
        let known = former.into_iter().flat_map(Self::files);
        let by_number: HashMap<u64, &Arc<TableFile>> =
            known.chain(fresh).map(|file| (file.info.number, file)).collect();
        let files = std::array::from_fn(|level| {
            let tables = levels.level(level).iter();
            let file = |table: &Arc<TableInfo>| {
                let file = by_number.get(&table.number).expect("each table was opened");
                Arc::clone(file)
            };
            tables.map(file).collect()
        });
        let windows = std::array::from_fn(|level| Windows::of(levels.level(level)));
        let sum =
            |count: fn(&TableInfo) -> u64| levels.tables().map(|(_, table)| count(table)).sum();
        let (entries, removals) = (sum(|table| table.entries), sum(|table| table.removals));
        let has_range_removals = levels.tables().any(|(_, table)| table.range_removals > 0);
        let debt_bytes = match options.style {
            Style::Leveled => Targets::of(levels, options).debt_bytes(levels, options),
            Style::Tiered | Style::Fifo { .. } => 0,
        };
        let strain_tables = match options.style {
            Style::Leveled | Style::Tiered => {
                let usual = TreeOptions::default().level0_tables;
                levels.level(0).len() as u64 * usual / options.level0_tables
            }
            // They are not to be merged.
            Style::Fifo { .. } => 0,
        };
        Self {
            deepest: levels.deepest(),
            filled: (1..LEVELS).filter(|level| !levels.level(*level).is_empty()).collect(),
            levels: Arc::clone(levels),
            files,
            windows,
            entries,
            removals,
            has_range_removals,
            debt_bytes,
            strain_tables,
            traffic: *traffic,
        }
    }

    /// The files of a level, in its order.
    pub(crate) fn level(&self, level: usize) -> &Arc<[Arc<TableFile>]> {
        &self.files[level]
    }

    /// All files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<TableFile>> {
        self.files.iter().flat_map(|level| level.iter())
    }

    /// The files from the newest data to the oldest that may say something of `key`.
    #[inline]
    pub(crate) fn files_of<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a TableFile> {
        let key = Worded::new(key);
        let is_in = move |at: &usize| self.windows[0].contain(self.levels.level(0), *at, key);
        let newest = (0..self.files[0].len()).filter(is_in).map(|at| &self.files[0][at]);
        let deeper = self.filled.iter().filter_map(move |&level| {
            let at = self.windows[level].find(self.levels.level(level), key)?;
            Some(&self.files[level][at])
        });
        newest.chain(deeper).map(|file| &**file)
    }

    /// How many sorted runs they are.
    pub(crate) fn runs(&self) -> usize {
        self.files[0].len() + self.filled.len()
    }

    /// How many tables of a sorted level end before `key`.
    pub(crate) fn start_of(&self, level: usize, key: &[u8]) -> usize {
        self.windows[level].start(self.levels.level(level), Worded::new(key))
    }

    /// Of the deepest level that has tables, where most keys are, the file that may know `key`.
    pub(crate) fn deepest_of(&self, key: &[u8]) -> Option<&TableFile> {
        let level = self.deepest.filter(|level| *level > 0)?;
        let at = self.windows[level].find(self.levels.level(level), Worded::new(key))?;
        Some(&self.files[level][at])
    }
}
