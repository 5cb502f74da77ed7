//! Filters, and the schema whose fields they name.

use super::Filter;
use crate::{Error, Result, Schema, WideEvent};
use std::{ops::Not, sync::Arc};

/// A filter, and the schema whose fields it names by their indices, if that is known: then it is never asked of
/// events of another one. Those of a type that derives [`Schema`](macro@crate::Schema) are made by its `filter()`; a
/// [`Filter`] is taken as it is.
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

    /// The filter, to be asked of events of a schema.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] if it was made for another, and what [`Filter::check`] says.
    pub fn of(&self, schema: &Arc<Schema>) -> Result<&Filter> {
        check_bound(self.schema, schema)?;
        self.filter.check(schema)?;
        Ok(&self.filter)
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

/// Whether what names fields of one schema, if that is known, may be asked of another.
pub(super) fn check_bound(bound: Option<&Arc<Schema>>, schema: &Arc<Schema>) -> Result<()> {
    match bound {
        Some(bound) if !Arc::ptr_eq(bound, schema) && bound != schema => {
            Err(Error::SchemaMismatch {
                field: None,
                what: "the question is about events of another type",
                found: Arc::clone(schema),
                expected: Arc::clone(bound),
            })
        }
        _ => Ok(()),
    }
}
