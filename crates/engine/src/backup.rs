//! Backups: consistent, openable copies made while writers run.
//!
//! Segments never change once complete, so a backup into a directory that holds an older one copies
//! only what is new. Files are written beside the old ones and renamed over them; the root comes
//! last. A backup that is interrupted leaves the older one whole.

use crate::{Database, Error, Result, checkpoint, core::Core, ordered::place_of};
use annals_disk::{Access, Disk};
use annals_journal::{
    COPY_TEMPORARY, FIGURES_NAME, FIGURES_TEMPORARY, LOCK_NAME, READERS_NAME, ROOT_NAME,
    ROOT_TEMPORARY, Root, RootManifest, RootSegment, SegmentKind, Seq, checkpoint_name,
    is_data_file_name, lock, make_readers_file, read_lock, segment_file_name,
};
use annals_ordered::{Damage, FileName, Frozen, ManifestPlace, State, Store, read_manifest};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a backup did.
///
/// ```
/// # use annals_engine as annals;
/// use annals::Database;
/// # let folder = tempfile::tempdir().expect("a directory");
/// # let folder = folder.path();
/// let db = Database::open(folder.join("live"))?;
/// let users = db.hash_keyspace("users")?;
/// users.insert("ada", "1815")?;
/// let first = db.backup_to(folder.join("backup"))?;
/// assert_eq!((first.up_to, first.reused_bytes), (db.last_seq(), 0));
/// assert!(first.copied_bytes > 0 && first.files_count > 1);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Bytes copied.
    pub copied_bytes: u64,
    /// Bytes that the older backup in the same place had already.
    pub reused_bytes: u64,
    /// Files the backup has.
    pub files_count: u64,
    /// The number of the last record in it. In a [restored](Database::restore) copy the next record has the one behind it.
    pub up_to: Seq,
}

const CHUNK_BYTES: usize = 4 << 20;

