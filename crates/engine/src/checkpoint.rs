//! Checkpoints: the durable image of the views, so that opening replays only the log's tail.
//!
//! Writing one stops nobody. The tables are copied group by group while commits go on; the image is
//! therefore of no single moment, and replaying the log from the place noted *before* the copy
//! began puts that right: every key changed since is written again by replay, every other key is
//! in the image as it was. Addresses in the image may be younger than that place, so the log is
//! synced up to the end of the copying before the root names the checkpoint.

mod format;

use crate::{
    Error, Result,
    catalog::{Catalog, KeyspaceKind, Listed},
    core::Core,
    hash::HashView,
    ordered::{Moved, MovedValue, TreeView},
    streams::{
        Chains,
        meanwhile::{self, Moment},
    },
};
use annals_disk::Access;
use annals_journal::{Opening, RootCheckpoint, Seq, checkpoint_name};
use format::{Section, SectionReader, SectionWriter};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use format::CHECKPOINT_VERSION;
pub(crate) use format::mend;

/// Moved values are written so many to a block.
const MOVED_BLOCK_VALUES: usize = 1 << 14;

/// What a checkpoint did.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// db.hash_keyspace("users")?.insert("ada", "1815")?;
/// let report = db.checkpoint()?;
/// assert_eq!((report.keys_count, report.next_seq), (1, db.last_seq().plus(1)));
/// assert_eq!(db.stats().log.checkpoint, Some(report.number));
/// assert!(report.file_bytes > 0);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointReport {
    /// The number in its file's name.
    pub number: u64,
    /// Everything before this number is in it.
    pub next_seq: Seq,
    /// Keys in it.
    pub keys_count: u64,
    /// Its file's length in bytes.
    pub file_bytes: u64,
}

/// What is counted of a category, at the place where replay begins.
#[derive(Debug, Default)]
struct Counted {
    live: Vec<u64>,
    expired_to: Seq,
}

/// What a checkpoint holds.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) catalog: Catalog,
    pub(crate) clock_ms: u64,
    pub(crate) moved: Moved,
    /// The length of its file.
    pub(crate) file_bytes: u64,
}

/// Writes a checkpoint and makes it the latest; the root stops naming the segments in `drop_slots`
/// in the same step. Called by one thread at a time.
pub(crate) fn write(core: &Core, drop_slots: &[u32]) -> Result<CheckpointReport> {
    let journal = &core.journal;
    if journal.is_closed() {
        // The directory may be another opener's by now.
        return Err(annals_journal::Error::Closed.into());
    }
    let (replay_from, next_seq, begun_bytes, catalog, counted) = {
        let writer = journal.quiesce();
        let catalog = core.catalog.load_full();
        core.trees.seal_all();
        // Replay counts each event that comes behind: what is counted here must end where it begins.
        let categories = catalog.iter().filter(|listed| listed.keyspace.is_category());
        let counted: HashMap<u32, Counted> = categories
            .map(|listed| {
                let expired_to = listed.view.chains().expired_to();
                (listed.keyspace.id, Counted { live: listed.view.lasting_bytes(), expired_to })
            })
            .collect();
        (writer.end(), writer.next_seq(), journal.appended_bytes(), catalog, counted)
    };
    meanwhile::run(Moment::PlaceKnown);
    // Replay begins behind what ordered keyspaces had in memory: it has to be in tables by then.
    core.trees.flush_through(core, next_seq)?;
    let number = core.maintenance.next_checkpoint(journal);
    let path = journal.dir().join(checkpoint_name(number));
    let written =
        write_file(core, &catalog, counted, number, &path, drop_slots).and_then(|written| {
            // What the image refers to must not be younger than what the device holds.
            journal.sync()?;
            Ok(written)
        });
    if written.is_err() {
        // Nobody names the unfinished file. If it cannot be removed now, the next opening does.
        drop(journal.disk().remove(&path));
    }
    let (keys_count, file_bytes) = written?;
    // If this fails, the root that names the file may be durable all the same: the file stays, and
    // its number is not used again.
    journal.install(RootCheckpoint { number, replay_from, next_seq }, drop_slots)?;
    tracing::debug!(number, keys_count, "checkpoint");
    core.maintenance.note_checkpoint(journal, begun_bytes, file_bytes);
    Ok(CheckpointReport { number, next_seq, keys_count, file_bytes })
}

