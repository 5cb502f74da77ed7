//! Putting sorted records in place of all that an ordered keyspace has: straight to tables, outside of the
//! log, and one record of the log that gives the keyspace the tree of those tables.

use super::{OrderedKeyspace, Trees};
use crate::{
    Error, Result,
    catalog::{Change, Keyspace},
    commit::{check_key, check_value},
    core::Core,
};
use annals_journal::Seq;
use annals_ordered::{Load, Loaded};
use parking_lot::RwLockReadGuard;
use std::sync::atomic::Ordering;

/// What took the place of all that an ordered keyspace had.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let days = db.keyspace("days")?;
/// let replaced = days.replace_all([("11-20", "one apple"), ("11-21", "a pear")])?;
/// assert_eq!((replaced.records_count, replaced.seq), (2, db.last_seq()));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The number of the record that says so in the log: who sees it sees the new contents.
    pub seq: Seq,
    /// How many records the keyspace has had from then on.
    pub records_count: u64,
}

impl OrderedKeyspace {
    /// Puts sorted records in place of all that the keyspace has: a bulk load. They go straight to tables of the
    /// deepest level, not through the log, memory and compactions, and are all there at one moment, that
    /// of the one commit which this makes at its end. Until then everybody sees what was there before, and
    /// snapshots and walks from before go on seeing it. A crash leaves the old contents or the new ones, whole;
    /// these are on the device when this returns, whatever the database's durability.
    ///
    /// Others may write to the keyspace meanwhile. What they write before that moment is replaced with all
    /// else, as by [`clear`](Self::clear); what they write after it stays. Of two such calls at the same time the
    /// one that ends last counts.
    ///
    /// Keys must come in rising order, compared byte by byte, and each once; order records with
    /// `sort`, or write batches where that cannot be had. Records are taken one by one, and memory does not grow
    /// with their number. They expire as if each were written when it is taken. Values are kept in the tables
    /// however long they are, also where [`separate_over_bytes`](crate::TreeOptions::separate_over_bytes) would
    /// leave them in the log. [Changes](crate::Database::changes) show one
    /// [`ReplaceKeyspace`](crate::ChangeKind::ReplaceKeyspace), and the records not one by one.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use std::collections::BTreeMap;
    /// let db = annals::Database::open_in_memory()?;
    /// let stock = db.keyspace("stock")?;
    /// stock.insert("apple", "1")?;
    /// let before = db.snapshot().ordered("stock")?;
    ///
    /// let counted = BTreeMap::from([("pear", "7"), ("cherry", "100")]);
    /// assert_eq!(stock.replace_all(counted)?.records_count, 2);
    /// assert_eq!(stock.first()?.expect("there are two").key(), b"cherry");
    /// assert!(!stock.contains("apple")?);
    /// assert!(before.contains("apple")?);
    ///
    /// let refused = stock.replace_all([("pear", "1"), ("fig", "2")]).unwrap_err();
    /// assert!(refused.to_string().starts_with("record 2 has a lower key than the one before it"));
    /// assert_eq!(stock.len()?, 2, "nothing was changed");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfOrder`], [`Error::KeyTooLong`], [`Error::ValueTooLong`], [`Error::KeyspaceDropped`], no space, a
    /// closed, read-only or poisoned database. Nothing was changed then, and what was written is removed, unless the
    /// log or the manifest could not be written at the end: then the next opening finds the one or the other.
    pub fn replace_all<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Replaced> {
        self.try_replace_all(records.into_iter().map(Ok::<_, Error>))
    }

    /// As [`replace_all`](Self::replace_all), of records that may not be had: the first `Err` among them is returned,
    /// and nothing was changed.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let stock = db.keyspace("stock")?;
    /// stock.insert_many([("apple", "1"), ("fig", ""), ("pear", "7")])?;
    /// // Rewritten from what it has, without what is empty.
    /// let kept = stock.iter()?.filter(|entry| entry.as_ref().is_ok_and(|e| !e.value().is_empty()));
    /// let kept = kept.map(|entry| entry.map(|e| e.to_vecs()));
    /// assert_eq!(stock.try_replace_all(kept)?.records_count, 2);
    ///
    /// let lines = ["fig,3", "pear"];
    /// let records = lines.map(|line| line.split_once(',').ok_or_else(|| format!("`{line}` has no comma")));
    /// let refused = stock.try_replace_all::<_, _, Box<dyn std::error::Error>>(
    ///     records.into_iter().map(|record| Ok(record?)),
    /// );
    /// assert_eq!(refused.unwrap_err().to_string(), "`pear` has no comma");
    /// assert_eq!(stock.len()?, 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`replace_all`](Self::replace_all), and those of `records`.
    pub fn try_replace_all<K: AsRef<[u8]>, V: AsRef<[u8]>, E: From<Error>>(
        &self,
        records: impl IntoIterator<Item = Result<(K, V), E>>,
    ) -> Result<Replaced, E> {
        let mut replacing = Replacing::begin(&self.core, &self.keyspace)?;
        for record in records {
            let (key, value) = record?;
            replacing.add(key.as_ref(), value.as_ref())?;
        }
        Ok(replacing.commit()?)
    }
}

