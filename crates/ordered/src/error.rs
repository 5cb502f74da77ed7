//! What can go wrong with sorted tables, and what to do about it.

use crate::{KeyRange, RootError, ShapeError};
use annals_disk::DiskError;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

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

    /// A file is something else than a sorted table.
    #[error("{} is not a sorted table; put the right file back or restore it from a backup", path.display())]
    NotATable {
        /// The file.
        path: PathBuf,
    },

    /// A file was written by another format version.
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

    /// A file is another table of the same database than its name says.
    #[error("{} is table {found}, not table {expected}; put the right file back or restore a backup",
        path.display())]
    OtherTable {
        /// The file.
        path: PathBuf,
        /// The number found in it.
        found: u64,
        /// The number expected.
        expected: u64,
    },

    /// A table is compressed in a way that this build was made without.
    #[error("{} is compressed with {codec}, which this build was made without; build with the feature \
        `{codec}`", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// The compression, which is also the name of the feature.
        codec: &'static str,
    },

    /// An entry was given to a table's writer that does not belong behind the one before. The caller
    /// has to give them in order; the table that was begun is of no use.
    #[error("an entry for {} came out of order; entries are added in order, each once", path.display())]
    OutOfOrder {
        /// The file that was being written.
        path: PathBuf,
    },

    /// A key of a load that is not higher than the one before. Nothing was loaded.
    #[error("{}", unsorted(*entry, *is_repeated))]
    Unsorted {
        /// How many entries came before it.
        entry: u64,
        /// Whether it is the same key once more.
        is_repeated: bool,
    },

    /// A key or a value is larger than a table takes, or there is more to say than a manifest takes.
    #[error("a {what} of {bytes} bytes is larger than the {limit} bytes it may have")]
    TooLarge {
        /// `key`, `value` or `manifest`.
        what: &'static str,
        /// Its length in bytes.
        bytes: u64,
        /// The largest length in bytes.
        limit: u64,
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

    /// The system gives this process no memory for records that are not in tables yet.
    #[error(
        "the system gives this process no memory for the records of tree {tree}: raise the limit that is set for \
        it (`ulimit -v`), or open the database with a smaller `memory_bytes`"
    )]
    NoMemory {
        /// The tree.
        tree: u32,
    },

    /// A file that must be there is not.
    #[error("{} is missing: {what}; restore it from a backup", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it held, for people.
        what: String,
    },

    /// A table that the manifest names is missing or cannot be opened, or a part of one cannot be read.
    /// Reads that come to its keys, and find nothing newer of them, end here; all others go on.
    #[error("{cause}; this concerns keys {range}")]
    KeysLost {
        /// What is wrong with the table.
        cause: Arc<Error>,
        /// All keys that may be concerned.
        range: KeyRange,
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

    /// The work was ended because the store is being closed. Nothing was changed.
    #[error("the work was ended because the store is being closed")]
    Cancelled,

    /// A change was asked for of tables that are open for reading only.
    #[error("the tables are open for reading only; open the database for writing")]
    ReadOnly,

    /// The tree is not there any more.
    #[error("the tree {tree} was dropped")]
    Dropped {
        /// Its id.
        tree: u32,
    },

    /// The caller's root could not be written, or its log not be made durable.
    #[error("the root or the log could not be written: {cause}")]
    Root {
        /// What the caller said.
        cause: RootError,
    },
}

/// The message about a key that is out of order.
fn unsorted(entry: u64, is_repeated: bool) -> String {
    let found = if is_repeated {
        "the same key as the one before it"
    } else {
        "a lower key than the one before it"
    };
    format!(
        "entry {entry} of a load, counted from 0, has {found}; entries are given in rising order, each key once"
    )
}

impl Error {
    /// Whether a file of the store is missing or is not what was written, and no other reason.
    ///
    /// ```
    /// use annals_ordered::Error;
    /// let (path, what) = ("0001.table".into(), "the footer is damaged");
    /// assert!(Error::Damaged { path, offset: 4096, what }.is_damage());
    /// assert!(!Error::Cancelled.is_damage());
    /// ```
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::NotATable { .. }
                | Self::Foreign { .. }
                | Self::OtherTable { .. }
                | Self::Missing { .. }
                | Self::KeysLost { .. }
                | Self::Contradiction { .. }
        )
    }

    /// Whether a file was written in another version of its format, or with the other byte order: nothing is
    /// wrong with it, and this build cannot read it.
    ///
    /// ```
    /// use annals_ordered::Error;
    /// let path = "0001.table".into();
    /// let other = Error::Version { path, found: 2, expected: 1 };
    /// assert!(other.is_other_format() && !other.is_damage());
    /// ```
    #[must_use]
    pub fn is_other_format(&self) -> bool {
        match self {
            Self::Version { .. } | Self::ByteOrder { .. } => true,
            Self::KeysLost { cause, .. } => cause.is_other_format(),
            _ => false,
        }
    }

    /// The file of a lost table, whose cause this is.
    pub(crate) fn lost_path(&self) -> Option<&Path> {
        match self {
            Self::Version { path, .. } | Self::ByteOrder { path } => Some(path),
            _ => self.damaged_path(),
        }
    }

    /// The damaged or missing file, or that of a lost table; `None` if that is not what is wrong.
    #[must_use]
    pub fn damaged_path(&self) -> Option<&Path> {
        match self {
            Self::Damaged { path, .. }
            | Self::NotATable { path }
            | Self::Foreign { path, .. }
            | Self::OtherTable { path, .. }
            | Self::Missing { path, .. }
            | Self::Contradiction { path, .. } => Some(path),
            Self::KeysLost { cause, .. } => cause.lost_path(),
            _ => None,
        }
    }

    /// Whether the disk has no space.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Disk(error) => error.is_full(),
            Self::Root { cause } => matches!(cause, RootError::Full(_)),
            _ => false,
        }
    }
}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Self {
        Self::Disk(Arc::new(error))
    }
}
