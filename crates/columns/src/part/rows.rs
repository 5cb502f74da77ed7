//! Whole rows of a part.

use super::{
    CHUNK_ROWS, PAGE_CHUNKS, PartView, image,
    meta::{ColumnMeta, DictionaryMeta, NumberMeta, TextMeta},
    numbers::ENTRY_BYTES,
    texts::{Text, Texts, Unpacked},
};
use crate::{Result, Value, ValueType, kernels::Level};
use std::ops::Range;

/// From so many rows of a chunk on all of it is unpacked at once.
const DECODED_ROWS: usize = 24;

/// Some rows of a part. Strings are borrowed from the part where they stand there as they are, and kept here
/// where they had to be made.
#[derive(Clone, Debug)]
pub struct Rows<'p> {
    rows_count: usize,
    /// Field by field.
    cells: Vec<Cell<'p>>,
    made: String,
}

#[derive(Clone, Debug)]
enum Cell<'p> {
    There(Value<'p>),
    Made(Range<usize>),
}

impl<'p> Rows<'p> {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows_count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows_count == 0
    }

    /// The value of a field of the row that was asked for at `at`.
    ///
    /// # Panics
    /// If there was no such row or there is no such field.
    #[must_use]
    pub fn value(&self, at: usize, field: usize) -> Value<'_> {
        assert!(at < self.rows_count, "row {at} of {}", self.rows_count);
        match &self.cells[field * self.rows_count + at] {
            Cell::There(value) => *value,
            Cell::Made(range) => Value::Text(&self.made[range.clone()]),
        }
    }

    pub(super) fn read(view: PartView<'p>, rows: &[u32]) -> Result<Self> {
        view.check_rows(rows)?;
        let fields = view.schema().fields();
        let cells = Vec::with_capacity(rows.len() * fields.len());
        let mut read = Self { rows_count: rows.len(), cells, made: String::new() };
        for (field, column) in fields.iter().zip(view.columns()) {
            match column {
                ColumnMeta::Nothing => {
                    read.cells.extend(rows.iter().map(|_| Cell::There(Value::Absent)));
                }
                ColumnMeta::Numbers(meta, _) => {
                    read.numbers(view, meta, field.value_type(), rows)?;
                }
                ColumnMeta::Codes(meta, dictionary) => read.codes(view, meta, dictionary, rows)?,
                ColumnMeta::Texts(meta) => read.texts(view, meta, rows)?,
            }
        }
        Ok(read)
    }

    fn numbers(
        &mut self,
        view: PartView<'p>,
        meta: &'p NumberMeta,
        of: ValueType,
        rows: &[u32],
    ) -> Result<()> {
        let column = view.number_column(meta)?;
        let start = self.cells.len();
        let level = Level::best();
        let mut kept = [0; CHUNK_ROWS];
        for rows in rows.chunk_by(|one, other| one / CHUNK_ROWS as u32 == other / CHUNK_ROWS as u32)
        {
            let Some(first) = rows.first() else { continue };
            let chunk = column.chunk(*first as usize / CHUNK_ROWS)?;
            let mut push =
                |kept| self.cells.push(Cell::There(image::value(of, column.image(kept))));
            let places = rows.iter().map(|row| *row as usize % CHUNK_ROWS);
            if rows.len() >= DECODED_ROWS {
                chunk.decode(level, &mut kept);
                places.for_each(|at| push(kept[at]));
            } else {
                places.for_each(|at| push(chunk.get(at)));
            }
        }
        self.clear_absent(view, meta.present, rows, start)
    }

    fn codes(
        &mut self,
        view: PartView<'p>,
        meta: &'p NumberMeta,
        dictionary: &DictionaryMeta,
        rows: &[u32],
    ) -> Result<()> {
        let start = self.cells.len();
        self.numbers(view, meta, ValueType::U64, rows)?;
        let strings = view.dictionary(dictionary)?;
        for cell in &mut self.cells[start..] {
            if let Cell::There(Value::U64(code)) = cell {
                let text = strings.get(*code);
                let text =
                    text.ok_or_else(|| view.contradicts(dictionary.texts, "a code has no string"))?;
                *cell = Cell::There(Value::Text(text));
            }
        }
        Ok(())
    }

    fn texts(&mut self, view: PartView<'p>, meta: &TextMeta, rows: &[u32]) -> Result<()> {
        let start = self.cells.len();
        let mut at = usize::MAX;
        let mut chunk: Option<(Texts<'p>, Option<Unpacked>)> = None;
        let mut out = Vec::new();
        for row in rows.iter().map(|row| *row as usize) {
            if at != row / CHUNK_ROWS {
                at = row / CHUNK_ROWS;
                let texts = text_chunk(view, meta, at)?;
                let unpacked = texts.is_compressed().then(|| texts.unpack());
                let unpacked = match unpacked {
                    Some(None) => return Err(broken(view, meta, at)),
                    Some(unpacked) => unpacked,
                    None => None,
                };
                chunk = Some((texts, unpacked));
            }
            let Some((texts, unpacked)) = &chunk else { continue };
            let text = match unpacked {
                Some(unpacked) => unpacked.get(row % CHUNK_ROWS).map(Text::Made),
                None => texts.get(row % CHUNK_ROWS, &mut out),
            };
            let cell = match text {
                Some(Text::There(bytes)) => {
                    str::from_utf8(bytes).ok().map(|text| Cell::There(Value::Text(text)))
                }
                Some(Text::Made(bytes)) => str::from_utf8(bytes).ok().map(|text| {
                    let from = self.made.len();
                    self.made.push_str(text);
                    Cell::Made(from..self.made.len())
                }),
                None => None,
            };
            self.cells.push(cell.ok_or_else(|| broken(view, meta, at))?);
        }
        self.clear_absent(view, meta.present, rows, start)
    }

    fn clear_absent(
        &mut self,
        view: PartView<'p>,
        present: Option<u32>,
        rows: &[u32],
        start: usize,
    ) -> Result<()> {
        if let Some(present) = view.row_set(present)? {
            for (cell, row) in self.cells[start..].iter_mut().zip(rows) {
                if !present.contains(*row) {
                    *cell = Cell::There(Value::Absent);
                }
            }
        }
        Ok(())
    }
}

fn page_of(meta: &TextMeta, at: usize) -> u32 {
    meta.pages.wrapping_add((at / PAGE_CHUNKS) as u32)
}

fn broken(view: PartView<'_>, meta: &TextMeta, at: usize) -> crate::Error {
    view.contradicts(page_of(meta, at), "a chunk of strings makes no sense")
}

/// A chunk of strings.
pub(super) fn text_chunk<'p>(view: PartView<'p>, meta: &TextMeta, at: usize) -> Result<Texts<'p>> {
    let page = view.section(page_of(meta, at))?;
    let (entries, _) = view.section(meta.chunks)?.as_chunks::<ENTRY_BYTES>();
    let count = view.rows_count().saturating_sub(at * CHUNK_ROWS).min(CHUNK_ROWS);
    let texts = entries.get(at).and_then(|entry| Texts::new(entry, page, count));
    texts.ok_or_else(|| broken(view, meta, at))
}
