//! Filters, and the schema whose fields they name.

use super::Filter;
use crate::{Error, Mapping, Result, Schema, WideEvent};
use std::{borrow::Cow, ops::Not, sync::Arc};

/// A filter, and the schema whose fields it names by their indices, if that is known: then it finds them by their
/// names where the events' schema has more of them or fewer, and is never asked of events of another type. Those of a
/// type that derives [`Schema`](macro@crate::Schema) are made by its `filter()`; a [`Filter`] is taken as it is.
///
/// ```
/// use annals_columns::{BoundFilter, Error, Filter, Role, Schema, WideEvent};
/// use std::sync::Arc;
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
/// let filter = BoundFilter::from(Request::filter().status_ge(500));
/// assert_eq!(*filter.of(Request::schema())?, Filter::at_least(1, 500u16));
///
/// let other = Schema::builder(1).with("status", Role::Status).with("at", Role::Ts).build()?;
/// assert!(matches!(filter.of(&Arc::new(other)), Err(Error::SchemaMismatch { .. })));
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct BoundFilter {
    filter: Filter,
    schema: Option<&'static Arc<Schema>>,
}

impl BoundFilter {
    /// A filter on the fields of a Rust type.
    #[must_use]
    pub fn to<E: WideEvent>(filter: Filter) -> Self {
        Self { filter, schema: Some(E::schema()) }
    }

    /// The filter, to be asked of events of a schema: that of the type it was made for, or one of the same table with more or
    /// fewer columns. A field that events of the schema lack is absent in all of them.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] if it was made for events of another type, and what [`Filter::check`] says.
    ///
    /// ```
    /// use annals_columns::{BoundFilter, Filter, Role, Schema};
    /// use std::sync::Arc;
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
    /// let extended = Schema::builder(1)
    ///     .with("at", Role::Ts)
    ///     .with_optional("cost", Role::MetricI64)
    ///     .with("status", Role::Status);
    /// let extended = Arc::new(extended.build()?);
    /// let failed = BoundFilter::from(Request::filter().status_ge(500));
    /// assert_eq!(*failed.of(&extended)?, Filter::at_least(2, 500u16));
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    pub fn of(&self, schema: &Arc<Schema>) -> Result<Cow<'_, Filter>> {
        let filter = match FieldsIn::of(self.schema, schema)? {
            FieldsIn::Same => Cow::Borrowed(&self.filter),
            fields => Cow::Owned(self.filter.translated(&|field| fields.find(field))),
        };
        filter.check(schema)?;
        Ok(filter)
    }
}

impl From<Filter> for BoundFilter {
    fn from(filter: Filter) -> Self {
        Self { filter, schema: None }
    }
}

impl Not for BoundFilter {
    type Output = Self;

    fn not(self) -> Self {
        Self { filter: !self.filter, schema: self.schema }
    }
}

/// Where the fields of one schema are in another.
pub(super) enum FieldsIn {
    /// Where they are.
    Same,
    /// In one that has more of them.
    Newer(Mapping),
    /// In one that lacks some of them.
    Older(Mapping),
}

impl FieldsIn {
    /// Where what names fields of one schema, if that is known, finds them in another: of the same table before or after it had
    /// more columns.
    pub(super) fn of(bound: Option<&Arc<Schema>>, schema: &Arc<Schema>) -> Result<Self> {
        let Some(bound) = bound else { return Ok(Self::Same) };
        if Arc::ptr_eq(bound, schema) || bound == schema {
            return Ok(Self::Same);
        }
        if let Ok(mapping) = schema.mapping_from(bound) {
            return Ok(Self::Newer(mapping));
        }
        bound.mapping_from(schema).map(Self::Older).map_err(|_| Error::SchemaMismatch {
            field: None,
            what: "the question is about events of another type",
            found: Arc::clone(schema),
            expected: Arc::clone(bound),
        })
    }

    /// The index of a field there; `None` if it is lacking.
    pub(super) fn find(&self, field: usize) -> Option<usize> {
        match self {
            Self::Same => Some(field),
            Self::Newer(mapping) => mapping.newer(field),
            Self::Older(mapping) => mapping.older(field),
        }
    }
}
