//! Sums by UTC day and value, of dimensions that are marked for it.
//!
//! Most parts have them ([`DaySums`](annals_columns::DaySums)), and a day that one of them tells alone is read where it lies.
//! Of others, of days of which something was deleted, and of fresh batches they are made when they are first asked for, of parts
//! of the day's rows alone, and kept for as long as nothing of the part is deleted. What several tell of a day is added up;
//! what several parts tell of it is kept as well, so that a day is added up once. Of each part, and of parts together, some days
//! are kept, and not all that anybody ever asked for: a part may have as many as it has rows.

mod added_up;
mod bucket_totals;
mod day;

#[cfg(test)]
mod in_place_test;

pub use day::{DayBucket, DayRollup, DayTotals};

use self::{
    added_up::{AddedUp, NOTHING, add},
    day::{DAY_NS, Told},
};
use super::view::TableView;
use crate::{Error, Result};
use annals_columns::{
    ABSENT_FIELD, Answer, GroupBy, Key, PartView, Query, Role, RowSet, Schema, ToField, Totals,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::Arc,
};

/// So many days are kept of a part, and of several parts together.
const DAYS_KEPT: usize = 64;

/// Sums by day of a schema, by its fingerprint, and of dimensions.
type Asked = (u64, Vec<usize>);

/// What a part or a batch has by day, for what was asked for.
#[derive(Debug, Default)]
pub(super) struct Rollups {
    /// Stands for the part in what is kept of several: another part may get its number in a later opening, while a reader
    /// goes on.
    part: Arc<()>,
    /// All days of a batch.
    all: Mutex<HashMap<Asked, Arc<Days>>>,
    /// Some days of a part that it does not tell.
    single: Mutex<HashMap<Asked, Days>>,
    #[cfg(test)]
    added_up_count: std::sync::atomic::AtomicUsize,
}

/// By day.
type Days = BTreeMap<i64, Arc<AddedUp>>;

/// Days of several parts that were added up, the one that was asked for last at the end.
#[derive(Debug, Default)]
pub(super) struct MergedDays {
    kept: Mutex<Vec<MergedDay>>,
}

/// A day, and of what it was added up.
#[derive(Debug)]
struct MergedDay {
    asked: Asked,
    day: i64,
    of: Vec<Source>,
    added_up: Arc<AddedUp>,
}

/// What a day was added up of. Nothing becomes of either: rows that are deleted of the day later have it added up from rows, anew.
#[derive(Debug)]
enum Source {
    /// What this part tells of it.
    Part(Arc<()>),
    /// What was added up from rows.
    Rows(Arc<AddedUp>),
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Part(one), Self::Part(other)) => Arc::ptr_eq(one, other),
            (Self::Rows(one), Self::Rows(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl MergedDays {
    /// What these parts tell of a day together.
    fn get(&self, question: &Question<'_>, parts: &[Arc<()>], told: &[Told<'_>]) -> Arc<AddedUp> {
        let source = |(part, told): (&Arc<()>, &Told<'_>)| match told {
            Told::InPlace(_) => Source::Part(Arc::clone(part)),
            Told::AddedUp(day) => Source::Rows(Arc::clone(day)),
        };
        let of: Vec<Source> = parts.iter().zip(told).map(source).collect();
        let asked = question.key();
        {
            let mut kept = self.kept.lock();
            let is_it =
                |one: &MergedDay| one.day == question.day && one.of == of && one.asked == asked;
            if let Some(at) = kept.iter().rposition(is_it) {
                let found = kept.remove(at);
                let added_up = Arc::clone(&found.added_up);
                kept.push(found);
                return added_up;
            }
        }
        let added_up = Arc::new(AddedUp::merged(question, told));
        let mut kept = self.kept.lock();
        if kept.len() >= DAYS_KEPT {
            kept.remove(0);
        }
        kept.push(MergedDay { asked, day: question.day, of, added_up: Arc::clone(&added_up) });
        added_up
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.kept.lock().len()
    }
}

/// What is asked for: sums of a day by the values of these dimensions.
struct Question<'s> {
    schema: &'s Arc<Schema>,
    dimensions: Vec<usize>,
    fields: Vec<usize>,
    day: i64,
}

