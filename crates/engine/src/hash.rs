//! Hash keyspaces: point look-ups straight from the log.
//!
//! The [table](table::Table) maps hashes to addresses; keys and values stay in the log and are
//! compared there.

mod beside;
mod bytes;
mod change;
mod entry;
mod guard;
mod iter;
mod key_hash;
mod keyspace;
mod known;
mod lookup;
#[cfg(test)]
mod lookup_test;
pub(crate) mod table;
mod undo;
mod view;

pub(crate) use change::{Applying, Changing, LeftOut, Moved, Placed};
pub use entry::Entry;
pub use guard::Guard;
pub use iter::Iter;
pub(crate) use key_hash::hash_key;
pub use keyspace::HashKeyspace;
pub(crate) use lookup::{Hit, Sight};
pub(crate) use table::Approach;
pub(crate) use undo::Undo;
pub(crate) use view::HashView;
