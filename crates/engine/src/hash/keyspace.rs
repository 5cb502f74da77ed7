//! The handle of a hash keyspace.

use super::{
    Former, Guard, Hit, Iter, Sight, hash_key,
    table::{Approach, Seen, Slot, Straight},
};
use crate::{
    CasOutcome, Commit, Error, Result, Snapshot, WriteOptions,
    catalog::{Change, Keyspace, KeyspaceOptions},
    commit::{Lone, Verdict, check_key, check_value, with_frame},
    core::Core,
    open::Open,
    writing::until_first,
};
use annals_journal::{Address, Kind, Seq, pin};
use std::sync::{
    Arc,
    atomic::{Ordering, fence},
};

/// A named map from keys to values with point look-ups straight from the log. Cheap to clone;
/// clones and other handles of the same keyspace see the same records.
///
/// Keys are any bytes up to 64 KiB, the empty key included; values any bytes up to 1 GiB.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// users.insert("ada", "1815")?;
/// assert_eq!(users.get("ada")?.as_deref(), Some(&b"1815"[..]));
/// assert!(users.remove("ada")?);
/// assert!(users.get("ada")?.is_none());
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HashKeyspace {
    core: Arc<Open>,
    keyspace: Arc<Keyspace>,
}

impl HashKeyspace {
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
    /// let users = db.hash_keyspace("users")?;
    /// assert_eq!(users.name(), "users");
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
    /// use annals::{Database, KeyspaceOptions};
    /// use std::time::Duration;
    /// let db = Database::open_in_memory()?;
    /// let an_hour = KeyspaceOptions::default().ttl(Duration::from_secs(3600));
    /// db.create_hash_keyspace("sessions", an_hour)?;
    /// // They are kept with the keyspace: who opens it later finds them.
    /// assert_eq!(db.hash_keyspace("sessions")?.options(), an_hour);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn options(&self) -> KeyspaceOptions {
        self.keyspace.options
    }

    /// Gives `key` the value `value`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1814")?;
    /// users.insert("ada", "1815")?;
    /// assert_eq!(users.get("ada")?.as_deref(), Some(&b"1815"[..]));
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
    /// let db = Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// // On the device when the call returns, whatever the database's default is.
    /// let at_once = WriteOptions::default().durability(Durability::Sync);
    /// let commit = users.insert_with("ada", "1815", at_once)?;
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
        let done = self.write(Kind::Put, key, value, options, |_| Ok(true.into()))?;
        done.ok_or(Error::Conflict { attempts: 1 })
    }

    /// Writes one record if `precondition` holds under the writer lock.
    fn write(
        &self,
        kind: Kind,
        key: &[u8],
        value: &[u8],
        options: WriteOptions,
        mut precondition: impl FnMut(u64) -> Result<Verdict>,
    ) -> Result<Option<Commit>> {
        check_key(key)?;
        check_value(value)?;
        self.keyspace.check_alive()?;
        let core = &*self.core;
        let hash = hash_key(core.hash_seed, key);
        let draft = self.keyspace.draft(kind, key, value, options, &core.clock);
        let lone = Lone { keyspace: &self.keyspace, hash, draft };
        if let Some(outcome) = core.commit_lone(&lone, options.durability, &mut precondition) {
            return outcome;
        }
        with_frame(|frame| {
            frame.lend(&draft)?;
            let target = (&*self.keyspace, hash);
            core.commit(frame, &target, options.durability, |_| {
                Ok(matches!(precondition(hash)?, Verdict::Holds(_)))
            })
        })
    }

    /// Runs `read` with the newest state and this keyspace in it.
    fn with_newest<'a, R>(&'a self, read: impl Fn(&'a Core, &Keyspace) -> Result<R>) -> Result<R> {
        if !self.core.read_only {
            loop {
                self.keyspace.check_alive()?;
                match read(&self.core, &self.keyspace) {
                    // The keyspace was cleared in between.
                    Err(Error::Stale) => {}
                    outcome => return outcome,
                }
            }
        }
        loop {
            self.core.follow_if_read_only()?;
            let outcome =
                self.core.newest(|core| match core.catalog.load().by_id(self.keyspace.id) {
                    Some(listed) => read(core, &listed.keyspace),
                    None => Err(Error::KeyspaceDropped { name: self.keyspace.name.clone() }),
                });
            match outcome {
                // A newer state came in between.
                Err(Error::Stale) => {}
                outcome => return outcome,
            }
        }
    }

    fn find_newest(&self, hash: u64, key: &[u8]) -> Result<Option<Hit<'_>>> {
        let pin = pin();
        self.with_newest(|core, keyspace| {
            let view = keyspace.view.read(&pin);
            let found = core.look_up_hashed(view, keyspace.id, hash, key, Sight::Latest)?;
            fence(Ordering::Acquire);
            if keyspace.shows(view, &pin) { Ok(found) } else { Err(Error::Stale) }
        })
    }

    fn find(&self, key: &[u8]) -> Result<Option<Hit<'_>>> {
        self.find_newest(hash_key(self.core.hash_seed, key), key)
    }

    /// The record of `key`, and where it is.
    pub(crate) fn hit(&self, key: &[u8]) -> Result<Option<Hit<'_>>> {
        self.find(key)
    }

    /// The same of a record whose value has checksums of its own: that of the record is not looked at.
    pub(crate) fn hit_unsummed(&self, key: &[u8]) -> Result<Option<Hit<'_>>> {
        let (hash, pin) = (hash_key(self.core.hash_seed, key), pin());
        self.with_newest(|core, keyspace| {
            let view = keyspace.view.read(&pin);
            let found = core.look_up_unsummed(view, keyspace.id, hash, key)?;
            fence(Ordering::Acquire);
            if keyspace.shows(view, &pin) { Ok(found) } else { Err(Error::Stale) }
        })
    }

    /// The value of `key`, read in place: one look-up in memory and one in the log, no copy, no
    /// allocation, and no lock that a writer could hold.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// if let Some(year) = users.get("ada")? {
    ///     assert_eq!(&*year, b"1815");
    /// }
    /// assert!(users.get("charles")?.is_none());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`], or damage to the record: `Corrupt` with file and offset.
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Guard<'_>>> {
        self.get_bytes(key.as_ref())
    }

    /// The body of [`get`](Self::get), once for all types of keys.
    #[inline(never)]
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Guard<'_>>> {
        let core: &Core = &self.core;
        self.get_hashed(core, hash_key(core.hash_seed, key), key)
    }

    /// [`get_hashed`](Self::get_hashed), once for all types of keys.
    #[inline(never)]
    fn get_known<'a>(&'a self, core: &'a Core, hash: u64, key: &[u8]) -> Result<Option<Guard<'a>>> {
        self.get_hashed(core, hash, key)
    }

    /// Between one look-up's wait for memory and the next one's should be as few instructions as
    /// possible, so that the processor reaches the next one while it waits. What few look-ups need is
    /// elsewhere, and so are its variables, which would push those that all need out of registers.
    ///
    /// A read-only handle is never sure: it has to follow first; nor is one whose keyspace was dropped.
    #[inline(always)]
    fn get_hashed<'a>(
        &'a self,
        core: &'a Core,
        hash: u64,
        key: &[u8],
    ) -> Result<Option<Guard<'a>>> {
        if core.read_only || !self.keyspace.is_alive() {
            return self.get_slowly(hash, key);
        }
        let pin = pin();
        let view = self.keyspace.view.read(&pin);
        match view.table.find_straight(hash) {
            Straight::Found(lead) => {
                let (seat, space) = (pin.seat(), self.keyspace.id);
                let seen = lead.look(|slot| core.glance_behind(slot, seat, space, key));
                fence(Ordering::Acquire);
                if let Seen::Key(value) = seen
                    && self.keyspace.shows(view, &pin)
                {
                    return Ok(Some(value));
                }
            }
            Straight::Absent => {
                // What was found comes before this in any case.
                fence(Ordering::Acquire);
                if self.keyspace.shows(view, &pin) {
                    return Ok(None);
                }
            }
            Straight::Unsure => {}
        }
        drop(pin);
        self.get_slowly(hash, key)
    }

    #[cold]
    fn get_slowly(&self, hash: u64, key: &[u8]) -> Result<Option<Guard<'_>>> {
        let hit = self.find_newest(hash, key)?;
        Ok(hit.map(Hit::into_value))
    }

    /// Whether `key` is there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let seen = db.hash_keyspace("seen")?;
    /// seen.insert("message-17", "")?;
    /// assert!(seen.contains("message-17")?);
    /// assert!(!seen.contains("message-18")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }

    /// The values of many keys, in the order of the keys. The look-ups overlap, so this is several
    /// times faster than as many [`get`](Self::get)s once the data outgrows the processor's
    /// caches.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert_many([("ada", "1815"), ("charles", "1791")])?;
    /// let years = users.get_many(&["charles", "grace", "ada"])?;
    /// assert_eq!(years[0].as_deref(), Some(&b"1791"[..]));
    /// assert!(years[1].is_none());
    /// assert_eq!(years[2].as_deref(), Some(&b"1815"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Guard<'_>>>> {
        let core: &Core = &self.core;
        let mut found = Vec::with_capacity(keys.len());
        /// How many look-ups overlap.
        const TOGETHER: usize = 64;
        let mut hashes = [0u64; TOGETHER];
        for keys in keys.chunks(hashes.len()) {
            {
                let pin = pin();
                let view = self.keyspace.view.read(&pin);
                let mut places = [Approach::default(); TOGETHER];
                for ((key, hash), place) in keys.iter().zip(&mut hashes).zip(&mut places) {
                    *hash = hash_key(core.hash_seed, key.as_ref());
                    *place = view.table.approach(*hash);
                }
                for address in places[..keys.len()].iter().filter_map(|place| place.candidate()) {
                    core.journal.prefetch_value(Address::unpack(address));
                }
            }
            // Each look-up's own pin costs next to nothing beside this one.
            let _pin = pin();
            for (key, hash) in keys.iter().zip(&hashes) {
                found.push(self.get_known(core, *hash, key.as_ref())?);
            }
        }
        Ok(found)
    }

    /// Gives many keys their values, in one commit; `None` if there were none. All of them are
    /// collected in memory first.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert_many([("ada", "1815"), ("charles", "1791")])?;
    /// assert_eq!(users.len(), 2);
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
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// assert!(users.remove("ada")?);
    /// assert!(!users.remove("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert), or damage to the record.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.remove_with(key, WriteOptions::default())
    }

    /// Removes `key`, with options. A `ttl` among them means nothing here.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability, WriteOptions};
    /// let db = Database::open_in_memory()?;
    /// let sessions = db.hash_keyspace("sessions")?;
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
        let there = |hash| match self.plainly_there(hash, key) {
            Some(former) => Ok(Verdict::Holds(Some(former))),
            None => Ok(self.find_hashed(hash, key)?.is_some().into()),
        };
        Ok(self.write(Kind::Remove, key, &[], options, there)?.is_some())
    }

    /// The key's record, if it has a value that does not expire; none also if that takes a closer look. Asked
    /// under the writer lock, where the table has the newest version of each key, and everybody may see it.
    fn plainly_there(&self, hash: u64, key: &[u8]) -> Option<Former> {
        let pin = pin();
        let table = &self.keyspace.view.read(&pin).table;
        let plain = |slot: Slot| {
            let found = self.core.same_key(slot, self.keyspace.id, key)?;
            let is_plain = found.kind == Kind::Put && !found.expires && !slot.is_dead();
            let address = Address::unpack(slot.address());
            Some(is_plain.then_some(Former { address, len: found.len }))
        };
        table.find(hash, plain).flatten()
    }

    fn find_hashed(&self, hash: u64, key: &[u8]) -> Result<Option<Hit<'_>>> {
        let pin = pin();
        let view = self.keyspace.view.read(&pin);
        self.core.look_up_hashed(view, self.keyspace.id, hash, key, Sight::Latest)
    }

    /// Whether the key still has the version it had when `seq` was read.
    fn is_unchanged(&self, hash: u64, key: &[u8], seq: Option<Seq>) -> Result<bool> {
        Ok(self.find_hashed(hash, key)?.map(|hit| hit.record.seq) == seq)
    }

    /// Gives `key` the value `new` if it has the value `expected` now; `None` stands for "not
    /// there".
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{CasOutcome, Database};
    /// let db = Database::open_in_memory()?;
    /// let locks = db.hash_keyspace("locks")?;
    /// // Taken only if it is free.
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
            let current = self.find(key)?;
            let seq = current.as_ref().map(|hit| hit.record.seq);
            let value = current.map(Hit::into_value);
            if value.as_deref() != expected {
                return Ok(Some(CasOutcome::Different(value.map(|value| value.to_vec()))));
            }
            if value.is_none() && new.is_none() {
                return Ok(Some(CasOutcome::Swapped(None)));
            }
            drop(value);
            let swapped = self.replace(key, seq, new)?;
            Ok(swapped.map(|commit| CasOutcome::Swapped(Some(commit))))
        })
    }

    /// Writes `new` (or removes the key) if the key's version is still `seq`.
    fn replace(&self, key: &[u8], seq: Option<Seq>, new: Option<&[u8]>) -> Result<Option<Commit>> {
        let options = WriteOptions::default();
        let unchanged = |hash| Ok(self.is_unchanged(hash, key, seq)?.into());
        let (kind, value) = new.map_or((Kind::Remove, &[][..]), |value| (Kind::Put, value));
        self.write(kind, key, value, options, unchanged)
    }

    /// Computes a key's new value from its current one and writes it, atomically: `update` is
    /// called again if somebody else changed the key meanwhile. It returns the new value, or
    /// `None` to remove the key. Returns the value before.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let hits = db.hash_keyspace("hits")?;
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
    /// times. An `update` that writes the key itself does that: it may only compute.
    pub fn fetch_update(
        &self,
        key: impl AsRef<[u8]>,
        mut update: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        until_first(|| {
            let current = self.find(key)?;
            let seq = current.as_ref().map(|hit| hit.record.seq);
            let before = current.map(|hit| hit.into_value().to_vec());
            let new = update(before.as_deref());
            let is_done = (new.is_none() && before.is_none())
                || self.replace(key, seq, new.as_deref())?.is_some();
            Ok(is_done.then_some(before))
        })
    }

    /// All records as they are now, in no particular order. Writers go on; what they do is not
    /// seen. While the iterator lives it holds back what a [`Snapshot`] does.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert_many([("ada", "1815"), ("charles", "1791")])?;
    /// let mut years = 0;
    /// for entry in users.iter()? {
    ///     years += String::from_utf8_lossy(entry?.value()).parse::<u32>().unwrap_or(0);
    /// }
    /// assert_eq!(years, 1815 + 1791);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`].
    pub fn iter(&self) -> Result<Iter<'_>> {
        self.core.follow_if_read_only()?;
        let snapshot = Snapshot::take(&self.core);
        let listed = snapshot
            .find(&self.keyspace.name, self.keyspace.id)
            .ok_or_else(|| Error::KeyspaceDropped { name: self.keyspace.name.clone() })?;
        // A state once reached stays in place for as long as the handle does.
        let core = self.core.state_of(&snapshot);
        Ok(Iter::new(core, listed, snapshot))
    }

    /// How many records there are: exact, at no cost that grows with their number. A batch that is
    /// under way counts as soon as it is visible, and then whole. Where records expire, those that
    /// just did are counted out first, under the writer lock.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert_many([("ada", "1815"), ("charles", "1791")])?;
    /// users.remove("ada")?;
    /// assert_eq!(users.len(), 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        // A read-only handle that cannot follow answers by what it knows.
        drop(self.core.follow_if_read_only());
        self.core.newest(|core| self.len_in(core))
    }

    fn len_in(&self, core: &Core) -> u64 {
        let catalog = core.catalog.load();
        let newest = catalog.by_id(self.keyspace.id).map(|listed| &listed.keyspace);
        let pin = pin();
        let view = newest.unwrap_or(&self.keyspace).view.read(&pin);
        if view.has_expiries() {
            let following = core.following.lock();
            let writer = core.journal.quiesce();
            let live = core.snapshots.count() > 0;
            view.change(core).expire(core.clock.now_ms(), live);
            drop((writer, following));
            core.note_past();
        }
        view.len(|| core.visible_seq())
    }

    /// Whether there are no records.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// assert!(users.is_empty());
    /// users.insert("ada", "1815")?;
    /// assert!(!users.is_empty());
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all records, at a cost that does not depend on their number. Snapshots and
    /// iterators made before still see them.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// let before = db.snapshot();
    /// users.clear()?;
    /// assert!(users.is_empty());
    /// assert!(before.get("users", "ada")?.is_some());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn clear(&self) -> Result<()> {
        self.keyspace.check_alive()?;
        self.core.change_catalog(|_| Ok(Change::Clear { id: self.keyspace.id })).map(drop)
    }
}
