//! What the events of one day come to, by the values of dimensions.

use crate::Result;
use annals_columns::{
    ABSENT_FIELD, BucketTotals, DayBuckets, Error as ColumnsError, Schema, ToField, ToMeasure,
    Totals, ValueType,
};
use std::{cmp::Ordering, fmt, sync::Arc};

/// Nanoseconds of a day.
pub(super) const DAY_NS: u64 = 86_400_000_000_000;
/// So many places are there for each code that is looked up in an array, or codes are sorted.
const PLACES_A_CODE: usize = 8;

pub(super) const NOTHING: Totals = Totals { count: 0, sum: 0, float_sum: 0.0 };

/// What the events of one UTC day come to, by the values of a dimension, or of several: absent first, then by the bytes of
/// the values, by the first dimension, then by the next.
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
/// let his = view.rollup_of(fields.user(), 0, "bob")?.expect("one");
/// assert_eq!(his.measured(fields.bytes())?.sum, 20);
///
/// let by_both = view.rollup_day(0)?;
/// assert_eq!((by_both.dimensions(), by_both.len()), (&[2, 3][..], 2));
/// assert_eq!(by_both.value_of(1, fields.user())?, Some("bob"));
/// assert_eq!(by_both.value_of(1, fields.region())?, Some("eu"));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DayRollup {
    schema: Arc<Schema>,
    /// The fields that are added up.
    fields: Vec<usize>,
    /// Those by whose values.
    dimensions: Vec<usize>,
    /// The values of each dimension, rising.
    texts: Vec<Texts>,
    /// Of each bucket the places of its values, from 1 on; 0: it has none.
    codes: Vec<u32>,
    counts: Vec<u64>,
    /// Of each field those of all buckets.
    totals: Vec<BucketTotals>,
}

/// Texts one behind the other.
#[derive(Clone, Debug, Default, PartialEq)]
struct Texts {
    text: String,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    fn get(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|at| self.get(at))
    }

    /// Of texts that rise.
    fn find(&self, text: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(text) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => high = middle,
            }
        }
        None
    }
}

impl<'t> FromIterator<&'t str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'t str>>(all: I) -> Self {
        let mut texts = Self::default();
        all.into_iter().for_each(|text| texts.push(text));
        texts
    }
}

/// What the events of one day and value come to.
#[derive(Clone, Copy)]
pub struct DayBucket<'r> {
    /// The value, of several dimensions that of the first; `None` for events that have none.
    pub value: Option<&'r str>,
    /// How many events there are.
    pub events_count: u64,
    rollup: &'r DayRollup,
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

impl DayBucket<'_> {
    /// What the numbers of a field come to, a metric or a counter.
    ///
    /// # Errors
    /// `InvalidInput` if it is another field.
    pub fn measured(&self, field: impl ToMeasure) -> Result<Totals> {
        let place = place_in(&self.rollup.fields, &self.rollup.schema, field)?;
        Ok(place.map_or(NOTHING, |place| self.totals(place)))
    }

    /// What a field comes to, counted among [these](DayRollup::fields).
    ///
    /// # Panics
    /// If there is no such field.
    #[inline]
    #[must_use]
    pub fn totals(&self, field: usize) -> Totals {
        self.rollup.totals[field].get(self.at, self.events_count)
    }

    /// What each of the [fields](DayRollup::fields) comes to.
    pub fn all_totals(&self) -> impl ExactSizeIterator<Item = Totals> {
        self.rollup.totals.iter().map(|totals| totals.get(self.at, self.events_count))
    }
}

impl PartialEq for DayBucket<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.value, self.events_count) == (other.value, other.events_count)
            && self.all_totals().eq(other.all_totals())
    }
}

impl fmt::Debug for DayBucket<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DayBucket")
            .field("value", &self.value)
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

impl PartialEq for DayRollup {
    fn eq(&self, other: &Self) -> bool {
        // Sums that came from elsewhere may be kept in other widths.
        (&self.fields, &self.dimensions) == (&other.fields, &other.dimensions)
            && (&self.texts, &self.codes) == (&other.texts, &other.codes)
            && self.iter().eq(other.iter())
    }
}

