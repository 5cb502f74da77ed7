//! What events come to: counts, sums, bounds, in groups.
//!
//! Of a chunk that is selected as a whole, and whose rows are all in one group, nothing is read: its zones say it. Else
//! numbers are added up as they are kept, and become values once, when a part is done.

use super::{
    Group, GroupBy, Measured,
    filter::Filter,
    key::{Interner, PartKeys, too_many},
    plan::Plan,
    select::{Scratch, Selected},
};
use crate::{
    Batch, CHUNK_ROWS, Error, PartView, Result, RowSet, Schema, ValueType, kernels,
    part::{FieldColumn, NumberField, existing, image, rows_of},
};
use std::{collections::HashMap, sync::Arc};

/// So many groups of a part have a place each; of more, those that there are get one.
const PLACES_MAX: u64 = 1 << 18;
/// From so many selected rows of a chunk on all of it is unpacked.
const UNPACKED_ROWS: u32 = 24;
/// By so many things events are grouped at most.
const GROUPS_BY_MAX: usize = 4;

/// A question about what events come to.
///
/// ```
/// use annals_columns::{Batch, Dimension, Filter, GroupBy, Key, Query, Role, Schema};
/// use std::sync::Arc;
/// let schema = Schema::builder(1)
///     .with("at", Role::Ts)
///     .with("cost", Role::MetricI64)
///     .with("user", Role::Dimension(Dimension::Plain));
/// let schema = Arc::new(schema.build()?);
/// let mut batch = Batch::new(Arc::clone(&schema));
/// for (at, cost, user) in [(1, 5, "ada"), (2, 7, "bob"), (3, 30, "ada"), (9, 1, "ada")] {
///     let mut row = batch.row();
///     row.i64(0, at)?.i64(1, cost)?.text(2, user)?;
///     row.finish()?;
/// }
/// let query = Query::new(schema).filter(Filter::at_most(0, 5i64)).group_by(GroupBy::Field(2)).measure(1);
/// let mut answer = query.answer()?;
/// answer.add_batch(&batch)?;
/// let groups = answer.top(0, 1);
/// assert_eq!((groups[0].keys[0], groups[0].rows), (Key::Text("ada"), 2));
/// assert_eq!(groups[0].measured[0].sum, 35);
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    schema: Arc<Schema>,
    filter: Filter,
    by: Vec<GroupBy>,
    measures: Vec<Measure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measure {
    field: usize,
    has_bounds: bool,
}

impl Query {
    /// A question about all events.
    #[must_use]
    pub fn new(schema: Arc<Schema>) -> Self {
        Self { schema, filter: Filter::All, by: Vec::new(), measures: Vec::new() }
    }

    /// About those only that the filter means.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// In groups.
    #[must_use]
    pub fn group_by(mut self, by: GroupBy) -> Self {
        self.by.push(by);
        self
    }

    /// With count and sum of a field's numbers.
    #[must_use]
    pub fn measure(mut self, field: usize) -> Self {
        self.measures.push(Measure { field, has_bounds: false });
        self
    }

    /// With count, sum, lowest and highest of a field's numbers.
    #[must_use]
    pub fn measure_bounds(mut self, field: usize) -> Self {
        self.measures.push(Measure { field, has_bounds: true });
        self
    }

    /// Begins an answer.
    ///
    /// # Errors
    /// [`Error::NoField`], [`Error::WrongType`] or [`Error::Question`] if this cannot be asked.
    pub fn answer(self) -> Result<Answer> {
        self.filter.check(&self.schema)?;
        if self.by.len() > GROUPS_BY_MAX {
            return Err(Error::Question { what: "events are grouped by four things at most" });
        }
        self.by.iter().try_for_each(|by| by.check(&self.schema))?;
        let fields = self.schema.fields();
        let mut value_types = Vec::new();
        for measure in &self.measures {
            let (index, count) = (measure.field, fields.len());
            let field = fields.get(index).ok_or(Error::NoField { index, count })?;
            if field.value_type() == ValueType::Text {
                return Err(Error::Question { what: "strings have no sum" });
            }
            value_types.push(field.value_type());
        }
        let interners = self.by.iter().map(|_| Interner::default()).collect();
        Ok(Answer {
            query: self,
            value_types,
            interners,
            places: HashMap::new(),
            groups: Vec::new(),
        })
    }
}

