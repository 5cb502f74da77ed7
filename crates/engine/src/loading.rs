//! Opening and closing a database: checkpoint, replay, takeover, threads.

use crate::{
    Builder, Database, Error, Result,
    catalog::{Catalog, Change},
    checkpoint::{self, Loaded},
    core::Core,
    maintenance::{self, Maintenance},
    open::Open,
};
use annals_disk::Disk;
use annals_journal::{Address, FrameView, Journal, Kind, Opening, Root, Seq};
use std::{path::Path, sync::Arc};

pub(crate) fn open(builder: Builder, disk: Arc<dyn Disk>, dir: &Path) -> Result<Database> {
    let config = builder.journal.clone();
    if builder.read_only {
        let core = retry_missing(|| {
            load(Journal::open_read_only(Arc::clone(&disk), dir, config.clone())?, &builder)
        })?;
        return Ok(start(core, builder));
    }
    match Journal::open(Arc::clone(&disk), dir, config.clone()) {
        Ok(opening) => Ok(start(load(opening, &builder)?, builder)),
        Err(annals_journal::Error::NotADatabase { .. }) if builder.create => {
            let journal = Journal::create(disk, dir, config)?;
            let hash_seed = journal.hash_seed();
            let maintenance = Maintenance::new(builder.engine);
            let core = Core::new(journal, hash_seed, false, Catalog::new(), 0, maintenance);
            Ok(start(core, builder))
        }
        Err(error) => Err(error.into()),
    }
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
            Err(Error::Journal(annals_journal::Error::Missing { .. })) => outcome = open(),
            _ => break,
        }
    }
    outcome
}

fn start(core: Core, builder: Builder) -> Database {
    let core = Arc::new(core);
    maintenance::spawn(&core);
    Database { core: Arc::new(Open::new(core, builder)) }
}

/// The state that replay builds; it becomes the core once the log is taken over. Views look
/// records up by address, so replay collects what the log says and applies it afterwards.
#[derive(Default)]
pub(crate) struct Replayed {
    pub(crate) changes: Vec<(Seq, Change)>,
    pub(crate) records: Vec<Pending>,
    time_ms: u64,
    /// A catalog record that this build does not understand.
    unknown: Option<Address>,
}

/// A record of the log that has yet to be applied.
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) address: Address,
    pub(crate) seq: Seq,
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
    let Loaded { mut catalog, clock_ms: checkpoint_ms } = loaded;
    clock_ms = clock_ms.max(checkpoint_ms);
    let mut replayed = Replayed::default();
    opening.replay(whole, &mut |frame| replayed.collect(frame))?;
    clock_ms = clock_ms.max(replayed.time_ms);
    if let Some(address) = replayed.unknown {
        let (path, offset) = (opening.path_of(address.slot), u64::from(address.offset));
        return Err(Error::UnknownRecord { path, offset });
    }
    let opened = opening.finish()?;
    catalog.next_id = catalog.next_id.max(1);
    let maintenance = Maintenance::new(builder.engine);
    let mut core = Core::new(opened.journal, hash_seed, read_only, catalog, clock_ms, maintenance);
    core.recovery = opened.recovery;
    if whole {
        core.apply_whole(replayed);
    } else {
        core.apply_replayed(&replayed);
    }
    Ok(core)
}

impl Replayed {
    pub(crate) fn collect(&mut self, frame: &FrameView<'_>) -> annals_journal::Result<()> {
        self.time_ms = self.time_ms.max(frame.header().time_ms);
        for (address, _, record) in frame.records() {
            if record.kind == Kind::Catalog {
                // Intact, by its checksum, and still unknown: a later build wrote it.
                match Change::decode(record.value) {
                    Some(change) => self.changes.push((record.seq, change)),
                    None => self.unknown = self.unknown.or(Some(address)),
                }
            }
            self.records.push(Pending { address, seq: record.seq });
        }
        Ok(())
    }
}

pub(crate) fn close(core: &Core) -> Result<()> {
    core.maintenance.stop();
    // Other handles may be writing a checkpoint, compacting or backing up at this moment.
    let _exclusive = core.maintenance.exclusive.lock();
    if !core.read_only && core.journal.poisoned().is_none() && !core.journal.is_closed() {
        checkpoint::write(core, &[])?;
    }
    Ok(core.journal.close()?)
}
