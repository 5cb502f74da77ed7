//! Asking parts: which rows, what they come to, and the newest of them.
//!
//! A [`Filter`] says which rows, in terms of a schema. For each part it becomes a plan that uses what is cheapest:
//! what is known of the part as a whole, lists of rows, zones, and only then the columns, a chunk at a time.

mod aggregate;
mod bound;
mod distinct;
mod explain;
mod fields;
mod filter;
mod group;
mod interner;
mod key;
mod local;
mod named;
mod places;
mod plan;
mod quantiles;
mod recent;
mod select;
mod spread;
mod walk;

#[cfg(test)]
mod extremes_test;
#[cfg(test)]
mod listed_test;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod query_test;

pub use aggregate::{Answer, Query};
pub use bound::BoundFilter;
pub use distinct::Distinct;
pub use explain::{Explained, Source};
pub use filter::{Constant, Filter};
pub use group::{Group, Keys, Measured};
pub(crate) use key::Folding;
pub use key::{GroupBy, Key};
pub use named::{ABSENT_FIELD, FieldOf, ToField, ToGroupBy, ToMeasure, kind};
pub use quantiles::Quantiles;
pub use recent::{Position, Recent, newest};
pub use walk::Walk;
