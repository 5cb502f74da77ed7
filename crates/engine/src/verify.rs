//! Reading every byte and naming what is not as it was written.

use crate::{
    Database, Error, EventTable, KeyspaceKind, Result, TableView, checkpoint,
    core::Core,
    hash::table::{Group, Slot, WalkPlace},
    streams::verify_chains,
};
use annals_disk::Access;
use annals_journal::{Address, Damage, ROOT_NAME, Root, checkpoint_name};
use annals_ordered::{AsOf, KeyRange};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What verification found.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// db.hash_keyspace("users")?.insert("ada", "1815")?;
/// let report = db.verify(&mut |_| {})?;
/// // Creating the keyspace is a record too.
/// assert_eq!((report.frames_count, report.records_count, report.keys_count), (2, 2, 1));
/// for damage in &report.damages {
///     println!("{} at byte {}: {}", damage.path.display(), damage.offset, damage.what);
/// }
/// assert!(report.is_intact());
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Bytes read.
    pub bytes: u64,
    /// Segments read.
    pub segments_count: u64,
    /// Commits found intact.
    pub frames_count: u64,
    /// Records found intact in the log, and records in tables: one that was flushed may be in both.
    pub records_count: u64,
    /// Keys that are there: of hash keyspaces those whose record was looked up, of ordered ones those
    /// that can be read around damage. Of event tables the records that lead to their events.
    pub keys_count: u64,
    /// Streams that are there, also those none of whose events are left: of each, the record of its last event was looked
    /// up. Their events are among the records.
    pub streams_count: u64,
    /// Streams of chained categories whose hashes were computed anew.
    pub chains_count: u64,
    /// Events of them whose hashes are right.
    pub chained_events_count: u64,
    /// Chained categories whose hashes this build, without the feature `chained-events`, cannot compute.
    pub unchecked_chains: Vec<String>,
    /// What is damaged, with file and offset.
    pub damages: Vec<Damage>,
    /// How many of the damages cost nothing: they lie in a checkpoint, which the next opening for writing
    /// makes anew from the log.
    pub rebuilt_count: u64,
}

impl VerifyReport {
    /// Whether nothing is damaged.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// db.keyspace("users")?.insert("ada", "1815")?;
    /// let report = db.verify(&mut |_| {})?;
    /// if !report.is_intact() {
    ///     eprintln!("restore from a backup: {:?}", report.damages);
    /// }
    /// assert!(report.is_intact());
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damages.is_empty()
    }

    /// Notes damage to the checkpoint.
    fn note_checkpoint(&mut self, path: PathBuf, offset: u64, what: &str) {
        let what = format!("{what}; the next opening for writing makes it anew from the log");
        self.damages.push(Damage { path, offset, what });
        self.rebuilt_count += 1;
    }
}

impl Database {
    /// How many bytes of log [`verify`](Self::verify) will read.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// db.hash_keyspace("images")?.insert("front", vec![7; 100_000])?;
    /// let (all, mut done, mut percent) = (db.content_bytes(), 0, 0);
    /// db.verify(&mut |bytes| {
    ///     done += bytes;
    ///     percent = done * 100 / all;
    /// })?;
    /// assert_eq!(percent, 100);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.core.journal.content_bytes()
    }

    /// Reads every byte of the database, checks every checksum, and looks up every key. Damage is
    /// in the report, with file and offset; it does not stop the reading. `progress` is told the
    /// bytes read since it was told last. Of [chained](crate::KeyspaceOptions::chained) categories all
    /// hashes are computed anew: what was changed with its checksums is in the report too, with stream and
    /// version. [`Category::verify_chain`](crate::Category::verify_chain) says what that cannot prove. Commits and reads go on; checkpoints and compaction wait.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// db.hash_keyspace("users")?.insert("ada", "1815")?;
    /// let report = db.verify(&mut |_bytes| {})?;
    /// assert!(report.is_intact(), "{:?}", report.damages);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// Only if the reading itself cannot be done.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<VerifyReport> {
        let core = &*self.core;
        core.follow_if_read_only()?;
        // Checkpoints and compaction would remove files that are being read.
        let _exclusive = core.maintenance.exclusive.lock();
        let log = core.journal.verify(progress);
        let mut report = VerifyReport {
            bytes: log.bytes,
            segments_count: log.segments_count,
            frames_count: log.frames_count,
            records_count: log.records_count,
            damages: log.damages,
            ..VerifyReport::default()
        };
        verify_root(core, &mut report)?;
        verify_keys(core, &mut report);
        verify_tables(core, &mut report)?;
        verify_event_tables(self, &mut report);
        verify_chains(self, &mut report)?;
        Ok(report)
    }
}

