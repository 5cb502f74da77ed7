//! Whole rows of a part.

use super::{
    CHUNK_ROWS, PAGE_CHUNKS, PartView,
    column::NumberColumn,
    image,
    meta::{ColumnMeta, DictionaryMeta, NumberMeta, TextMeta},
    numbers::ENTRY_BYTES,
    texts::{self, Texts, Unpacked},
};
use crate::{
    Result, Value, ValueType,
    kernels::{self, Level},
};
use std::ops::Range;

/// From so many rows of a chunk on all of it is unpacked at once.
const DECODED_ROWS: usize = 24;

/// With fewer rows a chunk than that on average what is read of one tells nothing of what is read of the next.
const FEW_ROWS: usize = 4;

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
    #[inline]
    #[must_use]
    pub fn value(&self, at: usize, field: usize) -> Value<'_> {
        assert!(at < self.rows_count, "row {at} of {}", self.rows_count);
        match &self.cells[field * self.rows_count + at] {
            Cell::There(value) => *value,
            Cell::Made(range) => Value::Text(&self.made[range.clone()]),
        }
    }

    /// Reads rows; if `wanted` is given the fields only that it has `true` for, and all others are absent.
    pub(super) fn read(view: PartView<'p>, rows: &[u32], wanted: Option<&[bool]>) -> Result<Self> {
        view.check_rows(rows)?;
        let fields = view.schema().fields();
        let cells = Vec::with_capacity(rows.len() * fields.len());
        let mut read = Reading { view, rows, cells, made: Vec::new() };
        if wanted.is_none() {
            read.ask_ahead()?;
        }
        for (at, (field, column)) in fields.iter().zip(view.columns()).enumerate() {
            let is_wanted = wanted.is_none_or(|wanted| wanted.get(at) == Some(&true));
            match if is_wanted { column } else { &ColumnMeta::Nothing } {
                ColumnMeta::Nothing => {
                    read.cells.extend(rows.iter().map(|_| Cell::There(Value::Absent)));
                }
                ColumnMeta::Numbers(meta, _) => read.numbers(meta, field.value_type())?,
                ColumnMeta::Codes(meta, dictionary) => read.codes(meta, dictionary)?,
                ColumnMeta::Texts(meta) => read.texts(meta)?,
            }
        }
        let Reading { cells, made, .. } = read;
        // Each was looked at when it was made.
        let made = String::from_utf8(made).map_err(|_| {
            view.contradicts(view.arrivals().chunks, "strings of a row are no strings together")
        })?;
        Ok(Self { rows_count: rows.len(), cells, made })
    }
}

/// Rows that are being read, a column after the other.
struct Reading<'a, 'p> {
    view: PartView<'p>,
    rows: &'a [u32],
    cells: Vec<Cell<'p>>,
    /// Strings, one behind the other.
    made: Vec<u8>,
}

