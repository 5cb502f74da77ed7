//! Whole rows of a part.

use super::{
    CHUNK_ROWS, PAGE_CHUNKS, PartView,
    column::NumberColumn,
    image,
    meta::{ColumnMeta, DictionaryMeta, NumberMeta, TextMeta},
    numbers::ENTRY_BYTES,
    texts::{self, Texts},
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

/// Strings of so many rows at most are asked for before they are read: of more, those asked for first would be gone again.
const FAR_ROWS_MAX: usize = 256;

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
pub(super) enum Cell<'p> {
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
        if let ([row], None) = (rows, wanted) {
            return Self::read_one(view, *row);
        }
        let fields = view.schema().fields();
        let cells = Vec::with_capacity(rows.len() * fields.len());
        let (made, kept, unpacked) = (Vec::new(), Vec::new(), None);
        let unpacked_runs = unpacked_runs(rows);
        let mut read = Reading { view, rows, cells, made, unpacked_runs, kept, unpacked };
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
        Self::of_cells(view, rows.len(), cells, made)
    }

    /// Rows of what was read, field by field. Strings that were made were not looked at yet.
    pub(super) fn of_cells(
        view: PartView<'p>,
        rows_count: usize,
        cells: Vec<Cell<'p>>,
        made: Vec<u8>,
    ) -> Result<Self> {
        // Together they may be a string where one of them is none.
        let is_string = |made: &str, cell: &Cell<'_>| match cell {
            Cell::There(_) => true,
            Cell::Made(range) => made.get(range.clone()).is_some(),
        };
        match String::from_utf8(made) {
            Ok(made) if made.is_ascii() || cells.iter().all(|cell| is_string(&made, cell)) => {
                Ok(Self { rows_count, cells, made })
            }
            Ok(made) => Err(no_string(view, rows_count, &cells, made.as_bytes())),
            Err(error) => Err(no_string(view, rows_count, &cells, error.as_bytes())),
        }
    }
}

/// Rows that are being read, a column after the other.
struct Reading<'a, 'p> {
    view: PartView<'p>,
    rows: &'a [u32],
    cells: Vec<Cell<'p>>,
    /// Strings, one behind the other.
    made: Vec<u8>,
    /// Rows of one chunk each that are so many that the chunk is unpacked.
    unpacked_runs: Vec<Range<usize>>,
    /// Numbers of a column as they are kept, and those of a chunk.
    kept: Vec<u64>,
    unpacked: Option<Box<[u64; CHUNK_ROWS]>>,
}

