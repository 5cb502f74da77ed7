//! Quantiles: of all numbers, or of a sketch of them.
//!
//! A sketch counts numbers in *buckets*. Whole numbers below 256 have one each; above, and of numbers with
//! fractions everywhere, 128 of them divide what lies between two powers of two. A number is told as the middle of
//! its bucket, which is off by at most one part in 256, and by the lowest and the highest there were, which are
//! exact. (Numbers with fractions nearer to zero than 2^-1022 are off by at most 2^-1029.) The bucket of a number depends on nothing else, so sketches of parts are merged by adding counts, in any order.

use crate::{Value, ValueType, part::image};

/// Bits of a number behind its highest one that choose its bucket.
const BUCKET_BITS: u32 = 7;
/// Bits of a number with a fraction that its bucket leaves out.
const FLOAT_SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - BUCKET_BITS;
/// Of numbers with a sign the bucket of zero.
const ZERO: u32 = 1 << 13;
/// So many numbers are sorted rather than divided.
const SORTED_COUNT: usize = 4_096;
/// What numbers are divided into where a few of many are looked for.
const DIVISIONS_BITS: u32 = 12;
const DIVISIONS: usize = 1 << DIVISIONS_BITS;
/// Counts of so many buckets are kept for each that has any, or those that have any are listed.
const DENSE_SHARE: usize = 4;
/// So many buckets that have any are listed in any case.
const LISTED_COUNT: usize = 64;
/// Where so many more at once are asked for, it is seen whether there are enough that have any.
const THINNED_BUCKETS: usize = 16;

/// The bucket of a number, given by its image. Buckets have the order of their numbers.
#[inline(always)]
pub(super) fn bucket_of(value_type: ValueType, image: u64) -> u32 {
    match value_type {
        ValueType::F64 => (image >> FLOAT_SHIFT) as u32,
        ValueType::I64 => {
            let number = image::to_i64(image);
            let bucket = whole_bucket_of(number.unsigned_abs());
            if number < 0 { ZERO - bucket } else { ZERO + bucket }
        }
        _ => whole_bucket_of(image),
    }
}

#[inline(always)]
fn whole_bucket_of(number: u64) -> u32 {
    // Below 256 the shift is zero, and the bucket is the number.
    let shift = (u64::BITS - BUCKET_BITS - 1).saturating_sub(number.leading_zeros());
    (shift << BUCKET_BITS) + (number >> shift) as u32
}

/// What the numbers of a bucket are told as.
fn whole_of_bucket(bucket: u32) -> u64 {
    let shift = (bucket >> BUCKET_BITS).saturating_sub(1);
    let low = u64::from(bucket - (shift << BUCKET_BITS)) << shift;
    low + (1u64 << shift) / 2
}

/// What the numbers of a bucket are told as: an image.
fn image_of_bucket(value_type: ValueType, bucket: u32) -> u64 {
    match value_type {
        ValueType::F64 => {
            let low = u64::from(bucket) << FLOAT_SHIFT;
            let zeroes = [image::of_f64(0.0), image::of_f64(-0.0)];
            let zero = zeroes.into_iter().find(|zero| zero >> FLOAT_SHIFT == bucket.into());
            zero.unwrap_or(low + (1 << (FLOAT_SHIFT - 1)))
        }
        ValueType::I64 => {
            let whole = |bucket| i64::try_from(whole_of_bucket(bucket)).unwrap_or(i64::MAX);
            image::of_i64(match bucket.checked_sub(ZERO) {
                Some(bucket) => whole(bucket),
                None => -whole(ZERO - bucket),
            })
        }
        _ => whole_of_bucket(bucket),
    }
}

