//! The handle of an ordered keyspace, and reading from it.

use super::{
    OrderedEntry, Range, Value,
    range::{Keeper, Span},
};
use crate::{
    Error, Result, Snapshot,
    catalog::{Keyspace, KeyspaceOptions},
    core::Core,
    open::Open,
};
use annals_journal::pin;
use annals_ordered::{AsOf, Entry, KeyRange, LOOKS_AHEAD, Tree, TreeOptions, View};
use std::{
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// A named map with sorted keys, which may be larger than memory. Cheap to clone; clones and other
/// handles of the same keyspace see the same records.
///
/// Keys are any bytes up to 64 KiB, the empty key included, and are ordered byte by byte; values are any
/// bytes up to 1 GiB.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let scores = db.keyspace("scores")?;
/// scores.insert("2026-11-20/ada", "12")?;
/// scores.insert("2026-11-21/ada", "15")?;
/// scores.insert("2026-11-21/charles", "9")?;
///
/// assert_eq!(scores.get("2026-11-20/ada")?.as_deref(), Some(&b"12"[..]));
/// let today: Vec<_> = scores.prefix("2026-11-21/")?.collect::<Result<_, _>>()?;
/// assert_eq!((today.len(), today[1].value()), (2, &b"9"[..]));
/// assert_eq!(scores.range(.."2026-11-21")?.count(), 1);
/// assert_eq!(scores.last()?.expect("there are some").key(), b"2026-11-21/charles");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OrderedKeyspace {
    pub(super) core: Arc<Open>,
    pub(super) keyspace: Arc<Keyspace>,
}

/// The two ends of a range of keys.
pub(crate) fn bounds<'b, K: AsRef<[u8]> + 'b>(
    range: &'b impl RangeBounds<K>,
) -> (Bound<&'b [u8]>, Bound<&'b [u8]>) {
    (range.start_bound().map(AsRef::as_ref), range.end_bound().map(AsRef::as_ref))
}

impl OrderedKeyspace {
    pub(crate) fn new(core: Arc<Open>, keyspace: Arc<Keyspace>) -> Self {
        Self { core, keyspace }
    }

    /// The database and the keyspace that it is a handle of.
    pub(crate) fn parts(&self) -> (&Arc<Open>, &Arc<Keyspace>) {
        (&self.core, &self.keyspace)
    }

