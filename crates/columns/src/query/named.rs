//! What names a field: its name, its index, or a method of a Rust type.

use super::{GroupBy, bound::FieldsIn};
use crate::{Error, Result, Schema, WideEvent};
use std::{fmt, marker::PhantomData, sync::Arc};

/// Stands for a field of a type that the events of an older schema do not have. In a [`Query`](super::Query) no event has a value
/// of it; nothing else takes it as an index.
pub const ABSENT_FIELD: usize = usize::MAX;

/// What names a field of a schema: its name, its index, or a [`FieldOf`] a Rust type.
///
/// ```
/// use annals_columns::{Schema, ToField, WideEvent};
///
/// #[derive(Schema)]
/// #[schema(schema_id = 1, crate = annals_columns)]
/// struct Request {
///     #[ts]
///     at: i64,
///     #[dim]
///     user: String,
/// }
///
/// let schema = Request::schema();
/// assert_eq!("user".field_in(schema)?, 1);
/// assert_eq!(Request::fields().user().field_in(schema)?, 1);
/// assert!("users".field_in(schema).is_err());
/// # Ok::<(), annals_columns::Error>(())
/// ```
pub trait ToField {
    /// The index of the field. That of a Rust type is found by its name in the schema of a table that has more columns than
    /// the type; in one that does not have all of them yet it may be [`ABSENT_FIELD`].
    ///
    /// # Errors
    /// [`Error::UnknownField`] or [`Error::NoField`] if there is none, [`Error::SchemaMismatch`] if it is one of another
    /// type.
    fn field_in(self, schema: &Arc<Schema>) -> Result<usize>;
}

/// What names something to group by: a field, or a [`GroupBy`].
pub trait ToGroupBy {
    /// What to group by.
    ///
    /// # Errors
    /// As [`ToField::field_in`].
    fn group_by_in(self, schema: &Arc<Schema>) -> Result<GroupBy>;
}

/// What names a field of numbers. Of a field that is given by its name or index it is seen when the question is asked
/// whether it has numbers; of a Rust type's field the compiler knows.
pub trait ToMeasure: ToField {}

impl ToField for usize {
    fn field_in(self, schema: &Arc<Schema>) -> Result<usize> {
        let count = schema.fields().len();
        if self < count { Ok(self) } else { Err(Error::NoField { index: self, count }) }
    }
}

impl ToField for &str {
    fn field_in(self, schema: &Arc<Schema>) -> Result<usize> {
        schema.field(self)
    }
}

impl ToField for &String {
    fn field_in(self, schema: &Arc<Schema>) -> Result<usize> {
        schema.field(self)
    }
}

impl ToMeasure for usize {}
impl ToMeasure for &str {}
impl ToMeasure for &String {}

impl ToGroupBy for GroupBy {
    fn group_by_in(self, schema: &Arc<Schema>) -> Result<GroupBy> {
        match self {
            Self::Field(field) => field.field_in(schema).map(Self::Field),
            time @ Self::Time { .. } => Ok(time),
        }
    }
}

impl ToGroupBy for usize {
    fn group_by_in(self, schema: &Arc<Schema>) -> Result<GroupBy> {
        self.field_in(schema).map(GroupBy::Field)
    }
}

impl ToGroupBy for &str {
    fn group_by_in(self, schema: &Arc<Schema>) -> Result<GroupBy> {
        self.field_in(schema).map(GroupBy::Field)
    }
}

impl ToGroupBy for &String {
    fn group_by_in(self, schema: &Arc<Schema>) -> Result<GroupBy> {
        self.field_in(schema).map(GroupBy::Field)
    }
}

/// What the fields of a Rust type are good for.
pub mod kind {
    /// The time: measured, and grouped by in buckets.
    #[derive(Clone, Copy, Debug)]
    pub enum Time {}
    /// A metric: measured.
    #[derive(Clone, Copy, Debug)]
    pub enum Metric {}
    /// A counter, a latency, a status or flags: measured, and grouped by.
    #[derive(Clone, Copy, Debug)]
    pub enum Count {}
    /// A dimension: grouped by.
    #[derive(Clone, Copy, Debug)]
    pub enum Dimension {}
    /// A label or an id.
    #[derive(Clone, Copy, Debug)]
    pub enum Text {}

    /// A kind of fields that have numbers.
    #[diagnostic::on_unimplemented(
        message = "this field has strings, which have no sum",
        label = "measure a metric, a counter, a latency, a status or the time"
    )]
    pub trait Measured {}
    /// A kind of fields that events are grouped by.
    #[diagnostic::on_unimplemented(
        message = "events are not grouped by this field",
        label = "group by a dimension, a counter, a latency, a status, flags, or by `buckets` of the time"
    )]
    pub trait Grouped {}

    impl Measured for Time {}
    impl Measured for Metric {}
    impl Measured for Count {}
    impl Grouped for Count {}
    impl Grouped for Dimension {}
}

/// A field of the Rust type `E`, of one of the [kinds](kind): what a method of `E::fields()` gives.
///
/// ```
/// use annals_columns::{GroupBy, Schema, ToGroupBy, WideEvent};
///
/// #[derive(Schema)]
/// #[schema(schema_id = 1, crate = annals_columns)]
/// struct Request {
///     #[ts]
///     at: i64,
///     #[status]
///     status: u16,
/// }
///
/// let fields = Request::fields();
/// assert_eq!(fields.status().group_by_in(Request::schema())?, GroupBy::Field(1));
/// assert_eq!(fields.at().buckets(300_000_000_000), GroupBy::Time { bucket_ns: 300_000_000_000 });
/// # Ok::<(), annals_columns::Error>(())
/// ```
pub struct FieldOf<E, K> {
    index: usize,
    of: PhantomData<fn() -> (E, K)>,
}

impl<E, K> FieldOf<E, K> {
    pub(crate) const fn new(index: usize) -> Self {
        Self { index, of: PhantomData }
    }

    /// Its index in the schema.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index
    }
}

impl<E> FieldOf<E, kind::Time> {
    /// Buckets of so many nanoseconds, counted from 1970 on.
    #[must_use]
    pub const fn buckets(self, bucket_ns: u64) -> GroupBy {
        GroupBy::Time { bucket_ns }
    }
}

impl<E, K> Clone for FieldOf<E, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, K> Copy for FieldOf<E, K> {}

impl<E, K> fmt::Debug for FieldOf<E, K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "field {}", self.index)
    }
}

impl<E: WideEvent, K> ToField for FieldOf<E, K> {
    fn field_in(self, schema: &Arc<Schema>) -> Result<usize> {
        let fields = FieldsIn::of(Some(E::schema()), schema)?;
        Ok(fields.find(self.index).unwrap_or(ABSENT_FIELD))
    }
}

impl<E: WideEvent, K: kind::Measured> ToMeasure for FieldOf<E, K> {}

impl<E: WideEvent, K: kind::Grouped> ToGroupBy for FieldOf<E, K> {
    fn group_by_in(self, schema: &Arc<Schema>) -> Result<GroupBy> {
        self.field_in(schema).map(GroupBy::Field)
    }
}
