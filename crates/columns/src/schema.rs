//! What an event of a table is: its fields, their roles and their order.
//!
//! A schema is made by [`SchemaBuilder`], which refuses what cannot be, so every schema that exists is sound.
//! Its *fingerprint* is a hash of its bytes: names, roles and order are all in it, so two dimensions that
//! changed places are another schema. Fields may be added later ([`Schema::mapping_from`]).

mod builder;
mod codec;
mod field;
mod mapping;
#[cfg(test)]
mod schema_test;

pub use builder::SchemaBuilder;
pub use field::{Dimension, Field, Role};
pub use mapping::Mapping;

use crate::{Error, Result};
use std::fmt;

/// The most counters a schema has.
pub const COUNTERS_MAX: usize = 64;
/// The most dimensions a schema has.
pub const DIMENSIONS_MAX: usize = 256;
/// The most labels a schema has.
pub const LABELS_MAX: usize = 64;
/// The most flags a field of flags has.
pub const FLAGS_MAX: usize = 16;
/// The longest name of a field or a flag, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// What an event of a table is.
///
/// ```
/// use annals_columns::{Dimension, Role, Schema};
/// let schema = Schema::builder(7)
///     .with("at", Role::Ts)
///     .with("user", Role::Dimension(Dimension::BloomRollup))
///     .with("model", Role::Dimension(Dimension::Plain))
///     .build()?;
/// assert_eq!(schema.index_of("model"), Some(2));
/// assert_eq!(Schema::decode(&schema.encode())?, schema);
/// assert!(schema.to_string().contains("user: dimension (bloom, rollup)"));
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    id: u32,
    fields: Vec<Field>,
    fingerprint: u64,
    places: Places,
}

/// Which fields have the roles that are asked for with each question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    ts: Option<usize>,
    event_id: Option<usize>,
    status: Option<usize>,
}

impl Places {
    fn of(fields: &[Field]) -> Self {
        let place = |role: &Role| fields.iter().position(|field| field.role() == role);
        Self { ts: place(&Role::Ts), event_id: place(&Role::Id), status: place(&Role::Status) }
    }
}

impl Schema {
    /// Begins a schema. The id is the table's own choice; schemas of different ids never stand for each other.
    #[must_use]
    pub fn builder(schema_id: u32) -> SchemaBuilder {
        SchemaBuilder::new(schema_id)
    }

    /// The id that it was given.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The fields in their order. A field is named by its index in here wherever events are read or written.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// A hash of all there is in the schema; the same in every build.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The index of the field of this name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name() == name)
    }

    /// The index of the field of this name, of which there has to be one.
    ///
    /// ```
    /// use annals_columns::{Role, Schema};
    /// let schema = Schema::builder(1).with("at", Role::Ts).with("status", Role::Status).build()?;
    /// assert_eq!(schema.field("status")?, 1);
    /// let refused = schema.field("user").unwrap_err().to_string();
    /// assert_eq!(refused, "the schema has no field `user`; it has at, status");
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownField`] names those there are.
    pub fn field(&self, name: &str) -> Result<usize> {
        self.index_of(name).ok_or_else(|| Error::UnknownField {
            name: name.to_owned(),
            known: self.fields.iter().map(|field| field.name.clone()).collect(),
        })
    }

    /// The index of the time, if events have one.
    #[inline]
    #[must_use]
    pub fn ts(&self) -> Option<usize> {
        self.places.ts
    }

    /// The index of the id, if events have one.
    #[inline]
    #[must_use]
    pub fn event_id(&self) -> Option<usize> {
        self.places.event_id
    }

    /// The index of the status, if events have one.
    #[inline]
    #[must_use]
    pub fn status(&self) -> Option<usize> {
        self.places.status
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "schema {} (fingerprint {:016x})", self.id, self.fingerprint)?;
        for field in &self.fields {
            write!(out, "\n  {field}")?;
        }
        Ok(())
    }
}
