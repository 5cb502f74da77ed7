//! Figures that need every value: quantiles, and how many values differ.
//!
//! All values of the fields that are asked for are kept until the answer is there, so their number is limited.

use super::{
    query::{Amount, Shown},
    which::Meant,
};
use crate::failure::{Failure, Result};
use annals::{
    FoundRows, TableView,
    columns::{GroupBy, Schema, Value, ValueType},
};
use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

/// So many values are kept, eight bytes each and what sets of them take besides.
const VALUES_MAX: u64 = 1 << 26;

/// What is asked of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exact {
    /// The lowest number that so many of a hundred are not above.
    Percentile(u32),
    /// How many values differ.
    Distinct,
}

/// What is kept of one group: for each thing that is asked for its values.
#[derive(Debug)]
enum Kept {
    All(Vec<u64>),
    Distinct(HashSet<u64>),
}

/// The figures of each group, for each thing that is asked for of a field.
pub(super) fn figures(
    view: &TableView<'_>,
    meant: &Meant,
    by: &[GroupBy],
    asked: &[(Exact, usize)],
) -> Result<HashMap<Vec<Shown>, Vec<Amount>>> {
    let schema = view.schema();
    let mut groups: HashMap<Vec<Shown>, Vec<Kept>> = HashMap::new();
    let mut left = VALUES_MAX;
    meant.each(view, false, u64::MAX, |rows, at| {
        let keys: Vec<Shown> = by.iter().map(|by| key(*by, schema, rows, at)).collect();
        let kept = groups
            .entry(keys)
            .or_insert_with(|| asked.iter().map(|(exact, _)| Kept::new(*exact)).collect());
        for (kept, (_, field)) in kept.iter_mut().zip(asked) {
            if kept.add(rows.value(at, *field)) {
                left = left.checked_sub(1).ok_or_else(too_many)?;
            }
        }
        Ok(())
    })?;
    let told = |kept: Vec<Kept>| {
        let kept = kept.into_iter().zip(asked);
        kept.map(|(kept, (exact, field))| kept.amount(*exact, *field, schema)).collect()
    };
    Ok(groups.into_iter().map(|(keys, kept)| (keys, told(kept))).collect())
}

fn too_many() -> Failure {
    Failure::usage(format!(
        "more than {VALUES_MAX} values would have to be kept; ask for fewer events with --where, --since and --until"
    ))
}

fn key(by: GroupBy, schema: &Schema, rows: &FoundRows<'_>, at: usize) -> Shown {
    match by {
        GroupBy::Field(field) => Shown::of_value(rows.value(at, field), &schema.fields()[field]),
        GroupBy::Time { bucket_ns } => match schema.ts().map(|ts| rows.value(at, ts)) {
            Some(Value::I64(ns)) => {
                let start = i128::from(ns).div_euclid(bucket_ns.into()) * i128::from(bucket_ns);
                Shown::Time(i64::try_from(start).unwrap_or(i64::MIN))
            }
            _ => Shown::Absent,
        },
    }
}

impl Kept {
    fn new(exact: Exact) -> Self {
        match exact {
            Exact::Percentile(_) => Self::All(Vec::new()),
            Exact::Distinct => Self::Distinct(HashSet::new()),
        }
    }

    /// Whether the value takes a place.
    fn add(&mut self, value: Value<'_>) -> bool {
        match (self, value) {
            (_, Value::Absent) => false,
            (Self::Distinct(hashes), Value::Text(text)) => {
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                hashes.insert(hasher.finish())
            }
            (Self::Distinct(values), value) => values.insert(ordered(value)),
            (Self::All(values), value) => {
                values.push(ordered(value));
                true
            }
        }
    }

    fn amount(self, exact: Exact, field: usize, schema: &Schema) -> Amount {
        match (self, exact) {
            (Self::Distinct(values), _) => Amount::Whole(values.len() as i128),
            (Self::All(mut values), Exact::Percentile(percent)) if !values.is_empty() => {
                let rank = (values.len() as u128 * u128::from(percent)).div_ceil(100);
                let place = (rank as usize).clamp(1, values.len()) - 1;
                let (_, value, _) = values.select_nth_unstable(place);
                match (schema.fields()[field].value_type(), Some(field) == schema.ts()) {
                    (ValueType::I64, true) => Amount::Time((*value ^ SIGN).cast_signed()),
                    (ValueType::I64, false) => Amount::Whole((*value ^ SIGN).cast_signed().into()),
                    (ValueType::F64, _) => Amount::Fraction(fraction(*value)),
                    _ => Amount::Whole((*value).into()),
                }
            }
            (Self::All(_), _) => Amount::Nothing,
        }
    }
}

const SIGN: u64 = 1 << 63;

/// A number without sign, in the same order.
fn ordered(value: Value<'_>) -> u64 {
    match value {
        Value::I64(number) => number.cast_unsigned() ^ SIGN,
        Value::U64(number) => number,
        Value::F64(number) => {
            let bits = number.to_bits();
            if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
        }
        Value::Absent | Value::Text(_) => 0,
    }
}

/// The number that [`ordered`] was given.
fn fraction(ordered: u64) -> f64 {
    f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered ^ SIGN })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_of_numbers_stays(one: i64, other: i64, half: f64, whole: f64) {
            let of = |number: i64| ordered(Value::I64(number));
            prop_assert_eq!(one.cmp(&other), of(one).cmp(&of(other)));
            let of = |number: f64| ordered(Value::F64(number));
            prop_assert_eq!(half.total_cmp(&whole), of(half).cmp(&of(whole)));
            prop_assert_eq!(fraction(of(half)).to_bits(), half.to_bits());
        }
    }
}
