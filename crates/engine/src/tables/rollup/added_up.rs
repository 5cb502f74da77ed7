//! What the events of a day come to, added up of rows or of what several tell of it.

use super::{Question, bucket_totals::BucketTotals, day::Told};
use annals_columns::{Schema, Totals, ValueType};
use std::cmp::Ordering;

/// So many places are there for each code that is looked up in an array, or codes are sorted.
const PLACES_A_CODE: usize = 8;

pub(super) const NOTHING: Totals = Totals { count: 0, sum: 0, float_sum: 0.0 };

/// What the events of a day come to by the values of dimensions, by column, in the order of the values.
#[derive(Debug)]
pub(super) struct AddedUp {
    /// The values of each dimension, rising.
    texts: Vec<Texts>,
    /// Of each bucket the places of its values, from 1 on; 0: it has none.
    codes: Vec<u32>,
    counts: Vec<u64>,
    /// Of each field those of all buckets.
    totals: Vec<BucketTotals>,
}

/// Texts one behind the other.
#[derive(Clone, Debug, Default)]
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

impl AddedUp {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(super) fn value(&self, at: usize, dimension: usize) -> Option<&str> {
        let code = self.codes[at * self.texts.len()..][dimension];
        Some(self.texts[dimension].get(code.checked_sub(1)? as usize))
    }

    #[inline]
    pub(super) fn events_count(&self, at: usize) -> u64 {
        self.counts[at]
    }

    #[inline]
    pub(super) fn totals(&self, at: usize, field: usize) -> Totals {
        self.totals[field].get(at)
    }

    /// The bucket of a value, by the values of one dimension.
    pub(super) fn find(&self, value: &str) -> Option<usize> {
        let code = self.texts.first()?.find(value)? as u32 + 1;
        self.codes.binary_search(&code).ok()
    }

    /// That of buckets, which are in order and of which each has the values of all dimensions, and of all fields what they
    /// come to.
    pub(super) fn of_buckets(
        question: &Question<'_>,
        buckets: &[(Vec<Option<&str>>, u64)],
        totals: &[Totals],
    ) -> Self {
        let mut all: Vec<Vec<&str>> = Vec::with_capacity(question.dimensions.len());
        for place in 0..question.dimensions.len() {
            all.push(different(buckets.iter().filter_map(|(values, _)| values[place])));
        }
        let (mut codes, mut counts) = (Vec::new(), Vec::new());
        for (values, count) in buckets {
            let code = |(value, all): (&Option<&str>, &Vec<&str>)| {
                value.map_or(0, |value| all.partition_point(|text| *text <= value) as u32)
            };
            codes.extend(values.iter().zip(&all).map(code));
            counts.push(*count);
        }
        let fields = &question.fields;
        let of_field = |place| totals.iter().skip(place).step_by(fields.len()).copied();
        let totals = fields.iter().enumerate().map(|(place, field)| {
            BucketTotals::new(is_float(question.schema, *field), of_field(place))
        });
        let totals = totals.collect();
        Self { texts: all.into_iter().map(Texts::from_iter).collect(), codes, counts, totals }
    }

    /// What several tell of the day together.
    pub(super) fn merged(question: &Question<'_>, all: &[Told<'_>]) -> Self {
        let mut merged =
            Self { texts: Vec::new(), codes: Vec::new(), counts: Vec::new(), totals: Vec::new() };
        // The buckets of one behind those of the other, and their codes among the values of all.
        let of_one = |(one, told): (usize, &Told<'_>)| (0..told.len()).map(move |at| (one, at));
        let buckets: Vec<(usize, usize)> = all.iter().enumerate().flat_map(of_one).collect();
        let dimensions_count = question.dimensions.len();
        let mut keys = vec![0; buckets.len() * dimensions_count];
        for place in 0..dimensions_count {
            let ranked: Vec<Ranked<'_>> = all.iter().map(|one| Ranked::of(one, place)).collect();
            let union = different(ranked.iter().flat_map(|one| one.texts.iter().copied()));
            let mut places = keys.iter_mut().skip(place).step_by(dimensions_count);
            for one in &ranked {
                let mut next = 0;
                let code = |text: &&str| {
                    next += union[next..].partition_point(|found| found < text);
                    next as u32 + 1
                };
                let codes: Vec<u32> =
                    std::iter::once(0).chain(one.texts.iter().map(code)).collect();
                let own = one.codes.iter().zip(&mut places);
                own.for_each(|(code, to)| *to = codes[*code as usize]);
            }
            merged.texts.push(union.into_iter().collect());
        }
        let key = |at: &usize| &keys[at * dimensions_count..][..dimensions_count];
        let mut order: Vec<usize> = (0..buckets.len()).collect();
        // Those of each are in order: they are runs, which this finds.
        order.sort_by(|one, other| key(one).cmp(key(other)));
        let same: Vec<&[usize]> = order.chunk_by(|one, other| key(one) == key(other)).collect();
        let told = |bucket: &usize| (&all[buckets[*bucket].0], buckets[*bucket].1);
        for same in &same {
            merged.codes.extend_from_slice(key(&same[0]));
            let counts = same.iter().map(told).map(|(one, at)| one.events_count(at));
            merged.counts.push(counts.sum());
        }
        for (place, field) in question.fields.iter().enumerate() {
            let added = same.iter().map(|same| {
                let mut sum = NOTHING;
                same.iter().map(told).for_each(|(one, at)| add(&mut sum, &one.totals(at, place)));
                sum
            });
            merged.totals.push(BucketTotals::new(is_float(question.schema, *field), added));
        }
        merged
    }
}

/// The values that a day has of a dimension, rising, and of each bucket the place of its own among them, from 1 on; 0: it
/// has none.
struct Ranked<'r> {
    texts: Vec<&'r str>,
    codes: Vec<u32>,
}

impl<'r> Ranked<'r> {
    fn of(told: &'r Told<'_>, dimension: usize) -> Self {
        match told {
            Told::InPlace(day) => {
                let (mut codes, mut texts) = (day.codes(dimension), Vec::new());
                rank(&mut codes, |code| texts.push(day.text(dimension, code).unwrap_or_default()));
                Self { texts, codes }
            }
            Told::AddedUp(day) => {
                let codes = day.codes.iter().skip(dimension).step_by(day.texts.len());
                let texts = day.texts[dimension].iter().collect();
                Self { texts, codes: codes.copied().collect() }
            }
        }
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
fn rank(codes: &mut [u32], mut each: impl FnMut(u32)) {
    let mut count = 0;
    if codes.is_sorted() {
        let mut last = 0;
        for code in codes {
            if *code != last {
                (last, count) = (*code, count + 1);
                each(last);
            }
            *code = count;
        }
        return;
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
                each(code);
            }
        }
        codes.iter_mut().for_each(|code| *code = places[*code as usize]);
        return;
    }
    let mut all: Vec<u32> = codes.iter().copied().filter(|code| *code > 0).collect();
    all.sort_unstable();
    all.dedup();
    all.iter().for_each(|code| each(*code));
    codes.iter_mut().for_each(|code| *code = all.partition_point(|one| one <= code) as u32);
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
            rank(&mut ranked, |code| given.push(code));
            prop_assert!(given.is_sorted_by(|one, other| one < other) && !given.contains(&0));
            let again = ranked.iter().map(|place| place.checked_sub(1).map_or(0, |at| given[at as usize]));
            prop_assert!(again.eq(codes));
        }
    }
}
