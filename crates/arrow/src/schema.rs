//! What events are, in terms of Arrow.

use annals_columns::{Field, Role, Schema, ValueType};
use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema, SchemaRef, TimeUnit};
use std::{collections::HashMap, sync::Arc};

/// The key of a field's metadata under which the names of flags are, the lowest bit first, with commas between them.
pub const FLAGS_KEY: &str = "annals.flags";

/// The time zone of times.
pub(crate) const ZONE: &str = "UTC";

/// What record batches of events of a schema are, as the [crate's table](crate) says. Fields keep their order and names.
///
/// ```
/// use annals_arrow::{arrow_schema, arrow_schemas::DataType};
/// use annals_columns::{Role, Schema};
/// let schema = Schema::builder(1).with("at", Role::Ts).with_optional("code", Role::Status).build()?;
/// let arrow = arrow_schema(&schema);
/// assert_eq!(arrow.field(0).to_string(), "Field { \"at\": Timestamp(ns, \"UTC\") }");
/// assert_eq!(arrow.field(1).data_type(), &DataType::UInt16);
/// assert!(arrow.field(1).is_nullable());
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[must_use]
pub fn arrow_schema(schema: &Schema) -> SchemaRef {
    Arc::new(ArrowSchema::new(schema.fields().iter().map(arrow_field).collect::<Vec<_>>()))
}

fn arrow_field(field: &Field) -> ArrowField {
    let arrow = ArrowField::new(field.name(), data_type(field.role()), field.is_optional());
    match field.role() {
        Role::Flags(names) => {
            arrow.with_metadata(HashMap::from([(FLAGS_KEY.to_owned(), names.join(","))]))
        }
        _ => arrow,
    }
}

fn data_type(role: &Role) -> DataType {
    match (role, role.value_type()) {
        (Role::Ts, _) => DataType::Timestamp(TimeUnit::Nanosecond, Some(ZONE.into())),
        (Role::Dimension(_), _) => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
        (_, ValueType::I64) => DataType::Int64,
        (_, ValueType::F64) => DataType::Float64,
        (_, ValueType::U64) => DataType::UInt64,
        (_, ValueType::U32) => DataType::UInt32,
        (_, ValueType::U16) => DataType::UInt16,
        (_, ValueType::Text) => DataType::Utf8,
    }
}