impl Database {
    /// Copies the database as it is now into the directory `target`, while writers go on. The copy
    /// is a database like any other. If the target holds an older backup of this database, only
    /// what is new is copied: a segment that is complete and the same is compared and left alone.
    /// Checkpoints and compaction wait meanwhile. Takes the memory of the largest segment.
    ///
    /// A backup that was opened for writing is no longer one; do not back up over it.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # let folder = std::env::temp_dir().join(format!("annals-backup-{}", std::process::id()));
    /// # let (live, backup, restored) = (folder.join("a"), folder.join("b"), folder.join("c"));
    /// use annals::Database;
    /// let db = Database::open(&live)?;
    /// db.hash_keyspace("users")?.insert("ada", "1815")?;
    /// let report = db.backup_to(&backup)?;
    /// assert_eq!(report.up_to, db.last_seq());
    ///
    /// Database::restore(&backup, &restored)?;
    /// let copy = Database::open(&restored)?;
    /// assert!(copy.open_hash_keyspace("users")?.contains("ada")?);
    /// # drop((db, copy));
    /// # std::fs::remove_dir_all(&folder).ok();
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Corrupt` with file and offset if the log is damaged: the target is then as it was.
    /// `InvalidInput` if the target holds anything else or a database of another origin, or lies inside
    /// a database, `Locked`
    /// if somebody has it open, `ReadOnly` for a read-only handle, and what the file systems
    /// refuse.
    pub fn backup_to(&self, target: impl AsRef<Path>) -> Result<BackupReport> {
        let (core, target) = (&*self.core, target.as_ref());
        if core.read_only {
            return Err(annals_journal::Error::ReadOnly.into());
        }
        let journal = &core.journal;
        let disk = Arc::clone(journal.disk());
        // Nothing that is named goes away while this is held.
        let _exclusive = core.maintenance.exclusive.lock();
        // What is wrong is told before anything is made there.
        judge_target(&*disk, target, Some(journal.database_id()))?;
        check_tables(core)?;
        checkpoint::write(core, &[])?;
        // The tables before the log's end: what those have, the log that is copied has too. And no keyspace gets
        // another tree in between: the tables would lack what the log says there is.
        let (frozen, end, next_seq) = {
            let _changing = core.changing.lock();
            let frozen = core.trees.store().map(Store::freeze);
            journal.sync()?;
            let writer = journal.quiesce();
            (frozen, writer.end(), writer.next_seq())
        };
        journal.make_durable(end, crate::Durability::Sync)?;
        let mut root = journal.root_of_copy(end);
        // Before anything is written: damage must not take the place of an older copy that has none.
        for entry in &root.segments {
            check_segment(core, entry.slot, content_len(entry, &root))?;
        }
        root.next_seq = next_seq;
        disk.create_dir_all(target).map_err(Error::disk)?;
        let _lock = lock(&*disk, target)?;
        // Others may have been there meanwhile.
        let older = judge_target(&*disk, target, Some(journal.database_id()))?;
        let copy = Copy { disk: &*disk, target, older, report: BackupReport::default() };
        let up_to = Seq(next_seq.0.saturating_sub(1));
        copy.run(
            &root,
            up_to,
            frozen.as_ref().map(Tables::Frozen),
            |entry| {
                let guard = journal.guard(entry.slot).ok_or_else(|| {
                    let path = journal.dir().join(segment_file_name(entry.generation));
                    missing(path, "the root names this segment")
                })?;
                let len = content_len(entry, &root);
                Ok(guard.bytes(0, len).to_vec())
            },
            journal.dir(),
        )
    }

    /// Copies the backup in `backup` to `target`, which must be missing or empty. The root is
    /// checked; verify the copy for the rest.
    ///
    /// The copy goes on with the numbers behind [`up_to`](BackupReport::up_to): those that the original gave out after
    /// that come again, for other records. Whoever keeps outside of the database how far it has followed ([`changes`],
    /// [`subscribe`]) and is further than that begins again behind `up_to`: else it misses what comes up to the number it
    /// had. What is kept inside, by projections and persistent subscriptions, is that of the backup.
    ///
    /// [`changes`]: Self::changes
    /// [`subscribe`]: Self::subscribe
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// # let folder = tempfile::tempdir().expect("a directory");
    /// # let folder = folder.path();
    /// # let (live, backup, restored) = (folder.join("a"), folder.join("b"), folder.join("c"));
    /// let db = Database::open(&live)?;
    /// db.keyspace("users")?.insert("ada", "1815")?;
    /// db.backup_to(&backup)?;
    /// let report = Database::restore(&backup, &restored)?;
    /// assert_eq!(report.up_to, db.last_seq());
    /// assert!(Database::open(&restored)?.open_keyspace("users")?.contains("ada")?);
    /// // It does not write over what is there.
    /// let refused = Database::restore(&backup, &live).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotADatabase` or `Corrupt` if the source is none, is damaged in its root or its manifest, or lacks
    /// a file: then nothing was made. `InvalidInput` if the target is not empty, and what the file systems
    /// refuse: then no file is left.
    pub fn restore(backup: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<BackupReport> {
        Self::builder().restore(backup, target)
    }
}

/// Copies the backup in `backup` to `target`.
pub(crate) fn restore(disk: &dyn Disk, backup: &Path, target: &Path) -> Result<BackupReport> {
    Root::read(disk, backup)?;
    // Nobody who opens the backup meanwhile may write over what is being copied.
    let _reader = read_lock(disk, backup)?;
    let root = Root::read(disk, backup)?;
    if root.clean_end.is_none() {
        let why = "it is a database that is open or was not closed; make a backup of it or open \
                   it once"
            .into();
        return Err(Error::Backup { path: backup.to_owned(), why });
    }
    judge_target(disk, target, None)?;
    let read = |manifest| read_manifest(disk, backup, root.database_id, place_of(manifest));
    let state = root.manifest.map(read).transpose()?.map(|read| read.state);
    check_whole(disk, backup, &root, state.as_ref())?;
    disk.create_dir_all(target).map_err(Error::disk)?;
    let done = {
        let _lock = lock(disk, target)?;
        judge_target(disk, target, None)?;
        let copy = Copy { disk, target, older: None, report: BackupReport::default() };
        copy_backup(disk, backup, &root, state.as_ref(), copy)
    };
    if done.is_err() {
        remove_copy(disk, target);
    }
    done
}

fn copy_backup(
    disk: &dyn Disk,
    backup: &Path,
    root: &Root,
    state: Option<&State>,
    copy: Copy<'_>,
) -> Result<BackupReport> {
    let up_to = Seq(root.next_seq.0.saturating_sub(1));
    copy.run(
        root,
        up_to,
        state.map(Tables::Copied),
        |entry| {
            let path = backup.join(segment_file_name(entry.generation));
            let region = disk.open_region(&path, Access::Read).map_err(Error::disk)?;
            let len = (content_len(entry, root) as usize).min(region.len());
            Ok(region.read(0, len).to_vec())
        },
        backup,
    )
}

/// Looks whether a backup has all its files.
fn check_whole(disk: &dyn Disk, backup: &Path, root: &Root, state: Option<&State>) -> Result<()> {
    let is_there = |path: &Path| disk.len(path).map(|len| len.is_some()).map_err(Error::disk);
    for entry in &root.segments {
        let path = backup.join(segment_file_name(entry.generation));
        if !is_there(&path)? {
            return Err(missing(path, "the root names this segment"));
        }
    }
    if let Some(checkpoint) = root.checkpoint {
        let path = backup.join(checkpoint_name(checkpoint.number));
        if !is_there(&path)? {
            return Err(missing(path, "the root names this checkpoint"));
        }
    }
    let tables = state.into_iter().flat_map(|state| state.trees.values());
    for (_, table) in tables.flat_map(|tree| tree.levels.tables()) {
        let path = FileName::Table(table.number).path(backup);
        if !is_there(&path)? {
            let what = format!("it has keys {} of an ordered keyspace", table.range);
            return Err(annals_ordered::Error::Missing { path, what }.into());
        }
    }
    Ok(())
}

/// Removes what was copied to where no database was. What cannot be removed stays.
fn remove_copy(disk: &dyn Disk, target: &Path) {
    let Ok(entries) = disk.list(target) else { return };
    // The root first: without it the rest is no database.
    let (root, rest): (Vec<_>, Vec<_>) =
        entries.iter().map(|entry| &entry.name).partition(|name| *name == ROOT_NAME);
    for name in root.into_iter().chain(rest.into_iter().filter(|name| is_ours(name))) {
        if let Err(error) = disk.remove(&target.join(name)) {
            tracing::warn!(%error, "a part of a copy that was not finished stays");
        }
    }
}

/// Whether a file is one that a backup makes, but for the root, or the figures of a database that was there.
fn is_ours(name: &str) -> bool {
    [LOCK_NAME, READERS_NAME, COPY_TEMPORARY, ROOT_TEMPORARY].contains(&name)
        || [FIGURES_NAME, FIGURES_TEMPORARY].contains(&name)
        || is_data_file_name(name)
        || FileName::parse(name).is_some()
}

/// Reads every byte of all tables.
fn check_tables(core: &Core) -> Result<()> {
    let Some(store) = core.trees.store() else { return Ok(()) };
    let mut first = None;
    store.verify(&mut |_, damage| {
        first.get_or_insert(damage);
    })?;
    match first {
        None => Ok(()),
        Some(Damage { path, offset, what, .. }) => {
            Err(annals_ordered::Error::Damaged { path, offset, what }.into())
        }
    }
}

/// Reads every frame of a segment up to `end`.
fn check_segment(core: &Core, slot: u32, end: u32) -> Result<()> {
    let Some(guard) = core.journal.guard(slot) else { return Ok(()) };
    let mut offset = guard.first_frame();
    while offset < end && guard.next_frame(&mut offset)?.is_some() {}
    Ok(())
}

fn missing(path: PathBuf, what: &'static str) -> Error {
    annals_journal::Error::Missing { path, what }.into()
}

/// Bytes of a segment that a copy needs.
fn content_len(entry: &RootSegment, root: &Root) -> u32 {
    let end = root.clean_end.unwrap_or_default();
    let is_tail = entry.kind == SegmentKind::Log && entry.ordinal == end.ordinal;
    if is_tail { end.offset } else { entry.end }
}

/// Makes sure that `target` may become a copy of the database `id`, and changes nothing; returns the root
/// of an older copy that is there.
fn judge_target(disk: &dyn Disk, target: &Path, id: Option<u64>) -> Result<Option<Root>> {
    let refuse = |why: String| Error::Backup { path: target.to_owned(), why };
    // Through a link too: the way there may be written in many ways.
    let whole = disk.resolve(target).map_err(Error::disk)?;
    if let Some(outer) = whole.ancestors().skip(1).find(|dir| Root::read(disk, dir).is_ok()) {
        return Err(refuse(format!("it lies inside the database in {}", outer.display())));
    }
    let entries = match disk.list(target) {
        Err(error) if error.is_not_found() => return Ok(None),
        entries => entries.map_err(Error::disk)?,
    };
    if entries.iter().any(|entry| entry.name == ROOT_NAME) {
        let older = Root::read(disk, target)?;
        return match id {
            None => Err(refuse("it holds a database already; name an empty directory".into())),
            Some(id) if older.database_id != id => {
                Err(refuse("it holds another database; name another directory".into()))
            }
            Some(_) if !older.copy => {
                let why =
                    "it is no backup, or was opened for writing since; name another directory";
                Err(refuse(why.into()))
            }
            Some(_) => Ok(Some(older)),
        };
    }
    // What an interrupted backup leaves: files of ours without a root.
    match entries.iter().find(|entry| entry.is_dir || !is_ours(&entry.name)) {
        Some(entry) => Err(refuse(format!("it is not empty: it holds `{}`", entry.name))),
        None => Ok(None),
    }
}

/// Where the tables of a copy come from.
#[derive(Clone, Copy)]
enum Tables<'a> {
    /// From a store that goes on.
    Frozen(&'a Frozen),
    /// From a backup, whose manifest says this.
    Copied(&'a State),
}

struct Copy<'a> {
    disk: &'a dyn Disk,
    target: &'a Path,
    older: Option<Root>,
    report: BackupReport,
}

impl Copy<'_> {
    fn run(
        mut self,
        root: &Root,
        up_to: Seq,
        tables: Option<Tables<'_>>,
        content: impl Fn(&RootSegment) -> Result<Vec<u8>>,
        source: &Path,
    ) -> Result<BackupReport> {
        // Before the first root of the copy: whoever reads it, or an older one here, is seen.
        let readers = self.target.join(READERS_NAME);
        let was_there = self.disk.len(&readers).is_ok_and(|len| len.is_some());
        let unseen = self.older.as_ref().is_some_and(|older| older.unseen_readers || !was_there);
        let made = make_readers_file(self.disk, self.target);
        let mut root = Root { unseen_readers: unseen || !made, ..root.clone() };
        for entry in &root.segments {
            self.segment(entry, &root, &content)?;
        }
        let mut named = BTreeSet::new();
        if let Some(tables) = tables {
            root.manifest = Some(self.tables(tables, root.manifest, source, &mut named)?);
        }
        if let Some(checkpoint) = root.checkpoint {
            let name = checkpoint_name(checkpoint.number);
            let path = source.join(&name);
            let region = self.disk.open_region(&path, Access::Read).map_err(Error::disk)?;
            self.write(&name, region.read(0, region.len()), 0)?;
        }
        root.write(self.disk, self.target)?;
        let tables_count = named.len() as u64;
        self.remove_rest(&root, named)?;
        self.report.files_count = 1 + root.segments.len() as u64 + tables_count;
        self.report.files_count += u64::from(root.checkpoint.is_some());
        self.report.up_to = up_to;
        Ok(self.report)
    }

