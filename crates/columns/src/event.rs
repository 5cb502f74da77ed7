//! Rust types whose values are events of a table.

use crate::{Batch, Error, Result, RowBuilder, Schema, Value};
use std::sync::Arc;

/// A Rust type that is a schema, and whose values are events of it. Derived by
/// [`Schema`](macro@crate::Schema).
pub trait WideEvent: Sized {
    /// The schema; each call gives the same one.
    fn schema() -> &'static Arc<Schema>;

    /// An event of its fields' values, which `value` tells by the index of the field.
    ///
    /// # Errors
    /// [`Error::Missing`] if a field that is not optional is absent, [`Error::WrongType`] if a value is not
    /// of the field's type.
    fn read<'v>(value: impl FnMut(usize) -> Value<'v>) -> Result<Self>;
}

/// What an event of a table is made of: a value of the type that derives
/// [`Schema`](macro@crate::Schema), or what its builder has.
pub trait ToRow {
    /// The type whose schema it follows.
    type Event: WideEvent;

    /// Gives the fields' values to a row.
    ///
    /// # Errors
    /// As the methods of [`RowBuilder`].
    fn to_row(&self, row: &mut RowBuilder<'_>) -> Result<()>;
}

impl Batch {
    /// A batch for events of a Rust type.
    #[must_use]
    pub fn of<E: WideEvent>() -> Self {
        Self::new(Arc::clone(E::schema()))
    }

    /// Adds an event.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] if the batch has another schema; those of [`RowBuilder`]. The event was not
    /// added then.
    ///
    /// ```
    /// use annals_columns::{Batch, Schema};
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Request {
    ///     #[ts]
    ///     at: i64,
    ///     #[dim(bloom)]
    ///     user: String,
    /// }
    ///
    /// let mut batch = Batch::of::<Request>();
    /// batch.push(&Request { at: 10, user: "ada".into() })?;
    /// batch.push(&Request::event().at(20).user("bob"))?;
    /// assert_eq!(batch.event::<Request>(1)?.user, "bob");
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    #[inline]
    pub fn push<R: ToRow>(&mut self, event: &R) -> Result<()> {
        self.check_schema(R::Event::schema())?;
        let mut row = self.row();
        event.to_row(&mut row)?;
        row.finish()
    }

    /// The event of a row, as a value of its own.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] if the batch has another schema.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn event<E: WideEvent>(&self, row: usize) -> Result<E> {
        self.check_schema(E::schema())?;
        E::read(|field| self.value(row, field))
    }

    #[inline]
    fn check_schema(&self, schema: &Arc<Schema>) -> Result<()> {
        if Arc::ptr_eq(self.schema(), schema) || self.schema() == schema {
            return Ok(());
        }
        Err(Error::SchemaMismatch {
            field: None,
            what: "the batch is for events of another type",
            found: Arc::clone(schema),
            expected: Arc::clone(self.schema()),
        })
    }
}

/// What the derive writes calls of.
#[doc(hidden)]
pub mod derived {
    use super::{Arc, Error, Result, Schema, Value};
    use crate::{FieldOf, SchemaBuilder, ValueType};

    /// A field, by its index.
    #[must_use]
    pub const fn field_of<E, K>(index: usize) -> FieldOf<E, K> {
        FieldOf::new(index)
    }

    /// The schema of a type.
    ///
    /// # Panics
    /// If the derive let something pass that the builder refuses.
    #[must_use]
    pub fn schema(builder: SchemaBuilder) -> Arc<Schema> {
        match builder.build() {
            Ok(schema) => Arc::new(schema),
            Err(error) => panic!("the derive of `Schema` let pass what cannot be: {error}"),
        }
    }

    /// What a field may be kept as.
    pub trait FromValue: Sized {
        /// What is expected.
        const TYPE: ValueType;
        /// The value, if it is one of this type.
        fn from_value(value: Value<'_>) -> Option<Self>;
    }

    macro_rules! number {
        ($type:ty, $value_type:ident, $variant:ident) => {
            impl FromValue for $type {
                const TYPE: ValueType = ValueType::$value_type;

                fn from_value(value: Value<'_>) -> Option<Self> {
                    match value {
                        Value::$variant(number) => number.try_into().ok(),
                        _ => None,
                    }
                }
            }
        };
    }

    number!(i64, I64, I64);
    number!(f64, F64, F64);
    number!(u64, U64, U64);
    number!(u32, U32, U64);
    number!(u16, U16, U64);

    impl FromValue for String {
        const TYPE: ValueType = ValueType::Text;

        fn from_value(value: Value<'_>) -> Option<Self> {
            value.as_text().map(str::to_owned)
        }
    }

    /// The value of a field that events may lack.
    pub fn optional<T: FromValue>(value: Value<'_>, field: &str) -> Result<Option<T>> {
        match value {
            Value::Absent => Ok(None),
            value => required(value, field).map(Some),
        }
    }

    /// The value of a field that every event has.
    pub fn required<T: FromValue>(value: Value<'_>, field: &str) -> Result<T> {
        let given = match value {
            Value::Absent => return Err(Error::Missing { field: field.to_owned() }),
            Value::I64(_) => ValueType::I64,
            Value::F64(_) => ValueType::F64,
            Value::U64(_) => ValueType::U64,
            Value::Text(_) => ValueType::Text,
        };
        let wrong = || Error::WrongType { field: field.to_owned(), expected: T::TYPE, given };
        T::from_value(value).ok_or_else(wrong)
    }
}
