//! Events in memory, by column: what writers fill, and what is written down at once.

#[cfg(test)]
mod batch_test;
mod codec;
mod column;
mod row;

pub use codec::BATCH_VERSION;
use column::Texts;
pub(crate) use column::{Column, Values};
pub use row::RowBuilder;

use crate::{Error, Result, Schema, Value};
use std::sync::Arc;

/// The most rows of a batch, and of a part.
pub const ROWS_MAX: usize = 1 << 24;
/// The longest string, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Events in memory, by column.
///
/// ```
/// use annals_columns::{Batch, Role, Schema, Value};
/// use std::sync::Arc;
/// let schema = Schema::builder(1).with("at", Role::Ts).with("status", Role::Status).build()?;
/// let mut batch = Batch::new(Arc::new(schema));
/// for (at, status) in [(30, 200), (10, 500), (20, 200)] {
///     let mut row = batch.row();
///     row.i64(0, at)?.u16(1, status)?;
///     row.finish()?;
/// }
/// assert_eq!(batch.sorted_rows(), [1, 2, 0]);
/// assert_eq!(batch.value(1, 1), Value::U64(500));
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    schema: Arc<Schema>,
    rows: usize,
    columns: Vec<Column>,
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        let same_shape = self.schema == other.schema && self.rows == other.rows;
        same_shape
            && (0..self.rows).all(|row| {
                (0..self.columns.len()).all(|at| same(self.value(row, at), other.value(row, at)))
            })
    }
}

/// Whether two values are kept as the same.
pub(crate) fn same(one: Value<'_>, other: Value<'_>) -> bool {
    match (one, other) {
        (Value::F64(one), Value::F64(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

impl Batch {
    /// A batch without events.
    #[must_use]
    pub fn new(schema: Arc<Schema>) -> Self {
        let columns = schema.fields().iter().map(Column::new).collect();
        Self { schema, rows: 0, columns }
    }

    /// What its events are.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Empties it and keeps its memory: who appends batch after batch fills the same one again, and waits for no
    /// memory.
    ///
    /// ```
    /// use annals_columns::{Batch, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Schema::builder(1).with("status", Role::Status).build()?;
    /// let mut batch = Batch::new(Arc::new(schema));
    /// for status in [200, 404] {
    ///     batch.clear();
    ///     let mut row = batch.row();
    ///     row.u16(0, status)?;
    ///     row.finish()?;
    /// }
    /// assert_eq!(batch.len(), 1);
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    pub fn clear(&mut self) {
        self.rows = 0;
        self.drop_row();
    }

    /// Begins an event.
    #[inline]
    pub fn row(&mut self) -> RowBuilder<'_> {
        RowBuilder::new(self)
    }

    /// The value of a field of an event.
    ///
    /// # Panics
    /// If there is no such row or field.
    #[must_use]
    pub fn value(&self, row: usize, field: usize) -> Value<'_> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        self.columns[field].get(row)
    }

    /// Adds the events of another batch behind its own.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] if that has another schema, [`Error::TooLarge`] if it would be too large;
    /// nothing was added then.
    ///
    /// ```
    /// use annals_columns::{Batch, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Arc::new(Schema::builder(1).with("status", Role::Status).build()?);
    /// let mut one = Batch::new(schema);
    /// one.row().u16(0, 200)?;
    /// let mut row = one.row();
    /// row.u16(0, 404)?;
    /// row.finish()?;
    /// let other = one.clone();
    /// one.append(&other)?;
    /// assert_eq!(one.len(), 2, "the first row was not finished");
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if self.schema != other.schema {
            return Err(Error::SchemaMismatch {
                field: None,
                what: "batches are appended to those of the same schema",
                found: Arc::clone(&other.schema),
                expected: Arc::clone(&self.schema),
            });
        }
        if self.rows + other.rows > ROWS_MAX {
            let (size, limit) = ((self.rows + other.rows) as u64, ROWS_MAX as u64);
            return Err(Error::TooLarge { what: "a batch".to_owned(), size, limit });
        }
        for (at, (ours, theirs)) in self.columns.iter().zip(&other.columns).enumerate() {
            if let (Values::Text(ours), Values::Text(theirs)) = (&ours.values, &theirs.values)
                && ours.bytes_count() + theirs.bytes_count() > u32::MAX as usize
            {
                return Err(self.too_large(at, false, theirs.bytes_count()));
            }
        }
        for (ours, theirs) in self.columns.iter_mut().zip(&other.columns) {
            ours.append(theirs);
        }
        self.rows += other.rows;
        Ok(())
    }

    /// The rows in the order of their times; those of the same time in the order in which they came. Without a
    /// time, in the order in which they came.
    #[must_use]
    pub fn sorted_rows(&self) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..self.rows as u32).collect();
        if let Some(times) = self.times()
            && !times.is_sorted()
        {
            rows.sort_by_key(|row| times[*row as usize]);
        }
        rows
    }

    /// The times of the rows.
    pub(crate) fn times(&self) -> Option<&[i64]> {
        match &self.columns[self.schema.ts()?].values {
            Values::I64(times) => Some(times),
            _ => None,
        }
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Drops what an event that is not finished has.
    fn drop_row(&mut self) {
        let rows = self.rows;
        for column in &mut self.columns {
            if column.len() > rows {
                column.truncate(rows);
            }
        }
    }

    fn name_of(&self, field: usize) -> String {
        self.schema.fields().get(field).map(|field| field.name().to_owned()).unwrap_or_default()
    }

    #[cold]
    fn too_large(&self, field: usize, is_long: bool, bytes_count: usize) -> Error {
        let name = self.name_of(field);
        let (what, limit) = if is_long {
            (format!("a string in bytes, given to the field `{name}`,"), TEXT_BYTES_MAX as u64)
        } else {
            (format!("what a batch has in bytes of the field `{name}`, with one"), u32::MAX.into())
        };
        Error::TooLarge { what, size: bytes_count as u64, limit }
    }
}
