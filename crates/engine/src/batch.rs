//! Several writes, in any keyspaces, that happen together or not at all.

use crate::{
    Commit, Durability, Error, HashKeyspace, OrderedKeyspace, Result,
    catalog::Keyspace,
    commit::{BatchTargets, check_key, check_value, keep_frame, take_frame},
    hash::hash_key,
    open::Open,
    ordered::ends_of,
    streams::{
        Append, Category, ExpectedVersion, NewEvent, NewEvents, Plan, StreamId, StreamKey,
        meanwhile::{self, Moment},
    },
    tables::{
        Deleting, Deletion, Pending,
        unique::{self, Alone},
    },
};
use annals_journal::{Draft, FrameBuilder, KEY_BYTES_MAX, Kind};
use std::{
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// A handle of a hash or an ordered keyspace, for what both have in common; a reference to one, or an `Arc` of one, is
/// one too. Nothing else can be. All may cross threads.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{AnyKeyspace, Database};
/// let db = Database::open_in_memory()?;
/// let (days, stock) = (db.keyspace("days")?, db.hash_keyspace("stock")?);
/// let both: [&dyn AnyKeyspace; 2] = [&days, &stock];
/// let mut batch = db.batch();
/// for keyspace in both {
///     batch.insert(keyspace, "owner", "ada")?;
/// }
/// batch.commit()?;
/// assert!(days.contains("owner")? && stock.contains("owner")?);
/// # Ok::<(), annals::Error>(())
/// ```
pub trait AnyKeyspace: sealed::Sealed + Send + Sync {}

mod sealed {
    use super::{AnyKeyspace, Arc, Keyspace, Open, Result};

    #[allow(unreachable_pub, reason = "seals a public trait")]
    pub trait Sealed {
        #[doc(hidden)]
        fn target(&self) -> Target<'_>;

        /// The value of a key.
        #[doc(hidden)]
        fn fetch(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

        /// Another handle of the same.
        #[doc(hidden)]
        fn boxed(&self) -> Box<dyn AnyKeyspace>;
    }

    /// What a batch needs of a handle.
    #[allow(unreachable_pub, reason = "seals a public trait")]
    #[allow(missing_debug_implementations, reason = "nobody gets one")]
    pub struct Target<'a> {
        pub(super) open: &'a Arc<Open>,
        pub(super) keyspace: &'a Arc<Keyspace>,
        /// When a record that is written now expires, in milliseconds since 1970.
        pub(super) expires_ms: Option<u64>,
    }

    impl Target<'_> {
        pub(crate) fn id(&self) -> u32 {
            self.keyspace.id
        }
    }
}

macro_rules! any_keyspace {
    ($handle:ty) => {
        impl AnyKeyspace for $handle {}

        impl sealed::Sealed for $handle {
            fn target(&self) -> sealed::Target<'_> {
                let (open, keyspace) = self.parts();
                let expires_ms = keyspace.expires_ms(None, &open.clock);
                sealed::Target { open, keyspace, expires_ms }
            }

            fn fetch(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
                Ok(self.get(key)?.map(|value| value.to_vec()))
            }

            fn boxed(&self) -> Box<dyn AnyKeyspace> {
                Box::new(self.clone())
            }
        }
    };
}

any_keyspace!(HashKeyspace);
any_keyspace!(OrderedKeyspace);

macro_rules! any_pointer {
    ($pointer:ty) => {
        impl<K: AnyKeyspace + ?Sized> AnyKeyspace for $pointer {}

        impl<K: AnyKeyspace + ?Sized> sealed::Sealed for $pointer {
            fn target(&self) -> sealed::Target<'_> {
                (**self).target()
            }

            fn fetch(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
                (**self).fetch(key)
            }

            fn boxed(&self) -> Box<dyn AnyKeyspace> {
                (**self).boxed()
            }
        }
    };
}

any_pointer!(&K);
any_pointer!(Arc<K>);

