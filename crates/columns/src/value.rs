//! A value of one field of one event.

use std::fmt;

/// What is kept for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A whole number with a sign.
    I64,
    /// A number with a fraction.
    F64,
    /// A whole number of 64 bits.
    U64,
    /// A whole number of 32 bits.
    U32,
    /// A whole number of 16 bits.
    U16,
    /// A string.
    Text,
}

impl fmt::Display for ValueType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::I64 => "i64",
            Self::F64 => "f64",
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::Text => "text",
        })
    }
}

/// A value of one field of one event. Strings are borrowed from where the event is kept.
///
/// ```
/// use annals_columns::Value;
/// assert_eq!(Value::from(7u32).as_u64(), Some(7));
/// assert_eq!(Value::from("ada").as_text(), Some("ada"));
/// assert_eq!(Value::Absent.as_text(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Value<'a> {
    /// The field is optional and the event has no value, or it was written before the field was added.
    #[default]
    Absent,
    /// Of a time or a metric.
    I64(i64),
    /// Of a metric with fractions.
    F64(f64),
    /// Of a counter, a latency, a status or flags.
    U64(u64),
    /// Of a dimension, a label or an id.
    Text(&'a str),
}

impl<'a> Value<'a> {
    /// The number of a time or a metric.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        if let Self::I64(number) = self { Some(number) } else { None }
    }

    /// The number of a metric with fractions.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        if let Self::F64(number) = self { Some(number) } else { None }
    }

    /// The number of a counter, a latency, a status or flags.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        if let Self::U64(number) = self { Some(number) } else { None }
    }

    /// The string of a dimension, a label or an id.
    #[must_use]
    pub fn as_text(self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_absent(self) -> bool {
        self == Self::Absent
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::F64(number)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::U64(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::U64(number.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::U64(number.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}
