//! The Annals data engine: databases, keyspaces, commits and snapshots over one durable log.
//!
//! Every write is a record in the log, once; a keyspace is a view of the log that can be rebuilt
//! from it. Use this crate through the facade `annals`, which re-exports it.
//!
//! What this crate is not: it does no file operation itself (`annals-disk` does) and knows nothing
//! of segments and frames (`annals-journal` does).
//!
//! ```
//! # use annals_engine as annals;
//! use annals::Database;
//!
//! let db = Database::open_in_memory()?;
//! let (stock, orders) = (db.hash_keyspace("stock")?, db.hash_keyspace("orders")?);
//! stock.insert("apple", "42")?;
//!
//! // Several writes that happen together or not at all.
//! let mut batch = db.batch();
//! batch.insert(&stock, "apple", "41")?;
//! batch.insert(&orders, "17", "one apple")?;
//! batch.commit()?;
//!
//! // Point reads straight from the log, without a copy.
//! assert_eq!(stock.get("apple")?.as_deref(), Some(&b"41"[..]));
//! # Ok::<(), annals::Error>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backup;
mod batch;
mod builder;
mod catalog;
mod changes;
mod checkpoint;
mod clock;
mod commit;
mod compaction;
mod core;
mod data_dir;
mod database;
mod error;
mod figures;
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod history;
mod holder;
mod keyspaces;
mod loading;
mod maintenance;
mod open;
mod ordered;
mod replay;
mod replayed;
mod snapshot;
mod stats;
mod streams;
mod tables;
mod upkeep;
mod verify;
mod writing;

// Databases.
pub use annals_disk::Holder;
pub use annals_journal::{Background, Durability, Position, Recovery, Seq};
pub use builder::Builder;
pub use data_dir::data_dir;
pub use database::Database;
pub use error::{Error, ErrorKind, Result};

// Keyspaces.
pub use annals_ordered::{Compression, LEVELS, Style, TreeOptions};
pub use catalog::{KEYSPACE_NAME_BYTES_MAX, KeyspaceKind, KeyspaceOptions};
pub use hash::{Entry, Guard, HashKeyspace, Iter};
pub use keyspaces::KeyspaceInfo;
pub use ordered::{
    Keys, OrderedEntry, OrderedKeyspace, OrderedSnapshot, Range, Replaced, Salvage, Value,
};
pub use writing::{CasOutcome, WriteOptions};

// Streams.
pub use annals_events::EventFormat;
pub use streams::{
    Aggregate, Aggregates, Appended, BatchEvents, Batches, Category, ChainHead, Consumer, Delivery,
    EventBatch, EventHash, EventType, Events, EventsOf, ExpectedVersion, Follower, Following,
    Handle, Loaded, NewEvent, Parked, PersistentInfo, PersistentOptions, PersistentSubscription,
    Projection, ProjectionInfo, Projector, RecordedEvent, Replayed, Retention, STREAM_ID_BYTES_MAX,
    StartAt, Strategy, StreamId, StreamInfo, StreamMark, StreamReader, Streams, Subscription,
    Ticket, TypedBatch, TypedBatchEvents, TypedEvent, TypedFollower, VerifiedChain, Watcher, Work,
};

// Event tables.
pub use tables::{
    AppendReport, CancelToken, Cursor, DayBucket, DayRollup, DayTotals, Duplicates, EventTable,
    EventTableStats, ExplainedQuery, FlushReport, FoundGroup, FoundGroups, FoundRows, GcReport,
    MergeReport, Scan, TableDamage, TableOptions, TableQuery, TableView,
};

// Commits and states.
pub use annals_journal::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
pub use batch::{AnyKeyspace, WriteBatch};
pub use changes::{Change, ChangeKind, Changes};
pub use commit::Commit;
pub use snapshot::Snapshot;

// Care.
pub use annals_journal::Damage;
pub use annals_ordered::{CacheStats, LevelStats, TreeStats, TreeTraffic};
pub use backup::BackupReport;
pub use checkpoint::{CHECKPOINT_VERSION, CheckpointReport};
pub use compaction::CompactReport;
pub use figures::{WriterState, WriterStats};
pub use ordered::TableStats;
pub use stats::{KeyspaceStats, LogStats, SnapshotStats, Stats};
pub use verify::VerifyReport;
