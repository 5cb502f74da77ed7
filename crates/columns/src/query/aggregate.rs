//! What events come to: counts, sums, bounds, in groups.
//!
//! Of a chunk that is selected as a whole, and whose rows are all in one group, nothing is read: its zones say it. Else
//! numbers are added up as they are kept, and become values once, when a part is done.

mod each_row;
mod memory;

use super::{
    Distinct, Explained, Group, GroupBy, Measured, Quantiles,
    filter::Filter,
    group::Keys,
    interner::Interner,
    key::{Folding, PartKeys},
    local::{Local, broken},
    named::ABSENT_FIELD,
    places::Places,
    plan::Plan,
    spread::Spread,
};
use crate::{Error, Field, PartView, Result, Role, RowSet, Schema, ValueType, part::FieldColumn};
use std::{collections::HashMap, ops::Range, sync::Arc};

/// By so many things events are grouped at most.
pub(super) const GROUPS_BY_MAX: usize = 4;
/// Of so many keys of a part there is an array that has the number of each.
const KNOWN_MAX: u64 = 1 << 16;

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
    /// Fields, and whether quantiles are exact.
    quantiles: Vec<(usize, bool)>,
    distinct: Vec<usize>,
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
        Self {
            schema,
            filter: Filter::All,
            by: Vec::new(),
            measures: Vec::new(),
            quantiles: Vec::new(),
            distinct: Vec::new(),
        }
    }

    /// About those only that the filter means.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// In groups, by four things at most.
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

    /// With [`Quantiles`] of a field's numbers, exact. All numbers are kept for it, 8 bytes each.
    #[must_use]
    pub fn quantiles(mut self, field: usize) -> Self {
        self.quantiles.push((field, true));
        self
    }

    /// With [`Quantiles`] of a field's numbers that are at most one part in 256 beside the right ones; of whole numbers below
    /// 256 exact. What is kept for it does not grow with the events.
    #[must_use]
    pub fn quantiles_by_sketch(mut self, field: usize) -> Self {
        self.quantiles.push((field, false));
        self
    }

    /// With a count of a field's [different values](Distinct), of more than 2,048 estimated with a standard error of 0.81 %.
    #[must_use]
    pub fn distinct(mut self, field: usize) -> Self {
        self.distinct.push(field);
        self
    }

    /// Whether much of a part is looked at to answer it, as far as the question itself tells: not if sums of what lies
    /// between two times are asked for, or of the events of one value of a dimension.
    #[must_use]
    pub fn looks_at_rows(&self) -> bool {
        let is_plain = self.by.is_empty() && self.quantiles.is_empty() && self.distinct.is_empty();
        !is_plain || self.looks_at_rows_for(&self.filter)
    }

    fn looks_at_rows_for(&self, filter: &Filter) -> bool {
        let role = |field: &usize| self.schema.fields().get(*field).map(Field::role);
        match filter {
            Filter::All => false,
            Filter::AtLeast(field, _) | Filter::AtMost(field, _) => {
                Some(*field) != self.schema.ts()
            }
            Filter::Eq(field, _) => !matches!(role(field), Some(Role::Dimension(_))),
            Filter::And(all) => {
                let is_listed =
                    |one: &Filter| matches!(one, Filter::Eq(..)) && !self.looks_at_rows_for(one);
                !all.iter().any(is_listed) && all.iter().any(|one| self.looks_at_rows_for(one))
            }
            _ => true,
        }
    }

    /// What an answer would use of a part, and how much of it: it is made, and thrown away.
    ///
    /// # Errors
    /// As [`answer`](Self::answer) and [`Answer::add`].
    ///
    /// ```
    /// use annals_columns::{Batch, Filter, Part, PartBuilder, PartIdentity, Query, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
    /// let mut batch = Batch::new(Arc::clone(&schema));
    /// for at in 0..1_000 {
    ///     let mut row = batch.row();
    ///     row.i64(0, at)?;
    ///     row.finish()?;
    /// }
    /// let id = PartIdentity { database_id: 7, number: 1 };
    /// let mut builder = PartBuilder::new(Arc::clone(&schema), id);
    /// builder.add(&batch, 0)?;
    /// let part = Part::open(builder.finish()?, id)?;
    /// let query = Query::new(schema).filter(Filter::between(0, 100, 900)).measure(0);
    /// let explained = query.explain(part.view(), None)?;
    /// assert_eq!((explained.rows_selected, explained.chunks_by_sums), (800, 2));
    /// println!("{explained}");
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    pub fn explain(&self, part: PartView<'_>, excluded: Option<RowSet<'_>>) -> Result<Explained> {
        let mut answer = self.clone().answer()?;
        let (plan, local) = answer.begin(part, excluded, &(0..u32::MAX))?;
        let is_totals = answer.is_totals(&plan);
        let seen = match local {
            Some(mut local) if is_totals => {
                local.add_part();
                local.seen
            }
            Some(mut local) => {
                plan.visit(&mut local)?;
                local.add_few()?;
                local.seen
            }
            None => answer.add_each_row(&plan)?,
        };
        Ok(Explained::new(part, plan.sources(), is_totals, seen))
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
        let type_of = |index: usize| match fields.get(index) {
            Some(field) => Ok(field.value_type()),
            // Of numbers that no event has.
            None if index == ABSENT_FIELD => Ok(ValueType::U64),
            None => Err(Error::NoField { index, count: fields.len() }),
        };
        let value_types = self.measures.iter().map(|measure| type_of(measure.field));
        let value_types = value_types.collect::<Result<Vec<_>>>()?;
        if value_types.contains(&ValueType::Text) {
            return Err(Error::Question { what: "strings have no sum" });
        }
        let quantile_types = self.quantiles.iter().map(|(field, _)| type_of(*field));
        let quantile_types = quantile_types.collect::<Result<Vec<_>>>()?;
        if quantile_types.contains(&ValueType::Text) {
            return Err(Error::Question { what: "strings have no quantiles" });
        }
        for field in &self.distinct {
            type_of(*field)?;
        }
        let interners = self.by.iter().map(|by| Interner::new(*by)).collect();
        let places = Places::new(self.by.len());
        let mut answer = Answer {
            query: self,
            value_types,
            interners,
            places,
            keys: Vec::new(),
            rows: Vec::new(),
            measured: Vec::new(),
            quantile_types,
            quantiles: Vec::new(),
            distinct: Vec::new(),
        };
        if answer.query.by.is_empty() {
            answer.place(0);
        }
        Ok(answer)
    }
}

