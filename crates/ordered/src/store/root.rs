//! What a store asks of who keeps the root of the database.

use crate::ManifestPlace;
use std::fmt::Debug;

/// Why the caller's root could not be made to name a manifest, or its log not be made durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// The disk has no space. The root is durably what it was, and the same can be tried again.
    #[error("{0}")]
    Full(String),
    /// Anything else, in words. Nobody knows what the root says.
    #[error("{0}")]
    Unknown(String),
}

/// The caller's root file, which says which manifest a store has.
pub trait ManifestRoot: Debug + Send + Sync {
    /// Makes the root name this manifest, durably, before it returns. The manifest and its name are
    /// durable already. Called while an edit is written, so it must not call the store.
    ///
    /// # Errors
    /// [`RootError::Full`] if the disk has no space and the root names what it named: the store refuses the change
    /// that needed a manifest, and goes on. After anything else nobody knows which manifest the root names, and
    /// the store stops writing.
    fn set_manifest(&self, place: ManifestPlace) -> Result<(), RootError>;

    /// Makes durable what the caller's log has of the records that were applied. Called before a table
    /// with some of them becomes part of a tree: otherwise a power cut could leave records that the log
    /// has lost, beside a state that lacks what came before them. Nothing to do for who applies durable
    /// records only.
    ///
    /// # Errors
    /// Why it could not. But for want of space the store stops writing then.
    fn sync_log(&self) -> Result<(), RootError> {
        Ok(())
    }
}
