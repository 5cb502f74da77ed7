//! A field of some events as an array.

use crate::schema::ZONE;
use annals_columns::{Field, Role, Value, ValueType};
use annals_engine::FoundRows;
use arrow_array::{
    ArrayRef, PrimitiveArray, StringArray, TimestampNanosecondArray,
    builder::StringDictionaryBuilder,
    types::{
        ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_schema::ArrowError;
use std::{ops::Range, sync::Arc};

/// The values that a field has in some of the rows.
pub(crate) fn column(
    field: &Field,
    at: usize,
    rows: &FoundRows<'_>,
    range: Range<usize>,
) -> Result<ArrayRef, ArrowError> {
    let values = range.map(|row| rows.value(row, at));
    Ok(match (field.role(), field.value_type()) {
        (Role::Ts, _) => {
            let times: TimestampNanosecondArray = values.map(|value| value.as_i64()).collect();
            Arc::new(times.with_timezone(ZONE))
        }
        (Role::Dimension(_), _) => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            for value in values {
                match value.as_text() {
                    Some(text) => drop(builder.append(text)?),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        (_, ValueType::I64) => numbers::<Int64Type>(values, |value| value.as_i64()),
        (_, ValueType::F64) => numbers::<Float64Type>(values, |value| value.as_f64()),
        (_, ValueType::U64) => numbers::<UInt64Type>(values, |value| value.as_u64()),
        // A number that a field cannot have would be missed where it must not be.
        (_, ValueType::U32) => {
            numbers::<UInt32Type>(values, |value| value.as_u64()?.try_into().ok())
        }
        (_, ValueType::U16) => {
            numbers::<UInt16Type>(values, |value| value.as_u64()?.try_into().ok())
        }
        (_, ValueType::Text) => {
            Arc::new(values.map(|value| value.as_text()).collect::<StringArray>())
        }
    })
}

fn numbers<'v, T: ArrowPrimitiveType>(
    values: impl Iterator<Item = Value<'v>>,
    of: impl Fn(Value<'v>) -> Option<T::Native>,
) -> ArrayRef {
    Arc::new(values.map(of).collect::<PrimitiveArray<T>>())
}
