//! A tree: sorted keys with their versions, in memtables and in tables.

use crate::{
    AsOf, Entry, Error, KEY_BYTES_MAX, KeyRange, Memtable, MemtableWriter, RangeRemoval, Result,
    TreeCursor, TreeOptions, TreeTraffic, VALUE_BYTES_MAX, View,
    compaction::{
        Running,
        choice::{Ask, choose},
    },
    holds::Horizon,
    manifest::TreeState,
    memtable::SpareMemory,
    referring::FormerViews,
    site::Site,
    store::StoreCore,
    table_file::TableFile,
    version::Version,
    view::Sealed,
};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// A record for a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A version of a key.
    Entry(Entry<'a>),
    /// The removal of all versions of the keys from `from` on that are lower than `to` and older
    /// than itself.
    RemoveRange {
        /// The first key.
        from: &'a [u8],
        /// The first key behind those that are removed.
        to: &'a [u8],
        /// The record's sequence number.
        seq: u64,
    },
}

impl Record<'_> {
    /// Its sequence number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.seq,
            Self::RemoveRange { seq, .. } => *seq,
        }
    }

    /// Whether tables take it: what they do not must not come to memory, or no flush would succeed
    /// from then on, also after the log was replayed.
    fn check(&self) -> Result<()> {
        let (key, value) = match self {
            Self::Entry(entry) => (entry.key.len(), entry.value.len()),
            Self::RemoveRange { from, to, .. } => (from.len().max(to.len()), 0),
        };
        for (what, bytes, limit) in [("key", key, KEY_BYTES_MAX), ("value", value, VALUE_BYTES_MAX)]
        {
            if bytes > limit {
                return Err(Error::TooLarge { what, bytes: bytes as u64, limit: limit as u64 });
            }
        }
        Ok(())
    }
}

/// A tree of a [`Store`](crate::Store). Copies are of the same tree.
#[derive(Clone, Debug)]
pub struct Tree {
    pub(crate) core: Arc<TreeCore>,
    pub(crate) store: Arc<StoreCore>,
}

/// What all copies of a tree share.
#[derive(Debug)]
pub(crate) struct TreeCore {
    pub(crate) id: u32,
    pub(crate) options: TreeOptions,
    pub(crate) view: ArcSwap<View>,
    writer: Mutex<Writer>,
    spare: Arc<SpareMemory>,
    /// The tables have all records up to this sequence number.
    pub(crate) flushed_through: AtomicU64,
    /// Whether the store has the tree no longer: what it takes would never come to a table.
    pub(crate) is_dropped: AtomicBool,
    /// Whether a flush has been begun and not ended.
    pub(crate) is_flushing: AtomicBool,
    /// Whether the memtable is to be sealed with the next records, however full it is.
    pub(crate) is_seal_wanted: AtomicBool,
    pub(crate) running: Mutex<Running>,
    /// Whether tables are set aside: compactions may not get on, and nobody is to wait for them.
    pub(crate) is_held_up: AtomicBool,
    pub(crate) counts: Counts,
}

/// What was done since opening.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) flushes: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) traffic: Mutex<TreeTraffic>,
    pub(crate) moves: AtomicU64,
    pub(crate) applied_bytes: AtomicU64,
}