/// What events come to, so far.
#[derive(Clone, Debug)]
pub struct Answer {
    query: Query,
    /// Of what is measured.
    value_types: Vec<ValueType>,
    /// Keys of what is grouped by.
    interners: Vec<Interner>,
    /// Where the group of some keys is.
    places: HashMap<u128, u32>,
    groups: Vec<Sums>,
}

#[derive(Clone, Debug)]
struct Sums {
    keys: u128,
    rows: u64,
    measured: Vec<Measured>,
}

impl Answer {
    /// Adds the events of a part. Those of the rows in `excluded` count as not there.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`], [`Error::Damaged`], or [`Error::TooLarge`] for more groups than can be told apart; the
    /// answer is of no use then.
    pub fn add(&mut self, part: PartView<'_>, excluded: Option<RowSet<'_>>) -> Result<()> {
        let plan = Plan::new(&self.query.filter, &self.query.schema, part, excluded)?;
        let mapping = plan.mapping();
        let older = |field: usize| mapping.older(field);
        let mut keys = Vec::new();
        for by in &self.query.by {
            let field = if let GroupBy::Field(field) = by { older(*field) } else { None };
            keys.push(PartKeys::new(part, *by, field)?);
        }
        let mut columns = Vec::new();
        for measure in &self.query.measures {
            let column = match older(measure.field).map(|field| part.field(field)) {
                Some(column) => match column? {
                    FieldColumn::Numbers(numbers) => Some(numbers),
                    _ => None,
                },
                None => None,
            };
            columns.push((column, measure.has_bounds));
        }
        let mut local = Local::new(part, keys, columns)?;
        if plan.is_everything() && self.query.by.is_empty() {
            local.add_part()?;
        } else {
            plan.each_chunk(Scratch::new(), |chunk, found, scratch| {
                local.add_chunk(chunk as usize, found, scratch)
            })?;
        }
        self.take(&local)
    }

    /// Adds the events of a batch.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`].
    pub fn add_batch(&mut self, batch: &Batch) -> Result<()> {
        let mapping = self.query.schema.mapping_from(batch.schema())?;
        let schema = Arc::clone(&self.query.schema);
        for row in 0..batch.len() {
            let value_of = |field| {
                mapping.older(field).map_or_else(Default::default, |older| batch.value(row, older))
            };
            if !self.query.filter.matches(value_of) {
                continue;
            }
            let mut keys = 0;
            for (by, interner) in self.query.by.iter().zip(&mut self.interners) {
                keys = keys << 32 | u128::from(interner.number_of(by.key_of(&schema, value_of)));
            }
            let place = self.place(keys);
            let sums = &mut self.groups[place];
            sums.rows += 1;
            for (measured, measure) in sums.measured.iter_mut().zip(&self.query.measures) {
                let (sum, float_sum, image) = match value_of(measure.field) {
                    crate::Value::I64(number) => (number.into(), 0.0, image::of_i64(number)),
                    crate::Value::U64(number) => (number.into(), 0.0, number),
                    crate::Value::F64(number) => (0, number, image::of_f64(number)),
                    _ => continue,
                };
                let bounds = if measure.has_bounds { (image, image) } else { (u64::MAX, 0) };
                measured.add(1, sum, float_sum, bounds);
            }
        }
        Ok(())
    }

