//! Figures about an open database.

use crate::{
    Database, KeyspaceKind, TableStats, TreeStats, WriterStats, compaction, core::Core, figures,
};
use annals_journal::{Position, SegmentKind, Seq};
use annals_ordered::{Store, Tree, View};

/// Figures about an open database.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// db.hash_keyspace("users")?.insert("ada", "1815")?;
/// let stats = db.stats();
/// assert_eq!((stats.keyspaces[0].name.as_str(), stats.keyspaces[0].len), ("users", 1));
/// assert_eq!(stats.snapshots.count, 0);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// The database's id.
    pub database_id: u64,
    /// The opening this is; counts from 1.
    pub epoch: u32,
    /// The number of the last record.
    pub last_seq: Seq,
    /// The time by which records expire, in milliseconds since 1970: the machine's, but never
    /// lower than it was, in this opening or an earlier one.
    pub clock_ms: u64,
    /// The log.
    pub log: LogStats,
    /// The keyspaces, by name.
    pub keyspaces: Vec<KeyspaceStats>,
    /// The tables of all ordered keyspaces, if there are any.
    pub tables: Option<TableStats>,
    /// What live snapshots hold back.
    pub snapshots: SnapshotStats,
    /// What the process that writes has counted since its opening: of a handle that writes its own figures, of
    /// a read-only one those that the writer has published last. `None` if it has published none that can be
    /// read: it may have been opened a moment ago, or with
    /// [`Background::Manual`](crate::Background::Manual).
    pub writer: Option<WriterStats>,
    /// Memory beyond the log's mapped pages, in bytes: tables and bookkeeping.
    pub memory_bytes: u64,
    /// Why writes have stopped, if they have.
    pub poisoned: Option<String>,
}

/// Figures about the log.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// users.insert("ada", "1814")?;
/// users.insert("ada", "1815")?;
/// db.sync()?;
/// let log = db.stats().log;
/// assert_eq!(log.synced, log.end);
/// // What is written anew leaves something for compaction.
/// assert!(log.live_bytes < log.content_bytes && log.content_bytes <= log.file_bytes);
/// assert_eq!(log.oldest_seq, db.oldest_seq());
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LogStats {
    /// Segments, spares not counted.
    pub segments_count: u64,
    /// Segments held ready.
    pub spares_count: u64,
    /// Segments that served the log once more since this opening, instead of new files.
    pub recycled_count: u64,
    /// Bytes of content.
    pub content_bytes: u64,
    /// Bytes of files, reserved space included.
    pub file_bytes: u64,
    /// Bytes of records that are current; of segments with records of ordered keyspaces that are in no
    /// table yet, all bytes.
    pub live_bytes: u64,
    /// The end of the log.
    pub end: Position,
    /// How far it is on the device.
    pub synced: Position,
    /// Device flushes since this opening.
    pub syncs_count: u64,
    /// Bytes appended since this opening.
    pub appended_bytes: u64,
    /// The lowest number from which changes can be read.
    pub oldest_seq: Seq,
    /// The latest checkpoint's number, if there is one.
    pub checkpoint: Option<u64>,
    /// The consumer that holds back the most log, by name, and the bytes it holds.
    pub oldest_hold: Option<(String, u64)>,
    /// Whether that is more than the limit for what is held back.
    pub hold_over_limit: bool,
}

/// Figures about a keyspace.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, KeyspaceKind};
/// let db = Database::open_in_memory()?;
/// db.hash_keyspace("users")?.insert("ada", "1815")?;
/// db.keyspace("days")?.insert("11-20", "one apple")?;
/// let keyspaces = db.stats().keyspaces;
/// let (days, users) = (&keyspaces[0], &keyspaces[1]);
/// assert_eq!((days.kind, users.kind), (KeyspaceKind::Ordered, KeyspaceKind::Hash));
/// assert!(users.len == 1 && users.live_bytes > 0 && users.memory_bytes > 0);
/// assert!(days.tree.is_some() && users.tree.is_none());
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KeyspaceStats {
    /// Its name.
    pub name: String,
    /// What it is good at.
    pub kind: KeyspaceKind,
    /// Keys, as [`VerifyReport::keys_count`](crate::VerifyReport::keys_count) counts them, of an ordered keyspace an
    /// estimate; of a category its streams, and not their events.
    pub len: u64,
    /// Removed keys that snapshots keep in the table.
    pub removed_kept_count: u64,
    /// Bytes of its records in the log that are current, or kept for snapshots or for a rebuild; of an
    /// ordered keyspace those to which its tables refer.
    pub live_bytes: u64,
    /// Memory of its table, or of what is not in tables yet, in bytes.
    pub memory_bytes: u64,
    /// Levels, sizes and amplification of an ordered keyspace.
    pub tree: Option<TreeStats>,
}

