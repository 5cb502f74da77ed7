//! The figures of the process that writes, for those that read beside it or come after it: what it has counted
//! since its opening, in a small file in the database's folder.
//!
//! Nothing depends on that file. It is written under another name and renamed, and never synced: who finds
//! none, or one that is not whole, of another database or of an earlier opening, shows no figures. What cannot
//! be written is left: a disk that is full or takes no more must fail no commit for the sake of figures.

mod format;

use crate::{TreeTraffic, core::Core, holder};
use annals_disk::DiskError;
use annals_journal::{Background, FIGURES_NAME, FIGURES_TEMPORARY, LOCK_NAME, Root};
use annals_ordered::Store;
use format::Told;
use parking_lot::Mutex;
use std::fmt;

/// How long figures stay as they are, in nanoseconds.
const INTERVAL_NS: u64 = 1_000_000_000;
/// What is read of the file at most: longer than any version may become.
const READ_BYTES_MAX: u64 = 4_096;

/// What the process that writes has counted since it opened the database.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, WriterState};
/// # let folder = tempfile::tempdir().expect("a directory");
/// # let folder = folder.path();
/// let db = Database::open(folder)?;
/// db.keyspace("days")?.insert("11-20", "one apple")?;
/// let own = db.stats().writer.expect("of a handle that writes");
/// assert_eq!((own.state, own.pid), (WriterState::Open, std::process::id()));
/// db.close()?;
/// // Who looks later, in whatever process, sees what it has come to.
/// let reader = Database::builder().read_only(true).open(folder)?;
/// let last = reader.stats().writer.expect("what the writer has published");
/// assert_eq!((last.state, last.pid), (WriterState::Closed, own.pid));
/// assert!(last.traffic.flushed_bytes > 0, "closing has flushed it");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterStats {
    /// Whether that process still has it open.
    pub state: WriterState,
    /// Its id, on its own host.
    pub pid: u32,
    /// The opening that the figures are of.
    pub epoch: u32,
    /// When it opened the database, in milliseconds since 1970.
    pub opened_ms: u64,
    /// When it counted this, in milliseconds since 1970. Figures are published when they have changed, once a
    /// second at most, and by closing; while checkpoints are written and the log is compacted, later.
    pub as_of_ms: u64,
    /// Bytes appended to the log.
    pub appended_bytes: u64,
    /// Device flushes of the log.
    pub syncs_count: u64,
    /// Blocks of tables that were found in the cache of decompressed blocks.
    pub cache_hits: u64,
    /// Blocks that were not, and had to be decompressed.
    pub cache_misses: u64,
    /// How often a writer waited for flushes and compactions.
    pub stalls_count: u64,
    /// How long those waits took together, in nanoseconds.
    pub stalled_ns: u64,
    /// How long compactions waited to write no faster than
    /// [`compaction_bytes_per_s`](crate::Builder::compaction_bytes_per_s), in nanoseconds.
    pub compaction_paused_ns: u64,
    /// Flushes, of the ordered keyspaces that there are.
    pub flushes: u64,
    /// Compactions that merged tables, of the ordered keyspaces that there are.
    pub compactions: u64,
    /// What was written to tables, of the ordered keyspaces that there are.
    pub traffic: TreeTraffic,
    /// Tables that were replaced, and stay on disk for walks of that process.
    pub held_tables_count: u64,
    /// Bytes of these tables.
    pub held_tables_bytes: u64,
}

impl WriterStats {
    /// Which part of the blocks that were asked for the cache had, from 0 to 1; `None` if none was asked
    /// for: tables that are not compressed are read in place.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let own = db.stats().writer.expect("of a handle that writes");
    /// assert_eq!(own.cache_hit_rate(), None);
    /// let busy = annals::WriterStats { cache_hits: 3, cache_misses: 1, ..own };
    /// assert_eq!(busy.cache_hit_rate(), Some(0.75));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn cache_hit_rate(&self) -> Option<f64> {
        let asked = self.cache_hits as f64 + self.cache_misses as f64;
        (asked > 0.0).then(|| self.cache_hits as f64 / asked)
    }
}

/// What has become of the process that wrote.
///
/// ```
/// # use annals_engine as annals;
/// assert_eq!(annals::WriterState::Died.to_string(), "died");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterState {
    /// It has the database open.
    Open,
    /// It has closed the database, and these are its last figures.
    Closed,
    /// It ended without closing the database; what it counted behind these figures is not known.
    Died,
}

impl fmt::Display for WriterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Died => "died",
        })
    }
}

/// What an opening for writing has to tell, and has told.
#[derive(Debug)]
pub(crate) struct Figures {
    opened_ms: u64,
    published: Mutex<Published>,
}

#[derive(Debug, Default)]
struct Published {
    /// Since when the lock file says that this process has the lock. Tells this opening from others.
    locked_ms: Option<u64>,
    last: Option<WriterStats>,
    /// When it was looked for news last, by the monotonic clock.
    looked_ns: Option<u64>,
}

impl Figures {
    pub(crate) fn new(opened_ms: u64) -> Self {
        Self { opened_ms, published: Mutex::default() }
    }
}

