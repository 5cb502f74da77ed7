//! What may go wrong.

use std::io;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why events could not be given or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// They could not be read.
    #[error(transparent)]
    Engine(#[from] annals_engine::Error),
    /// They could not be made arrays of.
    #[error("the events cannot be made a record batch of: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// They could not be made a Parquet file of.
    #[error("the events cannot be written as Parquet: {0}")]
    Parquet(parquet::errors::ParquetError),
    /// Where the file goes did not take it.
    #[error("the Parquet file cannot be written: {0}")]
    Io(io::Error),
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        match error {
            parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(inner) => Self::Parquet(parquet::errors::ParquetError::External(inner)),
            },
            other => Self::Parquet(other),
        }
    }
}
