//! Events of tables as [Arrow](https://arrow.apache.org) record batches, and as Parquet files. Use it through the facade
//! `annals`, feature `arrow`, as `annals::arrow`.
//!
//! | field | in Arrow | in Parquet |
//! |---|---|---|
//! | `ts` | timestamp of nanoseconds in UTC | INT64, timestamp of nanoseconds, adjusted to UTC |
//! | metric | int64 or float64 | INT64 or DOUBLE |
//! | counter of 64 bits | uint64 | INT64, unsigned |
//! | counter of 32 bits, latencies | uint32 | INT32, unsigned |
//! | status, flags | uint16 | INT32, unsigned of 16 bits |
//! | dimension | utf8 in a dictionary with int32 keys | BYTE_ARRAY, string |
//! | label, id | utf8 | BYTE_ARRAY, string |
//!
//! Optional fields are nullable, others are not. The names of flags are in the field's metadata, under
//! [`FLAGS_KEY`], the lowest bit first.
//!
//! What is in memory does not grow with the events: a batch has so many rows and so many bytes of strings at most, a
//! group of rows of a Parquet file as well.
//!
//! ```
//! use annals_arrow::{ParquetExport, RecordBatches};
//! use annals_columns::Schema;
//! use annals_engine::{Database, Scan};
//!
//! #[derive(Schema)]
//! #[schema(schema_id = 1, crate = annals_columns)]
//! struct Request {
//!     #[ts]
//!     at: i64,
//!     #[dim]
//!     user: String,
//!     #[counter]
//!     bytes: Option<u64>,
//! }
//!
//! let db = Database::open_in_memory()?;
//! let requests = db.table_of::<Request>("requests")?;
//! requests.append(&Request::event().at(1).user("ada").bytes(512))?;
//! requests.append(&Request::event().at(2).user("bob"))?;
//!
//! let view = requests.view()?;
//! for batch in RecordBatches::new(&view, Scan::new()) {
//!     let batch = batch?;
//!     assert_eq!((batch.num_rows(), batch.num_columns()), (2, 3));
//!     assert_eq!(batch.column(2).null_count(), 1);
//! }
//!
//! let hers = Scan::new().filter(Request::filter().user_eq("ada"));
//! let mut file = Vec::new();
//! let done = ParquetExport::new(RecordBatches::new(&view, hers)).write(&mut file)?;
//! assert_eq!(done.events_count, 1);
//! assert!(file.starts_with(b"PAR1"));
//! # Ok::<(), annals_arrow::Error>(())
//! ```

mod batches;
mod column;
mod error;
mod export;
mod schema;

pub use batches::RecordBatches;
pub use error::{Error, Result};
pub use export::{Exported, ParquetExport};
pub use schema::{FLAGS_KEY, arrow_schema};

/// The crate whose arrays are given: a program needs this version of it.
pub use arrow_array;
/// The crate of schemas that goes with it.
pub use arrow_schema as arrow_schemas;
/// The crate that writes Parquet files, and reads them.
pub use parquet;