impl Counts {
    pub(crate) fn add(to: &AtomicU64, more: u64) {
        to.fetch_add(more, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Writer {
    memtable: MemtableWriter,
    oldest_ms: u64,
    newest_ms: u64,
}

impl Writer {
    fn new(spare: &Arc<SpareMemory>) -> Self {
        Self { memtable: MemtableWriter::with(spare), oldest_ms: u64::MAX, newest_ms: 0 }
    }
}

impl TreeCore {
    /// A tree with nothing in memory.
    pub(crate) fn new(id: u32, site: &Site, state: &TreeState, files: &[Arc<TableFile>]) -> Self {
        let spare = Arc::clone(&site.spare);
        let writer = Writer::new(&spare);
        let mut running = Running::default();
        let lost = files.iter().filter_map(|file| Some((file.info.number, file.lost()?.clone())));
        lost.for_each(|(number, why)| running.set_aside(number, why));
        let is_held_up = running.hopeless().is_some();
        let view = View {
            database_id: site.database_id,
            active: Arc::clone(writer.memtable.memtable()),
            sealed: Vec::new(),
            version: Arc::new(Version::new(state, None, files)),
        };
        Self {
            id,
            options: state.options,
            view: ArcSwap::from_pointee(view),
            writer: Mutex::new(writer),
            spare,
            flushed_through: AtomicU64::new(state.flushed_through),
            is_dropped: AtomicBool::new(false),
            is_flushing: AtomicBool::new(false),
            is_seal_wanted: AtomicBool::new(false),
            running: Mutex::new(running),
            is_held_up: AtomicBool::new(is_held_up),
            counts: Counts::default(),
        }
    }

    /// Has compactions leave a table alone that cannot be read.
    pub(crate) fn set_aside(&self, number: u64, why: Error) {
        let mut running = self.running.lock();
        running.set_aside(number, why);
        self.is_held_up.store(true, Ordering::Relaxed);
    }

    /// Puts the memtable that is written to among those that are to be flushed. `false` if there is
    /// nothing in it.
    fn seal(&self, writer: &mut Writer, store: &StoreCore) -> bool {
        self.is_seal_wanted.store(false, Ordering::Relaxed);
        if writer.memtable.memtable().is_empty() {
            return false;
        }
        if writer.memtable.is_short() {
            // Before anybody can flush it, which takes this back.
            store.is_short.store(true, Ordering::Relaxed);
        }
        let Writer { memtable, oldest_ms, newest_ms } =
            std::mem::replace(writer, Writer::new(&self.spare));
        let full = Arc::clone(memtable.memtable());
        let sealed = Arc::new(Sealed { memtable: full, oldest_ms, newest_ms });
        store.former.replace(self, |view| View {
            database_id: view.database_id,
            active: Arc::clone(writer.memtable.memtable()),
            sealed: std::iter::once(&sealed).chain(&view.sealed).cloned().collect(),
            version: Arc::clone(&view.version),
        });
        true
    }

    /// Takes over what an edit, which is synced, made of the tree: readers that come from now on see
    /// it. `flushed` are the memtables that are in tables now.
    pub(crate) fn install(
        &self,
        state: &TreeState,
        fresh: &[Arc<TableFile>],
        flushed: &[Arc<Sealed>],
        former_views: &FormerViews,
    ) {
        let version = |view: &View| Arc::new(Version::new(state, Some(&view.version), fresh));
        let former = former_views.replace(self, |view| View {
            database_id: view.database_id,
            active: Arc::clone(&view.active),
            sealed: view
                .sealed
                .iter()
                .filter(|sealed| !flushed.iter().any(|done| Arc::ptr_eq(done, sealed)))
                .cloned()
                .collect(),
            version: version(view),
        });
        let kept: std::collections::HashSet<u64> =
            state.levels.tables().map(|(_, table)| table.number).collect();
        for file in former.version.files() {
            if !kept.contains(&file.info.number) {
                file.drop_file();
            }
        }
        if self.is_held_up.load(Ordering::Relaxed) {
            // Others may set tables aside at this moment: under the same lock.
            let mut running = self.running.lock();
            let is_held_up = running.retain_aside(|number| kept.contains(&number));
            self.is_held_up.store(is_held_up, Ordering::Relaxed);
        }
        self.flushed_through.store(state.flushed_through, Ordering::Release);
    }

    /// In a store that is only read: takes over what another process made of the tree. `opened` has the
    /// tables that the tree does not have open. Memtables with nothing that the tables lack go; one that
    /// has some of both stays whole, so that all that came after its first record is in memory.
    ///
    /// Readers look at the view first and at the newest number after that, so the caller has let them see
    /// everything that the tables have.
    pub(crate) fn show(&self, state: &TreeState, opened: &[Arc<TableFile>]) {
        let mut writer = self.writer.lock();
        let is_covered = |memtable: &Memtable| {
            memtable.seqs().is_none_or(|(_, newest)| newest <= state.flushed_through)
        };
        let active = writer.memtable.memtable();
        if !active.is_empty() && is_covered(active) {
            *writer = Writer::new(&self.spare);
        }
        let view = self.view.load();
        let version = if Arc::ptr_eq(&view.version.levels, &state.levels) {
            Arc::clone(&view.version)
        } else {
            Arc::new(Version::new(state, Some(&view.version), opened))
        };
        let sealed = view.sealed.iter().filter(|sealed| !is_covered(&sealed.memtable));
        self.view.store(Arc::new(View {
            database_id: view.database_id,
            active: Arc::clone(writer.memtable.memtable()),
            sealed: sealed.cloned().collect(),
            version,
        }));
        self.flushed_through.store(state.flushed_through, Ordering::Release);
    }

    /// Whether a memtable has nothing that the tables lack once they are as `state` says.
    pub(crate) fn would_let_go(&self, state: &TreeState) -> bool {
        let view = self.view.load();
        let sealed = view.sealed.iter().map(|sealed| &sealed.memtable);
        let mut seqs = std::iter::once(&view.active).chain(sealed).filter_map(|one| one.seqs());
        seqs.any(|(_, newest)| newest <= state.flushed_through)
    }

    /// Marks all files for removal: an edit without the tree is synced.
    pub(crate) fn drop_files(&self) {
        self.is_dropped.store(true, Ordering::Release);
        let view = self.view.load();
        view.version.files().for_each(|file| file.drop_file());
    }

    /// The bytes of all its memtables: of that which is written to, and of those to be flushed.
    pub(crate) fn memory_bytes(&self) -> (u64, u64) {
        let view = self.view.load();
        let sealed = view.sealed.iter().map(|sealed| sealed.memtable.memory_bytes() as u64);
        (view.active.memory_bytes() as u64, sealed.sum())
    }

    /// Whether a compaction could be begun now.
    pub(crate) fn wants_compaction(&self, horizon: &Horizon) -> bool {
        let running = self.running.lock();
        let view = self.view.load();
        let levels = &view.version.levels;
        let options = &self.options;
        let (settled_seq, held_seq) = (horizon.settled_seq(), horizon.held_seq());
        let (running, now_ms, input_bytes_max) = (&running, horizon.now_ms, u64::MAX);
        let ask = Ask { levels, options, running, settled_seq, held_seq, now_ms, input_bytes_max };
        choose(&ask).is_some()
    }
}

impl Tree {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.core.id
    }

    /// How it keeps its tables.
    #[must_use]
    pub fn options(&self) -> &TreeOptions {
        &self.core.options
    }

    /// Puts records into memory, with rising sequence numbers, higher than all before. `now_ms` is
    /// the time, in milliseconds since 1970. What the tables have already, by its number, is passed
    /// over. If the memtable is full it is sealed before the first record, so the records of one call
    /// are together.
    ///
    /// The caller sees to it that one thread at a time writes, and that the records of the call before
    /// have become visible.
    ///
    /// # Errors
    /// [`Error::Stopped`] after background work has failed, [`Error::Dropped`] if the tree is not there
    /// any more: nothing was applied then. [`Error::TooLarge`] at the first record with a key over
    /// [`KEY_BYTES_MAX`] or a value over [`VALUE_BYTES_MAX`], [`Error::NoMemory`] at the first for which the system
    /// gives this process no memory: those before it were applied, so whoever writes several at once looks at all
    /// of them before, as far as that can be told.
    pub fn apply<'a>(
        &self,
        records: impl IntoIterator<Item = Record<'a>>,
        now_ms: u64,
    ) -> Result<()> {
        self.store.check()?;
        let core = &self.core;
        let mut writer = core.writer.lock();
        if core.is_dropped.load(Ordering::Acquire) {
            return Err(Error::Dropped { tree: core.id });
        }
        let full = writer.memtable.memtable().memory_bytes() as u64
            >= self.store.config.memtable_bytes
            || writer.memtable.is_short();
        if full || core.is_seal_wanted.load(Ordering::Relaxed) {
            core.seal(&mut writer, &self.store);
        }
        let flushed_through = core.flushed_through.load(Ordering::Relaxed);
        let mut bytes = 0;
        for record in records {
            if record.seq() <= flushed_through {
                continue;
            }
            record.check()?;
            writer.oldest_ms = writer.oldest_ms.min(now_ms);
            writer.newest_ms = writer.newest_ms.max(now_ms);
            match record {
                Record::Entry(entry) => {
                    bytes += entry.key.len() + entry.value.len();
                    if !writer.memtable.reserve(&entry) {
                        return Err(Error::NoMemory { tree: core.id });
                    }
                    writer.memtable.put(&entry);
                }
                Record::RemoveRange { from, to, seq } => {
                    bytes += from.len() + to.len();
                    if from < to {
                        writer.memtable.remove_range(RangeRemoval::new(from, to, seq));
                    }
                }
            }
        }
        Counts::add(&core.counts.applied_bytes, bytes as u64);
        Ok(())
    }

    /// Has the memtable flushed with the next work, however full it is. Called as a writer: while
    /// nobody applies, and what was applied is visible. `false` if there is nothing in it.
    pub fn seal(&self) -> bool {
        self.core.seal(&mut self.core.writer.lock(), &self.store)
    }

    /// The memtables and tables of this moment, to read from. Costs no more than a pointer.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.core.view.load_full()
    }