    /// Copies the tables, and a manifest that names them. Notes the names of their files.
    fn tables(
        &mut self,
        tables: Tables<'_>,
        manifest: Option<RootManifest>,
        source: &Path,
        named: &mut BTreeSet<String>,
    ) -> Result<RootManifest> {
        let state = match tables {
            Tables::Frozen(frozen) => frozen.state(),
            Tables::Copied(state) => state,
        };
        let all = state.trees.values().flat_map(|tree| tree.levels.tables());
        for (_, table) in all {
            let name = FileName::Table(table.number).name();
            self.file(&name, source)?;
            named.insert(name);
        }
        let place = match (tables, manifest) {
            (Tables::Copied(_), Some(manifest)) => {
                let name = FileName::Manifest(manifest.number).name();
                self.file(&name, source)?;
                named.insert(name);
                return Ok(manifest);
            }
            // An older copy goes on naming its own until the root is replaced.
            (tables, _) => {
                let entries = self.disk.list(self.target).map_err(Error::disk)?;
                let numbers = entries.iter().filter_map(|entry| FileName::parse(&entry.name));
                let least = numbers.map(|file| file.number() + 1).max().unwrap_or(1);
                match tables {
                    Tables::Frozen(frozen) => {
                        frozen.write_manifest(self.disk, self.target, least)?
                    }
                    Tables::Copied(_) => {
                        let what = "it names no manifest".to_owned();
                        let path = source.join(ROOT_NAME);
                        return Err(annals_ordered::Error::Missing { path, what }.into());
                    }
                }
            }
        };
        let ManifestPlace { number, synced_bytes } = place;
        named.insert(FileName::Manifest(number).name());
        Ok(RootManifest { number, synced_bytes })
    }

