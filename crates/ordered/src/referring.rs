//! What the tables of a tree refer to, and who may still read tables that are gone.

use crate::{
    Cursor, EntryKind, Error, Reading, Reference, ReferencedBytes, Result, Store, TableCursor,
    Tree, View, tree::TreeCore,
};
use parking_lot::Mutex;
use std::{
    path::Path,
    sync::{Arc, Weak, atomic::Ordering},
};

/// Views that were replaced, of all trees of a store, as long as somebody may read them.
#[derive(Debug, Default)]
pub(crate) struct FormerViews(Mutex<Vec<Weak<View>>>);

impl FormerViews {
    /// Replaces the view of a tree. Whoever asks for former views meanwhile finds the one that is
    /// replaced among them, or as that of the tree.
    pub(crate) fn replace(
        &self,
        tree: &TreeCore,
        next: impl FnMut(&Arc<View>) -> View,
    ) -> Arc<View> {
        let mut former = self.0.lock();
        let replaced = tree.view.rcu(next);
        former.retain(|view| view.strong_count() > 0);
        former.push(Arc::downgrade(&replaced));
        if tree.is_dropped.load(Ordering::Acquire) {
            former.push(Arc::downgrade(&tree.view.load_full()));
        }
        replaced
    }

    /// Counts the view of a tree that was dropped among those that were replaced.
    pub(crate) fn retire(&self, tree: &TreeCore) {
        let mut former = self.0.lock();
        former.push(Arc::downgrade(&tree.view.load_full()));
    }
}

/// The trees of a store at a moment, and who may read what came before.
///
/// Who lets go of what no table refers to any more takes this first, keeps what the trees refer to, and
/// lets go of the rest when [`is_settled`](Former::is_settled).
#[derive(Debug)]
pub struct Referring {
    views: Vec<(u32, Arc<View>)>,
    former: Former,
}

/// Views that came before a moment. Whoever follows references keeps the view that they come from.
#[derive(Debug, Default)]
pub struct Former(Vec<Weak<View>>);

impl Former {
    /// Whether nobody reads any of them any more. Once that is so it stays so.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.0.iter().all(|view| view.strong_count() == 0)
    }
}

impl Store {
    /// The trees of this moment, and who may read what came before.
    #[must_use]
    pub fn referring(&self) -> Referring {
        // The lists under one lock: no view is replaced in between.
        let former = self.core.former.0.lock();
        let trees = self.core.all_trees();
        let views = trees.iter().map(|tree| (tree.id, tree.view.load_full())).collect();
        Referring { views, former: Former(former.clone()) }
    }

    /// How many bytes of which segments the tables of all trees refer to.
    #[must_use]
    pub fn referenced_bytes(&self) -> ReferencedBytes {
        let mut all = ReferencedBytes::default();
        for tree in self.core.all_trees() {
            for (_, table) in tree.view.load().version.levels.tables() {
                for (segment, bytes) in &table.references {
                    all.add_bytes(*segment, *bytes);
                }
            }
        }
        all
    }
}

impl Referring {
    /// The reference that a version of `key` in a table of `tree` makes to the record `seq`; `None` if
    /// none does.
    ///
    /// # Errors
    /// If a table is damaged where it would be.
    pub fn reference(&self, tree: u32, key: &[u8], seq: u64) -> Result<Option<Reference>> {
        let Some((_, view)) = self.views.iter().find(|(id, _)| *id == tree) else {
            return Ok(None);
        };
        for file in view.version.files_of(key) {
            if file.info.references.is_empty() {
                continue;
            }
            let mut cursor = TableCursor::new(file.table()?, Reading::Light);
            cursor.seek(key, u64::MAX)?;
            while let Some(entry) = cursor.entry().filter(|entry| entry.key == key) {
                if entry.kind == EntryKind::Pointer
                    && let Some(reference) = Reference::decode(entry.value)
                    && reference.seq == seq
                {
                    return Ok(Some(reference));
                }
                cursor.advance()?;
            }
        }
        Ok(None)
    }

    /// The trees, by their ids.
    pub fn trees(&self) -> impl Iterator<Item = u32> + '_ {
        self.views.iter().map(|(id, _)| *id)
    }

    /// Who may read what came before.
    #[must_use]
    pub fn into_former(self) -> Former {
        self.former
    }
}

impl Tree {
    /// Shows every reference in the tables: the table's file, the offset of the block in it, the key, and
    /// what stands there in place of a value; `None` if that is no reference.
    ///
    /// # Errors
    /// What `show` returns. What cannot be read is passed over: [`Store::verify`] names it.
    pub fn each_reference<E>(
        &self,
        mut show: impl FnMut(&Path, u64, &[u8], Option<Reference>) -> Result<(), E>,
    ) -> Result<(), E> {
        let version = Arc::clone(&self.core.view.load().version);
        for file in version.files() {
            let Ok(table) = file.table() else { continue };
            let mut cursor = TableCursor::new(table, Reading::Light);
            let mut moved: Result<(), Error> = cursor.to_first();
            while moved.is_ok()
                && let Some(entry) = cursor.entry()
            {
                if entry.kind == EntryKind::Pointer {
                    let offset = cursor.block_offset();
                    show(table.path(), offset, entry.key, Reference::decode(entry.value))?;
                }
                moved = cursor.advance();
            }
        }
        Ok(())
    }
}
