//! Hash keyspaces: point look-ups straight from the log.
//!
//! The [table](table::Table) maps hashes to addresses; keys and values stay in the log and are
//! compared there.

mod beside;
mod by_hash;
mod bytes;
mod change;
mod entry;
mod guard;
mod iter;
mod keyspace;
mod known;
mod lookup;
#[cfg(test)]
mod lookup_test;
pub(crate) mod table;
mod undo;
mod view;

/// The hash of a key, seeded by the database. Checkpoints depend on it: it is part of their format.
pub(crate) use annals_disk::hash_bytes as hash_key;
pub(crate) use by_hash::ByHash;
pub(crate) use change::{Applying, Changing, Former, LeftOut, Moved, Placed};
pub use entry::Entry;
pub use guard::Guard;
pub use iter::Iter;
pub(crate) use iter::Raw;
pub use keyspace::HashKeyspace;
pub(crate) use lookup::{Hit, Sight};
pub(crate) use table::Approach;
pub(crate) use undo::Undo;
pub(crate) use view::HashView;
