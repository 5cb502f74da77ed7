//! What can go wrong with the log, and what to do about it.

use crate::Position;
use annals_disk::{DiskError, Holder};
use std::{path::PathBuf, sync::Arc};

/// The result of a journal operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the journal.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused an operation.
    #[error(transparent)]
    Disk(Arc<DiskError>),

    /// The device is full. Nothing of the commit was written: free space and call again.
    #[error("no space left for {}: this was not written; free space, or open the database with \
             smaller segments, which need less (`segment_bytes`), and try again", path.display())]
    Full {
        /// The file that could not get its space.
        path: PathBuf,
    },

    /// Bytes on disk are not what was written. The rest stays readable; restore the file from a
    /// backup.
    #[error("{} is damaged at byte {offset}: {what}; restore it from a backup", path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// The byte offset of the damage in it.
        offset: u64,
        /// What does not hold there.
        what: &'static str,
    },

    /// A file the root names is not there.
    #[error("{} is missing: {what}; restore it from a backup", path.display())]
    Missing {
        /// The missing file.
        path: PathBuf,
        /// What it held.
        what: &'static str,
    },

    /// A file was written by another format version, or is of another kind.
    #[error("{} has format version {found}, this build reads version {expected}; open it with the build \
        that wrote it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found in it.
        found: u16,
        /// The version this build knows.
        expected: u16,
    },

    /// A file was written with the other byte order.
    #[error("{} was written with the other byte order; open it on a machine like the one that wrote it",
        path.display())]
    ByteOrder {
        /// The file.
        path: PathBuf,
    },

    /// A file belongs to another database.
    #[error("{} belongs to the database {found:016x}, not to {expected:016x}; put the right file back or \
        restore a backup", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The id found in it.
        found: u64,
        /// The id expected.
        expected: u64,
    },

    /// The directory holds other things but no database.
    #[error("{} is not an Annals database: {what}", path.display())]
    NotADatabase {
        /// The directory or file.
        path: PathBuf,
        /// What was found instead.
        what: &'static str,
    },

    /// Another handle, of this or another process, has the database open for writing.
    #[error("{} is in use by {holder}; close it there, or open it read-only if that is enough",
        path.display())]
    Locked {
        /// The database's directory.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
    },

    /// A sync failed earlier. Nobody knows what the device holds, so nothing is written any more;
    /// reads go on. Close, check the device and open again.
    #[error("writes have stopped since an earlier failure: {cause}; reopen the database")]
    Poisoned {
        /// The first failure.
        cause: Arc<str>,
    },

    /// The handle was closed or opened read-only.
    #[error("the database is open read-only")]
    ReadOnly,

    /// The handle was closed.
    #[error("the database is closed")]
    Closed,

    /// A frame larger than a segment file can ever be.
    #[error(
        "a commit of {bytes} bytes is larger than the {limit} bytes one commit may have; split it"
    )]
    FrameTooLarge {
        /// The size asked for.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },

    /// The log has and keeps all that was committed; there was no space to note that it was closed.
    #[error("{} was not closed cleanly: no space left for {}; what was acknowledged is stored, and the next \
        opening reads it back", dir.display(), path.display())]
    NotClosed {
        /// The database's directory.
        dir: PathBuf,
        /// The file that could not get its space.
        path: PathBuf,
    },

    /// The log no longer reaches back that far.
    #[error("position {wanted} is no longer in the log, which starts at {oldest}")]
    Gone {
        /// What was asked for.
        wanted: Position,
        /// Where the log starts now.
        oldest: Position,
    },

    /// A setting is out of range.
    #[error("setting `{field}` is {value}, allowed is {allowed}")]
    Config {
        /// The setting's name.
        field: &'static str,
        /// The value given.
        value: u64,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Self {
        if error.is_full() { Self::Full { path: error.path } } else { Self::Disk(Arc::new(error)) }
    }
}
