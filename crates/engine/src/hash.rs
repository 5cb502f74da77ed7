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
mod keyspace;
mod known;
mod lookup;
#[cfg(test)]
mod lookup_test;
pub(crate) mod table;
mod undo;
mod view;

pub(crate) use change::{Applying, Changing, Placed};
pub use entry::Entry;
pub use guard::Guard;
pub use iter::Iter;
pub use keyspace::HashKeyspace;
pub(crate) use lookup::{Hit, Quick, Sight};
pub(crate) use table::Approach;
pub(crate) use undo::Undo;
pub(crate) use view::HashView;

/// The hash of a key: XXH3, 64 bits, seeded by the database, so that nobody who does not know the
/// seed can choose keys that collide. Checkpoints depend on it: it is part of their format.
#[inline(always)]
pub(crate) fn hash_key(seed: u64, key: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot_with_seed(seed, key)
}
