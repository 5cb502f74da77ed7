//! What a store asks of who keeps the root of the database.

use crate::ManifestPlace;
use std::fmt::Debug;

/// The caller's root file, which says which manifest a store has.
pub trait ManifestRoot: Debug + Send + Sync {
    /// Makes the root name this manifest, durably, before it returns. The manifest and its name are
    /// durable already. Called while an edit is written, so it must not call the store.
    ///
    /// # Errors
    /// Why it could not, in words. Nobody knows then which manifest the root names, and the store
    /// stops writing.
    fn set_manifest(&self, place: ManifestPlace) -> Result<(), String>;

    /// Makes durable what the caller's log has of the records that were applied. Called before a table
    /// with some of them becomes part of a tree: otherwise a power cut could leave records that the log
    /// has lost, beside a state that lacks what came before them. Nothing to do for who applies durable
    /// records only.
    ///
    /// # Errors
    /// Why it could not, in words. The store stops writing then.
    fn sync_log(&self) -> Result<(), String> {
        Ok(())
    }
}
