//! Ordered keyspaces: sorted keys, ranges and prefixes, and more data than memory.
//!
//! Records go to the log like all others, and from there into a [tree](annals_ordered::Tree): to its
//! memtable at once, to its tables later. What the tables have, the log need not have.
//! `trees` is the store of all trees with what the engine adds to it, `following` moves it on in read-only
//! handles, `keyspace` and `writing` are the handle, `load` replaces all that one has, `range` walks through keys, `salvage` around damage.

mod brief;
mod following;
mod keyspace;
mod leaving;
mod load;
mod log_value;
mod moved;
mod range;
mod salvage;
mod snapshot;
mod threads;
mod trees;
mod value;
mod view;
mod writing;

pub(crate) use following::open_to_read;
pub use keyspace::OrderedKeyspace;
pub use load::Replaced;
pub(crate) use log_value::stays_in_log;
pub(crate) use moved::{Moved, MovedValue};
pub use range::{Keys, Range};
pub use salvage::Salvage;
pub use snapshot::OrderedSnapshot;
pub use trees::TableStats;
pub(crate) use trees::{Trees, place_of};
pub use value::{OrderedEntry, Value};
pub(crate) use view::TreeView;
pub(crate) use writing::ends_of;
