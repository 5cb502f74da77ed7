//! Events that were found.

use super::{scan::Cursor, view::TableView};
use crate::{Error, Result};
use annals_columns::{Batch, PartView, Rows, Schema, ToField, Value, WideEvent};
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
    Part(Rows<'v>),
    Fresh(&'v Batch),
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
                None => Source::Part(view.part(at).rows(&wanted[at])?),
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
        let sources = vec![Source::Part(part.rows(&[row])?)];
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
    #[must_use]
    pub fn value(&self, at: usize, field: usize) -> Value<'_> {
        let (source, row) = self.rows[at];
        match &self.sources[source as usize] {
            Source::Part(rows) => rows.value(row as usize, field),
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
        Ok(self.value(at, field.field_in(self.schema)?))
    }

    /// All events as values of their type.
    pub fn events<E: WideEvent>(&self) -> impl ExactSizeIterator<Item = Result<E>> {
        (0..self.len()).map(|at| self.event(at))
    }

    /// An event as a value of its type.
    ///
    /// # Errors
    /// `InvalidInput` if the table has another schema.
    ///
    /// # Panics
    /// If there is no such event.
    pub fn event<E: WideEvent>(&self, at: usize) -> Result<E> {
        super::table::check_schema(E::schema(), self.schema)?;
        E::read(|field| self.value(at, field)).map_err(Error::from)
    }
}
