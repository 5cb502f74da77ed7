//! Opening and closing a database: checkpoint, replay, takeover, threads.

use crate::{
    Builder, Database, Error, ErrorKind, Result,
    catalog::Catalog,
    checkpoint::{self, Loaded},
    compaction,
    core::Core,
    figures,
    maintenance::{self, Maintenance},
    open::Open,
    ordered::{Trees, open_to_read, place_of},
    replayed::Replayed,
};
use annals_disk::Disk;
use annals_journal::{Journal, Opening, Root};
use annals_ordered::{Store, read_manifest};
use std::{path::Path, sync::Arc};

pub(crate) fn open(builder: Builder, disk: &Arc<dyn Disk>, dir: &Path) -> Result<Database> {
    builder.check()?;
    let config = builder.journal.clone();
    if builder.read_only {
        let core = retry_missing(|| {
            load(Journal::open_read_only(Arc::clone(disk), dir, config.clone())?, &builder)
        })?;
        return Ok(start(core, builder));
    }
    let open = || Journal::open(Arc::clone(disk), dir, config.clone());
    let opening = match open() {
        Err(annals_journal::Error::NotADatabase { .. }) if builder.create => {
            match Journal::create(Arc::clone(disk), dir, config.clone()) {
                Ok(journal) => return Ok(start(new_core(journal, &builder), builder)),
                // Not empty any more if somebody else was faster: then there is a database now.
                Err(fault @ annals_journal::Error::NotADatabase { .. }) => match open() {
                    Err(annals_journal::Error::NotADatabase { .. }) => return Err(fault.into()),
                    opening => opening?,
                },
                Err(error) => return Err(error.into()),
            }
        }
        opening => opening?,
    };
    Ok(start(load(opening, &builder)?, builder))
}

/// The state of a database that was just made.
fn new_core(journal: Journal, builder: &Builder) -> Core {
    let hash_seed = journal.hash_seed();
    let maintenance = Maintenance::new(builder.engine);
    Core::new(journal, hash_seed, false, Catalog::new(), 0, maintenance)
}

/// Whether a writer has replaced the root since it was read.
fn is_outdated(opening: &Opening) -> bool {
    Root::read(&**opening.disk(), opening.dir()).is_ok_and(|root| root != *opening.root())
}

/// Opens read-only again if a file went away since the root was read: a writer beside us may have
/// compacted the log in between.
fn retry_missing(mut open: impl FnMut() -> Result<Core>) -> Result<Core> {
    const ATTEMPTS: usize = 8;
    let mut outcome = open();
    for _ in 1..ATTEMPTS {
        match &outcome {
            Err(Error::Journal(annals_journal::Error::Missing { .. }) | Error::Stale) => {
                outcome = open();
            }
            _ => break,
        }
    }
    outcome
}

fn start(core: Core, builder: Builder) -> Database {
    let core = Arc::new(core);
    maintenance::spawn(&core);
    Trees::spawn(&core);
    crate::tables::spawn_if_due(&core);
    Database { core: Arc::new(Open::new(core, builder)) }
}

/// Loads the database that `core` reads anew.
pub(crate) fn load_read_only(core: &Core, builder: &Builder) -> Result<Core> {
    let disk = Arc::clone(core.journal.disk());
    let opening = Journal::open_read_only(disk, core.journal.dir(), builder.journal.clone())?;
    let fresh = load(opening, builder)?;
    // What this handle has seen expired stays expired.
    fresh.clock.at_least(core.clock.now_ms());
    Ok(fresh)
}