    /// Runs `read` with the memtables and tables of this moment. Cheaper than [`view`](Self::view)
    /// where many threads read, for who does not keep them.
    #[inline]
    pub fn with_view<R>(&self, read: impl FnOnce(&View) -> R) -> R {
        read(&self.core.view.load())
    }

    /// The value of `key` as of `as_of`, which somebody holds, or whose number is
    /// `u64::MAX`: the newest applied. See [`View::get_with`] for reading it where it lies.
    ///
    /// # Errors
    /// If a table is damaged where the key would be.
    pub fn get(&self, key: &[u8], as_of: AsOf) -> Result<Option<Vec<u8>>> {
        self.get_with(key, as_of, |entry| entry.value.to_vec())
    }

    /// As [`View::get_with`], on the view of this moment.
    ///
    /// # Errors
    /// If a table is damaged where the key would be.
    #[inline]
    pub fn get_with<R>(
        &self,
        key: &[u8],
        as_of: AsOf,
        found: impl FnOnce(&Entry<'_>) -> R,
    ) -> Result<Option<R>> {
        self.core.view.load().get_with(key, as_of, found)
    }

    /// The values of several keys, in their order, all from one view.
    ///
    /// # Errors
    /// If a table is damaged where one of them would be.
    pub fn get_many<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k [u8]>,
        as_of: AsOf,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let view = self.core.view.load();
        let get = |key| view.get_with(key, as_of, |entry| entry.value.to_vec());
        keys.into_iter().map(get).collect()
    }

