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
    /// The value of `key`.
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

    /// Whether `key` is there.
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
    /// # Errors
    /// None today.
    pub fn iter(&self) -> Result<Range> {
        Ok(self.walk(Span::between(Bound::Unbounded, Bound::Unbounded)))
    }

    /// The records whose keys are in `range`, in the order of their keys.
    ///
    /// # Errors
    /// None today.
    pub fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<Range> {
        let (from, to) = bounds(&range);
        Ok(self.walk(Span::between(from, to)))
    }

    /// The records whose keys begin with `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// None today.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Range> {
        Ok(self.walk(Span::Prefix(prefix.as_ref().into())))
    }

    /// The first key with its value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn first(&self) -> Result<Option<OrderedEntry>> {
        self.iter()?.next().transpose()
    }

    /// The last key with its value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn last(&self) -> Result<Option<OrderedEntry>> {
        self.iter()?.next_back().transpose()
    }
}
