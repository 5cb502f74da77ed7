//! What the events of one day come to, by the values of dimensions.

use super::{
    Question,
    added_up::{AddedUp, NOTHING},
};
use crate::Result;
use annals_columns::{
    ABSENT_FIELD, DayBuckets, Error as ColumnsError, Schema, ToField, ToMeasure, Totals,
};
use std::{fmt, sync::Arc};

/// Nanoseconds of a day.
pub(super) const DAY_NS: u64 = 86_400_000_000_000;

/// What the events of one UTC day come to, by the values of a dimension, or of several: absent first, then by the bytes of
/// the values, by the first dimension, then by the next.
///
/// Where one part tells the whole day, and nothing of it was deleted and nothing is fresh, it is read where it lies in the part:
/// to be given it costs a microsecond, however many buckets there are. Else it was added up, and may be kept for who asks next.
/// It belongs to the view that was asked, which has what it reads stay where it is.
///
/// A look at a bucket costs about a nanosecond for a field, and as much as a look-up of a string for a value: who wants sums of
/// all of them reads no values.
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
///     #[dim(rollup)]
///     region: String,
/// }
///
/// let db = Database::open_in_memory()?;
/// let requests = db.table_of::<Request>("requests")?;
/// for (at, bytes, user) in [(1, 500, "ada"), (2, 20, "bob"), (3, 11, "ada")] {
///     requests.append(&Request::event().at(at).bytes(bytes).user(user).region("eu"))?;
/// }
/// let (view, fields) = (requests.view()?, Request::fields());
/// let day = view.rollup(fields.user(), DayRollup::day_of(0))?;
/// assert_eq!(day.len(), 2);
/// let hers = day.get("ada").expect("there are some");
/// assert_eq!((hers.events_count, hers.measured(fields.bytes())?.sum), (2, 511));
/// assert_eq!(day.iter().map(|bucket| bucket.value()).collect::<Vec<_>>(), [Some("ada"), Some("bob")]);
/// assert_eq!(day.iter().map(|bucket| bucket.totals(0).sum).sum::<i128>(), 531);
/// let his = view.rollup_of(fields.user(), 0, "bob")?.expect("one");
/// assert_eq!(his.measured(fields.bytes())?.sum, 20);
///
/// let by_both = view.rollup_day(0)?;
/// assert_eq!((by_both.dimensions(), by_both.len()), (&[2, 3][..], 2));
/// assert_eq!(by_both.value_of(1, fields.user())?, Some("bob"));
/// assert_eq!(by_both.value_of(1, fields.region())?, Some("eu"));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct DayRollup<'v> {
    schema: &'v Arc<Schema>,
    /// The fields that are added up.
    fields: Vec<usize>,
    /// Those by whose values.
    dimensions: Vec<usize>,
    told: Told<'v>,
}

/// What is told of a day.
#[derive(Clone, Debug)]
pub(super) enum Told<'v> {
    /// By a part, where it lies there.
    InPlace(DayBuckets<'v>),
    AddedUp(Arc<AddedUp>),
}

impl Told<'_> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::InPlace(day) => day.len(),
            Self::AddedUp(day) => day.len(),
        }
    }

    #[inline]
    pub(super) fn value(&self, at: usize, dimension: usize) -> Option<&str> {
        match self {
            Self::InPlace(day) => day.value(at, dimension),
            Self::AddedUp(day) => day.value(at, dimension),
        }
    }

    #[inline]
    pub(super) fn events_count(&self, at: usize) -> u64 {
        match self {
            Self::InPlace(day) => day.events_count(at),
            Self::AddedUp(day) => day.events_count(at),
        }
    }

    #[inline]
    pub(super) fn totals(&self, at: usize, field: usize) -> Totals {
        match self {
            Self::InPlace(day) => day.totals(at, field),
            Self::AddedUp(day) => day.totals(at, field),
        }
    }

    /// The bucket of a value, by the values of one dimension.
    pub(super) fn find(&self, value: &str) -> Option<usize> {
        match self {
            Self::InPlace(day) => day.find(Some(value)),
            Self::AddedUp(day) => day.find(value),
        }
    }
}

/// What the events of one day and value come to.
#[derive(Clone, Copy)]
pub struct DayBucket<'r> {
    /// How many events there are.
    pub events_count: u64,
    rollup: &'r DayRollup<'r>,
    at: usize,
}

/// The place of a field among those that are added up; `None` if the events lack it.
fn place_in(
    fields: &[usize],
    schema: &Arc<Schema>,
    field: impl ToMeasure,
) -> annals_columns::Result<Option<usize>> {
    match field.field_in(schema)? {
        ABSENT_FIELD => Ok(None),
        field => fields.iter().position(|one| *one == field).map(Some).ok_or(NOT_ADDED_UP),
    }
}

const NOT_ADDED_UP: ColumnsError = ColumnsError::Question {
    what: "by day metrics and counters are added up, and no other fields",
};

impl<'r> DayBucket<'r> {
    /// The value, of several dimensions that of the first; `None` for events that have none. Looked up when it is asked for.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Option<&'r str> {
        self.rollup.told.value(self.at, 0)
    }

    /// What the numbers of a field come to, a metric or a counter.
    ///
    /// # Errors
    /// `InvalidInput` if it is another field.
    pub fn measured(&self, field: impl ToMeasure) -> Result<Totals> {
        let place = place_in(&self.rollup.fields, self.rollup.schema, field)?;
        Ok(place.map_or(NOTHING, |place| self.totals(place)))
    }

    /// What a field comes to, counted among [these](DayRollup::fields).
    ///
    /// # Panics
    /// If there is no such field.
    #[inline]
    #[must_use]
    pub fn totals(&self, field: usize) -> Totals {
        assert!(field < self.rollup.fields.len(), "there is no such field");
        self.rollup.told.totals(self.at, field)
    }

    /// What each of the [fields](DayRollup::fields) comes to.
    pub fn all_totals(&self) -> impl ExactSizeIterator<Item = Totals> {
        (0..self.rollup.fields.len()).map(|field| self.totals(field))
    }
}

