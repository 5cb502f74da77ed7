//! Projections: what users make of events, kept in keyspaces.
//!
//! What a projection writes, and how far it has come, is one commit; so each event counts once, also
//! across crashes.

mod listed;
mod progress;

pub use listed::ProjectionInfo;
pub(crate) use progress::Resets;

use self::progress::{Kept, PROGRESS_NAME, Progress, Resetting};
use super::{
    RecordedEvent, Subscription, Work,
    meanwhile::{self, Moment},
};
use crate::{Database, Error, HashKeyspace, Result};
use annals_journal::Seq;
use std::time::Duration;

/// As many events are committed together, at most.
const EVENTS_MAX: usize = 1_000;
/// No more events are committed together once their writes are so long: all of them are in memory, and what does not
/// fit into one commit would never be committed.
const WORK_BYTES: usize = 16 << 20;

/// What is made of events. What it keeps between events has to be in keyspaces: after a commit that
/// fails, and after a restart, that is all it has.
pub trait Projection {
    /// Handles one event. Events come in the order in which they were appended, each once.
    ///
    /// # Errors
    /// What keeps it from going on: the projection stops in front of this event.
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()>;

    /// Empties its keyspaces: it will be told all events from the first one on that there still are. Those of
    /// [archived](crate::Category::archive) streams are not among them, and do not come when the streams are taken back,
    /// unless it is rebuilt once more. May be called again after it was interrupted.
    ///
    /// # Errors
    /// What emptying them fails with.
    fn reset(&mut self, db: &Database) -> Result<()>;
}

/// Runs a [`Projection`]. How far it has come is kept by its name. Of several of a name the one that commits
/// first goes on; the others are [refused](Error::Refused).
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, HashKeyspace, NewEvent, Projection, Projector, RecordedEvent, Work};
///
/// /// How many events each stream has.
/// struct Counts(HashKeyspace);
///
/// impl Projection for Counts {
///     fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> annals::Result<()> {
///         let key = event.stream().to_string();
///         let before = work.get(&self.0, &key)?.map_or(0, |count| count[0]);
///         work.insert(&self.0, key, [before + 1]);
///         Ok(())
///     }
///
///     fn reset(&mut self, _: &Database) -> annals::Result<()> {
///         self.0.clear()
///     }
/// }
///
/// let db = Database::open_in_memory()?;
/// let clicks = db.category("clicks")?;
/// for id in ["ada", "bob", "ada"] {
///     clicks.append(id, &NewEvent::bytes("click", b""), ExpectedVersion::Any)?;
/// }
/// let counts = db.hash_keyspace("counts")?;
/// let mut projector = Projector::new(&db, "counts", Counts(counts.clone()))?;
/// assert_eq!(projector.catch_up()?, 3);
/// assert_eq!(counts.get("ada")?.as_deref(), Some(&[2][..]));
/// assert_eq!(projector.lag(), 0);
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Projector<'a, P> {
    db: &'a Database,
    name: String,
    projection: P,
    progress: HashKeyspace,
    /// What is kept of how far it has come while it is not paused, as this one wrote it last.
    told: Vec<u8>,
    /// How often it was begun anew when this one began.
    round: u64,
    /// What is kept of how far it has come cannot be read: which events are counted already nobody knows.
    is_lost: bool,
    events: Subscription<'a>,
    work: Work,
}

impl<'a, P: Projection> Projector<'a, P> {
    /// Goes on where the projection of this name has come to, with the events of all categories. Where what is kept
    /// of that cannot be read, it takes no step before it is [rebuilt](Self::rebuild).
    ///
    /// # Errors
    /// Those of making a keyspace and of reading.
    pub fn new(db: &'a Database, name: &str, mut projection: P) -> Result<Self> {
        let progress = db.hash_keyspace(PROGRESS_NAME)?;
        let kept = Kept::read(&progress, name)?;
        let (mut known, is_lost) =
            (kept.progress.unwrap_or(Progress::BEGIN), kept.progress.is_none());
        let mut told = kept.unpaused();
        if known.is_resetting {
            known = reset(db, name, &progress, &mut projection)?;
            told = known.unpaused();
        }
        let events = db.subscribe(known.next)?;
        let (name, work, round) = (name.to_owned(), Work::new(), known.round);
        Ok(Self { db, name, projection, progress, told, round, is_lost, events, work })
    }

    /// The projection.
    pub fn projection(&self) -> &P {
        &self.projection
    }