impl Question<'_> {
    fn key(&self) -> Asked {
        (self.schema.fingerprint(), self.dimensions.clone())
    }

    /// What there is by day, as it is asked from `answer`.
    fn added_up(
        &self,
        answer: impl FnOnce(&mut Answer) -> annals_columns::Result<()>,
    ) -> Result<Days> {
        let Question { schema, dimensions, fields, .. } = self;
        let mut query =
            Query::new(Arc::clone(schema)).group_by(GroupBy::Time { bucket_ns: DAY_NS });
        for dimension in dimensions {
            query = query.group_by(GroupBy::Field(*dimension));
        }
        for field in fields {
            query = query.measure(*field);
        }
        let mut answered = query.answer()?;
        answer(&mut answered)?;
        let mut groups = answered.groups();
        groups.sort_by(|one, other| one.keys.cmp(&other.keys));
        let mut days = Days::new();
        let start_of = |key: &Key<'_>| if let Key::Time(start) = key { *start } else { 0 };
        let day_of = |keys: &[Key<'_>]| DayRollup::day_of(keys.first().map_or(0, start_of));
        for of_day in groups.chunk_by(|one, other| day_of(&one.keys) == day_of(&other.keys)) {
            let buckets: Vec<_> = of_day
                .iter()
                .map(|group| (group.keys[1..].iter().map(text_of).collect(), group.rows))
                .collect();
            let totals = of_day.iter().flat_map(|group| group.measured).map(|measured| {
                let (count, sum, float_sum) = (measured.count, measured.sum, measured.float_sum);
                Totals { count, sum, float_sum }
            });
            let totals: Vec<Totals> = totals.collect();
            let day = AddedUp::of_buckets(self, &buckets, &totals);
            days.insert(day_of(&of_day[0].keys), Arc::new(day));
        }
        Ok(days)
    }

    /// The first time of the day, and that of the next one; `None`: there is none.
    fn times(&self) -> (i64, Option<i64>) {
        let start = i128::from(self.day) * i128::from(DAY_NS);
        let end = i64::try_from(start + i128::from(DAY_NS)).ok();
        (i64::try_from(start).unwrap_or(i64::MIN), end)
    }

    /// The rows of the day in a part.
    fn rows(&self, part: PartView<'_>) -> Result<Range<u32>> {
        let (start, end) = self.times();
        let end = end.map_or(Ok(part.rows_count() as u32), |end| part.first_since(end))?;
        Ok(part.first_since(start)?..end)
    }
}

/// Whether any of these rows is there.
fn has_any(rows: RowSet<'_>, of: &Range<u32>) -> bool {
    let chunk = annals_columns::CHUNK_ROWS as u32;
    let mut chunks = rows.chunks(of.start / chunk, of.end.div_ceil(chunk));
    chunks.any(|(at, _)| {
        let from = of.start.max(at * chunk);
        (from..of.end.min((at + 1) * chunk)).any(|row| rows.contains(row))
    })
}

impl Rollups {
    /// None yet, of the same part.
    pub(super) fn of_same_part(&self) -> Self {
        Self { part: Arc::clone(&self.part), ..Self::default() }
    }

    /// How often something was added up here that a part has not told, and how many days are kept.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let kept = self.single.lock().values().map(BTreeMap::len).sum();
        (self.added_up_count.load(std::sync::atomic::Ordering::Relaxed), kept)
    }

    /// What there is of a day in a part: as it tells it, or else added up from its rows.
    fn of_part<'p>(
        &self,
        question: &Question<'_>,
        part: PartView<'p>,
        deleted: Option<RowSet<'_>>,
    ) -> Result<Option<Told<'p>>> {
        if let Some(day) = self.kept(question) {
            return Ok(Some(Told::AddedUp(day)));
        }
        if is_whole(question, part, deleted)?
            && let Some(sums) = part.day_sums(&question.dimensions)?
        {
            let day = sums.day(question.day)?;
            return Ok((!day.is_empty()).then_some(Told::InPlace(day)));
        }
        let rows = question.rows(part)?;
        if rows.is_empty() {
            return Ok(None);
        }
        #[cfg(test)]
        self.added_up_count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let days = question.added_up(|answer| answer.add_rows(part, deleted, rows))?;
        let day = days.into_values().next();
        Ok(day.map(|day| Told::AddedUp(self.keep(question, day))))
    }

    /// A day that was added up from a part's rows.
    fn kept(&self, question: &Question<'_>) -> Option<Arc<AddedUp>> {
        let single = self.single.lock();
        if single.is_empty() {
            return None;
        }
        single.get(&question.key())?.get(&question.day).cloned()
    }

    /// Keeps a day of a part: of many those that are near to it.
    fn keep(&self, question: &Question<'_>, day: Arc<AddedUp>) -> Arc<AddedUp> {
        let mut single = self.single.lock();
        let days = single.entry(question.key()).or_default();
        let kept = Arc::clone(days.entry(question.day).or_insert(day));
        if days.len() > DAYS_KEPT {
            let ends = (days.first_key_value(), days.last_key_value());
            if let (Some((first, _)), Some((last, _))) = ends {
                let is_first = question.day.abs_diff(*first) > question.day.abs_diff(*last);
                drop(if is_first { days.pop_first() } else { days.pop_last() });
            }
        }
        kept
    }

    /// What a batch has by day, made by `answer` if nobody has asked before.
    fn days(
        &self,
        question: &Question<'_>,
        answer: impl FnOnce(&mut Answer) -> annals_columns::Result<()>,
    ) -> Result<Arc<Days>> {
        if let Some(days) = self.all.lock().get(&question.key()) {
            return Ok(Arc::clone(days));
        }
        let days = Arc::new(question.added_up(answer)?);
        self.all.lock().insert(question.key(), Arc::clone(&days));
        Ok(days)
    }
}

