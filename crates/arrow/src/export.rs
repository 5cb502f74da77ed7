//! Events as a Parquet file.

use crate::{RecordBatches, Result};
use annals_columns::{Role, Schema};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding},
    file::properties::WriterProperties,
    schema::types::ColumnPath,
};
use std::io::Write;

/// Rows of a group, and bytes of it in memory, if nothing else is said.
const GROUP_ROWS: usize = 1 << 17;
const GROUP_BYTES: usize = 64 << 20;

/// Writes events as a Parquet file: its columns are compressed with Snappy, dimensions as dictionaries.
///
/// A file consists of groups of rows; the one that is being written is in memory.
#[derive(Debug)]
pub struct ParquetExport<'v> {
    batches: RecordBatches<'v>,
    group_rows: usize,
    group_bytes: usize,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Events.
    pub events_count: u64,
    /// Groups of rows.
    pub groups_count: usize,
    /// Bytes of the file.
    pub bytes_count: u64,
}

impl<'v> ParquetExport<'v> {
    /// Of these events, in their order.
    #[must_use]
    pub fn new(batches: RecordBatches<'v>) -> Self {
        Self { batches, group_rows: GROUP_ROWS, group_bytes: GROUP_BYTES }
    }

    /// With so many rows a group at most, instead of 131,072; at least one.
    #[must_use]
    pub fn group_rows(mut self, count: usize) -> Self {
        self.group_rows = count.max(1);
        self
    }

    /// A group ends when it has come to about so many bytes, instead of 64 MiB.
    #[must_use]
    pub fn group_bytes(mut self, bytes: usize) -> Self {
        self.group_bytes = bytes.max(1);
        self
    }

    /// Writes the file. Nothing is synced, and nothing removed if it fails: what was written then is no Parquet file.
    ///
    /// # Errors
    /// What reading the events may fail with, and writing.
    pub fn write(self, to: impl Write + Send) -> Result<Exported> {
        self.write_with(to, |_| {})
    }

    /// The same, and says from time to time how many events are behind it.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_with(self, to: impl Write + Send, mut told: impl FnMut(u64)) -> Result<Exported> {
        let properties = self.properties(self.batches.view().schema());
        let schema = self.batches.schema().clone();
        let mut writer = ArrowWriter::try_new(to, schema, Some(properties))?;
        let mut done = Exported::default();
        for batch in self.batches {
            let batch = batch?;
            writer.write(&batch)?;
            done.events_count += batch.num_rows() as u64;
            told(done.events_count);
        }
        let written = writer.finish()?;
        done.groups_count = written.num_row_groups();
        done.bytes_count = writer.bytes_written() as u64;
        Ok(done)
    }

    fn properties(&self, schema: &Schema) -> WriterProperties {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(self.group_rows))
            .set_max_row_group_bytes(Some(self.group_bytes))
            .set_created_by(concat!("annals version ", env!("CARGO_PKG_VERSION")).to_owned());
        for field in schema.fields() {
            // A name may have dots in it, and is one nevertheless.
            let path = ColumnPath::new(vec![field.name().to_owned()]);
            match field.role() {
                Role::Ts => {
                    properties = properties
                        .set_column_dictionary_enabled(path.clone(), false)
                        .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
                }
                // No two are the same.
                Role::Id => properties = properties.set_column_dictionary_enabled(path, false),
                _ => {}
            }
        }
        properties.build()
    }
}