    /// Adds what another answer to the same question has: several threads may each answer it for some of the parts.
    /// Numbers with fractions are added up in another order than by one answer, which may show in their last digits.
    ///
    /// # Errors
    /// [`Error::Question`] if it is the answer to another question.
    ///
    /// ```
    /// use annals_columns::{Batch, Filter, Query, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Arc::new(Schema::builder(1).with("status", Role::Status).build()?);
    /// let batch = |status| {
    ///     let mut batch = Batch::new(Arc::clone(&schema));
    ///     let mut row = batch.row();
    ///     row.u16(0, status)?;
    ///     row.finish()?;
    ///     Ok::<_, annals_columns::Error>(batch)
    /// };
    /// let query = Query::new(Arc::clone(&schema)).filter(Filter::at_least(0, 500u16));
    /// let (mut one, mut other) = (query.clone().answer()?, query.answer()?);
    /// one.add_batch(&batch(503)?)?;
    /// other.add_batch(&batch(500)?)?;
    /// one.merge(&other)?;
    /// assert_eq!(one.groups()[0].rows, 2);
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.query != other.query {
            return Err(Error::Question { what: "answers to different questions are not merged" });
        }
        let pairs = self.interners.iter_mut().zip(&other.interners);
        let numbers: Vec<Vec<u32>> = pairs.map(|(ours, theirs)| ours.take_in(theirs)).collect();
        let count = numbers.len();
        for sums in &other.groups {
            let keys = numbers.iter().enumerate().fold(0, |keys, (at, numbers)| {
                let number = (sums.keys >> (32 * (count - 1 - at))) as u32;
                keys << 32 | u128::from(numbers[number as usize])
            });
            let place = self.place(keys);
            let ours = &mut self.groups[place];
            ours.rows += sums.rows;
            for (ours, theirs) in ours.measured.iter_mut().zip(&sums.measured) {
                ours.merge(theirs);
            }
        }
        Ok(())
    }

    fn place(&mut self, keys: u128) -> usize {
        let next = self.groups.len() as u32;
        let place = *self.places.entry(keys).or_insert(next);
        if place == next {
            let measured = self.value_types.iter().map(|of| Measured::new(*of)).collect();
            self.groups.push(Sums { keys, rows: 0, measured });
        }
        place as usize
    }

    /// Takes over what a part came to.
    fn take(&mut self, local: &Local<'_>) -> Result<()> {
        // Of each key of the part its number here, once it is known.
        let mut numbers: Vec<HashMap<u64, u32>> =
            local.keys.iter().map(|_| HashMap::new()).collect();
        for (place, rows) in local.rows.iter().enumerate().filter(|(_, rows)| **rows > 0) {
            let mut keys = 0;
            let mut rest = local.combined(place);
            // The last key was combined last.
            let mut parts = [0; GROUPS_BY_MAX];
            for (at, part_keys) in local.keys.iter().enumerate().rev() {
                (parts[at], rest) = (rest % part_keys.count(), rest / part_keys.count());
            }
            for (at, part_keys) in local.keys.iter().enumerate() {
                let number = match numbers[at].get(&parts[at]) {
                    Some(number) => *number,
                    None => {
                        let key = part_keys.key(parts[at]).ok_or_else(|| local.broken())?;
                        let number = self.interners[at].number_of(key);
                        numbers[at].insert(parts[at], number);
                        number
                    }
                };
                keys = keys << 32 | u128::from(number);
            }
            let to = self.place(keys);
            let sums = &mut self.groups[to];
            sums.rows += rows;
            for (measured, column) in sums.measured.iter_mut().zip(&local.columns) {
                column.give(place, *rows, measured);
            }
        }
        Ok(())
    }

    /// The groups, in the order in which they were met. Without anything to group by it is one, also if there are no events.
    #[must_use]
    pub fn groups(&self) -> Vec<Group<'_>> {
        if self.query.by.is_empty() && self.groups.is_empty() {
            let measured = self.value_types.iter().map(|of| Measured::new(*of)).collect();
            return vec![Group { keys: Vec::new(), rows: 0, measured }];
        }
        self.groups.iter().map(|sums| self.group(sums)).collect()
    }

    /// The `count` groups with the highest sums of what is measured at `measure`, the highest first.
    ///
    /// # Panics
    /// If nothing is measured there.
    #[must_use]
    pub fn top(&self, measure: usize, count: usize) -> Vec<Group<'_>> {
        let mut order: Vec<&Sums> = self.groups.iter().collect();
        let compare = |one: &&Sums, other: &&Sums| {
            let (one, other) = (&one.measured[measure], &other.measured[measure]);
            other.sum.cmp(&one.sum).then(other.float_sum.total_cmp(&one.float_sum))
        };
        if count < order.len() {
            order.select_nth_unstable_by(count, compare);
            order.truncate(count);
        }
        order.sort_by(compare);
        order.into_iter().map(|sums| self.group(sums)).collect()
    }

    fn group(&self, sums: &Sums) -> Group<'_> {
        let count = self.interners.len();
        let number = |at: usize| (sums.keys >> (32 * (count - 1 - at))) as u32;
        let keys = self.interners.iter().enumerate().map(|(at, interner)| interner.key(number(at)));
        Group { keys: keys.collect(), rows: sums.rows, measured: sums.measured.clone() }
    }
}

