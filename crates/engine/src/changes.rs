//! The log read as a feed: what happened, in order, and what happens from now on.

use crate::{
    Error, Result,
    catalog::Change as CatalogChange,
    core::Core,
    open::Open,
    streams::{Mark, StreamMark, id_of_key, read_record},
};
use annals_journal::{Feed, FrameHeader, Kind, Record, Seq};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// One record of the log.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let (stock, orders) = (db.keyspace("stock")?, db.hash_keyspace("orders")?);
/// let mut changes = db.changes(db.last_seq().plus(1))?;
/// let mut batch = db.batch();
/// batch.insert(&stock, "apple", "41")?;
/// batch.insert(&orders, "17", "one apple")?;
/// batch.commit()?;
/// let first = changes.try_next()?.expect("of the stock");
/// assert_eq!((first.keyspace.as_deref(), &first.key[..]), (Some("stock"), &b"apple"[..]));
/// assert_eq!(first.value.as_deref(), Some(&b"41"[..]));
/// assert!(!first.ends_commit, "the order belongs to it");
/// assert!(changes.try_next()?.is_some_and(|second| second.ends_commit));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub seq: Seq,
    /// When it was committed, in milliseconds since 1970.
    pub time_ms: u64,
    /// The keyspace it belongs to; `None` if that was dropped before it could be named.
    pub keyspace: Option<String>,
    /// What it did.
    pub kind: ChangeKind,
    /// The key; empty for changes to a whole keyspace.
    pub key: Vec<u8>,
    /// The value it wrote; of a removed range the first key behind it.
    pub value: Option<Vec<u8>>,
    /// When the record expires, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// What holds for the stream from then on, if that is what it says.
    pub mark: Option<StreamMark>,
    /// Whether it is the last record of its commit.
    pub ends_commit: bool,
}

/// What a record did.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{ChangeKind, Database};
/// let db = Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// users.insert("ada", "1815")?;
/// users.remove("ada")?;
/// db.drop_keyspace("users")?;
/// let (mut changes, mut kinds) = (db.changes(db.oldest_seq())?, Vec::new());
/// while let Some(change) = changes.try_next()? {
///     kinds.push(change.kind);
/// }
/// use ChangeKind::{CreateKeyspace, DropKeyspace, Insert, Remove};
/// assert_eq!(kinds, [CreateKeyspace, Insert, Remove, DropKeyspace]);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// Gave a key a value.
    Insert,
    /// Removed a key.
    Remove,
    /// Created a keyspace.
    CreateKeyspace,
    /// Dropped a keyspace.
    DropKeyspace,
    /// Removed all records of a keyspace.
    ClearKeyspace,
    /// Put so many records in place of all that an ordered keyspace had
    /// ([`replace_all`](crate::OrderedKeyspace::replace_all)). They are not in the log, and no change shows one
    /// of them: who follows reads the keyspace anew.
    ReplaceKeyspace {
        /// How many records it has from then on.
        records_count: u64,
    },
    /// Removed all keys from the key on that are lower than the value.
    RemoveRange,
    /// Appended an event to a stream: the key is the stream's id as text, the value the event's data.
    Append,
    /// Gave up events of a stream, archived it, or changed how much of it is kept: the key is the stream's id as
    /// text, and the [mark](Change::mark) says what holds for it from then on. What is given up is noted step by step:
    /// the same may be said several times.
    MarkStream,
}

impl std::fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Insert => "insert",
            Self::Remove => "remove",
            Self::CreateKeyspace => "create keyspace",
            Self::DropKeyspace => "drop keyspace",
            Self::ClearKeyspace => "clear keyspace",
            Self::ReplaceKeyspace { .. } => "replace keyspace",
            Self::RemoveRange => "remove range",
            Self::Append => "append",
            Self::MarkStream => "mark stream",
        })
    }
}

/// Reads the log forward: what it holds from a number on, then what is committed from now on.
///
/// As an iterator it waits for more and ends only when this handle's database is closed, which no
/// writer in another process can do for it; [`try_next`](Self::try_next) and [`wait`](Self::wait)
/// do not. One whose writes have stopped after a failed sync is not closed. While it lives, it holds back the
/// removal of the log from its place on, in the handle that writes; a writer in another process knows nothing
/// of it. It shows commits as soon as they are
/// applied: those that are not durable yet may be lost in a power cut, and their numbers are not used
/// again then.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{ChangeKind, Database};
/// let db = Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// let mut changes = db.changes(db.oldest_seq())?;
/// users.insert("ada", "1815")?;
/// assert_eq!(changes.try_next()?.map(|change| change.kind), Some(ChangeKind::CreateKeyspace));
/// assert_eq!(changes.try_next()?.map(|change| change.key), Some(b"ada".to_vec()));
/// assert!(changes.try_next()?.is_none());
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Debug)]
pub struct Changes {
    open: Arc<Open>,
    /// The state that `feed` reads the log of; read-only handles may get later ones.
    core: Arc<Core>,
    feed: Feed,
    /// The next change has this number or a higher one.
    from: Seq,
    /// What was read ahead.
    read: VecDeque<Change>,
    names: HashMap<u32, String>,
    /// Of a read-only handle: how long it sleeps before it looks again.
    pause_ms: AtomicU64,
}

