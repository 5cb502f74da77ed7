//! What can go wrong, small on the outside: a kind that says what to do, and a message that says
//! what, where and the remedy.

use std::{path::PathBuf, sync::Arc};

/// The result of a database operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the engine. The message says what, where and the remedy and may change;
/// [`kind`](Self::kind) says what to do and is what programs should look at.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ErrorKind};
/// let db = Database::open_in_memory()?;
/// let error = db.open_hash_keyspace("users").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert!(error.to_string().starts_with("there is no keyspace `users`"));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log or one of its files.
    #[error(transparent)]
    Journal(#[from] annals_journal::Error),

    /// The tables of ordered keyspaces, or one of their files.
    #[error(transparent)]
    Tables(#[from] annals_ordered::Error),

    /// The keyspace is of another kind than it was asked for.
    #[error("the keyspace `{name}` is of the kind `{found}`; open it as that")]
    WrongKind {
        /// Its name.
        name: String,
        /// Its kind.
        found: crate::KeyspaceKind,
    },

    /// No keyspace has this name.
    #[error(
        "there is no keyspace `{name}`; `keyspaces` lists those there are, `hash_keyspace` or \
         `keyspace` makes one"
    )]
    UnknownKeyspace {
        /// The name asked for.
        name: String,
    },

    /// A keyspace of this name exists.
    #[error("the keyspace `{name}` exists already")]
    KeyspaceExists {
        /// The name.
        name: String,
    },

    /// The keyspace behind this handle was dropped.
    #[error("the keyspace `{name}` was dropped; its handles cannot be used any more")]
    KeyspaceDropped {
        /// Its name.
        name: String,
    },

    /// The handle belongs to another database.
    #[error("the keyspace `{name}` belongs to another database than this batch")]
    ForeignKeyspace {
        /// Its name.
        name: String,
    },

    /// A name that cannot be a keyspace's.
    #[error("`{name}` cannot be a keyspace's name: {why}")]
    InvalidName {
        /// The name given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },

    /// A key that is too long.
    #[error("a key of {bytes} bytes is too long; at most {limit} bytes")]
    KeyTooLong {
        /// Its length.
        bytes: u64,
        /// The longest allowed.
        limit: u64,
    },

    /// A value that is too long.
    #[error("a value of {bytes} bytes is too long; at most {limit} bytes")]
    ValueTooLong {
        /// Its length.
        bytes: u64,
        /// The longest allowed.
        limit: u64,
    },

    /// A commit lost too many races for the same key.
    #[error("the key changed under {attempts} attempts in a row; try again")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
    },

    /// A checkpoint file is not as it was written. Handled by rebuilding it from the log; seen
    /// only in verification and by read-only openers.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The byte offset.
        offset: u64,
        /// What does not hold there.
        what: &'static str,
    },

    /// An intact record of the catalog that this build does not know: a later build wrote it.
    #[error("{} has a catalog record at byte {offset} that this build does not know; open it with the build \
        that wrote it", path.display())]
    UnknownRecord {
        /// The file.
        path: PathBuf,
        /// The byte offset of the record.
        offset: u64,
    },

    /// A backup's target or source cannot be used.
    #[error("{} cannot be used to back up or restore: {why}", path.display())]
    Backup {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },

    /// The log no longer reaches back to the record asked for.
    #[error(
        "record {from} is no longer in the log; the oldest that changes can be read from is {oldest}"
    )]
    HistoryGone {
        /// The number asked for.
        from: annals_journal::Seq,
        /// The lowest number there is.
        oldest: annals_journal::Seq,
    },

    /// A writer replaced files that this read-only handle still reads.
    #[error(
        "the writer has compacted the log beyond what this read-only handle can follow; open it again"
    )]
    Stale,

    /// The system names no data directory for this user.
    #[error("no data directory is known for this user: set {variable}")]
    NoDataDir {
        /// The environment variable that would name one.
        variable: &'static str,
    },
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for is not there.
    NotFound,
    /// It is there already.
    AlreadyExists,
    /// The call cannot work as it was made: fix the call.
    InvalidInput,
    /// Bytes on disk are not what was written: restore from a backup.
    Corrupt,
    /// Files of another version or byte order: use the build that wrote them.
    Version,
    /// The directory is no database.
    NotADatabase,
    /// Somebody else has it open: wait, or open read-only.
    Locked,
    /// An earlier failure stopped all writes: reopen.
    Poisoned,
    /// The handle only reads.
    ReadOnly,
    /// No space: free some and try again; nothing was written.
    Full,
    /// The file system refused.
    Io,
    /// The handle was closed: open again.
    Closed,
    /// A race was lost: try again.
    Conflict,
    /// The read-only handle fell behind: open again.
    Stale,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use annals_journal::Error as Log;
        use annals_ordered::Error as Tables;
        match self {
            Self::Journal(error) => match error {
                Log::Disk(error) if error.is_not_found() => ErrorKind::NotFound,
                Log::Full { .. } => ErrorKind::Full,
                Log::Damaged { .. } | Log::Missing { .. } | Log::Foreign { .. } => {
                    ErrorKind::Corrupt
                }
                Log::Version { .. } | Log::ByteOrder { .. } => ErrorKind::Version,
                Log::NotADatabase { .. } => ErrorKind::NotADatabase,
                Log::Locked { .. } => ErrorKind::Locked,
                Log::Poisoned { .. } => ErrorKind::Poisoned,
                Log::ReadOnly => ErrorKind::ReadOnly,
                Log::Closed => ErrorKind::Closed,
                Log::FrameTooLarge { .. } | Log::Config { .. } => ErrorKind::InvalidInput,
                Log::Gone { .. } => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            },
            Self::Tables(error) => match error {
                error if error.is_full() => ErrorKind::Full,
                error if error.is_other_format() => ErrorKind::Version,
                error if error.is_damage() => ErrorKind::Corrupt,
                Tables::Codec { .. } => ErrorKind::Version,
                Tables::TooLarge { .. } | Tables::Config { .. } => ErrorKind::InvalidInput,
                Tables::Stopped { .. } => ErrorKind::Poisoned,
                Tables::Cancelled => ErrorKind::Closed,
                Tables::ReadOnly => ErrorKind::ReadOnly,
                Tables::Dropped { .. } => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            },
            Self::UnknownKeyspace { .. }
            | Self::KeyspaceDropped { .. }
            | Self::HistoryGone { .. } => ErrorKind::NotFound,
            Self::KeyspaceExists { .. } => ErrorKind::AlreadyExists,
            Self::ForeignKeyspace { .. }
            | Self::WrongKind { .. }
            | Self::InvalidName { .. }
            | Self::KeyTooLong { .. }
            | Self::ValueTooLong { .. }
            | Self::NoDataDir { .. }
            | Self::Backup { .. } => ErrorKind::InvalidInput,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Checkpoint { .. } => ErrorKind::Corrupt,
            Self::UnknownRecord { .. } => ErrorKind::Version,
            Self::Stale => ErrorKind::Stale,
        }
    }

    /// Whether the same call may succeed later without any change to it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Conflict | ErrorKind::Full | ErrorKind::Locked)
    }

    pub(crate) fn disk(error: annals_disk::DiskError) -> Self {
        Self::Journal(error.into())
    }
}

impl From<Arc<annals_disk::DiskError>> for Error {
    fn from(error: Arc<annals_disk::DiskError>) -> Self {
        Self::Journal(annals_journal::Error::Disk(error))
    }
}
