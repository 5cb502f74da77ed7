//! What can go wrong with sorted tables, and what to do about it.

use annals_disk::DiskError;
use std::{path::PathBuf, sync::Arc};

/// The result of an operation on sorted tables.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of sorted tables.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused an operation.
    #[error(transparent)]
    Disk(Arc<DiskError>),

    /// Bytes on disk are not what was written. The rest stays readable.
    #[error("{} is damaged at byte {offset}: {what}; restore it from a backup", path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// The byte offset of the damage in it.
        offset: u64,
        /// What does not hold there.
        what: &'static str,
    },
}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Self {
        Self::Disk(Arc::new(error))
    }
}
