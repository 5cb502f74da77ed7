//! Sorted keys for the Annals data engine: memtables, sorted tables in levels, a manifest and
//! compaction.
//!
//! Records come in with their sequence numbers, and go from memory to immutable files; what is asked
//! for is merged from all of them, as of any sequence number that is still kept.
//!
//! What this crate is not: it knows no journal. Who uses it makes records durable before they come
//! here, and brings those again after a crash that no table holds yet.

mod block;
mod cache;
mod compress;
mod cursor;
mod entry;
mod error;
mod filter;
#[doc(hidden)]
pub mod fuzzing;
mod number;
mod table;

pub use cache::{BlockCache, CacheStats};
pub use compress::Compression;
pub use cursor::Cursor;
pub use entry::{Entry, EntryKind};
pub use error::{Error, Result};
pub use table::{
    Damage, Found, KEY_BYTES_MAX, Properties, RangeRemoval, Reading, Sought, Table, TableCursor,
    TableIdentity, TableNotes, TableOptions, TableWriter, VALUE_BYTES_MAX, Verified, Written,
};
