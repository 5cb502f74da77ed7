//! Wide events as record batches of Arrow and as a Parquet file, which any tool for data frames or SQL reads.
//!
//!     cargo run --example parquet_export --features arrow [DIRECTORY]

use annals::{
    Database, Scan, Schema,
    arrow::{
        ParquetExport, RecordBatches,
        arrow_array::{cast::AsArray, types::UInt64Type},
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    },
    columns::Batch,
};
use std::{
    error::Error,
    fs::{File, OpenOptions},
    path::Path,
};

const SECOND_NS: i64 = 1_000_000_000;

/// A file that somebody fetched.
#[derive(Schema)]
#[schema(schema_id = 1)]
struct Download {
    #[ts]
    at: i64,
    #[dim]
    file: String,
    #[counter]
    bytes: Option<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let db = Database::open(dir.join("data"))?;
    let downloads = db.table_of::<Download>("downloads")?;
    let mut batch = Batch::of::<Download>();
    for n in 0..20_000u32 {
        let file = format!("file-{}", n % 37);
        let event = Download::event().at(i64::from(n) * SECOND_NS).file(&file);
        match n % 10 {
            // It was broken off.
            0 => batch.push(&event)?,
            _ => batch.push(&event.bytes(u64::from(n)))?,
        }
    }
    downloads.append_batch(&batch)?;

    // Batches for what works with Arrow; one is in memory at a time.
    let view = downloads.view()?;
    let mut bytes = 0;
    for batch in RecordBatches::new(&view, Scan::new()) {
        let batch = batch?;
        let column = batch.column_by_name("bytes").ok_or("a field of the schema")?;
        bytes += column.as_primitive::<UInt64Type>().iter().flatten().sum::<u64>();
    }
    let found = view.query().measure(Download::fields().bytes()).run()?;
    assert_eq!(found.total()?.measured(Download::fields().bytes())?.sum, i128::from(bytes));

    // A file of those of one hour.
    let path = dir.join("second-hour.parquet");
    let hour = Scan::new().since(3_600 * SECOND_NS).until(7_200 * SECOND_NS);
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let done = ParquetExport::new(RecordBatches::new(&view, hour)).write(&file)?;
    file.sync_all()?;
    println!("{} events in {} bytes: {}", done.events_count, done.bytes_count, path.display());

    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path)?)?.build()?;
    let mut rows_count = 0;
    for batch in reader {
        rows_count += batch?.num_rows() as u64;
    }
    assert_eq!(rows_count, done.events_count);
    std::fs::remove_file(path)?;
    db.close()?;
    Ok(())
}