/// What the quantiles of a field's numbers are taken from.
///
/// The quantile of a share *s* of *n* numbers is the one at place *s* × *n*, rounded up, when they are counted from the lowest on
/// (*nearest rank*): always one of the numbers, or, by a sketch, at most one part in 256 beside it.
///
/// ```
/// use annals_columns::{Batch, Query, Role, Schema, Value};
/// use std::sync::Arc;
/// let schema = Arc::new(Schema::builder(1).with("latency", Role::Latency).build()?);
/// let mut batch = Batch::new(Arc::clone(&schema));
/// for ms in 1..=1_000u32 {
///     let mut row = batch.row();
///     row.u32(0, ms)?;
///     row.finish()?;
/// }
/// let query = Query::new(schema).quantiles(0).quantiles_by_sketch(0);
/// let mut answer = query.answer()?;
/// answer.add_batch(&batch)?;
/// let group = &answer.groups()[0];
/// assert_eq!(group.quantiles[0].at(0.99), Value::U64(990));
/// assert_eq!(group.quantiles[0].at_each(&[0.0, 0.5, 1.0])[1], Value::U64(500));
/// let near = group.quantiles[1].at(0.99).as_u64().unwrap_or(0);
/// assert!(near.abs_diff(990) <= 990 / 256);
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Quantiles {
    value_type: ValueType,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    /// All, by their images, in any order.
    All(Vec<u64>),
    /// The same of a field whose numbers have 32 bits at most.
    Narrow(Vec<u32>),
    Sketch(Sketch),
}

/// Whether they are taken from the same numbers, in whatever order these came.
impl PartialEq for Quantiles {
    fn eq(&self, other: &Self) -> bool {
        self.value_type == other.value_type
            && match (&self.numbers, &other.numbers) {
                (Numbers::All(one), Numbers::All(other)) => sorted(one) == sorted(other),
                (Numbers::Narrow(one), Numbers::Narrow(other)) => sorted(one) == sorted(other),
                (Numbers::Sketch(one), Numbers::Sketch(other)) => {
                    (one.min, one.max) == (other.min, other.max) && one.counts().eq(other.counts())
                }
                _ => false,
            }
    }
}

fn sorted<T: Copy + Ord>(all: &[T]) -> Vec<T> {
    let mut all = all.to_vec();
    all.sort_unstable();
    all
}

impl Quantiles {
    pub(super) fn new(value_type: ValueType, is_exact: bool) -> Self {
        let numbers = match value_type {
            _ if !is_exact => Numbers::Sketch(Sketch::default()),
            ValueType::U32 | ValueType::U16 => Numbers::Narrow(Vec::new()),
            _ => Numbers::All(Vec::new()),
        };
        Self { value_type, numbers }
    }

    /// Adds a number, given by its image.
    pub(super) fn add(&mut self, image: u64) {
        match &mut self.numbers {
            Numbers::All(all) => all.push(image),
            Numbers::Narrow(all) => all.push(image as u32),
            Numbers::Sketch(sketch) => {
                sketch.add(&mut std::iter::once((bucket_of(self.value_type, image), 1)));
                sketch.widen(image, image);
            }
        }
    }

    /// Adds numbers, given by their images.
    pub(super) fn extend(&mut self, images: impl Iterator<Item = u64>) {
        match &mut self.numbers {
            Numbers::All(all) => all.extend(images),
            Numbers::Narrow(all) => all.extend(images.map(|image| image as u32)),
            Numbers::Sketch(_) => images.for_each(|image| self.add(image)),
        }
    }

    /// The same of images of 32 bits at most.
    pub(super) fn extend_narrow(&mut self, images: &[u32]) {
        match &mut self.numbers {
            Numbers::Narrow(all) => all.extend_from_slice(images),
            _ => self.extend(images.iter().map(|image| u64::from(*image))),
        }
    }