/// Of the keys of a part the numbers that stand for them in an answer, as far as they are known.
enum KnownKeys {
    /// Of each, one more; zero if it is not.
    Few(Vec<u32>),
    Many(HashMap<u64, u32, Folding>),
}

impl KnownKeys {
    fn new(keys: &PartKeys<'_>) -> Self {
        let count = keys.count();
        if count <= KNOWN_MAX {
            Self::Few(vec![0; count as usize])
        } else {
            Self::Many(HashMap::default())
        }
    }

    #[inline]
    fn get_or(&mut self, key: u64, find: impl FnOnce() -> Result<u32>) -> Result<u32> {
        match self {
            Self::Few(all) => match all.get_mut(key as usize) {
                Some(known) if *known > 0 => Ok(*known - 1),
                known => {
                    let found = find()?;
                    known.into_iter().for_each(|known| *known = found.wrapping_add(1));
                    Ok(found)
                }
            },
            Self::Many(all) => match all.get(&key) {
                Some(known) => Ok(*known),
                None => {
                    let found = find()?;
                    all.insert(key, found);
                    Ok(found)
                }
            },
        }
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
    /// Where the group of some keys is. By one thing it is where the key is.
    places: Places,
    /// Of each group the numbers of its keys.
    keys: Vec<u128>,
    rows: Vec<u64>,
    /// What is measured, group by group.
    measured: Vec<Measured>,
    /// Of what quantiles are taken of.
    quantile_types: Vec<ValueType>,
    /// Group by group.
    quantiles: Vec<Quantiles>,
    distinct: Vec<Distinct>,
}

impl Answer {
    /// Adds the events of a part. Those of the rows in `excluded` count as not there.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] or [`Error::Damaged`]; the answer is of no use then.
    pub fn add(&mut self, part: PartView<'_>, excluded: Option<RowSet<'_>>) -> Result<()> {
        self.add_rows(part, excluded, 0..u32::MAX)
    }

