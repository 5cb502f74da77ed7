//! Writing to an ordered keyspace.

use super::{
    OrderedEntry, OrderedKeyspace, Value,
    keyspace::{bounds, newest},
    range::{Span, behind, end_of},
};
use crate::{
    CasOutcome, Commit, Error, Result, WriteOptions,
    commit::{check_key, check_value},
    writing::until_first,
};
use annals_journal::{KEY_BYTES_MAX, Kind};
use annals_ordered::{AsOf, Entry, KeyCopy, Tree};
use std::{
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// The first key of a range, and the first one behind it.
type Ends = (KeyCopy, Option<KeyCopy>);

/// The first key of a range and the first one behind it, `None` if there is no end. `None` if no key can
/// be in it.
pub(crate) fn ends_of(from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Option<Ends>> {
    let Span::Between(from, to) = Span::between(from, to) else { return Ok(None) };
    if to.as_ref().is_some_and(|to| **to <= *from) {
        return Ok(None);
    }
    check_key(&from)?;
    if let Some(to) = &to {
        check_key(to)?;
    }
    Ok(Some((from, to)))
}

impl OrderedKeyspace {
    /// Gives `key` the value `value`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// scores.insert("ada", "15")?;
    /// assert_eq!(scores.get("ada")?.as_deref(), Some(&b"15"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], [`Error::ValueTooLong`], [`Error::KeyspaceDropped`], no space, or a
    /// poisoned database; nothing was written then.
    pub fn insert(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.insert_with(key, value, WriteOptions::default()).map(drop)
    }

    /// Gives `key` the value `value`, with options.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability, WriteOptions};
    /// use std::time::Duration;
    /// let db = Database::open_in_memory()?;
    /// let sessions = db.keyspace("sessions")?;
    /// let options = WriteOptions::default().durability(Durability::Sync).ttl(Duration::from_secs(3600));
    /// let commit = sessions.insert_with("token", "ada", options)?;
    /// assert_eq!(commit.last_seq, db.last_seq());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: WriteOptions,
    ) -> Result<Commit> {
        let (key, value) = (key.as_ref(), value.as_ref());
        let done = self.write(Kind::Put, key, value, options, |_| Ok(true))?;
        done.ok_or(Error::Conflict { attempts: 1 })
    }

    /// Writes one record if `precondition` holds under the writer lock.
    fn write(
        &self,
        kind: Kind,
        key: &[u8],
        value: &[u8],
        options: WriteOptions,
        precondition: impl FnMut(&Tree) -> Result<bool>,
    ) -> Result<Option<Commit>> {
        check_key(key)?;
        check_value(value)?;
        self.keyspace.check_alive()?;
        let draft = self.keyspace.draft(kind, key, value, options, &self.core.clock);
        self.core.commit_ordered(&self.keyspace, &draft, options.durability, precondition)
    }

    /// Gives many keys their values, in one commit; `None` if there were none. All of them are
    /// collected in memory first.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// let written = scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// assert!(written.is_some());
    /// assert_eq!(scores.len()?, 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert); nothing was written then.
    pub fn insert_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Option<Commit>> {
        let mut batch = crate::WriteBatch::new(Arc::clone(&self.core));
        for (key, value) in records {
            batch.insert(self, key, value)?;
        }
        batch.commit()
    }

    /// Removes `key`. Returns whether it was there; nothing is written if it was not.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// assert!(scores.remove("ada")?);
    /// assert!(!scores.remove("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert), or damage to a table.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.remove_with(key, WriteOptions::default())
    }

    /// Removes `key`, with options. A `ttl` among them means nothing here.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability, WriteOptions};
    /// let db = Database::open_in_memory()?;
    /// let sessions = db.keyspace("sessions")?;
    /// sessions.insert("token", "ada")?;
    /// // A session that was ended must not come back with a power cut.
    /// let at_once = WriteOptions::default().durability(Durability::Sync);
    /// assert!(sessions.remove_with("token", at_once)?);
    /// assert!(!sessions.contains("token")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn remove_with(&self, key: impl AsRef<[u8]>, options: WriteOptions) -> Result<bool> {
        let key = key.as_ref();
        // Looked up before the lock is taken: what has to be read for that is in memory then.
        if !self.contains(key)? {
            return Ok(false);
        }
        let there = |tree: &Tree| Ok(newest(&self.core, tree, key, |_| Ok(()))?.is_some());
        Ok(self.write(Kind::Remove, key, &[], options, there)?.is_some())
    }

    /// Removes `key` without looking whether it is there, which takes no look-up.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// scores.remove_blindly("ada")?;
    /// // No error either where there is nothing.
    /// scores.remove_blindly("charles")?;
    /// assert!(scores.is_empty()?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove_blindly(&self, key: impl AsRef<[u8]>) -> Result<()> {
        let options = WriteOptions::default();
        self.write(Kind::Remove, key.as_ref(), &[], options, |_| Ok(true)).map(drop)
    }

    /// Removes all keys in `range`, at a cost that does not depend on their number; their space is
    /// given back by compaction. `None` if there was nothing to write.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("a", "1"), ("b", "2"), ("c", "3")])?;
    /// scores.remove_range("b"..)?;
    /// assert_eq!(scores.len()?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove_range<K: AsRef<[u8]>>(
        &self,
        range: impl RangeBounds<K>,
    ) -> Result<Option<Commit>> {
        let (from, to) = bounds(&range);
        let Some((from, to)) = ends_of(from, to)? else { return Ok(None) };
        self.remove_between(&from, to)
    }

    /// Removes all keys that begin with `prefix`, as [`remove_range`](Self::remove_range) does.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let orders = db.keyspace("orders")?;
    /// orders.insert_many([("ada/1", "tea"), ("ada/2", "ink"), ("adam/1", "cup")])?;
    /// orders.remove_prefix("ada/")?;
    /// assert_eq!(orders.first()?.expect("one is left").key(), b"adam/1");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Option<Commit>> {
        let prefix = prefix.as_ref();
        self.remove_between(prefix, end_of(&Span::Prefix(prefix.into())))
    }

    fn remove_between(&self, from: &[u8], to: Option<KeyCopy>) -> Result<Option<Commit>> {
        let options = WriteOptions::default();
        if let Some(to) = to {
            return self.write(Kind::RemoveRange, from, &to, options, |_| Ok(true));
        }
        // A record says where the range ends: behind the last key there is.
        until_first(|| {
            let Some(last) = self.range(from..)?.next_back().transpose()? else {
                return Ok(Some(None));
            };
            let to = if last.key().len() < KEY_BYTES_MAX {
                behind(last.key())
            } else {
                let to = annals_ordered::behind_prefix(last.key());
                to.ok_or(Error::KeyTooLong {
                    bytes: KEY_BYTES_MAX as u64 + 1,
                    limit: KEY_BYTES_MAX as u64,
                })?
            };
            let none_behind = |tree: &Tree| {
                let seq = self.core.visible_seq().0;
                // What has expired is not there: the walk to the last key has passed it.
                let now_ms = self.core.clock.now_ms();
                let mut cursor = tree.cursor(&to, None, AsOf { seq, now_ms });
                cursor.to_first()?;
                Ok(cursor.entry().is_none())
            };
            Ok(self.write(Kind::RemoveRange, from, &to, options, none_behind)?.map(Some))
        })
    }

    /// Removes the first key and returns it with its value; `None` if there is none. Several callers
    /// get different ones.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let jobs = db.keyspace("jobs")?;
    /// jobs.insert_many([("2", "sleep"), ("1", "work")])?;
    /// assert_eq!(jobs.pop_first()?.expect("there are two").value(), b"work");
    /// assert_eq!(jobs.len()?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert), or damage to a table.
    pub fn pop_first(&self) -> Result<Option<OrderedEntry>> {
        until_first(|| {
            let Some(first) = self.first()? else { return Ok(Some(None)) };
            let (key, value) = (first.key(), first.value());
            let is_first = |tree: &Tree| {
                let seq = self.core.visible_seq().0;
                let now_ms = self.core.clock.now_ms();
                let mut cursor = tree.cursor(&[], Some(key), AsOf { seq, now_ms });
                cursor.to_first()?;
                Ok(cursor.entry().is_none() && self.has(tree, key, Some(value))?)
            };
            let popped = self.write(Kind::Remove, key, &[], WriteOptions::default(), is_first)?;
            Ok(popped.is_some().then_some(Some(first)))
        })
    }

    /// Whether `key` has this value now; `None` stands for "not there". Values are compared and not
    /// numbers: what is old enough loses its number.
    fn has(&self, tree: &Tree, key: &[u8], value: Option<&[u8]>) -> Result<bool> {
        let is_same = |now: &Entry<'_>| Ok(Some(&*self.core.body(now)?) == value);
        let same = newest(&self.core, tree, key, is_same)?;
        Ok(same.unwrap_or(value.is_none()))
    }

    /// Gives `key` the value `new` if it has the value `expected` now; `None` stands for "not there".
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{CasOutcome, Database};
    /// let db = Database::open_in_memory()?;
    /// let locks = db.keyspace("locks")?;
    /// let taken = locks.compare_and_swap("door", None, Some(b"ada"))?;
    /// assert!(matches!(taken, CasOutcome::Swapped(_)));
    /// let refused = locks.compare_and_swap("door", None, Some(b"charles"))?;
    /// assert_eq!(refused, CasOutcome::Different(Some(b"ada".to_vec())));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<CasOutcome> {
        let key = key.as_ref();
        until_first(|| {
            let current = self.get(key)?;
            if current.as_deref() != expected {
                return Ok(Some(CasOutcome::Different(current.map(|value| value.to_vec()))));
            }
            if expected.is_none() && new.is_none() {
                return Ok(Some(CasOutcome::Swapped(None)));
            }
            let swapped = self.replace(key, expected, new)?;
            Ok(swapped.map(|commit| CasOutcome::Swapped(Some(commit))))
        })
    }

    /// Writes `new` (or removes the key) if the key still has the value `before`.
    fn replace(
        &self,
        key: &[u8],
        before: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Option<Commit>> {
        let unchanged = |tree: &Tree| self.has(tree, key, before);
        let (kind, value) = new.map_or((Kind::Remove, &[][..]), |value| (Kind::Put, value));
        self.write(kind, key, value, WriteOptions::default(), unchanged)
    }

    /// Computes a key's new value from its current one and writes it, atomically: `update` is called
    /// again if somebody else changed the key meanwhile. It returns the new value, or `None` to remove
    /// the key. Returns the value before.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let hits = db.keyspace("hits")?;
    /// let plus_one = |value: Option<&[u8]>| {
    ///     let before = value.map_or(0, |v| u64::from_le_bytes(v.try_into().unwrap_or_default()));
    ///     Some((before + 1).to_le_bytes().to_vec())
    /// };
    /// hits.fetch_update("/", plus_one)?;
    /// assert_eq!(hits.fetch_update("/", plus_one)?, Some(1u64.to_le_bytes().to_vec()));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert); [`Error::Conflict`] if others changed the key each time, a million
    /// times.
    pub fn fetch_update(
        &self,
        key: impl AsRef<[u8]>,
        mut update: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        until_first(|| {
            let before: Option<Value> = self.get(key)?;
            let new = update(before.as_deref());
            let is_done = (new.is_none() && before.is_none())
                || self.replace(key, before.as_deref(), new.as_deref())?.is_some();
            Ok(is_done.then(|| before.map(|value| value.to_vec())))
        })
    }

    /// Removes all records, at a cost that does not depend on their number. Snapshots and iterators
    /// made before still see them.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// let before = db.snapshot().ordered("scores")?;
    /// scores.clear()?;
    /// assert!(scores.is_empty()?);
    /// assert!(before.contains("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn clear(&self) -> Result<()> {
        self.keyspace.check_alive()?;
        self.core.clear_ordered(&self.keyspace)
    }
}
