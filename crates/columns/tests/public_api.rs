//! Every public path of what others build on, and what may cross threads: a change here is a change
//! for the crates above.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_columns::{
    ABSENT_FIELD, Answer, BATCH_VERSION, Batch, BoundFilter, CHUNK_ROWS, COUNTERS_MAX, Constant,
    DIMENSIONS_MAX, DayBuckets, DaySums, Dimension, Distinct, Error, Explained, FLAGS_MAX, Field,
    FieldOf, Filter, Group, GroupBy, Key, Keys, LABELS_MAX, Mapping, Mask, Measured, PART_VERSION,
    Part, PartBuilder, PartIdentity, PartView, Position, Quantiles, Query, ROWS_MAX, Recent,
    Result, Role, RowBuilder, RowSet, Rows, Schema, SchemaBuilder, Source, TEXT_BYTES_MAX, ToField,
    ToGroupBy, ToMeasure, Totals, Value, ValueType, kind, newest,
};

#[test]
fn what_is_shared_between_threads_may_be() {
    fn shared<T: Send + Sync>() {}
    shared::<Schema>();
    shared::<Batch>();
    shared::<Error>();
    shared::<Value<'_>>();
    shared::<Query>();
    shared::<Answer>();
    shared::<Part<Vec<u8>>>();
    shared::<PartView<'_>>();
    shared::<Rows<'_>>();
    shared::<RowSet<'_>>();
}