/// Several writes that happen together or not at all. Made by
/// [`Database::batch`](crate::Database::batch).
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let (stock, orders) = (db.hash_keyspace("stock")?, db.hash_keyspace("orders")?);
/// let mut batch = db.batch();
/// batch.insert(&stock, "apple", "41")?;
/// batch.insert(&orders, "17", "one apple")?;
/// batch.commit()?;
/// assert_eq!(orders.len(), 1);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Debug)]
pub struct WriteBatch {
    core: Arc<Open>,
    frame: FrameBuilder<'static>,
    targets: BatchTargets,
    plan: Plan,
    /// Streams that have to be in these lives when it is committed.
    lives: Vec<(Category, StreamKey, u64)>,
    /// Batches of events that it has for tables.
    rows: Vec<Pending>,
    /// Events of tables that it deletes, by the tables' numbers.
    deletions: Vec<Deletion>,
    /// Events that tables leave out of those that were to be appended.
    ignored_count: u64,
    durability: Option<Durability>,
}

/// What a commit has come to.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) commit: Option<Commit>,
    /// Events of tables that were deleted.
    pub(crate) deleted_count: u64,
    /// Events that tables have left out.
    pub(crate) ignored_count: u64,
}

impl WriteBatch {
    pub(crate) fn new(core: Arc<Open>) -> Self {
        let (frame, targets, plan) = (take_frame(), BatchTargets::default(), Plan::default());
        let (lives, rows, deletions) = (Vec::new(), Vec::new(), Vec::new());
        let (ignored_count, durability) = (0, None);
        Self { core, frame, targets, plan, lives, rows, deletions, ignored_count, durability }
    }

    /// Sets the durability of this commit, instead of the database's.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability};
    /// let db = Database::builder().durability(Durability::Buffered).open_in_memory()?;
    /// let accounts = db.keyspace("accounts")?;
    /// let mut batch = db.batch().durability(Durability::Sync);
    /// batch.insert(&accounts, "ada", "90")?;
    /// batch.insert(&accounts, "bob", "10")?;
    /// batch.commit()?;
    /// assert_eq!(db.stats().log.synced, db.stats().log.end);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Will give `key` the value `value` in `keyspace`. The last write to a key counts.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind, KEY_BYTES_MAX};
    /// let db = Database::open_in_memory()?;
    /// let users = db.keyspace("users")?;
    /// let mut batch = db.batch();
    /// batch.insert(&users, "ada", "1814")?;
    /// batch.insert(&users, "ada", "1815")?;
    /// let refused = batch.insert(&users, vec![0; KEY_BYTES_MAX + 1], "").unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// batch.commit()?;
    /// assert_eq!(users.get("ada")?.as_deref(), Some(&b"1815"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the key or value is too long, the batch outgrows what one commit may have, or the
    /// keyspace belongs to another database. The batch is then as it was.
    pub fn insert(
        &mut self,
        keyspace: &(impl AnyKeyspace + ?Sized),
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<()> {
        self.push(keyspace, Kind::Put, key.as_ref(), value.as_ref())
    }

    /// Will remove `key` from `keyspace`, if it is there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let (open, done) = (db.keyspace("open")?, db.keyspace("done")?);
    /// open.insert("17", "one apple")?;
    /// let mut batch = db.batch();
    /// batch.remove(&open, "17")?;
    /// batch.insert(&done, "17", "one apple")?;
    /// batch.commit()?;
    /// assert!(!open.contains("17")? && done.contains("17")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove(
        &mut self,
        keyspace: &(impl AnyKeyspace + ?Sized),
        key: impl AsRef<[u8]>,
    ) -> Result<()> {
        self.push(keyspace, Kind::Remove, key.as_ref(), &[])
    }

    /// Will remove all keys in `range` from `keyspace` that are there then, those that this batch wrote
    /// before included.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("a", "1"), ("b", "2")])?;
    /// let mut batch = db.batch();
    /// batch.remove_range::<&str>(&scores, ..)?;
    /// batch.insert(&scores, "c", "3")?;
    /// batch.commit()?;
    /// assert_eq!(scores.len()?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert). A range without an end takes some 130 KiB of the batch: give one if
    /// you can.
    pub fn remove_range<K: AsRef<[u8]>>(
        &mut self,
        keyspace: &OrderedKeyspace,
        range: impl RangeBounds<K>,
    ) -> Result<()> {
        let (from, to): (Bound<&[u8]>, Bound<&[u8]>) =
            (range.start_bound().map(AsRef::as_ref), range.end_bound().map(AsRef::as_ref));
        let Some((from, to)) = ends_of(from, to)? else { return Ok(()) };
        if let Some(to) = to {
            return self.push(keyspace, Kind::RemoveRange, &from, &to);
        }
        // The last key there can be is not in front of it.
        let last = vec![0xff; KEY_BYTES_MAX];
        self.push(keyspace, Kind::RemoveRange, &from, &last)?;
        self.push(keyspace, Kind::Remove, &last, &[])
    }

