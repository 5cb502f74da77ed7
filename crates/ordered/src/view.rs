//! What a reader of a tree has before it: the memtables and the tables of one moment.
//!
//! A view is never changed. The memtable that is written to goes on growing in it, with records
//! whose sequence numbers are higher than what its readers ask for.

use crate::{
    AsOf, Entry, EntryKind, KeyRange, LEVELS, Memtable, Merge, Reading, Removals, Result, Salvage,
    Sought, TreeCursor, Visible, behind_prefix, source::Source, table_file::TableFile,
    version::Version,
};
use std::sync::Arc;

/// A memtable that nothing is added to any more, and that is to be flushed.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) memtable: Arc<Memtable>,
    /// When its first record came, in milliseconds since 1970.
    pub(crate) oldest_ms: u64,
    /// When its last record came.
    pub(crate) newest_ms: u64,
}

/// How many keys [`View::approach`] takes: as many as the processor can wait for.
pub const LOOKS_AHEAD: usize = 16;

/// The memtables and the tables of a tree at one moment.
///
/// Whoever asks as of the newest state takes a view first and looks then which sequence number is
/// the newest: a view has what was seen when it was taken, and may lack older versions of that.
#[derive(Debug)]
pub struct View {
    pub(crate) database_id: u64,
    pub(crate) active: Arc<Memtable>,
    /// The newest first.
    pub(crate) sealed: Vec<Arc<Sealed>>,
    pub(crate) version: Arc<Version>,
}

/// The newest removed range over a key, as far as was looked.
struct Search {
    as_of: AsOf,
    removed: Option<u64>,
}

impl Search {
    /// Whether a version, the newest that may be seen, says that its key has a value.
    fn is_live(&self, seq: u64, kind: EntryKind, expires_ms: Option<u64>) -> bool {
        kind != EntryKind::Remove
            && expires_ms.is_none_or(|expires_ms| expires_ms > self.as_of.now_ms)
            && self.removed <= Some(seq)
    }
}