/// Tables that are to take the place of those of a keyspace.
struct Replacing<'c> {
    core: &'c Core,
    keyspace: &'c Keyspace,
    load: Load<'c>,
}

impl<'c> Replacing<'c> {
    fn begin(core: &'c Core, keyspace: &'c Keyspace) -> Result<Self> {
        core.check_takes_records()?;
        keyspace.check_alive()?;
        let _open = core.trees.keep_open()?;
        let options = {
            let catalog = core.catalog.load();
            let listed = catalog.by_id(keyspace.id).ok_or_else(|| keyspace.is_dropped())?;
            *listed.tree.of(keyspace)?.options()
        };
        let store = core.trees.begin(&core.journal)?;
        // What is too old is judged by the log's time.
        core.journal.note_time(core.clock.now_ms());
        let load = store.load(options, Trees::settled_ms(core))?;
        Ok(Self { core, keyspace, load })
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        // Not while the next record is waited for: that may take as long as it likes.
        let _open = self.core.trees.keep_open()?;
        self.core.trees.check()?;
        self.keyspace.check_alive()?;
        check_key(key)?;
        check_value(value)?;
        let expires_ms = self.keyspace.expires_ms(None, &self.core.clock);
        self.load.add(key, value, expires_ms).map_err(told)
    }

    fn commit(self) -> Result<Replaced> {
        let Self { core, keyspace, load } = self;
        let _open = core.trees.keep_open()?;
        // Everybody sees the records from now on: however long they took to come, none is older.
        core.journal.note_time(core.clock.now_ms());
        core.replace_ordered(keyspace, load.finish(Trees::settled_ms(core))?)
    }
}

/// The error of a record that cannot be added.
fn told(error: annals_ordered::Error) -> Error {
    match error {
        annals_ordered::Error::Unsorted { entry, is_repeated } => {
            Error::OutOfOrder { record: entry + 1, is_repeated }
        }
        other => other.into(),
    }
}

impl Core {
    /// Gives an ordered keyspace the tree that was loaded, in place of the one it has.
    fn replace_ordered(&self, keyspace: &Keyspace, loaded: Loaded<'_>) -> Result<Replaced> {
        let _changing = self.changing.lock();
        let (before, tree) = {
            let catalog = self.catalog.load();
            let listed = catalog.by_id(keyspace.id).ok_or_else(|| keyspace.is_dropped())?;
            (listed.tree.id, catalog.next_id)
        };
        self.check_takes_records()?;
        let records_count = loaded.entries_count();
        self.trees.take_over(loaded, tree)?;
        let id = keyspace.id;
        let logged = self.log_change(|_| Ok(Some(Change::Replace { id, tree, records_count })));
        let seq = match logged {
            Ok(seq) => seq.unwrap_or_default(),
            Err(error) => {
                // Where the log may have it all the same, the next opening needs the tree or drops it.
                let is_used =
                    self.catalog.load().by_id(id).is_some_and(|listed| listed.tree.id == tree);
                if !is_used && self.journal.poisoned().is_none() {
                    self.trees.retire(self, tree);
                }
                return Err(error);
            }
        };
        // What was there goes from here on: who comes back from a power cut must not look for it.
        self.journal.sync()?;
        self.trees.retire(self, before);
        self.trees.wake();
        Ok(Replaced { seq, records_count })
    }
}

impl Trees {
    /// Keeps the database from being closed, for as long as files are written that nobody else knows of: another
    /// process may open it at once, and give its files the same numbers.
    ///
    /// # Errors
    /// If it is closed.
    fn keep_open(&self) -> Result<RwLockReadGuard<'_, ()>> {
        let open = self.loading.read();
        if self.is_over.load(Ordering::Acquire) {
            return Err(annals_journal::Error::Closed.into());
        }
        Ok(open)
    }

    /// Makes the tree `id` of what was loaded. One of that number that somebody began and did not use goes.
    fn take_over(&self, loaded: Loaded<'_>, id: u32) -> Result<()> {
        if let Some(store) = self.store() {
            self.take_number(store, id)?;
        }
        loaded.begin_tree(id)?;
        Ok(())
    }
}
