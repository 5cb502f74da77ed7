//! What becomes of a stream as a whole: truncating, deleting, archiving, and how much of it is kept.

use super::{
    Category, ExpectedVersion, Retention, StreamId,
    id::{StreamKey, id_of_key},
    mark::{COUNTED_AT_ONCE, Mark},
    plan::conflict,
};
use crate::{Error, Result};

/// A stream as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// The first version that can be read; `next_version` if none can.
    pub first_version: u64,
    /// The first version since the stream was deleted last; 0 if it never was.
    pub life_version: u64,
    /// The version that the next event gets. Never lower than it was, whatever was deleted.
    pub next_version: u64,
    /// Whether it was deleted for good.
    pub is_tombstone: bool,
    /// Whether it was archived.
    pub is_archived: bool,
    /// How much of it is kept.
    pub retention: Retention,
}

impl StreamInfo {
    /// Whether there are events to be read.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.first_version < self.next_version
    }
}

/// What becomes of streams. Versions and the global order never change: what is left keeps its versions, and the
/// next event of a stream gets the version behind that of the last one it ever had.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent, Retention};
/// let db = Database::open_in_memory()?;
/// let carts = db.category("carts")?;
/// for n in 0..10u8 {
///     carts.append("ada", &NewEvent::bytes("added", &[n]), ExpectedVersion::Any)?;
/// }
/// carts.truncate_before("ada", 4)?;
/// carts.set_retention("ada", Retention::default().max_count(3))?;
/// assert_eq!(carts.read("ada")?.next().transpose()?.map(|event| event.version()), Some(7));
/// carts.delete("ada")?;
/// assert!(!carts.exists("ada")?);
/// let again = carts.append("ada", &NewEvent::bytes("added", b""), ExpectedVersion::NoStream)?;
/// assert_eq!(again.first_version, 10);
/// # Ok::<(), annals::Error>(())
/// ```
impl Category {
    /// Gives up the events of the stream `id` whose versions are lower than `version`. Readers do not find them
    /// from now on; log compaction gives back their space, but for that of the very last event of a stream, of
    /// which an empty one is left. Ids of events that were given up are free again. Returns the first version
    /// that is left. Takes a step for each few thousand events that are given up.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`] for a version that even the next event would not have: what was counted wrong is not to
    /// empty a stream. [`Error::StreamIdTooLong`], [`Error::KeyspaceDropped`], damage, or those of writing.
    pub fn truncate_before<'s>(&self, id: impl Into<StreamId<'s>>, version: u64) -> Result<u64> {
        let key = Self::key_of(&id.into())?;
        let mut first = 0;
        self.change_mark(&key, |mark, newest| {
            let next = end_of(newest);
            if version > next {
                let stream = id_of_key(key.bytes()).map_or_else(String::new, |id| id.to_string());
                let category = self.name().to_owned();
                return Err(Error::BeyondEnd { category, stream, version, next });
            }
            first = mark.first.max(version);
            Ok(counted(&Mark { first, ..*mark }, newest))
        })?;
        self.count_out(&key)?;
        Ok(first)
    }

    /// Deletes the stream `id`, whatever it is by now: [`delete_expecting`](Self::delete_expecting) of
    /// [`ExpectedVersion::Any`].
    ///
    /// # Errors
    /// As [`truncate_before`](Self::truncate_before).
    pub fn delete<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<()> {
        self.delete_expecting(id, ExpectedVersion::Any)
    }

    /// Deletes the stream `id` if it is as `expected`: all events that it has are given up, as by
    /// [`truncate_before`](Self::truncate_before). It may be appended to again, if it is not archived. Who has read the stream and found it
    /// done with says up to where: what others append meanwhile is not deleted unseen.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Error, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let (carts, added) = (db.category("carts")?, NewEvent::json("added", "{}"));
    /// let seen = carts.append("ada", &added, ExpectedVersion::Any)?.last_version;
    /// carts.append("ada", &added, ExpectedVersion::Any)?;
    /// let refused = carts.delete_expecting("ada", ExpectedVersion::Exact(seen));
    /// assert!(matches!(refused, Err(Error::VersionConflict { found: Some(1), .. })));
    /// carts.delete_expecting("ada", ExpectedVersion::Exact(1))?;
    /// assert!(!carts.exists("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::VersionConflict`] if it is not as expected; as [`truncate_before`](Self::truncate_before).
    pub fn delete_expecting<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        expected: ExpectedVersion,
    ) -> Result<()> {
        self.delete_by(&Self::key_of(&id.into())?, expected, false)
    }

    /// Deletes the stream `id` for good, whatever it is by now: [`tombstone_expecting`](Self::tombstone_expecting) of
    /// [`ExpectedVersion::Any`].
    ///
    /// # Errors
    /// As [`truncate_before`](Self::truncate_before).
    pub fn tombstone<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<()> {
        self.tombstone_expecting(id, ExpectedVersion::Any)
    }

    /// Deletes the stream `id` for good if it is as `expected`: it is never appended to again.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let (carts, added) = (db.category("carts")?, NewEvent::json("added", "{}"));
    /// carts.append("ada", &added, ExpectedVersion::Any)?;
    /// let refused = carts.tombstone_expecting("ada", ExpectedVersion::NoStream).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Conflict);
    /// carts.tombstone_expecting("ada", ExpectedVersion::Exact(0))?;
    /// assert!(carts.append("ada", &added, ExpectedVersion::Any).is_err());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`delete_expecting`](Self::delete_expecting).
    pub fn tombstone_expecting<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        expected: ExpectedVersion,
    ) -> Result<()> {
        self.delete_by(&Self::key_of(&id.into())?, expected, true)
    }

    fn delete_by(&self, key: &StreamKey, expected: ExpectedVersion, for_good: bool) -> Result<()> {
        self.change_mark(key, |mark, newest| {
            self.check_expected(key, expected, newest)?;
            let is_tombstone = mark.is_tombstone || for_good;
            Ok(Mark { is_tombstone, ..deleted(mark, newest) })
        })?;
        self.count_out(key)
    }

    /// Whether a stream whose newest event has this version is as expected. Asked under the writer lock.
    fn check_expected(
        &self,
        key: &StreamKey,
        expected: ExpectedVersion,
        newest: Option<u64>,
    ) -> Result<()> {
        let is_it = match expected {
            ExpectedVersion::Any => true,
            _ => expected.holds(newest, newest.is_some() && !self.info_of(key)?.exists()),
        };
        match is_it {
            true => Ok(()),
            false => Err(conflict(self.parts().1, key.bytes(), expected, newest)),
        }
    }

    /// Archives the stream `id`: it is not appended to until it is [restored](Self::restore), and who reads
    /// or subscribes to many streams does not come across its events. It can be read by its id as before.
    ///
    /// # Errors
    /// As [`truncate_before`](Self::truncate_before).
    pub fn archive<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<()> {
        self.set_archived(&id.into(), true)
    }

    /// Takes the stream `id` back from the archive. Subscriptions that have passed its events meanwhile do not
    /// get them.
    ///
    /// # Errors
    /// As [`truncate_before`](Self::truncate_before).
    pub fn restore<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<()> {
        self.set_archived(&id.into(), false)
    }

    fn set_archived(&self, id: &StreamId<'_>, is_archived: bool) -> Result<()> {
        self.change_mark(&Self::key_of(id)?, |mark, _| Ok(Mark { is_archived, ..*mark }))
    }

    /// Says how much of the stream `id` is kept. What is beyond that is not found from now on, and given up by
    /// and by: what was not yet can be had back by keeping more. The category's time to live holds beside it.
    ///
    /// # Errors
    /// As [`truncate_before`](Self::truncate_before).
    pub fn set_retention<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        retention: Retention,
    ) -> Result<()> {
        let key = Self::key_of(&id.into())?;
        self.change_mark(&key, |mark, _| Ok(Mark { retention, ..*mark }))
    }

    /// The stream `id` as a whole. One that never had events is there too: with nothing in it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn info<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<StreamInfo> {
        self.info_of(&Self::key_of(&id.into())?)
    }

    /// Whether a stream is in the life that begins with this version.
    pub(crate) fn check_life(&self, key: &StreamKey, expected: u64) -> Result<()> {
        let found = self.info_of(key)?.life_version;
        if found == expected {
            return Ok(());
        }
        let stream = id_of_key(key.bytes()).map_or_else(String::new, |id| id.to_string());
        Err(Error::LifeConflict { category: self.name().to_owned(), stream, expected, found })
    }

    fn info_of(&self, key: &StreamKey) -> Result<StreamInfo> {
        self.with_key(key, |core, category, stream| {
            let ends = core.ends(category, stream)?;
            let mark = core.mark_of(stream)?.unwrap_or_default();
            let Some((last, first_version)) = ends else {
                let Mark { is_tombstone, is_archived, retention, .. } = mark;
                return Ok(StreamInfo {
                    is_tombstone,
                    is_archived,
                    retention,
                    ..StreamInfo::default()
                });
            };
            Ok(StreamInfo {
                first_version,
                // It may have grown and been deleted since.
                life_version: mark.life_from.min(last.version() + 1),
                next_version: last.version() + 1,
                is_tombstone: mark.is_tombstone,
                is_archived: mark.is_archived,
                retention: mark.retention,
            })
        })
    }

    /// Changes the mark of a stream, if `change` changes anything.
    fn change_mark(
        &self,
        key: &StreamKey,
        change: impl FnOnce(&Mark, Option<u64>) -> Result<Mark>,
    ) -> Result<()> {
        let (open, keyspace) = self.parts();
        let hashed = (self.hash_of(key), key.bytes());
        open.change_mark(keyspace, hashed, None, |mark, newest| {
            // As they are stored: a limit may say more than a mark can, and be there for all that.
            Ok(Some(change(mark, newest)?).filter(|changed| changed.encode() != mark.encode()))
        })?;
        Ok(())
    }

    /// Counts the events in front of the first one as not needed, some at a time.
    fn count_out(&self, key: &StreamKey) -> Result<()> {
        let (open, keyspace) = self.parts();
        open.count_out(keyspace, (self.hash_of(key), key.bytes()))
    }
}

