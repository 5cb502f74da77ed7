//! Sums by UTC day and value, of dimensions that are marked for it.
//!
//! Each part has those of its own events, made when they are first asked for and kept for as long as nothing of the part is
//! deleted; so does each fresh batch. An answer adds up what the few of them say that have the day. What several parts say
//! of a day together is kept as well, so that a day is added up once.

use super::view::TableView;
use crate::{Error, Result};
use annals_columns::{Answer, GroupBy, Key, Query, Role, Schema, Totals};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Nanoseconds of a day.
const DAY_NS: u64 = 86_400_000_000_000;
/// Days of several parts that are kept added up.
const DAYS_KEPT: usize = 64;

const NOTHING: Totals = Totals { count: 0, sum: 0, float_sum: 0.0 };

/// What the events of one UTC day come to, by the values of a dimension: absent first, then by the bytes of the values.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, DayRollup};
/// use annals_columns::Schema;
///
/// #[derive(Schema)]
/// #[schema(schema_id = 1, crate = annals_columns)]
/// struct Request {
///     #[ts]
///     at: i64,
///     #[counter]
///     bytes: u32,
///     #[dim(rollup)]
///     user: String,
/// }
///
/// let db = Database::open_in_memory()?;
/// let requests = db.table_of::<Request>("requests")?;
/// for (at, bytes, user) in [(1, 500, "ada"), (2, 20, "bob"), (3, 11, "ada")] {
///     requests.append(&Request::event().at(at).bytes(bytes).user(user))?;
/// }
/// let view = requests.view()?;
/// let day = view.rollup(2, DayRollup::day_of(0))?;
/// assert_eq!(day.len(), 2);
/// let hers = day.get("ada").expect("there are some");
/// assert_eq!((hers.events_count, hers.totals[0].sum), (2, 511));
/// assert_eq!(view.rollup_of(2, 0, "bob")?.expect("one").totals[0].sum, 20);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DayRollup {
    /// The fields that are added up.
    fields: Vec<usize>,
    values: Vec<Option<Box<str>>>,
    counts: Vec<u64>,
    /// Of each value those of all fields.
    totals: Vec<Totals>,
}

/// What the events of one day and value come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayBucket<'r> {
    /// The value; `None` for events that have none.
    pub value: Option<&'r str>,
    /// How many events there are.
    pub events_count: u64,
    /// What each of the [fields](DayRollup::fields) comes to.
    pub totals: &'r [Totals],
}

/// What the events of one day and value come to, of a question about one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct DayTotals {
    /// How many events there are.
    pub events_count: u64,
    /// What each metric and counter comes to, in the order of the schema.
    pub totals: Vec<Totals>,
}

impl DayRollup {
    /// The day of a time: days since 1970.
    #[must_use]
    pub fn day_of(ts: i64) -> i64 {
        ts.div_euclid(DAY_NS as i64)
    }

    /// The fields that are added up: metrics and counters, in the order of the schema.
    #[must_use]
    pub fn fields(&self) -> &[usize] {
        &self.fields
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = DayBucket<'_>> {
        (0..self.len()).map(|at| self.bucket(at))
    }

    /// What the events with this value come to.
    #[must_use]
    pub fn get(&self, value: &str) -> Option<DayBucket<'_>> {
        let at = self.values.binary_search_by(|found| found.as_deref().cmp(&Some(value))).ok()?;
        Some(self.bucket(at))
    }

    fn bucket(&self, at: usize) -> DayBucket<'_> {
        let count = self.fields.len();
        DayBucket {
            value: self.values[at].as_deref(),
            events_count: self.counts[at],
            totals: &self.totals[at * count..][..count],
        }
    }

    fn push(&mut self, value: Option<&str>, events_count: u64, totals: &[Totals]) {
        self.values.push(value.map(Into::into));
        self.counts.push(events_count);
        self.totals.extend_from_slice(totals);
    }

    /// What several come to together.
    fn merged(all: &[Arc<Self>], fields: &[usize]) -> Self {
        let mut sums: BTreeMap<Option<&str>, (u64, Vec<Totals>)> = BTreeMap::new();
        for bucket in all.iter().flat_map(|day| day.iter()) {
            let (count, totals) =
                sums.entry(bucket.value).or_insert_with(|| (0, vec![NOTHING; fields.len()]));
            *count += bucket.events_count;
            totals.iter_mut().zip(bucket.totals).for_each(|(to, from)| add(to, from));
        }
        let mut merged = Self { fields: fields.to_vec(), ..Self::default() };
        for (value, (count, totals)) in sums {
            merged.push(value, count, &totals);
        }
        merged
    }
}

