//! What can go wrong with a file: which operation, on which path, and the system's own reason.

use std::{fmt, io, path::PathBuf};

/// The result of a disk operation.
pub type Result<T, E = DiskError> = std::result::Result<T, E>;

/// The operation that failed, as a verb for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Making a directory.
    CreateDir,
    /// Syncing a directory, which makes creations, renames and removals in it durable.
    SyncDir,
    /// Listing a directory.
    List,
    /// Asking for the length or kind of a file.
    Stat,
    /// Opening a file that must exist.
    Open,
    /// Creating a file.
    Create,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Making written bytes durable.
    Sync,
    /// Reserving space ahead of writing.
    Reserve,
    /// Mapping a file into memory.
    Map,
    /// Cutting or growing a file.
    Resize,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Taking or releasing an advisory lock.
    Lock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateDir => "create the directory",
            Self::SyncDir => "sync the directory",
            Self::List => "list the directory",
            Self::Stat => "look at",
            Self::Open => "open",
            Self::Create => "create",
            Self::Read => "read",
            Self::Write => "write to",
            Self::Sync => "sync",
            Self::Reserve => "reserve space for",
            Self::Map => "map",
            Self::Resize => "resize",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Lock => "lock",
        })
    }
}

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {}: {source}{}", path.display(), self.remedy())]
pub struct DiskError {
    /// What was tried.
    pub operation: Operation,
    /// On which file or directory.
    pub path: PathBuf,
    /// The reason the system gave.
    pub source: io::Error,
}

impl DiskError {
    /// Builds an error for `operation` on `path`.
    pub fn new(operation: Operation, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { operation, path: path.into(), source }
    }

    /// What to do about it, where the reason alone does not say.
    fn remedy(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => {
                "; mount the file system for writing, or open the database for reading only"
            }
            io::ErrorKind::PermissionDenied => {
                "; give this user the right to do so, or name a directory where it has it"
            }
            _ => "",
        }
    }

    /// Whether the device or the user's quota has no space left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }

    /// Whether the file or directory does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether the file system or the file's permissions forbid writing.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
        )
    }
}
