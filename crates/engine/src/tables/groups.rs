//! What events were found to come to.

use crate::{Error, Result};
use annals_columns::{
    Answer, Distinct, Error as ColumnsError, Group, GroupBy, Key, Measured, Quantiles, Query,
    Schema, ToField, ToGroupBy, ToMeasure,
};
use std::sync::Arc;

/// What is asked of each group, in the order in which it is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) by: Vec<GroupBy>,
    /// Fields, and whether their bounds are asked for.
    pub(super) measures: Vec<(usize, bool)>,
    /// Fields, and whether quantiles are exact.
    pub(super) quantiles: Vec<(usize, bool)>,
    pub(super) distinct: Vec<usize>,
}

impl Asked {
    /// Asks it.
    pub(super) fn of(&self, query: Query) -> Query {
        let query = self.by.iter().fold(query, |query, by| query.group_by(*by));
        let query = self.measures.iter().fold(query, |query, (field, has_bounds)| {
            if *has_bounds { query.measure_bounds(*field) } else { query.measure(*field) }
        });
        let query = self.quantiles.iter().fold(query, |query, (field, is_exact)| {
            if *is_exact { query.quantiles(*field) } else { query.quantiles_by_sketch(*field) }
        });
        self.distinct.iter().fold(query, |query, field| query.distinct(*field))
    }
}

/// The groups that a question found.
#[derive(Debug)]
pub struct FoundGroups {
    schema: Arc<Schema>,
    answer: Answer,
    asked: Asked,
}

impl FoundGroups {
    pub(super) fn new(schema: Arc<Schema>, answer: Answer, asked: Asked) -> Self {
        Self { schema, answer, asked }
    }

    /// How many groups there are. Without anything to group by it is one, also if there are no events.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.asked.by.is_empty() { 1 } else { self.answer.groups_count() }
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
        let only = self.answer.groups().into_iter().next().filter(|_| self.asked.by.is_empty());
        only.map(|group| self.group(group)).ok_or_else(|| refused("the events are in groups"))
    }

    fn group<'a>(&'a self, group: Group<'a>) -> FoundGroup<'a> {
        FoundGroup { group, of: self }
    }

    fn measure_of(&self, field: impl ToMeasure) -> Result<usize> {
        let field = field.field_in(&self.schema)?;
        let at = self.asked.measures.iter().position(|(measured, _)| *measured == field);
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
        let at = self.of.asked.by.iter().position(|grouped| *grouped == by);
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

    /// What quantiles of a field's numbers are taken from. Where they were asked for exact and by sketch it is what was
    /// asked for first.
    ///
    /// # Errors
    /// `InvalidInput` if quantiles of the field were not asked for.
    pub fn quantiles(&self, field: impl ToMeasure) -> Result<&'a Quantiles> {
        let field = field.field_in(&self.of.schema)?;
        let at = self.of.asked.quantiles.iter().position(|(asked, _)| *asked == field);
        let quantiles = at.and_then(|at| self.group.quantiles.get(at));
        quantiles.ok_or_else(|| refused("quantiles of the field were not asked for"))
    }

    /// How many different values of a field there are.
    ///
    /// # Errors
    /// `InvalidInput` if that was not asked for.
    pub fn distinct(&self, field: impl ToField) -> Result<&'a Distinct> {
        let field = field.field_in(&self.of.schema)?;
        let at = self.of.asked.distinct.iter().position(|asked| *asked == field);
        let distinct = at.and_then(|at| self.group.distinct.get(at));
        distinct.ok_or_else(|| refused("different values of the field were not asked for"))
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