fn add(to: &mut Totals, from: &Totals) {
    to.count += from.count;
    // 2^64 events of 64 bits would have to be added first for this to wrap.
    to.sum = to.sum.wrapping_add(from.sum);
    to.float_sum += from.float_sum;
}

/// What a part or a batch has by day, for each dimension that was asked for: of a schema, by its fingerprint, and a field.
#[derive(Debug, Default)]
pub(super) struct Rollups {
    fields: Mutex<HashMap<(u64, usize), Arc<Days>>>,
}

/// What several have of a day.
type DayParts = Vec<Arc<DayRollup>>;

/// By day.
type Days = BTreeMap<i64, Arc<DayRollup>>;

/// Days of several parts that were added up, the one that was asked for last at the end.
#[derive(Debug, Default)]
pub(super) struct MergedDays {
    kept: Mutex<Vec<MergedDay>>,
}

/// A day, and of what it was added up.
#[derive(Clone, Debug)]
struct MergedDay {
    of: Vec<Arc<DayRollup>>,
    day: Arc<DayRollup>,
}

impl MergedDays {
    fn get(&self, of: &[Arc<DayRollup>], fields: &[usize]) -> Arc<DayRollup> {
        let is_it = |found: &MergedDay| {
            let same = found.of.iter().zip(of).all(|(one, other)| Arc::ptr_eq(one, other));
            same && found.of.len() == of.len()
        };
        {
            let mut kept = self.kept.lock();
            if let Some(at) = kept.iter().rposition(is_it) {
                let found = kept.remove(at);
                let day = Arc::clone(&found.day);
                kept.push(found);
                return day;
            }
        }
        let day = Arc::new(DayRollup::merged(of, fields));
        let mut kept = self.kept.lock();
        if kept.len() >= DAYS_KEPT {
            kept.remove(0);
        }
        kept.push(MergedDay { of: of.to_vec(), day: Arc::clone(&day) });
        day
    }
}

impl Rollups {
    /// What there is by day, made by `answer` if nobody has asked before.
    fn days(
        &self,
        schema: &Arc<Schema>,
        field: usize,
        answer: impl FnOnce(&mut Answer) -> annals_columns::Result<()>,
    ) -> Result<Arc<Days>> {
        let key = (schema.fingerprint(), field);
        if let Some(days) = self.fields.lock().get(&key) {
            return Ok(Arc::clone(days));
        }
        let fields = summed(schema);
        let mut query = Query::new(Arc::clone(schema))
            .group_by(GroupBy::Time { bucket_ns: DAY_NS })
            .group_by(GroupBy::Field(field));
        for field in &fields {
            query = query.measure(*field);
        }
        let mut answered = query.answer()?;
        answer(&mut answered)?;
        let mut groups = answered.groups();
        groups.sort_by(|one, other| one.keys.cmp(&other.keys));
        let mut days: BTreeMap<i64, DayRollup> = BTreeMap::new();
        for group in groups {
            let [Key::Time(start), value] = group.keys[..] else { continue };
            let totals = group.measured.iter().map(|measured| {
                let (count, sum, float_sum) = (measured.count, measured.sum, measured.float_sum);
                Totals { count, sum, float_sum }
            });
            let totals: Vec<_> = totals.collect();
            let day = days.entry(DayRollup::day_of(start));
            let day =
                day.or_insert_with(|| DayRollup { fields: fields.clone(), ..DayRollup::default() });
            let value = if let Key::Text(text) = value { Some(text) } else { None };
            day.push(value, group.rows, &totals);
        }
        let days =
            Arc::new(days.into_iter().map(|(day, rollup)| (day, Arc::new(rollup))).collect());
        self.fields.lock().insert(key, Arc::clone(&days));
        Ok(days)
    }
}