/// The name under which a reader of changes holds back the log.
const FEED_NAME: &str = "changes";
/// So much of a commit is read ahead, and one record more: a commit may be larger than memory.
const READ_BYTES: usize = 256 << 10;
const READ_CHANGES: usize = 1 << 10;
/// How soon a read-only handle looks again for what the writer did, in milliseconds: nobody tells it.
/// While nothing happens it takes twice as long each time, so that waiting takes no processor.
const POLL_MS_MIN: u64 = 1;
const POLL_MS_MAX: u64 = 64;

impl Changes {
    pub(crate) fn new(open: &Arc<Open>, from: Seq) -> Result<Self> {
        let (open, core) = (Arc::clone(open), Arc::clone(open.core()));
        let feed = feed(&core, from)?;
        let (read, names) = (VecDeque::new(), HashMap::new());
        Ok(Self { open, core, feed, from, read, names, pause_ms: AtomicU64::new(POLL_MS_MIN) })
    }

    /// The next change if there is one now.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let stock = db.keyspace("stock")?;
    /// let mut changes = db.changes(db.last_seq().plus(1))?;
    /// stock.insert_many([("apple", "42"), ("pear", "7")])?;
    /// let mut keys = Vec::new();
    /// while let Some(change) = changes.try_next()? {
    ///     keys.push(change.key);
    /// }
    /// assert_eq!(keys, [&b"apple"[..], b"pear"]);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// Damage to the log. In a read-only handle `NotFound` if the writer has removed what comes next, each time
    /// it is asked for: [`Database::changes`](crate::Database::changes) from
    /// [`oldest_seq`](crate::Database::oldest_seq) on tells the rest. `Stale` if the writer changes more than
    /// can be followed.
    pub fn try_next(&mut self) -> Result<Option<Change>> {
        self.open.follow_if_read_only()?;
        loop {
            if let Some(change) = self.read.pop_front() {
                self.from = change.seq.plus(1);
                *self.pause_ms.get_mut() = POLL_MS_MIN;
                return Ok(Some(change));
            }
            if !Arc::ptr_eq(&self.core, self.open.core()) {
                let core = Arc::clone(self.open.core());
                // Not left before there is a feed of the newer one: the next call asks again.
                self.feed = feed(&core, self.from)?;
                self.core = core;
            }
            let (core, from) = (&self.core, self.from);
            let (read, names) = (&mut self.read, &mut self.names);
            let mut read_bytes = 0;
            let more = self.feed.read(&mut |header, record| {
                if record.seq < from {
                    return true;
                }
                let Some(change) = change(core, names, header, record) else { return true };
                read_bytes += change.key.len() + change.value.as_ref().map_or(0, Vec::len);
                read.push_back(change);
                read_bytes < READ_BYTES && read.len() < READ_CHANGES
            });
            if self.core.superseded.load(Ordering::Acquire) {
                // Left meanwhile, and perhaps emptied: the newer state tells it again.
                self.read.clear();
                continue;
            }
            if !more? && self.read.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Waits until there may be a next change or `timeout` is over; returns whether there may be.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use std::{thread, time::Duration};
    /// let db = annals::Database::open_in_memory()?;
    /// let stock = db.keyspace("stock")?;
    /// let mut changes = db.changes(db.last_seq().plus(1))?;
    /// assert!(!changes.wait(Duration::ZERO));
    /// thread::scope(|scope| {
    ///     scope.spawn(|| stock.insert("apple", "42"));
    ///     let mut next = None;
    ///     while next.is_none() && changes.wait(Duration::from_secs(60)) {
    ///         next = changes.try_next()?;
    ///     }
    ///     assert_eq!(next.map(|change| change.key), Some(b"apple".to_vec()));
    ///     Ok::<(), annals::Error>(())
    /// })?;
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        if !self.read.is_empty() {
            return true;
        }
        if self.core.read_only {
            return self.poll(timeout);
        }
        self.feed.wait(timeout)
    }

    /// Looks for more until `timeout` is over: for what was followed and is not read yet, by whomever it was
    /// followed, and for what the writer did since.
    fn poll(&self, timeout: Duration) -> bool {
        let mut left = timeout;
        loop {
            let is_there = || !Arc::ptr_eq(&self.core, self.open.core()) || self.feed.has_more();
            // There seems to be more for ever where a writer ended between two segments: what is followed tells.
            if is_there() || self.open.follow_if_read_only().is_err() || is_there() {
                return true;
            }
            if left.is_zero() {
                return false;
            }
            let pause_ms = self.pause_ms.load(Ordering::Relaxed);
            self.pause_ms.store((pause_ms * 2).min(POLL_MS_MAX), Ordering::Relaxed);
            let pause = left.min(Duration::from_millis(pause_ms));
            std::thread::sleep(pause);
            left -= pause;
        }
    }

    /// Whether the database was closed: after what is there now, no more will come.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let changes = db.changes(db.oldest_seq())?;
    /// db.keyspace("stock")?;
    /// assert!(!changes.is_closed());
    /// db.close()?;
    /// assert!(changes.is_closed());
    /// // So this ends, once it has told what is there.
    /// assert_eq!(changes.count(), 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.feed.is_closed()
    }
}