fn verify_root(core: &Core, report: &mut VerifyReport) -> Result<()> {
    let (disk, dir) = (core.journal.disk(), core.journal.dir());
    let root = match Root::read(&**disk, dir) {
        Ok(root) => root,
        Err(annals_journal::Error::Damaged { path, offset, what }) => {
            report.damages.push(Damage { path, offset, what: what.to_owned() });
            return Ok(());
        }
        Err(error) => {
            let path = dir.join(ROOT_NAME);
            let what = without_path(error.to_string(), &path);
            report.damages.push(Damage { path, offset: 0, what });
            return Ok(());
        }
    };
    let Some(named) = root.checkpoint else { return Ok(()) };
    let path = dir.join(checkpoint_name(named.number));
    let region = match disk.open_region(&path, Access::Read) {
        Ok(region) => region,
        Err(error) if error.is_not_found() => {
            let now = Root::read(&**disk, dir);
            if core.read_only && now.is_ok_and(|now| now.checkpoint != root.checkpoint) {
                // A writer in another process has replaced it just now.
                return verify_root(core, report);
            }
            report.note_checkpoint(path, 0, "the checkpoint is missing");
            return Ok(());
        }
        Err(error) if checkpoint::is_no_file(&error) => {
            report.note_checkpoint(path, 0, "the checkpoint is empty or no file");
            return Ok(());
        }
        Err(error) => return Err(Error::disk(error)),
    };
    report.bytes += region.len() as u64;
    let slots: Vec<u32> = root.segments.iter().map(|entry| entry.slot).collect();
    let bytes = region.read(0, region.len());
    if let Err((offset, what)) = checkpoint::read(bytes, root.database_id, named.number, &slots) {
        report.note_checkpoint(path, offset as u64, what);
    }
    Ok(())
}

fn verify_keys(core: &Core, report: &mut VerifyReport) {
    for listed in core.catalog.load().iter() {
        let (mut place, mut group) = (WalkPlace::live_only(), Group::default());
        while listed.view.table.walk_from(&mut place, &mut group) {
            for raw in &group.slots {
                let Some(slot) = Slot::from_raw(*raw) else { continue };
                let address = Address::unpack(slot.address());
                match listed.keyspace.kind {
                    KeyspaceKind::Streams => report.streams_count += 1,
                    _ => report.keys_count += 1,
                }
                // A segment that is gone was compacted since the walk copied its addresses.
                let Some(guard) = core.journal.guard(address.slot) else { continue };
                if let Err(error) = guard.record(address.offset) {
                    let Some(damage) = named(error) else { continue };
                    if !report
                        .damages
                        .iter()
                        .any(|known| known.path == damage.path && known.offset == damage.offset)
                    {
                        report.damages.push(damage);
                    }
                }
            }
        }
    }
}

/// Reads every byte of the tables of ordered keyspaces, and of their manifest.
fn verify_tables(core: &Core, report: &mut VerifyReport) -> Result<()> {
    let catalog = core.catalog.load();
    if let Some(Error::Tables(error)) = core.trees.why_lost() {
        let ordered = catalog.iter().filter(|listed| listed.keyspace.is_ordered());
        let names: Vec<_> = ordered.map(|listed| format!("`{}`", listed.keyspace.name)).collect();
        let concerned = format!("this concerns all keys of the keyspaces {}", names.join(", "));
        report.damages.extend(named_table(error).map(|mut damage| {
            damage.what = format!("{}; {concerned}", damage.what);
            damage
        }));
    }
    let Some(store) = core.trees.store() else { return Ok(()) };
    let name_of = |tree: u32| {
        let listed = catalog.iter().find(|listed| listed.tree.id == tree);
        listed.map_or_else(
            || "a keyspace that is gone".to_owned(),
            |listed| format!("the keyspace `{}`", listed.keyspace.name),
        )
    };
    let damages = &mut report.damages;
    if core.read_only {
        match core.trees.verify_manifest(&core.journal) {
            Err(Error::Tables(error)) => note_tables(error, damages)?,
            outcome => outcome?,
        }
    }
    let read = store.verify(&mut |tree, damage| {
        let name = name_of(tree);
        let keys = match (damage.from, damage.to) {
            (Some(from), Some(to)) => {
                let last_included = damage.to_included;
                KeyRange { first: from.into(), last: to.into(), last_included }.to_string()
            }
            _ => "some keys".to_owned(),
        };
        let what = format!("{}; this concerns keys {keys} of {name}", damage.what);
        damages.push(Damage { path: damage.path, offset: damage.offset, what });
    });
    if let Err(error) = read {
        note_tables(error, &mut report.damages)?;
    }
    verify_references(core, report);
    count_ordered_keys(core, report);
    for tree in store.trees() {
        let levels = tree.stats().levels;
        report.bytes += levels.iter().map(|level| level.bytes).sum::<u64>();
        report.records_count += levels.iter().map(|level| level.entries).sum::<u64>();
    }
    Ok(())
}

