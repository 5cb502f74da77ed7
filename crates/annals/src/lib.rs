//! One embeddable engine that keeps *what happened* and *what is true now* together, written
//! through one durable log.
//!
//! This crate is the front door: it re-exports the vocabulary of a user and nothing else. Today it
//! holds ordered keyspaces (sorted keys, ranges and prefixes, larger than memory), hash keyspaces (point
//! look-ups straight from the log), atomic batches across keyspaces of both kinds, snapshots, a change
//! feed, backups and verification.
//!
//! ```
//! use annals::{Database, Durability};
//!
//! # let folder = std::env::temp_dir().join(format!("annals-facade-{}", std::process::id()));
//! let db = Database::builder().durability(Durability::Sync).open(&folder)?;
//! let (stock, orders) = (db.hash_keyspace("stock")?, db.keyspace("orders")?);
//! stock.insert("apple", "42")?;
//!
//! // State and what explains it, together or not at all.
//! let mut batch = db.batch();
//! batch.insert(&stock, "apple", "41")?;
//! batch.insert(&orders, "17", "one apple")?;
//! batch.commit()?;
//!
//! // A value of a hash keyspace is read in place: no copy, no allocation.
//! assert_eq!(stock.get("apple")?.as_deref(), Some(&b"41"[..]));
//! // An ordered keyspace has its keys in their order.
//! assert_eq!(orders.range("1".."2")?.count(), 1);
//!
//! // What happened, in order.
//! let inserts = db.changes(db.oldest_seq())?.try_next()?.is_some();
//! assert!(inserts);
//! db.close()?;
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok::<(), annals::Error>(())
//! ```
//!
//! # Features
//! `zstd`: ordered keyspaces may keep their tables compressed with Zstandard, besides LZ4 (brings C
//! sources). Not on by default; the `annals` command has it.

#![cfg_attr(docsrs, feature(doc_cfg))]

// Databases.
pub use annals_engine::{
    Background, Builder, Database, Durability, Error, ErrorKind, Holder, KeyspaceInfo, Position,
    Recovery, Result, Seq, data_dir,
};

// Keyspaces.
pub use annals_engine::{
    AnyKeyspace, CasOutcome, Commit, Entry, Guard, HashKeyspace, Iter, KEY_BYTES_MAX,
    KEYSPACE_NAME_BYTES_MAX, Keys, KeyspaceKind, KeyspaceOptions, OrderedEntry, OrderedKeyspace,
    OrderedSnapshot, Range, Salvage, Snapshot, VALUE_BYTES_MAX, Value, WriteBatch, WriteOptions,
};

// How ordered keyspaces keep their tables.
pub use annals_engine::{Compression, LEVELS, Style, TreeOptions};

// Changes and care.
pub use annals_engine::{
    BackupReport, CHECKPOINT_VERSION, CacheStats, Change, ChangeKind, Changes, CheckpointReport,
    CompactReport, Damage, KeyspaceStats, LevelStats, LogStats, SnapshotStats, Stats, TableStats,
    TreeStats, TreeTraffic, VerifyReport,
};

/// The seam between the engine and the world, for tests that simulate power cuts and full disks.
pub mod disk {
    pub use annals_disk::{Disk, Fault, MemoryDisk, RealDisk, SimDisk, SimOptions, WriteMode};
}

/// The code of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
