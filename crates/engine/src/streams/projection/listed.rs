//! The projections of a database, as they are kept.

use super::progress::{Kept, PROGRESS_NAME, set_paused};
use crate::{Database, Error, ErrorKind, HashKeyspace, Result, hash::Raw};
use annals_journal::Seq;

/// How a projection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionInfo {
    /// Its name.
    pub name: String,
    /// It has handled the events in front of this number.
    pub position: Seq,
    /// By how many numbers it is behind, from the first event on that it has not handled; those behind that one which
    /// are of no events are counted too, and those that are left out after a crash, some millions. 0 if it has handled all events. Where damage is what comes next, from its
    /// position on.
    pub lag: u64,
    /// Whether it is [paused](crate::Projector::pause).
    pub is_paused: bool,
    /// Whether emptying it was begun and has not come to its end: it is begun again when it is run next.
    pub is_rebuilding: bool,
    /// Whether what is kept of how far it has come cannot be read: it has to be
    /// [rebuilt](crate::Projector::rebuild), and what is said here of it is as if it had not begun.
    pub is_lost: bool,
}

impl Database {
    /// How all projections stand that have begun, by name: those of which something was committed. Also in a read-only
    /// handle. Reads on from where each has come to up to the next event, so it is quick where it is behind, and
    /// else goes through what was written since its last event.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, ExpectedVersion, HashKeyspace, NewEvent, Projection, Projector, RecordedEvent, Work};
    /// # struct Newest(HashKeyspace);
    /// # impl Projection for Newest {
    /// #     fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> annals::Result<()> {
    /// #         work.insert(&self.0, event.stream().to_string(), event.data());
    /// #         Ok(())
    /// #     }
    /// #     fn reset(&mut self, _: &Database) -> annals::Result<()> {
    /// #         self.0.clear()
    /// #     }
    /// # }
    /// let db = Database::open_in_memory()?;
    /// let (rooms, newest) = (db.category("rooms")?, db.hash_keyspace("newest")?);
    /// let measured = NewEvent::bytes("measured", b"21");
    /// rooms.append("kitchen", &measured, ExpectedVersion::Any)?;
    /// Projector::new(&db, "newest", Newest(newest))?.catch_up()?;
    /// db.pause_projection("newest")?;
    /// let listed = db.projections()?;
    /// assert_eq!((listed[0].name.as_str(), listed[0].lag, listed[0].is_paused), ("newest", 0, true));
    /// rooms.append("kitchen", &measured, ExpectedVersion::Any)?;
    /// assert_eq!(db.projections()?[0].lag, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of reading.
    pub fn projections(&self) -> Result<Vec<ProjectionInfo>> {
        let progress = match self.open_hash_keyspace(PROGRESS_NAME) {
            Err(Error::UnknownKeyspace { .. }) => return Ok(Vec::new()),
            progress => progress?,
        };
        let mut names = Vec::new();
        let mut entries = progress.iter()?;
        while let Some(raw) = entries.next_raw(|_| false, &[]) {
            let key = match raw? {
                Raw::Entry(entry) => entry.key().to_vec(),
                Raw::Unsummed(key) | Raw::Damaged { key: Some(key), .. } => key,
                Raw::Damaged { key: None, damage } => {
                    tracing::warn!(error = %damage, "a projection is not listed: its name cannot be read");
                    continue;
                }
            };
            // One that is no text was written by hand, and no projection has it.
            names.extend(String::from_utf8(key));
        }
        names.sort_unstable();
        names.into_iter().map(|name| self.projection_info(&progress, name)).collect()
    }

    fn projection_info(&self, progress: &HashKeyspace, name: String) -> Result<ProjectionInfo> {
        let known = Kept::read(progress, &name)?.progress;
        let position = known.map_or(Seq::ZERO, |known| known.next);
        let behind = |seq: Seq| (self.last_seq().0 + 1).saturating_sub(seq.0);
        let lag = match self.read_all(position)?.next().transpose() {
            Ok(next) => next.map_or(0, |event| behind(event.seq())),
            // It is stuck there, and is told so when it is run: the others are listed all the same.
            Err(error) if error.kind() == ErrorKind::Corrupt => behind(position),
            Err(error) => return Err(error),
        };
        let is_paused = known.is_some_and(|known| known.is_paused);
        let is_rebuilding = known.is_some_and(|known| known.is_resetting);
        let is_lost = known.is_none();
        Ok(ProjectionInfo { name, position, lag, is_paused, is_rebuilding, is_lost })
    }

    /// Pauses the projection `name`, as [`Projector::pause`](crate::Projector::pause) does, without what it is made by.
    ///
    /// # Errors
    /// [`Error::UnknownProjection`] if none of this name has begun; as [`Projector::pause`](crate::Projector::pause).
    pub fn pause_projection(&self, name: &str) -> Result<()> {
        set_paused(self, &self.begun_projection(name)?, name, true)
    }

    /// Lets the projection `name` go on if it is paused.
    ///
    /// # Errors
    /// As [`pause_projection`](Self::pause_projection).
    pub fn resume_projection(&self, name: &str) -> Result<()> {
        set_paused(self, &self.begun_projection(name)?, name, false)
    }

    /// What says how far the projection of this name has come, if that is told there.
    fn begun_projection(&self, name: &str) -> Result<HashKeyspace> {
        let unknown = || Error::UnknownProjection { name: name.to_owned() };
        let progress = match self.open_hash_keyspace(PROGRESS_NAME) {
            Err(Error::UnknownKeyspace { .. }) => return Err(unknown()),
            progress => progress?,
        };
        let kept = Kept::read(&progress, name)?;
        if kept.is_there() { Ok(progress) } else { Err(unknown()) }
    }
}