/// Says which events of event tables the damages of the log concern.
fn verify_event_tables(db: &Database, report: &mut VerifyReport) {
    for listed in db.core.catalog.load().iter() {
        if listed.keyspace.kind != KeyspaceKind::Table {
            continue;
        }
        let table = EventTable::new(Arc::clone(&db.core), Arc::clone(&listed.keyspace));
        let (mut found, mut damaged) = (Vec::new(), None);
        match table.view().and_then(TableView::without_damage) {
            Ok(view) => found.extend(view.damages().cloned()),
            Err(error) => damaged = Some(error),
        }
        let told = found.into_iter().map(|damage| (damage.error, damage.events_count));
        for (error, events_count) in told.chain(damaged.map(|error| (error, None))) {
            let Error::DamagedTable { table, what, cause } = error else { continue };
            let Some(mut damage) = named(cause) else { continue };
            let events =
                events_count.map_or_else(String::new, |count| format!(" ({count} events)"));
            damage.what =
                format!("{}; this is {what} of the event table `{table}`{events}", damage.what);
            let is_it =
                |known: &&mut Damage| known.path == damage.path && known.offset == damage.offset;
            match report.damages.iter_mut().find(is_it) {
                Some(known) => *known = damage,
                None => report.damages.push(damage),
            }
        }
    }
}

/// Puts what is wrong with the manifest into the report.
fn note_tables(error: annals_ordered::Error, damages: &mut Vec<Damage>) -> Result<()> {
    match named_table(&error) {
        Some(damage) => damages.push(damage),
        None => return Err(error.into()),
    }
    Ok(())
}

/// What is wrong with a file of the tables, if it is damage.
fn named_table(error: &annals_ordered::Error) -> Option<Damage> {
    use annals_ordered::Error as Tables;
    let path = error.damaged_path()?.to_owned();
    Some(match error {
        Tables::Damaged { offset, what, .. } => {
            Damage { path, offset: *offset, what: (*what).to_owned() }
        }
        Tables::Contradiction { offset, source, .. } => {
            Damage { path, offset: *offset, what: source.to_string() }
        }
        error => {
            let what = without_path(error.to_string(), &path);
            Damage { path, offset: 0, what }
        }
    })
}

/// What is wrong with a file, without its path, which stands beside it.
fn without_path(told: String, path: &Path) -> String {
    match told.strip_prefix(&*path.to_string_lossy()) {
        Some(rest) => format!("it{rest}"),
        None => told,
    }
}

/// Counts the keys of ordered keyspaces that are there now, as far as that can be told around damage, which
/// was found before.
fn count_ordered_keys(core: &Core, report: &mut VerifyReport) {
    for listed in core.catalog.load().iter() {
        let Some(tree) = &listed.tree.tree else { continue };
        let view = tree.view();
        let as_of = AsOf { seq: core.visible_seq().0, now_ms: core.clock.now_ms() };
        let (mut cursor, mut count) = (view.cursor(&[], None, as_of), 0);
        let mut moved = cursor.to_first();
        while moved.is_ok() && cursor.entry().is_some() {
            count += 1;
            moved = cursor.advance();
        }
        if moved.is_err() {
            count = 0;
            let mut salvage = view.salvage(&[], None, as_of);
            while let Some(entry) = salvage.next_entry() {
                count += u64::from(entry.is_ok());
            }
        }
        report.keys_count += count;
    }
}

/// Looks up every value that tables have left in the log.
fn verify_references(core: &Core, report: &mut VerifyReport) {
    for listed in core.catalog.load().iter() {
        let Some(tree) = &listed.tree.tree else { continue };
        let name = &listed.keyspace.name;
        let shown = tree.each_reference(|path, offset, key, reference| {
            let why = match reference.map(|reference| core.resolve(key, &reference)) {
                Some(Ok(_)) => return Ok(()),
                Some(Err(error)) => error.to_string(),
                None => "what stands in its place is no reference".to_owned(),
            };
            let key = key.escape_ascii();
            let what = format!("the value of the key `{key}` of the keyspace `{name}`: {why}");
            report.damages.push(Damage { path: path.to_owned(), offset, what });
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(()) = shown;
    }
}

fn named(error: annals_journal::Error) -> Option<Damage> {
    match error {
        annals_journal::Error::Damaged { path, offset, what } => {
            Some(Damage { path, offset, what: what.to_owned() })
        }
        _ => None,
    }
}