/// Publishes the figures if the last ones are old enough and something has changed.
pub(crate) fn publish_if_due(core: &Core) {
    let disk = &**core.journal.disk();
    let mut published = core.figures.published.lock();
    let now_ns = disk.monotonic_ns();
    if published.looked_ns.is_some_and(|then_ns| now_ns.saturating_sub(then_ns) < INTERVAL_NS) {
        return;
    }
    published.looked_ns = Some(now_ns);
    let counted = count(core);
    let is_news = |last: WriterStats| WriterStats { as_of_ms: counted.as_of_ms, ..last } != counted;
    if published.last.is_none_or(is_news) {
        publish(core, &mut published, counted, false);
    }
}

/// Publishes the figures of an opening that is over. The writer's lock has to be held still.
pub(crate) fn publish_last(core: &Core) {
    // Of a disk whose operations have to come in one order, as in simulations, nothing was published before.
    let has_threads = core.journal.config().background == Background::Threads;
    if !core.read_only && has_threads && !core.journal.is_closed() {
        publish(core, &mut core.figures.published.lock(), count(core), true);
    }
}

fn publish(core: &Core, published: &mut Published, stats: WriterStats, is_last: bool) {
    let (disk, dir) = (&**core.journal.disk(), core.journal.dir());
    if published.locked_ms.is_none() {
        let holder = disk.lock_holder(&dir.join(LOCK_NAME)).ok().flatten();
        published.locked_ms = holder.map(|holder| holder.since_ms);
    }
    let database_id = core.journal.database_id();
    let locked_ms = published.locked_ms.unwrap_or_default();
    let told = Told { database_id, locked_ms, is_last, stats };
    let temporary = dir.join(FIGURES_TEMPORARY);
    let write = || -> Result<(), DiskError> {
        disk.create(&temporary)?.append(&told.encode())?;
        disk.rename(&temporary, &dir.join(FIGURES_NAME))
    };
    match write() {
        Ok(()) => published.last = Some(stats),
        Err(error) => {
            tracing::debug!(%error, "the figures were not published");
            // Where there is no space it holds some.
            drop(disk.remove(&temporary));
        }
    }
}

/// The figures of the process that writes, as far as this one knows them.
pub(crate) fn of(core: &Core) -> Option<WriterStats> {
    if !core.read_only {
        return Some(count(core));
    }
    let (disk, dir) = (&**core.journal.disk(), core.journal.dir());
    let bytes = disk.read(&dir.join(FIGURES_NAME), READ_BYTES_MAX).ok()?;
    let Told { database_id, locked_ms, is_last, mut stats } = Told::decode(&bytes)?;
    // A writer that came since this handle looked at the root has begun another epoch.
    let epoch = Root::read(disk, dir).map_or(core.journal.epoch(), |root| root.epoch);
    if database_id != core.journal.database_id() || stats.epoch != epoch {
        return None;
    }
    // Who holds the lock may be the next writer, which is still opening the database.
    let is_holder = |since_ms| [since_ms, locked_ms].contains(&0) || since_ms == locked_ms;
    stats.state = match is_last {
        true => WriterState::Closed,
        false => match holder::of(disk, dir) {
            Ok(Some(holder)) if is_holder(holder.since_ms) => WriterState::Open,
            _ => WriterState::Died,
        },
    };
    Some(stats)
}

/// What this process has counted.
fn count(core: &Core) -> WriterStats {
    let journal = &core.journal;
    let tables = core.trees.stats();
    let (mut flushes, mut compactions) = (0, 0);
    let mut traffic = TreeTraffic::default();
    for listed in core.catalog.load().iter() {
        let Some(tree) = listed.tree.tree.as_ref().map(annals_ordered::Tree::stats) else {
            continue;
        };
        flushes += tree.flushes;
        compactions += tree.compactions;
        traffic.flushed_bytes += tree.since_opening.flushed_bytes;
        traffic.loaded_bytes += tree.since_opening.loaded_bytes;
        traffic.compaction_read_bytes += tree.since_opening.compaction_read_bytes;
        traffic.compaction_written_bytes += tree.since_opening.compaction_written_bytes;
    }
    let held = core.trees.store().map(Store::held_tables).unwrap_or_default();
    let of_tables = |figure: fn(&crate::TableStats) -> u64| tables.as_ref().map_or(0, figure);
    WriterStats {
        state: if journal.is_closed() { WriterState::Closed } else { WriterState::Open },
        pid: std::process::id(),
        epoch: journal.epoch(),
        opened_ms: core.figures.opened_ms,
        as_of_ms: journal.disk().now_ms(),
        appended_bytes: journal.appended_bytes(),
        syncs_count: journal.syncs_count(),
        cache_hits: of_tables(|tables| tables.cache.hits),
        cache_misses: of_tables(|tables| tables.cache.misses),
        stalls_count: of_tables(|tables| tables.stalls_count),
        stalled_ns: of_tables(|tables| tables.stalled_ns),
        compaction_paused_ns: of_tables(|tables| tables.compaction_paused_ns),
        flushes,
        compactions,
        traffic,
        held_tables_count: held.count,
        held_tables_bytes: held.bytes,
    }
}