impl<'p> Reading<'_, 'p> {
    /// Asks for the memory that all columns are read from, if rows are far from each other.
    fn ask_ahead(&self) -> Result<()> {
        let chunks = self.rows.chunk_by(|one, other| chunk_of(*one) == chunk_of(*other));
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
            let ask = |row: &u32| kernels::ask_for(entries, chunk_of(*row) * ENTRY_BYTES);
            self.rows.iter().for_each(ask);
        }
        columns.iter().flatten().for_each(|column| column.ask_for(self.rows));
        for meta in self.view.columns() {
            let ColumnMeta::Texts(meta) = meta else { continue };
            let (entries, _) = self.view.section(meta.chunks)?.as_chunks::<ENTRY_BYTES>();
            for row in self.rows {
                let (at, count) = (chunk_of(*row), self.view.rows_count());
                if let Some(entry) = entries.get(at) {
                    let page = self.view.section(page_of(meta, at)).unwrap_or_default();
                    let count = (count - at * CHUNK_ROWS).min(CHUNK_ROWS);
                    texts::ask_for(entry, page, count, *row as usize % CHUNK_ROWS);
                }
            }
        }
        Ok(())
    }

    /// The numbers of all rows, as they are kept.
    fn kept(&mut self, column: &NumberColumn<'p>) -> Result<()> {
        let (rows, kept) = (self.rows, &mut self.kept);
        kept.clear();
        kept.reserve(rows.len());
        let mut from = 0;
        for run in &self.unpacked_runs {
            column.gather(&rows[from..run.start], |_, number| kept.push(number))?;
            let unpacked = self.unpacked.get_or_insert_with(|| Box::new([0; CHUNK_ROWS]));
            column.chunk(chunk_of(rows[run.start]))?.decode(Level::best(), unpacked);
            let rows = &rows[run.clone()];
            kept.extend(rows.iter().map(|row| unpacked[*row as usize % CHUNK_ROWS]));
            from = run.end;
        }
        column.gather(&rows[from..], |_, number| kept.push(number))
    }

    fn numbers(&mut self, meta: &'p NumberMeta, of: ValueType) -> Result<()> {
        let (column, start) = (self.view.number_column(meta)?, self.cells.len());
        self.kept(&column)?;
        let images = self.kept.iter().map(|kept| column.image(*kept));
        match of {
            ValueType::U64 | ValueType::U32 | ValueType::U16 => {
                self.cells.extend(images.map(|image| Cell::There(Value::U64(image))));
            }
            of => self.cells.extend(images.map(|one| Cell::There(image::value(of, one)))),
        }
        self.clear_absent(meta.present, start)
    }

    fn codes(&mut self, meta: &'p NumberMeta, dictionary: &DictionaryMeta) -> Result<()> {
        let (column, start) = (self.view.number_column(meta)?, self.cells.len());
        let strings = self.view.dictionary(dictionary)?;
        self.kept(&column)?;
        let mut are_there = true;
        let mut cell = |text: Option<&'p str>| {
            are_there &= text.is_some();
            Cell::There(text.map_or(Value::Absent, Value::Text))
        };
        let codes = self.kept.iter().map(|kept| column.image(*kept));
        match strings.whole(self.rows.len()) {
            Some(whole) => self.cells.extend(codes.map(|code| cell(whole.get(code)))),
            None => {
                // Where they lie apart each of them is waited for.
                if self.rows.len() < FAR_ROWS_MAX {
                    codes.clone().for_each(|code| strings.ask_for_bounds(code));
                    codes.clone().for_each(|code| strings.ask_for(code));
                }
                self.cells.extend(codes.map(|code| cell(strings.get(code))));
            }
        }
        if !are_there {
            return Err(self.view.contradicts(dictionary.texts, "a code has no string"));
        }
        self.clear_absent(meta.present, start)
    }

    fn texts(&mut self, meta: &TextMeta) -> Result<()> {
        let (view, start) = (self.view, self.cells.len());
        for rows in self.rows.chunk_by(|one, other| chunk_of(*one) == chunk_of(*other)) {
            let Some(at) = rows.first().map(|row| chunk_of(*row)) else { continue };
            let texts = text_chunk(view, meta, at)?;
            self.texts_of(&texts, rows).ok_or_else(|| broken(view, meta, at))?;
        }
        self.clear_absent(meta.present, start)
    }

    /// Strings of rows of a chunk; `None` if one makes no sense.
    fn texts_of(&mut self, texts: &Texts<'p>, rows: &[u32]) -> Option<()> {
        let places = rows.iter().map(|row| *row as usize % CHUNK_ROWS);
        let made = &mut self.made;
        if texts.is_compressed() {
            let unpacked = texts.unpack()?;
            for place in places {
                let from = made.len();
                made.extend_from_slice(unpacked.get(place)?);
                self.cells.push(Cell::Made(from..made.len()));
            }
            return Some(());
        }
        if rows.len() >= DECODED_ROWS
            && let Some(pairs) = texts.pairs()
        {
            for place in places {
                let from = made.len();
                pairs.put(place, made)?;
                self.cells.push(Cell::Made(from..made.len()));
            }
            return Some(());
        }
        for place in places {
            let from = made.len();
            self.cells.push(match texts.put(place, made)? {
                Some(bytes) => Cell::There(Value::Text(str::from_utf8(bytes).ok()?)),
                None => Cell::Made(from..made.len()),
            });
        }
        Some(())
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

/// Where rows of one chunk stand side by side that are so many that all of it is unpacked.
fn unpacked_runs(rows: &[u32]) -> Vec<Range<usize>> {
    let (mut runs, mut from) = (Vec::new(), 0);
    for run in rows.chunk_by(|one, other| chunk_of(*one) == chunk_of(*other)) {
        let to = from + run.len();
        if run.len() >= DECODED_ROWS {
            runs.push(from..to);
        }
        from = to;
    }
    runs
}

fn chunk_of(row: u32) -> usize {
    row as usize / CHUNK_ROWS
}

fn page_of(meta: &TextMeta, at: usize) -> u32 {
    meta.pages.wrapping_add((at / PAGE_CHUNKS) as u32)
}

/// Which column has a string among those that were made that is none.
#[cold]
fn no_string(
    view: PartView<'_>,
    rows_count: usize,
    cells: &[Cell<'_>],
    made: &[u8],
) -> crate::Error {
    let is_none = |cell: &Cell<'_>| match cell {
        Cell::There(_) => false,
        Cell::Made(range) => str::from_utf8(made.get(range.clone()).unwrap_or(&[0xff])).is_err(),
    };
    let field = cells.iter().position(is_none).map(|at| at / rows_count.max(1));
    let section = match field.and_then(|field| view.columns().get(field)) {
        Some(ColumnMeta::Texts(meta)) => meta.chunks,
        _ => view.arrivals().chunks,
    };
    view.contradicts(section, "a chunk of strings makes no sense")
}

pub(super) fn broken(view: PartView<'_>, meta: &TextMeta, at: usize) -> crate::Error {
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