    /// The number from which it goes on.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.events.position()
    }

    /// By how many numbers it is behind, those of records that are no events included. After a crash some millions of
    /// numbers are left out: a projection that was behind is by so much more then, until it has come past them.
    #[must_use]
    pub fn lag(&self) -> u64 {
        (self.db.last_seq().0 + 1).saturating_sub(self.position().0)
    }

    /// Handles events that are there, some at a time, and commits what became of them. Returns how many
    /// there were; 0 when it has come to the end, and while it is [paused](Self::pause).
    ///
    /// # Errors
    /// What reading, the commit or the projection fails with. What came before an event that could not be
    /// handled is committed first: it is the next step that fails, and each one after it; one that is damaged
    /// ([`Error::DamagedEvents`]) until it is [skipped](Self::skip_to). [`Error::Refused`] if another
    /// one of this name has gone on, or nobody knows how far it has come.
    pub fn step(&mut self) -> Result<usize> {
        if self.is_lost {
            return Err(progress::is_lost(&self.name));
        }
        loop {
            if self.is_paused()? {
                return Ok(0);
            }
            let begun = self.position();
            let (handled_count, outcome) = self.handle(EVENTS_MAX);
            let outcome = match outcome {
                Ok(()) => self.commit(handled_count),
                Err(_) if handled_count > 0 => {
                    // Of the one that could not be handled some writes may be there.
                    self.begin_again(begun)?;
                    let (handled_count, outcome) = self.handle(handled_count);
                    outcome.and_then(|()| self.commit(handled_count))
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(Some(handled_count)) => return Ok(handled_count),
                // It was paused before this was committed: the events come again.
                Ok(None) => self.begin_again(begun)?,
                Err(error) => {
                    self.begin_again(begun)?;
                    return Err(error);
                }
            }
        }
    }

    /// Handles as many events as there are, `most` at most, and no more once there is much to write. Returns how many.
    fn handle(&mut self, most: usize) -> (usize, Result<()>) {
        for handled_count in 0..most {
            let event = match self.events.try_next() {
                Ok(Some(event)) => event,
                Ok(None) => return (handled_count, Ok(())),
                Err(error) => return (handled_count, Err(error)),
            };
            if let Err(error) = self.projection.handle(&event, &mut self.work) {
                return (handled_count, Err(error));
            }
            if self.work.len_bytes() >= WORK_BYTES {
                return (handled_count + 1, Ok(()));
            }
        }
        (most, Ok(()))
    }

    fn begin_again(&mut self, from: Seq) -> Result<()> {
        self.work.clear();
        self.events = self.db.subscribe(from)?;
        Ok(())
    }

    /// Commits what became of events, and that they were handled; `None` if it is paused.
    fn commit(&mut self, handled_count: usize) -> Result<Option<usize>> {
        if handled_count > 0 {
            let mut batch = self.db.batch();
            self.work.drain_into(&mut batch)?;
            let next = self.position();
            let progress = Progress { next, round: self.round, ..Progress::BEGIN }.encode();
            batch.insert(&self.progress, &self.name, progress)?;
            // Events that another one of this name has handled must not count twice.
            let is_alone = || Ok(Kept::read(&self.progress, &self.name)?.is(&self.told));
            if batch.commit_if(is_alone)?.is_none() {
                meanwhile::run(Moment::ProgressRefused);
                let kept = Kept::read(&self.progress, &self.name)?;
                // Or it was paused when this was asked, and is not any more.
                let is_there_still = kept.unpaused() == self.told;
                if kept.progress.is_some_and(|progress| progress.is_paused || is_there_still) {
                    return Ok(None);
                }
                return Err(has_gone_on(&self.name));
            }
            self.told.clear();
            self.told.extend_from_slice(&progress);
        }
        Ok(Some(handled_count))
    }

    /// Goes on with the number `seq` where it cannot read on: what stands in front of it and was not handled yet never
    /// is, whether it is damaged or not, unless it is [rebuilt](Self::rebuild). Nothing happens if it is there already.
    /// One that is paused stays so. A commit.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, Error, ExpectedVersion, HashKeyspace, NewEvent, Projection, Projector, RecordedEvent, Work};
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
    /// rooms.append("kitchen", &NewEvent::bytes("measured", b"21"), ExpectedVersion::Any)?;
    /// let mut projector = Projector::new(&db, "newest", Newest(newest.clone()))?;
    /// // Somebody has to be told of what is skipped.
    /// while let Err(error) = projector.catch_up() {
    ///     let Error::DamagedEvents { readable_from, .. } = error else { return Err(error) };
    ///     projector.skip_to(readable_from)?;
    /// }
    /// assert_eq!(newest.get("kitchen")?.as_deref(), Some(&b"21"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of writing; [`Error::Refused`] if another one of this name has gone on, or nobody knows how far it has
    /// come.
    pub fn skip_to(&mut self, seq: Seq) -> Result<()> {
        if self.is_lost {
            return Err(progress::is_lost(&self.name));
        }
        if seq <= self.position() {
            return Ok(());
        }
        let known = progress::skip_to(self.db, &self.progress, &self.name, &self.told, seq)?;
        self.told = known.ok_or_else(|| has_gone_on(&self.name))?.unpaused();
        self.begin_again(seq)
    }

    /// Pauses the projection of this name, for whoever runs it, until it is [resumed](Self::resume), also in later
    /// openings: each [`step`](Self::step) returns 0 from then on, and [`run`](Self::run) waits. What was handled and
    /// is not committed yet comes again then. A commit, as is resuming; nothing is written if it is paused already.
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
    /// rooms.append("kitchen", &NewEvent::bytes("measured", b"21"), ExpectedVersion::Any)?;
    /// let mut projector = Projector::new(&db, "newest", Newest(newest.clone()))?;
    /// projector.pause()?;
    /// assert_eq!(projector.catch_up()?, 0);
    /// // As `Database::resume_projection` does for who has no projector.
    /// projector.resume()?;
    /// assert_eq!(projector.catch_up()?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of writing; [`Error::Refused`] if what is kept of how far it has come cannot be read.
    pub fn pause(&self) -> Result<()> {
        progress::set_paused(self.db, &self.progress, &self.name, true)
    }

    /// Lets the projection of this name go on, if it is [paused](Self::pause).
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        progress::set_paused(self.db, &self.progress, &self.name, false)
    }

    /// Whether it is [paused](Self::pause), by this projector or whoever else.
    ///
    /// # Errors
    /// Those of reading.
    pub fn is_paused(&self) -> Result<bool> {
        let kept = Kept::read(&self.progress, &self.name)?;
        Ok(kept.progress.is_some_and(|progress| progress.is_paused))
    }

    /// Handles all events that are there. Returns how many there were.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn catch_up(&mut self) -> Result<u64> {
        let mut handled_count = 0;
        loop {
            match self.step()? {
                0 => return Ok(handled_count),
                count => handled_count += count as u64,
            }
        }
    }

    /// Handles events as they come, until `stop` says so, which it is asked between steps, or the
    /// database is closed.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, HashKeyspace, NewEvent, Projection, Projector, RecordedEvent, Work};
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// /// The last event of each stream.
    /// struct Newest(HashKeyspace);
    ///
    /// impl Projection for Newest {
    ///     fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> annals::Result<()> {
    ///         work.insert(&self.0, event.stream().to_string(), event.data());
    ///         Ok(())
    ///     }
    ///
    ///     fn reset(&mut self, _: &Database) -> annals::Result<()> {
    ///         self.0.clear()
    ///     }
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let (rooms, newest) = (db.category("rooms")?, db.hash_keyspace("newest")?);
    /// let is_over = AtomicBool::new(false);
    /// std::thread::scope(|scope| -> annals::Result<()> {
    ///     let mut projector = Projector::new(&db, "newest", Newest(newest.clone()))?;
    ///     let is_over = &is_over;
    ///     let running = scope.spawn(move || projector.run(|| is_over.load(Ordering::Relaxed)));
    ///     rooms.append("kitchen", &NewEvent::bytes("measured", b"21"), ExpectedVersion::Any)?;
    ///     while !newest.contains("kitchen")? {
    ///         std::thread::yield_now();
    ///     }
    ///     is_over.store(true, Ordering::Relaxed);
    ///     running.join().expect("it does not panic")
    /// })?;
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn run(&mut self, mut stop: impl FnMut() -> bool) -> Result<()> {
        /// So often it is asked whether to stop while nothing comes.
        const PAUSE: Duration = Duration::from_millis(100);
        while !stop() && !self.db.core.journal.is_closed() {
            if self.step()? > 0 {
                continue;
            }
            if self.is_paused()? {
                // Events that wait would end a wait for more at once.
                std::thread::sleep(PAUSE);
            } else {
                self.events.wait(PAUSE);
            }
        }
        Ok(())
    }

    /// Empties what the projection keeps, and begins anew with the first event; one that is paused stays so. Whoever
    /// else runs a projection of this name is refused from now on.
    ///
    /// # Errors
    /// What emptying fails with; the next [`new`](Self::new) of this name does it again then.
    /// [`Error::Refused`] while another one of this name is emptying.
    pub fn rebuild(&mut self) -> Result<()> {
        self.work.clear();
        let known = reset(self.db, &self.name, &self.progress, &mut self.projection)?;
        (self.round, self.told, self.is_lost) = (known.round, known.unpaused(), false);
        self.events = self.db.subscribe(Seq::ZERO)?;
        Ok(())
    }
}

impl<P> std::fmt::Debug for Projector<'_, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projector")
            .field("name", &self.name)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

fn has_gone_on(name: &str) -> Error {
    let what = "another projector of this name has gone on meanwhile";
    Error::Refused(format!("`{name}`: {what}; begin anew"))
}

/// Empties what a projection keeps. Returns how far it has come then.
fn reset(
    db: &Database,
    name: &str,
    progress: &HashKeyspace,
    projection: &mut impl Projection,
) -> Result<Progress> {
    // Else another one could find it empty and write to it, and this one would empty it once more.
    let Some(_resetting) = Resetting::begin(&db.core.resets, name) else {
        let what = "another projector of this name is emptying it";
        return Err(Error::Refused(format!("`{name}`: {what}; try again when it has")));
    };
    progress::begin_anew(db, progress, name)?;
    projection.reset(db)?;
    progress::end_anew(db, progress, name)
}