    /// Adds counts of all buckets from the first on, and the bounds of what they count.
    pub(super) fn add_all_counts(&mut self, first: u32, counts: &[u32], (min, max): (u64, u64)) {
        if let Numbers::Sketch(sketch) = &mut self.numbers {
            sketch.add_all(first, counts);
            sketch.widen(min, max);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut self.numbers, &other.numbers) {
            (Numbers::All(ours), Numbers::All(theirs)) => ours.extend_from_slice(theirs),
            (Numbers::Narrow(ours), Numbers::Narrow(theirs)) => ours.extend_from_slice(theirs),
            (Numbers::Sketch(ours), Numbers::Sketch(theirs)) => {
                match &theirs.counts {
                    Counts::Dense(first, dense) => ours.add_all(*first, dense),
                    Counts::Sparse(sparse) => ours.add(&mut sparse.iter().copied()),
                }
                ours.widen(theirs.min, theirs.max);
            }
            _ => debug_assert!(false, "the questions were compared before"),
        }
    }

    /// How many numbers there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.numbers {
            Numbers::All(all) => all.len() as u64,
            Numbers::Narrow(all) => all.len() as u64,
            Numbers::Sketch(sketch) => match &sketch.counts {
                Counts::Sparse(sparse) => sparse.iter().map(|(_, count)| count).sum(),
                Counts::Dense(_, dense) => dense.iter().sum(),
            },
        }
    }

    /// About how many bytes it takes beside itself.
    pub(super) fn memory_bytes(&self) -> u64 {
        let bytes = match &self.numbers {
            Numbers::All(all) => all.len() * size_of::<u64>(),
            // What they are collected in has room for as many again.
            Numbers::Narrow(all) => all.len() * size_of::<u64>(),
            Numbers::Sketch(sketch) => match &sketch.counts {
                Counts::Sparse(sparse) => sparse.capacity() * size_of::<(u32, u64)>(),
                Counts::Dense(_, dense) => dense.capacity() * size_of::<u64>(),
            },
        };
        bytes as u64
    }

    /// Whether quantiles are exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !matches!(self.numbers, Numbers::Sketch(_))
    }

    /// The quantile of a share from 0 (the lowest) to 1 (the highest); absent if there is no number.
    #[must_use]
    pub fn at(&self, share: f64) -> Value<'static> {
        self.at_each(&[share]).pop().unwrap_or_default()
    }

    /// The quantiles of several shares, which takes less time than asking for each.
    #[must_use]
    pub fn at_each(&self, shares: &[f64]) -> Vec<Value<'static>> {
        let count = self.count();
        if count == 0 {
            return vec![Value::Absent; shares.len()];
        }
        let rank = |share: &f64| ((share * count as f64).ceil() as u64).clamp(1, count) - 1;
        let ranks: Vec<u64> = shares.iter().map(rank).collect();
        let images = match &self.numbers {
            Numbers::All(all) => nth_each(all, &ranks),
            Numbers::Narrow(all) => nth_each(all, &ranks),
            Numbers::Sketch(sketch) => sketch.nth_each(self.value_type, &ranks),
        };
        images.into_iter().map(|image| image::value(self.value_type, image)).collect()
    }
}

/// The numbers at some places of an order that is not made.
fn nth_each<T: Copy + Ord + Into<u64>>(all: &[T], ranks: &[u64]) -> Vec<u64> {
    if all.len() <= SORTED_COUNT {
        let sorted = sorted(all);
        return ranks.iter().map(|rank| sorted[*rank as usize].into()).collect();
    }
    let Some(first) = all.first() else { return Vec::new() };
    let bounds = all
        .iter()
        .fold((*first, *first), |(min, max), number| (min.min(*number), max.max(*number)));
    let (min, max): (u64, u64) = (bounds.0.into(), bounds.1.into());
    // What is wanted of is in one of so many divisions: only those are looked at closely.
    let shift = (u64::BITS - (max - min).leading_zeros()).saturating_sub(DIVISIONS_BITS);
    let division = |number: T| ((number.into() - min) >> shift) as usize % DIVISIONS;
    let mut counts = vec![0usize; DIVISIONS];
    all.iter().for_each(|number| counts[division(*number)] += 1);
    let mut rest_of = |rank: &u64| {
        let (mut rest, mut at) = (*rank as usize, 0);
        while rest >= counts[at] {
            rest -= counts[at];
            at += 1;
        }
        (at, rest)
    };
    let places: Vec<(usize, usize)> = ranks.iter().map(&mut rest_of).collect();
    if shift == 0 {
        return places.iter().map(|(at, _)| min + *at as u64).collect();
    }
    // Of each division which of those it is that are looked at; zero: none.
    let (mut chosen, mut some) = (vec![0u16; DIVISIONS], Vec::new());
    for (at, _) in &places {
        if chosen[*at] == 0 {
            some.push(Vec::with_capacity(counts[*at]));
            chosen[*at] = some.len() as u16;
        }
    }
    for number in all {
        let one = chosen[division(*number)];
        if one > 0 {
            some[usize::from(one) - 1].push(*number);
        }
    }
    let nth = |(at, rest): &(usize, usize)| {
        let some = &mut some[usize::from(chosen[*at]) - 1];
        (*some.select_nth_unstable(*rest).1).into()
    };
    places.iter().map(nth).collect()
}