/// A record as a change; `None` if it is none that a feed shows.
fn change(
    core: &Core,
    names: &mut HashMap<u32, String>,
    header: &FrameHeader,
    record: &Record<'_>,
) -> Option<Change> {
    let has_value = matches!(record.kind, Kind::Put | Kind::RemoveRange);
    let (kind, keyspace, key) = match record.kind {
        Kind::Put => (ChangeKind::Insert, name_of(core, names, record.space), record.key),
        Kind::Remove => (ChangeKind::Remove, name_of(core, names, record.space), record.key),
        Kind::RemoveRange => {
            (ChangeKind::RemoveRange, name_of(core, names, record.space), record.key)
        }
        Kind::Event => return event(core, names, header, record),
        Kind::Mark => {
            let id = id_of_key(record.key)?.to_string();
            let mark = Mark::decode(record.value)?;
            let keyspace = name_of(core, names, record.space);
            return Some(Change {
                seq: record.seq,
                time_ms: header.time_ms,
                keyspace,
                kind: ChangeKind::MarkStream,
                key: id.into_bytes(),
                value: None,
                expires_ms: None,
                mark: Some(mark.told()),
                ends_commit: record.seq.plus(1) == header.next_seq(),
            });
        }
        Kind::Catalog => match CatalogChange::decode(record.value)? {
            // Comes with the first event of the type, which says more.
            CatalogChange::EventType { .. } => return None,
            CatalogChange::Create { id, name, .. } => {
                names.insert(id, name.clone());
                (ChangeKind::CreateKeyspace, Some(name), &[][..])
            }
            CatalogChange::Drop { id } => {
                (ChangeKind::DropKeyspace, name_of(core, names, id), &[][..])
            }
            CatalogChange::Clear { id } | CatalogChange::Renew { id, .. } => {
                (ChangeKind::ClearKeyspace, name_of(core, names, id), &[][..])
            }
            CatalogChange::Replace { id, records_count, .. } => {
                let kind = ChangeKind::ReplaceKeyspace { records_count };
                (kind, name_of(core, names, id), &[][..])
            }
        },
        _ => return None,
    };
    Some(Change {
        seq: record.seq,
        time_ms: header.time_ms,
        keyspace,
        kind,
        key: key.to_vec(),
        value: has_value.then(|| record.value.to_vec()),
        expires_ms: record.expires_ms,
        mark: None,
        ends_commit: record.seq.plus(1) == header.next_seq(),
    })
}

/// An event as a change.
fn event(
    core: &Core,
    names: &mut HashMap<u32, String>,
    header: &FrameHeader,
    record: &Record<'_>,
) -> Option<Change> {
    let (read, _) = read_record(record)?;
    Some(Change {
        seq: record.seq,
        time_ms: header.time_ms,
        keyspace: name_of(core, names, record.space),
        kind: ChangeKind::Append,
        key: id_of_key(record.key)?.to_string().into_bytes(),
        value: Some(record.value[..read.data_len as usize].to_vec()),
        expires_ms: None,
        mark: None,
        ends_commit: record.seq.plus(1) == header.next_seq(),
    })
}

fn feed(core: &Core, from: Seq) -> Result<Feed> {
    core.journal.feed(FEED_NAME, from).map_err(|error| match error {
        annals_journal::Error::Gone { .. } => {
            Error::HistoryGone { from, oldest: core.journal.oldest_seq() }
        }
        other => other.into(),
    })
}

