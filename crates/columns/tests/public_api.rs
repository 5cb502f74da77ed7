//! Every public path of what others build on, and what may cross threads: a change here is a change
//! for the crates above.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_columns::{
    BATCH_VERSION, Batch, COUNTERS_MAX, DIMENSIONS_MAX, Dimension, Error, FLAGS_MAX, Field,
    LABELS_MAX, Mapping, ROWS_MAX, Result, Role, RowBuilder, Schema, SchemaBuilder, TEXT_BYTES_MAX,
    Value, ValueType,
};

#[test]
fn what_is_shared_between_threads_may_be() {
    fn shared<T: Send + Sync>() {}
    shared::<Schema>();
    shared::<Batch>();
    shared::<Error>();
    shared::<Value<'_>>();
}
