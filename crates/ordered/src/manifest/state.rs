//! What all edits of a manifest together mean.

use super::{Edit, TableAdded, TreeAdded};
use crate::{Levels, ShapeError, TreeOptions, TreeTraffic};
use std::{collections::BTreeMap, sync::Arc};

/// A tree as the manifest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeState {
    /// How it keeps its tables.
    pub options: TreeOptions,
    /// Its tables have all its records up to this sequence number.
    pub flushed_through: u64,
    /// Its tables.
    pub levels: Arc<Levels>,
    /// What was written for it in all its life. Changes with the tables only.
    pub traffic: TreeTraffic,
}

impl TreeState {
    /// A tree without tables, for which nothing was written.
    #[must_use]
    pub fn begun(options: TreeOptions) -> Self {
        let (levels, traffic) = (Arc::default(), TreeTraffic::default());
        Self { options, flushed_through: 0, levels, traffic }
    }
}

/// All trees of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The trees by their ids.
    pub trees: BTreeMap<u32, TreeState>,
    /// The number of the next file. No file with it or a higher one belongs to the store.
    pub next_number: u64,
}

impl Default for State {
    /// A store without trees, whose first file has the number 1.
    fn default() -> Self {
        Self { trees: BTreeMap::new(), next_number: 1 }
    }
}

impl State {
    /// What is so after `edit`.
    ///
    /// # Errors
    /// What of the edit cannot be.
    pub fn changed(&self, edit: &Edit) -> Result<Self, ShapeError> {
        let mut next = self.clone();
        for tree in &edit.trees_removed {
            next.trees.remove(tree).ok_or(ShapeError::NoTree { tree: *tree })?;
        }
        for TreeAdded { tree, options } in &edit.trees_added {
            if next.trees.insert(*tree, TreeState::begun(*options)).is_some() {
                return Err(ShapeError::TreeTwice { tree: *tree });
            }
        }
        if let Some(number) = edit.next_number {
            if number < next.next_number {
                let what = "the next file's number";
                return Err(ShapeError::Backwards { what, from: next.next_number, to: number });
            }
            next.next_number = number;
        }
        next.change_tables(edit)?;
        for &(tree, seq) in &edit.flushed_through {
            let changed = next.trees.get_mut(&tree).ok_or(ShapeError::NoTree { tree })?;
            if seq < changed.flushed_through {
                let (what, from) = ("what is flushed", changed.flushed_through);
                return Err(ShapeError::Backwards { what, from, to: seq });
            }
            changed.flushed_through = seq;
        }
        for (tree, traffic) in &edit.traffic {
            let changed = next.trees.get_mut(tree).ok_or(ShapeError::NoTree { tree: *tree })?;
            let mut numbers = changed.traffic.numbers().into_iter().zip(traffic.numbers());
            if let Some((from, to)) = numbers.find(|(from, to)| to < from) {
                return Err(ShapeError::Backwards { what: "what was written", from, to });
            }
            changed.traffic = *traffic;
        }
        Ok(next)
    }

    fn change_tables(&mut self, edit: &Edit) -> Result<(), ShapeError> {
        let mut changes: BTreeMap<u32, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for removed in &edit.tables_removed {
            changes.entry(removed.tree).or_default().0.push((removed.level, removed.number));
        }
        for added in &edit.tables_added {
            if added.table.number >= self.next_number {
                return Err(ShapeError::Number { number: added.table.number });
            }
            changes.entry(added.tree).or_default().1.push((added.level, added.table.clone()));
        }
        for (tree, (removed, added)) in changes {
            let changed = self.trees.get_mut(&tree).ok_or(ShapeError::NoTree { tree })?;
            changed.levels = Arc::new(changed.levels.changed(&removed, &added)?);
        }
        Ok(())
    }

    /// The one edit that makes this of nothing: what a new manifest starts with.
    #[must_use]
    pub fn as_edit(&self) -> Edit {
        let mut edit = Edit { next_number: Some(self.next_number), ..Edit::default() };
        for (&tree, state) in &self.trees {
            edit.trees_added.push(TreeAdded { tree, options: state.options });
            edit.flushed_through.push((tree, state.flushed_through));
            if state.traffic != TreeTraffic::default() {
                edit.traffic.push((tree, state.traffic));
            }
            for (level, table) in state.levels.tables() {
                edit.tables_added.push(TableAdded { tree, level, table: table.clone() });
            }
        }
        edit
    }