impl DayRollup {
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
        self.counts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// All buckets.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = DayBucket<'_>> {
        (0..self.len()).map(|at| self.bucket(at))
    }

    /// The value of a dimension, counted among [these](Self::dimensions), of a bucket; `None` for events that have none.
    ///
    /// # Panics
    /// If there is no such bucket or dimension.
    #[must_use]
    pub fn value(&self, at: usize, dimension: usize) -> Option<&str> {
        let code = self.codes_of(at)[dimension];
        Some(self.texts[dimension].get(code.checked_sub(1)? as usize))
    }

    /// The value of a dimension of a bucket; `None` for events that have none.
    ///
    /// # Errors
    /// `InvalidInput` if it is not by the values of this field.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn value_of(&self, at: usize, dimension: impl ToField) -> Result<Option<&str>> {
        let field = dimension.field_in(&self.schema)?;
        let place = self.dimensions.iter().position(|one| *one == field);
        let what = "these sums are not by the values of this field";
        let place = place.ok_or(ColumnsError::Question { what })?;
        Ok(self.value(at, place))
    }

    /// What the events with this value come to, by the values of one dimension.
    #[must_use]
    pub fn get(&self, value: &str) -> Option<DayBucket<'_>> {
        let [texts] = &self.texts[..] else { return None };
        let code = texts.find(value)? as u32 + 1;
        Some(self.bucket(self.codes.binary_search(&code).ok()?))
    }

    fn codes_of(&self, at: usize) -> &[u32] {
        let count = self.dimensions.len();
        &self.codes[at * count..][..count]
    }

    fn bucket(&self, at: usize) -> DayBucket<'_> {
        DayBucket { value: self.value(at, 0), events_count: self.counts[at], rollup: self, at }
    }

    fn new(schema: &Arc<Schema>, fields: &[usize], dimensions: &[usize]) -> Self {
        Self {
            schema: Arc::clone(schema),
            fields: fields.to_vec(),
            dimensions: dimensions.to_vec(),
            texts: Vec::new(),
            codes: Vec::new(),
            counts: Vec::new(),
            totals: Vec::new(),
        }
    }

    /// That of a part.
    pub(super) fn of_part(
        schema: &Arc<Schema>,
        fields: &[usize],
        dimensions: &[usize],
        day: &DayBuckets<'_, '_>,
    ) -> Result<Self> {
        let mut rollup = Self::new(schema, fields, dimensions);
        rollup.counts = day.events_counts().collect();
        rollup.totals = (0..fields.len()).map(|field| day.all_totals(field)).collect();
        rollup.codes = vec![0; day.len() * dimensions.len()];
        for place in 0..dimensions.len() {
            let (mut codes, mut texts) = (day.codes(place), Texts::default());
            rank(&mut codes, |code| {
                day.text(place, code)?.into_iter().for_each(|text| texts.push(text));
                Ok(())
            })?;
            let places = rollup.codes.iter_mut().skip(place).step_by(dimensions.len());
            places.zip(codes).for_each(|(to, code)| *to = code);
            rollup.texts.push(texts);
        }
        Ok(rollup)
    }

    /// One of buckets, which are in order and of which each has the values of all dimensions, and of all fields what they
    /// come to.
    pub(super) fn of_buckets(
        schema: &Arc<Schema>,
        fields: &[usize],
        dimensions: &[usize],
        buckets: &[(Vec<Option<&str>>, u64)],
        totals: &[Totals],
    ) -> Self {
        let mut rollup = Self::new(schema, fields, dimensions);
        let mut all: Vec<Vec<&str>> = Vec::with_capacity(dimensions.len());
        for place in 0..dimensions.len() {
            all.push(different(buckets.iter().filter_map(|(values, _)| values[place])));
        }
        for (values, count) in buckets {
            let code = |(value, all): (&Option<&str>, &Vec<&str>)| {
                value.map_or(0, |value| all.partition_point(|text| *text <= value) as u32)
            };
            rollup.codes.extend(values.iter().zip(&all).map(code));
            rollup.counts.push(*count);
        }
        rollup.texts = all.into_iter().map(Texts::from_iter).collect();
        let of_field = |place| totals.iter().skip(place).step_by(fields.len()).copied();
        let totals = fields.iter().enumerate();
        rollup.totals = totals
            .map(|(place, field)| BucketTotals::new(is_float(schema, *field), of_field(place)))
            .collect();
        rollup
    }

    /// What several come to together.
    pub(super) fn merged(
        schema: &Arc<Schema>,
        all: &[Arc<Self>],
        fields: &[usize],
        dimensions: &[usize],
    ) -> Self {
        let mut merged = Self::new(schema, fields, dimensions);
        // Of each of them and each dimension the codes that its own become.
        let mut codes: Vec<Vec<Vec<u32>>> = vec![Vec::new(); all.len()];
        for place in 0..dimensions.len() {
            let union = different(all.iter().flat_map(|one| one.texts[place].iter()));
            for (one, codes) in all.iter().zip(&mut codes) {
                let mut next = 0;
                let code = |text: &str| {
                    next += union[next..].partition_point(|found| *found < text);
                    next as u32 + 1
                };
                codes.push(std::iter::once(0).chain(one.texts[place].iter().map(code)).collect());
            }
            merged.texts.push(union.into_iter().collect());
        }
        // The buckets of one behind those of the other, by their new codes.
        let (mut keys, mut buckets) = (Vec::new(), Vec::new());
        for (one, codes) in all.iter().zip(&codes) {
            for bucket in one.iter() {
                let own = one.codes_of(bucket.at).iter().zip(codes);
                keys.extend(own.map(|(code, codes)| codes[*code as usize]));
                buckets.push(bucket);
            }
        }
        let key = |at: &usize| &keys[at * dimensions.len()..][..dimensions.len()];
        let mut order: Vec<usize> = (0..buckets.len()).collect();
        // Those of each are in order: they are runs, which this finds.
        order.sort_by(|one, other| key(one).cmp(key(other)));
        let same: Vec<&[usize]> = order.chunk_by(|one, other| key(one) == key(other)).collect();
        for same in &same {
            merged.codes.extend_from_slice(key(&same[0]));
            merged.counts.push(same.iter().map(|at| buckets[*at].events_count).sum());
        }
        for (place, field) in fields.iter().enumerate() {
            let added = same.iter().map(|same| {
                let mut sum = NOTHING;
                same.iter().for_each(|at| add(&mut sum, &buckets[*at].totals(place)));
                sum
            });
            merged.totals.push(BucketTotals::new(is_float(schema, *field), added));
        }
        merged
    }
}

