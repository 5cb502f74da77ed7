//! Making a part of batches and of other parts.

use super::{
    PART_VERSION, PART_VERSION_FIRST, PartIdentity, PartView, day_sums,
    frame::Writer,
    image,
    meta::{ColumnMeta, Columns},
    write_column::{self, Indexing, Sorted},
    zones::Sums,
};
use crate::{
    Batch, Error, Field, ROWS_MAX, Result, Role, Schema,
    batch::{Column, Values},
};
use std::sync::Arc;

/// Rows of another part that are taken at a time.
const TAKEN_ROWS: usize = 1_024;

/// Makes a part in memory.
///
/// ```
/// use annals_columns::{Batch, Part, PartBuilder, PartIdentity, Role, Schema, Value};
/// use std::sync::Arc;
/// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).with("user", Role::Label).build()?);
/// let mut batch = Batch::new(Arc::clone(&schema));
/// for (at, user) in [(20, "bob"), (10, "ada")] {
///     let mut row = batch.row();
///     row.i64(0, at)?.text(1, user)?;
///     row.finish()?;
/// }
/// let id = PartIdentity { database_id: 7, number: 1 };
/// let mut builder = PartBuilder::new(schema, id);
/// builder.add(&batch, 0)?;
/// let bytes = builder.finish()?;
///
/// let part = Part::open(bytes, id)?;
/// let rows = part.view().rows(&[0, 1])?;
/// assert_eq!(rows.value(0, 1), Value::Text("ada"), "in the order of their times");
/// assert_eq!(part.view().arrival(0)?, 1, "it came second");
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[derive(Debug)]
pub struct PartBuilder {
    identity: PartIdentity,
    batch: Batch,
    /// Of each row of the batch when it came.
    arrivals: Vec<u64>,
}

impl PartBuilder {
    /// Begins a part.
    #[must_use]
    pub fn new(schema: Arc<Schema>, identity: PartIdentity) -> Self {
        Self { identity, batch: Batch::new(schema), arrivals: Vec::new() }
    }

    /// How many rows there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are none so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Adds the events of a batch. The number `first_arrival` and those behind it say when they came, compared with
    /// others: events of the same time are kept in this order, and pages of an answer go on from there. No number
    /// may mean two events of a table.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`], or [`Error::TooLarge`] if the part would have too many rows; nothing was added then.
    pub fn add(&mut self, batch: &Batch, first_arrival: u64) -> Result<()> {
        self.batch.append(batch)?;
        self.arrivals.extend((first_arrival..).take(batch.len()));
        Ok(())
    }

    /// Adds the events of a batch, with the number of each that says when it came.
    ///
    /// # Errors
    /// As [`add`](Self::add); [`Error::Question`] if there is not one number for each event.
    pub fn add_with_arrivals(&mut self, batch: &Batch, arrivals: &[u64]) -> Result<()> {
        if arrivals.len() != batch.len() {
            return Err(Error::Question {
                what: "each event has one number that says when it came",
            });
        }
        self.batch.append(batch)?;
        self.arrivals.extend_from_slice(arrivals);
        Ok(())
    }

    /// Adds the events of another part, those for whose rows `is_kept` says so. That part may be of an older schema.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`], [`Error::TooLarge`], or [`Error::Damaged`]; what was begun is of no use then.
    pub fn add_part(&mut self, part: PartView<'_>, is_kept: impl Fn(u32) -> bool) -> Result<()> {
        let mapping = self.batch.schema().mapping_from(part.schema())?;
        let fields_count = self.batch.schema().fields().len();
        let rows: Vec<u32> = (0..part.rows_count() as u32).filter(|row| is_kept(*row)).collect();
        if self.batch.len() + rows.len() > ROWS_MAX {
            let (size, limit) = ((self.batch.len() + rows.len()) as u64, ROWS_MAX as u64);
            return Err(Error::TooLarge { what: "a part".to_owned(), size, limit });
        }
        for rows in rows.chunks(TAKEN_ROWS) {
            let taken = part.rows(rows)?;
            for (at, taken_row) in rows.iter().enumerate() {
                let mut row = self.batch.row();
                for field in 0..fields_count {
                    if let Some(older) = mapping.older(field) {
                        row.value(field, taken.value(at, older))?;
                    }
                }
                row.finish()?;
                self.arrivals.push(part.arrival(*taken_row)?);
            }
        }
        Ok(())
    }