/// Writes the file of a checkpoint durably. Returns how many keys and bytes it has.
fn write_file(
    core: &Core,
    catalog: &Catalog,
    mut counted: HashMap<u32, Counted>,
    number: u64,
    path: &Path,
    drop_slots: &[u32],
) -> Result<(u64, u64)> {
    let journal = &core.journal;
    let file = journal.disk().create(path).map_err(Error::disk)?;
    let mut out = SectionWriter::new(file, journal.database_id(), number).map_err(Error::disk)?;
    out.section(&Section::Catalog { clock_ms: core.clock.now_ms(), next_id: catalog.next_id })
        .map_err(Error::disk)?;
    let mut keys_count = 0;
    for Listed { keyspace, view, tree } in catalog.iter() {
        if keyspace.is_ordered() {
            let (name, options) = (keyspace.name.clone(), keyspace.options);
            let section = Section::Ordered { id: keyspace.id, tree: tree.id, name, options };
            out.section(&section).map_err(Error::disk)?;
            continue;
        }
        if keyspace.is_category() {
            let (id, name, options) = (keyspace.id, keyspace.name.clone(), keyspace.options);
            let types = keyspace.types.all().iter().map(|known| (**known).clone()).collect();
            let Counted { live, expired_to } = counted.remove(&id).unwrap_or_default();
            let live = without(live, drop_slots);
            let section = Section::Category { id, name, options, expired_to, live, types };
            out.section(&section).map_err(Error::disk)?;
            out.table(&view.table).map_err(Error::disk)?;
            for table in view.chains().tables() {
                out.table(table).map_err(Error::disk)?;
            }
            continue;
        }
        let live = view.lasting_bytes();
        let mut expiries = view.expiries();
        expiries.sort_unstable();
        let (id, name, kind) = (keyspace.id, keyspace.name.clone(), keyspace.kind);
        let options = keyspace.options;
        let section = Section::Keyspace { id, name, kind, options, live, expiries };
        out.section(&section).map_err(Error::disk)?;
        keys_count += out.table(&view.table).map_err(Error::disk)?;
    }
    // What lies in segments that the next root does not name is not needed, or was moved again.
    let mut gone = core.maintenance.leaving();
    gone.extend_from_slice(drop_slots);
    let moved = core.trees.moved.load_full();
    let values: Vec<MovedValue> = moved.outside(&gone).copied().collect();
    for values in values.chunks(MOVED_BLOCK_VALUES) {
        out.section(&Section::Moved { values: values.to_vec() }).map_err(Error::disk)?;
    }
    Ok((keys_count, out.finish().map_err(Error::disk)?))
}

/// Bytes by slot, without those of slots that are given up.
fn without(mut live: Vec<u64>, slots: &[u32]) -> Vec<u64> {
    for slot in slots {
        if let Some(bytes) = live.get_mut(*slot as usize) {
            *bytes = 0;
        }
    }
    live
}

/// Whether what should be opened is empty or something else than a file: nothing that another
/// attempt could read.
pub(crate) fn is_no_file(error: &annals_disk::DiskError) -> bool {
    use std::io::ErrorKind::{InvalidData, IsADirectory, NotSeekable};
    matches!(error.source.kind(), InvalidData | IsADirectory | NotSeekable)
}

/// The path of the checkpoint the root names.
pub(crate) fn path(opening: &Opening) -> Option<PathBuf> {
    let number = opening.root().checkpoint?.number;
    Some(opening.dir().join(checkpoint_name(number)))
}