    /// Its name, as it was given when the keyspace was made.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// assert_eq!(scores.name(), "scores");
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.keyspace.name
    }

    /// Its options.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, KeyspaceOptions, TreeOptions};
    /// use std::time::Duration;
    /// let db = Database::open_in_memory()?;
    /// let a_day = KeyspaceOptions::default().ttl(Duration::from_secs(86_400));
    /// db.create_keyspace("sessions", a_day, TreeOptions::default())?;
    /// // They are kept with the keyspace: who opens it later finds them.
    /// assert_eq!(db.keyspace("sessions")?.options(), a_day);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn options(&self) -> KeyspaceOptions {
        self.keyspace.options
    }

    /// How it keeps its tables, as it was made with.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Compression, Database, KeyspaceOptions, TreeOptions};
    /// let db = Database::open_in_memory()?;
    /// let small = TreeOptions { bottom_compression: Compression::Lz4, ..TreeOptions::default() };
    /// db.create_keyspace("texts", KeyspaceOptions::default(), small)?;
    /// assert_eq!(db.keyspace("texts")?.table_options()?, small);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`].
    pub fn table_options(&self) -> Result<TreeOptions> {
        self.with_tree(|_, tree| Ok(*tree.options()))
    }

    /// Runs `read` with the newest state and the current tree in it.
    #[inline]
    pub(super) fn with_tree<R>(&self, read: impl FnOnce(&Core, &Tree) -> Result<R>) -> Result<R> {
        let core: &Core = &self.core;
        if core.read_only {
            return self.with_followed_tree(read);
        }
        self.keyspace.check_alive()?;
        let pin = pin();
        read(core, self.keyspace.tree.read(&pin).of(&self.keyspace)?)
    }

    /// In a read-only handle: follows the writer first. The state that is newest then stays good for this
    /// read, whatever comes after it.
    #[inline(never)]
    fn with_followed_tree<R>(&self, read: impl FnOnce(&Core, &Tree) -> Result<R>) -> Result<R> {
        self.core.follow_if_read_only()?;
        let (core, view) =
            self.core.newest(|core| match core.catalog.load().by_id(self.keyspace.id) {
                Some(listed) => Ok((core, Arc::clone(&listed.tree))),
                None => Err(Error::KeyspaceDropped { name: self.keyspace.name.clone() }),
            })?;
        read(core, view.of(&self.keyspace)?)
    }

    /// What `found` makes of the value of `key`, read where it lies: no copy is made. It must not write
    /// to this database.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// assert_eq!(scores.get_with("ada", |value| value.len())?, Some(2));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn get_with<R>(
        &self,
        key: impl AsRef<[u8]>,
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.with_tree(
            #[inline]
            |core, tree| newest(core, tree, key.as_ref(), |entry| Ok(found(&core.body(entry)?))),
        )
    }

    /// The value of `key`. Takes no lock and waits for no writer; short values cost no allocation, and
    /// those that stay in the log no copy.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// assert_eq!(scores.get("ada")?.as_deref(), Some(&b"12"[..]));
    /// assert!(scores.get("charles")?.is_none());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`], or damage to a table or the log: `Corrupt` with file and offset.
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.with_tree(
            #[inline]
            |core, tree| newest(core, tree, key.as_ref(), |entry| Value::of_entry(core, entry)),
        )
    }

    /// Whether `key` is there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// assert!(scores.contains("ada")?);
    /// assert!(!scores.contains("charles")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        // A value in the log is not looked at.
        let there = |core: &Core, tree: &Tree| newest(core, tree, key.as_ref(), |_| Ok(()));
        Ok(self.with_tree(there)?.is_some())
    }

    /// The values of many keys, in the order of the keys, all of one moment.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// let found = scores.get_many(&["charles", "grace"])?;
    /// assert_eq!(found[0].as_deref(), Some(&b"9"[..]));
    /// assert!(found[1].is_none());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        self.with_tree(|core, tree| {
            tree.with_view(|view| {
                let seq = core.visible_seq().0;
                let value = |entry: &Entry<'_>| Value::of_entry(core, entry);
                let mut values = Vec::with_capacity(keys.len());
                for keys in keys.chunks(LOOKS_AHEAD) {
                    if keys.len() > 1 {
                        view.approach(keys, seq);
                    }
                    for key in keys {
                        values.push(look_up(core, view, key.as_ref(), seq, None, value)?);
                    }
                }
                Ok(values)
            })
        })
    }

    /// What is there now, with its number and time, and what keeps it there for a walk. A read-only handle may
    /// come to a newer state meanwhile, and lets go of the log of this one unless a snapshot needs it.
    pub(super) fn moment(&self) -> Result<(Keeper, Arc<View>, u64, u64)> {
        if !self.core.read_only {
            return self.with_tree(|core, tree| {
                // The view first: it has what is visible when it is taken.
                let view = tree.view();
                let (seq, now_ms) = (core.visible_seq().0, core.clock.now_ms());
                Ok((Keeper::Database(Arc::clone(&self.core)), view, seq, now_ms))
            });
        }
        self.core.follow_if_read_only()?;
        let snapshot = Snapshot::take(&self.core);
        let listed = snapshot.listed(&self.keyspace.name).ok();
        let listed = listed
            .filter(|listed| listed.keyspace.id == self.keyspace.id)
            .ok_or_else(|| Error::KeyspaceDropped { name: self.keyspace.name.clone() })?;
        let tree = listed.tree.of(&listed.keyspace)?;
        let view = snapshot.kept_view(tree.id()).unwrap_or_else(|| tree.view());
        let (seq, time_ms) = snapshot.moment();
        Ok((Keeper::Snapshot(snapshot), view, seq.0, time_ms))
    }

    fn walk(&self, span: Span) -> Result<Range> {
        let (keeper, view, seq, now_ms) = self.moment()?;
        Ok(Range::new(keeper, view, span, seq, now_ms))
    }

    /// All records in the order of their keys, as they are now.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("charles", "9"), ("ada", "12")])?;
    /// let mut best = 0;
    /// for entry in scores.iter()? {
    ///     let entry = entry?;
    ///     best = best.max(String::from_utf8_lossy(entry.value()).parse().unwrap_or(0));
    /// }
    /// assert_eq!(best, 12);
    /// // The same from the end.
    /// let last = scores.iter()?.rev().next().expect("there are two")?;
    /// assert_eq!(last.key(), b"charles");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`].
    pub fn iter(&self) -> Result<Range> {
        self.walk(Span::between(Bound::Unbounded, Bound::Unbounded))
    }

    /// The records whose keys are in `range`, in the order of their keys, as they are now.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let days = db.keyspace("days")?;
    /// days.insert_many([("2026-11-19", "a"), ("2026-11-20", "b"), ("2026-12-01", "c")])?;
    /// assert_eq!(days.range("2026-11-20"..)?.count(), 2);
    /// // As with all ranges of Rust, `..` leaves its end out and `..=` has it.
    /// assert_eq!(days.range("2026-11-19".."2026-11-20")?.count(), 1);
    /// assert_eq!(days.range("2026-11-19"..="2026-11-20")?.count(), 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`].
    pub fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<Range> {
        let (from, to) = bounds(&range);
        self.walk(Span::between(from, to))
    }

    /// The records whose keys begin with `prefix`, in the order of their keys, as they are now.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let orders = db.keyspace("orders")?;
    /// orders.insert_many([("ada/1", "tea"), ("ada/2", "ink"), ("adam/1", "cup")])?;
    /// let of_ada = orders.prefix("ada/")?.collect::<annals::Result<Vec<_>>>()?;
    /// assert_eq!((of_ada.len(), of_ada[1].value()), (2, &b"ink"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`].
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Range> {
        self.walk(Span::Prefix(prefix.as_ref().into()))
    }

    /// The first key with its value.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let jobs = db.keyspace("jobs")?;
    /// assert!(jobs.first()?.is_none());
    /// jobs.insert_many([("2", "sleep"), ("1", "work")])?;
    /// assert_eq!(jobs.first()?.expect("there are two").value(), b"work");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn first(&self) -> Result<Option<OrderedEntry>> {
        self.iter()?.next().transpose()
    }

    /// The last key with its value.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let days = db.keyspace("days")?;
    /// days.insert_many([("2026-11-19", "cold"), ("2026-11-20", "mild")])?;
    /// assert_eq!(days.last()?.expect("there are two").key(), b"2026-11-20");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn last(&self) -> Result<Option<OrderedEntry>> {
        self.iter()?.next_back().transpose()
    }

    /// How many records there are: exact, and counted one by one.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// scores.remove("ada")?;
    /// assert_eq!(scores.len()?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn len(&self) -> Result<u64> {
        let (mut walk, mut count) = (self.iter()?, 0);
        while walk.next_key()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// About how many records there are, at the cost of adding up a few numbers. Versions that were
    /// replaced or removed count until they are compacted away.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// // For a progress bar, or to choose between two ways; `len` is for who must know.
    /// assert!(scores.len_estimate()? >= scores.len()?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`].
    pub fn len_estimate(&self) -> Result<u64> {
        self.with_tree(|_, tree| Ok(tree.with_view(View::len_estimate)))
    }

    /// Whether there are no records.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let jobs = db.keyspace("jobs")?;
    /// assert!(jobs.is_empty()?);
    /// jobs.insert("1", "work")?;
    /// assert!(!jobs.is_empty()?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.iter()?.next_key()?.is_none())
    }

    /// Brings all tables that may have keys of `range` down to one level, in this thread: what was
    /// replaced, removed or has expired goes. Reads and writes go on meanwhile. It reads and writes as many
    /// bytes as those tables have, and needs as much space on the disk until it is done.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let days = db.keyspace("days")?;
    /// days.insert_many([("2025-12-31", "a"), ("2026-01-01", "b")])?;
    /// days.remove_prefix("2025-")?;
    /// // The space of the old year is given back now and not by and by.
    /// days.compact_range("2025-".."2026-")?;
    /// assert_eq!(days.len()?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ReadOnly`, `Poisoned`, or what the file system refuses, which stops all writing.
    pub fn compact_range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<()> {
        let (from, to) = bounds(&range);
        let range = match Span::between(from, to) {
            Span::Between(from, Some(to)) => Some(KeyRange::until(&from, &to)),
            Span::Between(from, None) if from.is_empty() => None,
            Span::Between(from, None) | Span::Prefix(from) => {
                let last = self.last()?.map(|entry| entry.key().to_vec());
                let Some(last) = last.filter(|last| **last >= *from) else { return Ok(()) };
                Some(KeyRange::closed(&from, &last))
            }
        };
        if range.as_ref().is_some_and(KeyRange::is_empty) {
            return Ok(());
        }
        let tree = self.with_tree(|_, tree| Ok(tree.clone()))?;
        self.core.trees.compact_range(&self.core, &tree, range.as_ref())
    }

    /// [`compact_range`](Self::compact_range) for all keys.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// scores.insert("ada", "15")?;
    /// scores.compact()?;
    /// // Versions that were replaced do not count any more.
    /// assert_eq!(scores.len_estimate()?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`compact_range`](Self::compact_range).
    pub fn compact(&self) -> Result<()> {
        self.compact_range::<&[u8]>(..)
    }
}

/// What `found` makes of the newest version of `key` that everybody may see.
#[inline]
pub(super) fn newest<R>(
    core: &Core,
    tree: &Tree,
    key: &[u8],
    found: impl FnOnce(&Entry<'_>) -> Result<R>,
) -> Result<Option<R>> {
    tree.with_view(
        #[inline]
        |view| look_up(core, view, key, core.visible_seq().0, None, found),
    )
}

/// What `found` makes of the version of `key` as of `seq`, at `now_ms` or now.
#[inline]
pub(super) fn look_up<R>(
    core: &Core,
    view: &View,
    key: &[u8],
    seq: u64,
    now_ms: Option<u64>,
    found: impl FnOnce(&Entry<'_>) -> Result<R>,
) -> Result<Option<R>> {
    // What is over is told apart here: that somebody was told so has to be noted.
    let as_of = AsOf { seq, now_ms: 0 };
    let live = view.get_with(key, as_of, |entry| {
        let is_over = entry.expires_ms.is_some_and(|expires_ms| {
            core.was_past(expires_ms, now_ms.unwrap_or_else(|| core.clock.now_ms()))
        });
        (!is_over).then(|| found(entry))
    });
    live.map_err(Error::from)?.flatten().transpose()
}
