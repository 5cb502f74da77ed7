//! What can go wrong with sorted tables, and what to do about it.

use crate::ShapeError;
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

    /// A file that must be there is not.
    #[error("{} is missing: {what}; restore it from a backup", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it held, for people.
        what: String,
    },

    /// A file was written in a format that this build does not read.
    #[error("{} has format version {found}, this build reads {expected}; use a build that knows it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u16,
        /// The version this build reads.
        expected: u16,
    },

    /// A file was written on a machine with the other byte order, by a build that did not keep to
    /// the format.
    #[error("{} was written with the other byte order", path.display())]
    ByteOrder {
        /// The file.
        path: PathBuf,
    },

    /// A file belongs to another database.
    #[error("{} belongs to database {found:016x}, not to {expected:016x}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The id in it.
        found: u64,
        /// The id asked for.
        expected: u64,
    },

    /// An intact edit of the manifest asks for what cannot be.
    #[error("{} contradicts itself at byte {offset}: {source}; restore it from a backup", path.display())]
    Contradiction {
        /// The manifest.
        path: PathBuf,
        /// The byte offset of the edit in it.
        offset: u64,
        /// What cannot be.
        source: ShapeError,
    },

    /// Something failed earlier in such a way that nobody knows what the disk holds, or that writing
    /// cannot go on. Reads go on; reopen the database to write again.
    #[error("writing has stopped since an earlier failure: {cause}; reopen the database")]
    Stopped {
        /// The failure.
        cause: Arc<Error>,
    },

    /// A change of the tables was asked for that cannot be. Nothing was changed.
    #[error("the tables cannot be changed that way: {0}")]
    Shape(#[from] ShapeError),
}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Self {
        Self::Disk(Arc::new(error))
    }
}