    /// Whether all trees' tables stand as they should, and no two trees have the same table.
    ///
    /// # Errors
    /// What does not hold.
    pub fn validate(&self) -> Result<(), ShapeError> {
        let mut numbers = std::collections::BTreeSet::new();
        for state in self.trees.values() {
            state.levels.validate()?;
            for (_, table) in state.levels.tables() {
                if !numbers.insert(table.number) {
                    return Err(ShapeError::Twice { number: table.number });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest::TableRemoved, table_info::tests::table};

    fn begun() -> State {
        let edit = Edit {
            trees_added: vec![
                TreeAdded { tree: 1, options: TreeOptions::default() },
                TreeAdded { tree: 2, options: TreeOptions::default() },
            ],
            tables_added: vec![TableAdded {
                tree: 1,
                level: 0,
                table: Arc::new(table(3, b"a", b"b", (1, 9))),
            }],
            flushed_through: vec![(1, 9)],
            next_number: Some(4),
            traffic: vec![(1, TreeTraffic::from_numbers([5, 6, 7, 8]))],
            ..Edit::default()
        };
        State::default().changed(&edit).unwrap()
    }

    #[test]
    fn a_state_is_made_again_by_its_edit() {
        let state = begun();
        assert_eq!(State::default().changed(&state.as_edit()).unwrap(), state);
        state.validate().unwrap();
        let gone = state.changed(&Edit { trees_removed: vec![1], ..Edit::default() }).unwrap();
        assert_eq!(gone.trees.keys().copied().collect::<Vec<_>>(), [2]);
        assert_eq!(gone.next_number, 4, "numbers are never given again");
        let again = TreeAdded { tree: 1, options: TreeOptions::default() };
        let again = gone.changed(&Edit { trees_added: vec![again], ..Edit::default() }).unwrap();
        assert_eq!(again.trees[&1].traffic, TreeTraffic::default(), "nothing was done for it");
    }

    #[test]
    fn edits_that_cannot_be_are_refused() {
        let state = begun();
        let refused = |edit: Edit| state.changed(&edit).unwrap_err();
        let none = Edit::default;
        let add = |tree, number| {
            let table = Arc::new(table(number, b"c", b"d", (10, 19)));
            Edit { tables_added: vec![TableAdded { tree, level: 0, table }], ..Edit::default() }
        };
        assert_eq!(refused(add(7, 2)), ShapeError::NoTree { tree: 7 });
        assert_eq!(refused(add(1, 4)), ShapeError::Number { number: 4 });
        assert_eq!(refused(add(1, 3)), ShapeError::Twice { number: 3 });
        assert_eq!(
            refused(Edit { trees_removed: vec![3], ..none() }),
            ShapeError::NoTree { tree: 3 }
        );
        let again = TreeAdded { tree: 1, options: TreeOptions::default() };
        assert_eq!(
            refused(Edit { trees_added: vec![again], ..none() }),
            ShapeError::TreeTwice { tree: 1 }
        );
        assert!(matches!(
            refused(Edit { flushed_through: vec![(1, 8)], ..none() }),
            ShapeError::Backwards { from: 9, to: 8, .. }
        ));
        for at in 0..4 {
            let mut numbers = [5, 6, 7, 8];
            numbers[at] -= 1;
            let traffic = vec![(1, TreeTraffic::from_numbers(numbers))];
            assert!(matches!(
                refused(Edit { traffic, ..none() }),
                ShapeError::Backwards { what: "what was written", .. }
            ));
        }
        let traffic = vec![(3, TreeTraffic::default())];
        assert_eq!(refused(Edit { traffic, ..none() }), ShapeError::NoTree { tree: 3 });
        assert!(matches!(
            refused(Edit { next_number: Some(3), ..none() }),
            ShapeError::Backwards { from: 4, to: 3, .. }
        ));
        let removed = TableRemoved { tree: 2, level: 0, number: 3 };
        assert_eq!(
            refused(Edit { tables_removed: vec![removed], ..none() }),
            ShapeError::NoTable { number: 3, level: 0 }
        );
    }
}
