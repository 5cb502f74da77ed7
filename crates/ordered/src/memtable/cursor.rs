//! A place among the versions of a memtable.

use std::sync::Arc;

use super::{
    Memtable,
    node::{SLOTS, Sorted, Target},
    record,
    tree::{Leaf, Way},
};
use crate::{Cursor, Entry, Result};

/// A place among the versions of a memtable. It never fails.
#[derive(Clone, Debug)]
pub struct MemtableCursor {
    table: Arc<Memtable>,
    leaf: Leaf,
    /// The place in the leaf, as that was when the cursor came to it.
    place: usize,
    /// The record at the place; zero outside.
    record: u32,
}

impl MemtableCursor {
    pub(super) fn new(table: Arc<Memtable>) -> Self {
        let sorted = Sorted::as_they_lie(0);
        let leaf = Leaf { node: 0, sorted, low: 0, high: 0, above: None };
        Self { table, leaf, place: 0, record: 0 }
    }

    /// Goes to a leaf, and has the processor fetch its records.
    #[inline]
    fn enter(&mut self, leaf: Leaf) {
        self.leaf = leaf;
        let node = self.table.tree.node(leaf.node);
        for slot in 0..leaf.sorted.len().min(SLOTS) {
            self.table.tree.bytes.prefetch_all(node.record(slot));
        }
    }

    /// Stands at a place of the leaf.
    #[inline]
    fn stand(&mut self, place: usize) {
        self.place = place;
        let node = self.table.tree.node(self.leaf.node);
        self.record = node.record(self.leaf.sorted.slot(place));
    }

    /// Goes to the first version of the leaf behind this one.
    fn enter_next(&mut self) {
        if self.leaf.high == 0 {
            self.record = 0;
            return;
        }
        let tree = &self.table.tree;
        let leaf = tree.next(&self.leaf).unwrap_or_else(|| {
            let (key, seq) = record::place(&tree.bytes, self.leaf.high);
            tree.descend(Way::To(Target { key, seq }))
        });
        self.enter(leaf);
        // A leaf behind another begins at a record.
        self.stand(0);
    }

    /// Goes to the last version of the leaf in front of this one.
    fn enter_previous(&mut self) {
        if self.leaf.low == 0 {
            self.record = 0;
            return;
        }
        let (key, seq) = record::place(&self.table.tree.bytes, self.leaf.low);
        let leaf = self.table.tree.descend(Way::Before(Target { key, seq }));
        self.enter(leaf);
        // Leaves are made by splitting, and none is made empty.
        self.stand(leaf.sorted.len() - 1);
    }
}

impl Cursor for MemtableCursor {
    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        (self.record != 0).then(|| record::read(&self.table.tree.bytes, self.record))
    }

    #[inline]
    fn has_entry(&self) -> bool {
        self.record != 0
    }

    fn to_first(&mut self) -> Result<()> {
        let leaf = self.table.tree.descend(Way::First);
        self.enter(leaf);
        match leaf.sorted.len() {
            0 => self.record = 0,
            _ => self.stand(0),
        }
        Ok(())
    }

    fn to_last(&mut self) -> Result<()> {
        let leaf = self.table.tree.descend(Way::Last);
        self.enter(leaf);
        match leaf.sorted.len() {
            0 => self.record = 0,
            len => self.stand(len - 1),
        }
        Ok(())
    }

    fn seek(&mut self, key: &[u8], seq: u64) -> Result<()> {
        let target = Target { key, seq };
        let leaf = self.table.tree.descend(Way::To(target));
        self.enter(leaf);
        let node = self.table.tree.node(leaf.node);
        let place = node.rank::<false>(leaf.sorted, &self.table.tree.bytes, target, 0);
        if place < leaf.sorted.len() {
            self.stand(place);
        } else {
            self.enter_next();
        }
        Ok(())
    }

    fn seek_back(&mut self, key: &[u8], seq: u64) -> Result<()> {
        let target = Target { key, seq };
        let leaf = self.table.tree.descend(Way::To(target));
        self.enter(leaf);
        let node = self.table.tree.node(leaf.node);
        match node.rank::<true>(leaf.sorted, &self.table.tree.bytes, target, 0) {
            0 => self.enter_previous(),
            place => self.stand(place - 1),
        }
        Ok(())
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        if self.record == 0 {
            return Ok(());
        }
        if self.place + 1 < self.leaf.sorted.len() {
            self.stand(self.place + 1);
        } else {
            self.enter_next();
        }
        Ok(())
    }

    #[inline]
    fn retreat(&mut self) -> Result<()> {
        if self.record == 0 {
            return Ok(());
        }
        if self.place > 0 {
            self.stand(self.place - 1);
        } else {
            self.enter_previous();
        }
        Ok(())
    }
}
