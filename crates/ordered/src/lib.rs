//! Sorted keys for the Annals data engine: memtables, sorted tables in levels, a manifest and
//! compaction.
//!
//! Records come in with their sequence numbers, and go from memory to immutable files; what is asked
//! for is merged from all of them, as of any sequence number that is still kept.
//!
//! What this crate is not: it knows no journal. Who uses it makes records durable before they come
//! here, and brings those again after a crash that no table holds yet.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod block;
mod cache;
mod compaction;
mod compress;
mod cursor;
mod entry;
mod error;
mod files;
mod filter;
#[doc(hidden)]
pub mod fuzzing;
mod holds;
mod key_copy;
mod key_range;
mod levels;
mod load;
mod manifest;
mod memtable;
mod merge;
mod near;
mod number;
mod options;
mod pressure;
mod rate;
mod reference;
mod referring;
mod removals;
mod retain;
mod salvage;
mod site;
mod source;
mod stats;
mod store;
mod table;
mod table_file;
mod table_info;
#[cfg(test)]
mod test_run;
mod traffic;
mod tree;
mod tree_cursor;
mod version;
mod view;
mod visible;
mod windows;
mod work;

pub use cache::{BlockCache, CacheStats};
pub use compress::Compression;
pub use cursor::Cursor;
pub use entry::{Entry, EntryKind};
pub use error::{Error, Result};
pub use files::FileName;
pub use holds::Hold;
pub use key_copy::{KeyCopy, behind_prefix};
pub use key_range::KeyRange;
pub use levels::{LEVELS, Levels, ShapeError};
pub use load::{Load, Loaded};
pub use manifest::{
    Edit, MANIFEST_VERSION, Manifest, ManifestPlace, ManifestRead, State, TableAdded, TableRemoved,
    TreeAdded, TreeState, read_manifest,
};
pub use memtable::{Memtable, MemtableCursor, MemtableWriter};
pub use merge::Merge;
pub use options::{Style, TreeOptions};
pub use pressure::{Admission, Backlog, Pressure, Span};
pub use reference::{Reference, ReferencedBytes};
pub use referring::{Former, Referring};
pub use removals::{RangeRemoval, Removals, Removed};
pub use retain::{Fate, KeyRetention, Retention};
pub use salvage::Salvage;
pub use site::Pause;
pub use stats::{LevelStats, StoreStats, TreeStats};
pub use store::{Follower, Frozen, ManifestRoot, RootError, Store, StoreConfig};
pub use table::{
    Damage, Found, KEY_BYTES_MAX, Properties, Reading, Sought, Table, TableCursor, TableIdentity,
    TableNotes, TableOptions, TableWriter, VALUE_BYTES_MAX, Verified, Written,
};
pub use table_file::HeldTables;
pub use table_info::TableInfo;
pub use traffic::TreeTraffic;
pub use tree::{Record, Tree};
pub use tree_cursor::TreeCursor;
pub use view::{LOOKS_AHEAD, View};
pub use visible::{AsOf, Visible};
pub use work::Work;
