//! A field of a schema.

use crate::ValueType;
use std::fmt;

/// What is done for a dimension beside keeping it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Nothing: filtered and grouped by its column.
    #[default]
    Plain,
    /// A filter and lists of rows, so that events of one value are found without a look at others. One
    /// dimension of a schema may have them.
    Bloom,
    /// Sums by value and day are kept.
    Rollup,
    /// Both.
    BloomRollup,
}

impl Dimension {
    /// Whether there are a filter and lists of rows.
    #[must_use]
    pub fn has_bloom(self) -> bool {
        matches!(self, Self::Bloom | Self::BloomRollup)
    }

    /// Whether there are sums by value and day.
    #[must_use]
    pub fn has_rollup(self) -> bool {
        matches!(self, Self::Rollup | Self::BloomRollup)
    }
}

/// What a field is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// When the event happened, in nanoseconds since 1970: the order of events.
    Ts,
    /// What is mostly summed up: a price, an amount.
    MetricI64,
    /// The same with a fraction. A sum of *n* of these, which are added up in any order, is off by *n* · 2^-53 times the sum of their
    /// absolute values at most, as long as that sum is a finite number; one that is not a number makes a sum that is none, and
    /// so do infinite ones of both signs. Negative zero is kept as zero, and every value that is not a number as the same one, which
    /// counts as the largest.
    MetricF64,
    /// A count of 32 bits.
    CounterU32,
    /// A count of 64 bits.
    CounterU64,
    /// How long it took, in milliseconds.
    Latency,
    /// How long a part of it took, in milliseconds.
    LatencyDetail,
    /// How it ended.
    Status,
    /// Bits with names, the lowest first.
    Flags(Vec<String>),
    /// A string to filter and group by.
    Dimension(Dimension),
    /// A string that is kept and not indexed.
    Label,
    /// A string by which the event is found.
    Id,
}

impl Role {
    /// What is kept for a field of this role.
    ///
    /// ```
    /// use annals_columns::{Role, ValueType};
    /// assert_eq!(Role::Status.value_type(), ValueType::U16);
    /// ```
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Ts | Self::MetricI64 => ValueType::I64,
            Self::MetricF64 => ValueType::F64,
            Self::CounterU64 => ValueType::U64,
            Self::CounterU32 | Self::Latency | Self::LatencyDetail => ValueType::U32,
            Self::Status | Self::Flags(_) => ValueType::U16,
            Self::Dimension(_) | Self::Label | Self::Id => ValueType::Text,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ts => out.write_str("ts"),
            Self::MetricI64 => out.write_str("metric i64"),
            Self::MetricF64 => out.write_str("metric f64"),
            Self::CounterU32 => out.write_str("counter u32"),
            Self::CounterU64 => out.write_str("counter u64"),
            Self::Latency => out.write_str("latency"),
            Self::LatencyDetail => out.write_str("latency_detail"),
            Self::Status => out.write_str("status"),
            Self::Flags(names) => write!(out, "flags ({})", names.join(", ")),
            Self::Dimension(Dimension::Plain) => out.write_str("dimension"),
            Self::Dimension(Dimension::Bloom) => out.write_str("dimension (bloom)"),
            Self::Dimension(Dimension::Rollup) => out.write_str("dimension (rollup)"),
            Self::Dimension(Dimension::BloomRollup) => out.write_str("dimension (bloom, rollup)"),
            Self::Label => out.write_str("label"),
            Self::Id => out.write_str("id"),
        }
    }
}

/// A field of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) is_optional: bool,
}

impl Field {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    #[must_use]
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// What is kept for it.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        self.role.value_type()
    }

    /// Whether events may lack it.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.is_optional
    }
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.name, self.role)?;
        if self.is_optional { out.write_str(", optional") } else { Ok(()) }
    }
}