    /// The part's bytes.
    ///
    /// # Errors
    /// [`Error::NoRows`] if nothing was added.
    pub fn finish(self) -> Result<Vec<u8>> {
        if self.batch.is_empty() {
            return Err(Error::NoRows);
        }
        let order = self.order();
        let mut writer = Writer::new(self.identity, order.len());
        let arrivals = order.iter().map(|row| self.arrivals[*row as usize]).collect();
        let arrivals = Sorted { values: arrivals, present: None };
        let arrival = write_column::write_numbers(arrivals, Sums::Whole, &mut writer);
        let schema = self.batch.schema();
        let fields = schema.fields().iter().zip(self.batch.columns());
        let columns = fields
            .map(|(field, column)| self.write_column(field, column, &order, &mut writer))
            .collect();
        let day_sums = day_sums::write_all(&self.batch, &order, &mut writer);
        let version = if day_sums.is_empty() { PART_VERSION_FIRST } else { PART_VERSION };
        let columns = Columns { schema: Schema::clone(schema), arrival, columns, day_sums };
        let time_of = |row: Option<&u32>| Some(self.batch.times()?[*row? as usize]);
        let times = time_of(order.first()).zip(time_of(order.last()));
        Ok(writer.finish(&columns.encode(), version, times))
    }

    /// The rows in the order of the part.
    fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.batch.len() as u32).collect();
        let times = self.batch.times();
        let key = |row: u32| (times.map(|times| times[row as usize]), self.arrivals[row as usize]);
        if !order.is_sorted_by_key(|row| key(*row)) {
            order.sort_by_key(|row| key(*row));
        }
        order
    }

    fn write_column(
        &self,
        field: &Field,
        column: &Column,
        order: &[u32],
        writer: &mut Writer,
    ) -> ColumnMeta {
        let rows_of_present = column.present.as_ref().map(|present| {
            let rows = (0..).zip(order).filter(|(_, from)| present.get(**from as usize));
            rows.map(|(row, _)| row).collect::<Vec<u32>>()
        });
        let present = rows_of_present.filter(|rows| rows.len() < order.len());
        if present.as_ref().is_some_and(Vec::is_empty) {
            return ColumnMeta::Nothing;
        }
        if let Values::Text(texts) = &column.values {
            let values: Vec<&str> = order.iter().map(|row| texts.get(*row as usize)).collect();
            return self.write_strings(field, &Sorted { values, present }, writer);
        }
        let values = images(&column.values, order);
        let images = Sorted { values, present };
        match field.role() {
            Role::Status => {
                let (numbers, row_sets) = write_column::write_with_row_sets(images, writer);
                ColumnMeta::Numbers(numbers, row_sets)
            }
            Role::MetricF64 => {
                ColumnMeta::Numbers(write_column::write_numbers(images, Sums::Float, writer), None)
            }
            _ => {
                ColumnMeta::Numbers(write_column::write_numbers(images, Sums::Whole, writer), None)
            }
        }
    }

    fn write_strings(
        &self,
        field: &Field,
        strings: &Sorted<&str>,
        writer: &mut Writer,
    ) -> ColumnMeta {
        let database_id = self.identity.database_id;
        let indexing = match field.role() {
            Role::Dimension(kind) => Some(Indexing { has_bloom: kind.has_bloom(), database_id }),
            Role::Label if write_column::are_few(strings) => {
                Some(Indexing { has_bloom: false, database_id })
            }
            _ => None,
        };
        if let Some(indexing) = indexing {
            let (numbers, dictionary) = write_column::write_codes(strings, indexing, writer);
            return ColumnMeta::Codes(numbers, dictionary);
        }
        let id_seed = (*field.role() == Role::Id).then_some(database_id);
        ColumnMeta::Texts(write_column::write_texts(strings, id_seed, writer))
    }
}

fn images(values: &Values, order: &[u32]) -> Vec<u64> {
    let each =
        |image: &dyn Fn(usize) -> u64| order.iter().map(|row| image(*row as usize)).collect();
    match values {
        Values::I64(values) => each(&|row| image::of_i64(values[row])),
        Values::F64(values) => each(&|row| image::of_f64(values[row])),
        Values::U64(values) => each(&|row| values[row]),
        Values::U32(values) => each(&|row| values[row].into()),
        Values::U16(values) => each(&|row| values[row].into()),
        Values::Text(_) => Vec::new(),
    }
}