fn is_float(schema: &Schema, field: usize) -> bool {
    schema.fields()[field].value_type() == ValueType::F64
}

/// The different ones of texts, rising.
fn different<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut all: Vec<&str> = texts.collect();
    all.sort();
    all.dedup();
    all
}

/// Makes codes their places, from 1 on, among the different ones of them, in their order; 0 stays what it is. Gives each of these
/// once, rising.
fn rank(codes: &mut [u32], mut each: impl FnMut(u32) -> Result<()>) -> Result<()> {
    let mut count = 0;
    if codes.is_sorted() {
        let mut last = 0;
        for code in codes {
            if *code != last {
                (last, count) = (*code, count + 1);
                each(last)?;
            }
            *code = count;
        }
        return Ok(());
    }
    let highest = codes.iter().max().map_or(0, |code| *code as usize);
    if highest <= codes.len().saturating_mul(PLACES_A_CODE) {
        let mut places = vec![0; highest + 1];
        codes.iter().for_each(|code| places[*code as usize] = 1);
        for (code, place) in (0..).zip(&mut places) {
            if code == 0 {
                *place = 0;
            } else if *place > 0 {
                count += 1;
                *place = count;
                each(code)?;
            }
        }
        codes.iter_mut().for_each(|code| *code = places[*code as usize]);
        return Ok(());
    }
    let mut all: Vec<u32> = codes.iter().copied().filter(|code| *code > 0).collect();
    all.sort_unstable();
    all.dedup();
    all.iter().try_for_each(|code| each(*code))?;
    codes.iter_mut().for_each(|code| *code = all.partition_point(|one| one <= code) as u32);
    Ok(())
}

pub(super) fn add(to: &mut Totals, from: &Totals) {
    to.count += from.count;
    // 2^64 events of 64 bits would have to be added first for this to wrap.
    to.sum = to.sum.wrapping_add(from.sum);
    to.float_sum += from.float_sum;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn codes_become_their_places(codes in prop::collection::vec(0u32..2_000, 0..300), shift in 0u32..20, sorted: bool) {
            let mut codes: Vec<u32> = codes.into_iter().map(|code| code << shift >> 8).collect();
            if sorted {
                codes.sort_unstable();
            }
            let (mut ranked, mut given) = (codes.clone(), Vec::new());
            rank(&mut ranked, |code| {
                given.push(code);
                Ok(())
            })?;
            prop_assert!(given.is_sorted_by(|one, other| one < other) && !given.contains(&0));
            let again = ranked.iter().map(|place| place.checked_sub(1).map_or(0, |at| given[at as usize]));
            prop_assert!(again.eq(codes));
        }
    }
}