impl View {
    /// What `found` makes of the version of `key` that is seen as of `as_of`, read where it lies;
    /// `None` if the key is not there then. Takes no lock.
    ///
    /// `as_of.seq` is that of a [`Hold`](crate::Hold), or one that was the newest after the view was
    /// taken.
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
        let mut search = Search { as_of, removed: None };
        let sealed = self.sealed.iter().map(|sealed| &sealed.memtable);
        for memtable in std::iter::once(&self.active).chain(sealed) {
            search.removed = search.removed.max(memtable.removed_at(key, as_of.seq));
            if let Some(entry) = memtable.find(key, as_of.seq) {
                let live = search.is_live(entry.seq, entry.kind, entry.expires_ms);
                return Ok(live.then(|| found(&entry)));
            }
            // What lies deeper is older than the removal.
            if search.removed.is_some() {
                return Ok(None);
            }
        }
        if self.version.levels.is_empty() {
            return Ok(None);
        }
        let sought = Sought::new(self.database_id, key, as_of.seq);
        for file in self.version.files_of(key) {
            if !file.removals.is_empty() {
                search.removed = search.removed.max(file.removals.newest_over(key, as_of.seq));
            }
            let table = file.table()?;
            if let Some(version) = table.get(&sought)? {
                if !search.is_live(version.seq, version.kind, version.expires_ms) {
                    return Ok(None);
                }
                let entry = Entry {
                    key,
                    seq: version.seq,
                    kind: version.kind,
                    expires_ms: version.expires_ms,
                    value: table.value(&version),
                };
                return Ok(Some(found(&entry)));
            }
            if search.removed.is_some() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Asks for what look-ups of these keys will read to be brought closer to the processor: they wait
    /// for memory together then, and not one after the other. A hint, for up to [`LOOKS_AHEAD`] keys
    /// that are looked up next; takes about as long as looking them up where everything is close.
    pub fn approach<K: AsRef<[u8]>>(&self, keys: &[K], seq: u64) {
        let mut leaves = [None; LOOKS_AHEAD];
        for (key, place) in keys.iter().zip(&mut leaves) {
            let Some(file) = self.version.deepest_of(key.as_ref()) else { continue };
            let sought = Sought::new(self.database_id, key.as_ref(), seq);
            let Ok(table) = file.table() else { continue };
            *place = table.approach_leaf(&sought).map(|leaf| (table, sought, leaf));
        }
        for (table, sought, leaf) in leaves.iter().flatten() {
            table.approach_entries(sought, *leaf);
        }
    }

    /// A cursor over what is seen as of `as_of` of the keys from `from` on that are lower than `to`
    /// (`None`: to the last key). It keeps what it needs of the view.
    #[must_use]
    pub fn cursor(&self, from: &[u8], to: Option<&[u8]>, as_of: AsOf) -> TreeCursor {
        self.cursor_where(from, to, as_of, |_| Ok(true))
            .unwrap_or_else(|never: Never| match never {})
    }

    /// What can be read for sure as of `as_of` of the keys from `from` on that are lower than `to` (`None`:
    /// to the last key), around what is damaged. Slower than a [`cursor`](Self::cursor).
    #[must_use]
    pub fn salvage(&self, from: &[u8], to: Option<&[u8]>, as_of: AsOf) -> Salvage {
        let sealed = self.sealed.iter().map(|sealed| &sealed.memtable);
        let memtables = std::iter::once(&self.active).chain(sealed).cloned();
        let newest = self.version.level(0).iter().map(|file| vec![Arc::clone(file)]);
        let deeper = (1..LEVELS).map(|level| self.version.level(level).to_vec());
        Salvage::new(memtables, newest.chain(deeper), from, to, as_of)
    }

    /// A cursor over the keys that begin with `prefix`. Tables whose filters exclude the prefix are
    /// not looked at.
    ///
    /// # Errors
    /// If the filter or the index of a table is damaged.
    pub fn prefix_cursor(&self, prefix: &[u8], as_of: AsOf) -> Result<TreeCursor> {
        let behind = behind_prefix(prefix);
        self.cursor_where(prefix, behind.as_deref(), as_of, |file| match file.table() {
            Ok(table) => table.may_have_prefix(prefix),
            // Told when the cursor comes there.
            Err(_) => Ok(true),
        })
    }

    fn cursor_where<E>(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        as_of: AsOf,
        may_have: impl Fn(&TableFile) -> Result<bool, E>,
    ) -> Result<TreeCursor, E> {
        // No more than there are: they are large, and most scans have one or two.
        let mut runs = Vec::with_capacity(1 + self.sealed.len() + self.version.runs());
        let mut removals = Vec::new();
        let sealed = self.sealed.iter().map(|sealed| &sealed.memtable);
        for memtable in std::iter::once(&self.active).chain(sealed) {
            let removed = memtable.removals();
            if !removed.is_empty() {
                removals.push(removed);
            }
            // What comes into it from now on is newer than what is asked for.
            if memtable.versions() > 0 {
                runs.push(Source::Memory(memtable.cursor()));
            }
        }
        let reaches =
            |range: &KeyRange| !range.ends_before(from) && to.is_none_or(|to| *range.first < *to);
        for level in 0..LEVELS {
            let files = self.version.level(level);
            if self.version.has_range_removals {
                let inside = files.iter().filter(|file| reaches(&file.info.range));
                let removing = inside.filter(|file| !file.removals.is_empty());
                removals.extend(removing.map(|file| file.removals.clone()));
            }
            if level == 0 {
                for file in files.iter().filter(|file| reaches(&file.info.range)) {
                    if may_have(file)? {
                        runs.push(Source::table(file, Reading::Usual));
                    }
                }
                continue;
            }
            if files.is_empty() {
                continue;
            }
            let start = self.version.start_of(level, from);
            let end = to.map_or(files.len(), |to| {
                start + files[start..].partition_point(|file| *file.info.range.first < *to)
            });
            let window = start..end;
            if window.is_empty() || window.len() == 1 && !may_have(&files[start])? {
                continue;
            }
            runs.push(Source::level(files, window, Reading::Usual));
        }
        let seen = Visible::new(Merge::new(runs), Removals::union(&removals), as_of, from, to);
        Ok(TreeCursor::new(seen))
    }

    /// About how many keys there are: versions less removals and what they remove. Exact only if
    /// every key has one version; costs no more than adding up.
    #[must_use]
    pub fn len_estimate(&self) -> u64 {
        let sealed = self.sealed.iter().map(|sealed| sealed.memtable.versions());
        let memory = self.active.versions() + sealed.sum::<u64>();
        (memory + self.version.entries).saturating_sub(2 * self.version.removals)
    }

    /// About how many bytes of tables the keys from `from` on and lower than `to` have.
    ///
    /// # Errors
    /// If the index of a table is damaged.
    pub fn bytes_estimate(&self, from: &[u8], to: Option<&[u8]>) -> Result<u64> {
        let mut bytes = 0;
        for file in self.version.files() {
            let range = &file.info.range;
            if range.ends_before(from) || to.is_some_and(|to| *to <= *range.first) {
                continue;
            }
            let start = if *range.first < *from { file.table()?.offset_of(from)? } else { 0 };
            let end = match to {
                Some(to) if !range.ends_before(to) => file.table()?.offset_of(to)?,
                _ => file.info.bytes,
            };
            bytes += end.saturating_sub(start);
        }
        Ok(bytes)
    }
}

/// An error that cannot be.
enum Never {}
