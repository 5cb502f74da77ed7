//! Every public path of what others build on, and what may cross threads: a change here is a change
//! for the crates above.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_columns::{
    BATCH_VERSION, Batch, CHUNK_ROWS, COUNTERS_MAX, DIMENSIONS_MAX, Dimension, Error, FLAGS_MAX,
    Field, LABELS_MAX, Mapping, Mask, PART_VERSION, Part, PartBuilder, PartIdentity, PartView,
    ROWS_MAX, Result, Role, RowBuilder, RowSet, Rows, Schema, SchemaBuilder, TEXT_BYTES_MAX,
    Totals, Value, ValueType,
};

#[test]
fn what_is_shared_between_threads_may_be() {
    fn shared<T: Send + Sync>() {}
    shared::<Schema>();
    shared::<Batch>();
    shared::<Error>();
    shared::<Value<'_>>();
    shared::<Part<Vec<u8>>>();
    shared::<PartView<'_>>();
    shared::<Rows<'_>>();
    shared::<RowSet<'_>>();
}