    /// Copies a file that never changes, unless it is there already.
    fn file(&mut self, name: &str, source: &Path) -> Result<()> {
        let region =
            self.disk.open_region(&source.join(name), Access::Read).map_err(Error::disk)?;
        let bytes = region.read(0, region.len());
        if let Ok(there) = self.disk.open_region(&self.target.join(name), Access::Read)
            && there.len() == bytes.len()
            && there.read(0, bytes.len()) == bytes
        {
            self.report.reused_bytes += bytes.len() as u64;
            return Ok(());
        }
        self.write(name, bytes, 0)
    }

    fn segment(
        &mut self,
        entry: &RootSegment,
        root: &Root,
        content: &impl Fn(&RootSegment) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let name = segment_file_name(entry.generation);
        let bytes = content(entry)?;
        if self.has_already(entry, &name, &bytes)? {
            self.report.reused_bytes += bytes.len() as u64;
            return Ok(());
        }
        // One page of zeroes behind the log's end is part of the format.
        let is_tail = content_len(entry, root) != entry.end;
        let pad = if is_tail {
            bytes.len().next_multiple_of(4096) + 4096 - bytes.len()
        } else {
            bytes.len().next_multiple_of(4096) - bytes.len()
        };
        self.write(&name, &bytes, pad)
    }

