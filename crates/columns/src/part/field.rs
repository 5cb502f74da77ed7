//! A column as questions see it.

use super::{
    PartView,
    column::NumberColumn,
    dictionary::Dictionary,
    meta::{ColumnMeta, TextMeta},
    row_set::RowSet,
    rows::text_chunk,
    texts::{Text, Texts, Unpacked},
    zones::{Sums, Zones},
};
use crate::{Result, ValueType};

/// A column as questions see it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldColumn<'p> {
    /// No row has a value.
    Nothing,
    Numbers(NumberField<'p>),
    /// Strings by their codes.
    Codes(NumberField<'p>, Dictionary<'p>),
    /// Strings one by one.
    Texts(TextField<'p>),
}

/// A column of numbers with what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberField<'p> {
    pub(crate) column: NumberColumn<'p>,
    pub(crate) zones: Zones<'p>,
    /// Which rows have a number; `None`: all.
    pub(crate) present: Option<RowSet<'p>>,
    pub(crate) value_type: ValueType,
}

/// A column of strings that are not in a dictionary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextField<'p> {
    view: PartView<'p>,
    meta: &'p TextMeta,
    pub(crate) present: Option<RowSet<'p>>,
}

impl<'p> TextField<'p> {
    /// Asks something of each string of a chunk.
    pub(crate) fn each(&self, chunk: usize, mut ask: impl FnMut(usize, &[u8])) -> Result<()> {
        let texts: Texts<'p> = text_chunk(self.view, self.meta, chunk)?;
        let broken =
            || self.view.contradicts(self.meta.chunks, "a chunk of strings makes no sense");
        let unpacked: Option<Unpacked> =
            if texts.is_compressed() { Some(texts.unpack().ok_or_else(broken)?) } else { None };
        let count = self.view.rows_count().saturating_sub(chunk * super::CHUNK_ROWS);
        let mut out = Vec::new();
        for at in 0..count.min(super::CHUNK_ROWS) {
            let text = match &unpacked {
                Some(unpacked) => unpacked.get(at).map(Text::Made),
                None => texts.get(at, &mut out),
            };
            match text.ok_or_else(broken)? {
                Text::There(bytes) | Text::Made(bytes) => ask(at, bytes),
            }
        }
        Ok(())
    }
}

impl<'p> PartView<'p> {
    /// The column of a field.
    pub(crate) fn field(&self, field: usize) -> Result<FieldColumn<'p>> {
        let value_type = self.value_type(field)?;
        let sums = match value_type {
            ValueType::Text => Sums::None,
            ValueType::F64 => Sums::Float,
            _ => Sums::Whole,
        };
        let numbers = |meta| {
            let column = self.number_column(meta)?;
            let (zones, present) = (column.zones(sums)?, column.present()?);
            Ok(NumberField { column, zones, present, value_type })
        };
        Ok(match self.column(field)? {
            ColumnMeta::Nothing => FieldColumn::Nothing,
            ColumnMeta::Numbers(meta, _) => FieldColumn::Numbers(numbers(meta)?),
            ColumnMeta::Codes(meta, dictionary) => {
                FieldColumn::Codes(numbers(meta)?, self.dictionary(dictionary)?)
            }
            ColumnMeta::Texts(meta) => {
                let present = self.row_set(meta.present)?;
                FieldColumn::Texts(TextField { view: *self, meta, present })
            }
        })
    }

    /// Whether lists of rows are kept for a field's strings.
    pub(crate) fn has_postings(&self, field: usize) -> bool {
        matches!(self.column(field), Ok(ColumnMeta::Codes(_, dictionary)) if dictionary.postings.is_some())
    }
}