/// Counts of buckets.
#[derive(Clone, Debug)]
struct Sketch {
    counts: Counts,
    /// Images of the lowest and the highest number.
    min: u64,
    max: u64,
}

#[derive(Clone, Debug)]
enum Counts {
    /// Of buckets that have any, rising.
    Sparse(Vec<(u32, u64)>),
    /// Of all from the first on.
    Dense(u32, Vec<u64>),
}

impl Default for Sketch {
    fn default() -> Self {
        Self { counts: Counts::Sparse(Vec::new()), min: u64::MAX, max: 0 }
    }
}

impl Sketch {
    fn widen(&mut self, min: u64, max: u64) {
        (self.min, self.max) = (self.min.min(min), self.max.max(max));
    }

    fn counts(&self) -> impl Iterator<Item = (u32, u64)> {
        let (sparse, first, dense) = match &self.counts {
            Counts::Sparse(sparse) => (sparse.as_slice(), 0, &[][..]),
            Counts::Dense(first, dense) => (&[][..], *first, dense.as_slice()),
        };
        let dense = (first..).zip(dense.iter().copied()).filter(|(_, count)| *count > 0);
        sparse.iter().copied().chain(dense)
    }

    /// Adds counts of all buckets from the first on.
    fn add_all<T: Copy + Default + PartialEq + Into<u64>>(&mut self, first: u32, counts: &[T]) {
        let has_any = |count: &T| *count != T::default();
        let Some(from) = counts.iter().position(has_any) else { return };
        let end = counts.iter().rposition(has_any).map_or(from, |last| last + 1);
        let (first, counts) = (first + from as u32, &counts[from..end]);
        if matches!(&self.counts, Counts::Sparse(sparse) if sparse.is_empty()) {
            let some_count = counts.iter().filter(|count| has_any(count)).count();
            if is_dense(some_count, counts.len()) {
                let dense = counts.iter().map(|count| (*count).into());
                self.counts = Counts::Dense(first, dense.collect());
                return;
            }
        }
        self.thin(first, first + counts.len() as u32 - 1);
        let Counts::Dense(start, dense) = &mut self.counts else {
            let some = (first..).zip(counts).filter(|(_, count)| has_any(count));
            return self.add(&mut some.map(|(bucket, count)| (bucket, (*count).into())));
        };
        if first < *start {
            drop(dense.splice(..0, std::iter::repeat_n(0, (*start - first) as usize)));
            *start = first;
        }
        let at = (first - *start) as usize;
        if dense.len() < at + counts.len() {
            dense.resize(at + counts.len(), 0);
        }
        dense[at..].iter_mut().zip(counts).for_each(|(to, count)| *to += (*count).into());
    }