    /// Adds the events of some rows of a part, from the first on and before the second: several threads may each add some
    /// of one part, and [merge](Self::merge) what these come to.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// ```
    /// use annals_columns::{Batch, GroupBy, Part, PartBuilder, PartIdentity, Query, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Schema::builder(1).with("at", Role::Ts).with("status", Role::Status);
    /// let schema = Arc::new(schema.build()?);
    /// let mut batch = Batch::new(Arc::clone(&schema));
    /// for at in 0..1_000 {
    ///     let mut row = batch.row();
    ///     row.i64(0, at)?.u16(1, 200)?;
    ///     row.finish()?;
    /// }
    /// let id = PartIdentity { database_id: 7, number: 1 };
    /// let mut builder = PartBuilder::new(Arc::clone(&schema), id);
    /// builder.add(&batch, 0)?;
    /// let part = Part::open(builder.finish()?, id)?;
    /// let query = Query::new(schema).group_by(GroupBy::Field(1));
    /// let (mut one, mut other) = (query.clone().answer()?, query.answer()?);
    /// one.add_rows(part.view(), None, 0..300)?;
    /// other.add_rows(part.view(), None, 300..1_000)?;
    /// one.merge(&other)?;
    /// assert_eq!(one.groups()[0].rows, 1_000);
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    pub fn add_rows(
        &mut self,
        part: PartView<'_>,
        excluded: Option<RowSet<'_>>,
        rows: Range<u32>,
    ) -> Result<()> {
        let mut add = || {
            let (plan, local) = self.begin(part, excluded, &rows)?;
            let Some(mut local) = local else { return self.add_each_row(&plan).map(drop) };
            if self.is_totals(&plan) {
                local.add_part();
            } else {
                plan.visit(&mut local)?;
            }
            self.take(local)
        };
        add().map_err(|error| match error {
            Error::Damaged { part: 0, section, offset, what } => {
                Error::Damaged { part: part.identity().number, section, offset, what }
            }
            other => other,
        })
    }

    /// Whether what a part says of itself is all that is asked.
    fn is_totals(&self, plan: &Plan<'_>) -> bool {
        let is_plain = self.query.quantiles.is_empty() && self.query.distinct.is_empty();
        plan.is_everything() && self.query.by.is_empty() && is_plain
    }

    /// Begins with some rows of a part; without places for its groups where their keys taken together have more values
    /// than a number.
    fn begin<'p>(
        &self,
        part: PartView<'p>,
        excluded: Option<RowSet<'p>>,
        rows: &Range<u32>,
    ) -> Result<(Plan<'p>, Option<Local<'p>>)> {
        let plan = Plan::new(&self.query.filter, &self.query.schema, part, excluded)?.within(rows);
        let mapping = plan.mapping();
        let mut keys = Vec::new();
        for by in &self.query.by {
            let field = if let GroupBy::Field(field) = by { mapping.older(*field) } else { None };
            match PartKeys::new(part, *by, field)? {
                Some(of_part) => keys.push(of_part),
                None => return Ok((plan, None)),
            }
        }
        let column = |field: usize| match mapping.older(field) {
            Some(older) => part.field(older),
            None => Ok(FieldColumn::Nothing),
        };
        let mut columns = Vec::new();
        for measure in &self.query.measures {
            let numbers = match column(measure.field)? {
                FieldColumn::Numbers(numbers) => Some(numbers),
                _ => None,
            };
            columns.push((numbers, measure.has_bounds));
        }
        let spreads = |places| {
            let quantiles =
                self.query.quantiles.iter().map(|(field, is_exact)| {
                    Ok(Spread::quantiles(column(*field)?, *is_exact, places))
                });
            let distinct = self.query.distinct.iter();
            let distinct = distinct.map(|field| Ok(Spread::distinct(column(*field)?, places)));
            quantiles.chain(distinct).collect()
        };
        let local = Local::new(part, keys, columns, spreads, plan.rows_limit())?;
        Ok((plan, local))
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
        for (group, theirs) in other.keys.iter().enumerate() {
            let keys = numbers.iter().enumerate().fold(0, |keys, (at, numbers)| {
                let number = (theirs >> (32 * (count - 1 - at))) as u32;
                keys << 32 | u128::from(numbers[number as usize])
            });
            let place = self.place(keys);
            self.rows[place] += other.rows[group];
            for (ours, theirs) in self.measured_mut(place).iter_mut().zip(other.measured_of(group))
            {
                ours.merge(theirs);
            }
            let pairs = self.quantiles_mut(place).iter_mut().zip(other.quantiles_of(group));
            pairs.for_each(|(ours, theirs)| ours.merge(theirs));
            let pairs = self.distinct_mut(place).iter_mut().zip(other.distinct_of(group));
            pairs.for_each(|(ours, theirs)| ours.merge(theirs));
        }
        Ok(())
    }

    fn quantiles_of(&self, place: usize) -> &[Quantiles] {
        let count = self.query.quantiles.len();
        &self.quantiles[place * count..][..count]
    }

    fn quantiles_mut(&mut self, place: usize) -> &mut [Quantiles] {
        let count = self.query.quantiles.len();
        &mut self.quantiles[place * count..][..count]
    }

    fn distinct_of(&self, place: usize) -> &[Distinct] {
        let count = self.query.distinct.len();
        &self.distinct[place * count..][..count]
    }

    fn distinct_mut(&mut self, place: usize) -> &mut [Distinct] {
        let count = self.query.distinct.len();
        &mut self.distinct[place * count..][..count]
    }