impl PartialEq for DayBucket<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.value(), self.events_count) == (other.value(), other.events_count)
            && self.all_totals().eq(other.all_totals())
    }
}

impl fmt::Debug for DayBucket<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DayBucket")
            .field("value", &self.value())
            .field("events_count", &self.events_count)
            .field("totals", &self.all_totals().collect::<Vec<_>>())
            .finish()
    }
}

/// What the events of one day and value come to, of a question about one of them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DayTotals {
    /// How many events there are.
    pub events_count: u64,
    /// What each metric and counter comes to, in the order of the schema.
    pub totals: Vec<Totals>,
    pub(super) schema: Arc<Schema>,
}

impl DayTotals {
    /// What the numbers of a field come to, a metric or a counter.
    ///
    /// # Errors
    /// `InvalidInput` if it is another field.
    pub fn measured(&self, field: impl ToMeasure) -> Result<Totals> {
        let place = place_in(&super::summed(&self.schema), &self.schema, field)?;
        Ok(place.and_then(|place| self.totals.get(place).copied()).unwrap_or(NOTHING))
    }
}

impl PartialEq for DayRollup<'_> {
    fn eq(&self, other: &Self) -> bool {
        // The same may be told in other codes and widths.
        let values = |day: &Self, at| (1..day.dimensions.len()).map(move |place| (at, place));
        (&self.fields, &self.dimensions) == (&other.fields, &other.dimensions)
            && self.iter().eq(other.iter())
            && (0..self.len())
                .flat_map(|at| values(self, at))
                .all(|(at, place)| self.told.value(at, place) == other.told.value(at, place))
    }
}

impl fmt::Debug for DayRollup<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = 0..self.dimensions.len();
        let values = |at| places.clone().map(|place| self.told.value(at, place)).collect();
        let bucket = |bucket: DayBucket<'_>| {
            let (values, totals): (Vec<_>, Vec<_>) =
                (values(bucket.at), bucket.all_totals().collect());
            (values, bucket.events_count, totals)
        };
        out.debug_struct("DayRollup")
            .field("fields", &self.fields)
            .field("dimensions", &self.dimensions)
            .field("buckets", &self.iter().map(bucket).collect::<Vec<_>>())
            .finish()
    }
}

impl<'v> DayRollup<'v> {
    pub(super) fn new(question: Question<'v>, told: Told<'v>) -> Self {
        let Question { schema, dimensions, fields, .. } = question;
        Self { schema, fields, dimensions, told }
    }

    /// Whether it is read where it lies.
    #[cfg(test)]
    pub(in super::super) fn is_in_place(&self) -> bool {
        matches!(self.told, Told::InPlace(_))
    }

    /// Whether both were added up at once.
    #[cfg(test)]
    pub(in super::super) fn is_same(&self, other: &Self) -> bool {
        matches!((&self.told, &other.told), (Told::AddedUp(one), Told::AddedUp(other)) if Arc::ptr_eq(one, other))
    }

    /// The day of a time: days since 1970.
    #[must_use]
    pub fn day_of(ts: i64) -> i64 {
        ts.div_euclid(DAY_NS as i64)
    }

    /// The fields that are added up, by their indices in the [view's schema](super::super::TableView::schema): metrics and
    /// counters, in its order. A table that is given more columns may have others there; what names a field of a type is
    /// found all the same ([`DayBucket::measured`]).
    #[must_use]
    pub fn fields(&self) -> &[usize] {
        &self.fields
    }

    /// The dimensions by whose values it is, by their indices in the view's schema.
    #[must_use]
    pub fn dimensions(&self) -> &[usize] {
        &self.dimensions
    }

    /// How many buckets there are: values, or combinations of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All buckets.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = DayBucket<'_>> {
        (0..self.len()).map(|at| self.bucket(at))
    }

    /// The value of a dimension, counted among [these](Self::dimensions), of a bucket; `None` for events that have none.
    ///
    /// # Panics
    /// If there is no such bucket or dimension.
    #[must_use]
    pub fn value(&self, at: usize, dimension: usize) -> Option<&str> {
        assert!(at < self.len() && dimension < self.dimensions.len(), "there is no such bucket");
        self.told.value(at, dimension)
    }

    /// The value of a dimension of a bucket; `None` for events that have none.
    ///
    /// # Errors
    /// `InvalidInput` if it is not by the values of this field.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn value_of(&self, at: usize, dimension: impl ToField) -> Result<Option<&str>> {
        let field = dimension.field_in(self.schema)?;
        let place = self.dimensions.iter().position(|one| *one == field);
        let what = "these sums are not by the values of this field";
        let place = place.ok_or(ColumnsError::Question { what })?;
        Ok(self.value(at, place))
    }

    /// What the events with this value come to, by the values of one dimension.
    #[must_use]
    pub fn get(&self, value: &str) -> Option<DayBucket<'_>> {
        let [_] = self.dimensions[..] else { return None };
        Some(self.bucket(self.told.find(value)?))
    }

    #[inline]
    fn bucket(&self, at: usize) -> DayBucket<'_> {
        DayBucket { events_count: self.told.events_count(at), rollup: self, at }
    }
}
