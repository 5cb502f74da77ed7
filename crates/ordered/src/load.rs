//! Sorted keys that become the tables of a new tree: no log, no memtable, and nothing to be compacted.
//!
//! Tables are written while nobody knows of the tree, so nothing waits for them and a crash leaves files
//! without an owner, which the next opening removes. One edit then makes the tree with all of them.

use crate::{
    Edit, Entry, EntryKind, Error, FileName, LEVELS, Result, Store, Style, TableInfo, Tree,
    TreeAdded, TreeOptions, TreeTraffic,
    compaction::{
        outputs::{OutputPlan, Outputs},
        split::Splitter,
    },
    tree::TreeCore,
    work,
};
use std::sync::Arc;

/// Tables that are being written for a tree that is not there yet. Dropping it removes them.
///
/// All entries get the sequence number 0: they are older than every record that comes to the tree.
#[derive(Debug)]
pub struct Load<'s> {
    store: &'s Store,
    options: TreeOptions,
    level: usize,
    outputs: Outputs<'s>,
    entries_count: u64,
}

/// Tables that are durable, of a tree that is not there yet. Dropping it removes them.
#[derive(Debug)]
pub struct Loaded<'s> {
    store: &'s Store,
    options: TreeOptions,
    level: usize,
    tables: Vec<Arc<TableInfo>>,
    entries_count: u64,
}

impl Store {
    /// Begins tables for a tree that is to have `options`. `now_ms` is the time, in milliseconds since
    /// 1970.
    ///
    /// # Errors
    /// If an option is out of range, or the store takes no records.
    pub fn load(&self, options: TreeOptions, now_ms: u64) -> Result<Load<'_>> {
        options.validate()?;
        self.core.check_ours()?;
        let level = match options.style {
            Style::Leveled | Style::Tiered => LEVELS - 1,
            // It has no other level.
            Style::Fifo { .. } => 0,
        };
        let plan = OutputPlan {
            level,
            options: options.table_options(level),
            splitter: Splitter::new(options.table_bytes, Vec::new()),
            removals: Vec::new(),
            oldest_ms: now_ms,
            newest_ms: now_ms,
            now_ms,
            keeps_to_rate: false,
        };
        let outputs = Outputs::new(&self.core.site, plan);
        Ok(Load { store: self, options, level, outputs, entries_count: 0 })
    }
}

impl<'s> Load<'s> {
    /// Adds a key that is higher than those before. What is in memory does not grow with their number.
    ///
    /// # Errors
    /// [`Error::Unsorted`] if it is not higher, [`Error::TooLarge`], [`Error::Cancelled`] once the store was
    /// [stopped](Store::stop), or an error of the files. After any of them the load is of no use.
    pub fn add(&mut self, key: &[u8], value: &[u8], expires_ms: Option<u64>) -> Result<()> {
        // A table's writer would not see it where a table ends.
        if let Some(last) = self.outputs.last_key()
            && key <= last
        {
            let (entry, is_repeated) = (self.entries_count, key == last);
            return Err(Error::Unsorted { entry, is_repeated });
        }
        let kind = EntryKind::Put;
        self.outputs.add(&Entry { key, seq: 0, kind, expires_ms, value }, true)?;
        self.entries_count += 1;
        Ok(())
    }

    /// Ends the last table and makes all of them durable. `now_ms` is the time, in milliseconds since 1970: that at
    /// which all entries came, whenever they were added. A tree whose oldest records go first would otherwise lose
    /// those of a load that took long as soon as it has them.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once the store was stopped, or an error of the files.
    pub fn finish(self, now_ms: u64) -> Result<Loaded<'s>> {
        let Self { store, options, level, outputs, entries_count } = self;
        store.core.site.check_going_on()?;
        let mut tables = outputs.finish()?;
        for table in tables.iter_mut().map(Arc::make_mut) {
            table.newest_ms = table.newest_ms.max(now_ms);
            table.oldest_ms = table.newest_ms;
        }
        Ok(Loaded { store, options, level, tables, entries_count })
    }
}

impl Loaded<'_> {
    /// How many entries there are.
    #[must_use]
    pub fn entries_count(&self) -> u64 {
        self.entries_count
    }

    /// Makes the tree `id` with these tables, in one edit. The id is subject to the same as that of
    /// [`Store::create_tree`].
    ///
    /// # Errors
    /// As [`Store::create_tree`]. If the manifest could not be written, nobody knows whether the tree is there
    /// until the store is opened again; else nothing has happened.
    pub fn begin_tree(mut self, id: u32) -> Result<Tree> {
        let core = &self.store.core;
        core.site.check_going_on()?;
        let fresh = work::open_all(core, &self.tables)?;
        let loaded_bytes = work::bytes_of(&self.tables);
        let traffic = TreeTraffic { loaded_bytes, ..TreeTraffic::default() };
        let edit = Edit {
            trees_added: vec![TreeAdded { tree: id, options: self.options }],
            tables_added: work::added(id, self.level, &self.tables),
            traffic: if loaded_bytes > 0 { vec![(id, traffic)] } else { Vec::new() },
            ..Edit::default()
        };
        let done = core.commit(edit, |state| {
            let tree = TreeCore::new(id, &core.site, &state.trees[&id], &fresh);
            *tree.counts.traffic.lock() = traffic;
            core.trees.write().insert(id, Arc::new(tree));
        });
        let is_undone = match &done {
            Err(Error::Shape(_) | Error::Stopped { .. } | Error::ReadOnly) => true,
            // No manifest could be begun that names them.
            Err(error) => error.is_full() && core.check().is_ok(),
            Ok(_) => false,
        };
        if !is_undone {
            // They are the tree's, or may be at the next opening.
            self.tables.clear();
        }
        done?;
        self.store.tree(id).ok_or(Error::Dropped { tree: id })
    }
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        let files = self.tables.drain(..).map(|table| FileName::Table(table.number));
        self.store.core.site.discard(files);
    }
}