    fn measured_of(&self, place: usize) -> &[Measured] {
        let count = self.value_types.len();
        &self.measured[place * count..][..count]
    }

    fn measured_mut(&mut self, place: usize) -> &mut [Measured] {
        let count = self.value_types.len();
        &mut self.measured[place * count..][..count]
    }

    /// Where the group of some keys is; makes one if there is none.
    #[inline]
    fn place(&mut self, keys: u128) -> usize {
        let next = self.keys.len();
        let place = if self.interners.len() > 1 {
            self.places.find(keys, next as u32, &self.keys) as usize
        } else {
            keys as usize
        };
        if place == next {
            self.keys.push(keys);
            self.rows.push(0);
            self.measured.extend(self.value_types.iter().map(|of| Measured::new(*of)));
            let pairs = self.quantile_types.iter().zip(&self.query.quantiles);
            self.quantiles.extend(pairs.map(|(of, (_, is_exact))| Quantiles::new(*of, *is_exact)));
            self.distinct.extend(self.query.distinct.iter().map(|_| Distinct::default()));
        }
        place
    }

    /// Takes over what a part came to.
    fn take(&mut self, local: Local<'_>) -> Result<()> {
        // Of each key of the part its number here, once it is known, and the last one that was asked for.
        let mut known: Vec<(KnownKeys, u64, u32)> =
            local.keys.iter().map(|keys| (KnownKeys::new(keys), u64::MAX, u32::MAX)).collect();
        let mut hashes = vec![Vec::new(); self.query.distinct.len()];
        local.finish(|local, numbers, from, rows| {
            let mut keys = 0;
            for (at, number) in numbers.iter().enumerate() {
                let (known, last, global) = &mut known[at];
                if number != last {
                    let interner = &mut self.interners[at];
                    let next = global.wrapping_add(1);
                    let mut find = || {
                        let key = local.keys[at].key(*number).ok_or_else(broken)?;
                        Ok::<_, Error>(interner.number_near(next, key))
                    };
                    *global =
                        if numbers.len() == 1 { find()? } else { known.get_or(*number, find)? };
                    *last = *number;
                }
                keys = keys << 32 | u128::from(*global);
            }
            let place = self.place(keys);
            self.rows[place] += rows;
            for (measured, column) in self.measured_mut(place).iter_mut().zip(&local.columns) {
                column.give(from, rows, measured);
            }
            let (quantiles, distinct) = local.spreads.split_at(self.query.quantiles.len());
            for (to, spread) in self.quantiles_mut(place).iter_mut().zip(quantiles) {
                spread.give_quantiles(from, to);
            }
            let distinct = distinct.iter().zip(&mut hashes);
            for (to, (spread, hashes)) in self.distinct_mut(place).iter_mut().zip(distinct) {
                spread.give_distinct(from, hashes, to)?;
            }
            Ok(())
        })
    }

    /// How many groups there are so far.
    #[must_use]
    pub fn groups_count(&self) -> usize {
        self.keys.len()
    }

    /// The groups, in the order in which they were met. Without anything to group by it is one, also if there are no events.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Group<'_>> {
        (0..self.keys.len()).map(|place| self.group(place))
    }

    /// The groups, as [`iter`](Self::iter) gives them.
    #[must_use]
    pub fn groups(&self) -> Vec<Group<'_>> {
        self.iter().collect()
    }

    /// The `count` groups with the highest sums of what is measured at `measure`, the highest first.
    ///
    /// # Panics
    /// If nothing is measured there.
    #[must_use]
    pub fn top(&self, measure: usize, count: usize) -> Vec<Group<'_>> {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        let compare = |one: &usize, other: &usize| {
            let (one, other) =
                (&self.measured_of(*one)[measure], &self.measured_of(*other)[measure]);
            other.sum.cmp(&one.sum).then(other.float_sum.total_cmp(&one.float_sum))
        };
        if count < order.len() {
            order.select_nth_unstable_by(count, compare);
            order.truncate(count);
        }
        order.sort_by(compare);
        order.into_iter().map(|place| self.group(place)).collect()
    }

    fn group(&self, place: usize) -> Group<'_> {
        let count = self.interners.len();
        let number = |at: usize| (self.keys[place] >> (32 * (count - 1 - at))) as u32;
        let keys = self.interners.iter().enumerate().map(|(at, interner)| interner.key(number(at)));
        Group {
            keys: Keys::new(keys),
            rows: self.rows[place],
            measured: self.measured_of(place),
            quantiles: self.quantiles_of(place),
            distinct: self.distinct_of(place),
        }
    }
}
