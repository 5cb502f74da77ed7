//! One whole row of a part.
//!
//! Its columns lie far from each other. A step of all of them is taken at a time, and asks for the memory of the next
//! step: else each column would wait for its memory several times, one after the other. Nothing is unpacked.

use super::{
    CHUNK_ROWS, PAGE_CHUNKS, PartView,
    dictionary::Dictionary,
    image,
    meta::{ColumnMeta, NumberMeta},
    numbers::{self, ENTRY_BYTES},
    rows::{Cell, Rows, broken},
    texts::{self, Texts},
};
use crate::{Result, Value, kernels};

/// What a column says of the row.
#[derive(Clone, Copy)]
enum Step<'p> {
    Nothing,
    /// What stands for the chunk, and the page that has it.
    Chunk(&'p [u8; ENTRY_BYTES], &'p [u8]),
    /// The strings of a column, and which of them it is.
    Code(Dictionary<'p>, u64),
}

impl<'p> Rows<'p> {
    /// The row, which is there.
    pub(super) fn read_one(view: PartView<'p>, row: u32) -> Result<Self> {
        let (chunk, place) = (row as usize / CHUNK_ROWS, row as usize % CHUNK_ROWS);
        let chunk_rows = view.rows_count().saturating_sub(chunk * CHUNK_ROWS).min(CHUNK_ROWS);
        let columns = view.columns();
        for column in columns {
            if let Some((chunks, _)) = sections_of(column, chunk) {
                kernels::ask_for(view.section(chunks)?, chunk * ENTRY_BYTES);
            }
        }
        let mut steps = Vec::with_capacity(columns.len());
        for column in columns {
            let Some((chunks, page)) = sections_of(column, chunk) else {
                steps.push(Step::Nothing);
                continue;
            };
            let (entries, _) = view.section(chunks)?.as_chunks();
            let entry = entries
                .get(chunk)
                .ok_or_else(|| view.contradicts(chunks, "there are fewer chunks than rows"))?;
            let page = view.section(page)?;
            match column {
                ColumnMeta::Texts(_) => texts::ask_for(entry, page, chunk_rows, place),
                _ => numbers::ask_for(entry, page, place),
            }
            steps.push(Step::Chunk(entry, page));
        }
        for (step, column) in steps.iter_mut().zip(columns) {
            if let (Step::Chunk(entry, page), ColumnMeta::Codes(meta, dictionary)) = (*step, column)
            {
                let code = meta.image(number(view, meta, (entry, page), chunk, place)?);
                let strings = view.dictionary(dictionary)?;
                strings.ask_for_bounds(code);
                *step = Step::Code(strings, code);
            }
        }
        for step in &steps {
            if let Step::Code(strings, code) = step {
                strings.ask_for(*code);
            }
        }
        let mut cells = Vec::with_capacity(columns.len());
        let mut made = Vec::new();
        let fields = view.schema().fields();
        for ((column, field), step) in columns.iter().zip(fields).zip(steps) {
            if !is_present(view, column, row)? {
                cells.push(Cell::There(Value::Absent));
                continue;
            }
            cells.push(match (column, step) {
                (ColumnMeta::Codes(_, dictionary), Step::Code(strings, code)) => {
                    let text = strings.get(code).ok_or_else(|| {
                        view.contradicts(dictionary.texts, "a code has no string")
                    })?;
                    Cell::There(Value::Text(text))
                }
                (ColumnMeta::Numbers(meta, _), Step::Chunk(entry, page)) => {
                    let kept = number(view, meta, (entry, page), chunk, place)?;
                    Cell::There(image::value(field.value_type(), meta.image(kept)))
                }
                (ColumnMeta::Texts(meta), Step::Chunk(entry, page)) => {
                    let texts = Texts::new(entry, page, chunk_rows);
                    let cell = texts.and_then(|texts| text(texts, place, &mut made));
                    cell.ok_or_else(|| broken(view, meta, chunk))?
                }
                _ => Cell::There(Value::Absent),
            });
        }
        Self::of_cells(view, 1, cells, made)
    }
}

/// The sections that have what stands for a chunk of a column, and the chunk itself.
#[inline]
fn sections_of(column: &ColumnMeta, chunk: usize) -> Option<(u32, u32)> {
    let (chunks, pages) = match column {
        ColumnMeta::Nothing => return None,
        ColumnMeta::Numbers(meta, _) | ColumnMeta::Codes(meta, _) => (meta.chunks, meta.pages),
        ColumnMeta::Texts(meta) => (meta.chunks, meta.pages),
    };
    Some((chunks, pages.wrapping_add((chunk / PAGE_CHUNKS) as u32)))
}

#[inline]
fn number(
    view: PartView<'_>,
    meta: &NumberMeta,
    (entry, page): (&[u8; ENTRY_BYTES], &[u8]),
    chunk: usize,
    place: usize,
) -> Result<u64> {
    numbers::get(entry, page, place).ok_or_else(|| {
        let ordinal = meta.pages.wrapping_add((chunk / PAGE_CHUNKS) as u32);
        view.contradicts(ordinal, "a chunk of numbers makes no sense")
    })
}

/// The string of a row of a chunk; `None` if that makes no sense.
fn text<'p>(texts: Texts<'p>, place: usize, made: &mut Vec<u8>) -> Option<Cell<'p>> {
    let from = made.len();
    if texts.is_compressed() {
        made.extend_from_slice(texts.unpack()?.get(place)?);
    } else if let Some(bytes) = texts.put(place, made)? {
        return Some(Cell::There(Value::Text(str::from_utf8(bytes).ok()?)));
    }
    Some(Cell::Made(from..made.len()))
}

#[inline]
fn is_present(view: PartView<'_>, column: &ColumnMeta, row: u32) -> Result<bool> {
    let present = match column {
        ColumnMeta::Nothing => return Ok(false),
        ColumnMeta::Numbers(meta, _) | ColumnMeta::Codes(meta, _) => meta.present,
        ColumnMeta::Texts(meta) => meta.present,
    };
    if present.is_none() {
        return Ok(true);
    }
    Ok(view.row_set(present)?.is_none_or(|set| set.contains(row)))
}