    /// Whether the older copy has this segment complete and unchanged. Its bytes are compared:
    /// reading them is cheaper than writing them, and a copy that rotted is made anew.
    fn has_already(&self, entry: &RootSegment, name: &str, bytes: &[u8]) -> Result<bool> {
        let same = |old: &RootSegment| old.generation == entry.generation && old.end == entry.end;
        let known = self.older.as_ref().is_some_and(|older| older.segments.iter().any(same));
        if !known || entry.end == 0 {
            return Ok(false);
        }
        let path = self.target.join(name);
        let Ok(region) = self.disk.open_region(&path, Access::Read) else { return Ok(false) };
        Ok(region.len() >= bytes.len() && region.read(0, bytes.len()) == bytes)
    }

    fn write(&mut self, name: &str, bytes: &[u8], zeroes: usize) -> Result<()> {
        let temporary = self.target.join(COPY_TEMPORARY);
        let mut file = self.disk.create(&temporary).map_err(Error::disk)?;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            file.append(chunk).map_err(Error::disk)?;
        }
        file.append(&vec![0; zeroes]).map_err(Error::disk)?;
        file.sync().map_err(Error::disk)?;
        drop(file);
        self.disk.rename(&temporary, &self.target.join(name)).map_err(Error::disk)?;
        self.report.copied_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Removes what an older or an interrupted backup left and the new root does not name.
    fn remove_rest(&self, root: &Root, mut named: BTreeSet<String>) -> Result<()> {
        named.extend(root.segments.iter().map(|entry| segment_file_name(entry.generation)));
        named.extend(root.checkpoint.map(|checkpoint| checkpoint_name(checkpoint.number)));
        for entry in self.disk.list(self.target).map_err(Error::disk)? {
            let ours = is_data_file_name(&entry.name)
                || FileName::parse(&entry.name).is_some()
                || [COPY_TEMPORARY, ROOT_TEMPORARY].contains(&&*entry.name);
            if ours && !named.contains(&entry.name) {
                self.disk.remove(&self.target.join(&entry.name)).map_err(Error::disk)?;
            }
        }
        Ok(())
    }
}
