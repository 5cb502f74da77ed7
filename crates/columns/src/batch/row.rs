//! Adding one event to a batch.

use super::{Batch, ROWS_MAX, TEXT_BYTES_MAX, column::Values};
use crate::{Error, Field, Result, Value, ValueType, part::image};

/// An event that is being added to a [`Batch`]. Until [`finish`](Self::finish) it is not there; what is
/// dropped leaves nothing.
///
/// Fields are named by their index in the schema and may come in any order.
#[derive(Debug)]
#[must_use = "an event is added by `finish`"]
pub struct RowBuilder<'b> {
    batch: &'b mut Batch,
    /// How many fields have their value: of an event that has all of them, and of one that has none, no column needs
    /// another look.
    given: usize,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $type:ty, $variant:ident, $as_kept:expr) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// [`Error::NoField`], [`Error::WrongType`] or [`Error::Twice`]; the event is dropped then.
        #[inline]
        pub fn $name(&mut self, field: usize, value: $type) -> Result<&mut Self> {
            let rows = self.batch.rows;
            match self.batch.columns.get_mut(field) {
                Some(column) if column.len() == rows => match &mut column.values {
                    Values::$variant(values) => {
                        let as_kept: fn($type) -> $type = $as_kept;
                        values.push(as_kept(value));
                        column.mark_present();
                        self.given += 1;
                        Ok(self)
                    }
                    _ => Err(self.refuse(field, ValueType::$variant)),
                },
                _ => Err(self.refuse(field, ValueType::$variant)),
            }
        }
    };
}

impl<'b> RowBuilder<'b> {
    #[inline]
    pub(super) fn new(batch: &'b mut Batch) -> Self {
        Self { batch, given: 0 }
    }

    number!(
        /// A time or a metric.
        i64, i64, I64, |value| value
    );
    number!(
        /// A metric with a fraction.
        f64, f64, F64, image::canonical
    );
    number!(
        /// A counter of 64 bits.
        u64, u64, U64, |value| value
    );
    number!(
        /// A counter of 32 bits or a latency.
        u32, u32, U32, |value| value
    );
    number!(
        /// A status or flags.
        u16, u16, U16, |value| value
    );

    /// A dimension, a label or an id.
    ///
    /// # Errors
    /// [`Error::NoField`], [`Error::WrongType`], [`Error::Twice`] or [`Error::TooLarge`]; the event is dropped
    /// then.
    #[inline]
    pub fn text(&mut self, field: usize, text: &str) -> Result<&mut Self> {
        let rows = self.batch.rows;
        match self.batch.columns.get_mut(field) {
            Some(column) if column.len() == rows => match &mut column.values {
                Values::Text(texts)
                    if text.len() <= TEXT_BYTES_MAX
                        && texts.bytes_count() + text.len() <= u32::MAX as usize =>
                {
                    texts.push(text);
                    column.mark_present();
                    self.given += 1;
                    Ok(self)
                }
                Values::Text(_) => {
                    let is_long = text.len() > TEXT_BYTES_MAX;
                    self.take_back();
                    Err(self.batch.too_large(field, is_long, text.len()))
                }
                _ => Err(self.refuse(field, ValueType::Text)),
            },
            _ => Err(self.refuse(field, ValueType::Text)),
        }
    }

    /// A dimension, a label or an id from bytes that may not be UTF-8.
    ///
    /// # Errors
    /// [`Error::NotUtf8`] with the field's name, and those of [`text`](Self::text); the event is dropped then.
    pub fn text_bytes(&mut self, field: usize, bytes: &[u8]) -> Result<&mut Self> {
        match str::from_utf8(bytes) {
            Ok(text) => self.text(field, text),
            Err(_) => {
                self.take_back();
                Err(Error::NotUtf8 { field: self.batch.name_of(field) })
            }
        }
    }

    /// A value of any type; an absent one is not given at all.
    ///
    /// # Errors
    /// Those of the method for its type; [`Error::WrongType`] also for a number that the field has no room for. The
    /// event is dropped then.
    ///
    /// ```
    /// use annals_columns::{Batch, Role, Schema, Value};
    /// use std::sync::Arc;
    /// let schema = Schema::builder(1).with("status", Role::Status).build()?;
    /// let mut batch = Batch::new(Arc::new(schema));
    /// assert!(batch.row().value(0, Value::U64(65_536)).is_err());
    /// let mut row = batch.row();
    /// row.value(0, Value::U64(200))?;
    /// row.finish()?;
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    pub fn value(&mut self, field: usize, value: Value<'_>) -> Result<&mut Self> {
        match value {
            Value::Absent => Ok(self),
            Value::I64(number) => self.i64(field, number),
            Value::F64(number) => self.f64(field, number),
            Value::Text(text) => self.text(field, text),
            Value::U64(number) => {
                let kept = self.batch.schema.fields().get(field).map(Field::value_type);
                match (kept, u32::try_from(number), u16::try_from(number)) {
                    (Some(ValueType::U32), Ok(number), _) => self.u32(field, number),
                    (Some(ValueType::U16), _, Ok(number)) => self.u16(field, number),
                    _ => self.u64(field, number),
                }
            }
        }
    }

    /// Adds the event. Optional fields that were not given are absent.
    ///
    /// # Errors
    /// [`Error::Missing`] if another field was not given, [`Error::TooLarge`] if the batch is full; the event
    /// was not added then.
    #[inline]
    pub fn finish(mut self) -> Result<()> {
        let rows = self.batch.rows;
        if rows == ROWS_MAX {
            let (what, size, limit) = ("a batch".to_owned(), rows as u64 + 1, ROWS_MAX as u64);
            return Err(Error::TooLarge { what, size, limit });
        }
        if self.given < self.batch.columns.len() {
            self.fill_up()?;
        }
        self.batch.rows += 1;
        self.given = 0;
        Ok(())
    }

    /// Fields that were not given are absent.
    fn fill_up(&mut self) -> Result<()> {
        let rows = self.batch.rows;
        for at in 0..self.batch.columns.len() {
            let column = &mut self.batch.columns[at];
            if column.len() == rows {
                if column.present.is_none() {
                    return Err(Error::Missing { field: self.batch.name_of(at) });
                }
                // Taken back with the rest if another one is missing.
                self.given += 1;
                column.push_absent();
            }
        }
        Ok(())
    }

    /// Drops what the event has so far.
    #[cold]
    fn take_back(&mut self) {
        self.batch.drop_row();
        self.given = 0;
    }

    /// Why a value was not taken; what the event had so far is dropped.
    #[cold]
    fn refuse(&mut self, field: usize, given: ValueType) -> Error {
        let rows = self.batch.rows;
        let count = self.batch.columns.len();
        let is_twice = self.batch.columns.get(field).is_some_and(|column| column.len() != rows);
        self.take_back();
        if field >= count {
            return Error::NoField { index: field, count };
        }
        let expected = self.batch.schema.fields()[field].value_type();
        let name = self.batch.name_of(field);
        if expected == given && is_twice {
            return Error::Twice { field: name };
        }
        Error::WrongType { field: name, expected, given }
    }
}

impl Drop for RowBuilder<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.given > 0 {
            self.take_back();
        }
    }
}
