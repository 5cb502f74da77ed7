//! Events as record batches.

use crate::{Error, Result, column::column, schema::arrow_schema};
use annals_columns::Value;
use annals_engine::{Cursor, FoundRows, Scan, TableView};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use std::{iter::FusedIterator, ops::Range};

/// Rows of a batch, if nothing else is said.
const ROWS: usize = 8_192;
/// A batch ends behind the row with which its strings come to this: offsets of an array have 32 bits, and what a
/// batch takes is bounded.
const TEXT_BYTES: usize = 32 << 20;

/// The events that a scan asks for, in its order, as record batches. None of them is empty; after an error nothing comes.
///
/// What is in memory is one batch, and the page of the scan that it is made of.
#[derive(Debug)]
pub struct RecordBatches<'v> {
    view: &'v TableView<'v>,
    schema: SchemaRef,
    scan: Scan,
    rows_a_batch: usize,
    text_bytes_a_batch: usize,
    /// Events that may still come.
    left: usize,
    after: Option<Cursor>,
    is_done: bool,
    /// What was found, and how much of it was given.
    page: Option<(FoundRows<'v>, usize)>,
}

impl<'v> RecordBatches<'v> {
    /// Those that the scan asks for, as many as it limits them to.
    #[must_use]
    pub fn new(view: &'v TableView<'v>, scan: Scan) -> Self {
        Self {
            schema: arrow_schema(view.schema()),
            view,
            rows_a_batch: ROWS,
            text_bytes_a_batch: TEXT_BYTES,
            left: scan.count_max(),
            after: None,
            scan,
            is_done: false,
            page: None,
        }
    }

    /// So many rows a batch at most, instead of 8,192; at least one.
    #[must_use]
    pub fn rows_a_batch(mut self, count: usize) -> Self {
        self.rows_a_batch = count.max(1);
        self
    }

    /// A batch ends behind the row with which its strings come to so many bytes, instead of 32 MiB; not more than 1 GiB.
    #[must_use]
    pub fn text_bytes_a_batch(mut self, bytes: usize) -> Self {
        self.text_bytes_a_batch = bytes.min(1 << 30);
        self
    }

    /// What the batches are.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The view that the events are of.
    pub(crate) fn view(&self) -> &'v TableView<'v> {
        self.view
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some((rows, given)) = self.page()? else { return Ok(None) };
        let range = self.range(&rows, given);
        let fields = self.view.schema().fields().iter().enumerate();
        let columns: Result<Vec<_>, _> =
            fields.map(|(at, field)| column(field, at, &rows, range.clone())).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(range.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns?, &options)?;
        self.page = (range.end < rows.len()).then_some((rows, range.end));
        Ok(Some(batch))
    }

    /// What there is to give, looked for if all of the page before was given.
    fn page(&mut self) -> Result<Option<(FoundRows<'v>, usize)>> {
        if let Some(page) = self.page.take() {
            return Ok(Some(page));
        }
        if self.is_done || self.left == 0 {
            return Ok(None);
        }
        let mut scan = self.scan.clone().limit(self.left.min(self.rows_a_batch));
        scan = if let Some(after) = self.after { scan.after(after) } else { scan };
        let rows = self.view.scan(&scan)?;
        self.left -= rows.len();
        self.after = rows.cursor();
        self.is_done = self.after.is_none();
        Ok((!rows.is_empty()).then_some((rows, 0)))
    }

    /// The rows of the next batch: at least one.
    fn range(&self, rows: &FoundRows<'_>, from: usize) -> Range<usize> {
        let fields = self.view.schema().fields().len();
        let text_bytes = |row| -> usize {
            let values = (0..fields).map(|field| rows.value(row, field));
            values.map(|value| if let Value::Text(text) = value { text.len() } else { 0 }).sum()
        };
        let mut bytes = 0;
        let end = (from..rows.len()).find(|row| {
            bytes += text_bytes(*row);
            bytes >= self.text_bytes_a_batch
        });
        from..end.map_or(rows.len(), |last| last + 1)
    }
}

impl Iterator for RecordBatches<'_> {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.batch();
        if next.is_err() {
            (self.is_done, self.page) = (true, None);
        }
        next.transpose()
    }
}

impl FusedIterator for RecordBatches<'_> {}
