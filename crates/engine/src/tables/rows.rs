//! Events that were found.

use super::{scan::Cursor, view::TableView};
use crate::Result;
use annals_columns::{
    ABSENT_FIELD, Batch, Mapping, PartView, Rows, Schema, ToField, Value, WideEvent,
};
use std::sync::Arc;

/// Events that were found, whole. Their strings are borrowed from where they are kept.
#[derive(Debug)]
pub struct FoundRows<'v> {
    schema: &'v Arc<Schema>,
    sources: Vec<Source<'v>>,
    /// Of each event its source, and which it is there.
    rows: Vec<(u32, u32)>,
    cursor: Option<Cursor>,
}

/// Where events come from.
#[derive(Debug)]
enum Source<'v> {
    /// With where its fields are, if it has not all of them.
    Part(Rows<'v>, Option<Mapping>),
    Fresh(&'v Batch),
}

impl<'v> Source<'v> {
    /// Some rows of a part.
    fn of_part(schema: &Arc<Schema>, part: PartView<'v>, rows: &[u32]) -> Result<Self> {
        let is_same = Arc::ptr_eq(schema, part.schema()) || schema == part.schema();
        let mapping = if is_same { None } else { Some(schema.mapping_from(part.schema())?) };
        Ok(Self::Part(part.rows(rows)?, mapping))
    }
}

impl<'v> FoundRows<'v> {
    /// The rows of parts and fresh batches in the order of `picks`: of each the number of its source, parts before
    /// batches, and its row. Sources without any are not asked.
    pub(super) fn of_picks(
        view: &'v TableView<'_>,
        picks: &[(u32, u32)],
        cursor: Option<Cursor>,
    ) -> Result<Self> {
        let parts_count = view.parts_count();
        let mut wanted: Vec<Vec<u32>> = vec![Vec::new(); parts_count + view.fresh.len()];
        // Of each source which it is of those that have any.
        let mut places = vec![u32::MAX; wanted.len()];
        let mut used = Vec::new();
        let mut rows = Vec::with_capacity(picks.len());
        for (source, row) in picks {
            let at = *source as usize;
            if places[at] == u32::MAX {
                places[at] = used.len() as u32;
                used.push(at);
            }
            let row = if at < parts_count {
                wanted[at].push(*row);
                wanted[at].len() as u32 - 1
            } else {
                *row
            };
            rows.push((places[at], row));
        }
        let mut sources = Vec::with_capacity(used.len());
        for at in used {
            sources.push(match at.checked_sub(parts_count) {
                None => Source::of_part(view.schema(), view.part(at), &wanted[at])?,
                Some(at) => Source::Fresh(&view.fresh[at].batch),
            });
        }
        Ok(Self { schema: view.schema(), sources, rows, cursor })
    }

    pub(super) fn of_fresh(view: &'v TableView<'_>, at: usize, row: u32) -> Self {
        let sources = vec![Source::Fresh(&view.fresh[at].batch)];
        Self { schema: view.schema(), sources, rows: vec![(0, row)], cursor: None }
    }

    pub(super) fn of_part(view: &'v TableView<'_>, part: PartView<'v>, row: u32) -> Result<Self> {
        let sources = vec![Source::of_part(view.schema(), part, &[row])?];
        Ok(Self { schema: view.schema(), sources, rows: vec![(0, 0)], cursor: None })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What the next page goes on from; `None` if there is no event behind these. If there was a filter, there may be
    /// a cursor although nothing comes behind it.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The value of a field of an event.
    ///
    /// # Panics
    /// If there is no such event or field.
    #[inline]
    #[must_use]
    pub fn value(&self, at: usize, field: usize) -> Value<'_> {
        let (source, row) = self.rows[at];
        match &self.sources[source as usize] {
            Source::Part(rows, None) => rows.value(row as usize, field),
            Source::Part(rows, Some(mapping)) => {
                let older = mapping.older(field);
                older.map_or(Value::Absent, |older| rows.value(row as usize, older))
            }
            Source::Fresh(batch) => batch.value(row as usize, field),
        }
    }

    /// The value of a field of an event, by the field's name.
    ///
    /// # Errors
    /// `InvalidInput` if there is no such field.
    ///
    /// # Panics
    /// If there is no such event.
    pub fn get(&self, at: usize, field: impl ToField) -> Result<Value<'_>> {
        match field.field_in(self.schema)? {
            ABSENT_FIELD => Ok(Value::Absent),
            field => Ok(self.value(at, field)),
        }
    }

    /// All events as values of their type.
    pub fn events<E: WideEvent>(&self) -> impl ExactSizeIterator<Item = Result<E>> {
        (0..self.len()).map(|at| self.event(at))
    }

    /// An event as a value of its type. That may be one of an older schema of the table, or of a newer one.
    ///
    /// # Errors
    /// `InvalidInput` if the table has another schema.
    ///
    /// # Panics
    /// If there is no such event.
    pub fn event<E: WideEvent>(&self, at: usize) -> Result<E> {
        let wanted = E::schema();
        if Arc::ptr_eq(wanted, self.schema) || wanted == self.schema {
            return Ok(E::read(|field| self.value(at, field))?);
        }
        if let Ok(mapping) = wanted.mapping_from(self.schema) {
            let value =
                |older: Option<usize>| older.map_or(Value::Absent, |older| self.value(at, older));
            return Ok(E::read(|field| value(mapping.older(field)))?);
        }
        super::table::check_schema(wanted, self.schema)?;
        // All fields of an older schema are in the newer one, by the same names.
        let newer: Vec<_> =
            wanted.fields().iter().map(|field| self.schema.index_of(field.name())).collect();
        let value =
            |newer: Option<usize>| newer.map_or(Value::Absent, |newer| self.value(at, newer));
        Ok(E::read(|field| value(newer[field]))?)
    }
}