    /// A cursor over the keys from `from` on that are lower than `to`, on the view of this moment.
    #[must_use]
    pub fn cursor(&self, from: &[u8], to: Option<&[u8]>, as_of: AsOf) -> TreeCursor {
        self.core.view.load().cursor(from, to, as_of)
    }

    /// The first key and its value.
    ///
    /// # Errors
    /// If a table is damaged on the way.
    pub fn first(&self, as_of: AsOf) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let mut cursor = self.cursor(&[], None, as_of);
        cursor.to_first()?;
        Ok(cursor.entry().map(|entry| (entry.key.to_vec(), entry.value.to_vec())))
    }

    /// The last key and its value.
    ///
    /// # Errors
    /// If a table is damaged on the way.
    pub fn last(&self, as_of: AsOf) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let mut cursor = self.cursor(&[], None, as_of);
        cursor.to_last()?;
        Ok(cursor.entry().map(|entry| (entry.key.to_vec(), entry.value.to_vec())))
    }

    /// The tables have all records up to this sequence number: the log need not have them.
    #[must_use]
    pub fn flushed_through(&self) -> u64 {
        self.core.flushed_through.load(Ordering::Acquire)
    }

    /// The lowest sequence number that is only in memory; `None` if there is none. The log is needed
    /// from there on.
    #[must_use]
    pub fn unflushed_from(&self) -> Option<u64> {
        let view = self.core.view.load();
        let sealed = view.sealed.iter().map(|sealed| &sealed.memtable);
        let memtables = std::iter::once(&view.active).chain(sealed);
        memtables.filter_map(|memtable| memtable.seqs()).map(|(lowest, _)| lowest).min()
    }

    /// Compacts all tables that overlap `range` (`None`: all) until what they have lies in one level
    /// and was written anew, in this thread, piece by piece. Memtables that are sealed are flushed
    /// before, here or by those who have begun to. Work that others have begun on the same tables is waited for; whoever has taken such
    /// work and does not run it makes this wait for ever.
    ///
    /// # Errors
    /// What the work reports, or [`Error::Stopped`].
    pub fn compact_range(&self, range: Option<&KeyRange>, now_ms: u64) -> Result<()> {
        self.store.check_ours()?;
        crate::store::compact_range(self, range.cloned(), now_ms)
    }

    /// Whether the tree was dropped.
    pub(crate) fn check_there(&self) -> Result<()> {
        if self.store.has_tree(&self.core) {
            Ok(())
        } else {
            Err(Error::Dropped { tree: self.id() })
        }
    }
}
