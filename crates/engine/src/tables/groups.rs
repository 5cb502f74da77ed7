//! What events were found to come to.

use crate::{Error, Result};
use annals_columns::{
    Answer, Error as ColumnsError, Group, GroupBy, Key, Measured, Schema, ToGroupBy, ToMeasure,
};
use std::sync::Arc;

/// The groups that a question found.
#[derive(Debug)]
pub struct FoundGroups {
    schema: Arc<Schema>,
    answer: Answer,
    by: Vec<GroupBy>,
    measures: Vec<usize>,
}

impl FoundGroups {
    pub(super) fn new(
        schema: Arc<Schema>,
        answer: Answer,
        by: Vec<GroupBy>,
        measures: Vec<usize>,
    ) -> Self {
        Self { schema, answer, by, measures }
    }

    /// How many groups there are. Without anything to group by it is one, also if there are no events.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.by.is_empty() { 1 } else { self.answer.groups_count() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All groups, in no particular order.
    #[must_use]
    pub fn groups(&self) -> Vec<FoundGroup<'_>> {
        self.answer.groups().into_iter().map(|group| self.group(group)).collect()
    }

    /// All groups, in the order of their keys: what has none first, then numbers, times and strings.
    #[must_use]
    pub fn sorted(&self) -> Vec<FoundGroup<'_>> {
        let mut groups = self.groups();
        groups.sort_by(|one, other| one.group.keys.cmp(&other.group.keys));
        groups
    }

    /// The `count` groups with the highest sums of a field, the highest first.
    ///
    /// # Errors
    /// `InvalidInput` if the field is not measured.
    pub fn top(&self, field: impl ToMeasure, count: usize) -> Result<Vec<FoundGroup<'_>>> {
        let measure = self.measure_of(field)?;
        let top = self.answer.top(measure, count).into_iter();
        Ok(top.map(|group| self.group(group)).collect())
    }

    /// The `count` groups with the most events, the largest first; of those that are equally large the ones whose
    /// keys come first.
    #[must_use]
    pub fn largest(&self, count: usize) -> Vec<FoundGroup<'_>> {
        let mut groups = self.groups();
        groups.sort_by(|one, other| {
            let (one, other) = (&one.group, &other.group);
            other.rows.cmp(&one.rows).then_with(|| one.keys.cmp(&other.keys))
        });
        groups.truncate(count);
        groups
    }

    /// What all events came to, where nothing is grouped by.
    ///
    /// # Errors
    /// `InvalidInput` if something is.
    pub fn total(&self) -> Result<FoundGroup<'_>> {
        let only = self.answer.groups().into_iter().next().filter(|_| self.by.is_empty());
        only.map(|group| self.group(group)).ok_or_else(|| refused("the events are in groups"))
    }

    fn group<'a>(&'a self, group: Group<'a>) -> FoundGroup<'a> {
        FoundGroup { group, of: self }
    }

    fn measure_of(&self, field: impl ToMeasure) -> Result<usize> {
        let field = field.field_in(&self.schema)?;
        let at = self.measures.iter().position(|measured| *measured == field);
        at.ok_or_else(|| refused("the field was not measured; name it in the question"))
    }
}

/// The events that have the same keys.
#[derive(Clone, Debug)]
pub struct FoundGroup<'a> {
    group: Group<'a>,
    of: &'a FoundGroups,
}

impl<'a> FoundGroup<'a> {
    /// How many events there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.group.rows
    }

    /// What they have in common, in the order in which it was asked for.
    #[must_use]
    pub fn keys(&self) -> &[Key<'a>] {
        &self.group.keys
    }

    /// What they have in common of something that was grouped by.
    ///
    /// # Errors
    /// `InvalidInput` if it was not grouped by.
    pub fn key(&self, by: impl ToGroupBy) -> Result<Key<'a>> {
        let by = by.group_by_in(&self.of.schema)?;
        let at = self.of.by.iter().position(|grouped| *grouped == by);
        let key = at.and_then(|at| self.group.keys.get(at)).copied();
        key.ok_or_else(|| refused("this was not grouped by; name it in the question"))
    }

    /// What the numbers of a field come to.
    ///
    /// # Errors
    /// `InvalidInput` if the field was not measured.
    pub fn measured(&self, field: impl ToMeasure) -> Result<&Measured> {
        let at = self.of.measure_of(field)?;
        self.group.measured.get(at).ok_or_else(|| refused("the field was not measured"))
    }

    /// All of it, by the places of what was asked for.
    #[must_use]
    pub fn as_group(&self) -> &Group<'a> {
        &self.group
    }
}

fn refused(what: &'static str) -> Error {
    ColumnsError::Question { what }.into()
}
