//! An ordered keyspace as a snapshot sees it.

use super::{
    OrderedEntry, Range, Value,
    keyspace::{bounds, look_up},
    range::{Keeper, Span},
};
use crate::{KeyspaceKind, Result, Snapshot};
use annals_ordered::{Entry, Tree, View};
use std::{
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// An ordered keyspace as a [`Snapshot`] sees it.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let scores = db.keyspace("scores")?;
/// scores.insert("ada", "12")?;
/// let before = db.snapshot();
/// scores.insert("ada", "15")?;
/// let seen = before.ordered("scores")?;
/// assert_eq!(seen.get("ada")?.as_deref(), Some(&b"12"[..]));
/// assert_eq!(seen.iter()?.count(), 1);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OrderedSnapshot {
    snapshot: Snapshot,
    tree: Tree,
    /// What a read-only handle keeps: the writer knows nothing of its snapshots, and takes away what they
    /// see.
    kept: Option<Arc<View>>,
}

impl Snapshot {
    /// The ordered keyspace `keyspace` as this state has it.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// let before = db.snapshot();
    /// scores.insert("charles", "9")?;
    /// assert_eq!(before.ordered("scores")?.iter()?.count(), 1);
    /// assert!(before.ordered("no such keyspace").is_err());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`](crate::Error::UnknownKeyspace) if this state has no such keyspace,
    /// [`Error::WrongKind`](crate::Error::WrongKind) if it is of another kind.
    pub fn ordered(&self, keyspace: &str) -> Result<OrderedSnapshot> {
        let listed = self.listed(keyspace)?;
        listed.keyspace.check_kind(KeyspaceKind::Ordered)?;
        let tree = listed.tree.of(&listed.keyspace)?.clone();
        let kept = self.kept_view(tree.id());
        Ok(OrderedSnapshot { snapshot: self.clone(), tree, kept })
    }
}

impl OrderedSnapshot {
    /// The value of `key` as the snapshot has it. Takes no lock and waits for no writer.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// let seen = db.snapshot().ordered("scores")?;
    /// scores.remove("ada")?;
    /// assert_eq!(seen.get("ada")?.as_deref(), Some(&b"12"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// Damage to a table or the log: `Corrupt` with file and offset.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let (seq, time_ms) = self.snapshot.moment();
        let core = self.snapshot.core();
        let key = key.as_ref();
        let value = |entry: &Entry<'_>| Value::of_entry(core, entry);
        let get = |view: &View| look_up(core, view, key, seq.0, Some(time_ms), value);
        match &self.kept {
            Some(view) => get(view),
            None => self.tree.with_view(get),
        }
    }

    /// Whether `key` is there. A value in the log is not looked at.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// let seen = db.snapshot().ordered("scores")?;
    /// scores.insert("ada", "12")?;
    /// assert!(!seen.contains("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let (seq, time_ms) = self.snapshot.moment();
        let (core, key) = (self.snapshot.core(), key.as_ref());
        let there = |view: &View| look_up(core, view, key, seq.0, Some(time_ms), |_| Ok(()));
        let found = match &self.kept {
            Some(view) => there(view),
            None => self.tree.with_view(there),
        };
        Ok(found?.is_some())
    }

    fn walk(&self, span: Span) -> Range {
        let (seq, time_ms) = self.snapshot.moment();
        let keeper = Keeper::Snapshot(self.snapshot.clone());
        let view = self.kept.clone().unwrap_or_else(|| self.tree.view());
        Range::new(keeper, view, span, seq.0, time_ms)
    }

    /// All records in the order of their keys.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// let seen = db.snapshot().ordered("scores")?;
    /// scores.clear()?;
    /// assert_eq!(seen.iter()?.keys().count(), 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// None today.
    pub fn iter(&self) -> Result<Range> {
        Ok(self.walk(Span::between(Bound::Unbounded, Bound::Unbounded)))
    }

    /// The records whose keys are in `range`, in the order of their keys.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let days = db.keyspace("days")?;
    /// days.insert_many([("19", "cold"), ("20", "mild"), ("21", "cold")])?;
    /// let seen = db.snapshot().ordered("days")?;
    /// days.remove_range("20"..)?;
    /// let last = seen.range("20"..)?.next_back().expect("there were two")?;
    /// assert_eq!(last.value(), b"cold");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// None today.
    pub fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<Range> {
        let (from, to) = bounds(&range);
        Ok(self.walk(Span::between(from, to)))
    }

    /// The records whose keys begin with `prefix`, in the order of their keys.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let orders = db.keyspace("orders")?;
    /// orders.insert_many([("ada/1", "tea"), ("ada/2", "ink"), ("adam/1", "cup")])?;
    /// let seen = db.snapshot().ordered("orders")?;
    /// orders.remove_prefix("ada/")?;
    /// assert_eq!(seen.prefix("ada/")?.count(), 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// None today.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Range> {
        Ok(self.walk(Span::Prefix(prefix.as_ref().into())))
    }

    /// The first key with its value.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let jobs = db.keyspace("jobs")?;
    /// jobs.insert_many([("1", "work"), ("2", "sleep")])?;
    /// let seen = db.snapshot().ordered("jobs")?;
    /// jobs.pop_first()?;
    /// assert_eq!(seen.first()?.expect("there were two").value(), b"work");
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
    /// days.insert("19", "cold")?;
    /// let seen = db.snapshot().ordered("days")?;
    /// days.insert("20", "mild")?;
    /// assert_eq!(seen.last()?.expect("there was one").key(), b"19");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn last(&self) -> Result<Option<OrderedEntry>> {
        self.iter()?.next_back().transpose()
    }
}