    /// Adds counts of buckets, which rise.
    fn add(&mut self, counts: &mut dyn Iterator<Item = (u32, u64)>) {
        while let Some((bucket, count)) = counts.next() {
            self.thin(bucket, bucket);
            match &mut self.counts {
                Counts::Dense(first, dense) => {
                    if bucket < *first {
                        let more = (*first - bucket) as usize;
                        drop(dense.splice(..0, std::iter::repeat_n(0, more)));
                        *first = bucket;
                    }
                    let at = (bucket - *first) as usize;
                    if at >= dense.len() {
                        dense.resize(at + 1, 0);
                    }
                    dense[at] += count;
                }
                Counts::Sparse(sparse) => {
                    add_one(sparse, bucket, count);
                    // The next ones are behind it.
                    let more: Vec<_> = counts.collect();
                    if !more.is_empty() {
                        *sparse = merged(sparse, &more);
                    }
                    break;
                }
            }
        }
        self.choose();
    }

    /// Makes a list again of counts that would be few for their range with those from `low` to `high`: a number far from all
    /// others must not make millions of bytes of each group.
    #[inline]
    fn thin(&mut self, low: u32, high: u32) {
        if let Counts::Dense(first, dense) = &self.counts {
            let last = *first + (dense.len() as u32).saturating_sub(1);
            let width = (high.max(last) - low.min(*first)) as usize + 1;
            if width > dense.len() + THINNED_BUCKETS {
                self.thin_to(width);
            }
        }
    }

    #[cold]
    fn thin_to(&mut self, width: usize) {
        let sparse: Vec<_> = self.counts().collect();
        // Twice as many as where a list becomes these, so that the two do not take turns.
        if width > 2 * DENSE_SHARE * sparse.len() {
            self.counts = Counts::Sparse(sparse);
        }
    }

    /// Makes a list that has most buckets of its range one count for each.
    fn choose(&mut self) {
        if let Counts::Sparse(sparse) = &self.counts
            && let (Some((first, _)), Some((last, _))) = (sparse.first(), sparse.last())
        {
            let width = (last - first) as usize + 1;
            if is_dense(sparse.len(), width) {
                let mut dense = vec![0; width];
                sparse.iter().for_each(|(bucket, count)| dense[(bucket - first) as usize] = *count);
                self.counts = Counts::Dense(*first, dense);
            }
        }
    }

    fn nth_each(&self, value_type: ValueType, ranks: &[u64]) -> Vec<u64> {
        let find = |rank: &u64| {
            let mut below = 0;
            let mut reaches = |count: u64| {
                below += count;
                below > *rank
            };
            let bucket = match &self.counts {
                Counts::Sparse(sparse) => {
                    sparse.iter().find(|(_, count)| reaches(*count)).map(|(bucket, _)| *bucket)
                }
                Counts::Dense(first, dense) => {
                    dense.iter().position(|count| reaches(*count)).map(|at| first + at as u32)
                }
            };
            let image = bucket.map_or(self.max, |bucket| image_of_bucket(value_type, bucket));
            image.clamp(self.min, self.max.max(self.min))
        };
        ranks.iter().map(find).collect()
    }
}

/// Whether there is to be a count for each bucket of so many, of which some have any.
fn is_dense(some_count: usize, width: usize) -> bool {
    some_count > LISTED_COUNT && width <= DENSE_SHARE * some_count
}

fn add_one(sparse: &mut Vec<(u32, u64)>, bucket: u32, count: u64) {
    match sparse.binary_search_by_key(&bucket, |one| one.0) {
        Ok(at) => sparse[at].1 += count,
        Err(at) => sparse.insert(at, (bucket, count)),
    }
}