fn load(mut opening: Opening, builder: &Builder) -> Result<Core> {
    let read_only = builder.read_only;
    let hash_seed = opening.root().hash_seed;
    let mut clock_ms = opening.root().clock_ms;
    let (loaded, whole) = match checkpoint::load(&opening) {
        Ok(loaded) => (loaded, false),
        Err(Error::Checkpoint { path, .. }) if read_only && is_outdated(&opening) => {
            let what = "the writer has replaced this checkpoint";
            return Err(annals_journal::Error::Missing { path, what }.into());
        }
        Err(error @ Error::Checkpoint { .. }) => {
            // A view is a function of the log: nothing is lost, opening takes longer.
            opening.warn(format!("{error}; its views were rebuilt from the whole log"));
            (Loaded::default(), true)
        }
        Err(error) => return Err(error),
    };
    let Loaded { mut catalog, clock_ms: checkpoint_ms, moved, file_bytes } = loaded;
    clock_ms = clock_ms.max(checkpoint_ms);
    // Before the log: a reader that has followed it to its end may see what the tables have by now.
    let reading = if read_only {
        let (disk, dir) = (opening.disk(), opening.dir());
        open_to_read(disk, dir, opening.root().database_id, builder.engine.memory_bytes)
    } else {
        Ok(None)
    };
    // Without a manifest nobody knows what ordered keyspaces have; what else there is can be read.
    let (reading, lost) = match reading {
        Err(error @ Error::Tables(_)) if error.kind() == ErrorKind::Corrupt => {
            opening.warn(format!("{error}; no ordered keyspace can be read"));
            (None, Some(error))
        }
        reading => (reading?, None),
    };
    let mut replayed = Replayed::new(hash_seed);
    opening.replay_beside(whole, &mut |frame| replayed.collect(frame))?;
    clock_ms = clock_ms.max(replayed.time_ms);
    if let Some(address) = replayed.unknown {
        let (path, offset) = (opening.path_of(address.slot), u64::from(address.offset));
        return Err(Error::UnknownRecord { path, offset });
    }
    if !read_only {
        check_manifest(&opening)?;
    }
    let opened = opening.finish()?;
    catalog.next_id = catalog.next_id.max(1);
    let maintenance = Maintenance::new(builder.engine);
    maintenance.note_opened(replayed.bytes, file_bytes);
    let mut core = Core::new(opened.journal, hash_seed, read_only, catalog, clock_ms, maintenance);
    core.recovery = opened.recovery;
    core.trees.moved.store(Arc::new(moved));
    if read_only {
        core.trees.read(reading, lost);
    } else {
        core.trees.open(&core.journal)?;
    }
    let lost_tables = core.trees.store().map(Store::lost_tables).unwrap_or_default();
    core.recovery.warnings.extend(lost_tables.iter().map(ToString::to_string));
    let mut catalog = Catalog::clone(&core.catalog.load());
    catalog.attach(|id| core.trees.tree_view(id, core.trees.tree(id)));
    core.catalog.store(Arc::new(catalog));
    if whole {
        core.apply_whole(&mut replayed)?;
    } else {
        core.apply_replayed(&replayed)?;
    }
    if !read_only {
        core.trees.settle(&core)?;
        return Ok(core);
    }
    core.trees.check_whole()?;
    if core.trees.store().is_some() {
        // The tables may have what came to the log after it was read.
        core.follow()?;
        if !core.trees.are_covered(core.visible_seq()) {
            return Err(Error::Stale);
        }
    }
    if !core.trees.is_lost() {
        core.trees.check_all_there(&core)?;
    }
    Ok(core)
}

/// Looks whether the manifest can be read, before anything is changed: without it nobody knows what the log
/// is still needed for.
fn check_manifest(opening: &Opening) -> Result<()> {
    let Some(manifest) = opening.root().manifest else { return Ok(()) };
    let (disk, dir) = (&**opening.disk(), opening.dir());
    let id = opening.root().database_id;
    Ok(read_manifest(disk, dir, id, place_of(manifest)).map(drop)?)
}

pub(crate) fn close(core: &Core) -> Result<()> {
    core.tables.stop();
    core.maintenance.stop();
    core.trees.stop_flushing();
    // Other handles may be writing a checkpoint, compacting or backing up at this moment.
    let _exclusive = core.maintenance.exclusive.lock();
    let mut failed = Ok(());
    if !core.read_only && core.journal.poisoned().is_none() && !core.journal.is_closed() {
        // Compactions of tables go on meanwhile; none of them is waited for.
        let written = match compaction::run_closing(core) {
            // It ended with a checkpoint.
            Ok(compacted) if compacted.segments_count > 0 => Ok(()),
            Ok(_) => checkpoint::write(core, &[]).map(drop),
            // Closing takes no space that is not there.
            Err(error) => {
                tracing::warn!(%error, "the log was not compacted before closing");
                checkpoint::write(core, &[]).map(drop)
            }
        };
        core.trees.stop();
        if let Err(error) = written {
            tracing::warn!(%error, "the database is closed without a checkpoint");
            // The log has everything, and is closed all the same: the next opening replays more. Of a full disk nothing else is
            // said: an error would be taken for one of the commits before.
            if error.kind() != ErrorKind::Full {
                failed = Err(error);
            }
        }
    }
    core.trees.stop();
    // While the lock is still held: later they might replace those of the next writer.
    figures::publish_last(core);
    // Whatever failed: who waits for events would wait for ever.
    let closed = core.journal.close();
    failed.and(closed.map_err(Error::from))
}