/// Loads the checkpoint the root names, if it names one.
///
/// Damage is [`Error::Checkpoint`]: the views can be rebuilt from the log.
pub(crate) fn load(opening: &Opening) -> Result<Loaded> {
    let Some(path) = path(opening) else {
        return Ok(Loaded { catalog: Catalog::new(), ..Loaded::default() });
    };
    let number = opening.root().checkpoint.map_or(0, |checkpoint| checkpoint.number);
    let region = match opening.disk().open_region(&path, Access::Read) {
        Ok(region) => region,
        Err(error) if error.is_not_found() || is_no_file(&error) => {
            let what = "the file is missing, empty or no file";
            return Err(Error::Checkpoint { path, offset: 0, what });
        }
        Err(error) => return Err(Error::disk(error)),
    };
    let bytes = region.read(0, region.len());
    read(bytes, opening.root().database_id, number, &opening.slots().collect::<Vec<_>>())
        .map_err(|(offset, what)| Error::Checkpoint { path, offset: offset as u64, what })
}

/// Reads a checkpoint from the bytes of its file. `slots` are those of the segments there are: an
/// address in any other is damage.
pub(crate) fn read(
    bytes: &[u8],
    database_id: u64,
    number: u64,
    slots: &[u32],
) -> Result<Loaded, (usize, &'static str)> {
    let mut reader = SectionReader::new(bytes, database_id, number)?;
    let file_bytes = bytes.len() as u64;
    let mut moved: Vec<MovedValue> = Vec::new();
    let mut loaded = Loaded { catalog: Catalog::new(), file_bytes, ..Loaded::default() };
    let mut slot_known = vec![false; slots.iter().max().map_or(0, |most| *most as usize + 1)];
    for slot in slots {
        slot_known[*slot as usize] = true;
    }
    loop {
        let start = reader.at();
        let Some(section) = reader.section()? else { break };
        match section {
            Section::Catalog { clock_ms, next_id } => {
                loaded.clock_ms = clock_ms;
                loaded.catalog.next_id = next_id;
            }
            Section::Keyspace { id, name, kind, options, live, expiries } => {
                let table = reader.table(&slot_known)?;
                let view = Arc::new(HashView::restored(table, expiries, &live));
                let tree = Arc::default();
                loaded.catalog.insert(Listed::new(id, name, kind, options, view, tree));
            }
            Section::Category { id, name, options, expired_to, live, types } => {
                let table = reader.table(&slot_known)?;
                let (waypoints, ids) = (reader.table(&slot_known)?, reader.table(&slot_known)?);
                let (strays, marks) = (reader.table(&slot_known)?, reader.table(&slot_known)?);
                let chains = Chains::restored([waypoints, ids, strays, marks], expired_to);
                let view = Arc::new(HashView::of_category(table, chains, &live));
                let kind = KeyspaceKind::Streams;
                let listed = Listed::new(id, name, kind, options, view, Arc::default());
                for (number, event_type) in types.into_iter().enumerate() {
                    listed.keyspace.types.add(number as u32, event_type);
                }
                loaded.catalog.insert(listed);
            }
            Section::Ordered { id, tree, name, options } => {
                let tree = Arc::new(TreeView { id: tree, ..TreeView::default() });
                let kind = KeyspaceKind::Ordered;
                loaded.catalog.insert(Listed::new(id, name, kind, options, Arc::default(), tree));
            }
            Section::Moved { values } => {
                let known = |value: &MovedValue| {
                    slot_known.get(value.at.slot as usize).copied().unwrap_or(false)
                };
                let last = moved.last().into_iter();
                if !last.chain(&values).is_sorted_by(|one, next| one.seq < next.seq) {
                    return Err((start, "moved values are not in the order of their numbers"));
                }
                if !values.iter().all(known) {
                    return Err((start, "a moved value is in no segment of the log"));
                }
                moved.extend(values);
            }
        }
    }
    loaded.moved = Moved::new(moved);
    Ok(loaded)
}