/// The value of a group.
fn text_of<'k>(key: &Key<'k>) -> Option<&'k str> {
    if let Key::Text(text) = key { Some(text) } else { None }
}

/// Whether what a part says of the day is so: it is of the same schema, and no row of the day was deleted.
fn is_whole(
    question: &Question<'_>,
    part: PartView<'_>,
    deleted: Option<RowSet<'_>>,
) -> Result<bool> {
    if !Arc::ptr_eq(part.schema(), question.schema) && part.schema() != question.schema {
        return Ok(false);
    }
    let Some(deleted) = deleted else { return Ok(true) };
    Ok(!has_any(deleted, &question.rows(part)?))
}

/// The fields that are added up.
fn summed(schema: &Schema) -> Vec<usize> {
    let is_summed = |role: &Role| {
        matches!(role, Role::MetricI64 | Role::MetricF64 | Role::CounterU32 | Role::CounterU64)
    };
    let fields = schema.fields().iter().enumerate();
    fields.filter(|(_, field)| is_summed(field.role())).map(|(at, _)| at).collect()
}

fn is_rolled_up(role: &Role) -> bool {
    matches!(role, Role::Dimension(kind) if kind.has_rollup())
}

impl TableView<'_> {
    /// What the events of a UTC day, counted from 1970 on, come to by the values of a dimension that is marked for it
    /// (`#[dim(rollup)]`), named by a method of a Rust type, by what it is called, or by its index: how many there are,
    /// and the sums of metrics and counters. Parts have them; a part that has nearly as many values a day as events, or
    /// of which something of the day was deleted or is over, is asked for the day's events, when that is first asked
    /// for since the opening or since that; 64 days of a part are kept. Where one part tells the whole day, nothing of it is
    /// copied: the answer costs a microsecond.
    ///
    /// # Errors
    /// `InvalidInput` if there is no such field, [`Error::NoRollup`] if it is not marked; damage to a part.
    pub fn rollup(&self, field: impl ToField, day: i64) -> Result<DayRollup<'_>> {
        self.rollup_by_field(field.field_in(self.schema())?, day)
    }

    fn rollup_by_field(&self, field: usize, day: i64) -> Result<DayRollup<'_>> {
        let question = self.question(field, day)?;
        self.rollup_by(question).map_err(|error| self.named(error))
    }

    /// What the events of a UTC day come to by the values of all dimensions that are marked for it: a bucket for each
    /// combination of values that there are events of. Otherwise as [`rollup`](Self::rollup).
    ///
    /// # Errors
    /// `InvalidInput` if no dimension is marked for it; damage to a part.
    pub fn rollup_day(&self, day: i64) -> Result<DayRollup<'_>> {
        let fields = self.schema().fields().iter().enumerate();
        let marked = fields.filter(|(_, field)| is_rolled_up(field.role()));
        let dimensions: Vec<usize> = marked.map(|(at, _)| at).collect();
        if dimensions.is_empty() {
            let what = "no dimension is marked for sums by day";
            return Err(annals_columns::Error::Question { what }.into());
        }
        let question = self.question_of(dimensions, day)?;
        self.rollup_by(question).map_err(|error| self.named(error))
    }

    /// The same as [`rollup`](Self::rollup) of one value; `None` if there are no such events.
    ///
    /// # Errors
    /// As [`rollup`](Self::rollup).
    pub fn rollup_of(
        &self,
        field: impl ToField,
        day: i64,
        value: &str,
    ) -> Result<Option<DayTotals>> {
        self.rollup_of_field(field.field_in(self.schema())?, day, value)
    }

    fn rollup_of_field(&self, field: usize, day: i64, value: &str) -> Result<Option<DayTotals>> {
        let question = self.question(field, day)?;
        self.totals_of(&question, value).map_err(|error| self.named(error))
    }

    fn totals_of(&self, question: &Question<'_>, value: &str) -> Result<Option<DayTotals>> {
        let mut found: Option<DayTotals> = None;
        let mut add_all = |told: &Told<'_>| {
            let Some(at) = told.find(value) else { return };
            let found = found.get_or_insert_with(|| DayTotals {
                events_count: 0,
                totals: vec![NOTHING; question.fields.len()],
                schema: Arc::clone(question.schema),
            });
            found.events_count += told.events_count(at);
            let totals = (0..).zip(&mut found.totals);
            totals.for_each(|(field, totals)| add(totals, &told.totals(at, field)));
        };
        for (rollups, (part, deleted)) in self.parts_of_day(question.day)? {
            rollups.of_part(question, part, deleted)?.iter().for_each(&mut add_all);
        }
        self.fresh_of_day(question)?.iter().for_each(add_all);
        Ok(found)
    }

    fn rollup_by<'v>(&'v self, question: Question<'v>) -> Result<DayRollup<'v>> {
        let (mut parts, mut all) = (Vec::new(), Vec::new());
        for (rollups, (part, deleted)) in self.parts_of_day(question.day)? {
            if let Some(told) = rollups.of_part(&question, part, deleted)? {
                parts.push(Arc::clone(&rollups.part));
                all.push(told);
            }
        }
        if all.len() > 1 {
            all = vec![Told::AddedUp(self.merged_days().get(&question, &parts, &all))];
        }
        // What is fresh changes often, and is little.
        all.extend(self.fresh_of_day(&question)?);
        let told = match all.len() {
            1 => all.swap_remove(0),
            _ => Told::AddedUp(Arc::new(AddedUp::merged(&question, &all))),
        };
        Ok(DayRollup::new(question, told))
    }

    fn question(&self, field: usize, day: i64) -> Result<Question<'_>> {
        if field == ABSENT_FIELD {
            let what = "the table does not have this dimension yet; open it for writing with this type first";
            return Err(annals_columns::Error::Question { what }.into());
        }
        let (index, count) = (field, self.schema().fields().len());
        let asked = self.schema().fields().get(field);
        let asked = asked.ok_or(annals_columns::Error::NoField { index, count })?;
        if !is_rolled_up(asked.role()) {
            return Err(Error::NoRollup { field: asked.name().to_owned() });
        }
        self.question_of(vec![field], day)
    }

    fn question_of(&self, dimensions: Vec<usize>, day: i64) -> Result<Question<'_>> {
        let schema = self.schema();
        if schema.ts().is_none() {
            return Err(annals_columns::Error::Question { what: "events have no time" }.into());
        }
        let question = Question { schema, dimensions, fields: summed(schema), day };
        let (start, end) = question.times();
        self.check((start, end.map_or(i64::MAX, |end| end - 1)))?;
        Ok(question)
    }

    /// The parts that may have events of a day.
    fn parts_of_day(&self, day: i64) -> Result<Vec<(&Rollups, PartOf<'_>)>> {
        let mut parts = Vec::new();
        for (rollups, part) in self.rollups_of_parts().zip(self.parts_with_deleted()) {
            let (first, last) = part.0.time_range()?.unwrap_or_default();
            if (DayRollup::day_of(first)..=DayRollup::day_of(last)).contains(&day) {
                parts.push((rollups, part));
            }
        }
        Ok(parts)
    }

    /// What fresh batches have of a day.
    fn fresh_of_day(&self, question: &Question<'_>) -> Result<Vec<Told<'static>>> {
        let mut all = Vec::new();
        for batch in &self.fresh {
            let days = batch.rollups.days(question, |answer| answer.add_batch(&batch.batch))?;
            all.extend(days.get(&question.day).cloned().map(Told::AddedUp));
        }
        Ok(all)
    }
}

/// A part, and which of its rows were deleted.
type PartOf<'v> = (PartView<'v>, Option<RowSet<'v>>);
