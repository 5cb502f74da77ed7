//! Wide events by column for the Annals data engine.
//!
//! An event is a row of a [`Schema`](struct@crate::Schema): a time, a metric, counters, latencies, a status, flags, strings to
//! group by (*dimensions*), strings to keep (*labels*) and an id. Rows are collected in a [`Batch`], and kept in a
//! [`Part`]. A [`Filter`] says which are meant, a [`Query`] what they come to, and [`newest`] gives the last of them.
//!
//! Who uses the crate `annals` has all of this as `annals::columns`, and the derive as `annals::Schema`: of the examples
//! here write `annals::columns::` for `annals_columns::`, and leave `crate = annals_columns` away.
//!
//! What this crate is not: it knows no journal and no files. Who uses it makes rows durable.
//!
//! ```
//! use annals_columns::{Batch, Dimension, Role, Schema, Value};
//! use std::sync::Arc;
//!
//! let schema = Schema::builder(1)
//!     .with("at", Role::Ts)
//!     .with("bytes", Role::CounterU32)
//!     .with("user", Role::Dimension(Dimension::Bloom))
//!     .with_optional("note", Role::Label)
//!     .build()?;
//! let mut batch = Batch::new(Arc::new(schema));
//! let mut row = batch.row();
//! row.i64(0, 1_000)?.u32(1, 512)?.text(2, "ada")?;
//! row.finish()?;
//! assert_eq!(batch.value(0, 2), Value::Text("ada"));
//! assert_eq!(batch.value(0, 3), Value::Absent);
//!
//! let mut bytes = Vec::new();
//! batch.encode(&mut bytes);
//! assert_eq!(Batch::decode(batch.schema(), &bytes)?, batch);
//! # Ok::<(), annals_columns::Error>(())
//! ```

mod batch;
mod bits;
mod error;
mod event;
#[doc(hidden)]
pub mod fuzzing;
mod kernels;
mod number;
mod part;
mod query;
mod schema;
mod value;

pub use annals_macros::Schema;
pub use batch::{BATCH_VERSION, Batch, ROWS_MAX, RowBuilder, TEXT_BYTES_MAX};
pub use error::{Error, Result};
#[doc(hidden)]
pub use event::derived;
pub use event::{ToRow, WideEvent};
pub use kernels::Mask;
pub use part::{
    CHUNK_ROWS, DayBuckets, DaySums, PART_VERSION, Part, PartBuilder, PartHead, PartIdentity,
    PartOutline, PartView, RowSet, Rows, Totals,
};
pub use query::{
    ABSENT_FIELD, Answer, BoundFilter, Constant, Distinct, Explained, FieldOf, Filter, Group,
    GroupBy, Key, Keys, Measured, Position, Quantiles, Query, Recent, Source, ToField, ToGroupBy,
    ToMeasure, Walk, kind, newest,
};
pub use schema::{
    COUNTERS_MAX, DIMENSIONS_MAX, Dimension, FLAGS_MAX, Field, LABELS_MAX, Mapping, Role, Schema,
    SchemaBuilder,
};
pub use value::{Value, ValueType};