fn merged(ours: &[(u32, u64)], theirs: &[(u32, u64)]) -> Vec<(u32, u64)> {
    let mut all = Vec::with_capacity(ours.len() + theirs.len());
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        match (ours.peek(), theirs.peek()) {
            (Some(one), Some(other)) if one.0 == other.0 => {
                all.push((one.0, one.1 + other.1));
                ours.next();
                theirs.next();
            }
            (Some(one), other) if other.is_none_or(|other| one.0 < other.0) => {
                all.push(**one);
                ours.next();
            }
            (_, Some(other)) => {
                all.push(**other);
                theirs.next();
            }
            (_, None) => return all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wholes() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn buckets_rise_with_their_numbers_and_are_near(one in wholes(), other in wholes(), negative: bool) {
            let check = |one: u64, other: u64, of: ValueType| {
                let (a, b) = (bucket_of(of, one), bucket_of(of, other));
                assert!(one > other || a <= b, "{one} {other}");
                let found = image_of_bucket(of, a);
                let (found, one) = match of {
                    ValueType::I64 => (image::to_i64(found) as f64, image::to_i64(one) as f64),
                    ValueType::F64 => (image::to_f64(found), image::to_f64(one)),
                    _ => (found as f64, one as f64),
                };
                assert!((found - one).abs() <= one.abs() / 256.0, "{found} for {one}");
            };
            check(one, other, ValueType::U64);
            let signed = |number: u64| {
                let number = (number >> 1).cast_signed();
                image::of_i64(if negative { -number } else { number })
            };
            check(signed(one), signed(other), ValueType::I64);
            let float = |number: u64| image::of_f64(number as f64 * if negative { -1e-9 } else { 1e9 });
            check(float(one), float(other), ValueType::F64);
        }

        #[test]
        fn places_of_an_order_that_is_not_made(
            numbers in prop::collection::vec(wholes(), 1..200),
            repeats in prop_oneof![Just(1usize), Just(50)],
            ranks in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        ) {
            let all: Vec<u64> = numbers.iter().copied().cycle().take(numbers.len() * repeats).collect();
            let ranks: Vec<u64> = ranks.iter().map(|rank| rank.index(all.len()) as u64).collect();
            let mut sorted = all.clone();
            sorted.sort_unstable();
            let expected: Vec<u64> = ranks.iter().map(|rank| sorted[*rank as usize]).collect();
            prop_assert_eq!(nth_each(&all, &ranks), expected);
            let narrow: Vec<u32> = all.iter().map(|number| *number as u32).collect();
            let mut sorted = narrow.clone();
            sorted.sort_unstable();
            let expected: Vec<u64> = ranks.iter().map(|rank| sorted[*rank as usize].into()).collect();
            prop_assert_eq!(nth_each(&narrow, &ranks), expected);
        }

        #[test]
        fn sketches_are_near_and_the_same_however_they_are_merged(
            numbers in prop::collection::vec(wholes(), 1..600),
            cut in any::<prop::sample::Index>(),
            share in 0.0f64..=1.0,
        ) {
            let of = |numbers: &[u64]| {
                let mut all = Quantiles::new(ValueType::U64, false);
                numbers.iter().for_each(|number| all.add(*number));
                all
            };
            let whole = of(&numbers);
            let (one, other) = numbers.split_at(cut.index(numbers.len()));
            let mut merged = of(other);
            merged.merge(&of(one));
            let mut exact = Quantiles::new(ValueType::U64, true);
            exact.extend(numbers.iter().copied());
            for share in [0.0, share, 1.0, f64::NAN] {
                let (found, right) = (whole.at(share), exact.at(share));
                prop_assert_eq!(found, merged.at(share));
                let (found, right) = (found.as_u64().unwrap_or(0), right.as_u64().unwrap_or(0));
                prop_assert!(found.abs_diff(right) <= right / 256 + u64::from(right >= 256), "{} {}", found, right);
            }
            prop_assert_eq!((whole.count(), merged.count()), (exact.count(), exact.count()));
        }
    }

    #[test]
    fn the_ends_of_numbers_with_fractions() {
        let numbers = [f64::NEG_INFINITY, -0.0, 0.0, 5e-324, 1.5, f64::INFINITY];
        for is_exact in [true, false] {
            let mut all = Quantiles::new(ValueType::F64, is_exact);
            assert_eq!((all.at(0.5), all.is_exact()), (Value::Absent, is_exact));
            numbers.iter().for_each(|number| all.add(image::of_f64(*number)));
            assert_eq!(all.at(0.0), Value::F64(f64::NEG_INFINITY));
            assert_eq!(all.at(0.5), Value::F64(0.0));
            assert_eq!(all.at(1.0), Value::F64(f64::INFINITY));
        }
    }
}
