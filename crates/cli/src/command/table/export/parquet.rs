//! Events as a Parquet file.

use crate::{
    command::table::which::Meant,
    failure::{Failure, Kind, Result},
    output::Progress,
};
use annals::{
    TableView,
    arrow::{Error, ParquetExport, RecordBatches},
};
use std::io;

/// Writes those that are meant, and says how many they are.
pub(super) fn write(
    to: impl io::Write + Send,
    view: &TableView<'_>,
    meant: &Meant,
    bar: &Progress,
    failed: &dyn Fn(&io::Error) -> Failure,
) -> Result<u64> {
    let batches = RecordBatches::new(view, meant.scan());
    let done = ParquetExport::new(batches).write_with(to, |count| bar.at(count, String::new));
    match done {
        Ok(done) => Ok(done.events_count),
        Err(Error::Engine(error)) => Err(error.into()),
        Err(Error::Io(error)) => Err(failed(&error)),
        Err(error) => Err(Failure::new(Kind::Other("other"), error.to_string())),
    }
}
