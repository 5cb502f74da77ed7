//! What kind each error is, for programs that are to go on.

use super::Error;

/// What to do about an error.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ErrorKind};
/// # let folder = tempfile::tempdir().expect("a directory");
/// # let folder = folder.path();
/// let db = Database::open(folder)?;
/// let second = match Database::open(folder) {
///     Err(error) if error.kind() == ErrorKind::Locked => Database::open_read_only(folder)?,
///     other => other?,
/// };
/// assert_eq!(second.keyspace("users").unwrap_err().kind(), ErrorKind::ReadOnly);
/// # drop(db);
/// # Ok::<(), annals::Error>(())
/// ```
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
    /// The file system is mounted for reading only, or its permissions forbid it: allow it, or open read-only.
    Forbidden,
    /// The file system refused.
    Io,
    /// The handle was closed: open again.
    Closed,
    /// A race was lost: try again where [`Error::is_retryable`] says so. A stream that is not as expected is read first;
    /// one that is archived, or deleted for good, takes nothing.
    Conflict,
    /// The read-only handle fell behind: open again.
    Stale,
    /// It was called off by who asked.
    Cancelled,
    /// What was asked for takes more memory than it may, or than the system gives: ask for less, or allow more.
    TooLarge,
}

impl Error {
    /// What to do about it.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind, KeyspaceOptions};
    /// let db = Database::open_in_memory()?;
    /// db.hash_keyspace("users")?;
    /// let error = db.create_hash_keyspace("users", KeyspaceOptions::default()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    /// assert_eq!(db.hash_keyspace("").unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use annals_columns::Error as Columns;
        use annals_journal::Error as Log;
        use annals_ordered::Error as Tables;
        match self {
            Self::Journal(error) => match error {
                Log::Disk(error) if error.is_not_found() => ErrorKind::NotFound,
                Log::Disk(error) if error.is_read_only() => ErrorKind::Forbidden,
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
                Tables::Disk(error) if error.is_read_only() => ErrorKind::Forbidden,
                error if error.is_other_format() => ErrorKind::Version,
                error if error.is_damage() => ErrorKind::Corrupt,
                Tables::Codec { .. } => ErrorKind::Version,
                Tables::TooLarge { .. } | Tables::Config { .. } => ErrorKind::InvalidInput,
                Tables::Stopped { .. } => ErrorKind::Poisoned,
                Tables::Cancelled => ErrorKind::Closed,
                Tables::NoMemory { .. } => ErrorKind::TooLarge,
                Tables::ReadOnly => ErrorKind::ReadOnly,
                Tables::Dropped { .. } => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            },
            Self::Columns(error) => match error {
                Columns::Damaged { .. }
                | Columns::Malformed { .. }
                | Columns::NotAPart
                | Columns::OtherPart { .. } => ErrorKind::Corrupt,
                Columns::Version { .. } | Columns::ByteOrder => ErrorKind::Version,
                _ => ErrorKind::InvalidInput,
            },
            Self::NoSchema { .. }
            | Self::UnknownKeyspace { .. }
            | Self::UnknownSubscription { .. }
            | Self::UnknownProjection { .. }
            | Self::KeyspaceDropped { .. }
            | Self::HeadGone { .. }
            | Self::HistoryGone { .. } => ErrorKind::NotFound,
            Self::KeyspaceExists { .. } => ErrorKind::AlreadyExists,
            Self::ForeignKeyspace { .. }
            | Self::WrongKind { .. }
            | Self::InvalidName { .. }
            | Self::KeyTooLong { .. }
            | Self::ValueTooLong { .. }
            | Self::OutOfOrder { .. }
            | Self::NoDataDir { .. }
            | Self::DuplicateEvent { .. }
            | Self::NoEvents
            | Self::NoIds { .. }
            | Self::TooManyRecords { .. }
            | Self::NoTimes { .. }
            | Self::DuplicateId { .. }
            | Self::NoRollup { .. }
            | Self::AggregateIncomplete { .. }
            | Self::BeyondEnd { .. }
            | Self::EventTypes { .. }
            | Self::SubscriptionDiffers { .. }
            | Self::Refused(_)
            | Self::NotChained { .. }
            | Self::OptionOfStreams { .. }
            | Self::StreamIdTooLong { .. }
            | Self::Backup { .. } => ErrorKind::InvalidInput,
            Self::Conflict { .. }
            | Self::VersionConflict { .. }
            | Self::LifeConflict { .. }
            | Self::StreamClosed { .. } => ErrorKind::Conflict,
            Self::DamagedEvents { .. }
            | Self::DamagedTable { .. }
            | Self::Checkpoint { .. }
            | Self::BrokenChain { .. }
            | Self::SubscriptionState { .. } => ErrorKind::Corrupt,
            Self::UnknownRecord { .. } | Self::NoChains { .. } | Self::ForeignRecord { .. } => {
                ErrorKind::Version
            }
            Self::Event(error) => match error.kind() {
                annals_events::ErrorKind::Corrupt => ErrorKind::Corrupt,
                _ => ErrorKind::InvalidInput,
            },
            Self::Stale => ErrorKind::Stale,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::TooManyGroups { .. } | Self::TooMuchMemory { .. } => ErrorKind::TooLarge,
        }
    }

    /// Whether the same call may succeed later without any change to it.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent};
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// let db = Database::open(folder)?;
    /// assert!(Database::open(folder).unwrap_err().is_retryable(), "it may be closed soon");
    /// // Whoever decided by a state that was not the last has to look first.
    /// let (orders, paid) = (db.category("orders")?, NewEvent::bytes("paid", b""));
    /// let conflict = orders.append(17u64, &paid, ExpectedVersion::Exact(3)).unwrap_err();
    /// assert!(!conflict.is_retryable());
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Conflict | ErrorKind::Full | ErrorKind::Locked)
            && !matches!(
                self,
                Self::VersionConflict { .. }
                    | Self::LifeConflict { .. }
                    | Self::StreamClosed { .. }
            )
    }
}
