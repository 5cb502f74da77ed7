//! One embeddable engine that keeps *what happened* and *what is true now* together, written
//! through one durable log.
//!
//! This crate is the front door: it re-exports the vocabulary of a user and nothing else. Today it
//! holds ordered keyspaces (sorted keys, ranges and prefixes, larger than memory), hash keyspaces (point
//! look-ups straight from the log), streams of events, event tables (wide events by column, for questions about many),
//! atomic batches across all of them, snapshots, a change feed, backups and verification.
//!
//! ```
//! use annals::{Database, Durability, ExpectedVersion, NewEvent};
//!
//! # let folder = std::env::temp_dir().join(format!("annals-facade-{}", std::process::id()));
//! let db = Database::builder().durability(Durability::Sync).open(&folder)?;
//! let (stock, days) = (db.hash_keyspace("stock")?, db.keyspace("days")?);
//! let orders = db.category("orders")?;
//! stock.insert("apple", "42")?;
//!
//! // State and what explains it, together or not at all.
//! let mut batch = db.batch();
//! batch.insert(&stock, "apple", "41")?;
//! batch.insert(&days, "11-20/17", "one apple")?;
//! let placed = NewEvent::json("placed", r#"{"apples":1}"#);
//! batch.append(&orders, 17u64, &[placed], ExpectedVersion::NoStream)?;
//! batch.commit()?;
//!
//! // A value of a hash keyspace is read in place: no copy, no allocation.
//! assert_eq!(stock.get("apple")?.as_deref(), Some(&b"41"[..]));
//! // An ordered keyspace has its keys in their order.
//! assert_eq!(days.range("11-20".."11-21")?.count(), 1);
//! // A stream has what happened to one thing.
//! assert_eq!(orders.last(17u64)?.expect("one event").data(), br#"{"apples":1}"#);
//! db.close()?;
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok::<(), annals::Error>(())
//! ```
//!
//! # Event tables
//! A table has events of one schema, by column. It is opened by a type that derives [`Schema`](macro@Schema) or with a
//! schema that is made at run time ([`Database::table_of`], [`Database::table`]); a [`TableView`] answers questions about
//! all events there are at one moment.
//!
//! ```
//! use annals::{Database, Schema};
//!
//! #[derive(Schema)]
//! #[schema(schema_id = 1)]
//! struct Request {
//!     #[ts]
//!     at: i64,
//!     #[dim(bloom)]
//!     user: String,
//!     #[status]
//!     status: u16,
//!     #[counter]
//!     bytes: u64,
//! }
//!
//! let db = Database::open_in_memory()?;
//! let requests = db.table_of::<Request>("requests")?;
//! requests.append(&Request::event().at(1).user("ada").status(200).bytes(512))?;
//! requests.append(&Request { at: 2, user: "bob".into(), status: 404, bytes: 0 })?;
//! let view = requests.view()?;
//! let (failed, fields) = (Request::filter().status_ge(400), Request::fields());
//! let found = view.query().filter(failed).group_by(fields.user()).measure(fields.bytes()).run()?;
//! assert_eq!(found.sorted()[0].rows(), 1);
//! # Ok::<(), annals::Error>(())
//! ```
//!
//! Schemas, batches, values, filters and measures are in [`columns`]. Its examples are written for the crate by itself:
//! where they say `annals_columns::`, write `annals::columns::`, and leave `crate = annals_columns` away. The same with
//! typed events: where examples say `annals_events::Event` and `#[event(crate = annals_events)]`, write `annals::Event` and
//! nothing.
//!
//! # Features
//! `zstd`: ordered keyspaces may keep their tables compressed with Zstandard, besides LZ4 (brings C
//! sources). `chained-events`: categories whose events are chained by hashes, so that it shows when one is
//! changed later. Neither is on by default; the `annals` command has both.
//!
//! `cqrs-es`: the module `cqrs`, which makes a database the event store and the store of views of a program
//! that is written with the crate [`cqrs-es`](https://docs.rs/cqrs-es). Not on by default.
//!
//! `uuid`: streams may be named by a `Uuid` of the crate [`uuid`](https://docs.rs/uuid). Not on by default.
//!
//! `arrow`: the module `arrow`, which gives events of tables as Arrow record batches and writes Parquet files.
//! Not on by default; it brings the crates of Arrow.

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
    OrderedSnapshot, Range, Replaced, Salvage, Snapshot, VALUE_BYTES_MAX, Value, WriteBatch,
    WriteOptions,
};

// How ordered keyspaces keep their tables.
pub use annals_engine::{Compression, LEVELS, Style, TreeOptions};

// Streams.
pub use annals_engine::{
    Aggregate, Aggregates, Appended, BatchEvents, Batches, Category, ChainHead, Consumer, Delivery,
    EventBatch, EventFormat, EventHash, EventType, Events, EventsOf, ExpectedVersion, Follower,
    Following, Handle, Loaded, NewEvent, Parked, PersistentInfo, PersistentOptions,
    PersistentSubscription, Projection, ProjectionInfo, Projector, RecordedEvent, Replayed,
    Retention, STREAM_ID_BYTES_MAX, StartAt, Strategy, StreamId, StreamInfo, StreamMark,
    StreamReader, Streams, Subscription, Ticket, TypedBatch, TypedBatchEvents, TypedEvent,
    TypedFollower, VerifiedChain, Watcher, Work,
};
pub use annals_events::{Event, EventField};

