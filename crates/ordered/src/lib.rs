//! Sorted keys for the Annals data engine: memtables, sorted tables in levels, a manifest and
//! compaction.
//!
//! Records come in with their sequence numbers, and go from memory to immutable files; what is asked
//! for is merged from all of them, as of any sequence number that is still kept.
//!
//! What this crate is not: it knows no journal. Who uses it makes records durable before they come
//! here, and brings those again after a crash that no table holds yet.

#[allow(dead_code, reason = "for now")]
mod compaction;
mod cursor;
mod entry;
mod error;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod key_range;
mod levels;
mod manifest;
mod memtable;
mod merge;
mod options;
mod pressure;
mod removals;
mod retain;
mod table_info;
#[cfg(test)]
mod test_run;
mod visible;

pub use cursor::Cursor;
pub use entry::{Entry, EntryKind};
pub use error::{Error, Result};
pub use files::FileName;
pub use key_range::KeyRange;
pub use levels::{LEVELS, Levels, ShapeError};
pub use manifest::{
    Edit, MANIFEST_VERSION, Manifest, ManifestPlace, ManifestRead, State, TableAdded, TableRemoved,
    TreeAdded, TreeState, read_manifest,
};
pub use memtable::{Memtable, MemtableCursor, MemtableWriter};
pub use merge::Merge;
pub use options::{Packing, Style, TreeOptions};
pub use pressure::{Admission, Backlog, Pressure, Span};
pub use removals::{RangeRemoval, Removals, Removed};
pub use retain::{Fate, KeyRetention, Retention};
pub use table_info::TableInfo;
pub use visible::{AsOf, Visible};
