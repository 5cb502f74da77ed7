//! Adding events one by one: those of batches, and of parts whose groups have no numbers.
//!
//! A part gives each group a number by the ranges of its keys. Where these multiply to more than a number holds, which a
//! key of 63 bits and any other does, each row that is meant is looked at as those of batches are: slower, and the same answer.

use super::{
    super::{
        distinct::{hash_of_text, number_hash},
        group::Measured,
        key::GroupBy,
        local::Seen,
        plan::{Plan, Visit},
        select::{Scratch, Selected},
    },
    Answer,
};
use crate::{
    Batch, CHUNK_ROWS, Mapping, PartView, Result, Schema, Value,
    part::{existing, image, rows_of},
};
use std::sync::Arc;

/// So many rows of a part are read at a time.
const PAGE_ROWS: usize = 4 * CHUNK_ROWS;

impl Answer {
    /// Adds the events of a batch.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`](crate::Error::SchemaMismatch).
    pub fn add_batch(&mut self, batch: &Batch) -> Result<()> {
        let mapping = self.query.schema.mapping_from(batch.schema())?;
        let schema = Arc::clone(&self.query.schema);
        for row in 0..batch.len() {
            let value_of = |field| {
                mapping.older(field).map_or_else(Default::default, |older| batch.value(row, older))
            };
            if self.query.filter.matches(value_of) {
                self.add_event(&schema, value_of);
            }
        }
        Ok(())
    }

    /// Adds one event, whose values `value_of` gives.
    #[inline]
    fn add_event<'v>(&mut self, schema: &Schema, value_of: impl Fn(usize) -> Value<'v> + Copy) {
        let mut keys = 0;
        for (by, interner) in self.query.by.iter().zip(&mut self.interners) {
            keys = keys << 32 | u128::from(interner.number_of(by.key_of(schema, value_of)));
        }
        let place = self.place(keys);
        self.rows[place] += 1;
        let measures_count = self.query.measures.len();
        let measured: &mut [Measured] =
            &mut self.measured[place * measures_count..][..measures_count];
        for (measured, measure) in measured.iter_mut().zip(&self.query.measures) {
            let (sum, float_sum, image) = match value_of(measure.field) {
                Value::I64(number) => (number.into(), 0.0, image::of_i64(number)),
                Value::U64(number) => (number.into(), 0.0, number),
                Value::F64(number) => (0, number, image::of_f64(number)),
                _ => continue,
            };
            let bounds = if measure.has_bounds { (image, image) } else { (u64::MAX, 0) };
            measured.add(1, sum, float_sum, bounds);
        }
        let image_of = |value| match value {
            Value::I64(number) => Some(image::of_i64(number)),
            Value::U64(number) => Some(number),
            Value::F64(number) => Some(image::of_f64(number)),
            _ => None,
        };
        let count = self.query.quantiles.len();
        let quantiles = self.quantiles[place * count..][..count].iter_mut();
        for (quantiles, (field, _)) in quantiles.zip(&self.query.quantiles) {
            image_of(value_of(*field)).into_iter().for_each(|image| quantiles.add(image));
        }
        let count = self.query.distinct.len();
        let distinct = self.distinct[place * count..][..count].iter_mut();
        for (distinct, field) in distinct.zip(&self.query.distinct) {
            let value = value_of(*field);
            let hash = value.as_text().map(hash_of_text);
            let hash = hash.or_else(|| image_of(value).map(number_hash));
            hash.into_iter().for_each(|hash| distinct.add(hash));
        }
    }

    /// Adds the rows of a part that a plan selects, each by its values.
    pub(super) fn add_each_row(&mut self, plan: &Plan<'_>) -> Result<Seen> {
        let (part, mapping) = (plan.view(), plan.mapping());
        let by = self.query.by.iter().map(|by| match by {
            GroupBy::Field(field) => mapping.older(*field),
            GroupBy::Time { .. } => part.schema().ts(),
        });
        let fields = self.query.measures.iter().map(|measure| measure.field);
        let fields = fields.chain(self.query.quantiles.iter().map(|(field, _)| *field));
        let fields = fields.chain(self.query.distinct.iter().copied());
        let mut wanted = vec![false; part.schema().fields().len()];
        for field in by.chain(fields.map(|field| mapping.older(field))).flatten() {
            wanted[field] = true;
        }
        let schema = Arc::clone(&self.query.schema);
        let (rows, seen) = (Vec::with_capacity(PAGE_ROWS), Seen::default());
        let mut each = EachRow { answer: self, schema, part, mapping, wanted, rows, seen };
        plan.visit(&mut each)?;
        each.add()?;
        Ok(each.seen)
    }
}

/// Takes the rows of a part that are selected.
struct EachRow<'a, 'p> {
    answer: &'a mut Answer,
    schema: Arc<Schema>,
    part: PartView<'p>,
    mapping: &'a Mapping,
    /// Which fields of the part are read.
    wanted: Vec<bool>,
    /// Those that were collected.
    rows: Vec<u32>,
    seen: Seen,
}

impl EachRow<'_, '_> {
    fn collect(&mut self, rows: impl Iterator<Item = u32>) -> Result<()> {
        for row in rows {
            self.rows.push(row);
            if self.rows.len() >= PAGE_ROWS {
                self.add()?;
            }
        }
        Ok(())
    }

    /// Adds those that were collected.
    fn add(&mut self) -> Result<()> {
        let read = self.part.rows_of_fields(&self.rows, &self.wanted)?;
        for at in 0..read.len() {
            let value_of = |field| {
                let older = self.mapping.older(field);
                older.map_or_else(Default::default, |older| read.value(at, older))
            };
            self.answer.add_event(&self.schema, value_of);
        }
        self.seen.rows += self.rows.len() as u64;
        self.seen.reached += self.rows.len();
        self.rows.clear();
        Ok(())
    }
}

impl Visit for EachRow<'_, '_> {
    fn stretch(&mut self, from: u32, to: u32, _: &mut Scratch) -> Result<()> {
        let behind = (to as usize * CHUNK_ROWS).min(self.part.rows_count());
        self.collect(from * CHUNK_ROWS as u32..behind as u32)
    }

    fn chunk(&mut self, chunk: u32, found: Selected, _: &mut Scratch) -> Result<()> {
        let all = existing(self.part.rows_count(), chunk as usize);
        self.collect(rows_of(chunk, found.mask(all)))
    }

    fn rows(&mut self, rows: &[u32]) -> Result<()> {
        self.collect(rows.iter().copied())
    }
}
