//! Event tables: wide events by column.
//!
//! A table is a keyspace whose records are the engine's own ([`keys`]): its schema; *fresh* batches, each as it
//! was appended; and *parts*, which are what fresh batches become. Each is a value in the log, written by a commit,
//! replayed, checkpointed, moved, backed up and verified as any other: a flush is one commit that puts a part and
//! removes the batches it is made of, so whatever cuts it off, each event counts once.
//!
//! What is where is known in memory as well ([`Shape`]), so that no question has to look through the keyspace
//! for it. Events are read through a [`TableView`], which holds what there was at one moment.

mod adding;
mod append;
mod damage;
#[cfg(test)]
#[path = "tables/damage_test.rs"]
mod damage_test;
mod delete;
#[cfg(test)]
#[path = "tables/delete_test.rs"]
mod delete_test;
mod deleted;
#[cfg(test)]
#[path = "tables/edges_test.rs"]
mod edges_test;
mod explained;
mod flush;
#[cfg(test)]
#[path = "tables/fractions_test.rs"]
mod fractions_test;
mod fresh;
mod groups;
#[cfg(test)]
#[path = "tables/groups_test.rs"]
mod groups_test;
mod keys;
mod lifetime;
#[cfg(test)]
#[path = "tables/lifetime_test.rs"]
mod lifetime_test;
mod limits;
#[cfg(test)]
#[path = "tables/marks_test.rs"]
mod marks_test;
mod merge;
mod merge_choice;
#[cfg(test)]
#[path = "tables/merge_test.rs"]
mod merge_test;
mod opened;
#[cfg(test)]
#[path = "tables/opened_test.rs"]
mod opened_test;
mod options;
mod places;
mod query;
#[cfg(test)]
#[path = "tables/query_test.rs"]
mod query_test;
mod rollup;
#[cfg(test)]
#[path = "tables/rollup_test.rs"]
mod rollup_test;
mod rows;
mod scan;
#[cfg(test)]
#[path = "tables/schema_test.rs"]
mod schema_test;
mod shape;
#[cfg(test)]
#[path = "tables/shuffle_test.rs"]
mod shuffle_test;
mod table;
mod table_stats;
#[cfg(test)]
#[path = "tables/tables_test.rs"]
mod tables_test;
#[cfg(test)]
#[path = "tables/together_test.rs"]
mod together_test;
#[cfg(test)]
#[path = "tables/traps_test.rs"]
mod traps_test;
pub(crate) mod unique;
#[cfg(test)]
#[path = "tables/unique_test.rs"]
mod unique_test;
mod unsynced;
mod view;
mod worker;
#[cfg(test)]
#[path = "tables/worker_test.rs"]
mod worker_test;

pub(crate) use append::Pending;
pub use damage::TableDamage;
pub(crate) use delete::{Deleting, Deletion};
pub use explained::ExplainedQuery;
pub use flush::{FlushReport, GcReport};
pub use groups::{FoundGroup, FoundGroups};
pub(crate) use lifetime::ttl_of;
pub use limits::CancelToken;
pub use merge::MergeReport;
pub use options::TableOptions;
pub use query::TableQuery;
pub use rollup::{DayBucket, DayRollup, DayTotals};
pub use rows::FoundRows;
pub use scan::{Cursor, Scan};
pub(crate) use shape::Shape;
pub use table::EventTable;
pub use table_stats::EventTableStats;
pub use unique::{AppendReport, Duplicates};
pub use view::TableView;
pub(crate) use worker::{Worker, run_once, run_thorough, spawn_if_due};