impl crate::core::Core {
    /// Counts the events in front of the first one of a stream as not needed, some at a time.
    pub(crate) fn count_out(
        &self,
        category: &crate::catalog::Keyspace,
        hashed: (u64, &[u8]),
    ) -> Result<()> {
        let durability = Some(crate::Durability::Buffered);
        let next = |mark: &Mark, newest: Option<u64>| {
            Ok(Some(counted(mark, newest)).filter(|counted| counted != mark))
        };
        while self.change_mark(category, hashed, durability, next)?.is_some() {}
        Ok(())
    }
}

/// The mark of a stream that is deleted.
fn deleted(mark: &Mark, newest: Option<u64>) -> Mark {
    let first = mark.first.max(end_of(newest));
    counted(&Mark { first, life_from: first, ..*mark }, newest)
}

/// The version behind the newest event.
fn end_of(newest: Option<u64>) -> u64 {
    newest.map_or(0, |newest| newest + 1)
}

/// The mark, with some more of what it gives up counted as not needed.
pub(super) fn counted(mark: &Mark, newest: Option<u64>) -> Mark {
    newest.and_then(|newest| mark.counted_on(newest, COUNTED_AT_ONCE)).unwrap_or(*mark)
}

/// Why a stream takes no events.
#[cold]
pub(crate) fn closed(category: &str, stream: String, is_tombstone: bool) -> Error {
    Error::StreamClosed { category: category.to_owned(), stream, is_tombstone }
}