/// What the rows of one part come to: each group has a place.
struct Local<'p> {
    part: PartView<'p>,
    keys: Vec<PartKeys<'p>>,
    columns: Vec<Column<'p>>,
    /// Of each place.
    rows: Vec<u64>,
    /// Which keys are at which place, where not all have one.
    sparse: Option<(HashMap<u64, u32>, Vec<u64>)>,
}

impl<'p> Local<'p> {
    fn new(
        part: PartView<'p>,
        keys: Vec<PartKeys<'p>>,
        columns: Vec<(Option<NumberField<'p>>, bool)>,
    ) -> Result<Self> {
        let mut count = 1u64;
        for part_keys in &keys {
            count = count.checked_mul(part_keys.count()).ok_or_else(too_many)?;
        }
        let is_sparse = count > PLACES_MAX;
        let places = if is_sparse { 0 } else { count as usize };
        let columns =
            columns.into_iter().map(|(field, has_bounds)| Column::new(field, has_bounds, places));
        let sparse = is_sparse.then(|| (HashMap::new(), Vec::new()));
        Ok(Self { part, keys, columns: columns.collect(), rows: vec![0; places], sparse })
    }

    fn combined(&self, place: usize) -> u64 {
        self.sparse.as_ref().map_or(place as u64, |(_, combined)| combined[place])
    }

    fn broken(&self) -> Error {
        Error::Damaged { section: "dictionary".to_owned(), offset: 0, what: "a code has no string" }
    }

    /// Adds all rows, by what the part says of itself.
    fn add_part(&mut self) -> Result<()> {
        self.rows[0] += self.part.rows_count() as u64;
        self.columns.iter_mut().try_for_each(Column::add_part)
    }

    fn place_of(&mut self, combined: u64) -> usize {
        let Some((places, all)) = &mut self.sparse else { return combined as usize };
        let next = all.len() as u32;
        let place = *places.entry(combined).or_insert(next);
        if place == next {
            all.push(combined);
            self.rows.push(0);
            self.columns.iter_mut().for_each(Column::grow);
        }
        place as usize
    }

    fn add_chunk(&mut self, chunk: usize, found: Selected, scratch: &mut Scratch) -> Result<()> {
        let mut combined = [0u64; CHUNK_ROWS];
        let mut constant = Some(0u64);
        for part_keys in &self.keys {
            let (count, one) =
                (part_keys.count(), part_keys.numbers(chunk, scratch.level, &mut scratch.wide)?);
            constant = match (constant, one) {
                (Some(all), Some(one)) => {
                    Some(all.wrapping_mul(count).wrapping_add(one.min(count - 1)))
                }
                (all, one) => {
                    for (to, number) in combined.iter_mut().zip(&scratch.wide) {
                        let number = one.unwrap_or(*number).min(count - 1);
                        *to = all.unwrap_or(*to).wrapping_mul(count).wrapping_add(number);
                    }
                    None
                }
            };
        }
        let all = existing(self.part.rows_count(), chunk);
        let mask = found.mask(all);
        let rows: u32 = mask.iter().map(|word| word.count_ones()).sum();
        if let Some(combined) = constant {
            let place = self.place_of(combined);
            self.rows[place] += u64::from(rows);
            let is_whole = found == Selected::Everything;
            return self
                .columns
                .iter_mut()
                .try_for_each(|column| column.add_one(chunk, place, mask, is_whole, scratch));
        }
        let mut picked = [(0u8, 0u32); CHUNK_ROWS];
        let mut count = 0;
        for row in rows_of(0, mask) {
            let place = self.place_of(combined[row as usize]);
            self.rows[place] += 1;
            picked[count] = (row as u8, place as u32);
            count += 1;
        }
        self.columns
            .iter_mut()
            .try_for_each(|column| column.add_each(chunk, &picked[..count], scratch))
    }
}

/// What the numbers of one field come to, at each place.
struct Column<'p> {
    field: Option<NumberField<'p>>,
    has_bounds: bool,
    /// Whether sums as they are kept cannot exceed 64 bits.
    is_narrow: bool,
    narrow: Vec<u64>,
    wide: Vec<u128>,
    floats: Vec<f64>,
    /// Of optional fields how many rows have a number.
    counts: Vec<u64>,
    bounds: Vec<(u64, u64)>,
}