    /// Will append `events` to the stream `id` of `category`, if it is then as `expected`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let (orders, stock) = (db.category("orders")?, db.keyspace("stock")?);
    /// let mut batch = db.batch();
    /// batch.append(&orders, 7u64, &[NewEvent::bytes("placed", b"1")], ExpectedVersion::NoStream)?;
    /// batch.insert(&stock, "apples", "41")?;
    /// batch.commit()?;
    /// assert_eq!(orders.len(7u64)?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # To do it once
    /// Who was not told how a commit ended makes the batch again. Give one of its events an id that nothing but this
    /// batch has: a batch happens as a whole or not at all, so a stream that has the event says that all of it has
    /// happened. Unlike [`Category::append`], which tells where the event is, a batch is refused then, here or by
    /// [`commit`](Self::commit), since its other writes must not happen again.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Error, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let (orders, stock) = (db.category("orders")?, db.keyspace("stock")?);
    /// stock.insert("apples", [42])?;
    /// let sell = |command: u128| {
    ///     let left = stock.get("apples")?.map_or(0, |left| left[0]) - 1;
    ///     let mut batch = db.batch();
    ///     batch.insert(&stock, "apples", [left])?;
    ///     let sold = NewEvent::bytes("sold", b"1").id(command);
    ///     batch.append(&orders, 7u64, &[sold], ExpectedVersion::Any)?;
    ///     batch.commit()
    /// };
    /// for _ in 0..2 {
    ///     match sell(0x5eed) {
    ///         Ok(_) | Err(Error::DuplicateEvent { id: 0x5eed, .. }) => {}
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// assert_eq!(stock.get("apples")?.as_deref(), Some(&[41][..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::VersionConflict`] if it is not as expected now, [`Error::DuplicateEvent`] if it has an
    /// event of the same id; what [`insert`](Self::insert) fails with. The batch is then as it was.
    pub fn append<'s>(
        &mut self,
        category: &Category,
        id: impl Into<StreamId<'s>>,
        events: &[NewEvent<'_>],
        expected: ExpectedVersion,
    ) -> Result<()> {
        self.append_all(category, &id.into(), events, expected)
    }

