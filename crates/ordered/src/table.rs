//! The sorted table: a file of entries in order, written once and never changed.
//!
//! * `options`, `identity`: what the caller decides about a table;
//! * `envelope`: what stands before each block: its length and its checksum; `blocks`: reaching blocks
//!   and checking them when they are first touched; `out`: the file that is being written;
//! * `handle`: where a block is;
//! * `header`, `footer`, `properties`, `ranges`: the parts of the file that are no blocks of entries;
//! * `writer`: makes the file; `reader`: opens it and answers for one key; `cursor`: goes through it;
//!   `ahead`: brings closer what look-ups will read; `verify`: reads every byte.
//!
//! Data blocks are reached through a tree of index blocks, whose lowest nodes, the *leaves*, each have
//! a filter for the keys below them. The tree is written while entries come in and is read in place, so
//! neither writing nor reading a table takes memory in proportion to it, but for one bit a block: that
//! its checksum was found right.
//!
//! The bytes are described in `docs/formats/sstable.md`.

mod ahead;
mod blocks;
mod cursor;
#[cfg(test)]
mod damage_test;
mod envelope;
mod footer;
mod handle;
mod header;
mod identity;
#[cfg(test)]
mod model_test;
mod options;
mod out;
mod properties;
mod ranges;
mod reader;
mod sought;
#[cfg(test)]
mod table_test;
#[cfg(test)]
pub(crate) mod testing;
mod verify;
mod writer;

pub use cursor::TableCursor;
pub use identity::TableIdentity;
pub use options::{Reading, TableOptions};
pub use properties::{Properties, TableNotes};
pub use reader::{Found, Table};
pub use sought::Sought;
pub use verify::{Damage, Verified};
pub use writer::{TableWriter, Written};

pub(crate) use envelope::mend;

/// The most bytes of a key.
pub const KEY_BYTES_MAX: usize = 1 << 16;
/// The most bytes of a value.
pub const VALUE_BYTES_MAX: usize = 1 << 30;