const NO_BOUNDS: (u64, u64) = (u64::MAX, 0);

impl<'p> Column<'p> {
    fn new(field: Option<NumberField<'p>>, has_bounds: bool, places: usize) -> Self {
        let limit = crate::ROWS_MAX as u64;
        let is_narrow =
            field.is_some_and(|field| field.column.meta().top.checked_mul(limit).is_some());
        let mut column = Self {
            field,
            has_bounds,
            is_narrow,
            narrow: Vec::new(),
            wide: Vec::new(),
            floats: Vec::new(),
            counts: Vec::new(),
            bounds: Vec::new(),
        };
        column.resize(places);
        column
    }

    fn resize(&mut self, places: usize) {
        let Some(field) = &self.field else { return };
        match (field.value_type, self.is_narrow) {
            (ValueType::F64, _) => self.floats.resize(places, 0.0),
            (_, true) => self.narrow.resize(places, 0),
            (_, false) => self.wide.resize(places, 0),
        }
        if field.present.is_some() {
            self.counts.resize(places, 0);
        }
        if self.has_bounds {
            self.bounds.resize(places, NO_BOUNDS);
        }
    }

    fn grow(&mut self) {
        let lens = [self.narrow.len(), self.wide.len(), self.floats.len()];
        self.resize(lens.into_iter().fold(0, usize::max) + 1);
    }

    fn add_sum(&mut self, place: usize, sum: u128) {
        if self.is_narrow {
            // In a part that was made up sums may be anything.
            self.narrow[place] = self.narrow[place].wrapping_add(sum as u64);
        } else {
            self.wide[place] = self.wide[place].wrapping_add(sum);
        }
    }

    fn add_bounds(&mut self, place: usize, min: u64, max: u64) {
        if let Some(bounds) = self.bounds.get_mut(place) {
            *bounds = (bounds.0.min(min), bounds.1.max(max));
        }
    }

    fn add_part(&mut self) -> Result<()> {
        let Some(field) = self.field else { return Ok(()) };
        let meta = field.column.meta();
        if field.value_type == ValueType::F64 {
            self.floats[0] += f64::from_bits(meta.sum as u64);
        } else {
            self.add_sum(0, meta.sum);
        }
        if let Some(count) = self.counts.first_mut() {
            *count += u64::from(meta.present_count);
        }
        if meta.present_count > 0 {
            self.add_bounds(0, 0, meta.top);
        }
        Ok(())
    }

