//! Which events are meant.

use crate::{Error, Result, Schema, Value, ValueType, part::image};
use std::ops::Not;

/// A value to compare with.
#[derive(Clone, Debug)]
pub enum Constant {
    /// Of a time or a metric.
    I64(i64),
    /// Of a metric with fractions.
    F64(f64),
    /// Of a counter, a latency, a status or flags.
    U64(u64),
    /// Of a dimension, a label or an id.
    Text(String),
}

/// As numbers with fractions are compared: what is not a number is the same as itself, and so are both zeroes.
impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::I64(one), Self::I64(other)) => one == other,
            (Self::F64(one), Self::F64(other)) => {
                image::canonical(*one).total_cmp(&image::canonical(*other)).is_eq()
            }
            (Self::U64(one), Self::U64(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }
}

impl From<i64> for Constant {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}

impl From<f64> for Constant {
    fn from(number: f64) -> Self {
        Self::F64(number)
    }
}

impl From<u64> for Constant {
    fn from(number: u64) -> Self {
        Self::U64(number)
    }
}

impl From<u32> for Constant {
    fn from(number: u32) -> Self {
        Self::U64(number.into())
    }
}

impl From<u16> for Constant {
    fn from(number: u16) -> Self {
        Self::U64(number.into())
    }
}

impl From<&str> for Constant {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Constant {
    fn value_type(&self) -> ValueType {
        match self {
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
            Self::U64(_) => ValueType::U64,
            Self::Text(_) => ValueType::Text,
        }
    }

    /// Whether a field of this type can be compared with it.
    fn fits(&self, of: ValueType) -> bool {
        match self {
            Self::U64(_) => matches!(of, ValueType::U64 | ValueType::U32 | ValueType::U16),
            other => other.value_type() == of,
        }
    }

    /// How a value compares with this one. Numbers with fractions have one order: what is not a number is the largest.
    fn compare(&self, value: Value<'_>) -> Option<std::cmp::Ordering> {
        match (value, self) {
            (Value::I64(value), Self::I64(constant)) => Some(value.cmp(constant)),
            (Value::U64(value), Self::U64(constant)) => Some(value.cmp(constant)),
            (Value::F64(value), Self::F64(constant)) => {
                Some(value.total_cmp(&image::canonical(*constant)))
            }
            (Value::Text(value), Self::Text(constant)) => Some(value.cmp(constant.as_str())),
            _ => None,
        }
    }
}

/// Which events are meant. Fields are named by their index in a schema.
///
/// An event without a value is not meant by any comparison with it, and so is meant by what is the
/// contrary of one.
///
/// ```
/// use annals_columns::{Filter, Value};
/// let filter = Filter::at_least(3, 500u16).and(!Filter::eq(1, "ada"));
/// let of = |user, status| move |field| if field == 1 { user } else { Value::U64(status) };
/// assert!(filter.matches(of(Value::Text("bob"), 503)));
/// assert!(filter.matches(of(Value::Absent, 503)));
/// assert!(!filter.matches(of(Value::Text("ada"), 503)));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// The value is this.
    Eq(usize, Constant),
    /// The value is one of these.
    In(usize, Vec<Constant>),
    /// The value is this or a higher one; of strings by their bytes.
    AtLeast(usize, Constant),
    /// The value is this or a lower one.
    AtMost(usize, Constant),
    /// The string begins with this.
    Prefix(usize, String),
    /// All of these bits are set.
    FlagsSet(usize, u16),
    /// None of these bits is set.
    FlagsUnset(usize, u16),
    /// There is a value.
    Present(usize),
    /// Not these.
    Not(Box<Self>),
    /// Those that all of these mean.
    And(Vec<Self>),
    /// Those that one of these means.
    Or(Vec<Self>),
}

impl Filter {
    /// The value is `constant`.
    #[must_use]
    pub fn eq(field: usize, constant: impl Into<Constant>) -> Self {
        Self::Eq(field, constant.into())
    }

    /// The value is one of these.
    #[must_use]
    pub fn is_in<C: Into<Constant>>(field: usize, constants: impl IntoIterator<Item = C>) -> Self {
        Self::In(field, constants.into_iter().map(Into::into).collect())
    }

    /// The value is `constant` or a higher one.
    #[must_use]
    pub fn at_least(field: usize, constant: impl Into<Constant>) -> Self {
        Self::AtLeast(field, constant.into())
    }

    /// The value is `constant` or a lower one.
    #[must_use]
    pub fn at_most(field: usize, constant: impl Into<Constant>) -> Self {
        Self::AtMost(field, constant.into())
    }

    /// The value is higher than `constant`.
    ///
    /// ```
    /// use annals_columns::{Filter, Value};
    /// assert!(!Filter::above(0, 5u32).matches(|_| Value::U64(5)));
    /// assert!(Filter::above(0, 5u32).matches(|_| Value::U64(6)));
    /// assert!(!Filter::above(0, i64::MAX).matches(|_| Value::I64(i64::MAX)));
    /// ```
    #[must_use]
    pub fn above(field: usize, constant: impl Into<Constant>) -> Self {
        let next = match constant.into() {
            Constant::I64(number) => number.checked_add(1).map(Constant::I64),
            Constant::U64(number) => number.checked_add(1).map(Constant::U64),
            // There is no next one to begin with.
            constant => {
                return Self::AtLeast(field, constant.clone()).and(!Self::Eq(field, constant));
            }
        };
        next.map_or(Self::Or(Vec::new()), |next| Self::AtLeast(field, next))
    }