impl<'p> Reading<'_, 'p> {
    /// Asks for the memory that all columns are read from, if rows are far from each other.
    fn ask_ahead(&self) -> Result<()> {
        let chunk_of = |row: &u32| *row as usize / CHUNK_ROWS;
        let chunks = self.rows.chunk_by(|one, other| chunk_of(one) == chunk_of(other));
        if chunks.count() * FEW_ROWS < self.rows.len() {
            return Ok(());
        }
        let mut columns = Vec::with_capacity(self.view.columns().len());
        for column in self.view.columns() {
            columns.push(match column {
                ColumnMeta::Numbers(meta, _) | ColumnMeta::Codes(meta, _) => {
                    Some(self.view.number_column(meta)?)
                }
                ColumnMeta::Nothing | ColumnMeta::Texts(_) => None,
            });
        }
        columns.iter().flatten().for_each(|column| column.ask_for_chunks(self.rows));
        for meta in self.view.columns() {
            let ColumnMeta::Texts(meta) = meta else { continue };
            let entries = self.view.section(meta.chunks)?;
            let ask = |row: &u32| kernels::ask_for(entries, chunk_of(row) * ENTRY_BYTES);
            self.rows.iter().for_each(ask);
        }
        columns.iter().flatten().for_each(|column| column.ask_for(self.rows));
        for meta in self.view.columns() {
            let ColumnMeta::Texts(meta) = meta else { continue };
            let (entries, _) = self.view.section(meta.chunks)?.as_chunks::<ENTRY_BYTES>();
            for row in self.rows {
                let (at, count) = (chunk_of(row), self.view.rows_count());
                if let Some(entry) = entries.get(at) {
                    let page = self.view.section(page_of(meta, at)).unwrap_or_default();
                    let count = (count - at * CHUNK_ROWS).min(CHUNK_ROWS);
                    texts::ask_for(entry, page, count, *row as usize % CHUNK_ROWS);
                }
            }
        }
        Ok(())
    }

    /// Gives the numbers of all rows, as they are kept.
    fn each_kept(&self, column: &NumberColumn<'p>, mut each: impl FnMut(u64)) -> Result<()> {
        let (level, mut kept) = (Level::best(), [0; CHUNK_ROWS]);
        let chunk_of = |row: &u32| *row as usize / CHUNK_ROWS;
        // Rows of chunks that have few of them, and that lie behind one another.
        let (mut from, mut to) = (0, 0);
        for rows in self.rows.chunk_by(|one, other| chunk_of(one) == chunk_of(other)) {
            if rows.len() >= DECODED_ROWS
                && let Some(first) = rows.first()
            {
                column.gather(&self.rows[from..to], |_, kept| each(kept))?;
                column.chunk(chunk_of(first))?.decode(level, &mut kept);
                rows.iter().for_each(|row| each(kept[*row as usize % CHUNK_ROWS]));
                from = to + rows.len();
            }
            to += rows.len();
        }
        column.gather(&self.rows[from..to], |_, kept| each(kept))
    }

    fn numbers(&mut self, meta: &'p NumberMeta, of: ValueType) -> Result<()> {
        let (column, start) = (self.view.number_column(meta)?, self.cells.len());
        let mut cells = std::mem::take(&mut self.cells);
        let read = self.each_kept(&column, |kept| {
            cells.push(Cell::There(image::value(of, column.image(kept))));
        });
        self.cells = cells;
        read?;
        self.clear_absent(meta.present, start)
    }

    fn codes(&mut self, meta: &'p NumberMeta, dictionary: &DictionaryMeta) -> Result<()> {
        let (column, start) = (self.view.number_column(meta)?, self.cells.len());
        let strings = self.view.dictionary(dictionary)?;
        let whole = strings.whole(self.rows.len());
        let (mut cells, mut are_there) = (std::mem::take(&mut self.cells), true);
        let read = self.each_kept(&column, |kept| {
            let code = column.image(kept);
            let text = match &whole {
                Some(whole) => whole.get(code),
                None => strings.get(code),
            };
            are_there &= text.is_some();
            cells.push(Cell::There(text.map_or(Value::Absent, Value::Text)));
        });
        self.cells = cells;
        read?;
        if !are_there {
            return Err(self.view.contradicts(dictionary.texts, "a code has no string"));
        }
        self.clear_absent(meta.present, start)
    }

    fn texts(&mut self, meta: &TextMeta) -> Result<()> {
        let (view, start) = (self.view, self.cells.len());
        let mut at = usize::MAX;
        let mut chunk: Option<(Texts<'p>, Option<Unpacked>)> = None;
        for row in self.rows.iter().map(|row| *row as usize) {
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
            let from = self.made.len();
            let there = match unpacked {
                Some(unpacked) => unpacked.get(row % CHUNK_ROWS).map(|text| {
                    self.made.extend_from_slice(text);
                    None
                }),
                None => texts.put(row % CHUNK_ROWS, &mut self.made),
            };
            let cell = match there {
                Some(Some(bytes)) => {
                    str::from_utf8(bytes).ok().map(|text| Cell::There(Value::Text(text)))
                }
                Some(None) => {
                    let made = self.made.get(from..).unwrap_or_default();
                    str::from_utf8(made).ok().map(|_| Cell::Made(from..self.made.len()))
                }
                None => None,
            };
            self.cells.push(cell.ok_or_else(|| broken(view, meta, at))?);
        }
        self.clear_absent(meta.present, start)
    }

    fn clear_absent(&mut self, present: Option<u32>, start: usize) -> Result<()> {
        if let Some(present) = self.view.row_set(present)? {
            for (cell, row) in self.cells[start..].iter_mut().zip(self.rows) {
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
