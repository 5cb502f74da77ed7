//! What can go wrong with events by column, and what to do about it.

use crate::{PartIdentity, Schema, ValueType};
use std::sync::Arc;

/// The result of an operation on events by column.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of events by column.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A schema cannot be: nothing was built.
    #[error("the schema cannot be: {what}{}; change its definition", of_field(field.as_deref()))]
    Schema {
        /// The field that is wrong, if it is one.
        field: Option<String>,
        /// What is wrong.
        what: &'static str,
    },

    /// Events were written with another schema, which cannot be read as this one.
    #[error("the events were written with another schema: {what}{}; open them with the schema they were \
        written with, or add to that. They have\n{found}\nexpected is\n{expected}", of_field(field.as_deref()))]
    SchemaMismatch {
        /// The first field that differs, if it is one.
        field: Option<String>,
        /// How it differs.
        what: &'static str,
        /// The schema of the events.
        found: Arc<Schema>,
        /// The schema expected.
        expected: Arc<Schema>,
    },

    /// Bytes of a batch name a schema that is not the one expected.
    #[error(
        "the batch was written with the schema of the fingerprint {found:016x}; expected is\n{expected}"
    )]
    OtherSchema {
        /// The fingerprint in the batch.
        found: u64,
        /// The schema expected.
        expected: Arc<Schema>,
    },

    /// An event was given a field that the schema does not have.
    #[error("the schema has {count} fields, and no field {index}")]
    NoField {
        /// The index that was given.
        index: usize,
        /// How many fields there are.
        count: usize,
    },

    /// A field was asked for by a name that the schema does not have.
    #[error("the schema has no field `{name}`; it has {}", known.join(", "))]
    UnknownField {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },

    /// An event was given a value of another type than the field has. The event was not added.
    #[error("the field `{field}` takes {expected}, not {given}")]
    WrongType {
        /// The field.
        field: String,
        /// What it takes.
        expected: ValueType,
        /// What was given.
        given: ValueType,
    },

    /// An event was given a field twice. The event was not added.
    #[error("the field `{field}` was given twice in one event")]
    Twice {
        /// The field.
        field: String,
    },

    /// An event lacks a field that is not optional. The event was not added.
    #[error("the field `{field}` is missing; give it a value, or make it optional in the schema")]
    Missing {
        /// The field.
        field: String,
    },

    /// A string is not UTF-8. The event was not added.
    #[error("the field `{field}` was given bytes that are not UTF-8")]
    NotUtf8 {
        /// The field.
        field: String,
    },

    /// Something is larger than it may be. Nothing was changed.
    #[error("{what} of {size} is larger than {limit}, the most there may be")]
    TooLarge {
        /// What is too large, for people.
        what: String,
        /// Its size.
        size: u64,
        /// The largest size.
        limit: u64,
    },

    /// Bytes are not an encoded batch or schema.
    #[error("these bytes are no {kind}: {what}, at byte {offset}")]
    Malformed {
        /// What they should have been.
        kind: &'static str,
        /// What does not hold.
        what: &'static str,
        /// Where, from the start of the bytes.
        offset: u64,
    },

    /// Bytes were written by another format version.
    #[error(
        "the {kind} has format version {found}, this build reads version {expected}; use the build that \
        wrote it"
    )]
    Version {
        /// What was to be read.
        kind: &'static str,
        /// The version found.
        found: u16,
        /// The version this build knows.
        expected: u16,
    },

    /// Bytes of a part are not what was written. The rest stays readable.
    #[error(
        "part {part} is damaged at byte {offset}, in its {section}: {what}; restore it from a backup"
    )]
    Damaged {
        /// The number of the part.
        part: u64,
        /// What is damaged, for people.
        section: String,
        /// The byte offset of the damaged section in the part.
        offset: u64,
        /// What does not hold there.
        what: &'static str,
    },

    /// Bytes are something else than a part.
    #[error("this is not a part; put the right file back or restore it from a backup")]
    NotAPart,

    /// A part was written with the other byte order.
    #[error(
        "the part was written with the other byte order; open it on a machine like the one that wrote it"
    )]
    ByteOrder,

    /// A part is another one than expected.
    #[error("this is part {} of the database {:016x}, not part {} of {:016x}; put the right file back or restore \
        a backup", found.number, found.database_id, expected.number, expected.database_id)]
    OtherPart {
        /// Which it is.
        found: PartIdentity,
        /// Which it should be.
        expected: PartIdentity,
    },

    /// A question cannot be asked of events of this schema.
    #[error("this cannot be asked: {what}")]
    Question {
        /// Why not.
        what: &'static str,
    },

    /// A part was to be made of no events.
    #[error("a part has at least one event, and none was added")]
    NoRows,

    /// A row was asked for that a part does not have.
    #[error("the part has {count} rows, and no row {row}")]
    NoRow {
        /// The row that was asked for.
        row: u32,
        /// How many there are.
        count: usize,
    },

    /// Rows by their values were asked for, of a field for which there are no lists of rows.
    #[error(
        "there are no lists of rows for the field `{field}`; make it a dimension with a filter"
    )]
    NotIndexed {
        /// The field.
        field: String,
    },
}

impl Error {
    /// Whether bytes are not what was written.
    ///
    /// ```
    /// use annals_columns::Error;
    /// assert!(!Error::NoRows.is_damage());
    /// ```
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::NotAPart | Self::OtherPart { .. })
    }
}

fn of_field(field: Option<&str>) -> String {
    field.map(|field| format!(" (field `{field}`)")).unwrap_or_default()
}