    /// Adds rows of a chunk that are all of one group.
    fn add_one(
        &mut self,
        chunk: usize,
        place: usize,
        mask: [u64; 4],
        is_whole: bool,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(field) = self.field else { return Ok(()) };
        let is_float = field.value_type == ValueType::F64;
        if is_whole {
            let zone = field.zones.zone(chunk);
            if zone.count > 0 {
                if is_float {
                    self.floats[place] += field.zones.float_sum(chunk);
                } else {
                    self.add_sum(place, field.zones.sum(chunk));
                }
                if let Some(count) = self.counts.get_mut(place) {
                    *count += u64::from(zone.count);
                }
                self.add_bounds(place, zone.min, zone.max);
            }
            return Ok(());
        }
        let mask =
            field.present.map_or(mask, |set| super::select::both(mask, set.mask(chunk as u32)));
        let rows: u32 = mask.iter().map(|word| word.count_ones()).sum();
        if rows == 0 {
            return Ok(());
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count += u64::from(rows);
        }
        let numbers = field.column.chunk(chunk)?;
        if rows < UNPACKED_ROWS || is_float {
            for kept in rows_of(0, mask).map(|row| numbers.get(row as usize)) {
                self.add_number(place, kept, &field);
            }
            return Ok(());
        }
        let added = if u32::try_from(field.column.meta().top).is_ok() {
            numbers.decode_32(scratch.level, &mut scratch.narrow);
            kernels::add_32(scratch.level, &scratch.narrow, &mask)
        } else {
            numbers.decode(scratch.level, &mut scratch.wide);
            kernels::add_64(scratch.level, &scratch.wide, &mask)
        };
        self.add_sum(place, added.sum);
        self.add_bounds(place, added.min, added.max);
        Ok(())
    }

    #[inline(always)]
    fn add_number(&mut self, place: usize, kept: u64, field: &NumberField<'_>) {
        if field.value_type == ValueType::F64 {
            self.floats[place] += image::to_f64(field.column.image(kept));
        } else {
            self.add_sum(place, kept.into());
        }
        self.add_bounds(place, kept, kept);
    }

    /// Adds rows of a chunk, each at its place.
    fn add_each(
        &mut self,
        chunk: usize,
        picked: &[(u8, u32)],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(field) = self.field else { return Ok(()) };
        let numbers = field.column.chunk(chunk)?;
        let is_unpacked = picked.len() >= UNPACKED_ROWS as usize;
        if is_unpacked {
            numbers.decode(scratch.level, &mut scratch.wide);
        }
        let is_plain = field.present.is_none() && !self.has_bounds && is_unpacked;
        if is_plain && self.is_narrow && field.value_type != ValueType::F64 {
            for (row, place) in picked {
                let sum = &mut self.narrow[*place as usize];
                *sum = sum.wrapping_add(scratch.wide[usize::from(*row)]);
            }
            return Ok(());
        }
        let present = field.present.map_or([u64::MAX; 4], |set| set.mask(chunk as u32));
        for (row, place) in picked.iter().map(|(row, place)| (usize::from(*row), *place as usize)) {
            if present[row / 64] >> (row % 64) & 1 == 0 {
                continue;
            }
            if let Some(count) = self.counts.get_mut(place) {
                *count += 1;
            }
            let kept = if is_unpacked { scratch.wide[row] } else { numbers.get(row) };
            self.add_number(place, kept, &field);
        }
        Ok(())
    }

    /// What is at a place, as values.
    fn give(&self, place: usize, rows: u64, to: &mut Measured) {
        let Some(field) = &self.field else { return };
        let count = self.counts.get(place).copied().unwrap_or(rows);
        let bounds = match self.bounds.get(place) {
            Some((min, max)) if min <= max => (field.column.image(*min), field.column.image(*max)),
            _ => NO_BOUNDS,
        };
        if field.value_type == ValueType::F64 {
            return to.add(count, 0, self.floats[place], bounds);
        }
        let kept = if self.is_narrow { self.narrow[place].into() } else { self.wide[place] };
        let meta = field.column.meta();
        let base = i128::from(meta.base) - image::bias(field.value_type);
        let kept = i128::from(meta.step).wrapping_mul(kept.cast_signed());
        to.add(count, base.wrapping_mul(count.into()).wrapping_add(kept), 0.0, bounds);
    }
}
