//! The manifest: one append-only log of edits that says which tables make up which tree.
//!
//! `format` knows the bytes of its file, `edit` what one step says, `state` what all steps together
//! mean, `scan` how a file is read and what its end tells, `log` how it is written, `follow` how one
//! is read while another process writes it.
//!
//! Order of durability. A table is synced, and its name is, before an edit names it. An edit is
//! synced before anything relies on it: before a table it drops is removed, before the caller is
//! told that its log may go. The next edit is begun only after that. So of all edits only the last
//! one can be torn, nobody relies on it then, and it is cut off; whatever else cannot be read is
//! damage. See `docs/formats/manifest.md`.

mod edit;
mod follow;
mod format;
pub(crate) mod fuzzing;
mod log;
mod scan;
mod state;

pub use edit::{Edit, TableAdded, TableRemoved, TreeAdded};
pub(crate) use follow::{Followed, Glance};
pub use format::MANIFEST_VERSION;
pub use log::Manifest;
pub use scan::{ManifestRead, read_manifest};
pub use state::{State, TreeState};

#[cfg(test)]
use scan::scan;

/// Which manifest a store has, and how much of it is known to be synced: what the caller's own root
/// file keeps of it. The root may lag behind in the length, never in the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestPlace {
    /// The number in the file's name.
    pub number: u64,
    /// The file is known to be synced up to this length. What cannot be read before that is damage.
    pub synced_bytes: u64,
}

#[cfg(test)]
mod manifest_test;