    /// Will be committed only if the stream `id` of `category` is then in the life that begins with `life_version`,
    /// as [`StreamInfo::life_version`](crate::StreamInfo) told it. An expected version does not tell: those of a
    /// stream that was deleted go on, so what was decided by its old events could begin its new life. Says
    /// nothing of a batch without writes.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Error, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let (carts, added) = (db.category("carts")?, [NewEvent::bytes("added", b"")]);
    /// carts.append_many("ada", &added, ExpectedVersion::Any)?;
    /// let info = carts.info("ada")?;
    /// carts.delete("ada")?;
    /// let mut batch = db.batch();
    /// batch.append(&carts, "ada", &added, ExpectedVersion::Exact(0))?;
    /// batch.expect_life(&carts, "ada", info.life_version)?;
    /// assert!(matches!(batch.commit(), Err(Error::LifeConflict { found: 1, .. })));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::StreamIdTooLong`], [`Error::ForeignKeyspace`]. [`commit`](Self::commit) tells
    /// [`Error::LifeConflict`].
    pub fn expect_life<'s>(
        &mut self,
        category: &Category,
        id: impl Into<StreamId<'s>>,
        life_version: u64,
    ) -> Result<()> {
        self.check_category(category)?;
        let key = Category::key_of(&id.into())?;
        self.lives.push((category.clone(), key, life_version));
        Ok(())
    }

    fn check_category(&self, category: &Category) -> Result<()> {
        let (open, keyspace) = category.parts();
        match Arc::ptr_eq(open, &self.core) {
            true => Ok(()),
            false => Err(Error::ForeignKeyspace { name: keyspace.name.clone() }),
        }
    }

    pub(crate) fn append_all<E: NewEvents + ?Sized>(
        &mut self,
        category: &Category,
        id: &StreamId<'_>,
        events: &E,
        expected: ExpectedVersion,
    ) -> Result<()> {
        self.check_category(category)?;
        let keyspace = category.parts().1;
        let hash = category.prepared(id, events, |key, types| {
            let hash = hash_key(self.core.hash_seed, key.bytes());
            let append = Append { category: keyspace, hash, key, events, types, expected };
            self.plan.push(&self.core, &mut self.frame, &append)?;
            Ok(hash)
        })?;
        for _ in 0..events.count() {
            self.targets.push(keyspace, hash);
        }
        Ok(())
    }

    fn push(
        &mut self,
        keyspace: &(impl AnyKeyspace + ?Sized),
        kind: Kind,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        check_key(key)?;
        check_value(value)?;
        self.check_own(keyspace)?;
        let target = keyspace.target();
        let expires_ms = target.expires_ms.filter(|_| kind == Kind::Put);
        let target = target.keyspace;
        let space = target.id;
        self.frame.push(&Draft { kind, space, key, value, expires_ms, aligned: false })?;
        let hash = if target.is_ordered() { 0 } else { hash_key(self.core.hash_seed, key) };
        self.targets.push(target, hash);
        Ok(())
    }

    /// How many writes it holds.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.keyspace("users")?;
    /// let mut batch = db.batch();
    /// for n in 0..2_500u32 {
    ///     batch.insert(&users, n.to_be_bytes(), "new")?;
    ///     if batch.len() == 1_000 {
    ///         std::mem::replace(&mut batch, db.batch()).commit()?;
    ///     }
    /// }
    /// assert_eq!(batch.len(), 500);
    /// batch.commit()?;
    /// assert_eq!(users.len()?, 2_500);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether it holds none.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.keyspace("users")?;
    /// let mut batch = db.batch();
    /// assert!(batch.is_empty());
    /// batch.remove(&users, "ada")?;
    /// assert!(!batch.is_empty(), "whether the key is there shows at the commit");
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.len() == 0
    }

    /// Bytes the commit will take in the log: what to look at where a batch is cut into several, since all of it is
    /// in memory until the commit.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let images = db.keyspace("images")?;
    /// let mut batch = db.batch();
    /// while batch.len_bytes() < 1 << 20 {
    ///     batch.insert(&images, batch.len().to_be_bytes(), vec![7; 100_000])?;
    /// }
    /// assert_eq!(batch.len(), 11);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.frame.len_bytes()
    }

    /// Does all writes at once: one frame of the log, and one wait for the device, if any, however many they are.
    /// `None` for an empty batch.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.keyspace("users")?;
    /// let mut batch = db.batch();
    /// batch.insert(&users, "ada", "1815")?;
    /// batch.insert(&users, "bob", "1")?;
    /// let commit = batch.commit()?.expect("it was not empty");
    /// assert_eq!(commit.last_seq, commit.first_seq.plus(1));
    /// assert_eq!(db.batch().commit()?, None);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// The writes have the numbers from [`Commit::first_seq`] on, in the order in which they were added: so an event
    /// that was appended among them is found, and with it the version that it got.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let (orders, stock) = (db.category("orders")?, db.keyspace("stock")?);
    /// orders.append(7u64, &NewEvent::json("placed", "{}"), ExpectedVersion::Any)?;
    /// let mut batch = db.batch();
    /// batch.insert(&stock, "apples", "41")?;
    /// let place = batch.len() as u64;
    /// batch.append(&orders, 7u64, &[NewEvent::json("sold", "{}")], ExpectedVersion::Any)?;
    /// let commit = batch.commit()?.expect("it was not empty");
    /// let sold = db.event_at(commit.first_seq.plus(place))?.expect("the event");
    /// assert_eq!((sold.stream(), sold.version()), (7u64.into(), 1));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::VersionConflict`] or [`Error::LifeConflict`] if a stream is not as expected any more,
    /// [`Error::KeyspaceDropped`] if a keyspace is gone, no space, or a poisoned database; nothing
    /// was written then. An error from waiting for durability (a failed sync) leaves the outcome
    /// open until the database is opened again.
    pub fn commit(self) -> Result<Option<Commit>> {
        self.commit_if(|| Ok(true))
    }

    /// The same if `precondition` holds under the writer lock; `None` also if it does not.
    pub(crate) fn commit_if(
        self,
        precondition: impl Fn() -> Result<bool>,
    ) -> Result<Option<Commit>> {
        self.commit_counted(precondition).map(|done| done.commit)
    }

    /// The same; says how many events of tables were deleted or left out.
    pub(crate) fn commit_counted(
        mut self,
        precondition: impl Fn() -> Result<bool>,
    ) -> Result<Counted> {
        let deletions = std::mem::take(&mut self.deletions);
        // Held until the commit is done. They are in the order of the tables' numbers, so no two commits wait for
        // each other.
        let deleting = deletions.iter().map(Deletion::begin).collect::<Result<Vec<_>>>()?;
        if !deleting.is_empty() {
            meanwhile::run(Moment::RowsFound);
        }
        deleting.iter().try_for_each(|deleting| deleting.write(&mut self))?;
        // Likewise.
        let tables = unique::tables_of(&self.rows);
        let alone = match tables.is_empty() {
            true => None,
            false => {
                meanwhile::run(Moment::IdsSought);
                let rows = std::mem::take(&mut self.rows);
                let alone = Alone::begin(&tables, &rows, &deletions, &mut self);
                self.rows = rows;
                let (alone, ignored_count) = alone?;
                self.ignored_count += ignored_count;
                Some(alone)
            }
        };
        let ignored_count = self.ignored_count;
        if self.is_empty() {
            return Ok(Counted { commit: None, deleted_count: 0, ignored_count });
        }
        let Self { core, frame, targets, plan, lives, rows, durability, .. } = &mut self;
        let are_alive = || {
            lives.iter().try_for_each(|(category, key, life)| category.check_life(key, *life))?;
            precondition()
        };
        let asked = durability.unwrap_or(core.journal.config().durability);
        // Others need not wait for the device to append to those tables.
        let during = if alone.is_some() { Some(Durability::Buffered) } else { *durability };
        let mut done = core.commit_planned(frame, targets, plan, during, |_| are_alive());
        if !deleting.is_empty() {
            meanwhile::run(Moment::RowsDeleted);
        }
        if let Some(alone) = alone {
            drop(alone);
            if let Ok(Some(_)) = done {
                rows.iter_mut().for_each(Pending::commit);
                if let Err(error) = core.journal.make_durable(core.journal.end(), asked) {
                    done = Err(error.into());
                }
            }
        }
        // The log takes a batch of events for one record.
        if let (Ok(Some(_)), Durability::Interval { events: Some(most), .. }) = (&done, asked)
            && !rows.is_empty()
        {
            let events_count = rows.iter().map(Pending::events_count).sum();
            if let Err(error) = core.tables.unsynced.note(&core.journal, events_count, most) {
                rows.iter_mut().for_each(Pending::commit);
                done = Err(error);
            }
        }
        let mut deleted_count = 0;
        match &done {
            Ok(Some(_)) => {
                rows.iter_mut().for_each(Pending::commit);
                deleted_count = deleting.iter().map(Deleting::events_count).sum();
                deleting.into_iter().for_each(Deleting::done);
            }
            Ok(None) => {}
            Err(_) => deleting.into_iter().for_each(Deleting::failed),
        }
        if matches!(done, Ok(Some(_))) {
            rows.iter().for_each(Pending::done);
        }
        Ok(Counted { commit: done?, deleted_count, ignored_count })
    }

    /// Deletes events of a table when it is committed.
    pub(crate) fn delete(&mut self, deletion: Deletion) {
        deletion.add_to(&mut self.deletions);
    }

    /// Whether a keyspace is one of this database.
    pub(crate) fn check_own(&self, keyspace: &(impl AnyKeyspace + ?Sized)) -> Result<()> {
        let target = keyspace.target();
        if !Arc::ptr_eq(target.open, &self.core) {
            return Err(Error::ForeignKeyspace { name: target.keyspace.name.clone() });
        }
        Ok(())
    }

    /// Batches of events that it has for tables.
    pub(crate) fn rows(&self) -> &[Pending] {
        &self.rows
    }

    /// Events of tables that it deletes.
    pub(crate) fn deletions(&self) -> &[Deletion] {
        &self.deletions
    }

    /// A table leaves so many events out.
    pub(crate) fn note_ignored(&mut self, count: u64) {
        self.ignored_count += count;
    }

    /// Keeps what a table has to know of the batch until that is committed.
    pub(crate) fn keep(&mut self, rows: Pending) {
        self.rows.push(rows);
    }
}

impl Drop for WriteBatch {
    fn drop(&mut self) {
        keep_frame(std::mem::take(&mut self.frame));
    }
}