/// The fields that are added up.
fn summed(schema: &Schema) -> Vec<usize> {
    let is_summed = |role: &Role| {
        matches!(role, Role::MetricI64 | Role::MetricF64 | Role::CounterU32 | Role::CounterU64)
    };
    let fields = schema.fields().iter().enumerate();
    fields.filter(|(_, field)| is_summed(field.role())).map(|(at, _)| at).collect()
}

impl TableView<'_> {
    /// What the events of a UTC day, counted from 1970 on, come to by the values of a dimension that is marked for it
    /// (`#[dim(rollup)]`): how many there are, and the sums of metrics and counters. Each part is gone through once, when it
    /// is first asked for since the opening or since something of it was deleted.
    ///
    /// # Errors
    /// `InvalidInput` if there is no such field, [`Error::NoRollup`] if it is not marked; damage to a part.
    pub fn rollup(&self, field: usize, day: i64) -> Result<Arc<DayRollup>> {
        let (mut all, fresh) = self.days_of(field, day)?;
        let fields = summed(self.schema());
        if all.len() > 1 {
            all = vec![self.merged_days().get(&all, &fields)];
        }
        // What is fresh changes often, and is little.
        all.extend(fresh);
        match all.len() {
            1 => Ok(all.swap_remove(0)),
            _ => Ok(Arc::new(DayRollup::merged(&all, &fields))),
        }
    }

    /// The same of one value; `None` if there are no such events.
    ///
    /// # Errors
    /// As [`rollup`](Self::rollup).
    pub fn rollup_of(&self, field: usize, day: i64, value: &str) -> Result<Option<DayTotals>> {
        let (parts, fresh) = self.days_of(field, day)?;
        let mut found: Option<DayTotals> = None;
        for bucket in parts.iter().chain(&fresh).filter_map(|day| day.get(value)) {
            match &mut found {
                None => {
                    let (events_count, totals) = (bucket.events_count, bucket.totals.to_vec());
                    found = Some(DayTotals { events_count, totals });
                }
                Some(found) => {
                    found.events_count += bucket.events_count;
                    found.totals.iter_mut().zip(bucket.totals).for_each(|(to, from)| add(to, from));
                }
            }
        }
        Ok(found)
    }

    /// What parts and fresh batches have of a day.
    fn days_of(&self, field: usize, day: i64) -> Result<(DayParts, DayParts)> {
        let schema = self.schema();
        let (index, count) = (field, schema.fields().len());
        let asked = schema.fields().get(field);
        let asked = asked.ok_or(annals_columns::Error::NoField { index, count })?;
        if !matches!(asked.role(), Role::Dimension(kind) if kind.has_rollup()) {
            return Err(Error::NoRollup { field: asked.name().to_owned() });
        }
        if schema.ts().is_none() {
            return Err(annals_columns::Error::Question { what: "events have no time" }.into());
        }
        let (mut parts, mut fresh) = (Vec::new(), Vec::new());
        for (rollups, (part, deleted)) in self.rollups_of_parts().zip(self.parts_with_deleted()) {
            let (first, last) = part.time_range()?.unwrap_or_default();
            if (DayRollup::day_of(first)..=DayRollup::day_of(last)).contains(&day) {
                let days = rollups.days(schema, field, |answer| answer.add(part, deleted))?;
                parts.extend(days.get(&day).cloned());
            }
        }
        for batch in &self.fresh {
            let days =
                batch.rollups.days(schema, field, |answer| answer.add_batch(&batch.batch))?;
            fresh.extend(days.get(&day).cloned());
        }
        Ok((parts, fresh))
    }
}