fn name_of(core: &Core, names: &mut HashMap<u32, String>, id: u32) -> Option<String> {
    if let Some(name) = names.get(&id) {
        return Some(name.clone());
    }
    let name = core.catalog.load().by_id(id)?.keyspace.name.clone();
    names.insert(id, name.clone());
    Some(name)
}

impl Iterator for Changes {
    type Item = Result<Change>;

    /// The next change; waits for it. `None` once the database is closed.
    fn next(&mut self) -> Option<Self::Item> {
        /// So often a read-only handle is asked whether it was closed: nobody tells it.
        const LOOK: Duration = Duration::from_millis(100);
        loop {
            if let Some(change) = self.try_next().transpose() {
                return Some(change);
            }
            let timeout = if self.core.read_only { LOOK } else { Duration::MAX };
            if !self.wait(timeout) && self.is_closed() {
                return self.try_next().transpose();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;

    #[test]
    fn of_a_large_commit_little_is_read_ahead() {
        const RECORDS: u32 = 3_000;
        let db = Database::open_in_memory().unwrap();
        let keyspace = db.hash_keyspace("k").unwrap();
        for value_bytes in [10, 10_000] {
            let mut changes = db.changes(db.last_seq().plus(1)).unwrap();
            let mut batch = db.batch();
            for n in 0..RECORDS {
                batch.insert(&keyspace, n.to_be_bytes(), vec![n as u8; value_bytes]).unwrap();
            }
            batch.commit().unwrap();
            for n in 0..RECORDS {
                let change = changes.try_next().unwrap().expect("one for each record");
                assert_eq!(change.key, n.to_be_bytes());
                assert_eq!(change.value, Some(vec![n as u8; value_bytes]));
                assert_eq!(change.ends_commit, n == RECORDS - 1);
                let ahead = changes.read.iter();
                let ahead_bytes: usize = ahead.map(|change| change.key.len() + value_bytes).sum();
                assert!(
                    ahead_bytes < READ_BYTES + value_bytes && changes.read.len() < READ_CHANGES
                );
            }
            assert_eq!(changes.try_next().unwrap(), None);
        }
    }

    /// The log of a read-only handle is followed for all who read it: what is there already need not wait for the
    /// writer to do more.
    #[test]
    fn waiting_in_a_read_only_handle_tells_of_what_was_not_read_yet() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path().join("db")).unwrap();
        let users = db.hash_keyspace("users").unwrap();
        users.insert("ada", "1815").unwrap();
        let reader = Database::builder().read_only(true).open(folder.path().join("db")).unwrap();
        let mut changes = reader.changes(reader.oldest_seq()).unwrap();
        assert!(changes.wait(Duration::ZERO), "nothing was read yet");
        while changes.try_next().unwrap().is_some() {}
        assert!(!changes.wait(Duration::ZERO));
        users.insert("grace", "1906").unwrap();
        // Another user of the handle follows the writer.
        assert_eq!(reader.open_hash_keyspace("users").unwrap().len(), 2);
        assert!(changes.wait(Duration::ZERO), "one was not read yet");
        assert_eq!(changes.try_next().unwrap().unwrap().key, b"grace");
    }

    /// What is gone does not come back: who asks once more must not be told that nothing has happened.
    #[test]
    fn a_reader_that_fell_behind_is_told_so_each_time() {
        for was_up_to_date in [false, true] {
            let disk = annals_disk::SimDisk::new(annals_disk::SimOptions::seeded(1));
            let builder = || {
                let builder = Database::builder().segment_bytes(64 << 10);
                builder.disk(Arc::new(disk.clone())).background(crate::Background::Manual)
            };
            let db = builder().open("db").unwrap();
            let keyspace = db.hash_keyspace("k").unwrap();
            keyspace.insert("first", "1").unwrap();
            let reader = builder().read_only(true).open("db").unwrap();
            let mut changes = reader.changes(reader.oldest_seq()).unwrap();
            assert!(changes.try_next().unwrap().is_some());
            while was_up_to_date && changes.try_next().unwrap().is_some() {}
            for round in 0..6u32 {
                for n in 0..500u32 {
                    keyspace.insert(n.to_be_bytes(), [round as u8; 200]).unwrap();
                }
                db.compact().unwrap();
            }
            for _ in 0..3 {
                let next = loop {
                    match changes.try_next() {
                        Ok(Some(change)) => assert_eq!(change.key, b"first"),
                        next => break next,
                    }
                };
                assert!(matches!(next, Err(Error::HistoryGone { .. })), "{next:?}");
            }
            assert!(changes.wait(Duration::ZERO), "there is something to be told");
        }
    }
}