/// What live snapshots hold back.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// db.hash_keyspace("users")?.insert("ada", "1815")?;
/// let snapshot = db.snapshot();
/// let held = db.stats().snapshots;
/// assert_eq!((held.count, held.oldest_seq), (1, Some(snapshot.seq())));
/// drop(snapshot);
/// assert_eq!(db.stats().snapshots.count, 0);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SnapshotStats {
    /// Live snapshots, iterators included.
    pub count: u64,
    /// The lowest number one of them sees.
    pub oldest_seq: Option<Seq>,
    /// Segments that were compacted and stay for them.
    pub held_segments_count: u64,
    /// Bytes of these segments.
    pub held_bytes: u64,
    /// Tables of ordered keyspaces that were replaced, and stay on disk for walks that read them. A snapshot keeps
    /// no table, but the versions of keys that it sees, in whatever tables come next. Those that a
    /// read-only handle reads are not counted: the writer removes them.
    pub held_tables_count: u64,
    /// Bytes of these tables.
    pub held_tables_bytes: u64,
}

impl Database {
    /// Figures about the database as it is now. They are taken one after the other while writers
    /// go on, so they may be of slightly different moments. May wait for a change to the set of
    /// files, as a checkpoint makes it. A read-only handle reads two small files for what the writer tells.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert_many([("ada", "1815"), ("bob", "1")])?;
    /// let stats = db.stats();
    /// assert_eq!(stats.last_seq, db.last_seq());
    /// assert_eq!(stats.keyspaces.iter().map(|keyspace| keyspace.len).sum::<u64>(), 2);
    /// assert!(stats.poisoned.is_none(), "writes go on");
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        drop(self.core.follow_if_read_only());
        self.core.newest(stats)
    }
}

fn stats(core: &Core) -> Stats {
    let journal = &core.journal;
    let segments = journal.segments();
    let zombies = core.maintenance.leaving();
    let (held, current): (Vec<_>, Vec<_>) =
        segments.iter().partition(|info| zombies.contains(&info.slot));
    let (spares, used): (Vec<_>, Vec<_>) =
        current.into_iter().partition(|info| info.kind == SegmentKind::Spare);
    let catalog = core.catalog.load_full();
    let mut keyspaces: Vec<KeyspaceStats> = catalog
        .iter()
        .map(|listed| {
            let tree = listed.tree.tree.as_ref();
            let len = match tree {
                Some(tree) => tree.with_view(View::len_estimate),
                None => listed.view.len(|| core.visible_seq()),
            };
            let tree = tree.map(Tree::stats);
            let live_bytes = match &tree {
                Some(tree) => tree.referenced_bytes,
                None => listed.view.needed_bytes().iter().sum(),
            };
            let memory_bytes = match &tree {
                Some(tree) => tree.memtable_bytes + tree.sealed_bytes,
                None => listed.view.memory_bytes() as u64,
            };
            KeyspaceStats {
                name: listed.keyspace.name.clone(),
                kind: listed.keyspace.kind,
                len,
                removed_kept_count: listed.view.table.dead_len() as u64,
                live_bytes,
                memory_bytes,
                tree,
            }
        })
        .collect();
    keyspaces.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let tables: u64 = keyspaces.iter().map(|keyspace| keyspace.memory_bytes).sum();
    let oldest_hold = journal.oldest_hold().map(|(name, position)| {
        let held = used
            .iter()
            .filter(|info| info.kind == SegmentKind::Log && info.ordinal >= position.ordinal)
            .map(|info| info.content_bytes);
        (name, held.sum::<u64>())
    });
    let limit = journal.config().hold_limit_bytes;
    let held_tables = core.trees.store().map(Store::held_tables).unwrap_or_default();
    Stats {
        database_id: journal.database_id(),
        epoch: journal.epoch(),
        last_seq: core.visible_seq(),
        clock_ms: core.clock.now_ms(),
        log: LogStats {
            segments_count: used.len() as u64,
            spares_count: spares.len() as u64,
            recycled_count: journal.recycled_count(),
            content_bytes: used.iter().map(|info| info.content_bytes).sum(),
            file_bytes: segments.iter().map(|info| info.file_bytes).sum(),
            live_bytes: compaction::live_bytes(core),
            end: journal.end(),
            synced: journal.synced(),
            syncs_count: journal.syncs_count(),
            appended_bytes: journal.appended_bytes(),
            oldest_seq: journal.oldest_seq(),
            checkpoint: journal.checkpoint().map(|checkpoint| checkpoint.number),
            hold_over_limit: oldest_hold.as_ref().is_some_and(|(_, held)| *held > limit),
            oldest_hold,
        },
        snapshots: SnapshotStats {
            count: core.snapshots.count() as u64,
            oldest_seq: core.snapshots.oldest_seq(),
            held_segments_count: held.len() as u64,
            held_bytes: held.iter().map(|info| info.content_bytes).sum(),
            held_tables_count: held_tables.count,
            held_tables_bytes: held_tables.bytes,
        },
        writer: figures::of(core),
        memory_bytes: tables
            + core.trees.stats().map_or(0, |tables| tables.cache.used_bytes)
            + core.trees.moved.load().memory_bytes()
            + journal.memory_bytes() as u64,
        tables: core.trees.stats(),
        keyspaces,
        poisoned: journal.poisoned().map(|cause| cause.to_string()),
    }
}

#[cfg(test)]
mod held_log_test;