// Event tables.
pub use annals_columns::Schema;
pub use annals_engine::{
    AppendReport, CancelToken, Cursor, DayBucket, DayRollup, DayTotals, Duplicates, EventTable,
    EventTableStats, ExplainedQuery, FlushReport, FoundGroup, FoundGroups, FoundRows, GcReport,
    MergeReport, Scan, TableDamage, TableOptions, TableQuery, TableView,
};

/// Wide events by column: schemas, batches, values.
pub use annals_columns as columns;

/// What an event is: types with versions, archives that are read in place, upcasts.
pub use annals_events as events;

/// The persistence traits of the crate `cqrs-es` over a database.
#[cfg(feature = "cqrs-es")]
#[cfg_attr(docsrs, doc(cfg(feature = "cqrs-es")))]
pub use annals_cqrs as cqrs;

/// Events of tables as Arrow record batches and Parquet files.
#[cfg(feature = "arrow")]
#[cfg_attr(docsrs, doc(cfg(feature = "arrow")))]
pub use annals_arrow as arrow;

// Changes and care.
pub use annals_engine::{
    BackupReport, CHECKPOINT_VERSION, CacheStats, Change, ChangeKind, Changes, CheckpointReport,
    CompactReport, Damage, KeyspaceStats, LevelStats, LogStats, SnapshotStats, Stats, TableStats,
    TreeStats, TreeTraffic, VerifyReport, WriterState, WriterStats,
};

/// The seam between the engine and the world: disks that are there, for tests that simulate power cuts and full
/// disks too, and what it takes to write one of your own. Where examples say `annals_disk::`, write `annals::disk::`.
///
/// A disk that counts what files are made, and leaves the work to another one:
///
/// ```
/// use annals::{
///     Database, Holder,
///     disk::{Access, Disk, Entry, File, Lock, LockMode, MemoryDisk, Region, Result},
/// };
/// use std::{
///     path::{Path, PathBuf},
///     sync::{
///         Arc,
///         atomic::{AtomicU64, Ordering},
///     },
/// };
///
/// #[derive(Debug, Default)]
/// struct Counting {
///     disk: MemoryDisk,
///     made_count: AtomicU64,
/// }
///
/// impl Disk for Counting {
///     fn create(&self, path: &Path) -> Result<Box<dyn File>> {
///         self.made_count.fetch_add(1, Ordering::Relaxed);
///         self.disk.create(path)
///     }
///     fn create_region(&self, path: &Path, len: u64) -> Result<Region> {
///         self.made_count.fetch_add(1, Ordering::Relaxed);
///         self.disk.create_region(path, len)
///     }
///     // Everything else as it is. What has a default is forwarded too: the disk inside may do better.
///     fn create_dir_all(&self, path: &Path) -> Result<()> {
///         self.disk.create_dir_all(path)
///     }
///     fn sync_dir(&self, path: &Path) -> Result<()> {
///         self.disk.sync_dir(path)
///     }
///     fn list(&self, path: &Path) -> Result<Vec<Entry>> {
///         self.disk.list(path)
///     }
///     fn resolve(&self, path: &Path) -> Result<PathBuf> {
///         self.disk.resolve(path)
///     }
///     fn len(&self, path: &Path) -> Result<Option<u64>> {
///         self.disk.len(path)
///     }
///     fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
///         self.disk.read(path, limit_bytes)
///     }
///     fn read_part(&self, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>> {
///         self.disk.read_part(path, offset, len)
///     }
///     fn rename(&self, from: &Path, to: &Path) -> Result<()> {
///         self.disk.rename(from, to)
///     }
///     fn remove(&self, path: &Path) -> Result<()> {
///         self.disk.remove(path)
///     }
///     fn open_region(&self, path: &Path, access: Access) -> Result<Region> {
///         self.disk.open_region(path, access)
///     }
///     fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<Box<dyn Lock>>> {
///         self.disk.try_lock(path, mode)
///     }
///     fn try_lock_dir(&self, path: &Path) -> Result<Option<Box<dyn Lock>>> {
///         self.disk.try_lock_dir(path)
///     }
///     fn lock_holder(&self, path: &Path) -> Result<Option<Holder>> {
///         self.disk.lock_holder(path)
///     }
///     fn now_ms(&self) -> u64 {
///         self.disk.now_ms()
///     }
///     fn monotonic_ns(&self) -> u64 {
///         self.disk.monotonic_ns()
///     }
///     fn random_u64(&self) -> u64 {
///         self.disk.random_u64()
///     }
/// }
///
/// let disk = Arc::new(Counting::default());
/// let db = Database::builder().disk(disk.clone()).open("shop")?;
/// db.keyspace("stock")?.insert("apple", "42")?;
/// db.close()?;
/// assert!(disk.made_count.load(Ordering::Relaxed) > 2);
/// # Ok::<(), annals::Error>(())
/// ```
///
/// A [`File`](disk::File) can be wrapped the same way. The bytes of a [`Region`](disk::Region) are read in
/// place, so one of your own needs memory that shows them: [`Backing`](disk::Backing) says how, and the
/// constructors of `Region` what you promise.
pub mod disk {
    pub use annals_disk::{
        Access, Backing, Disk, DiskError, Entry, Fault, File, Holder, Lock, LockMode, MemoryDisk,
        Operation, RealDisk, Region, Result, SimDisk, SimOptions, Via, WriteMode,
    };
}

/// The code of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