    /// The value is lower than `constant`.
    #[must_use]
    pub fn below(field: usize, constant: impl Into<Constant>) -> Self {
        let last = match constant.into() {
            Constant::I64(number) => number.checked_sub(1).map(Constant::I64),
            Constant::U64(number) => number.checked_sub(1).map(Constant::U64),
            constant => {
                return Self::AtMost(field, constant.clone()).and(!Self::Eq(field, constant));
            }
        };
        last.map_or(Self::Or(Vec::new()), |last| Self::AtMost(field, last))
    }

    /// Times from `from` on and before `to`, of the field that has the time.
    #[must_use]
    pub fn between(field: usize, from: i64, to: i64) -> Self {
        Self::at_least(field, from).and(Self::below(field, to))
    }

    /// Those that both mean.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) => other,
            (one, Self::All) => one,
            (Self::And(mut all), other) => {
                all.push(other);
                Self::And(all)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// Those that one of both means.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Or(mut any), other) => {
                any.push(other);
                Self::Or(any)
            }
            (one, other) => Self::Or(vec![one, other]),
        }
    }

    /// Whether an event is meant whose values `value_of` gives.
    pub fn matches<'v>(&self, value_of: impl Fn(usize) -> Value<'v> + Copy) -> bool {
        let compare = |field: &usize, constant: &Constant| constant.compare(value_of(*field));
        match self {
            Self::All => true,
            Self::Eq(field, constant) => {
                compare(field, constant).is_some_and(|order| order.is_eq())
            }
            Self::In(field, constants) => constants
                .iter()
                .any(|constant| compare(field, constant).is_some_and(|order| order.is_eq())),
            Self::AtLeast(field, constant) => {
                compare(field, constant).is_some_and(|order| order.is_ge())
            }
            Self::AtMost(field, constant) => {
                compare(field, constant).is_some_and(|order| order.is_le())
            }
            Self::Prefix(field, prefix) => {
                value_of(*field).as_text().is_some_and(|text| text.starts_with(prefix.as_str()))
            }
            Self::FlagsSet(field, bits) => value_of(*field)
                .as_u64()
                .is_some_and(|flags| flags & u64::from(*bits) == u64::from(*bits)),
            Self::FlagsUnset(field, bits) => {
                value_of(*field).as_u64().is_some_and(|flags| flags & u64::from(*bits) == 0)
            }
            Self::Present(field) => !value_of(*field).is_absent(),
            Self::Not(filter) => !filter.matches(value_of),
            Self::And(all) => all.iter().all(|filter| filter.matches(value_of)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(value_of)),
        }
    }

    /// The same of events whose fields have other indices, which `find` tells; what it does not find is absent.
    pub(super) fn translated(&self, find: &impl Fn(usize) -> Option<usize>) -> Self {
        let with = |field: &usize, make: &dyn Fn(usize) -> Self| {
            find(*field).map_or_else(|| Self::Or(Vec::new()), make)
        };
        let all = |filters: &[Self]| filters.iter().map(|filter| filter.translated(find)).collect();
        match self {
            Self::All => Self::All,
            Self::Eq(field, constant) => with(field, &|at| Self::Eq(at, constant.clone())),
            Self::In(field, constants) => with(field, &|at| Self::In(at, constants.clone())),
            Self::AtLeast(field, constant) => {
                with(field, &|at| Self::AtLeast(at, constant.clone()))
            }
            Self::AtMost(field, constant) => with(field, &|at| Self::AtMost(at, constant.clone())),
            Self::Prefix(field, prefix) => with(field, &|at| Self::Prefix(at, prefix.clone())),
            Self::FlagsSet(field, bits) => with(field, &|at| Self::FlagsSet(at, *bits)),
            Self::FlagsUnset(field, bits) => with(field, &|at| Self::FlagsUnset(at, *bits)),
            Self::Present(field) => with(field, &Self::Present),
            Self::Not(filter) => Self::Not(Box::new(filter.translated(find))),
            Self::And(filters) => Self::And(all(filters)),
            Self::Or(filters) => Self::Or(all(filters)),
        }
    }

    /// Whether the filter can be asked of events of a schema.
    ///
    /// # Errors
    /// [`Error::NoField`] or [`Error::WrongType`].
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let check = |field: &usize, fits: &dyn Fn(ValueType) -> bool, given: ValueType| {
            let fields = schema.fields();
            let found =
                fields.get(*field).ok_or(Error::NoField { index: *field, count: fields.len() })?;
            if fits(found.value_type()) {
                return Ok(());
            }
            let (field, expected) = (found.name().to_owned(), found.value_type());
            Err(Error::WrongType { field, expected, given })
        };
        let constant = |field, constant: &Constant| {
            check(field, &|of| constant.fits(of), constant.value_type())
        };
        match self {
            Self::All => Ok(()),
            Self::Eq(field, value) | Self::AtLeast(field, value) | Self::AtMost(field, value) => {
                constant(field, value)
            }
            Self::In(field, values) => values.iter().try_for_each(|value| constant(field, value)),
            Self::Prefix(field, _) => check(field, &|of| of == ValueType::Text, ValueType::Text),
            Self::FlagsSet(field, _) | Self::FlagsUnset(field, _) => {
                check(field, &|of| of == ValueType::U16, ValueType::U16)
            }
            Self::Present(field) => check(field, &|_| true, ValueType::Text),
            Self::Not(filter) => filter.check(schema),
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().try_for_each(|filter| filter.check(schema))
            }
        }
    }
}

impl Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Not(filter) => *filter,
            other => Self::Not(Box::new(other)),
        }
    }
}
